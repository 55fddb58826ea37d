//! One series of a run: a first look, the attack, the audit of what was inferred.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use super::crew::Crew;
use super::run::Run;
use super::schedule::{self, Series, Sink, Worker};
use crate::attack::{self, ATTACKS, Attack, Goal, Setting};
use crate::engine::chain::{Chain, Walk};
use crate::engine::clean::CleanDecision;
use crate::evaluate::audit;
use crate::evaluate::cost::Cost;
use crate::evaluate::record::{Audited, ExampleOutcomes, Outcome, SeriesKey, Settled, Specimen, Verdict};
use crate::evaluate::results::DeviceInfo;
use crate::kernel::random::philox;
use crate::store::{KeptPoint, device_kind};
use crate::threat::Sweep;
use crate::{Error, Result};

/// How many examples of a series the gallery shows.
const SHOWN: usize = 6;

/// Share of the inferred survivals that are run after all, and their least number.
const AUDITED_SHARE: f64 = 0.05;
const AUDITED_LEAST: usize = 50;

/// A word of the random counter that no row uses: restarts stay far below it.
const AUDIT_STREAM: u32 = u32::MAX - 1;

/// With fewer epsilons a first look costs more than it saves.
const LOOK_FROM: usize = 4;

/// Runs what is left of a series.
///
/// # Errors
/// A device or a store that fails; a user's interrupt.
pub(super) fn run(run: &Run, key: &SeriesKey, crew: &Crew, clean: &[CleanDecision]) -> Result<()> {
    let data = &run.resolved.data;
    let threat = run.resolved.threat(key);
    let spec = run.resolved.attack(key);
    let row = ATTACKS.iter().find(|row| row.entry.name == spec.kind).expect("the suite's reader knows the attacks");
    let setting = Setting { norm: key.norm, classes: data.classes, shape: data.shape };
    let parts = (row.build)(&spec.options, &setting);
    let random = attack::random_key(run.resolved.suite.seed, &spec.kind, key.norm, &spec.options);
    let right: Vec<usize> = (0..data.len()).filter(|&at| clean[at].is_right(data.labels[at])).collect();
    let shown: BTreeSet<usize> = right.iter().copied().take(SHOWN).collect();
    let exhaustive = run.store.is_exhaustive(key)?;
    let descending = threat.sweep == Sweep::Descending && !parts.iter().any(|part| part.runs_every_epsilon()) && !exhaustive;
    let walk = if descending { Walk::Descending } else { Walk::Each };
    let keep = run.store.keeps_examples()?;
    let job = Job { run, key, keep, full: false, parts: &parts, random, clean, shown: &shown, epsilons: &threat.epsilons };
    job.attack_all(crew, &right, walk)?;
    if !descending || run.store.audits(key)?.is_some() {
        return Ok(());
    }
    let (audits, cost) = job.audit(crew)?;
    run.store.commit_audit(key, &audits, &cost)?;
    let found = audit::summary(&audits);
    if audit::needs_exhaustive(found.errors, found.audited) {
        run.observer.note(&format!(
            "{} / {} / {}: {} of {} inferred survivals broke when they were run; every epsilon is run by itself",
            key.defence,
            key.attack,
            key.norm.name(),
            found.errors,
            found.audited
        ));
        run.store.clear_series(key)?;
        job.attack_all(crew, &right, Walk::Each)?;
    }
    Ok(())
}

/// What a first look at an example came to.
struct Look {
    epsilon: usize,
    forwards: u32,
    backwards: u32,
}

/// One series under way.
#[derive(Clone, Copy)]
struct Job<'a> {
    run: &'a Run<'a>,
    key: &'a SeriesKey,
    /// Whether every point that broke is kept.
    keep: bool,
    /// Whether nothing is searched in half precision.
    full: bool,
    parts: &'a [Box<dyn Attack>],
    random: [u32; 2],
    clean: &'a [CleanDecision],
    shown: &'a BTreeSet<usize>,
    epsilons: &'a [f64],
}

impl Job<'_> {
    fn chain(&self, position: usize, walk: Walk, epsilons: &[f64]) -> Chain {
        let data = &self.run.resolved.data;
        let (example, label) = (data.ids[position], data.labels[position]);
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

    /// Attacks what is left of the rightly classified examples.
    fn attack_all(&self, crew: &Crew, right: &[usize], walk: Walk) -> Result<()> {
        let store = self.run.store;
        let mut finished = BTreeSet::new();
        for kind in store.devices()?.iter().map(device_kind) {
            finished.extend(store.finished_examples(self.key, &kind)?);
        }
        let device = crew.first()?;
        self.settle_misclassified(&device, &finished)?;
        let mut left: Vec<usize> = right.iter().copied().filter(|&at| !finished.contains(&self.run.resolved.data.ids[at])).collect();
        self.surest_first(&mut left);
        let done = AtomicUsize::new(right.len() - left.len());
        let sink = ToStore { job: self, done: &done, total: right.len() };
        self.run.observer.series(self.key, right.len() - left.len(), right.len());
        if left.is_empty() {
            return Ok(());
        }
        let (looks, looking) = if walk == Walk::Descending { self.look(crew, &left)? } else { Default::default() };
        let chain = |position: usize| {
            let chain = self.chain(position, walk, self.epsilons);
            match looks.get(&chain.example) {
                Some(look) => chain.begin_at(look.epsilon, look.forwards, look.backwards),
                None => chain,
            }
        };
        let mut cost = self.schedule(self.parts, crew, &left, &chain, &sink)?;
        cost += looking;
        tracing::info!(defence = %self.key.defence, attack = %self.key.attack, norm = self.key.norm.name(), seconds = cost.seconds, "series ended");
        // The rows are there already; this books what the devices did.
        store.commit_chunk(self.key, &device, &[], &cost)
    }

    /// Sorts by the clean decision's margin, the largest first: those rows tend to stand, and so to take longest, and are best begun early.
    fn surest_first(&self, positions: &mut [usize]) {
        let margin = |at: usize| {
            let (logits, label) = (&self.clean[at].logits, self.run.resolved.data.labels[at] as usize);
            let others = logits.iter().enumerate().filter(|&(class, _)| class != label).map(|(_, logit)| *logit);
            logits[label] - others.fold(f32::NEG_INFINITY, f32::max)
        };
        positions.sort_by(|&a, &b| margin(b).total_cmp(&margin(a)).then(a.cmp(&b)));
    }

    /// A cheap attack's first look at where each example breaks, by example. An example that it does not break begins at the largest epsilon.
    fn look(&self, crew: &Crew, positions: &[usize]) -> Result<(BTreeMap<u32, Look>, Cost)> {
        let Some(scout) = self.parts[0].scout().filter(|_| self.epsilons.len() >= LOOK_FROM) else { return Ok(Default::default()) };
        let found = Collected::default();
        let looking = Job { parts: &[scout], ..*self };
        let chain = |position| looking.chain(position, Walk::Bisect, self.epsilons);
        let cost = self.schedule(looking.parts, crew, positions, &chain, &found)?;
        let look = |outcomes: ExampleOutcomes| {
            let sum = |of: fn(&Outcome) -> u32| outcomes.outcomes.iter().map(of).sum();
            let first = outcomes.outcomes.iter().position(|outcome| outcome.verdict == Verdict::Broken);
            let look = Look {
                epsilon: first.unwrap_or(self.epsilons.len() - 1),
                forwards: sum(|outcome| outcome.forwards),
                backwards: sum(|outcome| outcome.backwards),
            };
            (outcomes.example, look)
        };
        Ok((found.take().into_iter().map(look).collect(), cost))
    }

    /// Writes down the examples that need no attack: the clean decision on them is wrong already.
    fn settle_misclassified(&self, device: &DeviceInfo, finished: &BTreeSet<u32>) -> Result<()> {
        let data = &self.run.resolved.data;
        let settled = |at: usize| {
            let verdict = if self.clean[at].failed { Verdict::Failed } else { Verdict::Broken };
            let distance = (verdict == Verdict::Broken).then_some(0.0);
            let outcome = Outcome { verdict, settled: Settled::Clean, distance, forwards: 0, backwards: 0 };
            ExampleOutcomes { example: data.ids[at], outcomes: vec![outcome; self.epsilons.len()] }
        };
        let wrong = (0..data.len()).filter(|&at| !self.clean[at].is_right(data.labels[at]));
        let new: Vec<ExampleOutcomes> = wrong.filter(|&at| !finished.contains(&data.ids[at])).map(settled).collect();
        if new.is_empty() { Ok(()) } else { self.run.store.commit_chunk(self.key, device, &new, &Cost::default()) }
    }

    /// Runs a seeded share of the inferred survivals after all, in single precision.
    fn audit(&self, crew: &Crew) -> Result<(Vec<Audited>, Cost)> {
        let sure = Job { full: true, ..*self };
        let ids = &self.run.resolved.data.ids;
        let position = |example: u32| ids.iter().position(|&id| id == example).expect("outcomes are of the run's examples");
        let mut inferred: Vec<(u32, u32, usize)> = Vec::new();
        for outcomes in self.run.store.outcomes(self.key)? {
            for (epsilon, outcome) in outcomes.outcomes.iter().enumerate() {
                if outcome.settled == Settled::Inferred {
                    let draw = philox([outcomes.example, epsilon as u32, AUDIT_STREAM, 0], self.random)[0];
                    inferred.push((draw, outcomes.example, epsilon));
                }
            }
        }
        inferred.sort_unstable();
        let share = (AUDITED_SHARE * inferred.len() as f64).ceil() as usize;
        inferred.truncate(share.max(AUDITED_LEAST));
        let mut audits = Vec::with_capacity(inferred.len());
        let mut cost = Cost::default();
        // An example may be drawn at several epsilons; a round holds each example once.
        for index in 0..self.epsilons.len() {
            let round: Vec<usize> =
                inferred.iter().filter(|(_, _, epsilon)| *epsilon == index).map(|(_, example, _)| position(*example)).collect();
            if round.is_empty() {
                continue;
            }
            let epsilon = self.epsilons[index];
            let found = Collected::default();
            let chain = |position| self.chain(position, Walk::Each, &[epsilon]);
            cost += sure.schedule(self.parts, crew, &round, &chain, &found)?;
            for outcomes in found.take() {
                let Outcome { verdict, forwards, backwards, .. } = outcomes.outcomes[0];
                audits.push(Audited { example: outcomes.example, epsilon, verdict, forwards, backwards });
            }
        }
        audits.sort_by(|a, b| (a.example, a.epsilon).partial_cmp(&(b.example, b.epsilon)).expect("epsilons are numbers"));
        Ok((audits, cost))
    }

    fn schedule(
        &self,
        parts: &[Box<dyn Attack>],
        crew: &Crew,
        positions: &[usize],
        chain: &(dyn Fn(usize) -> Chain + Sync),
        sink: &dyn Sink,
    ) -> Result<Cost> {
        let series = Series {
            key: self.key,
            parts,
            random: self.random,
            data: &self.run.resolved.data,
            chain,
            shown: &|position| self.shown.contains(&position),
        };
        let ready = |worker: Worker| if self.full { worker.in_full() } else { worker };
        let renew = |at: usize, error: &Error| crew.renew(at, error).map(ready);
        schedule::run(&series, crew.workers().into_iter().map(ready).collect(), positions, sink, &renew)
    }
}

/// Commits chunks to the store.
struct ToStore<'a> {
    job: &'a Job<'a>,
    done: &'a AtomicUsize,
    total: usize,
}

impl Sink for ToStore<'_> {
    fn keeps(&self) -> bool {
        self.job.keep
    }

    fn commit(&self, device: &DeviceInfo, outcomes: &[ExampleOutcomes], specimens: &[Specimen], kept: &[KeptPoint]) -> Result<()> {
        let Job { run, key, keep, .. } = self.job;
        if *keep {
            let ids: Vec<u32> = outcomes.iter().map(|outcomes| outcomes.example).collect();
            run.store.put_kept(key, &ids, kept)?;
        }
        run.store.commit_chunk(key, device, outcomes, &Cost::default())?;
        run.store.put_specimens(specimens)?;
        let done = self.done.fetch_add(outcomes.len(), Ordering::Relaxed) + outcomes.len();
        run.observer.series(key, done, self.total);
        Ok(())
    }

    fn lost(&self, device: &DeviceInfo, error: &Error) {
        tracing::error!(device = %device.name, %error, "device stopped");
        self.job.run.observer.note(&format!("{} stopped: {error}. Its rows go to the other devices.", device.name));
    }
}

/// Keeps outcomes in memory.
#[derive(Default)]
struct Collected(Mutex<Vec<ExampleOutcomes>>);

impl Collected {
    fn take(self) -> Vec<ExampleOutcomes> {
        self.0.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sink for Collected {
    fn commit(&self, _: &DeviceInfo, outcomes: &[ExampleOutcomes], _: &[Specimen], _: &[KeptPoint]) -> Result<()> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(outcomes);
        Ok(())
    }
}
