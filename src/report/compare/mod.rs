//! Two runs, or two defences, compared example by example.

pub mod gate;
mod runs;

use std::fmt;

use serde::Serialize;

pub use runs::{Choice, compare, compare_all};

use super::text::distance;
use crate::evaluate::interval::CONFIDENCE;
use crate::evaluate::paired::{Counts, difference_interval, holm, loss_upper, mcnemar};
use crate::evaluate::results::DataInfo;
use crate::evaluate::standing::Standing;
use crate::threat::Norm;

/// One of the two runs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Side {
    /// Its folder.
    pub run: String,
    /// The suite's title.
    pub suite: String,
    /// The suite's seed.
    pub seed: u64,
    /// The engine's version.
    pub version: String,
    /// Whether every planned cell is there.
    pub complete: bool,
}

/// What is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Decisions without an attack.
    Clean,
    /// One attack at one epsilon.
    Cell,
    /// The union of the attacks that both runs have finished, at one epsilon.
    WorstCase,
}

/// The names of a comparison.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Subject {
    /// What is compared.
    pub kind: Kind,
    /// The defence of A and that of B.
    pub defences: [String; 2],
    /// The attack of a cell, the attacks of a worst case; none where there is no attack.
    pub attacks: Vec<String>,
    /// The norm, where there is an attack.
    pub norm: Option<Norm>,
    /// The radius, where there is an attack.
    pub epsilon: Option<f64>,
}

impl Subject {
    /// The defence, or both.
    pub fn defence(&self) -> String {
        let [a, b] = &self.defences;
        if a == b { a.clone() } else { format!("{a} -> {b}") }
    }

    /// The attack, `worst case`, or `clean`.
    pub fn attack(&self) -> &str {
        match self.kind {
            Kind::Clean => "clean",
            Kind::Cell => &self.attacks[0],
            Kind::WorstCase => "worst case",
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} / {}", self.defence(), self.attack())?;
        let threat = self.norm.zip(self.epsilon);
        threat.map_or(Ok(()), |(norm, epsilon)| write!(f, " / {} {}", norm.name(), distance(epsilon)))
    }
}

/// An example that is robust in one of the two alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Flip {
    /// The example's stable id.
    pub example: u32,
    /// Its class.
    pub label: u32,
    /// Where it stands in A.
    pub a: Standing,
    /// Where it stands in B.
    pub b: Standing,
}

/// One comparison.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Pair {
    /// What is compared.
    #[serde(flatten)]
    pub subject: Subject,
    /// How many examples.
    pub examples: usize,
    /// Examples that failed in A and in B; they count as not robust.
    pub failed: [usize; 2],
    /// The examples by where they are robust.
    #[serde(flatten)]
    pub counts: Counts,
    /// Robust accuracy of A and of B; shares.
    pub robust_accuracy: [f64; 2],
    /// Robust accuracy of B less that of A.
    pub difference: f64,
    /// 95 % score interval of the difference.
    pub ci95: [f64; 2],
    /// One-sided 95 % upper bound of the loss, robust accuracy of A less that of B.
    pub loss_upper95: f64,
    /// McNemar's exact test, two-sided.
    pub mcnemar_p: f64,
    /// The same after Holm's correction over all comparisons.
    pub holm_p: f64,
    /// The examples that are robust in one alone, in the data's order.
    pub flips: Vec<Flip>,
}

impl Pair {
    /// Compares where the same examples stand; the four have one entry an example.
    pub fn new(subject: Subject, ids: &[u32], labels: &[u32], a: &[Standing], b: &[Standing]) -> Self {
        let robust = |standing: Standing| standing == Standing::Robust;
        let counts = Counts::of(a.iter().zip(b).map(|(&a, &b)| (robust(a), robust(b))));
        let flip = |at: usize| Flip { example: ids[at], label: labels[at], a: a[at], b: b[at] };
        let mcnemar_p = mcnemar(&counts);
        Self {
            subject,
            examples: ids.len(),
            failed: [a, b].map(|side| side.iter().filter(|&&standing| standing == Standing::Failed).count()),
            counts,
            robust_accuracy: counts.accuracies(),
            difference: counts.difference(),
            ci95: difference_interval(&counts, CONFIDENCE),
            loss_upper95: loss_upper(&counts, CONFIDENCE),
            mcnemar_p,
            holm_p: mcnemar_p,
            flips: (0..ids.len()).filter(|&at| robust(a[at]) != robust(b[at])).map(flip).collect(),
        }
    }
}

/// Cells that cannot be compared, since only one run has finished them.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Unpaired {
    /// The defence.
    pub defence: String,
    /// The attack; `clean` where the defence itself has no partner.
    pub attack: String,
    /// The norm, where there is an attack.
    pub norm: Option<Norm>,
    /// The radii.
    pub epsilons: Vec<f64>,
    /// Whether the other run has them in its plan, and has not finished them.
    pub unfinished: bool,
}

impl fmt::Display for Unpaired {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} / {}", self.defence, self.attack)?;
        if let Some(norm) = self.norm {
            let epsilons: Vec<String> = self.epsilons.iter().map(|&epsilon| distance(epsilon)).collect();
            write!(f, " / {} {}", norm.name(), epsilons.join(", "))?;
        }
        if self.unfinished { f.write_str(" (the other run has not finished it)") } else { Ok(()) }
    }
}

/// Two runs compared.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Comparison {
    /// The first run, A.
    pub a: Side,
    /// The second run, B.
    pub b: Side,
    /// The data of both.
    pub data: DataInfo,
    /// What else differs between the two, a sentence each.
    pub notes: Vec<String>,
    /// Attacks of one name that the two suites describe differently.
    pub unlike_attacks: Vec<String>,
    /// Every comparison that can be made, those at epsilon 0 but once: as the clean decisions.
    pub pairs: Vec<Pair>,
    /// What only A has.
    pub only_a: Vec<Unpaired>,
    /// What only B has.
    pub only_b: Vec<Unpaired>,
}

impl Comparison {
    /// Corrects the tests for their number.
    pub fn correct(&mut self) {
        let values: Vec<f64> = self.pairs.iter().map(|pair| pair.mcnemar_p).collect();
        for (pair, value) in self.pairs.iter_mut().zip(holm(&values)) {
            pair.holm_p = value;
        }
    }
}
