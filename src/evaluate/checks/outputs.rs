//! What comes out of a defence: always the same, logits, whatever stands beside it, and smooth.

use burn::tensor::{Tensor, TensorData};

use super::gradients::NO_PROBES;
use super::{Attacked, Found, Remedy, Subject, Verdict};
use crate::Result;
use crate::kernel::random::{philox, unit};

/// Passes over the same inputs.
const PASSES: u32 = 5;

/// Two outputs, each divided by its length, are the same up to this l2 distance (AutoAttack's checks.py).
const SAME: f32 = 1e-4;

/// Draws from which on a gradient counts as averaged over a random defence.
const AVERAGED: u32 = 10;

/// Outputs that vary: under other draws, which attacks must average over; and under the same draw, which nothing can (AutoAttack's
/// checks.py; Athalye et al. 2018, "Obfuscated Gradients Give a False Sense of Security").
pub fn random(subject: &Subject) -> Result<Found> {
    let probes = subject.probes();
    if probes.is_empty() {
        return Ok(Found::new(Verdict::Skip, NO_PROBES));
    }
    let images = subject.images(&probes);
    let pass = |round| subject.logits(&images, &probes, round);
    let first = pass(0)?;
    let (mut repeated, mut redrawn, mut bits) = (0.0f32, 0.0f32, 0);
    for round in 1..PASSES {
        let again = pass(0)?;
        bits += first.iter().zip(&again).filter(|(a, b)| a.to_bits() != b.to_bits()).count();
        repeated = repeated.max(farthest(&first, &again, subject.oracle.classes()));
        redrawn = redrawn.max(farthest(&first, &pass(round)?, subject.oracle.classes()));
    }
    let norms = subject.norms();
    let averaged = |norm| {
        let averages = |series: &&Attacked| {
            series.parts(subject.data).iter().any(|part| part.uses_gradients() && subject.oracle.throws(part.draws()) >= AVERAGED)
        };
        subject.series.iter().filter(|series| series.key.norm == norm).any(|series| averages(&series))
    };
    let found = if repeated > SAME {
        let advice = "it draws from somewhere else than the engine's own stream, so nothing here can be \
                      repeated: declare the randomness, or turn it off";
        Found::new(Verdict::Fail, format!("the same inputs under the same draw give outputs {repeated:.1e} apart; {advice}"))
    } else if bits > 0 {
        let advice = "a device that does not repeat itself to the bit; verdicts may change from run to run";
        Found::new(Verdict::Warn, format!("{bits} outputs differ in their last bits when they are computed again: {advice}"))
    } else if redrawn <= SAME {
        Found::new(Verdict::Pass, format!("{PASSES} passes over {} probes give the same outputs to the bit", probes.len()))
    } else if norms.iter().all(|&norm| averaged(norm)) {
        let detail = "the defence is random, and under every norm an attack averages its gradients over draws; the judge decides by draws of its own";
        Found::new(Verdict::Pass, detail)
    } else {
        let advice = format!(
            "average gradients over draws: eot = 20 in an attack along gradients, or autoattack with version = \"rand\", under {}",
            {
                let without: Vec<&str> = norms.iter().filter(|&&norm| !averaged(norm)).map(|norm| norm.name()).collect();
                without.join(" and ")
            }
        );
        let seen = format!("outputs are {redrawn:.1e} apart from draw to draw, and attacks follow single draws");
        Found::too_weak(seen, &advice).remedy(Remedy::Average)
    };
    Ok(found.cost(u64::from(2 * PASSES - 1) * probes.len() as u64))
}

/// The largest l2 distance between rows of the same place, each row divided by its length.
fn farthest(one: &[f32], other: &[f32], classes: usize) -> f32 {
    let unit = |row: &[f32]| {
        let length = row.iter().map(|logit| logit * logit).sum::<f32>().sqrt().max(f32::MIN_POSITIVE);
        row.iter().map(|logit| logit / length).collect::<Vec<_>>()
    };
    let distance = |(a, b): (&[f32], &[f32])| unit(a).iter().zip(unit(b)).map(|(a, b)| (a - b).powi(2)).sum::<f32>().sqrt();
    one.chunks(classes).zip(other.chunks(classes)).map(distance).fold(0.0, f32::max)
}

/// Outputs that are probabilities already (AutoAttack's checks.py).
pub fn softmax(subject: &Subject) -> Result<Found> {
    let probes = subject.probes();
    if probes.is_empty() {
        return Ok(Found::new(Verdict::Skip, NO_PROBES));
    }
    let logits = subject.logits(&subject.images(&probes), &probes, 0)?;
    let is_distribution =
        |row: &[f32]| row.iter().all(|output| (0.0..=1.0).contains(output)) && (row.iter().sum::<f32>() - 1.0).abs() <= 1e-5;
    let found = if logits.chunks(subject.oracle.classes()).all(is_distribution) {
        let advice = "attacks take them for logits, whose loss is then flat: hand out what goes into the last softmax";
        Found::new(Verdict::Fail, format!("every output lies in [0, 1] and each row sums to 1, as probabilities do; {advice}"))
    } else {
        Found::new(Verdict::Pass, "outputs are logits")
    };
    Ok(found.cost(probes.len() as u64))
}

/// Probes that are also put before the defence alone.
const ALONE: usize = 8;

/// How far an output may lie from what it is in other company, relative to the largest output of its row where that is above 1.
const COMPANY: f32 = 1e-4;

/// Outputs that depend on what stands beside an input in the batch.
pub fn batch(subject: &Subject) -> Result<Found> {
    let mut probes = subject.probes();
    probes.truncate(subject.slots);
    if probes.len() < 2 {
        let detail = "no two probes at once: fewer than two examples are classified rightly, or the \
                      device takes one row at a time (--memory, --slots)";
        return Ok(Found::new(Verdict::Skip, detail));
    }
    let classes = subject.oracle.classes();
    let together = subject.logits(&subject.images(&probes), &probes, 0)?;
    let mut farthest = 0.0f32;
    let alone = probes.len().min(ALONE);
    for (at, row) in together.chunks(classes).take(alone).enumerate() {
        let probe = &probes[at..=at];
        let scale = row.iter().fold(1.0f32, |scale, logit| scale.max(logit.abs()));
        for (one, other) in subject.logits(&subject.images(probe), probe, 0)?.iter().zip(row) {
            farthest = farthest.max((one - other).abs() / scale);
        }
    }
    let count = format!("{alone} probes alone and among {}: outputs {farthest:.0e} apart at most", probes.len());
    let found = if farthest > COMPANY {
        let advice = "a verdict depends on the batch: put batch normalisation into evaluation, with running statistics";
        Found::new(Verdict::Fail, format!("{count}; {advice}"))
    } else {
        let bound = format!("{alone} probes alone and among {}: outputs within {COMPANY:.0e} of each other", probes.len());
        Found::new(Verdict::Pass, bound)
    };
    Ok(found.cost((probes.len() + alone) as u64))
}

/// Random directions a probe, and how far they go in every element.
const DIRECTIONS: u32 = 100;
const RADIUS: f32 = 8.0 / 255.0;

/// Mean relative change of the loss from which on it counts as unstable.
const UNSTABLE: f64 = 0.1;

/// A loss that jumps from point to point: the mean over probes and random signs of the margin's change relative to the margin, each at
/// most 1 (Pintor et al. 2022, section 4; there the loss is the attack's, here the margin, which no softmax squeezes).
pub fn unstable(subject: &Subject) -> Result<Found> {
    let probes = subject.probes();
    if probes.is_empty() {
        return Ok(Found::new(Verdict::Skip, NO_PROBES));
    }
    let classes = subject.oracle.classes();
    let margins = |logits: Vec<f32>| -> Vec<f64> {
        let margin = |(row, &at): (&[f32], &usize)| margin(row, subject.data.labels[at] as usize);
        logits.chunks(classes).zip(&probes).map(margin).collect()
    };
    let at = margins(subject.logits(&subject.images(&probes), &probes, 0)?);
    let mut sum = 0.0;
    for direction in 0..DIRECTIONS {
        let nearby = margins(subject.logits(&beside(subject, &probes, direction), &probes, 0)?);
        sum += at.iter().zip(&nearby).map(|(at, nearby)| ((nearby - at).abs() / at.abs().max(f64::MIN_POSITIVE)).min(1.0)).sum::<f64>();
    }
    let mean = sum / f64::from(DIRECTIONS) / probes.len() as f64;
    let count = format!("the margin changes by {:.0} % of itself under random signs of 8/255", 100.0 * mean);
    let found = if mean > UNSTABLE {
        let advice = "one gradient says little of its surroundings: add the attack `square`, or average gradients over points nearby";
        Found::new(Verdict::Warn, format!("{count}; {advice}")).remedy(Remedy::Square)
    } else {
        Found::new(Verdict::Pass, count)
    };
    Ok(found.cost(u64::from(1 + DIRECTIONS) * probes.len() as u64))
}

/// The label's logit less the largest other.
fn margin(logits: &[f32], label: usize) -> f64 {
    let others = logits.iter().enumerate().filter(|(class, _)| *class != label).map(|(_, logit)| *logit);
    f64::from(logits[label]) - f64::from(others.fold(f32::NEG_INFINITY, f32::max))
}

/// The probes with every element moved by the radius, up or down, within [0, 1].
fn beside(subject: &Subject, probes: &[usize], direction: u32) -> Tensor<2> {
    let features = subject.data.features();
    let moved = |&at: &usize| {
        let key = [subject.seed as u32, (subject.seed >> 32) as u32];
        let image = subject.data.image(at).into_iter().enumerate();
        image.map(move |(element, value)| {
            let word = philox([element as u32, direction, NEARBY, subject.data.ids[at]], key)[0];
            (value + if unit(word) < 0.5 { -RADIUS } else { RADIUS }).clamp(0.0, 1.0)
        })
    };
    let points: Vec<f32> = probes.iter().flat_map(moved).collect();
    Tensor::from_data(TensorData::new(points, [probes.len(), features]), subject.oracle.device())
}

/// A word of the random counter that no row uses.
const NEARBY: u32 = u32::MAX - 3;
