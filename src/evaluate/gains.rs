//! Gains that are only apparent: what a defence seems to be worth before attacks that do not know it, beside what is left of it before
//! attacks that do.

use super::results::{ApparentGain, WorstCase};

/// The worst cases of pairs of a defence that attacks do not know and the same one before attacks that do, a norm and an epsilon each.
pub fn gains(pairs: &[(String, String)], worst: &[WorstCase]) -> Vec<ApparentGain> {
    let mut gains = Vec::new();
    for (unknown, known) in pairs {
        for seeming in worst.iter().filter(|worst| worst.defence == *unknown) {
            let same = |other: &&WorstCase| other.defence == *known && other.norm == seeming.norm && other.epsilon == seeming.epsilon;
            let Some(real) = worst.iter().find(same) else { continue };
            gains.push(ApparentGain {
                defence: known.clone(),
                unknown: unknown.clone(),
                norm: seeming.norm,
                epsilon: seeming.epsilon,
                unknown_accuracy: seeming.robust_accuracy,
                robust_accuracy: real.robust_accuracy,
                gain: seeming.robust_accuracy - real.robust_accuracy,
            });
        }
    }
    gains
}
