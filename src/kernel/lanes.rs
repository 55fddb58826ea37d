//! What the kernels of frozen networks share: values [vectors, images] in which the images of an element lie side by side.
//!
//! The number of images is rounded up to a multiple of [`LANES`], so that a word of bits belongs to one element. What becomes of an image
//! depends on its own numbers alone: sums are taken in an order that the number of images has no part in.

use burn::backend::fusion::custom::TensorSpec;
use burn::tensor::{DType, Device, Int, Tensor, TensorData};
use bytemuck::{Pod, Zeroable};

use super::launch::Output;
use super::sample::{Shape, Value};
use super::twin::CpuTensor;
use super::{random, words};

/// Images that a value is rounded up to a multiple of.
pub const LANES: usize = 32;

/// Images that one invocation works on.
pub const QUAD: usize = 4;

/// A result below 0 becomes 0, NaN stays.
pub const RECTIFY: u32 = 1;
/// A result whose bit is not set becomes 0.
pub const GATE: u32 = 2;
/// Where a result was above 0, before it was rectified, is written down, a bit a number.
pub const NOTE: u32 = 4;
/// What is there is added.
pub const ADD: u32 = 8;
/// Zeros are written, whatever is read.
pub const ZERO: u32 = 16;
/// Zeros are written around the value alone.
pub const RING: u32 = 32;

/// Where the vector of (channel, row, column) lies: an origin and so many steps, in vectors.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
pub struct Grid {
    /// That of (0, 0, 0).
    pub origin: u32,
    /// From a channel to the next.
    pub channel: u32,
    /// From a row to the next.
    pub row: u32,
    /// From a column to the next.
    pub column: u32,
}

impl Grid {
    /// The grid of a value without a border.
    pub fn plain([_, rows, columns]: [usize; 3]) -> Self {
        Self { origin: 0, channel: (rows * columns) as u32, row: columns as u32, column: 1 }
    }

    pub(crate) fn at(&self, channel: usize, row: usize, column: usize) -> usize {
        let [origin, down, along, step] = [self.origin, self.channel, self.row, self.column].map(|part| part as usize);
        origin + channel * down + row * along + column * step
    }
}

/// Images of a value that holds `rows` of them.
pub const fn lanes(rows: usize) -> usize {
    rows.next_multiple_of(LANES)
}

/// A result finished as `mode` says: its own bit of `gates`, and whether it was above 0.
pub(crate) fn finish(mode: u32, number: f32, gate: bool) -> (f32, bool) {
    let above = number > 0.0;
    let number = if mode & RECTIFY != 0 && number < 0.0 { 0.0 } else { number };
    (if mode & GATE != 0 && !gate { 0.0 } else { number }, above)
}

/// A value and its bits, as [`outputs`] of a launch: so many vectors of so many quads.
pub(crate) fn outputs(vectors: usize, quads: u32) -> [Output; 2] {
    let images = QUAD * quads as usize;
    [([vectors, images].into(), DType::F32), ([vectors * images / 32].into(), DType::I32)]
}

/// The same for the fusion of operations.
pub(crate) fn specs(vectors: usize, quads: u32) -> (TensorSpec, TensorSpec) {
    outputs(vectors, quads).map(|(shape, dtype)| TensorSpec::new(shape, dtype)).into()
}

/// A value and its bits as a twin writes them.
pub(crate) struct Written {
    images: usize,
    numbers: Vec<f32>,
    bits: Vec<i32>,
}

impl Written {
    pub(crate) fn new(vectors: usize, images: usize) -> Self {
        Self { images, numbers: vec![0.0; vectors * images], bits: vec![0; vectors * images / 32] }
    }

    /// Writes a vector of finished numbers, and the bits where the mode says so.
    pub(crate) fn write(&mut self, vector: usize, bits: usize, mode: u32, numbers: &[(f32, bool)]) {
        for (lane, (number, above)) in numbers.iter().enumerate() {
            self.numbers[vector * self.images + lane] = *number;
            if mode & NOTE != 0 {
                self.bits[(bits * self.images + lane) / 32] |= i32::from(*above) << (lane % 32);
            }
        }
    }

    pub(crate) fn tensors(self) -> (CpuTensor, CpuTensor) {
        let (vectors, words) = (self.numbers.len() / self.images, self.bits.len());
        let numbers = TensorData::new(self.numbers, [vectors, self.images]);
        (CpuTensor::from_data(numbers), CpuTensor::from_data(TensorData::new(self.bits, [words])))
    }
}

/// The bit of an image in the words of a vector.
pub(crate) fn bit(words: &[i32], vector: usize, lanes: usize, lane: usize) -> bool {
    words.get((vector * lanes + lane) / 32).is_some_and(|word| word >> (lane % 32) & 1 == 1)
}

/// Sixteenths in [-2, 2), so that sums of a few hundred products are exact in any order; a tenth of them 0.
pub(crate) fn sixteenths(vectors: usize, images: usize, seed: u32, device: &Device) -> Value {
    let number = |at: usize| {
        let [word, ..] = random::philox([at as u32, seed, 7, 0], [3, 4]);
        if word.is_multiple_of(10) { 0.0 } else { (word >> 8 & 63) as f32 / 16.0 - 2.0 }
    };
    let numbers: Vec<f32> = (0..vectors * images).map(number).collect();
    Value::Floats(Tensor::from_data(TensorData::new(numbers, [vectors, images]), device))
}

/// Bits of such a value, about half of them set.
pub(crate) fn some_bits(vectors: usize, images: usize, device: &Device) -> Value {
    let word = |at: usize| random::philox([at as u32, 5, 7, 0], [3, 4])[0] as i32;
    Value::Words(words::upload(&(0..vectors * images / 32).map(word).collect::<Vec<i32>>(), device))
}

/// The sides that samples give a value of so many vectors.
pub(crate) fn sample_sides(shape: Shape) -> [usize; 3] {
    super::square::sample_shape(shape.rows)
}

/// Whole numbers on the device of a tensor.
pub(crate) fn table(numbers: &[usize], device: &Device) -> Tensor<1, Int> {
    words::upload(&numbers.iter().map(|&number| number as i32).collect::<Vec<i32>>(), device)
}
