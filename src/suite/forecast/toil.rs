//! What the rows of one example take: assumed, by playing the engine's own chain through; or seen, from what an attack did.

use crate::attack::{Attack, RowPlan};
use crate::engine::chain::{Chain, End, NextRow, Walk, Word};
use crate::evaluate::record::{ExampleOutcomes, Settled, Verdict};
use crate::kernel::row::LAST;

/// Steps of the batch that a row sits in its slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stint {
    /// The attack's part.
    pub part: usize,
    /// Steps, the last forward pass counted as one.
    pub steps: u32,
    /// Whether the judge has to say something at the end.
    pub claims: bool,
}

/// The stints of an example, in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Toil {
    /// One a row, or one for several rows of a part.
    pub stints: Vec<Stint>,
}

/// All that becomes of an example in a series.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Errand {
    /// The first look.
    pub look: Toil,
    /// The attack.
    pub attack: Toil,
    /// Places of the epsilons whose survival is inferred.
    pub inferred: Vec<usize>,
}

/// How far the boundary of an example is taken to be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Boundary {
    /// Every row breaks at its first step.
    Here,
    /// Rows break from this distance on, once their steps have led so far.
    At(f64),
    /// No row breaks, and no epsilon says anything of another.
    Nowhere,
}

/// A series as its chains see it.
pub struct Scheme<'a> {
    /// The attack's parts.
    pub parts: &'a [Box<dyn Attack>],
    /// The attack of the first look, where there is one.
    pub scout: Option<&'a dyn Attack>,
    /// How its chains walk.
    pub walk: Walk,
    /// Radii, ascending.
    pub epsilons: &'a [f64],
}

impl Scheme<'_> {
    /// What an example is taken to need whose boundary is so far away.
    pub fn assumed(&self, boundary: Boundary) -> Errand {
        let parts: Vec<&dyn Attack> = self.parts.iter().map(|part| &**part).collect();
        let mut errand = Errand::default();
        let mut first = None;
        if let Some(scout) = self.scout {
            let chain;
            (errand.look, chain) = play(&[scout], Walk::Bisect, self.epsilons, boundary);
            let broken = |outcomes: ExampleOutcomes| outcomes.outcomes.iter().position(|outcome| outcome.verdict == Verdict::Broken);
            first = broken(chain.outcomes()).or(self.epsilons.len().checked_sub(1));
        }
        let walk = if boundary == Boundary::Nowhere { Walk::Each } else { self.walk };
        let chain;
        (errand.attack, chain) = play_from(&parts, walk, self.epsilons, boundary, first);
        errand.inferred = inferred(&chain.outcomes());
        errand
    }

    /// The same at one epsilon by itself, where everything fails to break it: what an audited row takes.
    pub fn survived(&self, epsilon: f64) -> Toil {
        let parts: Vec<&dyn Attack> = self.parts.iter().map(|part| &**part).collect();
        play(&parts, Walk::Each, &[epsilon], Boundary::Nowhere).0
    }

    /// What an example needed: `attack` came of the first part alone, each step of which was `throws` passes, and what that left standing
    /// is taken to withstand the others.
    pub fn seen(&self, look: Option<&ExampleOutcomes>, attack: &ExampleOutcomes, throws: u32) -> Errand {
        let stints = |outcomes: &ExampleOutcomes| -> Vec<(usize, Stint)> {
            let ran = outcomes.outcomes.iter().enumerate().filter(|(_, outcome)| outcome.forwards > 0);
            ran.map(|(at, outcome)| {
                let claims = outcome.verdict == Verdict::Broken && outcome.settled == Settled::Attack;
                (at, Stint { part: 0, steps: outcome.forwards.div_ceil(throws), claims })
            })
            .collect()
        };
        let mut errand = Errand { inferred: inferred(attack), ..Errand::default() };
        errand.look.stints = look.map_or(Vec::new(), |look| stints(look).into_iter().map(|(_, stint)| stint).collect());
        // Epsilons are met from the largest down.
        for (at, stint) in stints(attack).into_iter().rev() {
            errand.attack.stints.push(stint);
            if !stint.claims {
                let further = self.survived(self.epsilons[at]).stints.into_iter().filter(|stint| stint.part > 0);
                errand.attack.stints.extend(further);
            }
        }
        errand
    }
}

fn inferred(outcomes: &ExampleOutcomes) -> Vec<usize> {
    let all = outcomes.outcomes.iter().enumerate();
    all.filter(|(_, outcome)| outcome.settled == Settled::Inferred).map(|(at, _)| at).collect()
}

fn play(parts: &[&dyn Attack], walk: Walk, epsilons: &[f64], boundary: Boundary) -> (Toil, Chain) {
    play_from(parts, walk, epsilons, boundary, None)
}

fn play_from(parts: &[&dyn Attack], walk: Walk, epsilons: &[f64], boundary: Boundary, first: Option<usize>) -> (Toil, Chain) {
    let attempts = parts.iter().map(|part| part.attempts()).sum();
    let mut chain = Chain::new(0, 0, 0, walk, attempts, epsilons);
    if let Some(first) = first {
        chain = chain.begin_at(first, 0, 0);
    }
    let mut toil = Toil::default();
    loop {
        while let Some(row) = chain.next_row() {
            let (part, attempt) = part_of(parts, row.attempt);
            let epsilon = epsilons[row.epsilon];
            let kept = parts[part].keeps_for_next_row() && !toil.stints.is_empty();
            let plan = parts[part].plan(epsilon as f32, attempt, kept);
            let broken = match boundary {
                Boundary::Here => Some(0.0),
                Boundary::At(distance) if distance <= epsilon => Some(distance),
                _ => None,
            };
            let steps = broken.map_or(plan.steps, |distance| steps_to(distance, epsilon, &plan));
            toil.stints.push(Stint { part, steps: steps + 1, claims: broken.is_some() });
            end(&mut chain, row, broken.map(|distance| if boundary == Boundary::Here { distance } else { epsilon }));
        }
        if chain.resolve() {
            return (toil, chain);
        }
    }
}

fn end(chain: &mut Chain, row: NextRow, broken: Option<f64>) {
    let Some(distance) = broken else { return chain.record(row, End::Survived, 0, 0) };
    chain.record(row, End::Claimed { distance: distance as f32 }, 0, 0);
    chain.judged(row.epsilon, Word::Broken(distance as f32));
}

fn part_of(parts: &[&dyn Attack], attempt: u32) -> (usize, u32) {
    let mut left = attempt;
    for (part, attack) in parts.iter().enumerate() {
        if left < attack.attempts() {
            return (part, left);
        }
        left -= attack.attempts();
    }
    unreachable!("a chain has as many attempts as the parts have together")
}

/// Steps until a row breaks: as many as lead to the boundary, one step size each; where steps have no size, as large a share of half of
/// them as the boundary's distance is of the radius. A row whose last point alone counts takes them all.
fn steps_to(distance: f64, epsilon: f64, plan: &RowPlan) -> u32 {
    let steps = f64::from(plan.steps);
    if plan.flags & LAST != 0 {
        plan.steps
    } else if plan.step_size > 0.0 {
        (distance / f64::from(plan.step_size)).ceil().min(steps) as u32
    } else {
        (0.5 * steps * distance / epsilon).ceil() as u32
    }
}
