//! The slots of a run's workers, played through: who sits where, when the batch steps and what that takes. It follows the engine's own
//! rules (`engine::seats`) but for the moment when slots go: rows are taken to lie side by side at all times.

use std::collections::VecDeque;

use super::pace::Hand;
use super::toil::Toil;

/// Chains of one worker that wait for a later part, in batches, before the first part takes no more.
const PARKED_BATCHES: usize = 8;

/// Examples that are played through at most; more of the same take as much longer as they are more.
const PLAYED: usize = 4096;

/// Wall seconds of workers that share a queue of examples, from the first step to the last judgement.
pub fn seconds<'a>(hands: &[Hand], toils: impl ExactSizeIterator<Item = &'a Toil>) -> f64 {
    let all = toils.len();
    let mut queue: VecDeque<&Toil> = toils.take(PLAYED).filter(|toil| !toil.stints.is_empty()).collect();
    let scale = all.max(1) as f64 / all.clamp(1, PLAYED) as f64;
    let mut benches: Vec<Bench> = hands.iter().map(Bench::new).collect();
    // Whoever is earliest goes on, as it would on the clock.
    let next = |benches: &[Bench]| {
        let busy = benches.iter().enumerate().filter(|(_, bench)| !bench.done);
        busy.min_by(|(_, a), (_, b)| a.clock.total_cmp(&b.clock)).map(|(at, _)| at)
    };
    while let Some(at) = next(&benches) {
        let device = benches[at].hand.device;
        let alone = !benches.iter().enumerate().any(|(other, bench)| other != at && !bench.done && bench.hand.device == device);
        benches[at].turn(&mut queue, alone);
    }
    scale * benches.iter().map(|bench| bench.clock).fold(0.0, f64::max)
}

/// A chain somewhere between the queue and its end.
#[derive(Clone, Copy)]
struct Chain<'a> {
    toil: &'a Toil,
    /// The stint that it is at, or waits for.
    stint: usize,
}

struct Seat<'a> {
    chain: Chain<'a>,
    left: u32,
}

/// One worker's slots.
struct Bench<'a> {
    hand: &'a Hand,
    seats: Vec<Option<Seat<'a>>>,
    part: usize,
    waiting: Vec<VecDeque<Chain<'a>>>,
    exhausted: bool,
    claims: usize,
    clock: f64,
    done: bool,
}

impl<'a> Bench<'a> {
    fn new(hand: &'a Hand) -> Self {
        Self {
            hand,
            seats: (0..hand.slots).map(|_| None).collect(),
            part: 0,
            waiting: hand.parts.iter().map(|_| VecDeque::new()).collect(),
            exhausted: false,
            claims: 0,
            clock: 0.0,
            done: false,
        }
    }

    fn turn(&mut self, queue: &mut VecDeque<&'a Toil>, alone: bool) {
        for slot in 0..self.seats.len() {
            if self.seats[slot].is_none() {
                let Some(chain) = self.next(queue) else { break };
                self.seats[slot] = Some(Seat { chain, left: chain.toil.stints[chain.stint].steps });
            }
        }
        let taken = self.seats.iter().flatten().map(|seat| seat.left).min();
        if let Some(least) = taken {
            self.step(least, alone);
        } else if let Some(part) = self.next_part() {
            self.part = part;
        } else {
            if self.claims > 0 {
                self.judge(self.claims, alone);
            }
            self.done = true;
        }
    }

    /// Steps until a row ends, and lets those that did leave.
    fn step(&mut self, least: u32, alone: bool) {
        let Hand { block, cadence, turn, .. } = *self.hand;
        let steps = (least as usize).next_multiple_of(cadence);
        let running = self.seats.iter().flatten().count();
        let (occupied, blocks) = (running.div_ceil(block), self.hand.blocks());
        let pace = self.hand.parts[self.part].step(occupied, blocks, alone);
        // Rows that end together ask for no gradient at their last step.
        let together = self.seats.iter().flatten().all(|seat| seat.left as usize <= steps);
        let last = if together { pace.min(self.hand.decision.step(occupied, blocks, alone)) } else { pace };
        self.clock += (steps - 1) as f64 * pace + last + turn;
        for seat in &mut self.seats {
            let Some(Seat { chain, left }) = seat else { continue };
            *left = left.saturating_sub(steps as u32);
            if *left > 0 {
                continue;
            }
            let ended = chain.toil.stints[chain.stint];
            self.claims += usize::from(ended.claims);
            chain.stint += 1;
            match chain.toil.stints.get(chain.stint) {
                Some(next) if next.part == self.part => *left = next.steps,
                Some(next) => {
                    self.waiting[next.part].push_back(*chain);
                    *seat = None;
                }
                None => *seat = None,
            }
        }
        while self.claims >= self.hand.slots {
            self.judge(self.hand.slots, alone);
        }
    }

    fn judge(&mut self, claims: usize, alone: bool) {
        self.clock += self.hand.decision.step(claims.div_ceil(self.hand.block), self.hand.blocks(), alone);
        self.claims -= claims;
    }

    fn next(&mut self, queue: &mut VecDeque<&'a Toil>) -> Option<Chain<'a>> {
        if let Some(chain) = self.waiting[self.part].pop_front() {
            return Some(chain);
        }
        let parked: usize = self.waiting.iter().map(VecDeque::len).sum();
        if self.part > 0 || parked >= PARKED_BATCHES * self.hand.slots {
            return None;
        }
        let toil = queue.pop_front();
        self.exhausted = toil.is_none();
        toil.map(|toil| Chain { toil, stint: 0 })
    }

    fn next_part(&self) -> Option<usize> {
        let parts = self.waiting.len();
        let wanted = |&part: &usize| !self.waiting[part].is_empty() || part == 0 && !self.exhausted;
        (1..=parts).map(|ahead| (self.part + ahead) % parts).find(wanted)
    }
}
