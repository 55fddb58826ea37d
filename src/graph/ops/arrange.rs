//! Operations that move elements and change none.

use burn::backend::Dispatch;
use burn::backend::ops::FloatTensorOps;
use burn::tensor::Slice;
use burn::tensor::ops::PadMode as BurnPadMode;

use super::super::{Constants, PadMode, Value};

pub(super) fn pad(x: Value, pads: &[[i64; 2]], mode: PadMode) -> Value {
    let mut x = x;
    if pads.iter().flatten().any(|&pad| pad < 0) {
        let cut =
            |side: usize, [before, after]: [i64; 2]| before.min(0).unsigned_abs() as usize..side - after.min(0).unsigned_abs() as usize;
        let slices: Vec<Slice> = x.shape().into_iter().zip(pads).map(|(side, &pads)| cut(side, pads).into()).collect();
        x = x.slice(&slices);
    }
    let grow: Vec<(usize, usize)> =
        pads.iter().map(|[before, after]| (before.max(&0), after.max(&0))).map(|(a, b)| (*a as usize, *b as usize)).collect();
    if grow.iter().all(|pair| *pair == (0, 0)) {
        return x;
    }
    let mode = match mode {
        PadMode::Constant(value) => BurnPadMode::Constant(value),
        PadMode::Reflect => BurnPadMode::Reflect,
        PadMode::Edge => BurnPadMode::Edge,
    };
    Value(Dispatch::float_pad(x.0, &grow, mode))
}

pub(super) fn slice(x: Value, axis: usize, start: i64, end: i64, step: i64) -> Value {
    // Burn walks a range backwards from its last element where the step is negative.
    let (first, past) = if step > 0 { (start, end) } else { (end + 1, start + 1) };
    let cut = Slice::with_step(first as isize, Some(past as isize), step as isize);
    let slices: Vec<Slice> =
        x.shape().into_iter().enumerate().map(|(at, side)| if at == axis { cut } else { Slice::from(0..side) }).collect();
    x.slice(&slices)
}

pub(super) fn transpose(x: Value, axes: &[usize]) -> Value {
    if axes.iter().copied().eq(0..axes.len()) { x } else { x.permute(axes) }
}

/// The range that indices run through one by one, where they do.
pub(super) fn run(indices: &[usize]) -> Option<std::ops::Range<usize>> {
    let first = *indices.first()?;
    let range = first..first.checked_add(indices.len())?;
    indices.iter().copied().eq(range.clone()).then_some(range)
}

pub(super) fn gather(x: Value, axis: usize, indices: &[usize], shape: &[usize], constants: &Constants) -> Value {
    let sides = x.shape();
    let to: Vec<usize> = sides[..axis].iter().chain(shape).chain(&sides[axis + 1..]).copied().collect();
    let picked = match (run(indices), constants.indices.first()) {
        (None, Some(indices)) => x.select(axis, indices.clone()),
        (range, _) => {
            let range = range.unwrap_or_default();
            slice(x, axis, range.start as i64, range.end as i64, 1)
        }
    };
    picked.reshape(&to)
}
