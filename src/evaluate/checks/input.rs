//! The data as attacks see them, and what the defence turns away of them.

use std::collections::BTreeSet;

use super::{Found, Subject, Verdict};
use crate::Result;

/// Fewer levels than this are called a coarse grid: half of 8 bits.
const COARSE: usize = 128;
/// Data sets of fewer values have few levels by chance.
const ENOUGH: usize = 1000;
/// Of larger sets the first examples stand for all.
const MOST_VALUES: usize = 1 << 26;
/// Shares of the values from which on saturated and constant ones are named.
const SATURATED: f64 = 0.5;
const CONSTANT: f64 = 0.5;
/// A range below this leaves half of the box unseen.
const NARROW: f32 = 0.5;
/// Share of rejected clean examples that is worth a word.
const REJECTED: f64 = 0.05;

/// Data on few levels, saturated, constant, or within a part of [0, 1] (an input that is scaled wrongly shows here): the first 2^26 values.
pub fn grid(subject: &Subject) -> Result<Found> {
    let data = subject.data;
    let features = data.features();
    let seen = data.len().min(MOST_VALUES.div_ceil(features));
    let (mut levels, mut saturated, mut low, mut high) = (BTreeSet::new(), 0, f32::INFINITY, f32::NEG_INFINITY);
    let first = if seen > 0 { data.image(0) } else { Vec::new() };
    let mut same = vec![true; first.len()];
    for at in 0..seen {
        for ((value, first), same) in data.image(at).into_iter().zip(&first).zip(&mut same) {
            levels.insert(value.to_bits());
            saturated += usize::from(value == 0.0 || value == 1.0);
            (low, high) = (low.min(value), high.max(value));
            *same &= value == *first;
        }
    }
    let values = seen * features;
    let saturated = saturated as f64 / values.max(1) as f64;
    let constant = same.into_iter().filter(|&same| same).count();
    let mut words = Vec::new();
    if high - low <= NARROW {
        words.push(format!("all values lie in [{low:.3}, {high:.3}]: is the data scaled to [0, 1], as epsilon is?"));
    }
    if levels.len() < COARSE && values >= ENOUGH {
        words.push(format!(
            "the values lie on {} levels: a defence that rounds to them undoes whatever is smaller than half a level",
            levels.len()
        ));
    }
    if saturated > SATURATED {
        words
            .push(format!("{:.0} % of the values are 0 or 1: a threshold undoes whatever is smaller than its distance", 100.0 * saturated));
    }
    if constant as f64 > CONSTANT * features as f64 && data.len() > 1 {
        words.push(format!("{constant} of {features} pixels are the same in all images"));
    }
    Ok(if words.is_empty() {
        Found::new(
            Verdict::Pass,
            format!("{} levels in [{low:.3}, {high:.3}], {:.0} % of the values at 0 or 1", levels.len(), 100.0 * saturated),
        )
    } else {
        words.push("read robustness at such epsilons with the data in mind".into());
        Found::new(Verdict::Warn, words.join("; "))
    })
}

/// Clean examples that the defence rejects.
pub fn rejections(subject: &Subject) -> Result<Found> {
    let rejected = subject.clean.iter().filter(|clean| clean.rejected).count();
    let all = subject.clean.len();
    let count = format!("{rejected} of {all} clean examples are rejected");
    Ok(if rejected as f64 > REJECTED * all as f64 {
        let advice = "they count as decided wrongly at every epsilon: say so beside the robust accuracy, and show the detector's ROC curve";
        Found::new(Verdict::Warn, format!("{count}; {advice}"))
    } else {
        Found::new(Verdict::Pass, count)
    })
}
