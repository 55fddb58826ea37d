//! One series over the devices: chunks of examples are handed out as workers become free ([`super::shares`] says how many), and each is
//! committed as it ends.

use std::collections::{BTreeMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::board::{Board, Handed, Moved, Taken};
use super::shares::Ended;
use crate::attack::Attack;
use crate::data::Dataset;
use crate::engine::chain::Chain;
use crate::engine::drive::{Drive, Effort, Feed};
use crate::engine::examples::Examples;
use crate::engine::judge::{Judgement, under};
use crate::engine::oracle::Oracle;
use crate::error::Kind;
use crate::evaluate::cost::Cost;
use crate::evaluate::record::{ExampleOutcomes, SeriesKey, Specimen};
use crate::evaluate::results::DeviceInfo;
use crate::store::{Broken, KeptPoint};
use crate::{Error, Result};

/// A device with a defence on it.
#[derive(Clone)]
pub struct Worker {
    /// What results say of it, slots included.
    pub info: DeviceInfo,
    /// The defence.
    pub oracle: Oracle,
    /// The defence that the attack steps on, where that is another one.
    pub surrogate: Option<Oracle>,
    /// The examples, as the device reaches them.
    pub data: Arc<dyn Examples>,
    /// The most steps between two looks at the flags.
    pub cadence: usize,
}

impl Worker {
    /// The same worker, all of it in single precision.
    #[must_use]
    pub fn in_full(self) -> Self {
        Self { oracle: self.oracle.in_full(), ..self }
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
    /// Takes a chunk that a device has finished, and what was spent since the last time.
    ///
    /// # Errors
    /// It cannot be written down.
    fn commit(
        &self,
        device: &DeviceInfo,
        outcomes: &[ExampleOutcomes],
        specimens: &[Specimen],
        kept: &[KeptPoint],
        spent: &Cost,
    ) -> Result<()>;

    /// Takes what was spent since the last time, without a chunk.
    ///
    /// # Errors
    /// It cannot be written down.
    fn spent(&self, _spent: &Cost) -> Result<()> {
        Ok(())
    }

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

/// Runs a series over the examples at `positions`, those that may take long first. What a device that stopped had not committed goes to the
/// others, or to what `renew` puts in the place of a worker, by its number, that failed with this error.
///
/// # Errors
/// A store that fails; a user's interrupt; a device that stopped, where no other is left. What was committed stays committed.
pub fn run(series: &Series, workers: Vec<Worker>, positions: &[usize], sink: &dyn Sink, renew: &Renew) -> Result<()> {
    let slots: Vec<usize> = workers.iter().map(|worker| worker.info.slots).collect();
    let alike = |worker: &Worker| workers.iter().position(|other| other.info == worker.info);
    let board = Board::new(positions, &slots, &workers.iter().filter_map(alike).collect::<Vec<_>>());
    let ends: Vec<Result<()>> = std::thread::scope(|scope| {
        let board = &board;
        let serve = |(at, worker)| scope.spawn(move || Shift { series, board, sink, renew, at }.serve(worker));
        let threads: Vec<_> = workers.into_iter().enumerate().map(serve).collect();
        threads.into_iter().map(|thread| thread.join().unwrap_or_else(|panic| Err(panicked(&*panic)))).collect()
    });
    ends.into_iter().collect::<Result<()>>()?;
    if board.is_left() {
        return Err(Error::device("no device is left to run on").help(AGAIN));
    }
    Ok(())
}

/// What takes the place of a worker that failed; `None` where nothing does.
pub type Renew<'a> = dyn Fn(usize, &Error) -> Option<Worker> + Sync + 'a;

/// How failed devices end where nothing takes their place.
pub fn no_other(_: usize, _: &Error) -> Option<Worker> {
    None
}

const AGAIN: &str = "what was done is kept: run the same command again, with --device cpu or a smaller --memory if it happens again";

/// One worker's thread.
struct Shift<'a> {
    series: &'a Series<'a>,
    board: &'a Board,
    sink: &'a dyn Sink,
    renew: &'a Renew<'a>,
    at: usize,
}

impl Shift<'_> {
    /// Runs what the board hands out until nothing is left, or the device fails and nothing takes its place.
    fn serve(&self, mut worker: Worker) -> Result<()> {
        while let Some(work) = self.board.wait(self.at) {
            match self.drive(&worker, work) {
                Ok(()) => {}
                Err(error) if error.kind() == Kind::Device => {
                    // Its rows go to the others before anything is put in its place: that may take a while.
                    self.board.lose(self.at);
                    let Some(other) = (self.renew)(self.at, &error) else {
                        self.sink.lost(&worker.info, &error);
                        break;
                    };
                    worker = other;
                    self.board.replace(self.at, worker.info.slots);
                }
                Err(error) => {
                    self.board.stop();
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    fn drive(&self, worker: &Worker, work: Handed) -> Result<()> {
        let mut feed = Chunks::new(self, worker, work);
        let drive = Drive {
            oracle: &worker.oracle,
            surrogate: worker.surrogate.as_ref(),
            data: &*worker.data,
            parts: self.series.parts,
            norm: self.series.key.norm,
            key: self.series.random,
            slots: worker.info.slots,
            cadence: worker.cadence,
        };
        let driven = caught(|| drive.run(&mut feed)).map(|effort| feed.worked(effort));
        // What was done is booked, however it ended.
        let booked = self.sink.spent(&feed.spent());
        driven.and(booked)
    }
}

/// What work on a device comes to; a panic is the device's failure.
pub(super) fn caught<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| Err(panicked(&*panic)))
}

fn panicked(panic: &(dyn std::any::Any + Send)) -> Error {
    let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    Error::device(format!("a device's worker stopped: {}", text.unwrap_or("it gave no reason"))).help(AGAIN)
}

/// A chunk under way.
#[derive(Default)]
struct Chunk {
    left: usize,
    outcomes: Vec<ExampleOutcomes>,
    specimens: BTreeMap<usize, Specimen>,
    kept: Vec<KeptPoint>,
}

/// An example that was taken.
struct UnderWay {
    /// The number of its chunk.
    chunk: usize,
    /// When.
    taken: f64,
    /// Propagations that the worker had done by then, those that had gone into the example, and those of them that a first look took.
    before: u64,
    passed: u32,
    looked: u32,
}

/// Hands one worker its examples and commits its chunks.
struct Chunks<'a> {
    shift: &'a Shift<'a>,
    worker: &'a Worker,
    chunks: BTreeMap<usize, Chunk>,
    /// By position of an example.
    under_way: BTreeMap<usize, UnderWay>,
    next: VecDeque<(usize, usize)>,
    /// Given to the worker.
    arrived: Vec<(usize, Moved)>,
    effort: Effort,
    booked: Effort,
}

impl<'a> Chunks<'a> {
    fn new(shift: &'a Shift, worker: &'a Worker, work: Handed) -> Self {
        let mut feed = Self {
            shift,
            worker,
            chunks: BTreeMap::new(),
            under_way: BTreeMap::new(),
            next: VecDeque::new(),
            arrived: Vec::new(),
            effort: Effort::default(),
            booked: Effort::default(),
        };
        match work {
            Handed::New(chunk) => feed.queue(chunk),
            Handed::Moved(moved) => feed.arrived = moved,
        }
        feed
    }

    /// What was spent since this was asked last.
    fn spent(&mut self) -> Cost {
        let before = std::mem::replace(&mut self.booked, self.effort);
        let since = |of: fn(&Effort) -> u64| of(&self.effort) - of(&before);
        Cost {
            seconds: self.shift.board.book(),
            device_forwards: since(|effort| effort.forwards),
            device_backwards: since(|effort| effort.backwards),
            active: since(|effort| effort.occupied),
            capacity: since(|effort| effort.slots),
            fed_active: since(|effort| effort.fed_occupied),
            fed_capacity: since(|effort| effort.fed_slots),
        }
    }

    fn queue(&mut self, Taken { number, positions }: Taken) {
        self.worker.data.expect(&positions);
        self.chunks.insert(number, Chunk { left: positions.len(), ..Chunk::default() });
        self.next.extend(positions.into_iter().map(|position| (position, number)));
    }

    fn chunk(&mut self, chain: &Chain) -> &mut Chunk {
        let number = self.under_way[&chain.position].chunk;
        self.chunks.get_mut(&number).expect("an example under way belongs to a chunk under way")
    }

    /// Takes down that the worker has an example from now on.
    fn begin(&mut self, chain: &Chain, chunk: usize, looked: u32) {
        let (taken, before, passed) = (self.shift.board.now(), self.done(), chain.passes());
        self.under_way.insert(chain.position, UnderWay { chunk, taken, before, passed, looked });
    }

    /// One example less is left of a chunk; it is committed where none is.
    fn leave(&mut self, number: usize) -> Result<()> {
        let chunk = self.chunks.get_mut(&number).expect("an example under way belongs to a chunk under way");
        chunk.left -= 1;
        if chunk.left > 0 {
            return Ok(());
        }
        let Chunk { mut outcomes, specimens, kept, .. } = self.chunks.remove(&number).expect("it was there a line ago");
        // What was taken back is another's to commit.
        if !self.shift.board.settle(self.shift.at, number) || outcomes.is_empty() {
            return Ok(());
        }
        outcomes.sort_by_key(|outcomes| outcomes.example);
        let specimens: Vec<Specimen> = specimens.into_values().collect();
        let spent = self.spent();
        self.shift.sink.commit(&self.worker.info, &outcomes, &specimens, &kept, &spent)
    }

    /// Propagations that the worker has done.
    fn done(&self) -> u64 {
        self.effort.forwards + self.effort.backwards
    }
}

impl Feed for Chunks<'_> {
    fn take(&mut self) -> Option<Chain> {
        if self.next.is_empty() {
            let chunk = self.shift.board.take(self.shift.at)?;
            self.queue(chunk);
        }
        let (position, number) = self.next.pop_front()?;
        let chain = (self.shift.series.chain)(position);
        self.begin(&chain, number, chain.passes());
        Some(chain)
    }

    fn receive(&mut self) -> Vec<Chain> {
        let mut arrived = std::mem::take(&mut self.arrived);
        arrived.extend(self.shift.board.receive(self.shift.at));
        if arrived.is_empty() {
            return Vec::new();
        }
        self.worker.data.expect(&arrived.iter().map(|(_, moved)| moved.chain.position).collect::<Vec<_>>());
        let mut chains = Vec::with_capacity(arrived.len());
        for (number, Moved { chain, looked, specimen, kept }) in arrived {
            let specimens = specimen.into_iter().map(|specimen| (chain.position, specimen)).collect();
            self.chunks.insert(number, Chunk { left: 1, outcomes: Vec::new(), specimens, kept });
            self.begin(&chain, number, looked);
            chains.push(chain);
        }
        chains
    }

    fn spares(&self) -> bool {
        self.shift.board.spares(self.shift.at)
    }

    fn give(&mut self, chain: Chain) -> Result<()> {
        let UnderWay { chunk: number, looked, .. } = self.under_way.remove(&chain.position).expect("only what is under way is given");
        let chunk = self.chunks.get_mut(&number).expect("an example under way belongs to a chunk under way");
        let specimen = chunk.specimens.remove(&chain.position);
        let kept = chunk.kept.extract_if(.., |kept| kept.broken.example == chain.example).collect();
        self.shift.board.give(self.shift.at, number, Moved { chain, looked, specimen, kept });
        self.leave(number)
    }

    fn is_over(&self) -> bool {
        self.shift.board.is_relieved(self.shift.at)
    }

    fn wants_point(&self, chain: &Chain) -> bool {
        self.shift.sink.keeps() || (self.shift.series.shown)(chain.position)
    }

    fn point(&mut self, chain: &Chain, judgement: Judgement) {
        let Judgement { claim, prediction, distances, point: Some(adversarial), .. } = judgement else { return };
        let (series, keeps) = (self.shift.series, self.shift.sink.keeps());
        let chunk = self.chunk(chain);
        let epsilon = chain.epsilon(claim.epsilon);
        let distance = under(series.key.norm, &distances);
        if keeps && distance.is_finite() {
            let broken = Broken { epsilon, example: chain.example, prediction, distance };
            chunk.kept.push(KeptPoint { broken, adversarial: adversarial.clone() });
        }
        if !(series.shown)(chain.position) {
            return;
        }
        // The smallest epsilon that broke is shown, whichever the judge saw first.
        if chunk.specimens.get(&chain.position).is_some_and(|shown| shown.epsilon <= epsilon) {
            return;
        }
        let specimen = Specimen {
            series: series.key.clone(),
            epsilon,
            example: chain.example,
            label: chain.label,
            prediction,
            distance,
            shape: series.data.shape,
            original: series.data.image(chain.position),
            adversarial,
        };
        chunk.specimens.insert(chain.position, specimen);
    }

    fn worked(&mut self, effort: Effort) {
        self.effort = effort;
    }

    fn finish(&mut self, chain: Chain) -> Result<()> {
        self.chunk(&chain).outcomes.push(chain.outcomes());
        let UnderWay { chunk, taken, before, passed, looked } = self.under_way.remove(&chain.position).expect("it was there a line ago");
        let (board, passes) = (self.shift.board, chain.passes());
        let (work, whole, all) = ((passes - passed).into(), (passes - looked).into(), (self.done() - before) as f64);
        self.leave(chunk)?;
        board.ended(self.shift.at, Ended { work, whole, seconds: board.now() - taken, all });
        Ok(())
    }
}
