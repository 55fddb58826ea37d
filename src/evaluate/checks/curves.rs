//! What robust accuracy over epsilon must look like, and what was inferred of it.

use super::{Attacked, Family, Found, Remedy, Subject, Verdict};
use crate::Result;
use crate::evaluate::audit;
use crate::evaluate::paired::{Counts, mcnemar};
use crate::evaluate::record;
use crate::report::text::distance;
use crate::threat::Sweep;

/// A rise of robust accuracy that counts, where a paired test says that it is no chance.
const RISE: f64 = 0.01;
const LEVEL: f64 = 0.05;

/// Whether every epsilon of a series was run by itself.
fn is_exhaustive(series: &Attacked, subject: &Subject) -> bool {
    series.rerun || series.threat.sweep == Sweep::Exhaustive || series.parts(subject.data).iter().any(|part| part.runs_every_epsilon())
}

/// An example that breaks at an epsilon breaks at every larger one (Carlini et al. 2019, section 5). Attacks of one step and noise do not
/// search the ball, so their curves may rise a little without a word.
pub fn monotone(subject: &Subject) -> Result<Found> {
    let exhaustive: Vec<&Attacked> = subject.series.iter().filter(|series| is_exhaustive(series, subject)).collect();
    if exhaustive.is_empty() {
        let detail =
            "every sweep was descending, whose curves cannot rise: set sweep = \"exhaustive\" for a threat to see each epsilon by itself";
        return Ok(Found::new(Verdict::Skip, detail));
    }
    let (mut worst, mut places) = (Found::new(Verdict::Pass, ""), Vec::new());
    for series in exhaustive {
        let searches = match series.family(subject.data) {
            Family::Noise | Family::Transfer => false,
            Family::Gradient => series.takes_many_steps(subject.data),
            Family::Score | Family::Mixed => true,
        };
        let name = format!("{} under {}", series.key.attack, series.key.norm.name());
        let (returned, rise) = rise(series);
        let found = match rise {
            Some((from, to, share)) => {
                let [from, to] = [from, to].map(|at| distance(series.threat.epsilons[at]));
                let seen = format!("{name}: robust accuracy rises by {:.1} points from epsilon {from} to {to}", 100.0 * share);
                let advice = "a larger ball holds the smaller one, so the attack loses its way: raise its steps or restarts, or see that \
                              its step fits epsilon";
                let verdict = if searches { Verdict::Fail } else { Verdict::Warn };
                Found { verdict, ..Found::too_weak(seen, advice) }.remedy(Remedy::Longer { attack: series.key.attack.clone() })
            }
            None if searches && returned > 0 => Found::new(
                Verdict::Warn,
                format!(
                    "{name}: {returned} examples break at an epsilon and stand at a larger one; more steps or restarts would settle them"
                ),
            ),
            None => {
                places.push(name);
                continue;
            }
        };
        if found.verdict > worst.verdict {
            worst = found;
        }
    }
    if worst.verdict == Verdict::Pass {
        worst.detail = format!("robust accuracy does not rise with epsilon: {}", places.join(", "));
    }
    Ok(worst)
}

/// Examples that break at an epsilon and stand at a larger one, and the largest rise that is no chance: from where, to where, how far.
fn rise(series: &Attacked) -> (usize, Option<(usize, usize, f64)>) {
    let standing: Vec<Vec<bool>> = (0..series.threat.epsilons.len()).map(|at| series.standing(at)).collect();
    let broken: Vec<Vec<bool>> = (0..series.threat.epsilons.len()).map(|at| series.broken(at)).collect();
    let mut returned = vec![false; series.outcomes.len()];
    let mut largest: Option<(usize, usize, f64)> = None;
    for to in 0..standing.len() {
        for from in 0..to {
            for (example, returned) in returned.iter_mut().enumerate() {
                *returned |= broken[from][example] && standing[to][example];
            }
            let counts = Counts::of(standing[from].iter().copied().zip(standing[to].iter().copied()));
            let rise = counts.difference();
            if rise >= RISE && mcnemar(&counts) < LEVEL && largest.is_none_or(|(.., other)| rise > other) {
                largest = Some((from, to, rise));
            }
        }
    }
    (returned.into_iter().filter(|&returned| returned).count(), largest)
}

/// The audits of descending sweeps, the worst of them.
pub fn audit(subject: &Subject) -> Result<Found> {
    let mut worst = Found::new(Verdict::Skip, "no survival was inferred, so there is nothing to audit");
    let (mut audited, mut errors, mut forwards) = (0, 0, 0);
    for series in &subject.series {
        let Some(audits) = &series.audits else { continue };
        let (verdict, detail) = audit::check(&series.key, audits, series.rerun);
        let summary = audit::summary(audits);
        audited += summary.audited;
        errors += summary.errors;
        forwards += summary.forwards;
        if verdict > worst.verdict {
            worst = Found::new(verdict, detail);
        }
    }
    if worst.verdict == Verdict::Pass {
        worst.detail = format!("{errors} of {audited} inferred survivals did not survive when they were run");
    }
    Ok(worst.cost(forwards))
}

/// Rows that failed, and examples whose clean decision did.
pub fn failed(subject: &Subject) -> Result<Found> {
    let of = |series: &Attacked| {
        let outcomes = series.outcomes.iter().flat_map(|outcomes| &outcomes.outcomes);
        outcomes.filter(|outcome| outcome.verdict == record::Verdict::Failed).count()
    };
    let rows: usize = subject.series.iter().map(of).sum();
    let clean = subject.clean.iter().filter(|clean| clean.failed).count();
    Ok(if rows + clean == 0 {
        Found::new(Verdict::Pass, "no row met a NaN, an infinity or a panic")
    } else {
        let advice = "they count as not robust, and the true numbers are unknown: find the operation that overflows, or divides by zero";
        Found::new(Verdict::Fail, format!("{rows} rows failed, and {clean} examples without an attack; {advice}"))
    })
}
