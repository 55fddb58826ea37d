//! Convolutions of blocks of images, forward and backward to the input, by one loop. Many of those of 3x3 taps have a
//! faster way in [`super::winograd`].
//!
//! A pass sums, for each pixel of a grid and each output channel, weights times the input at fixed offsets from that pixel. A
//! convolution forward is one such pass. Its gradient with respect to the input is one for each phase of the stride: the pixels that
//! the same taps reach. Padding is the border of zeros that the input value is stored with.

use std::mem::MaybeUninit;

use super::lanes::{BLOCK, Lanes, Task};
use super::layout::Grid;
use super::share::Share;
use super::winograd::Form;

/// One pass.
#[derive(Clone, Debug)]
pub(super) struct Pass {
    pub(super) size: [usize; 2],
    pub(super) groups: usize,
    /// Channels of a group.
    pub(super) inputs: usize,
    pub(super) outputs: usize,
    /// From the input's element of a pixel to what its taps read, in the target's units.
    pub(super) taps: Vec<usize>,
    pub(super) input: Grid,
    pub(super) output: Grid,
    /// In the target's order; those of tiles as [`Form::packed`] has them.
    pub(super) weights: Vec<f32>,
    /// The tiles that it is computed in by Winograd's method, or none.
    pub(super) form: Option<Form>,
    /// One an output of each group, or none.
    pub(super) bias: Vec<f32>,
}

/// A weight by its group, an output and an input of it, and its tap.
pub(super) type Weight<'a> = &'a dyn Fn(usize, usize, usize, usize) -> f32;

/// What a pass is laid out for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Target {
    /// What a vector counts in taps.
    pub(super) vector: usize,
    /// Weights in the order that the target wants, of so many groups, outputs and inputs of each, and taps; `tall` where there is one
    /// column alone.
    pub(super) pack: fn([usize; 4], bool, Weight) -> Vec<f32>,
    /// Whether it has Winograd's method.
    pub(super) winograd: bool,
}

/// This processor: taps in numbers, weights as [group][block of outputs][input][tap][output of the block].
pub(super) const PROCESSOR: Target = Target { vector: BLOCK, pack: packed, winograd: true };

/// What bits do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bits {
    None,
    /// The result is rectified, and where it was above 0 is written down.
    Rectify,
    /// The result is kept where the bits say so, 0 elsewhere.
    Gate,
}

/// What becomes of a sum.
#[derive(Clone, Copy)]
pub(super) struct Finish {
    pub(super) output: (Grid, *mut f32),
    pub(super) add: Option<(Grid, *const f32)>,
    pub(super) bits: Bits,
    pub(super) bits_at: (Grid, *mut u8),
}

/// A pass over given memory, or a share of it.
pub(super) struct Convolve<'a> {
    pub(super) pass: &'a Pass,
    pub(super) input: *const f32,
    pub(super) finish: Finish,
    pub(super) share: Share,
}

/// Outputs that are summed side by side where there is one column alone, as in a dense layer.
const TALL: usize = 8;
const SHORT: usize = 4;
/// Weights of a group beyond which some pieces of rows are computed with each block of them, so that fewer come from far caches.
const MANY_WEIGHTS: usize = 1 << 17;
const AT_ONCE: usize = 8;

/// Sizes of the blocks of outputs.
fn blocks(outputs: usize, tall: bool) -> impl Iterator<Item = (usize, usize)> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let left = outputs - at;
        let size = match left {
            0 => return None,
            _ if tall && left >= TALL => TALL,
            left => left.min(SHORT),
        };
        at += size;
        Some((at - size, size))
    })
}

fn packed([groups, outputs, inputs, taps]: [usize; 4], tall: bool, weight: Weight) -> Vec<f32> {
    let mut weights = Vec::with_capacity(groups * outputs * inputs * taps);
    for group in 0..groups {
        for (first, size) in blocks(outputs, tall) {
            for input in 0..inputs {
                for tap in 0..taps {
                    weights.extend((first..first + size).map(|output| weight(group, output, input, tap)));
                }
            }
        }
    }
    weights
}

impl Task for Convolve<'_> {
    #[inline(always)]
    unsafe fn run<V: Lanes>(self) {
        let pass = self.pass;
        let tall = pass.size[1] == 1;
        let [rows, own] = self.share.of([pass.size[0], blocks(pass.outputs, tall).count()]);
        let pieces = pass.size[1].div_ceil(V::COLUMNS);
        let (each, longer) = (pass.size[1] / pieces, pass.size[1] % pieces);
        let places = rows.len() * pieces;
        let at_once = if pass.weights.len() / pass.groups > MANY_WEIGHTS { AT_ONCE } else { 1 };
        for part in (0..self.share.lanes).step_by(V::WIDTH) {
            for group in 0..pass.groups {
                let (mut row, mut piece) = (rows.start, 0);
                for begin in (0..places).step_by(at_once) {
                    let start = (row, piece);
                    let mut weights = pass.weights[group * pass.outputs * pass.inputs * pass.taps.len()..].as_ptr();
                    for (number, (first, size)) in blocks(pass.outputs, tall).enumerate() {
                        if own.contains(&number) {
                            (row, piece) = start;
                            for _ in begin..places.min(begin + at_once) {
                                let column = piece * each + piece.min(longer);
                                let columns = each + usize::from(piece < longer);
                                let place = Place { group, first, row, column, part };
                                // SAFETY: columns is at most V::COLUMNS, at most 6.
                                unsafe {
                                    match (size, columns) {
                                        (TALL, _) => tile::<V, TALL, 1>(&self, place, weights),
                                        (4, 1) => tile::<V, 4, 1>(&self, place, weights),
                                        (4, 2) => tile::<V, 4, 2>(&self, place, weights),
                                        (4, 3) => tile::<V, 4, 3>(&self, place, weights),
                                        (4, 4) => tile::<V, 4, 4>(&self, place, weights),
                                        (4, 5) => tile::<V, 4, 5>(&self, place, weights),
                                        (4, _) => tile::<V, 4, 6>(&self, place, weights),
                                        (3, 1) => tile::<V, 3, 1>(&self, place, weights),
                                        (3, 2) => tile::<V, 3, 2>(&self, place, weights),
                                        (3, 3) => tile::<V, 3, 3>(&self, place, weights),
                                        (3, 4) => tile::<V, 3, 4>(&self, place, weights),
                                        (3, 5) => tile::<V, 3, 5>(&self, place, weights),
                                        (3, _) => tile::<V, 3, 6>(&self, place, weights),
                                        (2, 1) => tile::<V, 2, 1>(&self, place, weights),
                                        (2, 2) => tile::<V, 2, 2>(&self, place, weights),
                                        (2, 3) => tile::<V, 2, 3>(&self, place, weights),
                                        (2, 4) => tile::<V, 2, 4>(&self, place, weights),
                                        (2, 5) => tile::<V, 2, 5>(&self, place, weights),
                                        (2, _) => tile::<V, 2, 6>(&self, place, weights),
                                        (_, 1) => tile::<V, 1, 1>(&self, place, weights),
                                        (_, 2) => tile::<V, 1, 2>(&self, place, weights),
                                        (_, 3) => tile::<V, 1, 3>(&self, place, weights),
                                        (_, 4) => tile::<V, 1, 4>(&self, place, weights),
                                        (_, 5) => tile::<V, 1, 5>(&self, place, weights),
                                        (_, _) => tile::<V, 1, 6>(&self, place, weights),
                                    }
                                }
                                piece += 1;
                                if piece == pieces {
                                    (row, piece) = (row + 1, 0);
                                }
                            }
                        }
                        weights = weights.wrapping_add(size * pass.inputs * pass.taps.len());
                    }
                }
            }
        }
    }
}

#[derive(Clone, Copy)]
struct Place {
    group: usize,
    first: usize,
    row: usize,
    column: usize,
    part: usize,
}

#[expect(clippy::needless_range_loop, reason = "with iterators the sums leave the registers, and it takes more than twice as long")]
#[inline(always)]
unsafe fn tile<V: Lanes, const OUT: usize, const WIDE: usize>(work: &Convolve, place: Place, mut weights: *const f32) {
    let pass = work.pass;
    let Place { group, first, row, column, part } = place;
    let output = group * pass.outputs + first;
    unsafe {
        let mut sums = [[V::splat(0.0); WIDE]; OUT];
        if !pass.bias.is_empty() {
            for out in 0..OUT {
                sums[out] = [V::splat(*pass.bias.get_unchecked(output + out)); WIDE];
            }
        }
        let mut from = work.input.add(BLOCK * pass.input.at(group * pass.inputs, row, column) + part);
        let (channel, step) = (BLOCK * pass.input.channel, BLOCK * pass.input.column);
        for _ in 0..pass.inputs {
            for &tap in &pass.taps {
                accumulate(&mut sums, weights, from.add(tap), step);
                weights = weights.add(OUT);
            }
            from = from.add(channel);
        }
        // Through memory: what follows is no straight line, and the compiler would keep the sums there all along.
        let mut done = [[[MaybeUninit::<f32>::uninit(); BLOCK]; WIDE]; OUT];
        for out in 0..OUT {
            for wide in 0..WIDE {
                sums[out][wide].store(done[out][wide].as_mut_ptr().cast());
            }
        }
        for out in 0..OUT {
            for wide in 0..WIDE {
                work.finish.take([output + out, row, column + wide], part, V::load(done[out][wide].as_ptr().cast()));
            }
        }
    }
}

/// Adds, to each sum, an output's weight times what is seen in a column, `step` numbers from the one before.
///
/// # Safety
/// `OUT` weights and `WIDE` columns are there, and the processor has the instructions.
#[expect(clippy::needless_range_loop, reason = "with iterators the sums leave the registers, and it takes more than twice as long")]
#[inline(always)]
pub(super) unsafe fn accumulate<V: Lanes, const OUT: usize, const WIDE: usize>(
    sums: &mut [[V; WIDE]; OUT],
    weights: *const f32,
    from: *const f32,
    step: usize,
) {
    unsafe {
        let mut seen = [V::splat(0.0); WIDE];
        for wide in 0..WIDE {
            seen[wide] = V::load(from.add(wide * step));
        }
        for out in 0..OUT {
            let weight = V::splat(*weights.add(out));
            for wide in 0..WIDE {
                sums[out][wide] = weight.multiply_add(seen[wide], sums[out][wide]);
            }
        }
    }
}

impl Finish {
    /// # Safety
    /// The memory is there, and the processor has the instructions.
    #[inline(always)]
    pub(super) unsafe fn take<V: Lanes>(&self, [channel, row, column]: [usize; 3], part: usize, mut sum: V) {
        unsafe {
            if let Some((grid, from)) = self.add {
                sum = sum.add(V::load(from.add(BLOCK * grid.at(channel, row, column) + part)));
            }
            if self.bits != Bits::None {
                let bits = self.bits_at.1.add((BLOCK * self.bits_at.0.at(channel, row, column) + part) / 8);
                sum = if self.bits == Bits::Rectify { sum.rectify(bits) } else { sum.keep(bits) };
            }
            sum.store(self.output.1.add(BLOCK * self.output.0.at(channel, row, column) + part));
        }
    }
}
