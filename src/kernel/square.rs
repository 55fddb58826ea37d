//! What the Square attack's kernels share (Andriushchenko et al. 2020, "Square Attack: a query-efficient black-box adversarial attack
//! via random search"): the schedule of window sizes, the patterns' scales, and a row's draws; `shaders/shared/square.wgsl` has the same.
//!
//! The random counter is (block, step, restart, example), the step being 0 for a start. Bit i of a step's signs is bit i % 128 of block
//! i / 128; the windows' corners are block [`ROW_BLOCK`], whatever else is drawn the block before it.

use bytemuck::{Pod, Zeroable};

use super::random::{ROW_BLOCK, philox};
use super::row::Row;
use crate::threat::Norm;

/// The stages of the schedule: the share p of the pixels is halved from each to the next.
pub const STAGES: usize = 10;

/// The last proposal, from 0, of every stage but the last, in a schedule for 10,000 queries (section 4, and the authors' code).
const LAST_PROPOSALS: [u32; STAGES - 1] = [10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000];

/// Window sizes by proposal and what they imply.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Pod, Zeroable)]
pub struct Schedule {
    /// 1: lengths and patterns are those of l1; 0: of l2.
    pub manhattan: u32,
    /// The last proposal, from 0, of every stage but the last.
    pub after: [u32; STAGES - 1],
    /// The window's side in every stage, pixels; at [`STAGES`] the side of the tiles that an l2 or l1 start has.
    pub sides: [u32; STAGES + 1],
    /// One over the norm of the upper half of the pattern of the same place in `sides`, times the share that the half has of the whole.
    pub upper: [f32; STAGES + 1],
    /// Likewise for the lower half.
    pub lower: [f32; STAGES + 1],
}

impl Schedule {
    /// The schedule for images of `height` times `width` pixels, windows of `p` (0 to 1) of the pixels at first, for `queries` forward
    /// passes; with `rescale` the stages last in proportion to `queries`, without as they do in 10,000.
    ///
    /// The side is the nearest whole number to `sqrt(p height width)`, at least 1, under l2 and l1 at least 3 and odd; never more than
    /// the image's shorter side. A tile's side is a fifth of the height.
    pub fn new(norm: Norm, queries: u32, p: f64, rescale: bool, [height, width]: [usize; 2]) -> Self {
        let shorter = height.min(width) as u32;
        let rescaled = |last: u32| (u64::from(last + 1) * u64::from(queries)).div_ceil(10_000) as u32 - 1;
        let sides = std::array::from_fn(|stage| {
            if stage == STAGES {
                return (height as u32 / 5).max(1).min(shorter);
            }
            let share = p / f64::from(1 << stage);
            let side = (share * (height * width) as f64).sqrt().round_ties_even() as u32;
            let side = if norm == Norm::Linf { side.max(1) } else { side.max(3) | 1 };
            side.min(shorter)
        });
        let scales = sides.map(|side| scales(side, norm));
        Self {
            manhattan: (norm == Norm::L1).into(),
            after: LAST_PROPOSALS.map(|last| if rescale { rescaled(last) } else { last }),
            sides,
            upper: scales.map(|[upper, _]| upper),
            lower: scales.map(|[_, lower]| lower),
        }
    }

    /// The stage of a proposal, counted from 0.
    pub fn stage(&self, proposal: u32) -> usize {
        self.after.iter().filter(|&&last| proposal > last).count()
    }

    /// The pattern of the stage at a place of its window: norm 1, two halves of opposite signs, each of which falls from its middle in
    /// square rings: a place in ring r has the sum of `k^-2`, under l1 `k^-4`, over k from r + 1 to side / 2 + 1 (section 5 and the
    /// authors' code). `transposed` puts the halves side by side.
    pub fn pattern(&self, stage: usize, line: usize, column: usize, transposed: bool) -> f32 {
        let (along, across) = if transposed { (column, line) } else { (line, column) };
        let side = self.sides[stage] as usize;
        let scale = if along < side / 2 { self.upper[stage] } else { -self.lower[stage] };
        scale * falling(side, along, across, self.manhattan == 1)
    }
}

/// The pattern before it is scaled.
fn falling(side: usize, along: usize, across: usize, manhattan: bool) -> f32 {
    let half = side / 2;
    let middle = if along < half { half / 2 } else { half + (side - half) / 2 };
    let ring = along.abs_diff(middle).max(across.abs_diff(half));
    let term = |k: usize| {
        let square = (k * k) as f32;
        1.0 / if manhattan { square * square } else { square }
    };
    (ring + 1..=half + 1).map(term).sum()
}

fn scales(side: u32, norm: Norm) -> [f32; 2] {
    let side = side as usize;
    let manhattan = norm == Norm::L1;
    let length = |lines: std::ops::Range<usize>| {
        let values = lines.flat_map(|line| (0..side).map(move |column| f64::from(falling(side, line, column, manhattan))));
        if manhattan { values.sum::<f64>() } else { values.map(|value| value * value).sum::<f64>().sqrt() }
    };
    // A window of one pixel has no upper half.
    let halves: f64 = if side == 1 { 1.0 } else { 2.0 };
    let whole = if manhattan { halves } else { halves.sqrt() };
    [length(0..side / 2), length(side / 2..side)].map(|length| if length > 0.0 { (1.0 / (length * whole)) as f32 } else { 0.0 })
}

/// Parameters of both shaders.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Pod, Zeroable)]
pub struct Parameters {
    /// B.
    pub rows: u32,
    /// Channels of an image.
    pub channels: u32,
    /// Height of an image, pixels.
    pub height: u32,
    /// Width of an image, pixels.
    pub width: u32,
    /// The schedule.
    pub schedule: Schedule,
}

impl Parameters {
    /// For so many rows of images of `shape`: channels, height, width.
    pub(crate) fn new(rows: usize, [channels, height, width]: [usize; 3], schedule: Schedule) -> Self {
        Self { rows: rows as u32, channels: channels as u32, height: height as u32, width: width as u32, schedule }
    }

    /// The shape of an image.
    pub(crate) fn shape(&self) -> [usize; 3] {
        [self.channels, self.height, self.width].map(|size| size as usize)
    }
}

/// The draws of a row in a step.
pub(crate) struct Draws<'a> {
    pub row: &'a Row,
    pub step: u32,
}

impl Draws<'_> {
    fn words(&self, block: u32) -> [u32; 4] {
        philox([block, self.step, self.row.restart, self.row.example], self.row.key)
    }

    /// Upper left corners (top, left) of two windows.
    pub fn corners(&self, side: usize, [_, height, width]: [usize; 3]) -> [[usize; 2]; 2] {
        let [a, b, c, d] = self.words(ROW_BLOCK);
        let corner = |top, left| [below(top, height - side + 1), below(left, width - side + 1)];
        [corner(a, b), corner(c, d)]
    }

    /// A bit for the pattern's direction, and a whole number below `bound`.
    pub fn extras(&self, bound: usize) -> (bool, usize) {
        let [bit, number, ..] = self.words(ROW_BLOCK - 1);
        (bit >> 31 == 1, below(number, bound))
    }

    /// The random bit number `index`.
    pub fn bit(&self, index: usize) -> bool {
        (self.words(index as u32 / 128)[index / 32 % 4] >> (index % 32)) & 1 == 1
    }

    /// The same as a sign.
    pub fn sign(&self, index: usize) -> f32 {
        if self.bit(index) { 1.0 } else { -1.0 }
    }
}

/// A word as a whole number below `bound`.
fn below(word: u32, bound: usize) -> usize {
    ((u64::from(word) * bound as u64) >> 32) as usize
}

/// An image's shape for a sample of so many columns: three channels where they divide it, as nearly square as they allow.
pub(crate) fn sample_shape(columns: usize) -> [usize; 3] {
    let channels = if columns.is_multiple_of(3) { 3 } else { 1 };
    let plane = columns / channels;
    let height = (1..=plane.isqrt()).rev().find(|&height| plane.is_multiple_of(height)).unwrap_or(1);
    [channels, height, plane / height]
}
