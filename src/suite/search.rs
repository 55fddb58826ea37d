//! One attack under one norm, as it goes through examples: the first look, and the chains that follow from it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use super::AttackSpec;
use super::schedule::{self, Renew, Series, Sink, Worker};
use crate::Result;
use crate::attack::{self, ATTACKS, Attack, Goal, Parts, Setting};
use crate::data::Dataset;
use crate::engine::chain::{Chain, Walk};
use crate::engine::clean::CleanDecision;
use crate::evaluate::cost::Cost;
use crate::evaluate::record::{ExampleOutcomes, SeriesKey, Specimen, Verdict};
use crate::evaluate::results::DeviceInfo;
use crate::store::KeptPoint;
use crate::threat::{Norm, Sweep, Threat};

/// With fewer epsilons a first look costs more than it saves.
const LOOK_FROM: usize = 4;

/// An attack's parts on images of a set.
pub(super) fn parts(spec: &AttackSpec, norm: Norm, data: &Dataset) -> Parts {
    let row = ATTACKS.iter().find(|row| row.entry.name == spec.kind).expect("the suite's reader knows the attacks");
    (row.build)(&spec.options, &Setting { norm, classes: data.classes, shape: data.shape })
}

/// How an attack's chains walk through a threat.
pub(super) fn walk(parts: &[Box<dyn Attack>], threat: &Threat) -> Walk {
    let descending = threat.sweep == Sweep::Descending && !parts.iter().any(|part| part.runs_every_epsilon());
    if descending { Walk::Descending } else { Walk::Each }
}

/// The attack of the first look, where a walk through so many epsilons has one.
pub(super) fn scout(parts: &[Box<dyn Attack>], walk: Walk, epsilons: &[f64]) -> Option<Box<dyn Attack>> {
    if walk == Walk::Descending && epsilons.len() >= LOOK_FROM { parts[0].scout() } else { None }
}

/// An attack, and what it goes through.
#[derive(Clone, Copy)]
pub(super) struct Search<'a> {
    /// Its series.
    pub key: &'a SeriesKey,
    /// Its parts.
    pub parts: &'a [Box<dyn Attack>],
    /// Key of its random stream.
    pub random: [u32; 2],
    /// The examples.
    pub data: &'a Dataset,
    /// What the defence says of them without an attack.
    pub clean: &'a [CleanDecision],
    /// Radii, ascending.
    pub epsilons: &'a [f64],
    /// Positions of the examples whose points the gallery wants.
    pub shown: &'a BTreeSet<usize>,
}

/// Who runs chains.
pub(super) struct Staff<'a> {
    /// The workers that are there.
    pub workers: &'a dyn Fn() -> Vec<Worker>,
    /// What takes the place of one that failed.
    pub renew: &'a Renew<'a>,
}

/// What a first look at an example came to, and the epsilon that its chain had best begin at.
pub(super) struct Look {
    pub epsilon: usize,
    pub found: ExampleOutcomes,
}

impl Look {
    /// Forward and backward passes.
    pub(super) fn passes(&self) -> [u32; 2] {
        let outcomes = &self.found.outcomes;
        [outcomes.iter().map(|outcome| outcome.forwards).sum(), outcomes.iter().map(|outcome| outcome.backwards).sum()]
    }
}

impl Search<'_> {
    /// The chain of the example at a position.
    pub(super) fn chain(&self, position: usize, walk: Walk, epsilons: &[f64]) -> Chain {
        let (example, label) = (self.data.ids[position], self.data.labels[position]);
        let attempts = self.parts.iter().map(|part| part.attempts()).sum();
        let mut chain = Chain::new(position, example, label, walk, attempts, epsilons);
        let logits = &self.clean[position].logits;
        if let Goal::Targeted(target) = self.parts[0].goal() {
            chain.target = target.pick(label, logits, self.random, example);
        }
        let ranks = self.parts.iter().map(|part| part.ranks()).max().unwrap_or(0);
        chain.ranks = attack::largest_others(label, logits, ranks as usize);
        chain
    }

    /// A cheap attack's first look at where each example breaks, by example; none where the walk has no use for it. An example that it
    /// does not break begins at the largest epsilon.
    pub(super) fn look(&self, staff: &Staff, positions: &[usize], walk: Walk) -> Result<(BTreeMap<u32, Look>, Cost)> {
        let Some(scout) = scout(self.parts, walk, self.epsilons) else { return Ok(Default::default()) };
        let found = Collected::default();
        let looking = Search { parts: &[scout], ..*self };
        looking.run(staff, positions, &|position| looking.chain(position, Walk::Bisect, self.epsilons), &found)?;
        let look = |found: ExampleOutcomes| {
            let first = found.outcomes.iter().position(|outcome| outcome.verdict == Verdict::Broken);
            (found.example, Look { epsilon: first.unwrap_or(self.epsilons.len() - 1), found })
        };
        let (found, cost) = found.take();
        Ok((found.into_iter().map(look).collect(), cost))
    }

    /// Runs the chains of the examples at positions.
    pub(super) fn run(&self, staff: &Staff, positions: &[usize], chain: &(dyn Fn(usize) -> Chain + Sync), sink: &dyn Sink) -> Result<()> {
        let shown = |position| self.shown.contains(&position);
        let series = Series { key: self.key, parts: self.parts, random: self.random, data: self.data, chain, shown: &shown };
        schedule::run(&series, (staff.workers)(), positions, sink, staff.renew)
    }
}

/// Keeps outcomes, and what they cost, in memory.
#[derive(Default)]
pub(super) struct Collected(Mutex<(Vec<ExampleOutcomes>, Cost)>);

impl Collected {
    pub(super) fn take(self) -> (Vec<ExampleOutcomes>, Cost) {
        self.0.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sink for Collected {
    fn commit(&self, _: &DeviceInfo, outcomes: &[ExampleOutcomes], _: &[Specimen], _: &[KeptPoint], spent: &Cost) -> Result<()> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.0.extend_from_slice(outcomes);
        all.1 += *spent;
        Ok(())
    }

    fn spent(&self, spent: &Cost) -> Result<()> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).1 += *spent;
        Ok(())
    }
}
