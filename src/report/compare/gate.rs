//! The gate that a new run has to pass: no loss of robustness beyond a margin.

use serde::Serialize;

use super::Comparison;
use crate::evaluate::interval::CONFIDENCE;
use crate::evaluate::paired::examples_needed;
use crate::report::text::distance;

/// What the gate says.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Gate {
    /// The loss that is too much, a share.
    pub margin: f64,
    /// Whether B passes.
    pub passed: bool,
    /// The fewest examples that can pass, if none flips.
    pub examples_needed: usize,
    /// What speaks against it, a sentence each.
    pub failures: Vec<String>,
}

/// Lets B pass where, for every comparison, the one-sided 95 % upper bound of the loss from A to B is below `margin`, a share in (0, 1).
///
/// Since every bound has to hold, no correction for their number is due (an intersection-union test: Berger, "Multiparameter hypothesis
/// testing and acceptance sampling", Technometrics 24, 1982): a loss of `margin` passes with a probability of about 5 % at most, 7 % where
/// nothing flips, since the score test is asymptotic. What one run has and the other has not speaks against B, for a loss there cannot be
/// told; so does an attack that the two suites describe differently.
pub fn gate(comparison: &Comparison, margin: f64) -> Gate {
    let needed = examples_needed(margin, CONFIDENCE);
    let points = |share: f64| format!("{:.2}", 100.0 * share);
    let mut failures = Vec::new();
    for pair in comparison.pairs.iter().filter(|pair| pair.loss_upper95.is_nan() || pair.loss_upper95 >= margin) {
        let (bound, margin) = (points(pair.loss_upper95), distance(100.0 * margin));
        let mut text = format!(
            "{}: the loss is {} points, and may be {bound} (one-sided 95 % bound); the margin is {margin}",
            pair.subject,
            points(-pair.difference + 0.0)
        );
        if pair.examples < needed {
            text += &format!("; {} examples are too few for that margin: at least {needed} are needed, even if none flips", pair.examples);
        }
        failures.push(text);
    }
    failures.extend(comparison.only_a.iter().map(|missing| format!("{missing}: B has nothing to hold against it")));
    failures.extend(comparison.only_b.iter().map(|new| format!("{new}: A has nothing to hold it against, and worst cases leave it out")));
    failures.extend(comparison.unlike_attacks.iter().map(|name| format!("attack {name}: the two suites describe it differently")));
    Gate { margin, passed: failures.is_empty(), examples_needed: needed, failures }
}
