//! Steps that look at many elements of an image for each: standardising and softmax.

use super::lanes::{BLOCK, Lanes, Task};
use super::sweeps::{Read, Write, lanes, set_lanes};

type Images = [f32; BLOCK];

#[inline(always)]
fn each(number: impl FnMut(usize) -> f32) -> Images {
    std::array::from_fn(number)
}

/// Runs of elements brought to mean 0 and variance 1, the variance biased.
pub(super) struct Standardise {
    pub(super) run: usize,
    pub(super) epsilon: f32,
    pub(super) input: Read,
    pub(super) output: Write,
    /// 1 / deviation, a vector a run.
    pub(super) deviations: *mut f32,
}

impl Task for Standardise {
    #[inline(always)]
    unsafe fn run<V: Lanes>(self) {
        let Self { run, epsilon, input: (layout, input), output: (to, output), deviations } = self;
        for number in 0..layout.elements() / run {
            let elements = number * run..(number + 1) * run;
            // SAFETY: the values hold the elements, and there is a deviation a run.
            unsafe {
                let mean = |part: &dyn Fn(usize) -> Images| {
                    let sum = elements.clone().fold([0.0; BLOCK], |sum: Images, at| {
                        let part = part(at);
                        each(|lane| sum[lane] + part[lane])
                    });
                    sum.map(|sum| sum / run as f32)
                };
                let centre = mean(&|at| lanes(input, layout.position(at)));
                let variance = mean(&|at| {
                    let x = lanes(input, layout.position(at));
                    each(|lane| (x[lane] - centre[lane]) * (x[lane] - centre[lane]))
                });
                let inverse = variance.map(|variance| 1.0 / (variance + epsilon).sqrt());
                set_lanes(deviations, number, inverse);
                for at in elements.clone() {
                    let x = lanes(input, layout.position(at));
                    set_lanes(output, to.position(at), each(|lane| (x[lane] - centre[lane]) * inverse[lane]));
                }
            }
        }
    }
}

pub(super) struct StandardiseBack {
    pub(super) run: usize,
    pub(super) result: Read,
    pub(super) deviations: *const f32,
    pub(super) gradient: Read,
    pub(super) output: Write,
}

impl Task for StandardiseBack {
    #[inline(always)]
    unsafe fn run<V: Lanes>(self) {
        let Self { run, result: (layout, result), deviations, gradient: (from, gradient), output: (to, output) } = self;
        for number in 0..layout.elements() / run {
            let elements = number * run..(number + 1) * run;
            // SAFETY: as above.
            unsafe {
                let (mut mean, mut along) = ([0.0; BLOCK], [0.0; BLOCK]);
                for at in elements.clone() {
                    let (x, slope) = (lanes(result, layout.position(at)), lanes(gradient, from.position(at)));
                    mean = each(|lane| mean[lane] + slope[lane] / run as f32);
                    along = each(|lane| along[lane] + slope[lane] * x[lane] / run as f32);
                }
                let inverse = lanes(deviations, number);
                for at in elements {
                    let (x, slope) = (lanes(result, layout.position(at)), lanes(gradient, from.position(at)));
                    set_lanes(output, to.position(at), each(|lane| inverse[lane] * (slope[lane] - mean[lane] - x[lane] * along[lane])));
                }
            }
        }
    }
}

/// Softmax, or its logarithm, of `count` elements, each `apart` from the next.
pub(super) struct Softmax {
    pub(super) count: usize,
    pub(super) apart: usize,
    pub(super) logarithm: bool,
    pub(super) input: Read,
    pub(super) output: Write,
}

/// The first elements of all runs.
#[inline(always)]
fn firsts(elements: usize, count: usize, apart: usize) -> impl Iterator<Item = usize> {
    (0..elements / count).map(move |run| run / apart * apart * count + run % apart)
}

impl Task for Softmax {
    #[inline(always)]
    unsafe fn run<V: Lanes>(self) {
        let Self { count, apart, logarithm, input: (layout, input), output: (to, output) } = self;
        for first in firsts(layout.elements(), count, apart) {
            // SAFETY: the values hold the elements.
            unsafe {
                let x = |at: usize| lanes(input, layout.position(first + at * apart));
                let largest = (0..count).map(x).fold([f32::NEG_INFINITY; BLOCK], |most, x| each(|lane| most[lane].max(x[lane])));
                let sum = (0..count).map(x).fold([0.0; BLOCK], |sum, x| each(|lane| sum[lane] + (x[lane] - largest[lane]).exp()));
                for at in 0..count {
                    let x = x(at);
                    let result = each(|lane| match logarithm {
                        true => x[lane] - largest[lane] - sum[lane].ln(),
                        false => (x[lane] - largest[lane]).exp() / sum[lane],
                    });
                    set_lanes(output, to.position(first + at * apart), result);
                }
            }
        }
    }
}

pub(super) struct SoftmaxBack {
    pub(super) count: usize,
    pub(super) apart: usize,
    pub(super) logarithm: bool,
    pub(super) result: Read,
    pub(super) gradient: Read,
    pub(super) output: Write,
}

impl Task for SoftmaxBack {
    #[inline(always)]
    unsafe fn run<V: Lanes>(self) {
        let Self { count, apart, logarithm, result: (layout, result), gradient: (from, gradient), output: (to, output) } = self;
        for first in firsts(layout.elements(), count, apart) {
            // SAFETY: the values hold the elements.
            unsafe {
                let at = |at: usize| first + at * apart;
                let pair = |number: usize| (lanes(result, layout.position(at(number))), lanes(gradient, from.position(at(number))));
                let sum = (0..count).map(pair).fold([0.0; BLOCK], |sum, (y, slope)| {
                    each(|lane| sum[lane] + if logarithm { slope[lane] } else { slope[lane] * y[lane] })
                });
                for number in 0..count {
                    let (y, slope) = pair(number);
                    let back = each(|lane| match logarithm {
                        true => slope[lane] - y[lane].exp() * sum[lane],
                        false => y[lane] * (slope[lane] - sum[lane]),
                    });
                    set_lanes(output, to.position(at(number)), back);
                }
            }
        }
    }
}
