//! One series over the devices: chunks of examples are handed out as workers become free, and each is committed as it ends.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use burn::tensor::Tensor;

use crate::attack::Attack;
use crate::data::Dataset;
use crate::engine::chain::Chain;
use crate::engine::drive::{Drive, Effort, Feed};
use crate::engine::judge::{Judgement, under};
use crate::engine::oracle::Oracle;
use crate::error::Kind;
use crate::evaluate::cost::Cost;
use crate::evaluate::record::{ExampleOutcomes, SeriesKey, Specimen};
use crate::evaluate::results::DeviceInfo;
use crate::store::{Broken, KeptPoint};
use crate::{Error, Result};

/// Examples that are handed out, and committed, together, at most; with several devices, few enough for each to get some.
const CHUNK: usize = 32;
const CHUNKS_A_WORKER: usize = 4;

/// A device with a defence on it.
pub struct Worker<'a> {
    /// What results say of it, slots included.
    pub info: &'a DeviceInfo,
    /// The defence.
    pub oracle: Oracle,
    /// The defence that the attack steps on, where that is another one.
    pub surrogate: Option<Oracle>,
    /// The examples, on the device.
    pub data: &'a Tensor<2>,
    /// The most steps between two looks at the flags.
    pub cadence: usize,
}

impl Worker<'_> {
    /// The same worker, all of it in single precision.
    pub fn in_full(&self) -> Self {
        Self { oracle: self.oracle.clone().in_full(), surrogate: self.surrogate.clone(), ..*self }
    }
}

/// A series as the workers see it.
pub struct Series<'a> {
    /// Its key.
    pub key: &'a SeriesKey,
    /// The attack's parts.
    pub parts: &'a [Box<dyn Attack>],
    /// Key of its random stream.
    pub random: [u32; 2],
    /// The examples, on the host.
    pub data: &'a Dataset,
    /// The chain of the example at a position.
    pub chain: &'a (dyn Fn(usize) -> Chain + Sync),
    /// Whether the gallery wants the points of the example at a position.
    pub shown: &'a (dyn Fn(usize) -> bool + Sync),
}

/// Where finished chunks go.
pub trait Sink: Sync {
    /// Takes a chunk that a device has finished.
    ///
    /// # Errors
    /// It cannot be written down.
    fn commit(&self, device: &DeviceInfo, outcomes: &[ExampleOutcomes], specimens: &[Specimen], kept: &[KeptPoint]) -> Result<()>;

    /// Whether every point that broke is to be kept.
    fn keeps(&self) -> bool {
        false
    }

    /// Hears that a device stopped; its rows go to the others.
    fn lost(&self, _device: &DeviceInfo, _error: &Error) {}
}

/// Set when the user asks to stop; chunks under way are given up, what is committed stays.
pub static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// Whether the user asks to stop.
///
/// # Errors
/// Then.
pub fn check_interrupt() -> Result<()> {
    if INTERRUPTED.load(Ordering::Relaxed) {
        return Err(Error::new(Kind::Interrupted, "interrupted")
            .help("what was done is kept: run the same command again to go on, or see it with `gauntlet report`"));
    }
    Ok(())
}

/// Runs a series over the examples at `positions`. What a device that stopped had not committed goes to the others.
///
/// # Errors
/// A store that fails; a user's interrupt; a device that stopped, where no other is left. What was committed stays committed.
pub fn run(series: &Series, workers: &[Worker], positions: &[usize], sink: &dyn Sink) -> Result<Cost> {
    let started = Instant::now();
    let mut workers: Vec<&Worker> = workers.iter().collect();
    let mut left = positions.to_vec();
    let mut cost = Cost::default();
    while !left.is_empty() {
        let share = left.len().div_ceil(CHUNKS_A_WORKER * workers.len());
        let chunk = if workers.len() > 1 { share.clamp(1, CHUNK) } else { CHUNK };
        let queue = Mutex::new(left.chunks(chunk).map(<[usize]>::to_vec).collect());
        let committed = Mutex::new(BTreeSet::new());
        let efforts = std::thread::scope(|scope| {
            let (queue, committed) = (&queue, &committed);
            let threads: Vec<_> = workers.iter().map(|&worker| scope.spawn(move || work(series, worker, queue, committed, sink))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap_or_else(|panic| Err(panicked(&*panic)))).collect::<Vec<_>>()
        });
        let mut sound = Vec::new();
        for (effort, worker) in efforts.into_iter().zip(workers) {
            match effort {
                Ok(effort) => {
                    cost.device_forwards += effort.forwards;
                    cost.device_backwards += effort.backwards;
                    cost.active += effort.occupied;
                    cost.capacity += effort.steps * worker.info.slots as u64;
                    sound.push(worker);
                }
                Err(error) if error.kind() == Kind::Device => sink.lost(worker.info, &error),
                Err(error) => return Err(error),
            }
        }
        workers = sound;
        let committed = committed.into_inner().unwrap_or_else(PoisonError::into_inner);
        left.retain(|position| !committed.contains(position));
        if workers.is_empty() && !left.is_empty() {
            return Err(Error::device("no device is left to run on").help(AGAIN));
        }
    }
    cost.seconds = started.elapsed().as_secs_f64();
    Ok(cost)
}

const AGAIN: &str = "what was done is kept: run the same command again, with --device cpu or a smaller --memory if it happens again";

type Queue = Mutex<VecDeque<Vec<usize>>>;

fn work(series: &Series, worker: &Worker, queue: &Queue, committed: &Mutex<BTreeSet<usize>>, sink: &dyn Sink) -> Result<Effort> {
    let mut feed = Chunks {
        series,
        worker,
        queue,
        committed,
        sink,
        chunks: BTreeMap::new(),
        chunk_of: BTreeMap::new(),
        next: VecDeque::new(),
        taken: 0,
    };
    let drive = Drive {
        oracle: &worker.oracle,
        surrogate: worker.surrogate.as_ref(),
        data: worker.data,
        parts: series.parts,
        norm: series.key.norm,
        key: series.random,
        slots: worker.info.slots,
        cadence: worker.cadence,
    };
    drive.run(&mut feed)
}

fn panicked(panic: &(dyn std::any::Any + Send)) -> Error {
    let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    Error::device(format!("a device's worker stopped: {}", text.unwrap_or("it gave no reason"))).help(AGAIN)
}

struct Chunk {
    positions: Vec<usize>,
    left: usize,
    outcomes: Vec<ExampleOutcomes>,
    specimens: BTreeMap<usize, Specimen>,
    kept: Vec<KeptPoint>,
}

/// Hands one worker its examples and commits its chunks.
struct Chunks<'a> {
    series: &'a Series<'a>,
    worker: &'a Worker<'a>,
    queue: &'a Queue,
    committed: &'a Mutex<BTreeSet<usize>>,
    sink: &'a dyn Sink,
    chunks: BTreeMap<usize, Chunk>,
    /// By position of an example.
    chunk_of: BTreeMap<usize, usize>,
    next: VecDeque<usize>,
    taken: usize,
}

impl Feed for Chunks<'_> {
    fn take(&mut self) -> Option<Chain> {
        if self.next.is_empty() {
            let positions = self.queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front()?;
            self.chunks.insert(
                self.taken,
                Chunk {
                    positions: positions.clone(),
                    left: positions.len(),
                    outcomes: Vec::new(),
                    specimens: BTreeMap::new(),
                    kept: Vec::new(),
                },
            );
            self.chunk_of.extend(positions.iter().map(|&position| (position, self.taken)));
            self.next.extend(positions);
            self.taken += 1;
        }
        self.next.pop_front().map(self.series.chain)
    }

    fn wants_point(&self, chain: &Chain) -> bool {
        self.sink.keeps() || (self.series.shown)(chain.position)
    }

    fn point(&mut self, chain: &Chain, judgement: Judgement) {
        let Judgement { claim, prediction, distances, point: Some(adversarial), .. } = judgement else { return };
        let chunk = self.chunks.get_mut(&self.chunk_of[&chain.position]).expect("an example under way belongs to a chunk under way");
        let epsilon = chain.epsilon(claim.epsilon);
        let distance = under(self.series.key.norm, &distances);
        if self.sink.keeps() && distance.is_finite() {
            let broken = Broken { epsilon, example: chain.example, prediction, distance };
            chunk.kept.push(KeptPoint { broken, adversarial: adversarial.clone() });
        }
        if !(self.series.shown)(chain.position) {
            return;
        }
        // The smallest epsilon that broke is shown, whichever the judge saw first.
        if chunk.specimens.get(&chain.position).is_some_and(|shown| shown.epsilon <= epsilon) {
            return;
        }
        let specimen = Specimen {
            series: self.series.key.clone(),
            epsilon,
            example: chain.example,
            label: chain.label,
            prediction,
            distance,
            shape: self.series.data.shape,
            original: self.series.data.image(chain.position).to_vec(),
            adversarial,
        };
        chunk.specimens.insert(chain.position, specimen);
    }

    fn finish(&mut self, chain: Chain) -> Result<()> {
        check_interrupt()?;
        let number = self.chunk_of.remove(&chain.position).expect("an example under way belongs to a chunk");
        let chunk = self.chunks.get_mut(&number).expect("an example under way belongs to a chunk under way");
        chunk.outcomes.push(chain.outcomes());
        chunk.left -= 1;
        if chunk.left > 0 {
            return Ok(());
        }
        let Chunk { positions, mut outcomes, specimens, kept, .. } = self.chunks.remove(&number).expect("it was there a line ago");
        outcomes.sort_by_key(|outcomes| outcomes.example);
        let specimens: Vec<Specimen> = specimens.into_values().collect();
        self.sink.commit(self.worker.info, &outcomes, &specimens, &kept)?;
        self.committed.lock().unwrap_or_else(PoisonError::into_inner).extend(positions);
        Ok(())
    }
}
