//! Draws of a random defence: what it throws its dice with.

use crate::kernel::random::{philox, unit};

/// Sets a defence's draws apart from the attack's own.
const STREAM: u32 = 0x6472_6177;

/// The row that a draw is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DrawRow {
    /// Key of the random stream.
    pub key: [u32; 2],
    /// The example's stable id.
    pub example: u32,
    /// The attempt.
    pub attempt: u32,
    /// The step, or where there is none what tells one draw from another.
    pub step: u32,
}

/// One throw for every row of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draw {
    /// The batch's rows.
    pub rows: Vec<DrawRow>,
    /// Which of several throws it is.
    pub number: u32,
}

impl Draw {
    /// The throw of a batch of `count` rows against a defence that throws no dice.
    pub fn none(count: usize) -> Self {
        Self { rows: vec![DrawRow::default(); count], number: 0 }
    }

    /// Four words for an element of a row.
    pub fn words(&self, row: usize, element: u32) -> [u32; 4] {
        let DrawRow { key, example, attempt, step } = self.rows[row];
        // The step and the throw share a word's place by the key: a row has far fewer than 2^32 of each.
        philox([element, step, attempt, example], [key[0] ^ STREAM, key[1].wrapping_add(self.number)])
    }

    /// A uniform number in [0, 1) for an element of a row.
    pub fn unit(&self, row: usize, element: u32) -> f32 {
        unit(self.words(row, element)[0])
    }
}
