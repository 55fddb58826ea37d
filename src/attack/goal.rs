//! What an attack wants: any wrong class, or a particular one.

use crate::kernel::random::philox;
use crate::kernel::row::{DLR, MARGIN, TARGETED};
use crate::options::{Accepts, OptionSpec, Options};

/// Any class but the label, or the one that a rule names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Goal {
    /// Any class but the label.
    Untargeted,
    /// The class that the rule names.
    Targeted(Target),
}

/// How a targeted attack picks its class; never the label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// The class after the label, modulo the number of classes.
    Next,
    /// A class drawn from the row's random stream.
    Random,
    /// The class with the smallest logit on the clean input.
    LeastLikely,
}

impl Target {
    /// The class to reach for an example, given its clean logits and the attack's random key.
    pub fn pick(self, label: u32, logits: &[f32], key: [u32; 2], example: u32) -> u32 {
        let classes = logits.len() as u32;
        match self {
            Target::Next => (label + 1) % classes,
            Target::Random => {
                // A counter that no element of a start uses: the last word is taken from above any restart.
                let word = philox([0, 0, u32::MAX, example], key)[0];
                let other = (u64::from(word) * u64::from(classes - 1)) >> 32;
                (label + 1 + other as u32) % classes
            }
            Target::LeastLikely => {
                let others = (0..classes).filter(|&class| class != label);
                others.min_by(|&a, &b| logits[a as usize].total_cmp(&logits[b as usize])).unwrap_or((label + 1) % classes)
            }
        }
    }
}

pub(super) const GOAL: OptionSpec = OptionSpec {
    name: "goal",
    accepts: Accepts::Choice(&["untargeted", "targeted"]),
    default: Some("\"untargeted\""),
    help: "any wrong class, or the one that `target` names",
};

pub(super) const TARGET: OptionSpec = OptionSpec {
    name: "target",
    accepts: Accepts::Choice(&["next", "random", "least-likely"]),
    default: Some("\"next\""),
    help: "the class of a targeted attack; read where goal = \"targeted\"",
};

pub(super) const LOSS: OptionSpec = OptionSpec {
    name: "loss",
    accepts: Accepts::Choice(&["cross-entropy", "dlr", "margin"]),
    default: Some("\"cross-entropy\""),
    help: "the loss to ascend; dlr: difference of logits ratio (Croce and Hein 2020); margin: largest other logit less the label's",
};

/// The goal that the options ask for.
pub(super) fn goal(options: &Options) -> Goal {
    match (options.text("goal"), options.text("target")) {
        (Some("targeted"), Some("random")) => Goal::Targeted(Target::Random),
        (Some("targeted"), Some("least-likely")) => Goal::Targeted(Target::LeastLikely),
        (Some("targeted"), _) => Goal::Targeted(Target::Next),
        _ => Goal::Untargeted,
    }
}

/// The row flags that goal and loss ask for.
pub(super) fn flags(options: &Options) -> u32 {
    let targeted = if goal(options) == Goal::Untargeted { 0 } else { TARGETED };
    let loss = match options.text("loss") {
        Some("dlr") => DLR,
        Some("margin") => MARGIN,
        _ => 0,
    };
    targeted | loss
}
