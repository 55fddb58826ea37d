//! Averaged weights: what a training deploys may be a mean of what it went through.

use burn::tensor::Tensor;

use super::kept::Kept;
use crate::Result;
use crate::graph::{Op, Source};
use crate::model::{Classifier, Moved};
use crate::options::Options;

/// Which mean.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Averaging {
    Off,
    /// Exponential, by this decay a step; early steps decay faster, (1 + step) / (10 + step), so that the first weights are forgotten.
    Exponential(f64),
    /// Equal, over the ends of the epochs after this share of them (Izmailov et al. 2018, algorithm 1).
    Stochastic(f64),
}

impl Averaging {
    pub(super) fn new(options: &Options) -> Self {
        match options.text("average") {
            Some("ema") => Averaging::Exponential(options.number("average_decay").unwrap_or(0.995)),
            Some("swa") => Averaging::Stochastic(options.number("average_from").unwrap_or(0.5)),
            _ => Averaging::Off,
        }
    }
}

/// A mean so far.
pub(super) struct Average {
    averaging: Averaging,
    /// How many weights are in it.
    count: usize,
    weights: Vec<Tensor<1>>,
}

impl Average {
    pub(super) fn new(averaging: Averaging) -> Self {
        Self { averaging, count: 0, weights: Vec::new() }
    }

    /// After a step.
    pub(super) fn step(&mut self, weights: impl FnOnce() -> Vec<Tensor<1>>) {
        if let Averaging::Exponential(decay) = self.averaging {
            let early = (1.0 + self.count as f64) / (10.0 + self.count as f64);
            self.take(weights(), decay.min(early));
        }
    }

    /// After an epoch, of which `done` is the share of all.
    pub(super) fn epoch(&mut self, done: f64, weights: impl FnOnce() -> Vec<Tensor<1>>) {
        if let Averaging::Stochastic(from) = self.averaging
            && done > from
        {
            let count = self.count as f64;
            self.take(weights(), count / (count + 1.0));
        }
    }

    fn take(&mut self, weights: Vec<Tensor<1>>, old: f64) {
        self.weights = if self.weights.is_empty() {
            weights
        } else {
            let mean = |(mean, new): (Tensor<1>, Tensor<1>)| mean.mul_scalar(old) + new.mul_scalar(1.0 - old);
            std::mem::take(&mut self.weights).into_iter().zip(weights).map(mean).collect()
        };
        self.count += 1;
    }

    /// The mean, once there is one.
    pub(super) fn weights(&self) -> Option<Vec<Tensor<1>>> {
        (!self.weights.is_empty()).then(|| self.weights.clone())
    }

    pub(super) fn save(&self, kept: &mut Kept) -> Result<()> {
        kept.put("average.count", &self.count);
        kept.put_tensors("average", &self.weights)
    }

    pub(super) fn restore(&mut self, kept: &Kept) -> Result<()> {
        self.count = kept.get("average.count")?;
        self.weights = kept.tensors("average");
        Ok(())
    }
}

/// Whether a classifier has running statistics that move as it trains.
pub(super) fn has_statistics(classifier: &Classifier) -> bool {
    !momenta(classifier).is_empty()
}

/// The classifier with running statistics that fit its weights: the means over these batches of what it trains on [rows, features], as
/// PyTorch's `update_bn` takes them.
///
/// # Errors
/// As the batches.
pub(super) fn with_statistics(classifier: Classifier, batches: impl Iterator<Item = Result<Tensor<2>>>) -> Result<Classifier> {
    let momenta = momenta(&classifier);
    // From statistics of 0 a batch moves them to momentum times its own.
    let zeros: Moved = classifier.network.statistics().into_iter().map(|(at, value)| (at, value.zeros_like())).collect();
    let blank = Classifier { network: classifier.network.clone().moved(zeros), ..classifier.clone() };
    let mut sums: Moved = Vec::new();
    let mut count = 0;
    for inputs in batches {
        let (_, moved) = blank.training_logits(inputs?);
        count += 1;
        sums = match sums.is_empty() {
            true => moved,
            false => sums.into_iter().zip(moved).map(|((at, sum), (_, value))| (at, sum + value)).collect(),
        };
    }
    let mean = |(at, sum): (usize, Tensor<1>)| {
        let momentum = momenta.iter().find(|(of, _)| *of == at).map_or(1.0, |(_, momentum)| *momentum);
        (at, sum.div_scalar(momentum * count as f32))
    };
    Ok(Classifier { network: classifier.network.clone().moved(sums.into_iter().map(mean).collect()), ..classifier })
}

/// Each running statistic, by its parameter, and how far a batch moves it; none where nothing does.
fn momenta(classifier: &Classifier) -> Vec<(usize, f32)> {
    let nodes = classifier.network.graph().nodes.iter();
    nodes
        .filter_map(|node| match node.op {
            Op::BatchNorm { momentum, .. } if momentum > 0.0 => Some((node, momentum)),
            _ => None,
        })
        .flat_map(|(node, momentum)| node.inputs[3..].iter().map(move |source| (*source, momentum)))
        .filter_map(|(source, momentum)| if let Source::Parameter(at) = source { Some((at, momentum)) } else { None })
        .collect()
}
