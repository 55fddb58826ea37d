//! Balls so large that nothing can be left in them.

use statrs::distribution::{Binomial, DiscreteCDF};

use super::assault::{Assault, pgd};
use super::gradients::NO_PROBES;
use super::{Found, Remedy, Subject, Verdict};
use crate::Result;
use crate::evaluate::interval::CONFIDENCE;
use crate::threat::Norm;

/// Grey is within this l-infinity distance of every image.
const GREY: f64 = 0.5;

/// More than chance is left where every image can become plain grey (Carlini et al. 2019, section 5).
pub fn large_epsilon(subject: &Subject) -> Result<Found> {
    let probes = subject.probes();
    if probes.is_empty() {
        return Ok(Found::new(Verdict::Skip, NO_PROBES));
    }
    if !subject.norms().contains(&Norm::Linf) {
        return Ok(Found::new(Verdict::Skip, "no threat is under linf: add a [[threat]] with norm = \"linf\""));
    }
    let (left, forwards) = left(subject, &probes, Norm::Linf, GREY)?;
    let chance = Binomial::new(1.0 / subject.data.classes as f64, probes.len() as u64).expect("one over a count is a probability");
    let allowed = chance.inverse_cdf(CONFIDENCE);
    let count = format!("PGD-40 under linf {GREY} leaves {left} of {} probes, chance {allowed} at most", probes.len());
    let found = if left as u64 > allowed {
        let advice = "its gradients mislead: use another loss, BPDA, or an attack without gradients such as `square`";
        Found::too_weak(format!("{count}, although all of them can become the same grey image"), advice).remedy(Remedy::Square)
    } else {
        Found::new(Verdict::Pass, count)
    };
    Ok(found.cost(forwards))
}

/// Share of the probes that may be left without a limit before gradients count as useless.
const STUBBORN: f64 = 0.05;

/// Examples that survive where any image may take their place (Carlini et al. 2019, section 5; Pintor et al. 2022).
pub fn unconstrained(subject: &Subject) -> Result<Found> {
    let probes = subject.probes();
    if probes.is_empty() {
        return Ok(Found::new(Verdict::Skip, NO_PROBES));
    }
    let mut balls: Vec<(Norm, f64)> = Vec::new();
    for norm in subject.norms() {
        // The whole box; PGD steps under linf and l2 alone.
        let ball = if norm == Norm::L2 { (norm, (subject.data.features() as f64).sqrt()) } else { (Norm::Linf, 1.0) };
        if !balls.contains(&ball) {
            balls.push(ball);
        }
    }
    let (mut most, mut forwards, mut counts) = (0, 0, Vec::new());
    for (norm, epsilon) in balls {
        let (left, cost) = left(subject, &probes, norm, epsilon)?;
        most = most.max(left);
        forwards += cost;
        counts.push(format!("{left} of {} under {}", probes.len(), norm.name()));
    }
    let count = format!("PGD-40 over all images leaves {}", counts.join(", "));
    let advice = "an image of another class is within reach, so gradients do not lead to it: use another loss, BPDA, or `square`";
    let found = match most {
        0 => Found::new(Verdict::Pass, count),
        _ if most as f64 <= STUBBORN * probes.len() as f64 => Found::new(Verdict::Warn, format!("{count}; {advice}")),
        _ => Found::too_weak(count, advice).remedy(Remedy::Square),
    };
    Ok(found.cost(forwards))
}

/// How many probes PGD leaves, on the margin and then on cross-entropy, and what that cost.
fn left(subject: &Subject, probes: &[usize], norm: Norm, epsilon: f64) -> Result<(usize, u64)> {
    let mut left = probes.to_vec();
    let mut forwards = 0;
    for loss in ["margin", "cross-entropy"] {
        let aftermath = Assault { kind: "pgd", options: &pgd(loss), norm, epsilon }.run(subject, &left)?;
        forwards += aftermath.forwards();
        left = aftermath.standing();
    }
    Ok((left.len(), forwards))
}
