//! The audit of a descending sweep: survivals that were inferred are run after all, and the errors counted.

use super::checks;
use super::interval::{CONFIDENCE, clopper_pearson_upper};
use super::record::{Audited, SeriesKey, Verdict};

/// What an audit found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Summary {
    /// Inferred survivals that were run after all.
    pub audited: usize,
    /// Those that did not survive: broken, or failed.
    pub errors: usize,
    /// One-sided 95 % Clopper-Pearson upper bound of the error rate; 1 where nothing was audited.
    pub upper95: f64,
    /// Forward passes that the audit cost.
    pub forwards: u64,
}

/// Counts the errors of an audit. A row that failed confirms nothing, so it counts as an error.
pub fn summary(audits: &[Audited]) -> Summary {
    let errors = audits.iter().filter(|audit| audit.verdict != Verdict::Survived).count();
    Summary {
        audited: audits.len(),
        errors,
        upper95: clopper_pearson_upper(errors, audits.len(), CONFIDENCE),
        forwards: audits.iter().map(|audit| u64::from(audit.forwards)).sum(),
    }
}

/// Whether a series is to be run again exhaustively: the share of errors that was observed among the audited rows is above 1 in 100.
///
/// The share itself decides, not its upper bound: the bound is above 1 % for every audit of less than 299 rows, however clean.
/// `errors` is at most `audited`; without any audited row the answer is no.
pub fn needs_exhaustive(errors: usize, audited: usize) -> bool {
    errors * 100 > audited
}

/// What the audit of a series says of it, with the reason; `rerun` says whether the series has since been run again exhaustively.
///
/// Skipped where nothing was inferred, passed at an error of at most 1 %, a warning above it where the series was run again and its
/// numbers hold, a failure where it was not.
pub fn check(series: &SeriesKey, audits: &[Audited], rerun: bool) -> (checks::Verdict, String) {
    let Summary { audited, errors, upper95, .. } = summary(audits);
    let name = format!("{}, {}", series.attack, series.norm.name());
    let found = format!(
        "{name}: {errors} of {audited} inferred survivals did not survive when they were run (95 % upper bound {:.1} %)",
        100.0 * upper95
    );
    match (audited, needs_exhaustive(errors, audited), rerun) {
        (0, ..) => (checks::Verdict::Skip, format!("{name}: no survival was inferred, so there is nothing to audit")),
        (_, false, _) => (checks::Verdict::Pass, found),
        (_, true, true) => {
            (checks::Verdict::Warn, format!("{found}; above 1 %, so the series was run again exhaustively and its numbers infer nothing"))
        }
        (_, true, false) => {
            (checks::Verdict::Fail, format!("{found}; above 1 %: set `sweep = \"exhaustive\"` for this threat, or run the suite again"))
        }
    }
}
