//! Devices on a simulated clock: what the engine does with its slots, driven by the decisions that real workers are driven by.
//!
//! A device holds a batch of slots, and rows that end leave theirs to the next; once no new rows come, those that are left go on in half of
//! the slots, a quarter and so on. A part of a step's time is the same in any number of slots, the rest follows them: all of it where
//! launches bound a device, none where arithmetic does. An attack is AutoAttack's: a row that one part leaves standing waits for the next,
//! and a device turns to another part once its slots are empty, taking new examples in the first part only and only while few wait for a
//! later one.

use std::collections::VecDeque;

use gauntlet::suite::shares::{Grant, Shares};

/// Steps of AutoAttack's parts: APGD-CE, APGD-T, FAB-T, and Square, whose queries take no backward pass.
const PARTS: [u32; 4] = [100, 900, 900, 1667];
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

/// Steps of each row, part by part; the last one is where it breaks, or the last of all.
pub fn rows(examples: usize, stand: f64) -> Vec<Vec<u32>> {
    let mut random = 1u64;
    let mut unit = move || {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 11) as f64 / (1u64 << 53) as f64
    };
    let [least, most] = AT_ONCE;
    let mut row = |_| {
        let (stands, at) = (unit() < stand, unit());
        if stands { PARTS.to_vec() } else { vec![least + (at * f64::from(most - least + 1)) as u32] }
    };
    (0..examples).map(&mut row).collect()
}

struct Running {
    row: usize,
    part: usize,
    left: u32,
    taken: Taken,
}

/// When a row was taken, and what its device had done by then.
#[derive(Clone, Copy)]
struct Taken {
    at: f64,
    all: f64,
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
    parked: Vec<VecDeque<(usize, Taken)>>,
    mine: Vec<usize>,
}

/// Runs rows on machines as the scheduler shares them out.
pub fn run(machines: &[Machine], rows: &[Vec<u32>]) -> Outcome {
    let slots: Vec<usize> = machines.iter().map(|machine| machine.slots).collect();
    let mut shares = Shares::new(rows.len(), &slots);
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
        mine: Vec::new(),
    };
    let mut batches: Vec<Batch> = machines.iter().map(batch).collect();
    let mut done = vec![false; rows.len()];
    let mut last = 0.0f64;
    // The device whose clock is furthest behind goes on to its next event.
    while let Some(at) = (0..batches.len()).filter(|&at| !batches[at].over).min_by(|&a, &b| batches[a].now.total_cmp(&batches[b].now)) {
        let now = batches[at].now;
        let batch = &mut batches[at];
        let steps = std::mem::take(&mut batch.steps);
        let went_on = std::mem::take(&mut batch.running).into_iter().map(|row| Running { left: row.left - steps, ..row });
        let (ended, running): (Vec<Running>, Vec<Running>) = went_on.partition(|row| row.left == 0);
        batch.running = running;
        for Running { row, part, taken, .. } in ended {
            if part + 1 < rows[row].len() {
                batch.parked[part + 1].push_back((row, taken));
                continue;
            }
            assert!(!std::mem::replace(&mut done[row], true), "row {row} ended twice");
            batch.mine.retain(|&mine| mine != row);
            shares.ended(at, rows[row].iter().sum::<u32>().into(), now - taken.at, batch.all - taken.all);
            last = last.max(now);
        }
        if batches[at].running.is_empty() {
            let turns = 1..=PARTS.len();
            let part = batches[at].part;
            let wanted = turns.map(|ahead| (part + ahead) % PARTS.len()).find(|&part| !batches[at].parked[part].is_empty());
            batches[at].part = wanted.unwrap_or(0);
        }
        while batches[at].running.len() < batches[at].machine.slots {
            let part = batches[at].part;
            if let Some((row, taken)) = batches[at].parked[part].pop_front() {
                batches[at].running.push(Running { row, part, left: rows[row][part], taken });
                continue;
            }
            let parked: usize = batches[at].parked.iter().map(VecDeque::len).sum();
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
                        let back = std::mem::take(&mut batches[slow].mine);
                        shares.relieve(slow, back.len());
                        queue.extend(back);
                        // It notices after its step.
                        let over = (batches[slow].now - now - batches[slow].machine.seconds(batches[slow].width)).max(0.0);
                        batches[slow].now -= over;
                        batches[slow].busy -= over;
                        batches[slow].steps = 0;
                        batches[slow].running.clear();
                        batches[slow].next.clear();
                        batches[slow].parked.iter_mut().for_each(VecDeque::clear);
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
            let taken = Taken { at: now, all: batches[at].all };
            batches[at].running.push(Running { row, part: 0, left: rows[row][0], taken });
        }
        let batch = &mut batches[at];
        batch.steps = batch.running.iter().map(|row| row.left).min().unwrap_or(0);
        let parked: usize = batch.parked.iter().map(VecDeque::len).sum();
        let new = batch.part == 0 && parked < PARKED_BATCHES * batch.machine.slots && !batch.exhausted;
        batch.width = batch.machine.width(if new { batch.machine.slots } else { batch.running.len() });
        let seconds = f64::from(batch.steps) * batch.machine.seconds(batch.width);
        batch.busy += seconds;
        batch.all += f64::from(batch.steps) * batch.width as f64;
        batch.now += if batch.steps > 0 { seconds } else { ASK_AGAIN * fastest };
    }
    assert!(done.iter().all(|&done| done), "a row was not run");
    let work: f64 = rows.iter().flatten().map(|&steps| f64::from(steps)).sum();
    let longest = rows.iter().map(|row| row.iter().sum::<u32>()).max().map_or(0.0, f64::from);
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
