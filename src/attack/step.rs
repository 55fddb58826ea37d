//! What gradient attacks share: step sizes, absolute or relative to epsilon, and gradients averaged over draws of a random defence.

use crate::options::{Accepts, OptionSpec, Options};
use crate::threat::Norm;
use crate::threat::epsilon::past_linf;

/// How far a step goes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum StepSize {
    /// Input units.
    Absolute(f32),
    /// A multiple of epsilon.
    Relative(f32),
}

impl StepSize {
    /// The step in input units at `epsilon`.
    pub fn at(self, epsilon: f32) -> f32 {
        match self {
            StepSize::Absolute(step) => step,
            StepSize::Relative(share) => share * epsilon,
        }
    }

    /// The step that the options ask for, or else `share` of epsilon.
    pub fn from_options(options: &Options, share: f32) -> Self {
        match (options.number("step"), options.number("step_relative")) {
            (Some(step), _) => StepSize::Absolute(step as f32),
            (None, Some(share)) => StepSize::Relative(share as f32),
            (None, None) => StepSize::Relative(share),
        }
    }
}

pub(crate) const STEP: OptionSpec = OptionSpec {
    name: "step",
    accepts: Accepts::Distance(0.0, f64::MAX),
    default: None,
    help: "step size in input units; by default relative to epsilon",
};

pub(crate) const STEP_RELATIVE: OptionSpec =
    OptionSpec { name: "step_relative", accepts: Accepts::Number(0.0, 1000.0), default: None, help: "step size as a multiple of epsilon" };

/// Not both ways of giving a step at once.
pub(crate) fn one_step(options: &Options) -> Result<(), String> {
    match (options.number("step"), options.number("step_relative")) {
        (Some(_), Some(_)) => Err("`step` and `step_relative` are both given: keep one of them".into()),
        _ => Ok(()),
    }
}

/// What is wrong with a step that is longer than images are apart, and the way out; under other norms than linf that may be meant.
pub(crate) fn too_long(options: &Options, norm: Norm) -> Option<[String; 2]> {
    options.number(STEP.name).filter(|_| norm == Norm::Linf).and_then(|step| past_linf(STEP.name, step))
}

pub(crate) const EOT: OptionSpec = OptionSpec {
    name: "eot",
    accepts: Accepts::Integer(1, 10_000),
    default: None,
    help: "draws of a random defence that a step averages over (Athalye et al. 2018); by default 10, and 1 where the defence is not adaptive",
};

/// The draws that the options ask for.
pub(crate) fn draws(options: &Options) -> Option<u32> {
    options.integer("eot").map(|draws| draws as u32)
}
