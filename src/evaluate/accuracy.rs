//! Accuracies of cells and worst cases. An example is robust at an epsilon where it is decided rightly without an attack and every row there
//! survived: a misclassified example is robust nowhere, and a failed row is never robust.

use std::collections::HashMap;

use super::interval::{CONFIDENCE, wilson};
use super::record::{ExampleOutcomes, Outcome, SeriesKey, Settled, Verdict};
use super::results::{Cell, Certified, WorstCase};
use crate::certify::Certificate;
use crate::error::{Error, Result};
use crate::suite::certify::Planned;
use crate::threat::Norm;

/// A break at distance d counts at every epsilon of at least d less this, in input units: distances are f32, epsilons f64.
pub const DISTANCE_SLACK: f64 = 1e-6;

/// What a defence says of the examples without an attack; all have one entry an example, in the same order.
#[derive(Clone, Copy, Debug)]
pub struct Clean<'a> {
    /// Stable ids, without repetition.
    pub ids: &'a [u32],
    /// The right classes.
    pub labels: &'a [u32],
    /// The classes that the defence decided on.
    pub predictions: &'a [u32],
    /// Where the decision met a NaN or an infinity, so that the prediction means nothing.
    pub failed: &'a [bool],
    /// Where it rejects the input, which then is not decided rightly, whatever the prediction.
    pub rejected: &'a [bool],
}

impl Clean<'_> {
    /// Whether each example is decided rightly, without a failure or a rejection.
    ///
    /// # Errors
    /// Where they do not have one entry an example.
    pub fn right(&self) -> Result<Vec<bool>> {
        let lengths = [self.ids.len(), self.labels.len(), self.predictions.len(), self.failed.len(), self.rejected.len()];
        if lengths.iter().any(|&length| length != lengths[0]) {
            let [ids, labels, predictions, failed, rejected] = lengths;
            return Err(unfit(format!(
                "{ids} examples do not fit {labels} labels, {predictions} clean predictions, {failed} failure flags and {rejected} rejections"
            )));
        }
        let right = |i: usize| !self.failed[i] && !self.rejected[i] && self.predictions[i] == self.labels[i];
        Ok((0..self.ids.len()).map(right).collect())
    }

    /// Share of the examples that are decided rightly, with its 95 % Wilson interval; 0 and [0, 1] without any example.
    ///
    /// # Errors
    /// As [`Clean::right`].
    pub fn accuracy(&self) -> Result<(f64, [f64; 2])> {
        let right = self.right()?.into_iter().filter(|&right| right).count();
        Ok((share(right, self.ids.len()), wilson(right, self.ids.len(), CONFIDENCE)))
    }
}

/// The cells of a series, in the order of `epsilons` (ascending); none as long as an example that is decided rightly has no outcomes.
/// Outcomes of misclassified examples may be left out.
///
/// Accuracies are shares of all examples. `failed` counts rows that failed, and examples whose clean decision failed. The median distance,
/// the same in every cell, is over rightly classified examples, of the smallest distance at which any epsilon's row broke, and infinity
/// where none did; for an even number it is the mean of the two middle values. It is absent where it is infinite. An example that failed
/// somewhere and broke nowhere has no known distance and is left out of it.
///
/// # Errors
/// Where outcomes do not fit the examples or the epsilons: the store holds something else than the suite says.
pub fn cells(series: &SeriesKey, epsilons: &[f64], clean: &Clean, outcomes: &[ExampleOutcomes]) -> Result<Vec<Cell>> {
    let right = clean.right()?;
    let rows = aligned(epsilons, clean, outcomes)?;
    if !finished(&rows, &right) {
        return Ok(Vec::new());
    }
    let examples = clean.ids.len();
    let clean_right = right.iter().filter(|&&right| right).count();
    let median_distance = median_distance(&rows, &right);
    let cell = |(index, &epsilon): (usize, &f64)| {
        let (mut failed, mut inferred, mut robust, mut forwards, mut backwards) = (0, 0, 0, 0, 0);
        for (example, row) in rows.iter().enumerate() {
            let outcome = row.map(|row| &row[index]);
            let verdict = outcome.map(verdict);
            failed += usize::from(clean.failed[example] || verdict == Some(Verdict::Failed));
            robust += usize::from(right[example] && verdict == Some(Verdict::Survived));
            inferred += usize::from(outcome.is_some_and(|outcome| outcome.settled == Settled::Inferred));
            forwards += outcome.map_or(0, |outcome| u64::from(outcome.forwards));
            backwards += outcome.map_or(0, |outcome| u64::from(outcome.backwards));
        }
        Cell {
            defence: series.defence.clone(),
            attack: series.attack.clone(),
            norm: series.norm,
            epsilon,
            examples,
            failed,
            inferred,
            clean_accuracy: share(clean_right, examples),
            robust_accuracy: share(robust, examples),
            ci95: wilson(robust, examples, CONFIDENCE),
            median_distance,
            forwards,
            backwards,
        }
    };
    Ok(epsilons.iter().enumerate().map(cell).collect())
}

/// What is left of a defence when every attack of a norm has had its turn, in the order of `epsilons` (ascending); `series` holds each
/// attack's outcomes. None as long as one of them is unfinished, or where there is none.
///
/// An example is robust at an epsilon where it is decided rightly, no attack broke it at that epsilon or a smaller one, none broke it at any
/// epsilon at a distance within this one, and no row failed there.
///
/// # Errors
/// As [`cells`].
pub fn worst_case(defence: &str, norm: Norm, epsilons: &[f64], clean: &Clean, series: &[&[ExampleOutcomes]]) -> Result<Vec<WorstCase>> {
    let examples = clean.ids.len();
    let entry = |(&epsilon, robust): (&f64, Vec<bool>)| {
        let robust = robust.into_iter().filter(|&robust| robust).count();
        WorstCase {
            defence: defence.to_owned(),
            norm,
            epsilon,
            examples,
            robust_accuracy: share(robust, examples),
            ci95: wilson(robust, examples, CONFIDENCE),
        }
    };
    Ok(epsilons.iter().zip(survivors(epsilons, clean, series)?).map(entry).collect())
}

/// Who is left in the worst case: for every epsilon the examples in the order of `clean`. Empty as long as a series is unfinished.
///
/// # Errors
/// As [`cells`].
pub fn survivors(epsilons: &[f64], clean: &Clean, series: &[&[ExampleOutcomes]]) -> Result<Vec<Vec<bool>>> {
    let right = clean.right()?;
    let attacks = series.iter().map(|outcomes| aligned(epsilons, clean, outcomes)).collect::<Result<Vec<_>>>()?;
    if attacks.is_empty() || !attacks.iter().all(|rows| finished(rows, &right)) {
        return Ok(Vec::new());
    }
    let examples = clean.ids.len();
    let mut robust = vec![vec![false; examples]; epsilons.len()];
    for example in (0..examples).filter(|&example| right[example]) {
        let rows: Vec<&[Outcome]> = attacks.iter().filter_map(|rows| rows[example]).collect();
        let reach = rows.iter().map(|row| reach(row, epsilons)).fold(f64::INFINITY, f64::min);
        for (index, &epsilon) in epsilons.iter().enumerate() {
            let failed = rows.iter().any(|row| verdict(&row[index]) == Verdict::Failed);
            robust[index][example] = !failed && epsilon < reach - DISTANCE_SLACK;
        }
    }
    Ok(robust)
}

/// The entries of a certificate, in the order of `epsilons`; none as long as an example is missing.
pub fn certified(planned: &Planned, epsilons: &[f64], ids: &[u32], found: &[Certificate]) -> Vec<Certified> {
    let examples = ids.len();
    if found.len() != examples || examples == 0 {
        return Vec::new();
    }
    let mut radii: Vec<f64> = found.iter().map(|certificate| certificate.radius.unwrap_or(0.0)).collect();
    radii.sort_by(f64::total_cmp);
    let median_radius = 0.5 * (radii[(examples - 1) / 2] + radii[examples / 2]);
    let entry = |&epsilon: &f64| {
        let held = found.iter().filter(|certificate| certificate.radius.is_some_and(|radius| radius >= epsilon)).count();
        Certified {
            defence: planned.defence.clone(),
            certificate: planned.certificate.clone(),
            kind: planned.kind.clone(),
            norm: planned.norm,
            epsilon,
            examples,
            abstained: found.iter().filter(|certificate| certificate.abstained).count(),
            certified_accuracy: share(held, examples),
            ci95: wilson(held, examples, CONFIDENCE),
            apart: planned.apart,
            median_radius,
        }
    };
    epsilons.iter().map(entry).collect()
}

/// The smallest epsilon that a row's breaks reach: each break's distance or its own epsilon, whichever is less.
fn reach(row: &[Outcome], epsilons: &[f64]) -> f64 {
    let breaks = row.iter().zip(epsilons).filter(|(outcome, _)| verdict(outcome) == Verdict::Broken);
    breaks.map(|(outcome, &epsilon)| outcome.distance.map_or(epsilon, |d| f64::from(d).min(epsilon))).fold(f64::INFINITY, f64::min)
}

/// The verdict that counts: a distance that is no number makes any verdict a failure.
fn verdict(outcome: &Outcome) -> Verdict {
    if outcome.distance.is_some_and(|distance| !distance.is_finite()) { Verdict::Failed } else { outcome.verdict }
}

fn median_distance(rows: &[Option<&[Outcome]>], right: &[bool]) -> Option<f64> {
    let mut distances = Vec::new();
    for row in rows.iter().zip(right).filter(|(_, right)| **right).filter_map(|(row, _)| *row) {
        let breaks = row.iter().filter(|outcome| verdict(outcome) == Verdict::Broken);
        let smallest = breaks.filter_map(|outcome| outcome.distance).fold(f32::INFINITY, f32::min);
        if smallest.is_finite() || row.iter().all(|outcome| verdict(outcome) != Verdict::Failed) {
            distances.push(f64::from(smallest));
        }
    }
    distances.sort_by(f64::total_cmp);
    let upper = *distances.get(distances.len() / 2)?;
    let lower = distances[(distances.len() - 1) / 2];
    upper.is_finite().then_some((lower + upper) / 2.0)
}

/// Each example's outcomes in the order of `clean`, where there are any.
fn aligned<'a>(epsilons: &[f64], clean: &Clean, outcomes: &'a [ExampleOutcomes]) -> Result<Vec<Option<&'a [Outcome]>>> {
    let places: HashMap<u32, usize> = clean.ids.iter().enumerate().map(|(place, &id)| (id, place)).collect();
    let mut rows = vec![None; clean.ids.len()];
    for ExampleOutcomes { example, outcomes } in outcomes {
        let Some(&place) = places.get(example) else {
            return Err(unfit(format!("example {example} has outcomes, but is not among the suite's {} examples", clean.ids.len())));
        };
        if outcomes.len() != epsilons.len() {
            return Err(unfit(format!("example {example} has {} outcomes for {} epsilons", outcomes.len(), epsilons.len())));
        }
        rows[place] = Some(outcomes.as_slice());
    }
    Ok(rows)
}

fn finished(rows: &[Option<&[Outcome]>], right: &[bool]) -> bool {
    rows.iter().zip(right).all(|(row, right)| row.is_some() || !right)
}

fn share(count: usize, of: usize) -> f64 {
    if of == 0 { 0.0 } else { count as f64 / of as f64 }
}

fn unfit(message: String) -> Error {
    Error::store(message).help("the run was made from other data or another suite: run it again with --fresh, or into another folder")
}
