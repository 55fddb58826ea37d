//! A run: devices, defences, series.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Instant;

use super::resolved::{Resolved, resolve};
use super::schedule::{self, Worker};
use super::series;
use super::stations::{Station, refuse_foreign, stations};
use crate::defence::{Prepared, Progress, Workshop, prepare};
use crate::device;
use crate::engine::clean::{self, CleanDecision};
use crate::engine::oracle::Oracle;
use crate::evaluate::record::SeriesKey;
use crate::evaluate::results::DefenceInfo;
use crate::store::{DefenceRecord, Mode, Store, device_kind};
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

/// Runs a suite, or what is left of it.
///
/// # Errors
/// Bad input, before anything runs; a device or a store that fails; a user's interrupt. What was committed stays.
pub fn run(request: &RunRequest, observer: &dyn Observer) -> Result<(Store, Ending)> {
    let started = Instant::now();
    let selection = device::parse(&request.device);
    let resolved = resolve(&request.suite, &request.overrides, request.limit);
    let (selection, resolved) = both(selection, resolved)?;
    let choices = selection.resolve()?;
    let out = request.out.clone().unwrap_or_else(|| default_out(&request.suite));
    let stations = stations(request, &resolved, &choices)?;
    let store = Store::open(&out, &resolved.identity(), request.mode)?;
    let layout = serde_json::to_string(&resolved.layout()).expect("a layout is plain JSON");
    if store.fact("layout")?.as_deref() != Some(&layout) {
        store.put_fact("layout", &layout)?;
    }
    let done = store.fact("complete")?.is_some();
    refuse_foreign(request, &store, &stations, done)?;
    if done {
        return Ok((store, Ending::Done));
    }
    crate::cli::log::to_file(&out)?;
    for station in &stations {
        tracing::info!(device = %station.info.name, backend = %station.info.backend, slots = station.info.slots, "device opened");
    }
    let run = Run { resolved: &resolved, store: &store, stations: &stations, observer };
    let finished = run.defences(&request.weights).and_then(|()| store.put_fact("complete", "true"));
    let timed = store.add_timing(started.elapsed().as_secs_f64());
    if let Err(error) = &finished {
        tracing::error!(error = %error, "run stopped");
    }
    finished?;
    timed?;
    let worked: BTreeSet<String> = store.devices()?.iter().map(device_kind).collect();
    for station in stations.iter().filter(|station| !worked.contains(&device_kind(&station.info))) {
        observer.note(&format!("{} got no example: the other devices had taken them all", station.info.name));
    }
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

/// A run under way.
pub(super) struct Run<'a> {
    pub(super) resolved: &'a Resolved,
    pub(super) store: &'a Store,
    pub(super) stations: &'a [Station],
    pub(super) observer: &'a dyn Observer,
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
                .flat_map(|station| std::iter::repeat_n(station, station.workers))
                .map(|station| Worker { info: &station.info, oracle: oracle(station), data: &station.data, cadence: station.cadence })
                .collect();
            series::run(self, key, &workers, &clean)?;
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
}
