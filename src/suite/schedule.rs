//! One series over the devices: chunks of examples are handed out as workers become free ([`super::shares`] says how many), and each is
//! committed as it ends.

mod chunks;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use self::chunks::Chunks;
use super::board::{Board, Handed};
use crate::attack::Attack;
use crate::data::Dataset;
use crate::engine::chain::Chain;
use crate::engine::drive::{Drive, Feed};
use crate::engine::examples::Examples;
use crate::engine::oracle::Oracle;
use crate::error::Kind;
use crate::evaluate::cost::Cost;
use crate::evaluate::record::{ExampleOutcomes, SeriesKey, Specimen};
use crate::evaluate::results::DeviceInfo;
use crate::store::KeptPoint;
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
