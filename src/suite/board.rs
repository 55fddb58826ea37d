//! Which worker has which examples: what the workers of a series ask, behind one lock.

use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::shares::{Ended, Grant, Shares};
use crate::engine::chain::Chain;
use crate::evaluate::record::Specimen;
use crate::store::KeptPoint;

/// How long an idle worker sleeps before it asks again by itself: whether another is too slow is a matter of time.
const ASK_AGAIN: Duration = Duration::from_millis(20);

/// Examples that a worker was given.
pub(super) struct Taken {
    pub(super) number: usize,
    pub(super) positions: Vec<usize>,
}

/// An example that a worker gives away, begun or not.
pub(super) struct Moved {
    pub(super) chain: Chain,
    /// Propagations that a first look took.
    pub(super) looked: u32,
    pub(super) specimen: Option<Specimen>,
    pub(super) kept: Vec<KeptPoint>,
}

/// What an idle worker goes on with.
pub(super) enum Handed {
    New(Taken),
    /// What was given to it, each a chunk of this number.
    Moved(Vec<(usize, Moved)>),
}

struct State {
    shares: Shares,
    /// Positions that no worker has; the next ones last.
    waiting: Vec<usize>,
    /// Chunks under way, a worker.
    out: Vec<BTreeMap<usize, Vec<usize>>>,
    /// Workers whose rows were taken back, until they notice.
    relieved: Vec<bool>,
    /// Given to a worker, by the number of the chunk, until it notices.
    adrift: Vec<Vec<(usize, Moved)>>,
    handed_out: usize,
    stopped: bool,
    /// Second up to which time is booked.
    booked: f64,
}

/// The examples of a series under way.
pub(super) struct Board {
    state: Mutex<State>,
    changed: Condvar,
    started: Instant,
}

impl Board {
    /// Workers with the same number in `kinds` give each other rows.
    pub(super) fn new(positions: &[usize], slots: &[usize], kinds: &[usize]) -> Self {
        let state = State {
            shares: Shares::new(positions.len(), slots).of_kinds(kinds),
            waiting: positions.iter().rev().copied().collect(),
            out: slots.iter().map(|_| BTreeMap::new()).collect(),
            relieved: vec![false; slots.len()],
            adrift: slots.iter().map(|_| Vec::new()).collect(),
            handed_out: 0,
            stopped: false,
            booked: 0.0,
        };
        Self { state: Mutex::new(state), changed: Condvar::new(), started: Instant::now() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Seconds since the series began.
    pub(super) fn now(&self) -> f64 {
        self.started.elapsed().as_secs_f64()
    }

    /// Seconds that are not booked yet, of all workers together; from now on they are.
    pub(super) fn book(&self) -> f64 {
        let mut state = self.state();
        let now = self.now();
        now - std::mem::replace(&mut state.booked, now)
    }

    /// Another chunk for a worker that has rows; `None` where there is none now.
    pub(super) fn take(&self, worker: usize) -> Option<Taken> {
        let mut state = self.state();
        // What it would take now it would give up at once.
        if state.relieved[worker] {
            return None;
        }
        match state.ask(worker, self.now()) {
            Grant::Take(count) => Some(state.hand_out(worker, count)),
            Grant::Wait | Grant::Relieve(_) | Grant::End => None,
        }
    }

    /// Work for an idle worker, as soon as there is some; `None` once everything is ended.
    pub(super) fn wait(&self, worker: usize) -> Option<Handed> {
        let mut state = self.state();
        loop {
            // A worker that waits has nothing left of what was taken back.
            state.relieved[worker] = false;
            if !state.stopped && !state.adrift[worker].is_empty() {
                return Some(Handed::Moved(state.receive(worker)));
            }
            match state.ask(worker, self.now()) {
                Grant::Take(count) => return Some(Handed::New(state.hand_out(worker, count))),
                Grant::End => return None,
                Grant::Relieve(slow) => {
                    let back = state.take_back(slow);
                    state.shares.relieve(slow, back);
                    state.relieved[slow] = true;
                }
                Grant::Wait => state = self.changed.wait_timeout(state, ASK_AGAIN).unwrap_or_else(PoisonError::into_inner).0,
            }
        }
    }

    /// What was given to a worker since it was asked last.
    pub(super) fn receive(&self, worker: usize) -> Vec<(usize, Moved)> {
        let mut state = self.state();
        if state.relieved[worker] { Vec::new() } else { state.receive(worker) }
    }

    /// Whether a worker had best give one of its rows to another.
    pub(super) fn spares(&self, worker: usize) -> bool {
        let state = self.state();
        !state.stopped && state.shares.taker(worker).is_some()
    }

    /// A worker gives an example of one of its chunks to the one that had best have it. What was taken back from it is not its to give,
    /// and what nobody takes any more comes back to it.
    pub(super) fn give(&self, worker: usize, number: usize, moved: Moved) {
        let mut state = self.state();
        let position = moved.chain.position;
        let Some(positions) = state.out[worker].get_mut(&number) else { return };
        positions.retain(|&other| other != position);
        let to = state.shares.taker(worker);
        if let Some(to) = to {
            state.shares.given(worker, to);
            tracing::debug!(example = moved.chain.example, from = worker, to, "a row goes on elsewhere");
        }
        let to = to.unwrap_or(worker);
        let number = state.number();
        state.out[to].insert(number, vec![position]);
        state.adrift[to].push((number, moved));
        self.changed.notify_all();
    }

    /// Whether a chunk is still the worker's to commit; from now on it is done.
    pub(super) fn settle(&self, worker: usize, number: usize) -> bool {
        self.state().out[worker].remove(&number).is_some()
    }

    /// A row of a worker ended.
    pub(super) fn ended(&self, worker: usize, row: Ended) {
        self.state().shares.ended(worker, row);
        self.changed.notify_all();
    }

    /// Whether a worker's rows were taken back.
    pub(super) fn is_relieved(&self, worker: usize) -> bool {
        self.state().relieved[worker]
    }

    /// A worker failed: what it had not committed goes to the others.
    pub(super) fn lose(&self, worker: usize) {
        let mut state = self.state();
        let back = state.take_back(worker);
        state.shares.gone(worker, back);
        self.changed.notify_all();
    }

    /// Another took the place of a worker that failed.
    pub(super) fn replace(&self, worker: usize, slots: usize) {
        self.state().shares.back(worker, slots);
    }

    /// Nothing more is handed out.
    pub(super) fn stop(&self) {
        self.state().stopped = true;
        self.changed.notify_all();
    }

    /// Whether examples are left.
    pub(super) fn is_left(&self) -> bool {
        let state = self.state();
        !state.waiting.is_empty() || state.out.iter().any(|out| !out.is_empty())
    }
}

impl State {
    fn ask(&mut self, worker: usize, now: f64) -> Grant {
        if self.stopped { Grant::End } else { self.shares.ask(worker, now) }
    }

    fn hand_out(&mut self, worker: usize, count: usize) -> Taken {
        let positions: Vec<usize> = (0..count).filter_map(|_| self.waiting.pop()).collect();
        let number = self.number();
        self.out[worker].insert(number, positions.clone());
        Taken { number, positions }
    }

    /// Number of the next chunk.
    fn number(&mut self) -> usize {
        self.handed_out += 1;
        self.handed_out
    }

    fn receive(&mut self, worker: usize) -> Vec<(usize, Moved)> {
        if !self.adrift[worker].is_empty() {
            self.shares.goes_on(worker);
        }
        std::mem::take(&mut self.adrift[worker])
    }

    /// Puts the positions of a worker's chunks first in the queue; gives their number.
    fn take_back(&mut self, worker: usize) -> usize {
        let back: Vec<usize> = std::mem::take(&mut self.out[worker]).into_values().flatten().collect();
        self.waiting.extend(back.iter().rev());
        // They begin anew.
        self.adrift[worker].clear();
        back.len()
    }
}
