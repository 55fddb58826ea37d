//! Draws of a random defence: what it throws its dice with.

use burn::tensor::{Device, Int, Tensor};
use bytemuck::{Pod, Zeroable};

use crate::kernel::random::{philox, unit};
use crate::kernel::words::upload;

/// Sets a defence's draws apart from the attack's own.
const STREAM: u32 = 0x6472_6177;

/// Sets the layers of a stack apart: two of a kind draw different numbers.
const LAYER: u32 = 0x9E37_79B9;

/// The row that a draw is for.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
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
    /// The batch's rows; nobody wants an answer for those that are `None`.
    pub rows: Vec<Option<DrawRow>>,
    /// Which of several throws it is.
    pub number: u32,
    /// Which layer of a stack throws, the outermost being 0.
    pub layer: u32,
}

impl Draw {
    /// The throw of a batch of `count` rows against a defence that throws no dice.
    pub fn none(count: usize) -> Self {
        Self::of(vec![Some(DrawRow::default()); count])
    }

    /// The first throw of these rows.
    pub fn of(rows: Vec<Option<DrawRow>>) -> Self {
        Self { rows, number: 0, layer: 0 }
    }

    /// The same throw as a layer of a stack sees it.
    #[must_use]
    pub fn at(&self, layer: usize) -> Self {
        Self { layer: layer as u32, ..self.clone() }
    }

    /// The rows that an answer is wanted for, in order.
    pub fn asked(&self) -> Vec<usize> {
        self.rows.iter().enumerate().filter_map(|(at, row)| row.map(|_| at)).collect()
    }

    /// Four words for an element of a row.
    pub fn words(&self, row: usize, element: u32) -> [u32; 4] {
        let DrawRow { key, example, attempt, step } = self.keyed(row);
        philox([element, step, attempt, example], key)
    }

    /// A uniform number in [0, 1) for an element of a row.
    pub fn unit(&self, row: usize, element: u32) -> f32 {
        unit(self.words(row, element)[0])
    }

    /// The rows on a device, for kernels that draw: [`DrawRow`]s whose keys hold stream, layer and throw.
    pub fn upload(&self, device: &Device) -> Tensor<1, Int> {
        upload(&(0..self.rows.len()).map(|row| self.keyed(row)).collect::<Vec<_>>(), device)
    }

    /// The throw shares a word's place with the key: there are far fewer than 2^32 of them.
    fn keyed(&self, row: usize) -> DrawRow {
        let row = self.rows[row].unwrap_or_default();
        let [low, high] = row.key;
        DrawRow { key: [low ^ STREAM ^ self.layer.wrapping_mul(LAYER), high.wrapping_add(self.number)], ..row }
    }
}
