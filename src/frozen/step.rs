//! What a plan does with a block of images, one step after the other.

use super::convolution::{Bits, Convolve, Finish, Pass};
use super::lanes::{BLOCK, Level, dispatch};
use super::layers::{Affine, Pair};
use super::layout::{Buffer, Grid, Placed};
use super::pool::{Largest, MaxPool, ToWinners};
use super::rows::{Rows, Sum};
use super::share::Share;
use super::sweeps::{Add, Gate, PairBack, PairForward, Scale, UnaryBack, UnaryForward};
use super::turns::{Softmax, SoftmaxBack, Standardise, StandardiseBack};
use super::winograd::Winograd;
use crate::graph::Unary;

/// Multiplications an image from which a step is worth sharing: a tenth of a millisecond for a block.
const LONG: usize = 1 << 18;

/// A step. Bits and winners have no border.
#[derive(Clone, Debug)]
pub(super) enum Step {
    /// Zeros around a value.
    Border(Placed),
    /// Zeros throughout.
    Zero(Placed),
    Convolve {
        pass: Pass,
        input: Buffer,
        output: Buffer,
        add: Option<(Grid, Buffer)>,
        bits: Option<(Bits, Grid, Buffer)>,
    },
    /// Each element times a number plus another; rectified where there are bits to be written.
    Scale {
        of: Affine,
        input: Placed,
        output: Placed,
        bits: Option<Buffer>,
    },
    /// A copy, 0 where the bits say so.
    Gate {
        input: Placed,
        output: Placed,
        bits: Option<Buffer>,
    },
    /// Adds the input to the output.
    Add {
        input: Placed,
        output: Placed,
    },
    Sum {
        rows: Rows,
        input: Buffer,
        output: Buffer,
    },
    MaxPool {
        pool: MaxPool,
        input: Placed,
        output: Placed,
        winners: Buffer,
    },
    ToWinners {
        pool: MaxPool,
        gradient: Placed,
        output: Placed,
        winners: Buffer,
    },
    Unary {
        function: Unary,
        input: Placed,
        output: Placed,
    },
    UnaryBack {
        function: Unary,
        input: Placed,
        gradient: Placed,
        output: Placed,
    },
    Pair {
        pair: Pair,
        inputs: [Option<Placed>; 2],
        output: Placed,
    },
    /// To one of the two; the output holds zeros before.
    PairBack {
        pair: Pair,
        inputs: [Option<Placed>; 2],
        gradient: Placed,
        output: Placed,
        side: usize,
    },
    /// Also writes a run's inverse deviation.
    Standardise {
        run: usize,
        epsilon: f32,
        input: Placed,
        output: Placed,
        deviations: Buffer,
    },
    StandardiseBack {
        run: usize,
        result: Placed,
        deviations: Buffer,
        gradient: Placed,
        output: Placed,
    },
    Softmax {
        count: usize,
        apart: usize,
        logarithm: bool,
        input: Placed,
        output: Placed,
    },
    SoftmaxBack {
        count: usize,
        apart: usize,
        logarithm: bool,
        result: Placed,
        gradient: Placed,
        output: Placed,
    },
}

impl Step {
    /// The memory that it reads or writes.
    pub(super) fn buffers(&self) -> Vec<Buffer> {
        match self {
            Self::Border(value) | Self::Zero(value) => vec![value.buffer],
            Self::Convolve { input, output, add, bits, .. } => {
                let more = add.iter().map(|(_, buffer)| *buffer).chain(bits.iter().map(|(_, _, buffer)| *buffer));
                [*input, *output].into_iter().chain(more).collect()
            }
            Self::Scale { input, output, bits, .. } | Self::Gate { input, output, bits } => {
                [input.buffer, output.buffer].into_iter().chain(*bits).collect()
            }
            Self::Add { input, output } | Self::Unary { input, output, .. } | Self::Softmax { input, output, .. } => {
                vec![input.buffer, output.buffer]
            }
            Self::Sum { input, output, .. } => vec![*input, *output],
            Self::MaxPool { input, output, winners, .. } => vec![input.buffer, output.buffer, *winners],
            Self::ToWinners { gradient, output, winners, .. } => vec![gradient.buffer, output.buffer, *winners],
            Self::UnaryBack { input, gradient, output, .. } => vec![input.buffer, gradient.buffer, output.buffer],
            Self::Pair { inputs, output, .. } => inputs.iter().flatten().chain([output]).map(|value| value.buffer).collect(),
            Self::PairBack { inputs, gradient, output, .. } => {
                inputs.iter().flatten().chain([gradient, output]).map(|value| value.buffer).collect()
            }
            Self::Standardise { input, output, deviations, .. } => vec![input.buffer, output.buffer, *deviations],
            Self::StandardiseBack { result, deviations, gradient, output, .. } => {
                vec![result.buffer, *deviations, gradient.buffer, output.buffer]
            }
            Self::SoftmaxBack { result, gradient, output, .. } => vec![result.buffer, gradient.buffer, output.buffer],
        }
    }

    /// Vectors that a thread needs to work in, besides the buffers.
    pub(super) fn workspace(&self) -> usize {
        match self {
            Self::Convolve { pass, .. } => pass.form.map_or(0, |form| form.workspace(pass)),
            _ => 0,
        }
    }

    /// Numbers that it multiplies by.
    pub(super) fn weights(&self) -> usize {
        match self {
            Self::Convolve { pass, .. } => pass.weights.len(),
            Self::Sum { rows, .. } => rows.weights.len(),
            _ => 0,
        }
    }

    /// Whether it is long enough for several threads to share it, and can be shared.
    pub(super) fn is_long(&self) -> bool {
        match self {
            Self::Convolve { pass, .. } => pass.size[0] * pass.size[1] * pass.groups * pass.outputs * pass.inputs * pass.taps.len() >= LONG,
            // As long as a vector moves to memory and back.
            Self::Scale { output, .. } | Self::Gate { output, .. } | Self::Add { output, .. } => 8 * output.layout.elements() >= LONG,
            _ => false,
        }
    }

    /// Does it, or, where it is long, a share of it; `memory` gives the start of each buffer, `work` is this thread's workspace.
    ///
    /// # Safety
    /// Every buffer is as large as the plan says, aligned to 64 bytes, nobody else's but of those that have the other shares of this
    /// step, and apart from the others of this step.
    pub(super) unsafe fn run(&self, level: Level, memory: impl Fn(Buffer) -> *mut u8, work: *mut f32, share: Share) {
        let numbers = |buffer: Buffer| memory(buffer).cast::<f32>();
        let at = |value: &Placed| (value.layout, memory(value.buffer).cast::<f32>());
        let read = |value: &Placed| (value.layout, memory(value.buffer).cast::<f32>().cast_const());
        match self {
            // SAFETY: as the caller says.
            Self::Border(value) => unsafe { border(value, numbers(value.buffer)) },
            Self::Zero(value) => unsafe { numbers(value.buffer).write_bytes(0, BLOCK * value.layout.vectors()) },
            Self::Convolve { pass, input, output, add, bits } => {
                let (how, grid, buffer) = bits.map_or((Bits::None, Grid::default(), None), |(how, grid, buffer)| (how, grid, Some(buffer)));
                let finish = Finish {
                    output: (pass.output, numbers(*output)),
                    add: add.map(|(grid, buffer)| (grid, numbers(buffer).cast_const())),
                    bits: how,
                    bits_at: (grid, buffer.map_or(std::ptr::null_mut(), &memory)),
                };
                let input = numbers(*input).cast_const();
                match pass.form {
                    Some(form) => dispatch(level, Winograd { pass, form, input, finish, share, work }),
                    None => dispatch(level, Convolve { pass, input, finish, share }),
                }
            }
            Self::Scale { of, input, output, bits } => {
                dispatch(level, Scale { of, input: read(input), output: at(output), bits: bits.map(&memory), share });
            }
            Self::Gate { input, output, bits } => {
                let bits = bits.map(|buffer| memory(buffer).cast_const());
                dispatch(level, Gate { input: read(input), output: at(output), bits, share });
            }
            Self::Add { input, output } => dispatch(level, Add { input: read(input), output: at(output), share }),
            Self::Sum { rows, input, output } => dispatch(level, Sum { rows, input: numbers(*input), output: numbers(*output) }),
            Self::MaxPool { pool, input, output, winners } => {
                let (input, output) = ((input.layout.grid(), read(input).1), (output.layout.grid(), at(output).1));
                dispatch(level, Largest { pool, input, output, winners: memory(*winners) });
            }
            Self::ToWinners { pool, gradient, output, winners } => {
                let (gradient, output) = ((gradient.layout.grid(), read(gradient).1), (output.layout.grid(), at(output).1));
                dispatch(level, ToWinners { pool, gradient, output, winners: memory(*winners) });
            }
            Self::Unary { function, input, output } => {
                dispatch(level, UnaryForward { function: *function, input: read(input), output: at(output) });
            }
            Self::UnaryBack { function, input, gradient, output } => {
                let (input, gradient) = (read(input), read(gradient));
                dispatch(level, UnaryBack { function: *function, input, gradient, output: at(output) });
            }
            Self::Pair { pair, inputs, output } => {
                dispatch(level, PairForward { pair, inputs: inputs.map(|value| value.as_ref().map(read)), output: at(output) });
            }
            Self::PairBack { pair, inputs, gradient, output, side } => {
                let inputs = inputs.map(|value| value.as_ref().map(read));
                dispatch(level, PairBack { pair, inputs, gradient: read(gradient), output: at(output), side: *side });
            }
            Self::Standardise { run, epsilon, input, output, deviations } => {
                let (input, output, deviations) = (read(input), at(output), numbers(*deviations));
                dispatch(level, Standardise { run: *run, epsilon: *epsilon, input, output, deviations });
            }
            Self::StandardiseBack { run, result, deviations, gradient, output } => {
                let (result, gradient, deviations) = (read(result), read(gradient), numbers(*deviations));
                dispatch(level, StandardiseBack { run: *run, result, deviations, gradient, output: at(output) });
            }
            Self::Softmax { count, apart, logarithm, input, output } => {
                let (input, output) = (read(input), at(output));
                dispatch(level, Softmax { count: *count, apart: *apart, logarithm: *logarithm, input, output });
            }
            Self::SoftmaxBack { count, apart, logarithm, result, gradient, output } => {
                let (result, gradient, output) = (read(result), read(gradient), at(output));
                dispatch(level, SoftmaxBack { count: *count, apart: *apart, logarithm: *logarithm, result, gradient, output });
            }
        }
    }
}

unsafe fn border(value: &Placed, start: *mut f32) {
    let ([channels, rows, columns], [top, left, bottom, right]) = (value.layout.sides, value.layout.border);
    let [_, width] = value.layout.whole();
    let mut at = start;
    let mut zero = |vectors: usize, then: usize| {
        // SAFETY: the runs below are those of the value's layout, one after the other.
        unsafe {
            at.write_bytes(0, BLOCK * vectors);
            at = at.add(BLOCK * (vectors + then));
        }
    };
    for _ in 0..channels {
        zero(top * width + left, columns);
        for _ in 1..rows {
            zero(right + left, columns);
        }
        zero(right + bottom * width, 0);
    }
}
