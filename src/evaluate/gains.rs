//! Gains that are only apparent: what a defence seems to be worth before attacks that do not know it, beside what is left of it before
//! attacks that do. An attack that needs no gradient, or crafts elsewhere, is the same in both and shows no gain.

use super::results::{ApparentGain, Cell, WorstCase};
use crate::threat::Norm;

/// What the worst case of all attacks is called among them.
pub const WORST_CASE: &str = "worst case";

/// A number of one series, whatever it was found by.
struct Share<'a> {
    defence: &'a str,
    attack: &'a str,
    norm: Norm,
    epsilon: f64,
    robust: f64,
}

/// Pairs of a defence that attacks do not know and the same one before attacks that do: an entry an attack, norm and epsilon, and one
/// for the worst case of all attacks. At epsilon 0 nothing is gained or lost.
pub fn gains(pairs: &[(String, String)], cells: &[Cell], worst: &[WorstCase]) -> Vec<ApparentGain> {
    let by_attack = cells.iter().map(|cell| Share {
        defence: &cell.defence,
        attack: &cell.attack,
        norm: cell.norm,
        epsilon: cell.epsilon,
        robust: cell.robust_accuracy,
    });
    let of_all = worst.iter().map(|worst| Share {
        defence: &worst.defence,
        attack: WORST_CASE,
        norm: worst.norm,
        epsilon: worst.epsilon,
        robust: worst.robust_accuracy,
    });
    let shares: Vec<Share> = by_attack.chain(of_all).filter(|share| share.epsilon > 0.0).collect();
    let mut gains = Vec::new();
    for (unknown, known) in pairs {
        for seeming in shares.iter().filter(|share| share.defence == unknown) {
            let same = |other: &&Share| {
                let place = (other.attack, other.norm, other.epsilon);
                other.defence == known && place == (seeming.attack, seeming.norm, seeming.epsilon)
            };
            let Some(real) = shares.iter().find(same) else { continue };
            gains.push(ApparentGain {
                defence: known.clone(),
                unknown: unknown.clone(),
                attack: seeming.attack.to_owned(),
                norm: seeming.norm,
                epsilon: seeming.epsilon,
                unknown_accuracy: seeming.robust,
                robust_accuracy: real.robust,
                gain: seeming.robust - real.robust,
            });
        }
    }
    gains
}
