//! A run: devices, defences, series.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Instant;

use super::checks::{self, extend, keep_layout};
use super::crew::{Crew, Stations};
use super::made::{Made, in_a_word, on};
use super::models::refuse_replaced;
use super::resolved::{Resolved, resolve};
use super::schedule::{self, Worker, caught};
use super::series;
use super::speed;
use super::stations::{Station, refuse_foreign, stations};
use crate::attack::SURROGATE;
use crate::defence::{self, Progress, Thresholds, Workshop, prepare};
use crate::device;
use crate::engine::base::Combine;
use crate::engine::clean::{self, CleanDecision};
use crate::engine::oracle::Oracle;
use crate::error::Kind;
use crate::evaluate::record::SeriesKey;
use crate::evaluate::results::DefenceInfo;
use crate::model::source::Design;
use crate::store::{DefenceRecord, Mode, Store, check_folder, device_kind};
use crate::{Error, Result};

/// Where trained weights are kept unless the command line says otherwise.
pub const WEIGHTS: &str = "runs/weights";

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
    /// `--weights`: where trained weights are kept.
    pub weights: PathBuf,
    /// `--set` and `--seed` as overrides.
    pub overrides: Vec<String>,
    /// `--limit`.
    pub limit: Option<usize>,
    /// What to do with what the folder holds.
    pub mode: Mode,
    /// `--keep-examples`: keep every adversarial example, not the gallery's few alone.
    pub keep_examples: bool,
    /// `--mix-devices`: go on with what other kinds of device have found.
    pub mix_devices: bool,
    /// `--harden`: add the attacks that failed checks ask for.
    pub harden: bool,
    /// Whether the defences are checked; `--no-checks` leaves it out.
    pub checks: bool,
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

/// Runs a suite, or what is left of it.
///
/// # Errors
/// Bad input, before anything runs; a device or a store that fails; a user's interrupt. What was committed stays.
pub fn run(request: &RunRequest, observer: &dyn Observer) -> Result<(Store, Ending)> {
    let started = Instant::now();
    let selection = device::parse(&request.device);
    let out = request.out.clone().unwrap_or_else(|| default_out(&request.suite));
    let place = both(selection, check_folder(&out));
    let resolved = resolve(&request.suite, &request.overrides, request.limit);
    let ((selection, ()), mut resolved) = both(place, resolved)?;
    let choices = selection.resolve()?;
    let stations = stations(request, &resolved, &choices)?;
    let store = Store::open(&out, &resolved.identity(), request.mode)?;
    refuse_replaced(&store, &resolved)?;
    if request.keep_examples {
        store.keep_examples()?;
    }
    let hardened = checks::hardened(&store)?;
    extend(&mut resolved, hardened.as_deref().unwrap_or_default());
    keep_layout(&store, &resolved)?;
    let harden = request.harden && hardened.is_none();
    if let Some(kept) = hardened.as_deref().filter(|kept| request.harden && !kept.is_empty()) {
        let names: Vec<&str> = kept.iter().map(|addition| addition.name.as_str()).collect();
        observer.note(&format!("--harden: the run keeps what it added before: {}", names.join(", ")));
    }
    let done = if request.checks { checks::is_checked(&store)? } else { checks::is_complete(&store)? } && !harden;
    stations.recall(&store)?;
    refuse_foreign(request, &store, &stations, done)?;
    if done {
        return Ok((store, Ending::Done));
    }
    crate::cli::log::to_file(&out)?;
    for station in stations.all() {
        tracing::info!(device = %station.info.name, backend = %station.info.backend, slots = station.info.slots, "device opened");
        if station.streamed {
            let name = &station.info.name;
            observer.note(&format!("{name}: the examples do not fit beside its slots and are sent as these ask for them"));
        }
    }
    let finished = carry_out(request, &mut resolved, &store, &stations, observer, harden);
    let finished = finished.and_then(|()| checks::complete(&store, request.checks));
    let timed = store.add_timing(started.elapsed().as_secs_f64());
    if let Err(error) = &finished {
        tracing::error!(error = %error, "run stopped");
    }
    finished?;
    timed?;
    let worked: BTreeSet<String> = store.devices()?.iter().map(device_kind).collect();
    for station in stations.all().iter().filter(|station| !worked.contains(&device_kind(&station.info))) {
        observer.note(&format!("{} got no example: the other devices had taken them all", station.info.name));
    }
    Ok((store, Ending::Ran))
}

/// Attacks and checks every defence; to harden, again with what the checks ask for.
fn carry_out(
    request: &RunRequest,
    resolved: &mut Resolved,
    store: &Store,
    stations: &Stations,
    observer: &dyn Observer,
    harden: bool,
) -> Result<()> {
    let run = Run { resolved, store, stations, observer, checks: request.checks };
    let prepared = run.prepare(&request.weights)?;
    // Before the first attack, which may step on the last defence.
    for (spec, made) in run.resolved.suite.defences.iter().zip(&prepared) {
        run.refuse_other_weights(spec, made)?;
    }
    let mut met = Vec::new();
    for (at, spec) in run.resolved.suite.defences.iter().enumerate() {
        let clean = run.meet(spec, &run.resolved.designs[at], &prepared[at])?;
        run.attack(at, &prepared, &clean)?;
        met.push(clean);
    }
    if !harden {
        return Ok(());
    }
    let additions = checks::harden(&run)?;
    extend(resolved, &additions);
    keep_layout(store, resolved)?;
    let run = Run { resolved, store, stations, observer, checks: request.checks };
    for (at, clean) in met.iter().enumerate() {
        run.attack(at, &prepared, clean)?;
    }
    Ok(())
}

/// Both values, or both errors at once.
pub(crate) fn both<A, B>(a: Result<A>, b: Result<B>) -> Result<(A, B)> {
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

/// What a decision on one image takes.
struct Work {
    flops: u64,
    memory: u64,
    /// Forward passes.
    draws: u32,
}

/// A run under way.
pub(super) struct Run<'a> {
    pub(super) resolved: &'a Resolved,
    pub(super) store: &'a Store,
    pub(super) stations: &'a Stations,
    pub(super) observer: &'a dyn Observer,
    /// Whether the defences are checked.
    pub(super) checks: bool,
}

impl Run<'_> {
    fn prepare(&self, cache: &Path) -> Result<Vec<Made>> {
        let first = self.stations.first()?;
        let workshop = Workshop { cache, device: &first.handle.device, device_name: &first.info.name, data: self.resolved.train.as_ref() };
        // Every defence is there before the first attack: a checkpoint that does not fit is known at once.
        let mut defences = Vec::new();
        for (spec, designs) in self.resolved.suite.defences.iter().zip(&self.resolved.designs) {
            let mut members = Vec::new();
            for (member, design) in spec.members().iter().zip(designs) {
                for note in &design.notes {
                    self.observer.note(&format!("{}: {note}", member.name));
                }
                members.push(prepare(member, design, &workshop, &mut |progress| {
                    self.observer.training(&member.name, &progress);
                    if progress.ended {
                        let epoch = progress.epoch;
                        tracing::info!(defence = %member.name, epoch = epoch.epoch, loss = epoch.loss, clean = epoch.clean_accuracy, robust = epoch.robust_accuracy, "trained an epoch");
                    }
                    schedule::check_interrupt()
                })?);
            }
            let combine = spec.ensemble.as_ref().map_or(Combine::MeanLogits, |ensemble| ensemble.combine);
            let mut made = Made { members, combine, thresholds: Thresholds::default() };
            if let (true, Some(train)) = (spec.is_calibrated(), &self.resolved.train) {
                let device = &first.handle.device;
                made.thresholds = defence::calibrate(&spec.stack, &made.on(device), train, device)?;
                for threshold in made.thresholds.values() {
                    self.observer.note(&format!("{}: threshold {threshold:.4} set on clean training images", spec.name));
                }
            }
            defences.push(made);
        }
        Ok(defences)
    }

    /// What a defence says without an attack.
    fn meet(&self, spec: &super::DefenceSpec, designs: &[Design], prepared: &Made) -> Result<Vec<CleanDecision>> {
        let (data, seed) = (&*self.resolved.data, self.resolved.suite.seed);
        let clean = self.on_first(|first| clean::decide(&on(spec, prepared, first), data, &*first.data, first.info.slots, seed))?;
        let first = self.stations.first()?;
        let draws = on(spec, prepared, &first).draws();
        let mut work = Work { flops: 0, memory: 0, draws };
        for (design, member) in designs.iter().zip(&prepared.members) {
            work.flops += design.graph.flops()? * u64::from(draws);
            work.memory += 4 * (member.weights.parameters() + design.graph.activations()?) as u64;
        }
        self.take_down(spec, prepared, &clean, work)?;
        let trained: Option<Vec<f64>> = prepared.members.iter().map(|member| member.seconds).collect();
        let trained = trained.map(|seconds| seconds.iter().sum());
        let seconds = || self.on_first(|first| speed::measure(&on(spec, prepared, first), data, &*first.data, first.info.slots));
        speed::keep(self.store, &spec.name, trained, seconds)?;
        Ok(clean)
    }

    /// Runs what is left of the series of the defence at a place, and its checks.
    fn attack(&self, at: usize, everyone: &[Made], clean: &[CleanDecision]) -> Result<()> {
        let defences = &self.resolved.suite.defences;
        let (spec, prepared) = (&defences[at], &everyone[at]);
        for key in self.resolved.series().iter().filter(|key| key.defence == spec.name) {
            let named = self.resolved.attack(key).options.text(SURROGATE);
            let surrogate = named.and_then(|name| defences.iter().zip(everyone).find(|(other, _)| other.name == name));
            let worker = |station: &Station| Worker {
                info: station.info.clone(),
                oracle: self.searched(on(spec, prepared, station)),
                surrogate: surrogate.map(|(other, made)| on(other, made, station)),
                data: station.data.clone(),
                cadence: station.cadence,
            };
            series::run(self, key, &Crew::new(self, &worker), clean)?;
        }
        if let [alone] = &prepared.members[..] {
            self.on_first(|_| self.certify(spec, alone))?;
        }
        if !self.checks {
            return Ok(());
        }
        self.on_first(|first| self.check(spec, first, &on(spec, prepared, first), clean))
    }

    /// Does some work on the first device: again, where it fails and another takes its place.
    fn on_first<T>(&self, work: impl Fn(&Station) -> Result<T>) -> Result<T> {
        loop {
            let (place, station) = self.stations.first_place()?;
            // A panic on the processor is a mistake of ours, and no device's.
            let done = if station.handle.setup.is_some() { caught(|| work(&station)) } else { work(&station) };
            match done {
                Err(error) if error.kind() == Kind::Device => {
                    if self.stations.renew(place, &station, &error, self).is_some() {
                        continue;
                    }
                    if station.handle.setup.is_none() || !self.stations.lose(place) {
                        return Err(error);
                    }
                    tracing::error!(device = %station.info.name, %error, "device stopped");
                    self.observer.note(&format!("{} stopped: {error}. The other devices go on without it.", station.info.name));
                }
                done => return done,
            }
        }
    }

    /// A defence as attacks search on it.
    fn searched(&self, oracle: Oracle) -> Oracle {
        if self.resolved.suite.precision.is_single() { oracle } else { oracle.with_half() }
    }

    /// Refuses a defence whose training came to other weights than those that an earlier part of the run attacked.
    fn refuse_other_weights(&self, spec: &super::DefenceSpec, prepared: &Made) -> Result<()> {
        let Some(record) = self.store.defence(&spec.name)? else { return Ok(()) };
        let before: DefenceInfo = serde_json::from_str(&record.info).map_err(|error| {
            Error::store(format!("the record of defence \"{}\" cannot be read: {error}", spec.name)).help("use --fresh")
        })?;
        if before.weights == prepared.weights_hash() {
            return Ok(());
        }
        let message = format!("defence \"{}\" has other weights than when this run was begun", spec.name);
        Err(Error::input(message)
            .help("name the folder of its former weights with --weights, choose another --out, or begin anew with --fresh"))
    }

    /// Keeps what the defence is and says.
    fn take_down(&self, spec: &super::DefenceSpec, prepared: &Made, clean: &[CleanDecision], work: Work) -> Result<()> {
        let right = clean.iter().zip(&self.resolved.data.labels).filter(|(clean, label)| clean.is_right(**label)).count();
        let info = DefenceInfo {
            name: spec.name.clone(),
            recipe: spec.recipe.clone(),
            seed: spec.train.as_ref().filter(|_| spec.ensemble.is_none()).map(|_| spec.model.seed),
            architecture: in_a_word(spec.members().iter().map(|member| member.model.architecture.clone())),
            training: in_a_word(
                spec.members().iter().map(|member| member.train.as_ref().map_or(String::new(), |train| train.method.clone())),
            ),
            parameters: prepared.members.iter().map(|member| member.weights.parameters()).sum(),
            weights: prepared.weights_hash(),
            adaptive: spec.adaptive,
            clean_accuracy: right as f64 / clean.len() as f64,
            ci95: crate::evaluate::interval::wilson(right, clean.len(), 0.95),
            flops: work.flops,
            memory: work.memory,
        };
        self.store.put_defence(&DefenceRecord {
            name: spec.name.clone(),
            info: serde_json::to_string(&info).expect("an info is plain JSON"),
            predictions: clean.iter().map(|clean| clean.prediction).collect(),
            failed: clean.iter().map(|clean| clean.failed).collect(),
            rejected: clean.iter().map(|clean| clean.rejected).collect(),
            forwards: clean.len() as u64 * u64::from(work.draws),
        })?;
        for (member, made) in spec.members().iter().zip(&prepared.members).filter(|(_, made)| !made.history.is_empty()) {
            self.store.put_training(&member.name, &serde_json::to_string(&made.history).expect("a history is plain JSON"))?;
        }
        let trained = match prepared.members.iter().any(|member| member.trained) {
            true => "trained",
            false if spec.members().iter().any(|member| member.train.is_some()) => "weights found",
            false => "read",
        };
        self.observer.note(&format!("{}: {trained}, clean accuracy {:.1} %", spec.name, 100.0 * info.clean_accuracy));
        Ok(())
    }
}
