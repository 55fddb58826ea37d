//! A run: devices, defences, series, audits.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use burn::tensor::Tensor;

use super::resolved::{Resolved, resolve};
use super::schedule::{self, Series, Sink, Worker};
use crate::attack::{self, ATTACKS, Attack, Goal};
use crate::defence::{Prepared, Progress, Workshop, prepare};
use crate::device::{self, Handle};
use crate::engine::chain::{Chain, Walk};
use crate::engine::clean::{self, CleanDecision};
use crate::engine::drive;
use crate::engine::oracle::Oracle;
use crate::evaluate::audit;
use crate::evaluate::cost::Cost;
use crate::evaluate::record::{Audited, ExampleOutcomes, Outcome, SeriesKey, Settled, Specimen, Verdict};
use crate::evaluate::results::{DefenceInfo, DeviceInfo};
use crate::kernel::random::philox;
use crate::store::{DefenceRecord, Mode, Store, device_kind};
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

/// Rows at once where nobody says otherwise. More do not make the CPU faster, and fewer are full for longer when the examples run out.
const CPU_SLOTS: usize = 64;
const GPU_SLOTS: usize = 256;

/// Steps of a GPU between two looks at the flags.
const GPU_CADENCE: usize = 4;

/// Floats that a slot takes a feature: the engine's own tensors, and the activations of networks like those of the zoo with their gradients.
const FLOATS_A_FEATURE: u64 = 512;

/// What the command line asks for.
#[derive(Clone, Debug)]
pub struct RunRequest {
    /// The suite's file.
    pub suite: PathBuf,
    /// The run's folder; by default `runs/<suite's file name>`.
    pub out: Option<PathBuf>,
    /// `--device`.
    pub device: String,
    /// `--memory`, bytes.
    pub memory: Option<u64>,
    /// `--slots`.
    pub slots: Option<usize>,
    /// `--weights`: where trained weights are kept; by default `weights` beside the run's folder.
    pub weights: Option<PathBuf>,
    /// `--set`, `--seed` and `--limit` as overrides.
    pub overrides: Vec<String>,
    /// What to do with what the folder holds.
    pub mode: Mode,
    /// `--mix-devices`: go on with what other kinds of device have found.
    pub mix_devices: bool,
}

/// Is told how a run goes.
pub trait Observer: Sync {
    /// Something worth a line.
    fn note(&self, line: &str);
    /// How far a defence's training is.
    fn training(&self, defence: &str, progress: &Progress);
    /// How far a series is, in examples.
    fn series(&self, key: &SeriesKey, done: usize, total: usize);
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It was run, or run to its end.
    Ran,
    /// Everything was there already.
    Done,
}

/// An open device with the examples on it.
struct Station {
    handle: Handle,
    info: DeviceInfo,
    data: Tensor<2>,
    cadence: usize,
}

/// Runs a suite, or what is left of it.
///
/// # Errors
/// Bad input, before anything runs; a device or a store that fails; a user's interrupt. What was committed stays.
pub fn run(request: &RunRequest, observer: &dyn Observer) -> Result<(Store, Ending)> {
    let started = Instant::now();
    let selection = device::parse(&request.device);
    let resolved = resolve(&request.suite, &request.overrides);
    let (selection, resolved) = both(selection, resolved)?;
    let choices = selection.resolve()?;
    let out = request.out.clone().unwrap_or_else(|| default_out(&request.suite));
    let store = Store::open(&out, &resolved.identity(), request.mode)?;
    let layout = serde_json::to_string(&resolved.layout()).expect("a layout is plain JSON");
    if store.fact("layout")?.as_deref() != Some(&layout) {
        store.put_fact("layout", &layout)?;
    }
    let done = store.fact("complete")?.is_some();
    let stations = stations(request, &resolved, &choices)?;
    foreign_devices(request, &store, &stations, done)?;
    if done {
        return Ok((store, Ending::Done));
    }
    crate::cli::log::to_file(&out)?;
    for station in &stations {
        tracing::info!(device = %station.info.name, backend = %station.info.backend, slots = station.info.slots, "device opened");
    }
    let cache = request.weights.clone().unwrap_or_else(|| out.parent().unwrap_or(Path::new(".")).join("weights"));
    let run = Run { resolved: &resolved, store: &store, stations: &stations, observer };
    let finished = run.defences(&cache).and_then(|()| store.put_fact("complete", "true"));
    let timed = store.add_timing(started.elapsed().as_secs_f64());
    if let Err(error) = &finished {
        tracing::error!(error = %error, "run stopped");
    }
    finished?;
    timed?;
    Ok((store, Ending::Ran))
}

/// Both values, or both errors at once.
fn both<A, B>(a: Result<A>, b: Result<B>) -> Result<(A, B)> {
    match (a, b) {
        (Ok(a), Ok(b)) => Ok((a, b)),
        (Err(a), Err(b)) => {
            let all = a.all().into_iter().chain(b.all()).cloned().collect();
            Err(Error::many("the request cannot be carried out", all).expect("there are two errors at least"))
        }
        (Err(error), Ok(_)) | (Ok(_), Err(error)) => Err(error),
    }
}

fn default_out(suite: &Path) -> PathBuf {
    Path::new("runs").join(suite.file_stem().unwrap_or("suite".as_ref()))
}

/// Opens the devices, settles their slots and sends the examples there.
fn stations(request: &RunRequest, resolved: &Resolved, choices: &[device::Choice]) -> Result<Vec<Station>> {
    let mut stations = Vec::with_capacity(choices.len());
    for &choice in choices {
        let handle = device::open(choice)?;
        let on_gpu = handle.setup.is_some();
        let wanted = request.slots.unwrap_or(if on_gpu { GPU_SLOTS } else { CPU_SLOTS });
        let features = resolved.data.features() as u64;
        let budget = device::budget(&handle, request.memory);
        // The examples live on the device beside the slots.
        let left = budget.saturating_sub(4 * features * resolved.data.len() as u64);
        let slots = device::settle_slots(&handle, left, 4 * features * FLOATS_A_FEATURE, wanted)?;
        let data = drive::send(&resolved.data, &handle.device);
        let info = DeviceInfo { slots, ..handle.info.clone() };
        let cadence = if on_gpu && handle.info.backend != "cpu" { GPU_CADENCE } else { 1 };
        stations.push(Station { handle, info, data, cadence });
    }
    Ok(stations)
}

/// Results are reused only where the kind of device is the same, unless the user says otherwise.
fn foreign_devices(request: &RunRequest, store: &Store, stations: &[Station], done: bool) -> Result<()> {
    if request.mix_devices {
        return Ok(());
    }
    let here: BTreeSet<String> = stations.iter().map(|station| device_kind(&station.info)).collect();
    let foreign: Vec<String> = store.devices()?.iter().map(device_kind).filter(|kind| !here.contains(kind)).collect();
    if foreign.is_empty() {
        return Ok(());
    }
    let state = if done { "was done" } else { "was begun" };
    let message = format!("the run in {} {state} on another kind of device: {}", store.folder().display(), foreign.join("; "));
    let help = format!(
        "the devices asked for are {}; choose the same ones, another --out, --fresh to begin anew, or --mix-devices to go on with both",
        here.into_iter().collect::<Vec<_>>().join("; ")
    );
    Err(Error::input(message).help(help))
}

struct Run<'a> {
    resolved: &'a Resolved,
    store: &'a Store,
    stations: &'a [Station],
    observer: &'a dyn Observer,
}

impl Run<'_> {
    fn defences(&self, cache: &Path) -> Result<()> {
        let first = &self.stations[0];
        let workshop = Workshop {
            cache,
            base: &self.resolved.suite.base,
            device: &first.handle.device,
            device_name: &first.info.name,
            data: self.resolved.train.as_ref(),
            shape: self.resolved.data.shape,
            classes: self.resolved.data.classes,
        };
        // Every defence is there before the first attack: a checkpoint that does not fit is known at once.
        let mut defences = Vec::new();
        for spec in &self.resolved.suite.defences {
            let prepared = prepare(spec, &workshop, &mut |progress| {
                self.observer.training(&spec.name, &progress);
                if progress.ended {
                    let epoch = progress.epoch;
                    tracing::info!(defence = %spec.name, epoch = epoch.epoch, loss = epoch.loss, clean = epoch.clean_accuracy, robust = epoch.robust_accuracy, "trained an epoch");
                }
                schedule::check_interrupt()
            })?;
            defences.push(prepared);
        }
        for (spec, prepared) in self.resolved.suite.defences.iter().zip(&defences) {
            self.defence(spec, prepared)?;
        }
        Ok(())
    }

    fn defence(&self, spec: &super::DefenceSpec, prepared: &Prepared) -> Result<()> {
        let oracle = |station: &Station| Oracle::new(prepared.on(&station.handle.device), station.handle.device.clone());
        let first = &self.stations[0];
        let clean = clean::decide(&oracle(first), &first.data, first.info.slots)?;
        self.take_down(spec, prepared, &clean)?;
        for key in self.resolved.series().iter().filter(|key| key.defence == spec.name) {
            let workers: Vec<Worker> = self
                .stations
                .iter()
                .map(|station| Worker { info: &station.info, oracle: oracle(station), data: &station.data, cadence: station.cadence })
                .collect();
            self.series(key, &workers, &clean)?;
        }
        Ok(())
    }

    /// Keeps what the defence is and says, or finds that it is what it was.
    fn take_down(&self, spec: &super::DefenceSpec, prepared: &Prepared, clean: &[CleanDecision]) -> Result<()> {
        let right =
            clean.iter().zip(&self.resolved.data.labels).filter(|(clean, label)| !clean.failed && clean.prediction == **label).count();
        let info = DefenceInfo {
            name: spec.name.clone(),
            architecture: spec.model.architecture.clone(),
            training: spec.train.as_ref().map_or(String::new(), |train| train.method.clone()),
            parameters: prepared.weights.parameters(),
            weights: prepared.weights.hash(),
            clean_accuracy: right as f64 / clean.len() as f64,
            ci95: crate::evaluate::interval::wilson(right, clean.len(), 0.95),
        };
        if let Some(record) = self.store.defence(&spec.name)? {
            let before: DefenceInfo = serde_json::from_str(&record.info).map_err(|error| {
                Error::store(format!("the record of defence \"{}\" cannot be read: {error}", spec.name)).help("use --fresh")
            })?;
            if before.weights != info.weights {
                let message = format!("defence \"{}\" has other weights than when this run was begun", spec.name);
                return Err(Error::input(message).help("put the former checkpoint back, choose another --out, or begin anew with --fresh"));
            }
        }
        self.store.put_defence(&DefenceRecord {
            name: spec.name.clone(),
            info: serde_json::to_string(&info).expect("an info is plain JSON"),
            predictions: clean.iter().map(|clean| clean.prediction).collect(),
            failed: clean.iter().map(|clean| clean.failed).collect(),
            forwards: clean.len() as u64,
        })?;
        if !prepared.history.is_empty() {
            self.store.put_training(&spec.name, &serde_json::to_string(&prepared.history).expect("a history is plain JSON"))?;
        }
        let trained = if prepared.trained { "trained" } else { "weights found" };
        self.observer.note(&format!("{}: {trained}, clean accuracy {:.1} %", spec.name, 100.0 * info.clean_accuracy));
        Ok(())
    }

    fn series(&self, key: &SeriesKey, workers: &[Worker], clean: &[CleanDecision]) -> Result<()> {
        let data = &self.resolved.data;
        let threat = self.resolved.threat(key);
        let spec = self.resolved.attack(key);
        let row = ATTACKS.iter().find(|row| row.entry.name == spec.kind).expect("the suite's reader knows the attacks");
        let attack = (row.build)(&spec.options);
        let random = attack::random_key(self.resolved.suite.seed, &spec.kind, key.norm, &spec.options);
        let right: Vec<usize> = (0..data.len()).filter(|&at| !clean[at].failed && clean[at].prediction == data.labels[at]).collect();
        let shown: BTreeSet<usize> = right.iter().copied().take(SHOWN).collect();
        let exhaustive = self.store.is_exhaustive(key)?;
        let descending = threat.sweep == Sweep::Descending && !attack.runs_every_epsilon() && !exhaustive;
        let walk = if descending { Walk::Descending } else { Walk::Each };
        let job = Job { run: self, key, attack: &*attack, random, clean, shown: &shown, epsilons: &threat.epsilons };
        job.attack_all(workers, &right, walk)?;
        if !descending || self.store.audits(key)?.is_some() {
            return Ok(());
        }
        let (audits, cost) = job.audit(workers)?;
        self.store.commit_audit(key, &audits, &cost)?;
        let found = audit::summary(&audits);
        if audit::needs_exhaustive(found.errors, found.audited) {
            self.observer.note(&format!(
                "{} / {} / {}: {} of {} inferred survivals broke when they were run; every epsilon is run by itself",
                key.defence,
                key.attack,
                key.norm.name(),
                found.errors,
                found.audited
            ));
            self.store.clear_series(key)?;
            job.attack_all(workers, &right, Walk::Each)?;
        }
        Ok(())
    }
}

/// What a first look at an example came to.
struct Look {
    epsilon: usize,
    forwards: u32,
    backwards: u32,
}

/// One series under way.
struct Job<'a> {
    run: &'a Run<'a>,
    key: &'a SeriesKey,
    attack: &'a dyn Attack,
    random: [u32; 2],
    clean: &'a [CleanDecision],
    shown: &'a BTreeSet<usize>,
    epsilons: &'a [f64],
}

impl Job<'_> {
    fn chain(&self, position: usize, walk: Walk, epsilons: &[f64]) -> Chain {
        let data = &self.run.resolved.data;
        let (example, label) = (data.ids[position], data.labels[position]);
        let mut chain = Chain::new(position, example, label, walk, self.attack.restarts(), epsilons);
        if let Goal::Targeted(target) = self.attack.goal() {
            chain.target = target.pick(label, &self.clean[position].logits, self.random, example);
        }
        chain
    }

    /// Attacks what is left of the rightly classified examples.
    fn attack_all(&self, workers: &[Worker], right: &[usize], walk: Walk) -> Result<()> {
        let store = self.run.store;
        let mut finished = BTreeSet::new();
        for kind in store.devices()?.iter().map(device_kind) {
            finished.extend(store.finished_examples(self.key, &kind)?);
        }
        self.settle_misclassified(workers[0].info, &finished)?;
        let left: Vec<usize> = right.iter().copied().filter(|&at| !finished.contains(&self.run.resolved.data.ids[at])).collect();
        let done = AtomicUsize::new(right.len() - left.len());
        let sink = ToStore { job: self, done: &done, total: right.len() };
        self.run.observer.series(self.key, right.len() - left.len(), right.len());
        if left.is_empty() {
            return Ok(());
        }
        let (looks, looking) = if walk == Walk::Descending { self.look(workers, &left)? } else { Default::default() };
        let chain = |position: usize| {
            let chain = self.chain(position, walk, self.epsilons);
            match looks.get(&chain.example) {
                Some(look) => chain.begin_at(look.epsilon, look.forwards, look.backwards),
                None => chain,
            }
        };
        let mut cost = self.schedule(self.attack, workers, &left, &chain, &sink)?;
        cost += looking;
        tracing::info!(defence = %self.key.defence, attack = %self.key.attack, norm = self.key.norm.name(), seconds = cost.seconds, "series ended");
        // The rows are there already; this books what the devices did.
        store.commit_chunk(self.key, workers[0].info, &[], &cost)
    }

    /// A cheap attack's first look at where each example breaks, by example. An example that it does not break begins at the largest epsilon.
    fn look(&self, workers: &[Worker], positions: &[usize]) -> Result<(BTreeMap<u32, Look>, Cost)> {
        let Some(scout) = self.attack.scout().filter(|_| self.epsilons.len() >= LOOK_FROM) else { return Ok(Default::default()) };
        let found = Collected::default();
        let chain = |position| self.chain(position, Walk::Bisect, self.epsilons);
        let cost = self.schedule(&*scout, workers, positions, &chain, &found)?;
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
        let wrong = (0..data.len()).filter(|&at| self.clean[at].failed || self.clean[at].prediction != data.labels[at]);
        let new: Vec<ExampleOutcomes> = wrong.filter(|&at| !finished.contains(&data.ids[at])).map(settled).collect();
        if new.is_empty() { Ok(()) } else { self.run.store.commit_chunk(self.key, device, &new, &Cost::default()) }
    }

    /// Runs a seeded share of the inferred survivals after all.
    fn audit(&self, workers: &[Worker]) -> Result<(Vec<Audited>, Cost)> {
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
            cost += self.schedule(self.attack, workers, &round, &chain, &found)?;
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
        attack: &dyn Attack,
        workers: &[Worker],
        positions: &[usize],
        chain: &(dyn Fn(usize) -> Chain + Sync),
        sink: &dyn Sink,
    ) -> Result<Cost> {
        let series = Series {
            key: self.key,
            attack,
            random: self.random,
            data: &self.run.resolved.data,
            chain,
            shown: &|position| self.shown.contains(&position),
        };
        schedule::run(&series, workers, positions, sink)
    }
}

/// Commits chunks to the store.
struct ToStore<'a> {
    job: &'a Job<'a>,
    done: &'a AtomicUsize,
    total: usize,
}

impl Sink for ToStore<'_> {
    fn commit(&self, device: &DeviceInfo, outcomes: &[ExampleOutcomes], specimens: &[Specimen]) -> Result<()> {
        let Job { run, key, .. } = self.job;
        run.store.commit_chunk(key, device, outcomes, &Cost::default())?;
        run.store.put_specimens(specimens)?;
        let done = self.done.fetch_add(outcomes.len(), Ordering::Relaxed) + outcomes.len();
        run.observer.series(key, done, self.total);
        Ok(())
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
    fn commit(&self, _device: &DeviceInfo, outcomes: &[ExampleOutcomes], _specimens: &[Specimen]) -> Result<()> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(outcomes);
        Ok(())
    }
}
