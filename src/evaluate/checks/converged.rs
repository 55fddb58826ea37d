//! Whether more of the same attack finds more.

use super::assault::{Assault, with};
use super::beats::{LUCK, exceeds, standing};
use super::gradients::NO_PROBES;
use super::{Attacked, Family, Found, Remedy, Subject, Verdict};
use crate::Result;
use crate::evaluate::accuracy::DISTANCE_SLACK;
use crate::options::Value;
use crate::report::text::distance;
use crate::threat::Norm;

/// Restarts on top.
const MORE: i64 = 5;

/// Share of the probes that may break under more of the same without a word; above [`LUCK`] by more than chance it is a failure.
const WARNED: f64 = 0.02;

/// Probes that survive the strongest attack along gradients, run again with twice the steps, and with more restarts (Carlini et al. 2019,
/// section 5; Pintor et al. 2022, incomplete optimisation).
pub fn run(subject: &Subject) -> Result<Found> {
    let probes = subject.probes();
    if probes.is_empty() {
        return Ok(Found::new(Verdict::Skip, NO_PROBES));
    }
    let mut found: Option<Found> = None;
    let mut forwards = 0;
    for norm in subject.norms() {
        let searched = under(subject, &probes, norm)?;
        let Some(one) = missed(subject, norm)
            .map(|missed| Found { forwards: searched.as_ref().map_or(0, |found| found.forwards), ..missed })
            .or(searched)
        else {
            continue;
        };
        forwards += one.forwards;
        found = Some(match found {
            None => one,
            Some(other) => Found {
                detail: format!("{}. {}", other.detail, one.detail),
                weakness: joined(other.weakness, one.weakness),
                verdict: one.verdict.max(other.verdict),
                remedy: if one.verdict > other.verdict { one.remedy } else { other.remedy.or(one.remedy) },
                ..one
            },
        });
    }
    let nothing = "no attack along gradients takes many steps, so none can take more: add `pgd`, or `apgd`";
    Ok(found.unwrap_or_else(|| Found::new(Verdict::Skip, nothing)).cost(forwards))
}

/// What an exact certificate proves breakable and every attack left standing, at the epsilon where that is most.
fn missed(subject: &Subject, norm: Norm) -> Option<Found> {
    let exact = subject.certified.iter().find(|certified| certified.exact && certified.norm == norm)?;
    let series = subject.under(norm);
    let epsilons = &series.first()?.threat.epsilons;
    let breakable = |epsilon: f64| -> Vec<usize> {
        let of = |radius: Option<f64>| radius.is_some_and(|radius| radius + DISTANCE_SLACK < epsilon);
        let ids = exact.certificates.iter().filter(|found| of(found.radius)).map(|found| found.example);
        ids.filter_map(|id| subject.data.ids.iter().position(|other| *other == id)).collect()
    };
    let left = |at: usize| standing(subject, &series, at, &breakable(epsilons[at])).len();
    let (count, at) = (0..epsilons.len()).map(|at| (left(at), at)).max()?;
    if count == 0 {
        return None;
    }
    let (all, place) = (subject.data.len(), format!("under {} {}", norm.name(), distance(epsilons[at])));
    let seen = format!("{place} {count} of {all} examples stand before every attack though {} proves that they can be broken", exact.name);
    let verdict = if exceeds(count, all, WARNED) { Verdict::Fail } else { Verdict::Warn };
    let advice =
        "the robust accuracy is too high by as much: give the attack another loss (`margin`) or more restarts, or add `autoattack`";
    Some(Found { verdict, ..Found::too_weak(seen, advice) })
}

fn joined(one: Option<String>, other: Option<String>) -> Option<String> {
    match (one, other) {
        (Some(one), Some(other)) => Some(format!("{one}. {other}")),
        (one, other) => one.or(other),
    }
}

/// The strongest attack along gradients that takes many steps.
pub fn strongest<'a>(subject: &'a Subject, norm: Norm) -> Option<&'a Attacked> {
    let many = subject.of(Family::Gradient, norm).into_iter().filter(|series| series.has_option("steps"));
    many.min_by_key(|series| series.left_in_all())
}

fn under(subject: &Subject, probes: &[usize], norm: Norm) -> Result<Option<Found>> {
    let Some(series) = strongest(subject, norm) else { return Ok(None) };
    let Some(at) = series.middle(subject.right()) else { return Ok(None) };
    let epsilon = series.threat.epsilons[at];
    let survivors = standing(subject, &[series], at, probes);
    let steps = series.options.integer("steps").unwrap_or(1);
    let mut changes = vec![("steps", Value::Integer(2 * steps))];
    let longer = with(&series.options, &changes);
    let assault = |options| Assault { kind: &series.kind, options, norm, epsilon }.run(subject, &survivors);
    let first = assault(&longer)?;
    let mut left = first.standing();
    let mut forwards = first.forwards();
    let by_steps = survivors.len() - left.len();
    if series.has_option("restarts") {
        changes = vec![("restarts", Value::Integer(series.options.integer("restarts").unwrap_or(1) + MORE))];
        if series.has_option("random_start") {
            changes.push(("random_start", Value::Flag(true)));
        }
        let second = assault(&with(&series.options, &changes))?;
        forwards += second.forwards();
        let others = second.standing();
        left.retain(|at| others.contains(at));
    }
    let broken = survivors.len() - left.len();
    let what = format!(
        "of {} probes that survive {} under {} {}, twice the steps break {by_steps}, with {MORE} more restarts {broken}",
        survivors.len(),
        series.key.attack,
        norm.name(),
        distance(epsilon)
    );
    // What another attack breaks counts as broken in the worst case, however weak this one is.
    let others: Vec<&Attacked> = subject.under(norm).into_iter().filter(|other| other.key != series.key).collect();
    let covered =
        survivors.iter().filter(|&&probe| !left.contains(&probe) && others.iter().any(|other| other.breaks(subject, probe, at))).count();
    let open = broken - covered;
    let is_small = |count: usize| count <= 1 || count as f64 / probes.len() as f64 <= WARNED;
    let found = if is_small(broken) {
        Found::new(Verdict::Pass, what)
    } else {
        let verdict = if !is_small(open) && exceeds(open, probes.len(), LUCK) { Verdict::Fail } else { Verdict::Warn };
        let attack = &series.key.attack;
        let counted = if covered == 0 { String::new() } else { format!(", {covered} of them broken by other attacks of the suite") };
        let seen = format!("{what} ({:.0} % of all probes){counted}", 100.0 * broken as f64 / probes.len() as f64);
        let advice = if is_small(open) {
            format!("go by the worst case, or raise `steps`, or `restarts`, of {attack}: what it alone leaves is too high")
        } else {
            let present = |kind: &str| subject.under(norm).iter().any(|other| other.kind == kind);
            let stronger: Vec<&str> = ["`apgd`", "`autoattack`"].into_iter().filter(|kind| !present(kind.trim_matches('`'))).collect();
            let add = if stronger.is_empty() { String::new() } else { format!(", or add {}", stronger.join(" or ")) };
            format!("its robust accuracy is too high: raise `steps`, or `restarts`, of {attack}{add}")
        };
        let found = Found { verdict, ..Found::too_weak(seen, &advice) };
        if is_small(open) { found } else { found.remedy(Remedy::Longer { attack: attack.clone() }) }
    };
    Ok(Some(found.cost(forwards)))
}
