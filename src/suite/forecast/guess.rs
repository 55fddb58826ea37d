//! Where boundaries are taken to be while there are no weights to ask.

use super::toil::Boundary;
use crate::suite::DefenceSpec;
use crate::threat::{Norm, Threat};

/// Examples that stand for all.
const QUANTILES: usize = 32;

/// Where a network that is trained as usual keeps nothing, as a share of the largest epsilon.
const USUAL: f64 = 0.75;

/// The boundaries of examples, spread evenly from the image outwards. A defence that is trained inside balls of the threat's norm is
/// taken to keep half of its examples at the radius of its training, and none at twice that; one that is trained as usual to keep none at
/// three quarters of the threat's largest epsilon; one that is trained otherwise to keep none at the largest.
pub fn boundaries(defence: &DefenceSpec, threat: &Threat) -> Vec<Boundary> {
    let reach = reach(defence, threat);
    (0..QUANTILES).map(|at| Boundary::At(reach * (at as f64 + 0.5) / QUANTILES as f64)).collect()
}

fn reach(defence: &DefenceSpec, threat: &Threat) -> f64 {
    let largest = threat.epsilons.last().copied().unwrap_or(0.0);
    let Some(train) = &defence.train else { return USUAL * largest };
    let norm = if train.options.text("norm") == Some("l2") { Norm::L2 } else { Norm::Linf };
    match train.options.number("epsilon") {
        Some(radius) if norm == threat.norm => 2.0 * radius,
        Some(_) => largest,
        None if train.method == "standard" => USUAL * largest,
        None => largest,
    }
}
