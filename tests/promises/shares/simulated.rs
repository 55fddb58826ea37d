//! Devices on a simulated clock: what the engine does with its slots, driven by the decisions that real workers are driven by.
//!
//! A device holds a batch of slots, and rows that end leave theirs to the next; once no new rows come, those that are left go on in half of
//! the slots, a quarter and so on. A part of a step's time is the same in any number of slots, the rest follows them: all of it where
//! launches bound a device, none where arithmetic does. An attack is AutoAttack's: a row that one part leaves standing waits for the next,
//! and a device turns to another part once its slots are empty, taking new examples in the first part only and only while few wait for a
//! later one. What a device owes to another of its kind it gives of the rows that wait, and of others between two attempts.

use std::collections::VecDeque;

use gauntlet::suite::shares::{Ended, Grant, Shares};

/// Attempts of AutoAttack's parts and steps of each: APGD-CE, APGD-T, FAB-T, and Square, whose queries take no backward pass.
const PARTS: [(usize, u32); 4] = [(1, 100), (9, 100), (9, 100), (1, 1667)];
/// Least and most steps of a row that breaks at once: their mean is the 48th part of what one that stands takes.
const AT_ONCE: [u32; 2] = [49, 99];
/// As the engine has it: chains that wait for a later part, in batches, before the first part takes no more.
const PARKED_BATCHES: usize = 8;
/// Slots that are computed together at the least.
const LEAST: usize = 8;
/// How often an idle device asks again, in steps of the fastest device.
const ASK_AGAIN: f64 = 20.0;

/// A device of the simulation.
#[derive(Clone, Copy, Debug)]
pub struct Machine {
    pub slots: usize,
    /// Seconds of a step of all slots.
    pub step: f64,
    /// The part of it that fewer slots take too, 0 to 1.
    pub fixed: f64,
}

impl Machine {
    /// Seconds of a step of some of the slots.
    fn seconds(&self, width: usize) -> f64 {
        self.step * (self.fixed + (1.0 - self.fixed) * width as f64 / self.slots as f64)
    }

    /// Slots for so many rows: all, or a half, a quarter and so on.
    fn width(&self, rows: usize) -> usize {
        let mut width = self.slots;
        while width > LEAST && width / 2 >= rows {
            width /= 2;
        }
        width
    }
}

/// What a simulation came to.
#[derive(Clone, Copy, Debug)]
pub struct Outcome {
    /// Seconds until the last device ended.
    pub seconds: f64,
    /// Share of all devices' seconds that they had rows.
    pub busy: f64,
    /// The least time that it could take, by the seconds that it took: the work spread over all slots, or the longest row.
    pub of_bound: f64,
}

/// The attempts of each row: which part each belongs to, and its steps. The last one is where the row breaks, or the last of all.
pub fn rows(examples: usize, stand: f64) -> Vec<Vec<(usize, u32)>> {
    let mut random = 1u64;
    let mut unit = move || {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 11) as f64 / (1u64 << 53) as f64
    };
    let [least, most] = AT_ONCE;
    let all: Vec<(usize, u32)> =
        PARTS.iter().enumerate().flat_map(|(part, &(attempts, steps))| std::iter::repeat_n((part, steps), attempts)).collect();
    let mut row = |_| {
        let (stands, at) = (unit() < stand, unit());
        if stands { all.clone() } else { vec![(0, least + (at * f64::from(most - least + 1)) as u32)] }
    };
    (0..examples).map(&mut row).collect()
}

/// A row on a device.
#[derive(Clone, Copy)]
struct Held {
    row: usize,
    /// Attempts that are behind it.
    tried: usize,
    /// Its steps when the device took it, when that was, and what the device had done by then.
    before: u32,
    at: f64,
    all: f64,
}

struct Running {
    held: Held,
    left: u32,
}

struct Batch {
    machine: Machine,
    now: f64,
    busy: f64,
    /// Propagations of all slots.
    all: f64,
    over: bool,
    /// Whether it was told that nothing is left to take.
    exhausted: bool,
    part: usize,
    /// Steps to its next event.
    steps: u32,
    /// Slots that they take.
    width: usize,
    running: Vec<Running>,
    next: VecDeque<usize>,
    parked: Vec<VecDeque<Held>>,
    /// Given by other devices.
    arrived: Vec<Held>,
    mine: Vec<usize>,
}

impl Batch {
    fn has_parked(&self) -> usize {
        self.parked.iter().map(VecDeque::len).sum()
    }

    /// Goes on no further than to the end of the step that it is in at `now`.
    fn cut(&mut self, now: f64) {
        let step = self.machine.seconds(self.width);
        let over = (((self.now - now) / step).floor().max(0.0) as u32).min(self.steps);
        let seconds = f64::from(over) * step;
        self.steps -= over;
        self.now -= seconds;
        self.busy -= seconds;
        self.all -= f64::from(over) * self.width as f64;
    }
}

/// Runs rows on machines as the scheduler shares them out. Machines of one speed are alike.
pub fn run(machines: &[Machine], rows: &[Vec<(usize, u32)>]) -> Outcome {
    let alike = |machine: &Machine| machines.iter().position(|other| other.step.total_cmp(&machine.step).is_eq());
    shared(machines, rows, &machines.iter().filter_map(alike).collect::<Vec<_>>())
}

/// As [`run`], machines of the same number in `kinds` being alike.
pub fn shared(machines: &[Machine], rows: &[Vec<(usize, u32)>], kinds: &[usize]) -> Outcome {
    let slots: Vec<usize> = machines.iter().map(|machine| machine.slots).collect();
    let mut shares = Shares::new(rows.len(), &slots).of_kinds(kinds);
    let mut queue: Vec<usize> = (0..rows.len()).rev().collect();
    let fastest = machines.iter().map(|machine| machine.step).fold(f64::INFINITY, f64::min);
    let batch = |&machine: &Machine| Batch {
        machine,
        now: 0.0,
        busy: 0.0,
        all: 0.0,
        over: false,
        exhausted: false,
        part: 0,
        steps: 0,
        width: machine.slots,
        running: Vec::new(),
        next: VecDeque::new(),
        parked: PARTS.iter().map(|_| VecDeque::new()).collect(),
        arrived: Vec::new(),
        mine: Vec::new(),
    };
    let mut batches: Vec<Batch> = machines.iter().map(batch).collect();
    let mut done = vec![false; rows.len()];
    let mut last = 0.0f64;
    // The device whose clock is furthest behind goes on to its next event.
    while let Some(at) = (0..batches.len()).filter(|&at| !batches[at].over).min_by(|&a, &b| batches[a].now.total_cmp(&batches[b].now)) {
        let now = batches[at].now;
        let batch = &mut batches[at];
        let all = batch.all;
        let steps = std::mem::take(&mut batch.steps);
        if !batch.arrived.is_empty() {
            shares.goes_on(at);
        }
        for Held { row, tried, .. } in std::mem::take(&mut batch.arrived) {
            let before = rows[row][..tried].iter().map(|&(_, steps)| steps).sum();
            batch.parked[rows[row][tried].0].push_back(Held { row, tried, before, at: now, all });
            batch.mine.push(row);
        }
        let went_on = std::mem::take(&mut batch.running).into_iter().map(|row| Running { left: row.left - steps, ..row });
        let (ended, running): (Vec<Running>, Vec<Running>) = went_on.partition(|row| row.left == 0);
        batch.running = running;
        let mut gifts = Vec::new();
        for Running { held, .. } in ended {
            let tried = held.tried + 1;
            if let Some(&(part, left)) = rows[held.row].get(tried) {
                let held = Held { tried, ..held };
                if let Some(to) = shares.taker(at) {
                    shares.given(at, to);
                    batch.mine.retain(|&mine| mine != held.row);
                    gifts.push((to, held));
                } else if part == batch.part {
                    batch.running.push(Running { held, left });
                } else {
                    batch.parked[part].push_back(held);
                }
                continue;
            }
            assert!(!std::mem::replace(&mut done[held.row], true), "row {} ended twice", held.row);
            batch.mine.retain(|&mine| mine != held.row);
            let whole: u32 = rows[held.row].iter().map(|&(_, steps)| steps).sum();
            let row = Ended { work: (whole - held.before).into(), whole: whole.into(), seconds: now - held.at, all: batch.all - held.all };
            shares.ended(at, row);
            last = last.max(now);
        }
        let batch = &mut batches[at];
        while batch.next.len() + batch.has_parked() > 0
            && let Some(to) = shares.taker(at)
        {
            let parked = batch.parked.iter_mut().rev().find_map(VecDeque::pop_back);
            let unbegun = |row| Held { row, tried: 0, before: 0, at: now, all: 0.0 };
            let held = parked.or_else(|| batch.next.pop_front().map(unbegun)).expect("one waits");
            shares.given(at, to);
            batch.mine.retain(|&mine| mine != held.row);
            gifts.push((to, held));
        }
        // They arrive where the receiver is between two steps.
        for (to, held) in gifts {
            batches[to].arrived.push(held);
            batches[to].cut(now);
        }
        if batches[at].running.is_empty() {
            let turns = 1..=PARTS.len();
            let part = batches[at].part;
            let wanted = turns.map(|ahead| (part + ahead) % PARTS.len()).find(|&part| !batches[at].parked[part].is_empty());
            batches[at].part = wanted.unwrap_or(0);
        }
        while batches[at].running.len() < batches[at].machine.slots {
            let part = batches[at].part;
            if let Some(held) = batches[at].parked[part].pop_front() {
                batches[at].running.push(Running { held, left: rows[held.row][held.tried].1 });
                continue;
            }
            let parked = batches[at].has_parked();
            if part > 0 || parked >= PARKED_BATCHES * batches[at].machine.slots {
                break;
            }
            if batches[at].next.is_empty() {
                match shares.ask(at, now) {
                    Grant::Take(count) => {
                        let taken: Vec<usize> = (0..count).map(|_| queue.pop().expect("no more is granted than there is")).collect();
                        batches[at].exhausted = false;
                        batches[at].mine.extend(&taken);
                        batches[at].next.extend(taken);
                    }
                    Grant::Relieve(slow) => {
                        let slower = &mut batches[slow];
                        // It notices after its step.
                        slower.cut(now);
                        slower.steps = 0;
                        slower.running.clear();
                        slower.next.clear();
                        slower.parked.iter_mut().for_each(VecDeque::clear);
                        let gifts = std::mem::take(&mut slower.arrived).into_iter().map(|held| held.row);
                        let back: Vec<usize> = std::mem::take(&mut slower.mine).into_iter().chain(gifts).collect();
                        shares.relieve(slow, back.len());
                        queue.extend(back);
                        continue;
                    }
                    Grant::End if batches[at].running.is_empty() && parked == 0 => {
                        batches[at].over = true;
                        break;
                    }
                    Grant::Wait | Grant::End => {
                        batches[at].exhausted = true;
                        break;
                    }
                }
            }
            let row = batches[at].next.pop_front().expect("a grant is one row at least");
            let held = Held { row, tried: 0, before: 0, at: now, all: batches[at].all };
            batches[at].running.push(Running { held, left: rows[row][0].1 });
        }
        let batch = &mut batches[at];
        batch.steps = batch.running.iter().map(|row| row.left).min().unwrap_or(0);
        let new = batch.part == 0 && batch.has_parked() < PARKED_BATCHES * batch.machine.slots && !batch.exhausted;
        batch.width = batch.machine.width(if new { batch.machine.slots } else { batch.running.len() });
        let seconds = f64::from(batch.steps) * batch.machine.seconds(batch.width);
        batch.busy += seconds;
        batch.all += f64::from(batch.steps) * batch.width as f64;
        batch.now += if batch.steps > 0 { seconds } else { ASK_AGAIN * fastest };
        // What waits on others goes where there is room after the step that they are in.
        for other in (0..batches.len()).filter(|&other| other != at) {
            if batches[other].has_parked() + batches[other].next.len() > 0 && shares.taker(other).is_some() {
                batches[other].cut(now);
            }
        }
    }
    assert!(done.iter().all(|&done| done), "a row was not run");
    let steps = |row: &Vec<(usize, u32)>| f64::from(row.iter().map(|&(_, steps)| steps).sum::<u32>());
    let work: f64 = rows.iter().map(steps).sum();
    let longest = rows.iter().map(steps).fold(0.0, f64::max);
    let speed: f64 = machines.iter().map(|machine| machine.slots as f64 / machine.step).sum();
    let quickest = machines.iter().map(|machine| machine.seconds(machine.width(1))).fold(f64::INFINITY, f64::min);
    let bound = (work / speed).max(longest * quickest);
    // A device whose rows were taken back may end its step after the last row.
    let busy: f64 = batches.iter().map(|batch| batch.busy.min(last)).sum();
    Outcome { seconds: last, busy: busy / (last * machines.len() as f64), of_bound: bound / last }
}

/// Devices of one kind, bound by their launches.
pub fn equal(count: usize, slots: usize) -> Vec<Machine> {
    vec![Machine { slots, step: 1.0, fixed: 1.0 }; count]
}

/// Devices that take so many times as long over a step, bound by their launches.
pub fn mixed(times: &[f64], slots: usize) -> Vec<Machine> {
    times.iter().map(|&step| Machine { slots, step, fixed: 1.0 }).collect()
}

/// The same, bound by arithmetic.
pub fn by_arithmetic(machines: Vec<Machine>) -> Vec<Machine> {
    machines.into_iter().map(|machine| Machine { fixed: 0.0, ..machine }).collect()
}
