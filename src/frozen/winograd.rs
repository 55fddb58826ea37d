//! Convolutions of 3x3 taps by Winograd's minimal filtering (Lavin and Gray 2016, "Fast Algorithms for Convolutional Neural Networks",
//! section 4): a tile of results takes (side + 2)^2 multiplications a pair of channels in place of 9 side^2.
//!
//! A few tiles go together: their pixels are transformed, channel by channel; for each transformed pixel a matrix of weights, transformed
//! once when the plan is compiled, multiplies the channels; the products are transformed back. Since a pixel holds a register of images,
//! the transforms are sums of whole registers.
//!
//! Sums come out in another order than plain ones: where those are exactly 0, as over a black window within a tile, these may be off by a
//! rounding, and a rectifier behind them may go either way.

use std::ops::Range;

use rayon::prelude::*;

use super::convolution::{Finish, Pass, accumulate};
use super::lanes::{BLOCK, Lanes, Task};
use super::share::Share;

/// A tile of results.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// 2x2, in 16 multiplications instead of 36.
    Two,
    /// 4x4, in 36 instead of 144.
    Four,
}

/// Tiles that go together.
const GROUP: usize = 4;
/// Outputs that are summed side by side, at most.
const OUTPUTS: usize = 6;
/// With fewer channels on either side the transforms cost more than they save.
const LEAST_CHANNELS: usize = 16;
/// Transformed weights, in numbers, beyond which the smaller tile's are taken: the larger one's would stream from memory.
const MOST_WEIGHTS: usize = 4 << 20;
/// Sides of the largest tile, and of the pixels that it reads.
const SIDE: usize = 4;
const WIDTH: usize = SIDE + 2;

/// Weights of 3 taps, transformed.
const TWO: [[f64; 3]; 4] = [[1.0, 0.0, 0.0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0.0, 0.0, 1.0]];
const FOUR: [[f64; 3]; 6] = [
    [1.0 / 4.0, 0.0, 0.0],
    [-1.0 / 6.0, -1.0 / 6.0, -1.0 / 6.0],
    [-1.0 / 6.0, 1.0 / 6.0, -1.0 / 6.0],
    [1.0 / 24.0, 1.0 / 12.0, 1.0 / 6.0],
    [1.0 / 24.0, -1.0 / 12.0, 1.0 / 6.0],
    [0.0, 0.0, 1.0],
];

impl Form {
    /// The tiles for a convolution of 3x3 taps to so many pixels; none where the plain loop is faster.
    pub(super) fn suited(size: [usize; 2], inputs: usize, outputs: usize) -> Option<Self> {
        let cost = |form: &Self| form.points() * form.tiles(size);
        let fits = |form: &Self| *form == Self::Two || form.points() * inputs * outputs <= MOST_WEIGHTS;
        let form = [Self::Two, Self::Four].into_iter().filter(fits).min_by_key(cost)?;
        (inputs.min(outputs) >= LEAST_CHANNELS && 4 * cost(&form) <= 3 * 9 * size[0] * size[1]).then_some(form)
    }

    /// Results along a side.
    pub(super) fn side(self) -> usize {
        match self {
            Self::Two => 2,
            Self::Four => 4,
        }
    }

    /// Multiplications of a tile, for a pair of channels.
    fn points(self) -> usize {
        (self.side() + 2).pow(2)
    }

    fn tiles(self, size: [usize; 2]) -> usize {
        size.map(|side| side.div_ceil(self.side())).iter().product()
    }

    /// Numbers, a lane, that a pass works in.
    pub(super) fn workspace(self, pass: &Pass) -> usize {
        self.points() * (pass.inputs + pass.outputs) * GROUP
    }

    /// Weights as [point][block of outputs][input][output of the block], of an output, an input and a tap.
    pub(super) fn packed(self, [outputs, inputs]: [usize; 2], weight: impl Fn(usize, usize, usize) -> f32 + Sync) -> Vec<f32> {
        let along: &[[f64; 3]] = if self == Self::Two { &TWO } else { &FOUR };
        let width = along.len();
        // Weights may change at every step of a training: no allocation a pair of channels.
        let transformed = |(output, input): (usize, usize)| -> [f32; WIDTH * WIDTH] {
            let taps: [f64; 9] = std::array::from_fn(|tap| weight(output, input, tap).into());
            let mut points = [0.0; WIDTH * WIDTH];
            for (y, down) in along.iter().enumerate() {
                let row: [f64; 3] = std::array::from_fn(|x| down[0] * taps[x] + down[1] * taps[3 + x] + down[2] * taps[6 + x]);
                for (x, across) in along.iter().enumerate() {
                    points[y * width + x] = (across[0] * row[0] + across[1] * row[1] + across[2] * row[2]) as f32;
                }
            }
            points
        };
        let of =
            |(first, size): (usize, usize)| (0..inputs).flat_map(move |input| (first..first + size).map(move |output| (output, input)));
        let order: Vec<(usize, usize)> = blocks(outputs).flat_map(of).collect();
        let mut weights = vec![0.0; width * width * inputs * outputs];
        let all: Vec<[f32; WIDTH * WIDTH]> = order.into_par_iter().map(transformed).collect();
        weights.par_chunks_mut(inputs * outputs).enumerate().for_each(|(point, plane)| {
            plane.iter_mut().zip(&all).for_each(|(weight, points)| *weight = points[point]);
        });
        weights
    }
}

/// Blocks of outputs, as even as can be: the first output of each, and their number.
fn blocks(outputs: usize) -> impl ExactSizeIterator<Item = (usize, usize)> {
    let count = outputs.div_ceil(OUTPUTS);
    (0..count).map(move |block| {
        let first = block * outputs / count;
        (first, (block + 1) * outputs / count - first)
    })
}

/// A pass over given memory, or a share of it.
pub(super) struct Winograd<'a> {
    pub(super) pass: &'a Pass,
    pub(super) form: Form,
    pub(super) input: *const f32,
    pub(super) finish: Finish,
    pub(super) share: Share,
    /// [`Form::workspace`] vectors, this thread's.
    pub(super) work: *mut f32,
}

impl Task for Winograd<'_> {
    #[inline(always)]
    unsafe fn run<V: Lanes>(self) {
        unsafe {
            match self.form {
                Form::Two => self.tiles::<V, TwoByTwo>(),
                Form::Four => self.tiles::<V, FourByFour>(),
            }
        }
    }
}

/// The transforms along one axis; of arrays the first numbers count.
trait Along {
    const SIDE: usize;
    const WIDTH: usize = Self::SIDE + 2;
    unsafe fn there<V: Lanes>(pixels: [V; WIDTH]) -> [V; WIDTH];
    unsafe fn back<V: Lanes>(products: [V; WIDTH]) -> [V; SIDE];
}

struct TwoByTwo;

impl Along for TwoByTwo {
    const SIDE: usize = 2;

    #[inline(always)]
    unsafe fn there<V: Lanes>([a, b, c, d, unused, _]: [V; WIDTH]) -> [V; WIDTH] {
        unsafe { [a.subtract(c), b.add(c), c.subtract(b), b.subtract(d), unused, unused] }
    }
    #[inline(always)]
    unsafe fn back<V: Lanes>([a, b, c, d, unused, _]: [V; WIDTH]) -> [V; SIDE] {
        unsafe { [a.add(b).add(c), b.subtract(c).subtract(d), unused, unused] }
    }
}

struct FourByFour;

impl Along for FourByFour {
    const SIDE: usize = 4;

    #[inline(always)]
    unsafe fn there<V: Lanes>([a, b, c, d, e, f]: [V; WIDTH]) -> [V; WIDTH] {
        unsafe {
            let [two, four, minus_two, minus_four, minus_five] = [2.0, 4.0, -2.0, -4.0, -5.0].map(|number| V::splat(number));
            let (even, odd) = (minus_four.multiply_add(c, e), minus_four.multiply_add(b, d));
            let (beyond, apart) = (e.subtract(c), d.subtract(b));
            [
                minus_five.multiply_add(c, four.multiply_add(a, e)),
                even.add(odd),
                even.subtract(odd),
                two.multiply_add(apart, beyond),
                minus_two.multiply_add(apart, beyond),
                minus_five.multiply_add(d, four.multiply_add(b, f)),
            ]
        }
    }
    #[inline(always)]
    unsafe fn back<V: Lanes>([a, b, c, d, e, f]: [V; WIDTH]) -> [V; SIDE] {
        unsafe {
            let [two, four, eight] = [2.0, 4.0, 8.0].map(|number| V::splat(number));
            let (near, near_apart) = (b.add(c), b.subtract(c));
            let (far, far_apart) = (d.add(e), d.subtract(e));
            [
                a.add(near).add(far),
                two.multiply_add(far_apart, near_apart),
                four.multiply_add(far, near),
                eight.multiply_add(far_apart, near_apart).add(f),
            ]
        }
    }
}

#[expect(clippy::needless_range_loop, reason = "rows and columns of small squares, some of them with their sides swapped")]
impl Winograd<'_> {
    #[inline(always)]
    unsafe fn tiles<V: Lanes, A: Along>(&self) {
        let pass = self.pass;
        let tiles = self.form.tiles(pass.size);
        let groups = tiles.div_ceil(GROUP);
        let [own, outputs] = self.share.of([groups, blocks(pass.outputs).len()]);
        let products = self.work.wrapping_add(BLOCK * self.form.points() * pass.inputs * GROUP);
        for group in own {
            let (first, past) = (group * tiles / groups, (group + 1) * tiles / groups);
            let part = Part { first, count: past - first, outputs: outputs.clone(), products };
            // SAFETY: the workspace holds the transformed pixels and products of a group.
            unsafe {
                self.there::<V, A>(&part);
                self.multiply::<V, A>(&part);
                self.back::<V, A>(&part);
            }
        }
    }

    /// Row and column of a tile's first result.
    #[inline(always)]
    fn corner<A: Along>(&self, tile: usize) -> [usize; 2] {
        let across = self.pass.size[1].div_ceil(A::SIDE);
        [tile / across * A::SIDE, tile % across * A::SIDE]
    }

    /// Pixels as [point][input][tile].
    #[inline(always)]
    unsafe fn there<V: Lanes, A: Along>(&self, part: &Part) {
        let from = self.pass.input;
        let apart = BLOCK * self.pass.inputs * part.count;
        for lane in (0..self.share.lanes).step_by(V::WIDTH) {
            for input in 0..self.pass.inputs {
                for tile in 0..part.count {
                    let [row, column] = self.corner::<A>(part.first + tile);
                    unsafe {
                        let read = self.input.add(BLOCK * from.at(input, row, column) + lane);
                        let mut half = [[V::splat(0.0); WIDTH]; WIDTH];
                        for y in 0..A::WIDTH {
                            let mut pixels = [V::splat(0.0); WIDTH];
                            for x in 0..A::WIDTH {
                                pixels[x] = V::load(read.add(BLOCK * (y * from.row + x * from.column)));
                            }
                            half[y] = A::there(pixels);
                        }
                        let write = self.work.add(BLOCK * (input * part.count + tile) + lane);
                        for x in 0..A::WIDTH {
                            let mut pixels = [V::splat(0.0); WIDTH];
                            for y in 0..A::WIDTH {
                                pixels[y] = half[y][x];
                            }
                            let done = A::there(pixels);
                            for y in 0..A::WIDTH {
                                done[y].store(write.add(apart * (y * A::WIDTH + x)));
                            }
                        }
                    }
                }
            }
        }
    }

    /// Products as [point][output][tile].
    #[inline(always)]
    unsafe fn multiply<V: Lanes, A: Along>(&self, part: &Part) {
        let Pass { inputs, outputs, weights, .. } = self.pass;
        let (inputs, outputs, count) = (*inputs, *outputs, part.count);
        for point in 0..A::WIDTH * A::WIDTH {
            for lane in (0..self.share.lanes).step_by(V::WIDTH) {
                let mut column = 0;
                while column < count {
                    let wide = (count - column).min(V::FEW_COLUMNS);
                    for (first, size) in blocks(outputs).take(part.outputs.end).skip(part.outputs.start) {
                        // SAFETY: points, inputs, outputs and tiles are within the weights and the workspace.
                        unsafe {
                            let weights = weights.as_ptr().add(point * inputs * outputs + first * inputs);
                            let from = self.work.add(BLOCK * (point * inputs * count + column) + lane);
                            let to = part.products.add(BLOCK * ((point * outputs + first) * count + column) + lane);
                            let lengths = [inputs, BLOCK * count];
                            match (size, wide) {
                                (6, 1) => dot::<V, 6, 1>(lengths, weights, from, to),
                                (6, 2) => dot::<V, 6, 2>(lengths, weights, from, to),
                                (6, 3) => dot::<V, 6, 3>(lengths, weights, from, to),
                                (6, _) => dot::<V, 6, 4>(lengths, weights, from, to),
                                (5, 1) => dot::<V, 5, 1>(lengths, weights, from, to),
                                (5, 2) => dot::<V, 5, 2>(lengths, weights, from, to),
                                (5, 3) => dot::<V, 5, 3>(lengths, weights, from, to),
                                (5, _) => dot::<V, 5, 4>(lengths, weights, from, to),
                                (4, 1) => dot::<V, 4, 1>(lengths, weights, from, to),
                                (4, 2) => dot::<V, 4, 2>(lengths, weights, from, to),
                                (4, 3) => dot::<V, 4, 3>(lengths, weights, from, to),
                                (4, _) => dot::<V, 4, 4>(lengths, weights, from, to),
                                _ => unreachable!("from {LEAST_CHANNELS} outputs on an even block has four at the least"),
                            }
                        }
                    }
                    column += wide;
                }
            }
        }
    }

    #[inline(always)]
    unsafe fn back<V: Lanes, A: Along>(&self, part: &Part) {
        let Pass { size, outputs, bias, .. } = self.pass;
        let apart = BLOCK * outputs * part.count;
        let own = blocks(*outputs).take(part.outputs.end).skip(part.outputs.start);
        for output in own.flat_map(|(first, size)| first..first + size) {
            for lane in (0..self.share.lanes).step_by(V::WIDTH) {
                for tile in 0..part.count {
                    let [row, column] = self.corner::<A>(part.first + tile);
                    unsafe {
                        let bias = V::splat(bias.get(output).copied().unwrap_or(0.0));
                        let read = part.products.add(BLOCK * (output * part.count + tile) + lane);
                        let mut half = [[V::splat(0.0); SIDE]; WIDTH];
                        for y in 0..A::WIDTH {
                            let mut products = [V::splat(0.0); WIDTH];
                            for x in 0..A::WIDTH {
                                products[x] = V::load(read.add(apart * (y * A::WIDTH + x)));
                            }
                            half[y] = A::back(products);
                        }
                        for x in 0..A::SIDE.min(size[1] - column) {
                            let mut products = [V::splat(0.0); WIDTH];
                            for y in 0..A::WIDTH {
                                products[y] = half[y][x];
                            }
                            let done = A::back(products);
                            for y in 0..A::SIDE.min(size[0] - row) {
                                self.finish.take([output, row + y, column + x], lane, done[y].add(bias));
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Some tiles, some blocks of outputs.
struct Part {
    first: usize,
    count: usize,
    /// Of blocks of them.
    outputs: Range<usize>,
    products: *mut f32,
}

/// `OUT` outputs of `WIDE` tiles.
#[expect(clippy::needless_range_loop, reason = "as in the plain loop: with iterators the sums leave the registers")]
#[inline(always)]
unsafe fn dot<V: Lanes, const OUT: usize, const WIDE: usize>(
    [inputs, apart]: [usize; 2],
    mut weights: *const f32,
    mut from: *const f32,
    to: *mut f32,
) {
    unsafe {
        let mut sums = [[V::splat(0.0); WIDE]; OUT];
        for _ in 0..inputs {
            accumulate(&mut sums, weights, from, BLOCK);
            weights = weights.add(OUT);
            from = from.add(apart);
        }
        for out in 0..OUT {
            for wide in 0..WIDE {
                sums[out][wide].store(to.add(apart * out + BLOCK * wide));
            }
        }
    }
}
