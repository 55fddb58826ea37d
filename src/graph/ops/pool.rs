//! Pooling over windows. Padding that Burn's own pooling does not know (uneven, or a last window that hangs over) is written out first.

use burn::backend::Dispatch;
use burn::backend::ops::ModuleOps;

use super::super::shape::windows::count;
use super::super::{Constants, PadMode, Value};
use super::arrange::pad;

pub(super) fn max(x: Value, kernel: [usize; 2], stride: [usize; 2], padding: [usize; 4], dilation: [usize; 2], ceil: bool) -> Value {
    let (x, padding) = if is_plain(padding, ceil) {
        (x, [padding[0], padding[1]])
    } else {
        (written_out(x, kernel, stride, padding, dilation, ceil, f32::NEG_INFINITY), [0, 0])
    };
    Value(Dispatch::max_pool2d(x.0, kernel, stride, padding, dilation, false))
}

/// How windows are averaged.
pub(super) struct Average {
    kernel: [usize; 2],
    stride: [usize; 2],
    padding: [usize; 4],
    count_padding: bool,
    ceil: bool,
}

impl Average {
    pub(super) fn new(kernel: [usize; 2], stride: [usize; 2], padding: [usize; 4], count_padding: bool, ceil: bool) -> Self {
        Self { kernel, stride, padding, count_padding, ceil }
    }

    /// For each window, its elements over those that count, with the sides; nothing where all count or Burn knows it. What hangs over the
    /// padding never counts.
    pub(super) fn correction(&self, [height, width]: [usize; 2]) -> Option<(Vec<f32>, [usize; 2])> {
        if is_plain(self.padding, self.ceil) {
            return None;
        }
        let along = |axis: usize, length: usize| -> Vec<f32> {
            let (kernel, stride, before, after) = (self.kernel[axis], self.stride[axis], self.padding[axis], self.padding[axis + 2]);
            let windows = count(length, kernel, stride, [before, after], 1, self.ceil).unwrap_or(0);
            let (first, past) = if self.count_padding { (0, before + length + after) } else { (before, before + length) };
            let counted = |window: usize| (window * stride + kernel).min(past).saturating_sub((window * stride).max(first)).max(1);
            (0..windows).map(|window| kernel as f32 / counted(window) as f32).collect()
        };
        let (rows, columns) = (along(0, height), along(1, width));
        let values = rows.iter().flat_map(|row| columns.iter().map(move |column| row * column)).collect();
        Some((values, [rows.len(), columns.len()]))
    }
}

pub(super) fn average(x: Value, average: &Average, constants: &Constants) -> Value {
    let Average { kernel, stride, padding, count_padding, ceil } = *average;
    if is_plain(padding, ceil) {
        return Value(Dispatch::avg_pool2d(x.0, kernel, stride, [padding[0], padding[1]], count_padding, false));
    }
    let x = written_out(x, kernel, stride, padding, [1, 1], ceil, 0.0);
    let mean = Value(Dispatch::avg_pool2d(x.0, kernel, stride, [0, 0], true, false));
    match constants.matrices.first() {
        Some(correction) => mean.multiply(Value::new(correction.clone())),
        None => mean,
    }
}

pub(super) fn adaptive(x: Value, size: [usize; 2]) -> Value {
    if size == [1, 1] { x.mean(3).mean(2) } else { Value(Dispatch::adaptive_avg_pool2d(x.0, size)) }
}

fn is_plain([top, left, bottom, right]: [usize; 4], ceil: bool) -> bool {
    top == bottom && left == right && !ceil
}

/// The image with its padding, as far as windows reach.
fn written_out(
    x: Value,
    kernel: [usize; 2],
    stride: [usize; 2],
    padding: [usize; 4],
    dilation: [usize; 2],
    ceil: bool,
    value: f32,
) -> Value {
    let sides = x.shape();
    let along = |axis: usize| {
        let (length, before, after) = (sides[2 + axis], padding[axis], padding[axis + 2]);
        let windows = count(length, kernel[axis], stride[axis], [before, after], dilation[axis], ceil).unwrap_or(1);
        let reached = (windows - 1) * stride[axis] + (kernel[axis] - 1) * dilation[axis] + 1;
        [before as i64, reached.saturating_sub(before + length) as i64]
    };
    pad(x, &[[0, 0], [0, 0], along(0), along(1)], PadMode::Constant(value))
}
