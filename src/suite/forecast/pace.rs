//! How long a step of a batch takes.

use serde::Serialize;

/// Seconds of one step of a worker's batch: all draws of a random defence, and all that an attack does around the network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Pace {
    /// With one block of rows.
    pub one: f64,
    /// With every slot taken, while all workers of the device step.
    pub full: f64,
    /// With every slot taken, while the device's other workers have nothing left to do.
    pub alone: f64,
}

impl Pace {
    /// The same whatever steps.
    pub fn flat(seconds: f64) -> Self {
        Self { one: seconds, full: seconds, alone: seconds }
    }

    /// With so many of all blocks occupied: a straight line between one and all.
    pub fn step(self, occupied: usize, blocks: usize, alone: bool) -> f64 {
        let share = if blocks > 1 { occupied.saturating_sub(1) as f64 / (blocks - 1) as f64 } else { 1.0 };
        let all = if alone { self.alone } else { self.full };
        self.one + share * (all - self.one)
    }
}

/// One worker of a device, and its paces with one defence and one attack.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Hand {
    /// Number of its device.
    pub device: usize,
    /// Rows at once.
    pub slots: usize,
    /// Rows that the device computes together. What runs is taken to be side by side, so that a block is begun where the one before is
    /// full.
    pub block: usize,
    /// Steps between two looks at the flags.
    pub cadence: usize,
    /// Steps of the attack's parts.
    pub parts: Vec<Pace>,
    /// A decision of the judge.
    pub decision: Pace,
    /// Seconds of a look at the flags that lets rows leave and others in.
    pub turn: f64,
}

impl Hand {
    pub(super) fn blocks(&self) -> usize {
        self.slots.div_ceil(self.block)
    }

    /// The same worker with one pace for whatever it runs.
    #[must_use]
    pub fn at(&self, pace: Pace) -> Self {
        Self { parts: vec![pace], ..self.clone() }
    }
}
