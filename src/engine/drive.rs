//! The loop: admit, forward, bookkeeping, backward, step; read the flags; let ended rows leave.

use std::collections::{BTreeMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};

use burn::tensor::{Device, Tensor, TensorData};
use bytemuck::Zeroable;

use super::chain::{Chain, End, NextRow, Word};
use super::judge::{Claim, Judge, Judgement, under};
use super::oracle::{Oracle, read_matrix, read_words};
use super::slots::Slots;
use crate::Result;
use crate::attack::Attack;
use crate::data::Dataset;
use crate::kernel;
use crate::kernel::row::{BROKEN, FAILED, RUNNING, Row, SURVIVED, State};
use crate::kernel::words::upload;
use crate::threat::Norm;

/// Where chains come from and where they go.
pub trait Feed {
    /// The next example, or `None` where no more will come.
    fn take(&mut self) -> Option<Chain>;

    /// Whether the point that broke this chain at this epsilon is wanted for the gallery.
    fn wants_point(&self, chain: &Chain) -> bool;

    /// A point that was wanted.
    fn point(&mut self, chain: &Chain, judgement: Judgement);

    /// A chain that is settled.
    ///
    /// # Errors
    /// The run has to stop: it cannot be written down, or was interrupted.
    fn finish(&mut self, chain: Chain) -> Result<()>;
}

/// What the device did.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Effort {
    /// Steps of the whole batch, judgements included.
    pub steps: u64,
    /// Forward passes: slots times steps.
    pub forwards: u64,
    /// Backward passes likewise.
    pub backwards: u64,
    /// Slot-steps that held a running row or a claim.
    pub occupied: u64,
}

impl std::ops::AddAssign for Effort {
    fn add_assign(&mut self, other: Self) {
        self.steps += other.steps;
        self.forwards += other.forwards;
        self.backwards += other.backwards;
        self.occupied += other.occupied;
    }
}

/// Examples on a device, flat: [examples, features].
pub fn send(data: &Dataset, device: &Device) -> Tensor<2> {
    Tensor::from_data(TensorData::new(data.images.clone(), [data.len(), data.features()]), device)
}

/// Runs one attack under one norm over everything that a feed gives.
pub struct Drive<'a> {
    /// The defence.
    pub oracle: &'a Oracle,
    /// The examples, as [`send`] gives them.
    pub data: &'a Tensor<2>,
    /// The attack.
    pub attack: &'a dyn Attack,
    /// The norm.
    pub norm: Norm,
    /// Key of the attack's random stream.
    pub key: [u32; 2],
    /// How many rows run at once.
    pub slots: usize,
    /// Steps between two looks at the flags: 1 on the CPU, a few on a GPU, so that it never waits for the host. No outcome depends on it.
    pub cadence: usize,
}

struct Seat {
    number: usize,
    row: NextRow,
    parameters: Row,
}

struct Active {
    chain: Chain,
    /// Claims without the judge's word.
    pending: usize,
}

struct Loop<'a, 'f> {
    drive: &'a Drive<'a>,
    feed: &'f mut dyn Feed,
    slots: Slots,
    judge: Judge,
    seats: Vec<Option<Seat>>,
    /// Chains that are not finished, by number.
    active: BTreeMap<usize, Active>,
    taken: usize,
    /// Chains that wait for a slot again after a refused claim.
    waiting: VecDeque<usize>,
    generation: u32,
    effort: Effort,
}

impl Drive<'_> {
    /// Runs until the feed has no more and every chain is settled.
    ///
    /// # Errors
    /// A device that stops answering, or what the feed reports. Chains that were finished stay finished.
    pub fn run(&self, feed: &mut dyn Feed) -> Result<Effort> {
        let device = self.oracle.device();
        let mut state = Loop {
            drive: self,
            feed,
            slots: Slots::new(self.slots, self.oracle.features(), self.norm, device),
            judge: Judge::new(self.slots, self.oracle.features(), device),
            seats: (0..self.slots).map(|_| None).collect(),
            active: BTreeMap::new(),
            taken: 0,
            waiting: VecDeque::new(),
            generation: 0,
            effort: Effort::default(),
        };
        loop {
            state.admit()?;
            if state.seats.iter().any(Option::is_some) {
                let sound = (0..self.cadence).all(|_| state.step());
                state.leave(sound)?;
            } else if state.judge.is_idle() {
                let (passes, judged) = state.judge.cost();
                let judging = Effort { steps: passes, forwards: passes * self.slots as u64, backwards: 0, occupied: judged };
                state.effort += judging;
                return Ok(state.effort);
            } else {
                let judgements = state.judge.judge(self.oracle, self.data, self.norm)?;
                state.hear(judgements)?;
            }
        }
    }
}

impl Loop<'_, '_> {
    /// Fills empty slots.
    fn admit(&mut self) -> Result<()> {
        let mut index = vec![-1; self.drive.slots];
        let mut changed = false;
        for (slot, index) in index.iter_mut().enumerate() {
            if self.seats[slot].is_some() {
                continue;
            }
            let Some(number) = self.next_chain()? else { break };
            *index = self.active[&number].chain.position as i32;
            self.seats[slot] = self.seat(number, false);
            changed = true;
        }
        if changed {
            self.slots.admit(self.drive.data, &index);
            self.publish();
        }
        Ok(())
    }

    /// The next chain with a row to run.
    fn next_chain(&mut self) -> Result<Option<usize>> {
        loop {
            if let Some(number) = self.waiting.pop_front() {
                return Ok(Some(number));
            }
            let Some(chain) = self.feed.take() else { return Ok(None) };
            let number = self.taken;
            self.taken += 1;
            self.active.insert(number, Active { chain, pending: 0 });
            self.settle(number)?;
        }
    }

    /// Sends a chain without a slot where it belongs: to the slots, to the feed, or to the wait for the judge.
    fn settle(&mut self, number: usize) -> Result<()> {
        let active = self.active.get_mut(&number).expect("only chains that are not finished are settled");
        if active.chain.next_row().is_none() {
            if active.pending > 0 {
                return Ok(());
            }
            if active.chain.resolve() {
                let active = self.active.remove(&number).expect("it was there a line ago");
                return self.feed.finish(active.chain);
            }
        }
        self.waiting.push_back(number);
        Ok(())
    }

    /// The next row of a chain; `None` where it has none.
    fn seat(&mut self, number: usize, kept: bool) -> Option<Seat> {
        let chain = &self.active[&number].chain;
        let row = chain.next_row()?;
        self.generation += 1;
        let epsilon = chain.epsilon(row.epsilon) as f32;
        let plan = self.drive.attack.plan(epsilon, kept);
        let parameters = Row {
            epsilon,
            step_size: plan.step_size,
            steps: plan.steps,
            label: chain.label,
            target: chain.target,
            flags: plan.flags,
            start: plan.start,
            generation: self.generation,
            key: self.drive.key,
            example: chain.example,
            restart: row.restart,
            decay: plan.decay,
            ..Row::zeroed()
        };
        Some(Seat { number, row, parameters })
    }

    /// Tells the device which rows are in the slots.
    fn publish(&mut self) {
        let rows: Vec<Row> = self.seats.iter().map(|seat| seat.as_ref().map_or(Row::zeroed(), |seat| seat.parameters)).collect();
        self.slots.rows = upload(&rows, self.drive.oracle.device());
    }

    /// One step of the whole batch. False where the attack panicked; its rows are then no longer to be trusted.
    fn step(&mut self) -> bool {
        let Drive { oracle, attack, .. } = *self.drive;
        let slots = &mut self.slots;
        let count = self.drive.slots as u64;
        self.effort.steps += 1;
        self.effort.forwards += count;
        self.effort.occupied += self.seats.iter().flatten().count() as u64;
        if catch_unwind(AssertUnwindSafe(|| attack.start(slots))).is_err() {
            return false;
        }
        let gradient = if attack.uses_gradients() {
            self.effort.backwards += count;
            let (rows, state) = (slots.rows.clone(), &mut slots.state);
            Some(oracle.gradient(slots.x.clone(), |logits| {
                *state = kernel::flags(logits.clone(), rows.clone(), state.clone(), true);
                kernel::loss_gradient(logits, rows, state.clone())
            }))
        } else {
            slots.state = kernel::flags(oracle.logits(slots.x.clone()), slots.rows.clone(), slots.state.clone(), false);
            None
        };
        catch_unwind(AssertUnwindSafe(|| attack.advance(slots, gradient))).is_ok()
    }

    /// Reads the flags and lets ended rows leave; a chain with another row keeps its slot.
    fn leave(&mut self, sound: bool) -> Result<()> {
        let states: Vec<State> = read_words(self.slots.state.clone())?;
        let status = |slot: usize, seat: &Seat| {
            let state = states[slot];
            if !sound {
                FAILED
            } else if state.generation == seat.parameters.generation {
                state.status
            } else {
                RUNNING
            }
        };
        let ended: Vec<usize> =
            (0..self.drive.slots).filter(|&slot| self.seats[slot].as_ref().is_some_and(|seat| status(slot, seat) != RUNNING)).collect();
        if ended.is_empty() {
            return Ok(());
        }
        let candidates = self.drive.attack.candidates(&self.slots);
        let broken = |slot: usize| sound && states[slot].status == BROKEN;
        let distances = if ended.iter().any(|&slot| broken(slot)) {
            read_matrix(kernel::distances(candidates.clone(), self.slots.origin.clone()))?
        } else {
            Vec::new()
        };
        let mut claims = Vec::new();
        let mut gone = Vec::new();
        for slot in ended {
            let seat = self.seats[slot].take().expect("ended rows have a seat");
            let state = states[slot];
            let active = self.active.get_mut(&seat.number).expect("a seated chain is not finished");
            let end = match status(slot, &seat) {
                BROKEN => {
                    active.pending += 1;
                    claims.push((slot, self.claim(&seat)));
                    End::Claimed { distance: under(self.drive.norm, &[0, 1, 2, 3].map(|norm| distances[4 * slot + norm])) }
                }
                SURVIVED => End::Survived,
                _ => End::Failed,
            };
            let active = self.active.get_mut(&seat.number).expect("a seated chain is not finished");
            active.chain.record(seat.row, end, state.forwards, state.backwards);
            let kept = self.drive.attack.keeps_for_next_row() && end != End::Failed;
            self.seats[slot] = self.seat(seat.number, kept);
            if self.seats[slot].is_none() {
                gone.push(seat.number);
            }
        }
        self.publish();
        let judgements = self.judge.hand_in(self.drive.oracle, self.drive.data, self.drive.norm, &candidates, claims)?;
        for number in gone {
            self.settle(number)?;
        }
        self.hear(judgements)
    }

    fn claim(&self, seat: &Seat) -> Claim {
        let chain = &self.active[&seat.number].chain;
        Claim {
            chain: seat.number,
            epsilon: seat.row.epsilon,
            row: seat.parameters,
            position: chain.position,
            keep: self.feed.wants_point(chain),
        }
    }

    /// Passes the judge's words on.
    fn hear(&mut self, judgements: Vec<Judgement>) -> Result<()> {
        for judgement in judgements {
            let number = judgement.claim.chain;
            let active = self.active.get_mut(&number).expect("a chain with a claim is not finished");
            let word = match judgement {
                Judgement { failed: true, .. } => Word::Failed,
                Judgement { distances, .. } if !under(self.drive.norm, &distances).is_finite() => Word::Failed,
                Judgement { broken: true, distances, .. } => Word::Broken(under(self.drive.norm, &distances)),
                _ => Word::Refused,
            };
            active.chain.judged(judgement.claim.epsilon, word);
            active.pending -= 1;
            let seated = self.seats.iter().flatten().any(|seat| seat.number == number) || self.waiting.contains(&number);
            if judgement.broken && judgement.point.is_some() {
                let chain = active.chain.clone();
                self.feed.point(&chain, judgement);
            }
            if !seated {
                self.settle(number)?;
            }
        }
        Ok(())
    }
}
