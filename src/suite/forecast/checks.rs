//! What the checks of a defence take: passes over its probes, and the short attacks of the checks' own.

use std::collections::BTreeSet;

use super::batch;
use super::pace::{Hand, Pace};
use super::toil::{Stint, Toil};
use crate::attack::{ATTACKS, Attack, Parts};
use crate::suite::AttackSpec;
use crate::threat::Norm;

/// Passes over all probes that the checks without attacks make: forward (of which 100 for the loss nearby), and with a gradient.
const PASSES: u32 = 120;
const GRADIENTS: u32 = 2;

/// Steps of the checks' PGD, and queries of their `square`.
const STEPS: u32 = 40;
const QUERIES: u32 = 1000;

/// Restarts that are added to an attack to see whether it had converged.
const MORE: u32 = 5;

/// The checks' own attacks run at the epsilon where about half of the examples stand.
const STANDING: f64 = 0.5;

/// Steps after which PGD has broken a probe where any image may take its place.
const SOON: u32 = 8;

/// One of the suite's attacks, as the checks see it.
pub struct Watched<'a> {
    /// Its entry.
    pub spec: &'a AttackSpec,
    /// The norm.
    pub norm: Norm,
    /// Its parts.
    pub parts: &'a Parts,
}

/// How fast one worker of the first device does what checks do.
#[derive(Clone, Debug, PartialEq)]
pub struct Tester {
    /// The worker.
    pub hand: Hand,
    /// A step of PGD.
    pub gradient: Pace,
    /// A step without a gradient.
    pub forward: Pace,
}

/// Least, guessed and largest seconds of a defence's checks, on so many probes.
pub fn seconds(watched: &[Watched], tester: &Tester, probes: usize) -> [f64; 3] {
    let rows = |share: f64| (share * probes as f64).round() as usize;
    let run = |pace: Pace, rows: usize, steps: u32| {
        let toil = Toil { stints: vec![Stint { part: 0, steps, claims: false }] };
        batch::seconds(&[tester.hand.at(pace)], std::iter::repeat_n(&toil, rows))
    };
    let (gradient, forward) = (tester.gradient, tester.forward);
    let alone = run(forward, probes, PASSES) + run(gradient, probes, GRADIENTS);
    let mut sums = [alone; 3];
    let mut add = |of: &dyn Fn(f64, u32) -> f64| {
        for (sum, (share, soon)) in sums.iter_mut().zip([(0.0, 1), (STANDING, SOON), (1.0, 2 * STEPS + 2)]) {
            *sum += of(share, soon);
        }
    };
    let norms: BTreeSet<Norm> = watched.iter().map(|one| one.norm).collect();
    if norms.contains(&Norm::Linf) {
        add(&|_, soon| run(gradient, probes, soon));
    }
    for norm in norms {
        let here: Vec<&Watched> = watched.iter().filter(|one| one.norm == norm).collect();
        // Without a limit.
        add(&|_, soon| run(gradient, probes, soon));
        let is_gradient = |one: &&&Watched| one.parts.iter().all(|part| part.uses_gradients() && part.surrogate().is_none());
        let searches = |one: &&Watched| one.spec.kind != "noise" && one.parts.iter().any(|part| !part.uses_gradients());
        if here.iter().any(|one| is_gradient(&one)) && !here.iter().any(searches) {
            add(&|share, _| run(forward, rows(share), QUERIES));
        }
        let longest = here.iter().filter(is_gradient).filter(|one| has(one.spec, "steps")).max_by_key(|one| evaluations(one.parts, 1, 0));
        let Some(longest) = longest else { continue };
        let mut again = evaluations(longest.parts, 2, 0);
        if has(longest.spec, "restarts") {
            again += evaluations(longest.parts, 1, MORE);
        }
        add(&|share, _| run(gradient, rows(share), again));
        // As it is, on all probes, of which those that break do so early; and on to the last point of those that rounding saves.
        let once = evaluations(longest.parts, 1, 0);
        add(&|share, soon| {
            run(gradient, rows(share), once) + run(gradient, probes, soon.min(once)) + run(gradient, rows(share / 2.0), STEPS)
        });
    }
    sums
}

fn has(spec: &AttackSpec, option: &str) -> bool {
    ATTACKS.iter().any(|row| row.entry.name == spec.kind && row.entry.options.iter().any(|one| one.name == option))
}

/// Steps of all attempts, with a multiple of the steps of each and so many attempts more.
fn evaluations(parts: &[Box<dyn Attack>], times: u32, more: u32) -> u32 {
    let of = |part: &dyn Attack| (part.attempts() + more) * (times * part.plan(1.0, 0, false).steps + 1);
    parts.iter().map(|part| of(&**part)).sum()
}
