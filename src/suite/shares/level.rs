//! Rows that are under way go from a device to another of its kind, between two attempts, where nothing is left to take: a row's state is
//! then all on the host, and what it comes to is the same on every device of a kind.

use super::{Device, Shares};

impl Shares {
    /// The device that `device` had best give one of its rows to, between two attempts of the row.
    pub fn taker(&self, device: usize) -> Option<usize> {
        let Device { held, kind, .. } = self.devices[device];
        if self.left > 0 || kind.is_none() || held == 0 {
            return None;
        }
        let like = |&at: &usize| at != device && self.devices[at].kind == kind && self.may_take(at);
        let to = self.present().filter(like).filter(|&at| self.devices[at].waits).min_by_key(|&at| self.devices[at].held)?;
        let theirs = self.devices[to].held;
        (held >= theirs + 2).then_some(to)
    }

    /// `device` gave a row to another. The row is as old there as it was.
    pub fn given(&mut self, device: usize, to: usize) {
        let Device { taken, .. } = self.devices[device];
        self.devices[device].held -= 1;
        let other = &mut self.devices[to];
        other.taken = if other.held == 0 { taken } else { other.taken.min(taken) };
        other.held += 1;
    }

    /// A device that waited goes on with the rows that it was given.
    pub fn goes_on(&mut self, device: usize) {
        self.devices[device].waits = false;
    }
}
