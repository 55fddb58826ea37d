//! Operations that are sparse matrices, as such. Sides and axes are those of one image.

use super::rows::{Axis, Rows, coordinates, index, moved, padded, separable};
use crate::graph::{Op, PadMode, Reduction, resized};

/// The matrix of an operation; `None` where it is none.
pub(super) fn rows(op: &Op, from: &[usize], to: &[usize]) -> Option<Rows> {
    Some(match op {
        Op::AveragePool { kernel, stride, padding, count_padding, .. } => {
            let along = |axis: usize| {
                averaged(kernel[axis], stride[axis], [padding[axis], padding[axis + 2]], *count_padding, [from[1 + axis], to[1 + axis]])
            };
            separable(from.try_into().ok()?, &along(0), &along(1))
        }
        Op::AdaptiveAveragePool { .. } => separable(from.try_into().ok()?, &adaptive(from[1], to[1]), &adaptive(from[2], to[2])),
        Op::Resize { scale, mode, coordinates: origin, .. } => {
            let along = |axis: usize| -> Axis {
                let (length, count) = (from[1 + axis], to[1 + axis]);
                let matrix = resized(length, count, scale[axis], *mode, *origin);
                let column =
                    |at: usize| (0..length).map(|row| (row, matrix[row * count + at])).filter(|(_, weight)| *weight != 0.0).collect();
                (0..count).map(column).collect()
            };
            separable(from.try_into().ok()?, &along(0), &along(1))
        }
        Op::Reduce { kind: kind @ (Reduction::Mean | Reduction::Sum), axes, .. } => {
            let axes: Vec<usize> = axes.iter().map(|axis| axis.checked_sub(1)).collect::<Option<_>>()?;
            reduced(*kind, &axes, from)
        }
        Op::Pad { pads, mode } => {
            let crops = pads.iter().flatten().any(|&pad| pad < 0);
            if pads[0] != [0, 0] || (crops && !matches!(mode, PadMode::Constant(_))) {
                return None;
            }
            let pads = &pads[1..];
            let at = |at: &[usize]| at.iter().zip(pads).zip(from).map(|((&at, pads), &side)| padded(at, pads[0], side, *mode)).collect();
            let mut rows = moved(from, to, at);
            if let PadMode::Constant(number) = *mode
                && number != 0.0
            {
                let begins = std::iter::once(&0).chain(&rows.ends);
                rows.shift = begins.zip(&rows.ends).map(|(begin, end)| if begin == end { number } else { 0.0 }).collect();
            }
            rows
        }
        Op::Slice { axis, start, step, .. } => {
            let axis = axis.checked_sub(1)?;
            let along = |at: usize| usize::try_from(start + at as i64 * step).ok();
            moved(from, to, |at| replaced(at, axis, along(at[axis])?))
        }
        Op::Transpose { axes } => {
            if axes.first() != Some(&0) {
                return None;
            }
            moved(from, to, |at| {
                let mut source = vec![0; at.len()];
                axes[1..].iter().zip(at).for_each(|(axis, at)| source[axis - 1] = *at);
                Some(source)
            })
        }
        Op::Expand { .. } => {
            let new = to.len().checked_sub(from.len())?;
            if new > 0 {
                return None;
            }
            moved(from, to, |at| Some(at.iter().zip(from).map(|(&at, &side)| if side == 1 { 0 } else { at }).collect()))
        }
        Op::Gather { axis, indices, shape } => {
            let axis = axis.checked_sub(1)?;
            moved(from, to, |at| {
                let picked = indices[index(shape, &at[axis..axis + shape.len()])];
                Some(at[..axis].iter().copied().chain([picked]).chain(at[axis + shape.len()..].iter().copied()).collect())
            })
        }
        _ => return None,
    })
}

/// Values one after the other along an axis.
pub(super) fn joined(all: &[Vec<usize>], to: &[usize], axis: usize) -> Vec<Rows> {
    let mut first = 0;
    let part = |from: &Vec<usize>| {
        let mut rows = moved(from, from, |at| Some(at.to_vec()));
        for element in &mut rows.to {
            let mut at = coordinates(from, *element as usize);
            at[axis] += first;
            *element = index(to, &at) as u32;
        }
        first += from[axis];
        rows
    };
    all.iter().map(part).collect()
}

fn replaced(at: &[usize], axis: usize, new: usize) -> Option<Vec<usize>> {
    let mut at = at.to_vec();
    at[axis] = new;
    Some(at)
}

/// Windows of average pooling; what hangs over the padding never counts.
fn averaged(kernel: usize, stride: usize, [before, after]: [usize; 2], count_padding: bool, [from, to]: [usize; 2]) -> Axis {
    let (first, past) = if count_padding { (0, before + from + after) } else { (before, before + from) };
    let window = |at: usize| {
        let (begin, end) = (at * stride, at * stride + kernel);
        let weight = 1.0 / end.min(past).saturating_sub(begin.max(first)).max(1) as f32;
        (begin.max(before)..end.min(before + from)).map(|at| (at - before, weight)).collect()
    };
    (0..to).map(window).collect()
}

/// Windows of adaptive pooling, as PyTorch counts them.
fn adaptive(from: usize, to: usize) -> Axis {
    let window = |at: usize| {
        let (first, past) = (at * from / to, ((at + 1) * from).div_ceil(to));
        (first..past).map(|at| (at, 1.0 / (past - first) as f32)).collect()
    };
    (0..to).map(window).collect()
}

fn reduced(kind: Reduction, axes: &[usize], from: &[usize]) -> Rows {
    let count: usize = axes.iter().map(|&axis| from[axis]).product();
    let weight = if kind == Reduction::Mean { 1.0 / count as f32 } else { 1.0 };
    let kept: Vec<usize> = from.iter().enumerate().map(|(axis, &side)| if axes.contains(&axis) { 1 } else { side }).collect();
    let results: usize = kept.iter().product();
    let mut entries: Vec<Vec<(usize, f32)>> = vec![Vec::with_capacity(count); results];
    for element in 0..from.iter().product() {
        let mut at = coordinates(from, element);
        axes.iter().for_each(|&axis| at[axis] = 0);
        entries[index(&kept, &at)].push((element, weight));
    }
    Rows::of(entries)
}
