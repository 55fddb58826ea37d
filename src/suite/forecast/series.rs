//! What a series takes: the first looks, the attack, and the audit of what was inferred.

use super::batch;
use super::pace::Hand;
use super::toil::{Boundary, Errand, Scheme, Toil};
use crate::engine::chain::Walk;
use crate::suite::series::audited;

/// The workers of a run, as they run a series.
#[derive(Clone, Debug, PartialEq)]
pub struct Crew {
    /// With the attack's parts.
    pub attack: Vec<Hand>,
    /// With the attack of the first look, where there is one.
    pub look: Vec<Hand>,
}

/// Seconds of a series over `examples` rightly classified ones that need, in turns, what `errands` do.
pub fn seconds(scheme: &Scheme, crew: &Crew, errands: &[Errand], examples: usize) -> f64 {
    if errands.is_empty() || examples == 0 {
        return 0.0;
    }
    let of = |toil: fn(&Errand) -> &Toil| (0..examples).map(move |at| toil(&errands[at % errands.len()]));
    let looks = if crew.look.is_empty() { 0.0 } else { batch::seconds(&crew.look, of(|errand| &errand.look)) };
    looks + batch::seconds(&crew.attack, of(|errand| &errand.attack)) + audits(scheme, crew, errands, examples)
}

/// The least and the most that a series can take, but for a sweep that its audit sends back to every epsilon: every row breaks at its
/// first step, and the judge costs nothing; or every row of every epsilon takes all its steps and hands in its last point.
pub fn bounds(scheme: &Scheme, crew: &Crew, examples: usize) -> [f64; 2] {
    [(Boundary::Here, false), (Boundary::Nowhere, true)].map(|(boundary, claims)| {
        let mut errand = scheme.assumed(boundary);
        errand.look.stints.iter_mut().chain(&mut errand.attack.stints).for_each(|stint| stint.claims = claims);
        seconds(scheme, crew, &[errand], examples)
    })
}

/// A round an epsilon, since an example may be drawn at several.
fn audits(scheme: &Scheme, crew: &Crew, errands: &[Errand], examples: usize) -> f64 {
    if scheme.walk != Walk::Descending {
        return 0.0;
    }
    let share = examples as f64 / errands.len() as f64;
    let inferred = |at: usize| share * errands.iter().filter(|errand| errand.inferred.contains(&at)).count() as f64;
    let all: f64 = (0..scheme.epsilons.len()).map(inferred).sum();
    let drawn = audited(all.round() as usize) as f64;
    let round = |(at, &epsilon): (usize, &f64)| {
        let rows = if all > 0.0 { (drawn * inferred(at) / all).round() as usize } else { 0 };
        let toil = scheme.survived(epsilon);
        batch::seconds(&crew.attack, std::iter::repeat_n(&toil, rows))
    };
    scheme.epsilons.iter().enumerate().map(round).sum()
}

/// How far the mean of what examples take may lie from that of all, as a share of it: two standard errors.
pub fn spread(crew: &Crew, errands: &[Errand]) -> f64 {
    let Some(hand) = crew.attack.first() else { return 0.0 };
    let of = |errand: &Errand| errand.attack.stints.iter().map(|stint| f64::from(stint.steps) * hand.parts[stint.part].full).sum::<f64>();
    let all: Vec<f64> = errands.iter().map(of).collect();
    let count = all.len() as f64;
    let mean = all.iter().sum::<f64>() / count;
    if count < 2.0 || mean <= 0.0 {
        return 1.0;
    }
    let variance = all.iter().map(|one| (one - mean).powi(2)).sum::<f64>() / (count - 1.0);
    2.0 * (variance / count).sqrt() / mean
}
