//! One series of a run: a first look, the attack, the audit of what was inferred.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use super::crew::Crew;
use super::run::Run;
use super::schedule::{Sink, Worker};
use super::search::{Collected, Search, Staff, parts, walk};
use crate::attack;
use crate::engine::chain::Walk;
use crate::engine::clean::CleanDecision;
use crate::evaluate::audit;
use crate::evaluate::cost::Cost;
use crate::evaluate::record::{Audited, ExampleOutcomes, Outcome, SeriesKey, Settled, Specimen, Verdict};
use crate::evaluate::results::DeviceInfo;
use crate::kernel::random::philox;
use crate::store::{KeptPoint, device_kind};
use crate::{Error, Result};

/// How many examples of a series the gallery shows.
const SHOWN: usize = 6;

/// Share of the inferred survivals that are run after all, and their least number.
const AUDITED_SHARE: f64 = 0.05;
const AUDITED_LEAST: usize = 50;

/// A word of the random counter that no row uses: restarts stay far below it.
const AUDIT_STREAM: u32 = u32::MAX - 1;

/// How many of so many inferred survivals are run after all.
pub(super) fn audited(inferred: usize) -> usize {
    let share = (AUDITED_SHARE * inferred as f64).ceil() as usize;
    share.max(AUDITED_LEAST).min(inferred)
}

/// Runs what is left of a series.
///
/// # Errors
/// A device or a store that fails; a user's interrupt.
pub(super) fn run(run: &Run, key: &SeriesKey, crew: &Crew, clean: &[CleanDecision]) -> Result<()> {
    let data = &run.resolved.data;
    let threat = run.resolved.threat(key);
    let spec = run.resolved.attack(key);
    let parts = parts(spec, key.norm, data);
    let random = attack::random_key(run.resolved.suite.seed, &spec.kind, key.norm, &spec.options);
    let right: Vec<usize> = (0..data.len()).filter(|&at| clean[at].is_right(data.labels[at])).collect();
    let shown: BTreeSet<usize> = right.iter().copied().take(SHOWN).collect();
    let walk = if run.store.is_exhaustive(key)? { Walk::Each } else { walk(&parts, threat) };
    let keep = run.store.keeps_examples()?;
    let search = Search { key, parts: &parts, random, data, clean, epsilons: &threat.epsilons, shown: &shown };
    let job = Job { run, keep, search };
    job.attack_all(crew, &right, walk)?;
    if walk == Walk::Each {
        return Ok(());
    }
    // A run that was stopped between an audit and what follows from it has the audit alone.
    let audits = match run.store.audits(key)? {
        Some(audits) => audits,
        None => {
            let (audits, cost) = job.audit(crew)?;
            run.store.commit_audit(key, &audits, &cost)?;
            audits
        }
    };
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

/// One series under way.
#[derive(Clone, Copy)]
struct Job<'a> {
    run: &'a Run<'a>,
    /// Whether every point that broke is kept.
    keep: bool,
    search: Search<'a>,
}

impl Job<'_> {
    /// Attacks what is left of the rightly classified examples.
    fn attack_all(&self, crew: &Crew, right: &[usize], walk: Walk) -> Result<()> {
        let (store, search) = (self.run.store, &self.search);
        let mut finished = BTreeSet::new();
        for kind in store.devices()?.iter().map(device_kind) {
            finished.extend(store.finished_examples(search.key, &kind)?);
        }
        let device = crew.first()?;
        self.settle_misclassified(&device, &finished)?;
        let mut left: Vec<usize> = right.iter().copied().filter(|&at| !finished.contains(&search.data.ids[at])).collect();
        self.surest_first(&mut left);
        let done = AtomicUsize::new(right.len() - left.len());
        let sink = ToStore { job: self, done: &done, total: right.len() };
        self.run.observer.series(search.key, right.len() - left.len(), right.len());
        if left.is_empty() {
            return Ok(());
        }
        let begun = Instant::now();
        let (looks, looking) = staffed(crew, false, |staff| search.look(staff, &left, walk))?;
        store.book(search.key, &looking)?;
        let chain = |position: usize| {
            let chain = search.chain(position, walk, search.epsilons);
            let Some(look) = looks.get(&chain.example) else { return chain };
            let [forwards, backwards] = look.passes();
            chain.begin_at(look.epsilon, forwards, backwards)
        };
        staffed(crew, false, |staff| search.run(staff, &left, &chain, &sink))?;
        let seconds = begun.elapsed().as_secs_f64();
        tracing::info!(defence = %search.key.defence, attack = %search.key.attack, norm = search.key.norm.name(), seconds, "series ended");
        Ok(())
    }

    /// Sorts by the clean decision's margin, the largest first: those rows tend to stand, and so to take longest, and are best begun early.
    fn surest_first(&self, positions: &mut [usize]) {
        let margin = |at: usize| {
            let (logits, label) = (&self.search.clean[at].logits, self.search.data.labels[at] as usize);
            let others = logits.iter().enumerate().filter(|&(class, _)| class != label).map(|(_, logit)| *logit);
            logits[label] - others.fold(f32::NEG_INFINITY, f32::max)
        };
        positions.sort_by(|&a, &b| margin(b).total_cmp(&margin(a)).then(a.cmp(&b)));
    }

    /// Writes down the examples that need no attack: the clean decision on them is wrong already.
    fn settle_misclassified(&self, device: &DeviceInfo, finished: &BTreeSet<u32>) -> Result<()> {
        let Search { key, data, clean, epsilons, .. } = self.search;
        let settled = |at: usize| {
            let verdict = if clean[at].failed { Verdict::Failed } else { Verdict::Broken };
            let distance = (verdict == Verdict::Broken).then_some(0.0);
            let outcome = Outcome { verdict, settled: Settled::Clean, distance, forwards: 0, backwards: 0 };
            ExampleOutcomes { example: data.ids[at], outcomes: vec![outcome; epsilons.len()] }
        };
        let wrong = (0..data.len()).filter(|&at| !clean[at].is_right(data.labels[at]));
        let new: Vec<ExampleOutcomes> = wrong.filter(|&at| !finished.contains(&data.ids[at])).map(settled).collect();
        if new.is_empty() { Ok(()) } else { self.run.store.commit_chunk(key, device, &new, &Cost::default()) }
    }

    /// Runs a seeded share of the inferred survivals after all, in single precision.
    fn audit(&self, crew: &Crew) -> Result<(Vec<Audited>, Cost)> {
        let search = &self.search;
        let position = |example: u32| search.data.ids.iter().position(|&id| id == example).expect("outcomes are of the run's examples");
        let mut inferred: Vec<(u32, u32, usize)> = Vec::new();
        for outcomes in self.run.store.outcomes(search.key)? {
            for (epsilon, outcome) in outcomes.outcomes.iter().enumerate() {
                if outcome.settled == Settled::Inferred {
                    let draw = philox([outcomes.example, epsilon as u32, AUDIT_STREAM, 0], search.random)[0];
                    inferred.push((draw, outcomes.example, epsilon));
                }
            }
        }
        inferred.sort_unstable();
        inferred.truncate(audited(inferred.len()));
        let mut audits = Vec::with_capacity(inferred.len());
        let mut cost = Cost::default();
        // An example may be drawn at several epsilons; a round holds each example once.
        for index in 0..search.epsilons.len() {
            let round: Vec<usize> =
                inferred.iter().filter(|(_, _, epsilon)| *epsilon == index).map(|(_, example, _)| position(*example)).collect();
            if round.is_empty() {
                continue;
            }
            let epsilon = search.epsilons[index];
            let found = Collected::default();
            let chain = |position| search.chain(position, Walk::Each, &[epsilon]);
            staffed(crew, true, |staff| search.run(staff, &round, &chain, &found))?;
            let (found, spent) = found.take();
            cost += spent;
            for outcomes in found {
                let Outcome { verdict, forwards, backwards, .. } = outcomes.outcomes[0];
                audits.push(Audited { example: outcomes.example, epsilon, verdict, forwards, backwards });
            }
        }
        audits.sort_by(|a, b| (a.example, a.epsilon).partial_cmp(&(b.example, b.epsilon)).expect("epsilons are numbers"));
        Ok((audits, cost))
    }
}

/// Has a crew do some work; with `full`, in single precision alone.
fn staffed<T>(crew: &Crew, full: bool, work: impl FnOnce(&Staff) -> T) -> T {
    let ready = |worker: Worker| if full { worker.in_full() } else { worker };
    let workers = || crew.workers().into_iter().map(ready).collect();
    let renew = |at: usize, error: &Error| crew.renew(at, error).map(ready);
    work(&Staff { workers: &workers, renew: &renew })
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

    fn commit(
        &self,
        device: &DeviceInfo,
        outcomes: &[ExampleOutcomes],
        specimens: &[Specimen],
        kept: &[KeptPoint],
        spent: &Cost,
    ) -> Result<()> {
        let Job { run, keep, search: Search { key, .. } } = self.job;
        if *keep {
            let ids: Vec<u32> = outcomes.iter().map(|outcomes| outcomes.example).collect();
            run.store.put_kept(key, &ids, kept)?;
        }
        // Before the rows: of examples that are finished none is made again.
        run.store.put_specimens(specimens)?;
        run.store.commit_chunk(key, device, outcomes, spent)?;
        let done = self.done.fetch_add(outcomes.len(), Ordering::Relaxed) + outcomes.len();
        run.observer.series(key, done, self.total);
        Ok(())
    }

    fn spent(&self, spent: &Cost) -> Result<()> {
        self.job.run.store.book(self.job.search.key, spent)
    }

    fn lost(&self, device: &DeviceInfo, error: &Error) {
        tracing::error!(device = %device.name, %error, "device stopped");
        self.job.run.observer.note(&format!("{} stopped: {error}. Its rows go to the other devices.", device.name));
    }
}
