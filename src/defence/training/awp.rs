//! Adversarial weight perturbation (Wu, Xia and Wang 2020, "Adversarial weight perturbation helps robust generalization", equations 9
//! to 11): each step descends the loss at weights that have themselves been moved up along it.
//!
//! As in the authors' code, one step a batch, of relative length gamma a weight tensor; biases and norms' scales and shifts stay, and the
//! perturbation is taken off again after the optimiser's step.

use burn::tensor::Tensor;

use crate::kernel;
use crate::options::{Accepts, OptionSpec, Options};

pub(in crate::defence) const AWP: OptionSpec = OptionSpec {
    name: "awp",
    accepts: Accepts::Number(0.0, 1.0),
    default: Some("0.0"),
    help: "gamma of adversarial weight perturbation (Wu et al. 2020): its length over that of the weights, such as 0.01; 0: none",
};

pub(in crate::defence) const AWP_WARMUP: OptionSpec = OptionSpec {
    name: "awp_warmup",
    accepts: Accepts::Integer(0, 100_000),
    default: Some("0"),
    help: "epochs before the weights are first perturbed",
};

/// How weights are perturbed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Awp {
    gamma: f32,
    /// Epochs without it.
    warmup: usize,
}

impl Awp {
    /// What the options ask for, in an epoch from 1.
    pub(crate) fn new(options: &Options) -> Option<Self> {
        let gamma = options.number("awp").filter(|&gamma| gamma > 0.0)? as f32;
        Some(Self { gamma, warmup: options.integer("awp_warmup").and_then(|epochs| usize::try_from(epochs).ok()).unwrap_or(0) })
    }

    pub(super) fn acts(&self, epoch: usize) -> bool {
        epoch > self.warmup
    }

    /// What is added to each flat parameter that has a gradient and, by its rank, is a weight.
    pub(super) fn perturbation(&self, weights: &[Tensor<1>], ranks: &[usize], gradients: Vec<Option<Tensor<1>>>) -> Vec<Option<Tensor<1>>> {
        let places = weights.iter().zip(ranks).zip(gradients);
        places
            .map(|((weight, &rank), gradient)| {
                gradient.filter(|_| rank > 1).map(|gradient| perturbation(weight.clone(), gradient, self.gamma))
            })
            .collect()
    }
}

/// gamma |w| / |g| g for a weight w and a gradient g of its loss, both flat and their lengths l2; 0 where the gradient is.
pub fn perturbation(weight: Tensor<1>, gradient: Tensor<1>, gamma: f32) -> Tensor<1> {
    let length = weight.dims()[0];
    kernel::weight_step(weight.reshape([1, length]), gradient.reshape([1, length]), gamma).reshape([length])
}

/// Flat parameters moved along a perturbation, or with `sign` -1 back.
pub(super) fn moved(weights: Vec<Tensor<1>>, perturbation: &[Option<Tensor<1>>], sign: f32) -> Vec<Tensor<1>> {
    let places = weights.into_iter().zip(perturbation);
    places.map(|(weight, change)| change.clone().map_or_else(|| weight.clone(), |change| weight.clone() + change * sign)).collect()
}
