//! Whether there is a gradient to follow.

use super::{Attacked, Family, Found, Remedy, Subject, Verdict};
use crate::Result;
use crate::kernel::row::MARGIN;

/// From this share of the probes on an attack along gradients is blind.
const BLIND: f64 = 0.1;

/// Cross-entropy, as in [`crate::kernel::row`].
const CROSS_ENTROPY: u32 = 0;

/// Input gradients that are exactly zero, of cross-entropy and of the margin (AutoAttack's checks.py; Pintor et al. 2022, section 4).
pub fn zero(subject: &Subject) -> Result<Found> {
    let probes = subject.probes();
    if probes.is_empty() {
        return Ok(Found::new(Verdict::Skip, NO_PROBES));
    }
    let zeros = |loss| -> Result<usize> {
        let gradients = subject.gradients(&probes, loss)?;
        Ok(gradients.chunks(subject.data.features()).filter(|row| row.iter().all(|&element| element == 0.0)).count())
    };
    let (entropy, margin, all) = (zeros(CROSS_ENTROPY)?, zeros(MARGIN)?, probes.len());
    let blind = |zeros: usize| zeros as f64 >= BLIND * all as f64;
    let counts = format!("the input gradient is exactly zero on {entropy} of {all} probes for cross-entropy, on {margin} for the margin");
    let found = if blind(margin) {
        let advice = "attacks along gradients stand still there: give the step that has no gradient a differentiable stand-in in the \
                      backward pass (BPDA), or none at all, and add the attack `square`, which needs no gradient";
        Found::too_weak(counts, advice).remedy(Remedy::Square)
    } else if blind(entropy) {
        let advice = "the softmax saturates, and attacks on cross-entropy stand still";
        match covered(subject) {
            Some(attacks) => Found::new(Verdict::Warn, format!("{counts}; {advice}: go by {attacks}, whose loss does not")),
            None => {
                let advice = format!("{advice}: give an attack loss = \"margin\" or \"dlr\", or add `square`");
                Found::too_weak(counts, &advice).remedy(Remedy::Margin)
            }
        }
    } else if entropy + margin > 0 {
        let advice = "few enough for the numbers to hold, and each such example looks more robust than it may be: add the attack `square`";
        Found::new(Verdict::Warn, format!("{counts}; {advice}"))
    } else {
        Found::new(Verdict::Pass, counts)
    };
    Ok(found.cost(2 * all as u64))
}

/// The attacks that do not go by cross-entropy, where there is one under every norm.
fn covered(subject: &Subject) -> Option<String> {
    let mut names: Vec<&str> = Vec::new();
    for norm in subject.norms() {
        let sees = |series: &&Attacked| series.key.norm == norm && sees_past_softmax(series, subject);
        names.push(&subject.series.iter().find(sees)?.key.attack);
    }
    names.dedup();
    Some(names.join(" and "))
}

fn sees_past_softmax(series: &Attacked, subject: &Subject) -> bool {
    match series.family(subject.data) {
        Family::Noise => false,
        Family::Score | Family::Transfer | Family::Mixed => true,
        Family::Gradient => match series.options.text("loss") {
            Some(loss) => loss != "cross-entropy",
            None => !series.has_option("loss") || series.options.integer("targets").is_some_and(|targets| targets > 0),
        },
    }
}

/// Input gradients with an element that is not finite.
pub fn non_finite(subject: &Subject) -> Result<Found> {
    let probes = subject.probes();
    if probes.is_empty() {
        return Ok(Found::new(Verdict::Skip, NO_PROBES));
    }
    let mut worst = 0;
    for loss in [CROSS_ENTROPY, MARGIN] {
        let gradients = subject.gradients(&probes, loss)?;
        let ill = gradients.chunks(subject.data.features()).filter(|row| row.iter().any(|element| !element.is_finite())).count();
        worst = worst.max(ill);
    }
    let count = format!("the input gradient has a NaN or an infinity on {worst} of {} probes", probes.len());
    let found = if worst > 0 {
        let advice = "such rows fail: find the operation that divides by zero or takes a root of it, and bound its argument";
        Found::new(Verdict::Fail, format!("{count}; {advice}"))
    } else {
        Found::new(Verdict::Pass, count)
    };
    Ok(found.cost(2 * probes.len() as u64))
}

/// What checks that probe say where nothing is to be probed.
pub const NO_PROBES: &str = "no example is classified rightly, so there is nothing to probe: see whether the weights, the data's labels and the \
                             inputs' normalisation belong together";
