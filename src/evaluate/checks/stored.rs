//! Adversarial examples as pictures: saved with 8 bits a value, and read again.

use burn::tensor::{Tensor, TensorData};

use super::assault::{Assault, pgd, with};
use super::converged::strongest;
use super::gradients::NO_PROBES;
use super::subject::row;
use super::{Found, Subject, Verdict};
use crate::Result;
use crate::attack::{Goal, Setting};
use crate::data::Dataset;
use crate::defence::{self, Inner};
use crate::engine::clean::{self, CleanDecision};
use crate::engine::oracle::read_matrix;
use crate::options::Value;
use crate::report::text::distance;
use crate::threat::Norm;

/// Shares of the adversarial examples that may be lost.
const WARNED: f64 = 0.05;
const FAILED: f64 = 0.5;

/// Steps between black and white.
const LEVELS: f32 = 255.0;

/// Points that broke probes, decided again after they were rounded to multiples of 1/255 within the ball; and points that were rejected,
/// which must not be accepted then.
pub fn eight_bit(subject: &Subject) -> Result<Found> {
    let probes = subject.probes();
    if probes.is_empty() {
        return Ok(Found::new(Verdict::Skip, NO_PROBES));
    }
    let mut worst: Option<(f64, Found)> = None;
    let mut forwards = 0;
    for norm in subject.norms() {
        let Some(series) = strongest(subject, norm).filter(|series| series.parts(subject.data)[0].goal() == Goal::Untargeted) else {
            continue;
        };
        let Some(at) = series.middle(subject.right()) else { continue };
        let epsilon = series.threat.epsilons[at];
        let place = format!("under {} {}", norm.name(), distance(epsilon));
        let lying = lying(subject, &probes, norm, epsilon)?;
        forwards += lying.forwards;
        if lying.accepted > 0 {
            let advice = "the detector sees how an input was stored and not what it shows: round before it decides";
            let seen = format!(
                "{place} {} of {} adversarial points are rejected as floats and accepted as 8-bit images",
                lying.accepted, lying.rejected
            );
            return Ok(Found::too_weak(seen, advice).cost(forwards));
        }
        let aftermath = Assault { kind: &series.kind, options: &series.options, norm, epsilon }.run(subject, &probes)?;
        forwards += aftermath.forwards();
        let broken: Vec<usize> = aftermath.points().keys().copied().collect();
        if broken.is_empty() {
            continue;
        }
        let points: Vec<f32> = aftermath.points().values().flatten().copied().collect();
        forwards += broken.len() as u64 * u64::from(subject.oracle.draws());
        let decisions = decide(subject, &broken, rounded_all(subject, &broken, &points, norm, epsilon))?;
        let holds = |at: usize, decision: &CleanDecision| !decision.rejected && decision.prediction != subject.data.labels[at];
        let lost: Vec<usize> = broken.iter().zip(&decisions).filter(|(at, decision)| !holds(**at, decision)).map(|(at, _)| *at).collect();
        // An attack that stops at its first success has hardly crossed the boundary; further on there may be a point that holds.
        let (points, cost) = last_points(subject, &lost, norm, epsilon)?;
        let (deeper, features) = (decide(subject, &lost, rounded_all(subject, &lost, &points, norm, epsilon))?, subject.data.features());
        forwards += cost + (points.len() / features) as u64 * u64::from(subject.oracle.draws());
        let gone = lost.iter().zip(&deeper).filter(|(at, decision)| !holds(**at, decision)).count();
        let share = lost.len() as f64 / broken.len() as f64;
        let count = format!(
            "{place} {} of {} broken probes no longer hold after rounding to 8 bits, {gone} of them not even further on",
            lost.len(),
            broken.len()
        );
        let advice = "saved as images they are harmless: state robustness for 8-bit inputs, or let the attack step on that grid";
        let found = match share {
            _ if share < WARNED => Found::new(Verdict::Pass, count),
            _ if (gone as f64) < FAILED * broken.len() as f64 => Found::new(Verdict::Warn, format!("{count}; {advice}")),
            _ => Found::too_weak(count, advice),
        };
        if worst.as_ref().is_none_or(|(other, worst)| (found.verdict, share) > (worst.verdict, *other)) {
            worst = Some((share, found));
        }
    }
    let nothing = "no untargeted attack along gradients broke a probe: add `pgd`, or a larger epsilon";
    Ok(worst.map_or_else(|| Found::new(Verdict::Skip, nothing), |(_, found)| found).cost(forwards))
}

/// What a detector says of points before and after rounding.
#[derive(Default)]
struct Lying {
    /// Decided wrongly and rejected, as floats.
    rejected: usize,
    /// Of these, decided wrongly and accepted with 8 bits.
    accepted: usize,
    forwards: u64,
}

/// PGD's last points, whatever a detector says of them on the way.
fn lying(subject: &Subject, probes: &[usize], norm: Norm, epsilon: f64) -> Result<Lying> {
    let data = subject.data;
    if !subject.oracle.rejects() || !matches!(norm, Norm::Linf | Norm::L2) {
        return Ok(Lying::default());
    }
    let (points, cost) = last_points(subject, probes, norm, epsilon)?;
    let as_floats = decide(subject, probes, points.clone())?;
    let rounded = rounded_all(subject, probes, &points, norm, epsilon);
    let as_images = decide(subject, probes, rounded)?;
    let mut lying = Lying { forwards: cost + u64::from(2 * subject.oracle.draws()) * probes.len() as u64, ..Lying::default() };
    for ((at, floats), image) in probes.iter().zip(as_floats).zip(as_images) {
        let wrong = |decision: &CleanDecision| decision.prediction != data.labels[*at];
        if wrong(&floats) && floats.rejected {
            lying.rejected += 1;
            lying.accepted += usize::from(wrong(&image) && !image.rejected);
        }
    }
    Ok(lying)
}

/// PGD's last points on the margin for the examples at positions, row-major, and what they cost. None under norms that it does not step in.
fn last_points(subject: &Subject, positions: &[usize], norm: Norm, epsilon: f64) -> Result<(Vec<f32>, u64)> {
    let data = subject.data;
    if !matches!(norm, Norm::Linf | Norm::L2) {
        return Ok((positions.iter().flat_map(|&at| data.image(at)).collect(), 0));
    }
    let options = with(&pgd("margin"), &[("stop", Value::Text("last".into()))]);
    let setting = Setting { norm, classes: data.classes, shape: data.shape };
    let attack = (row("pgd").build)(&options, &setting).remove(0);
    let steps = attack.plan(epsilon as f32, 0, false).steps;
    let inner = Inner { attack, norm, epsilon: epsilon as f32 };
    let key = [subject.seed as u32, (subject.seed >> 32) as u32];
    let mut points = Vec::new();
    for batch in positions.chunks(subject.slots) {
        let of = |values: &[u32]| batch.iter().map(|&at| values[at]).collect::<Vec<u32>>();
        let crafted = defence::craft(&inner, subject.oracle, subject.images(batch), &of(&data.labels), &of(&data.ids), key, 0);
        points.extend(read_matrix(crafted)?);
    }
    Ok((points, u64::from(steps) * positions.len() as u64))
}

/// Points of the examples at positions, each on 8 bits.
fn rounded_all(subject: &Subject, positions: &[usize], points: &[f32], norm: Norm, epsilon: f64) -> Vec<f32> {
    let images = points.chunks(subject.data.features()).zip(positions);
    images.flat_map(|(point, &at)| eight_bits(point, &subject.data.image(at), norm, epsilon as f32)).collect()
}

/// The defence's decision on points that stand for the examples at positions.
fn decide(subject: &Subject, positions: &[usize], points: Vec<f32>) -> Result<Vec<CleanDecision>> {
    let data = subject.data;
    if positions.is_empty() {
        return Ok(Vec::new());
    }
    let of = |values: &[u32]| positions.iter().map(|&at| values[at]).collect::<Vec<u32>>();
    let sent = Tensor::from_data(TensorData::new(points.clone(), [positions.len(), data.features()]), subject.oracle.device());
    let stand_ins = Dataset::new("points", data.shape, data.classes, of(&data.ids), points, of(&data.labels))?;
    clean::decide(subject.oracle, &stand_ins, &sent, subject.slots.min(positions.len()), subject.seed)
}

/// A point on multiples of 1/255 within the ball: each value rounded; where that leaves the ball, rounded towards the original; and the
/// original value where no multiple lies between the two.
fn eight_bits(point: &[f32], original: &[f32], norm: Norm, epsilon: f32) -> Vec<f32> {
    let nearest: Vec<f32> = point.iter().map(|value| (value * LEVELS).round() / LEVELS).collect();
    let length = |other: &[f32]| -> f64 {
        let changes = other.iter().zip(original).map(|(a, b)| f64::from((a - b).abs()));
        match norm {
            Norm::Linf => changes.fold(0.0, f64::max),
            Norm::L2 => changes.map(|change| change * change).sum::<f64>().sqrt(),
            Norm::L1 => changes.sum(),
            Norm::L0 => changes.filter(|&change| change > 0.0).count() as f64,
        }
    };
    if length(&nearest) <= f64::from(epsilon) {
        return nearest;
    }
    let inwards = |(&value, &original): (&f32, &f32)| {
        let level = if value > original { (value * LEVELS).floor() } else { (value * LEVELS).ceil() } / LEVELS;
        let between = level >= value.min(original) && level <= value.max(original);
        if between { level } else { original }
    };
    let elementwise = norm == Norm::Linf;
    let inner = point.iter().zip(original).map(inwards);
    nearest
        .iter()
        .zip(inner)
        .zip(original)
        .map(|((&nearest, inner), original)| if elementwise && (nearest - original).abs() <= epsilon { nearest } else { inner })
        .collect()
}
