//! Where each example stands in a cell or a worst case, so that two defences can be compared example by example.

use std::collections::HashMap;
use std::slice::from_ref;

use serde::{Deserialize, Serialize};

use super::accuracy::{self, Clean};
use super::record::{ExampleOutcomes, SeriesKey};
use crate::error::Result;
use crate::threat::Norm;

/// What became of an example, all things considered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// Decided rightly, and not broken. Only this one counts as robust.
    Robust,
    /// Decided rightly without an attack, and broken.
    Broken,
    /// Decided wrongly without an attack, or rejected.
    Misclassified,
    /// A row, or the clean decision, met a NaN, an infinity or a panic.
    Failed,
}

impl Standing {
    /// The name in results.
    pub fn name(self) -> &'static str {
        match self {
            Standing::Robust => "robust",
            Standing::Broken => "broken",
            Standing::Misclassified => "misclassified",
            Standing::Failed => "failed",
        }
    }
}

/// Where each example stands without an attack, in the order of `clean`; none is broken.
///
/// # Errors
/// As [`Clean::right`].
pub fn clean(clean: &Clean) -> Result<Vec<Standing>> {
    let right = clean.right()?;
    let standing = |(right, &failed): (bool, &bool)| match (right, failed) {
        (_, true) => Standing::Failed,
        (true, false) => Standing::Robust,
        (false, false) => Standing::Misclassified,
    };
    Ok(right.into_iter().zip(clean.failed).map(standing).collect())
}

/// Where each example stands in the cells of a series: for every epsilon the examples in the order of `clean`. `None` as long as the series
/// is unfinished. Each example goes through [`accuracy::cells`] by itself, so that the counts add up to the cells' accuracies.
///
/// # Errors
/// As [`accuracy::cells`].
pub fn in_cells(series: &SeriesKey, epsilons: &[f64], clean: &Clean, outcomes: &[ExampleOutcomes]) -> Result<Option<Vec<Vec<Standing>>>> {
    if accuracy::cells(series, epsilons, clean, outcomes)?.is_empty() {
        return Ok(None);
    }
    let rows = by_example(outcomes);
    let mut standings = vec![Vec::with_capacity(clean.ids.len()); epsilons.len()];
    for one in each(clean) {
        let row = rows.get(&one.ids[0]).map_or(&[][..], |&row| from_ref(row));
        for (standings, cell) in standings.iter_mut().zip(accuracy::cells(series, epsilons, &one, row)?) {
            standings.push(match cell {
                _ if cell.failed > 0 => Standing::Failed,
                _ if cell.robust_accuracy == 1.0 => Standing::Robust,
                _ if cell.clean_accuracy == 1.0 => Standing::Broken,
                _ => Standing::Misclassified,
            });
        }
    }
    Ok(Some(standings))
}

/// One finished attack of a worst case.
#[derive(Clone, Copy, Debug)]
pub struct Attacked<'a> {
    /// Its outcomes.
    pub outcomes: &'a [ExampleOutcomes],
    /// What [`in_cells`] makes of them.
    pub standings: &'a [Vec<Standing>],
}

/// Where each example stands when all of `attacks` have had their turn, in the form of [`in_cells`]. An example that any row failed on at an
/// epsilon has failed there.
///
/// # Errors
/// As [`accuracy::worst_case`].
pub fn in_worst_case(defence: &str, norm: Norm, epsilons: &[f64], clean: &Clean, attacks: &[Attacked]) -> Result<Vec<Vec<Standing>>> {
    let rows: Vec<_> = attacks.iter().map(|attack| by_example(attack.outcomes)).collect();
    let unattacked = self::clean(clean)?;
    let mut standings = vec![Vec::with_capacity(clean.ids.len()); epsilons.len()];
    for (at, one) in each(clean).enumerate() {
        let series: Vec<_> = rows.iter().map(|rows| rows.get(&one.ids[0]).map_or(&[][..], |&row| from_ref(row))).collect();
        for (index, worst) in accuracy::worst_case(defence, norm, epsilons, &one, &series)?.iter().enumerate() {
            let failed = attacks.iter().any(|attack| attack.standings[index][at] == Standing::Failed);
            standings[index].push(match unattacked[at] {
                _ if failed => Standing::Failed,
                Standing::Robust if worst.robust_accuracy != 1.0 => Standing::Broken,
                standing => standing,
            });
        }
    }
    Ok(standings)
}

fn by_example(outcomes: &[ExampleOutcomes]) -> HashMap<u32, &ExampleOutcomes> {
    outcomes.iter().map(|outcomes| (outcomes.example, outcomes)).collect()
}

fn each<'a>(clean: &Clean<'a>) -> impl Iterator<Item = Clean<'a>> {
    let Clean { ids, labels, predictions, failed, rejected } = *clean;
    (0..ids.len()).map(move |at| Clean {
        ids: &ids[at..=at],
        labels: &labels[at..=at],
        predictions: &predictions[at..=at],
        failed: &failed[at..=at],
        rejected: &rejected[at..=at],
    })
}
