//! How rows end: the flags are read, ended rows leave their slots, and the judge's word on what they claim is passed on.

use super::{Seat, Seats};
use crate::Result;
use crate::engine::chain::{End, Word};
use crate::engine::judge::{Claim, Judgement, Search, under};
use crate::engine::oracle::{read_matrix, read_words};
use crate::kernel;
use crate::kernel::row::{BROKEN, FAILED, RUNNING, SURVIVED, State};
use crate::kernel::words::upload;

impl Seats<'_, '_> {
    /// Reads the flags and lets ended rows leave; a chain with another row keeps its slot, but where another device is to go on with it.
    pub(super) fn leave(&mut self, sound: bool) -> Result<()> {
        let states: Vec<State> = read_words(self.slots.state.clone())?;
        let crafted = self.drive.surrogate.is_some();
        let status = |slot: usize, seat: &Seat| {
            let state = states[slot];
            if !sound {
                FAILED
            } else if state.generation == seat.parameters.generation {
                // What the surrogate withstood may still break the defence.
                if crafted && state.status == SURVIVED { BROKEN } else { state.status }
            } else {
                RUNNING
            }
        };
        let ended: Vec<usize> =
            (0..self.seats.len()).filter(|&slot| self.seats[slot].as_ref().is_some_and(|seat| status(slot, seat) != RUNNING)).collect();
        if ended.is_empty() {
            return Ok(());
        }
        let throws = self.drive.throws(self.lane);
        let attack = &*self.drive.parts[self.lane.part];
        let mut candidates = attack.candidates(&self.slots);
        let half = self.drive.half(self.lane).is_some();
        let stepped = self.drive.stepped(self.lane);
        // Neither the last step's own dice nor half precision decide whether a row survived: the judge does.
        let doubted = half || stepped.is_random() && stepped.is_adaptive();
        let doubtful = |slot: usize, seat: &Seat| doubted && status(slot, seat) == SURVIVED;
        let remain: Vec<i32> = (0..self.seats.len())
            .map(|slot| if self.seats[slot].as_ref().is_some_and(|seat| doubtful(slot, seat)) { slot as i32 } else { -1 })
            .collect();
        let remains = if remain.iter().any(|&slot| slot >= 0) { attack.remains(&self.slots) } else { None };
        let judged = remains.is_some();
        if let Some(points) = remains {
            candidates = kernel::admit(candidates, points, upload(&remain, self.drive.oracle.device()));
        }
        let broken = |slot: usize| sound && (states[slot].status == BROKEN || crafted);
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
            let (forwards, backwards) = (state.forwards * throws, state.backwards * throws);
            let end = match status(slot, &seat) {
                SURVIVED if judged && half => {
                    active.pending += 1;
                    active.held = true;
                    claims.push((slot, self.claim(&seat, Search::RanOut { row: seat.row, forwards, backwards })));
                    continue;
                }
                BROKEN => {
                    active.pending += 1;
                    claims.push((slot, self.claim(&seat, if half { Search::Half } else { Search::Full })));
                    End::Claimed { distance: under(self.drive.norm, &[0, 1, 2, 3].map(|norm| distances[4 * slot + norm])) }
                }
                SURVIVED if judged => {
                    active.pending += 1;
                    claims.push((slot, self.claim(&seat, Search::Full)));
                    End::Doubtful
                }
                SURVIVED => End::Survived,
                FAILED if half && sound => End::Again,
                _ => End::Failed,
            };
            let active = self.active.get_mut(&seat.number).expect("a seated chain is not finished");
            active.chain.record(seat.row, end, forwards, backwards);
            let kept = attack.keeps_for_next_row() && end != End::Failed;
            let movable = !kept && active.pending == 0 && active.chain.next_row().is_some();
            if movable && self.feed.spares() {
                let active = self.active.remove(&seat.number).expect("it was there a line ago");
                self.feed.give(active.chain)?;
                continue;
            }
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

    fn claim(&self, seat: &Seat, search: Search) -> Claim {
        let chain = &self.active[&seat.number].chain;
        Claim {
            chain: seat.number,
            epsilon: seat.row.epsilon,
            row: seat.parameters,
            position: chain.position,
            keep: self.feed.wants_point(chain),
            search,
        }
    }

    /// Passes the judge's words on.
    pub(super) fn hear(&mut self, judgements: Vec<Judgement>) -> Result<()> {
        for judgement in judgements {
            let number = judgement.claim.chain;
            let active = self.active.get_mut(&number).expect("a chain with a claim is not finished");
            let word = match judgement {
                Judgement { failed: true, .. } => Word::Failed,
                Judgement { distances, .. } if !under(self.drive.norm, &distances).is_finite() => Word::Failed,
                Judgement { broken: true, distances, .. } => Word::Broken(under(self.drive.norm, &distances)),
                Judgement { claim: Claim { search: Search::Half, .. }, .. } => Word::Again,
                _ => Word::Refused,
            };
            match judgement.claim.search {
                Search::RanOut { row, forwards, backwards } => {
                    active.held = false;
                    active.chain.ran_out(row, word, forwards, backwards);
                }
                Search::Full | Search::Half => active.chain.judged(judgement.claim.epsilon, word),
            }
            active.pending -= 1;
            let seated = self.seats.iter().flatten().any(|seat| seat.number == number)
                || self.waiting.iter().any(|waiting| waiting.contains(&number));
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
