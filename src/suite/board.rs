//! Which worker has which examples: what the workers of a series ask, behind one lock.

use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::shares::{Grant, Shares};

/// How long an idle worker sleeps before it asks again by itself: whether another is too slow is a matter of time.
const ASK_AGAIN: Duration = Duration::from_millis(20);

/// Examples that a worker was given.
pub(super) struct Taken {
    pub(super) number: usize,
    pub(super) positions: Vec<usize>,
}

struct State {
    shares: Shares,
    /// Positions that no worker has; the next ones last.
    waiting: Vec<usize>,
    /// Chunks under way, a worker.
    out: Vec<BTreeMap<usize, Vec<usize>>>,
    /// Workers whose rows were taken back, until they notice.
    relieved: Vec<bool>,
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
    pub(super) fn new(positions: &[usize], slots: &[usize]) -> Self {
        let state = State {
            shares: Shares::new(positions.len(), slots),
            waiting: positions.iter().rev().copied().collect(),
            out: slots.iter().map(|_| BTreeMap::new()).collect(),
            relieved: vec![false; slots.len()],
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

    /// A chunk for an idle worker, as soon as there is one; `None` once everything is ended.
    pub(super) fn wait(&self, worker: usize) -> Option<Taken> {
        let mut state = self.state();
        state.relieved[worker] = false;
        loop {
            match state.ask(worker, self.now()) {
                Grant::Take(count) => return Some(state.hand_out(worker, count)),
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

    /// Whether a chunk is still the worker's to commit; from now on it is done.
    pub(super) fn settle(&self, worker: usize, number: usize) -> bool {
        self.state().out[worker].remove(&number).is_some()
    }

    /// A row of a worker, taken at a second, ended after so many propagations; meanwhile the worker did `all`.
    pub(super) fn ended(&self, worker: usize, work: f64, taken: f64, all: f64) {
        self.state().shares.ended(worker, work, self.now() - taken, all);
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
        let number = self.handed_out;
        self.handed_out += 1;
        self.out[worker].insert(number, positions.clone());
        Taken { number, positions }
    }

    /// Puts the positions of a worker's chunks first in the queue; gives their number.
    fn take_back(&mut self, worker: usize) -> usize {
        let back: Vec<usize> = std::mem::take(&mut self.out[worker]).into_values().flatten().collect();
        self.waiting.extend(back.iter().rev());
        back.len()
    }
}
