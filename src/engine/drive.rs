//! What a run of one attack over examples needs, and where they come from and go.

use burn::tensor::{Device, Tensor, TensorData};

use super::chain::Chain;
use super::examples::Examples;
use super::judge::Judgement;
use super::oracle::Oracle;
use super::seats::Seats;
use super::slots::Slots;
use crate::Result;
use crate::attack::Attack;
use crate::data::Dataset;
use crate::kernel::random::philox;
use crate::threat::Norm;

/// Where chains come from and where they go.
pub trait Feed {
    /// The next example, or `None` where there is none now; asked again while rows run.
    fn take(&mut self) -> Option<Chain>;

    /// Chains that were given to the device, to go on with.
    fn receive(&mut self) -> Vec<Chain> {
        Vec::new()
    }

    /// Whether another device is to go on with one of the chains, if one is between two rows.
    fn spares(&self) -> bool {
        false
    }

    /// Takes a chain that another device is to go on with.
    ///
    /// # Errors
    /// As [`Feed::finish`].
    fn give(&mut self, _chain: Chain) -> Result<()> {
        Ok(())
    }

    /// Whether the point that broke this chain at this epsilon is wanted for the gallery.
    fn wants_point(&self, chain: &Chain) -> bool;

    /// A point that was wanted.
    fn point(&mut self, chain: &Chain, judgement: Judgement);

    /// Whether the run is to end as it stands, its rows being another's now.
    fn is_over(&self) -> bool {
        false
    }

    /// Hears what the device has done since the run began.
    fn worked(&mut self, _effort: Effort) {}

    /// A chain that is settled.
    ///
    /// # Errors
    /// The run has to stop: it cannot be written down, or was interrupted.
    fn finish(&mut self, chain: Chain) -> Result<()>;
}

/// What the device did.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Effort {
    /// Slot-steps, judgements included, whatever the slots held.
    pub slots: u64,
    /// Forward passes: of all slots, or what of them a compiled plan computed ([`Oracle::computed`]).
    pub forwards: u64,
    /// Backward passes likewise.
    pub backwards: u64,
    /// Slot-steps that held a running row or a claim.
    pub occupied: u64,
    /// Slot-steps while rows waited for a slot, judgements left out.
    pub fed_slots: u64,
    /// Those of them that held a running row.
    pub fed_occupied: u64,
}

impl std::ops::AddAssign for Effort {
    fn add_assign(&mut self, other: Self) {
        self.slots += other.slots;
        self.forwards += other.forwards;
        self.backwards += other.backwards;
        self.occupied += other.occupied;
        self.fed_slots += other.fed_slots;
        self.fed_occupied += other.fed_occupied;
    }
}

/// Examples on a device, flat: [examples, features].
pub fn send(data: &Dataset, device: &Device) -> Tensor<2> {
    Tensor::from_data(TensorData::new(data.images(), [data.len(), data.features()]), device)
}

/// Rows that step together: those of a part, in half precision where it searches so, or in full.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Lane {
    pub part: usize,
    pub full: bool,
}

impl Lane {
    pub fn index(self) -> usize {
        2 * self.part + usize::from(self.full)
    }

    pub fn at(index: usize) -> Self {
        Self { part: index / 2, full: index % 2 == 1 }
    }
}

/// Runs one attack under one norm over everything that a feed gives.
pub struct Drive<'a> {
    /// The defence.
    pub oracle: &'a Oracle,
    /// The defence that attacks step on, where that is another one.
    pub surrogate: Option<&'a Oracle>,
    /// The examples.
    pub data: &'a dyn Examples,
    /// The attack's parts: each runs on what those before it left standing.
    pub parts: &'a [Box<dyn Attack>],
    /// The norm.
    pub norm: Norm,
    /// Key of the attack's random stream.
    pub key: [u32; 2],
    /// How many rows run at once, at most.
    pub slots: usize,
    /// The most steps between two looks at the flags: 1 on the CPU, a few on a GPU whose steps are short, so that it does not wait for the
    /// host. No outcome depends on it.
    pub cadence: usize,
}

impl Drive<'_> {
    /// Runs until the feed has no more and every chain is settled, or until the feed says that it is over.
    ///
    /// # Errors
    /// A device that stops answering, or what the feed reports. Chains that were finished stay finished.
    pub fn run(&self, feed: &mut dyn Feed) -> Result<Effort> {
        let mut seats = Seats::new(self, feed);
        while seats.turn()? {}
        Ok(seats.effort())
    }

    pub(super) fn empty_slots(&self, part: usize, width: usize) -> Slots {
        Slots::new(width, self.oracle.shape(), self.norm, self.parts[part].planes(), self.oracle.device())
    }

    /// The part that an attempt belongs to, and its number among the part's own.
    pub(super) fn part_of(&self, attempt: u32) -> (usize, u32) {
        let mut left = attempt;
        for (part, attack) in self.parts.iter().enumerate() {
            if left < attack.attempts() {
                return (part, left);
            }
            left -= attack.attempts();
        }
        unreachable!("a chain has as many attempts as the parts have together")
    }

    /// Key of a part's random stream.
    pub(super) fn part_key(&self, part: usize) -> [u32; 2] {
        match part {
            0 => self.key,
            _ => philox([part as u32, 0, 0, u32::MAX], self.key)[..2].try_into().expect("two of four words"),
        }
    }

    /// The defence that a lane's rows step on.
    pub(super) fn stepped(&self, lane: Lane) -> &Oracle {
        self.half(lane).or(self.surrogate).unwrap_or(self.oracle)
    }

    /// The defence in half precision, where a lane's rows search on it.
    pub(super) fn half(&self, lane: Lane) -> Option<&Oracle> {
        let wanted = !lane.full && self.surrogate.is_none() && self.parts[lane.part].searches_in_half();
        self.oracle.half().filter(|_| wanted)
    }

    /// Throws that a step averages over.
    pub(super) fn throws(&self, lane: Lane) -> u32 {
        self.stepped(lane).throws(self.parts[lane.part].draws())
    }
}
