//! The rows in the slots: admit, forward, bookkeeping, backward, step; then ended rows leave ([`ends`]).

mod ends;

use std::collections::{BTreeMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::{Duration, Instant};

use bytemuck::Zeroable;

use super::aim::Aim;
use super::base::mean;
use super::chain::{Chain, NextRow};
use super::draw::{Draw, DrawRow};
use super::drive::{Drive, Effort, Feed, Lane};
use super::judge::Judge;
use super::pass::Answer;
use super::slots::Slots;
use crate::Result;
use crate::attack::RowPlan;
use crate::device::is_of_device;
use crate::kernel;
use crate::kernel::row::Row;
use crate::kernel::words::upload;
use crate::suite::schedule::check_interrupt;

/// A row in a slot.
struct Seat {
    number: usize,
    row: NextRow,
    parameters: Row,
    /// Steps since it was seated; tells a random defence's draws apart.
    steps: u32,
}

/// Chains of one worker that wait for a later part, in batches, before the first part takes no more.
const PARKED_BATCHES: usize = 8;

/// A look at the flags keeps a GPU waiting for some tenths of that, and a row that has ended holds its slot until the next one: with
/// steps at least so long a look follows every step, with shorter ones several share it.
const LOOK: Duration = Duration::from_millis(1);

/// A chain that is not finished.
struct Active {
    chain: Chain,
    /// Claims without the judge's word.
    pending: usize,
    /// Whether it can only go on once the judge has spoken.
    held: bool,
}

/// The rows of a run.
pub(super) struct Seats<'a, 'f> {
    drive: &'a Drive<'a>,
    feed: &'f mut dyn Feed,
    slots: Slots,
    judge: Judge,
    seats: Vec<Option<Seat>>,
    /// The lane whose rows are in the slots.
    lane: Lane,
    /// Chains that are not finished, by number.
    active: BTreeMap<usize, Active>,
    taken: usize,
    /// Chains that wait for a slot, by the lane that they want.
    waiting: Vec<VecDeque<usize>>,
    exhausted: bool,
    generation: u32,
    effort: Effort,
    /// Steps to the next look at the flags.
    cadence: usize,
}

impl<'a, 'f> Seats<'a, 'f> {
    pub(super) fn new(drive: &'a Drive<'a>, feed: &'f mut dyn Feed) -> Self {
        Self {
            drive,
            feed,
            slots: drive.empty_slots(0, drive.slots),
            judge: Judge::new(drive.slots, drive.oracle.features(), drive.oracle.device()),
            seats: (0..drive.slots).map(|_| None).collect(),
            lane: Lane::at(0),
            active: BTreeMap::new(),
            taken: 0,
            waiting: vec![VecDeque::new(); 2 * drive.parts.len()],
            exhausted: false,
            generation: 0,
            effort: Effort::default(),
            cadence: drive.cadence,
        }
    }

    /// Goes on by a look at the flags, another part or a judgement. False where every chain is settled.
    pub(super) fn turn(&mut self) -> Result<bool> {
        // An ensemble's row ends after minutes, a turn in a moment.
        check_interrupt()?;
        if self.feed.is_over() {
            return Ok(false);
        }
        self.trade()?;
        self.admit()?;
        if self.seats.iter().any(Option::is_some) {
            let begun = Instant::now();
            let sound = (0..self.cadence).all(|_| self.step());
            self.tell();
            self.leave(sound)?;
            let step = begun.elapsed() / self.cadence as u32;
            self.cadence = (LOOK.as_secs_f64() / step.as_secs_f64()).ceil().clamp(1.0, self.drive.cadence as f64) as usize;
        } else if let Some(lane) = self.next_lane() {
            self.turn_to(lane);
        } else if self.judge.is_idle() {
            return Ok(false);
        } else {
            self.ask_judge()?;
        }
        Ok(true)
    }

    /// Has every claim judged that was handed in.
    fn ask_judge(&mut self) -> Result<()> {
        let judgements = self.judge.judge(self.drive.oracle, self.drive.data, self.drive.norm)?;
        self.tell();
        self.hear(judgements)
    }

    fn tell(&mut self) {
        let effort = self.effort();
        self.feed.worked(effort);
    }

    /// What the device did, judgements included.
    pub(super) fn effort(&self) -> Effort {
        let (computed, judged) = self.judge.cost();
        let mut effort = self.effort;
        let forwards = self.drive.oracle.computed(judged, computed);
        effort += Effort { slots: computed, forwards, occupied: judged, ..Effort::default() };
        effort
    }

    /// The lane to turn to once the slots are empty: the next one that chains wait for, in turns.
    fn next_lane(&self) -> Option<Lane> {
        let lanes = self.waiting.len();
        let wanted = |&lane: &usize| !self.waiting[lane].is_empty() || lane == 0 && !self.exhausted;
        (1..lanes).map(|ahead| (self.lane.index() + ahead) % lanes).find(wanted).map(Lane::at)
    }

    /// Empties the slots for the rows of a lane.
    fn turn_to(&mut self, lane: Lane) {
        self.lane = lane;
        let width = self.width();
        self.slots = self.drive.empty_slots(lane.part, width);
        self.seats = (0..width).map(|_| None).collect();
    }

    /// Fills empty slots; there are as many as have rows to hold.
    fn admit(&mut self) -> Result<()> {
        self.fit();
        let mut index = vec![-1; self.seats.len()];
        let (mut changed, mut over) = (false, false);
        for (slot, index) in index.iter_mut().enumerate() {
            if self.seats[slot].is_some() {
                continue;
            }
            let Some(number) = self.next_chain()? else {
                over = true;
                break;
            };
            *index = self.active[&number].chain.position as i32;
            self.seats[slot] = self.seat(number, false);
            changed = true;
        }
        if changed {
            self.slots.admit(self.drive.data, &index);
            self.publish();
        }
        if over {
            self.fit();
        }
        Ok(())
    }

    /// Slots for the rows of this lane: those that run, that wait, and that may still come.
    fn width(&self) -> usize {
        let held = self.seats.iter().flatten().count() + self.waiting[self.lane.index()].len();
        let rows = if self.takes_new() && !self.exhausted { self.drive.slots } else { held };
        self.drive.stepped(self.lane).width(rows, self.drive.slots)
    }

    /// Brings the rows together in fewer slots, or makes room for more.
    fn fit(&mut self) {
        let width = self.width();
        let kept: Vec<usize> = (0..self.seats.len()).filter(|&slot| self.seats[slot].is_some()).collect();
        if width == self.seats.len() || kept.is_empty() && width < self.seats.len() {
            return;
        }
        let empty = width - kept.len();
        let index: Vec<i32> = kept.iter().map(|&slot| slot as i32).chain(std::iter::repeat_n(-1, empty)).collect();
        self.slots.gather(&index);
        self.seats = kept.into_iter().map(|slot| self.seats[slot].take()).chain(std::iter::repeat_with(|| None).take(empty)).collect();
        self.publish();
    }

    /// Whether new examples may take slots: in the first part, while few wait for a later one.
    fn takes_new(&self) -> bool {
        let parked: usize = self.waiting.iter().map(VecDeque::len).sum();
        self.lane == Lane::at(0) && parked < PARKED_BATCHES * self.drive.slots
    }

    /// The next chain with a row to run.
    fn next_chain(&mut self) -> Result<Option<usize>> {
        loop {
            if let Some(number) = self.waiting[self.lane.index()].pop_front() {
                return Ok(Some(number));
            }
            if !self.takes_new() {
                return Ok(None);
            }
            let Some(chain) = self.take() else { return Ok(None) };
            self.enter(chain)?;
        }
    }

    fn take(&mut self) -> Option<Chain> {
        let chain = self.feed.take();
        self.exhausted = chain.is_none();
        chain
    }

    fn enter(&mut self, chain: Chain) -> Result<()> {
        let number = self.taken;
        self.taken += 1;
        self.active.insert(number, Active { chain, pending: 0, held: false });
        self.settle(number)
    }

    /// Goes on with other devices' chains, and gives them such as wait for a slot and for no word of the judge, those of the last part
    /// first and those that have not begun last. Where there is none the judge speaks, so that one may be given between
    /// two of its rows.
    fn trade(&mut self) -> Result<()> {
        for chain in self.feed.receive() {
            self.enter(chain)?;
        }
        while self.feed.spares() {
            let idle = |number: &usize| self.active[number].pending == 0;
            let found = (0..self.waiting.len()).rev().find_map(|lane| Some((lane, self.waiting[lane].iter().rposition(idle)?)));
            let Some((lane, at)) = found else {
                if let Some(chain) = self.take() {
                    self.feed.give(chain)?;
                    continue;
                }
                if self.judge.is_idle() {
                    break;
                }
                // A chain with a claim goes nowhere before the judge has spoken.
                self.ask_judge()?;
                continue;
            };
            let number = self.waiting[lane].remove(at).expect("it was found there");
            let active = self.active.remove(&number).expect("a chain that waits is not finished");
            self.feed.give(active.chain)?;
        }
        Ok(())
    }

    /// Sends a chain without a slot where it belongs: to the slots, to the feed, or to the wait for the judge.
    fn settle(&mut self, number: usize) -> Result<()> {
        let active = self.active.get_mut(&number).expect("only chains that are not finished are settled");
        let idle = active.chain.next_row().is_none();
        if active.held || idle && active.pending > 0 {
            return Ok(());
        }
        if idle && active.chain.resolve() {
            let active = self.active.remove(&number).expect("it was there a line ago");
            return self.feed.finish(active.chain);
        }
        let row = active.chain.next_row().expect("what is not settled has a row to run");
        let lane = Lane { part: self.drive.part_of(row.attempt).0, full: row.full };
        self.waiting[lane.index()].push_back(number);
        Ok(())
    }

    /// The next row of a chain; `None` where it has none, or where it belongs to another lane than the slots' rows.
    fn seat(&mut self, number: usize, kept: bool) -> Option<Seat> {
        let chain = &self.active[&number].chain;
        let row = chain.next_row()?;
        let (part, attempt) = self.drive.part_of(row.attempt);
        if self.lane != (Lane { part, full: row.full }) {
            return None;
        }
        self.generation += 1;
        let epsilon = chain.epsilon(row.epsilon) as f32;
        let plan = self.drive.parts[part].plan(epsilon, attempt, kept);
        let target = plan.rank.and_then(|rank| chain.ranks.get(rank as usize).copied()).unwrap_or(chain.target);
        let RowPlan { step_size, steps, start, flags, decay, counts_from, .. } = plan;
        let parameters = Row {
            epsilon,
            step_size,
            steps,
            label: chain.label,
            target,
            flags,
            start,
            generation: self.generation,
            key: self.drive.part_key(part),
            example: chain.example,
            restart: attempt,
            decay,
            counts_from,
            ..Row::zeroed()
        };
        Some(Seat { number, row, parameters, steps: 0 })
    }

    /// Tells the device which rows are in the slots.
    fn publish(&mut self) {
        let rows: Vec<Row> = self.seats.iter().map(|seat| seat.as_ref().map_or(Row::zeroed(), |seat| seat.parameters)).collect();
        self.slots.rows = upload(&rows, self.drive.oracle.device());
    }

    /// One step of the whole batch. False where the attack panicked; its rows are then no longer to be trusted.
    fn step(&mut self) -> bool {
        let oracle = self.drive.stepped(self.lane);
        let attack = &*self.drive.parts[self.lane.part];
        let draws = self.draws();
        let aim = self.aim();
        let throws = draws.len();
        let occupied = (self.seats.iter().flatten().count() * throws) as u64;
        let all = (self.seats.len() * throws) as u64;
        let work = oracle.computed(occupied, all);
        let slots = &mut self.slots;
        self.effort.slots += all;
        self.effort.forwards += work;
        self.effort.occupied += occupied;
        if !self.exhausted || self.waiting.iter().any(|lane| !lane.is_empty()) {
            self.effort.fed_slots += all;
            self.effort.fed_occupied += occupied;
        }
        if !is_sound(|| attack.start(slots)) {
            return false;
        }
        let random = oracle.is_random();
        let shown = |answers: &[Answer]| match &aim {
            Some(aim) => aim.shown(answers, oracle.polls(), random),
            None => mean(&answers.iter().map(|answer| answer.logits.clone()).collect::<Vec<_>>()),
        };
        let gradient = if attack.uses_gradients() {
            self.effort.backwards += work;
            let (rows, state) = (slots.rows.clone(), &mut slots.state);
            Some(oracle.descend(slots.x.clone(), &draws, |answers| {
                *state = kernel::flags(shown(answers), rows.clone(), state.clone(), true);
                let slope = |logits| kernel::loss_gradient(logits, rows.clone(), state.clone());
                let one = |answer: &Answer| match &aim {
                    Some(aim) => aim.pull(answer, slope(aim.logits(answer))),
                    None => (slope(answer.logits.clone()), None),
                };
                answers.iter().map(one).collect()
            }))
        } else {
            let answers = oracle.answers(slots.x.clone(), &draws);
            slots.state = kernel::flags(shown(&answers), slots.rows.clone(), slots.state.clone(), false);
            None
        };
        is_sound(|| attack.advance(slots, gradient))
    }

    /// The throws of a step, and the seats' next step.
    fn draws(&mut self) -> Vec<Draw> {
        let throws = self.drive.throws(self.lane);
        let row = |seat: &mut Option<Seat>| {
            seat.as_mut().map(|seat| {
                seat.steps += 1;
                let Row { key, example, restart, .. } = seat.parameters;
                DrawRow { key, example, attempt: restart, step: seat.steps }
            })
        };
        let draw = Draw::of(self.seats.iter_mut().map(row).collect());
        (0..throws).map(|number| Draw { number, ..draw.clone() }).collect()
    }

    /// What counts as success, where the logits do not say it all and the attack knows.
    fn aim(&self) -> Option<Aim> {
        let oracle = self.drive.stepped(self.lane);
        let wanted = oracle.is_adaptive() && (oracle.rejects() || oracle.votes() || oracle.is_random());
        let row =
            |seat: &Option<Seat>| seat.as_ref().map_or((Row::zeroed(), true), |seat| (seat.parameters, seat.steps > seat.parameters.steps));
        wanted.then(|| Aim::new(&self.seats.iter().map(row).collect::<Vec<_>>(), oracle.classes(), oracle.device()))
    }
}

/// Whether an attack's work ended without a panic of its own. A device's failure is no fault of the rows and goes on.
fn is_sound(work: impl FnOnce()) -> bool {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(()) => true,
        Err(panic) if is_of_device(&*panic) => resume_unwind(panic),
        Err(_) => false,
    }
}
