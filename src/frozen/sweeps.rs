//! Steps that go over a value element by element.

use super::element;
use super::lanes::{BLOCK, Lanes, Task};
use super::layers::{Affine, Function, Pair};
use super::layout::Layout;
use super::share::Share;
use crate::graph::Unary;

pub(super) type Read = (Layout, *const f32);
pub(super) type Write = (Layout, *mut f32);

/// Calls `each` with the number of every element of a share and where it lies in both values, in vectors.
#[inline(always)]
fn both(a: &Layout, b: &Layout, share: &Share, mut each: impl FnMut(usize, usize, usize)) {
    let [channels, rows, columns] = a.sides;
    let (a, b) = (a.grid(), b.grid());
    let [own_channels, own_rows] = share.of([channels, rows]);
    for channel in own_channels {
        for row in own_rows.clone() {
            let (first, other) = (a.at(channel, row, 0), b.at(channel, row, 0));
            let element = (channel * rows + row) * columns;
            for column in 0..columns {
                each(element + column, first + column, other + column);
            }
        }
    }
}

/// x scale + shift, rectified where there are bits.
pub(super) struct Scale<'a> {
    pub(super) of: &'a Affine,
    pub(super) input: Read,
    pub(super) output: Write,
    pub(super) bits: Option<*mut u8>,
    pub(super) share: Share,
}

impl Task for Scale<'_> {
    #[inline(always)]
    unsafe fn run<V: Lanes>(self) {
        let Affine { each, scale, shift } = self.of;
        both(&self.input.0, &self.output.0, &self.share, |element, from, to| {
            let (scale, shift) = (scale[element / each % scale.len()], shift[element / each % shift.len()]);
            for part in (0..self.share.lanes).step_by(V::WIDTH) {
                // SAFETY: both values hold the element, and the bits have one for each.
                unsafe {
                    let mut x = V::load(self.input.1.add(BLOCK * from + part)).multiply_add(V::splat(scale), V::splat(shift));
                    if let Some(bits) = self.bits {
                        x = x.rectify(bits.add((BLOCK * element + part) / 8));
                    }
                    x.store(self.output.1.add(BLOCK * to + part));
                }
            }
        });
    }
}

/// A copy, 0 where a bit is not set.
pub(super) struct Gate {
    pub(super) input: Read,
    pub(super) output: Write,
    pub(super) bits: Option<*const u8>,
    pub(super) share: Share,
}

impl Task for Gate {
    #[inline(always)]
    unsafe fn run<V: Lanes>(self) {
        both(&self.input.0, &self.output.0, &self.share, |element, from, to| {
            for part in (0..self.share.lanes).step_by(V::WIDTH) {
                // SAFETY: as above.
                unsafe {
                    let mut x = V::load(self.input.1.add(BLOCK * from + part));
                    if let Some(bits) = self.bits {
                        x = x.keep(bits.add((BLOCK * element + part) / 8));
                    }
                    x.store(self.output.1.add(BLOCK * to + part));
                }
            }
        });
    }
}

/// output += input.
pub(super) struct Add {
    pub(super) input: Read,
    pub(super) output: Write,
    pub(super) share: Share,
}

impl Task for Add {
    #[inline(always)]
    unsafe fn run<V: Lanes>(self) {
        both(&self.input.0, &self.output.0, &self.share, |_, from, to| {
            for part in (0..self.share.lanes).step_by(V::WIDTH) {
                // SAFETY: as above.
                unsafe {
                    let to = self.output.1.add(BLOCK * to + part);
                    V::load(to).add(V::load(self.input.1.add(BLOCK * from + part))).store(to);
                }
            }
        });
    }
}

/// The images' numbers of an element.
#[inline(always)]
pub(super) unsafe fn lanes(from: *const f32, at: usize) -> [f32; BLOCK] {
    // SAFETY: the caller knows that the element is there.
    unsafe { from.add(BLOCK * at).cast::<[f32; BLOCK]>().read() }
}

#[inline(always)]
pub(super) unsafe fn set_lanes(to: *mut f32, at: usize, numbers: [f32; BLOCK]) {
    // SAFETY: as above.
    unsafe { to.add(BLOCK * at).cast::<[f32; BLOCK]>().write(numbers) }
}

pub(super) struct UnaryForward {
    pub(super) function: Unary,
    pub(super) input: Read,
    pub(super) output: Write,
}

impl Task for UnaryForward {
    #[inline(always)]
    unsafe fn run<V: Lanes>(self) {
        both(&self.input.0, &self.output.0, &Share::whole(BLOCK), |_, from, to| {
            // SAFETY: both values hold the element.
            unsafe { set_lanes(self.output.1, to, lanes(self.input.1, from).map(|x| element::unary(self.function, x))) }
        });
    }
}

pub(super) struct UnaryBack {
    pub(super) function: Unary,
    pub(super) input: Read,
    pub(super) gradient: Read,
    pub(super) output: Write,
}

impl Task for UnaryBack {
    #[inline(always)]
    unsafe fn run<V: Lanes>(self) {
        let gradient = self.gradient.0;
        both(&self.input.0, &self.output.0, &Share::whole(BLOCK), |at, from, to| {
            // SAFETY: the three values hold the element.
            unsafe {
                let (x, gradient) = (lanes(self.input.1, from), lanes(self.gradient.1, gradient.position(at)));
                set_lanes(self.output.1, to, std::array::from_fn(|lane| gradient[lane] * element::slope(self.function, x[lane])));
            }
        });
    }
}

/// The operand's numbers for an element of the result.
#[inline(always)]
unsafe fn operand(pair: &Pair, inputs: &[Option<Read>; 2], side: usize, at: usize) -> [f32; BLOCK] {
    match (&pair.numbers[side], &inputs[side]) {
        (Some(numbers), _) => [numbers[at]; BLOCK],
        // SAFETY: the plan's compiler gave every pair two operands that hold what is picked.
        (None, Some((layout, from))) => unsafe { lanes(*from, layout.position(pair.picked(side, at))) },
        (None, None) => [0.0; BLOCK],
    }
}

pub(super) struct PairForward<'a> {
    pub(super) pair: &'a Pair,
    pub(super) inputs: [Option<Read>; 2],
    pub(super) output: Write,
}

impl Task for PairForward<'_> {
    #[inline(always)]
    unsafe fn run<V: Lanes>(self) {
        for at in 0..self.output.0.elements() {
            // SAFETY: the values hold the elements.
            unsafe {
                let [a, b] = [0, 1].map(|side| operand(self.pair, &self.inputs, side, at));
                let result = std::array::from_fn(|lane| match self.pair.function {
                    Function::Binary(function) => element::binary(function, a[lane], b[lane]),
                    Function::Prelu => {
                        if a[lane] > 0.0 {
                            a[lane]
                        } else {
                            a[lane] * b[lane]
                        }
                    }
                });
                set_lanes(self.output.1, self.output.0.position(at), result);
            }
        }
    }
}

/// Adds to the gradient of one operand.
pub(super) struct PairBack<'a> {
    pub(super) pair: &'a Pair,
    pub(super) inputs: [Option<Read>; 2],
    pub(super) gradient: Read,
    pub(super) output: Write,
    pub(super) side: usize,
}

impl Task for PairBack<'_> {
    #[inline(always)]
    unsafe fn run<V: Lanes>(self) {
        for at in 0..self.gradient.0.elements() {
            // SAFETY: the values hold the elements.
            unsafe {
                let [a, b] = [0, 1].map(|side| operand(self.pair, &self.inputs, side, at));
                let gradient = lanes(self.gradient.1, self.gradient.0.position(at));
                let to = self.output.0.position(self.pair.picked(self.side, at));
                let before = lanes(self.output.1, to);
                let sum = std::array::from_fn(|lane| {
                    let slopes = match self.pair.function {
                        Function::Binary(function) => element::slopes(function, a[lane], b[lane]),
                        Function::Prelu if a[lane] > 0.0 => [1.0, 0.0],
                        Function::Prelu => [b[lane], a[lane]],
                    };
                    before[lane] + gradient[lane] * slopes[self.side]
                });
                set_lanes(self.output.1, to, sum);
            }
        }
    }
}

impl Pair {
    #[inline(always)]
    fn picked(&self, side: usize, at: usize) -> usize {
        self.picks[side].get(at).map_or(at, |&picked| picked as usize)
    }
}
