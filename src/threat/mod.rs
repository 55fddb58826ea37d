//! The threat: which perturbations count. Distances are in input units, the whole range of an input being 1.

pub mod epsilon;

use serde::{Deserialize, Serialize};

/// How a perturbation is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Norm {
    /// The largest change of any element.
    Linf,
    /// The Euclidean length of the change.
    L2,
    /// The sum of the absolute changes.
    L1,
    /// The number of changed elements.
    L0,
}

impl Norm {
    /// Every norm, in the order of the lists.
    pub const ALL: [Norm; 4] = [Norm::Linf, Norm::L2, Norm::L1, Norm::L0];

    /// The name in suites and results.
    pub fn name(self) -> &'static str {
        match self {
            Norm::Linf => "linf",
            Norm::L2 => "l2",
            Norm::L1 => "l1",
            Norm::L0 => "l0",
        }
    }

    /// The largest distance between two images of so many values in [0, 1]: no ball reaches further than one of this radius.
    pub fn diameter(self, values: usize) -> f64 {
        match self {
            Norm::Linf => 1.0,
            Norm::L2 => (values as f64).sqrt(),
            Norm::L1 | Norm::L0 => values as f64,
        }
    }

    /// What it measures, in a line.
    pub fn summary(self) -> &'static str {
        match self {
            Norm::Linf => "the largest change of any element",
            Norm::L2 => "the Euclidean length of the change",
            Norm::L1 => "the sum of the absolute changes",
            Norm::L0 => "the number of changed elements; no attack of this version works under it",
        }
    }
}

/// In which order an example meets the epsilons.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Sweep {
    /// From the largest down: a break at distance d settles every epsilon of d or more, a survival settles every smaller one.
    #[default]
    Descending,
    /// Every epsilon by itself.
    Exhaustive,
}

/// A norm, the radii to try, and how to walk through them. Inputs stay within [0, 1].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Threat {
    /// How perturbations are measured.
    pub norm: Norm,
    /// The radii in input units, ascending, without repetition.
    pub epsilons: Vec<f64>,
    /// The order of the epsilons.
    pub sweep: Sweep,
}
