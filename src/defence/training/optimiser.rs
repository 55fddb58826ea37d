//! Adam, AdamW and SGD on flat parameters.

use burn::tensor::Tensor;

use super::kept::Kept;
use crate::Result;
use crate::options::Options;

const BETA1: f32 = 0.9;
const BETA2: f32 = 0.999;
const EPSILON: f32 = 1e-8;

/// How gradients become steps.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Kind {
    /// Kingma and Ba 2015, algorithm 1; `decoupled`: Loshchilov and Hutter 2019, algorithm 2, in PyTorch's form.
    Adam { decay: f32, decoupled: bool },
    /// PyTorch's form: velocity = momentum velocity + gradient.
    Sgd { decay: f32, momentum: f32, nesterov: bool },
}

impl Kind {
    pub(super) fn new(options: &Options) -> Self {
        let decay = options.number("weight_decay").unwrap_or(0.0) as f32;
        match options.text("optimizer") {
            Some("sgd") => Kind::Sgd {
                decay,
                momentum: options.number("momentum").unwrap_or(0.0) as f32,
                nesterov: options.flag("nesterov").unwrap_or(false),
            },
            kind => Kind::Adam { decay, decoupled: kind == Some("adamw") },
        }
    }
}

/// An optimiser with what it remembers of every parameter.
pub(super) struct Optimiser {
    kind: Kind,
    time: usize,
    /// By parameter: its moments, or its velocity; empty before its first gradient.
    moments: Vec<Vec<Tensor<1>>>,
}

impl Optimiser {
    pub(super) fn new(kind: Kind) -> Self {
        Self { kind, time: 0, moments: Vec::new() }
    }

    /// The parameters after a step of `rate`; those without a gradient stay.
    pub(super) fn step(&mut self, rate: f64, parameters: Vec<Tensor<1>>, gradients: Vec<Option<Tensor<1>>>) -> Vec<Tensor<1>> {
        self.time += 1;
        self.moments.resize_with(parameters.len(), Vec::new);
        let (kind, time) = (self.kind, self.time as i32);
        let places = parameters.into_iter().zip(gradients).zip(&mut self.moments);
        places
            .map(|((parameter, gradient), moments)| match gradient {
                Some(gradient) => kind.step(rate, parameter, gradient, moments, time),
                None => parameter,
            })
            .collect()
    }

    pub(super) fn save(&self, kept: &mut Kept) -> Result<()> {
        kept.put("optimiser.time", &self.time);
        for (at, moments) in self.moments.iter().enumerate() {
            kept.put_tensors(&format!("optimiser.{at}"), moments)?;
        }
        Ok(())
    }

    pub(super) fn restore(&mut self, kept: &Kept, parameters: usize) -> Result<()> {
        self.time = kept.get("optimiser.time")?;
        self.moments = (0..parameters).map(|at| kept.tensors(&format!("optimiser.{at}"))).collect();
        Ok(())
    }
}

impl Kind {
    fn step(self, rate: f64, parameter: Tensor<1>, gradient: Tensor<1>, moments: &mut Vec<Tensor<1>>, time: i32) -> Tensor<1> {
        let decayed = |decay: f32, gradient: Tensor<1>| {
            if decay > 0.0 { parameter.clone().mul_scalar(decay).add(gradient) } else { gradient }
        };
        match self {
            Kind::Adam { decay, decoupled } => {
                let gradient = if decoupled { gradient } else { decayed(decay, gradient) };
                let change = adam(gradient, moments, time).mul_scalar(rate);
                let parameter = if decoupled && decay > 0.0 { parameter.mul_scalar(1.0 - rate * f64::from(decay)) } else { parameter };
                parameter - change
            }
            Kind::Sgd { decay, momentum, nesterov } => {
                let mut gradient = decayed(decay, gradient);
                if momentum > 0.0 {
                    let velocity = match moments.pop() {
                        Some(velocity) => gradient.clone().add(velocity.mul_scalar(momentum)),
                        None => gradient.clone(),
                    };
                    moments.push(velocity.clone());
                    gradient = if nesterov { velocity.mul_scalar(momentum).add(gradient) } else { velocity };
                }
                parameter - gradient.mul_scalar(rate)
            }
        }
    }
}

/// The direction of a step, and the moments moved.
fn adam(gradient: Tensor<1>, moments: &mut Vec<Tensor<1>>, time: i32) -> Tensor<1> {
    let first = gradient.clone().mul_scalar(1.0 - BETA1);
    let second = gradient.square().mul_scalar(1.0 - BETA2);
    let (first, second) = match (moments.pop(), moments.pop()) {
        (Some(before2), Some(before1)) => (before1.mul_scalar(BETA1).add(first), before2.mul_scalar(BETA2).add(second)),
        _ => (first, second),
    };
    *moments = vec![first.clone(), second.clone()];
    let root = (1.0 - BETA2.powi(time)).sqrt();
    first.mul_scalar(root / (1.0 - BETA1.powi(time))).div(second.sqrt().add_scalar(EPSILON * root))
}

/// Gradients whose l2 norm all together is `largest` at most (Pascanu et al. 2013), as PyTorch's `clip_grad_norm_` scales them.
pub(super) fn clipped(gradients: Vec<Option<Tensor<1>>>, largest: f64) -> Vec<Option<Tensor<1>>> {
    let squares = gradients.iter().flatten().map(|gradient| gradient.clone().square().sum());
    let Some(square) = squares.reduce(|a, b| a + b) else { return gradients };
    let factor = (square.sqrt().add_scalar(1e-6)).recip().mul_scalar(largest).clamp_max(1.0);
    gradients.into_iter().map(|gradient| gradient.map(|gradient| gradient * factor.clone())).collect()
}
