//! What the kernels' CPU twins share: dense slices of Burn's CPU tensors, updates in place where nobody else holds the storage, rows
//! handed to several threads where that pays, and sums.

use std::mem::MaybeUninit;

use burn::backend::Flex;
use burn::backend::tensor::FloatTensor;
use burn::tensor::{Element, TensorData};
use bytemuck::Pod;
use rayon::prelude::*;

/// A tensor of the CPU device, float or integer.
pub(crate) type CpuTensor = FloatTensor<Flex>;

/// Below this much work, in elements copied, the threads cost more than they bring.
const PARALLEL: usize = 1 << 18;

/// Work that a thread takes at once.
const SHARE: usize = 1 << 15;

/// The same tensor, its storage holding exactly its elements in order.
pub(crate) fn dense<T: Element + Pod>(tensor: CpuTensor) -> CpuTensor {
    match tensor.as_slice::<T>() {
        Some(slice) if slice.len() == tensor.storage::<T>().len() => tensor,
        _ => tensor.to_contiguous(),
    }
}

/// The records in a dense tensor of words.
pub(crate) fn records<T: Pod>(tensor: &CpuTensor) -> &[T] {
    bytemuck::cast_slice(tensor.storage::<i32>())
}

/// The records in a dense tensor of words, to be changed; copied first if somebody else holds the storage.
pub(crate) fn records_mut<T: Pod>(tensor: &mut CpuTensor) -> &mut [T] {
    bytemuck::cast_slice_mut(tensor.storage_mut::<i32>())
}

/// Changes the rows of a float tensor [rows, columns], each with its entry of `side`; `weight` is as in [`update_rows`].
pub(crate) fn update<S: Send>(x: CpuTensor, weight: usize, side: &mut [S], change: impl Fn(usize, &mut [f32], &mut S) + Sync) -> CpuTensor {
    let columns = x.layout().shape()[1];
    let work = columns * weight;
    let mut x = dense::<f32>(x);
    if let Some(values) = x.try_storage_mut::<f32>() {
        each(values, columns, work, side, change);
        return x;
    }
    let source = x.storage::<f32>();
    create(columns, work, side, |index, row, side| {
        // The row is still in the cache when it is changed, so the copy costs one pass over memory, not two.
        change(index, row.write_copy_of_slice(&source[index * columns..][..columns]), side);
    })
}

/// Changes the rows of a float tensor [rows, columns]; an element costs about `weight` times as much as copying one.
pub(crate) fn update_rows(x: CpuTensor, weight: usize, change: impl Fn(usize, &mut [f32]) + Sync) -> CpuTensor {
    let rows = x.layout().shape()[0];
    update(x, weight, &mut vec![(); rows], |index, row, ()| change(index, row))
}

/// A float tensor [rows, columns] from its rows; `work` is about the number of elements that one of them is made from.
pub(crate) fn from_rows(rows: usize, columns: usize, work: usize, fill: impl Fn(usize, &mut [f32]) + Sync) -> CpuTensor {
    create(columns, work, &mut vec![(); rows], |index, row, ()| {
        for value in row.iter_mut() {
            value.write(0.0);
        }
        // SAFETY: every element was written just now.
        fill(index, unsafe { row.assume_init_mut() });
    })
}

/// `write` must write every element of the rows that it is given.
fn create<S: Send>(
    columns: usize,
    work: usize,
    side: &mut [S],
    write: impl Fn(usize, &mut [MaybeUninit<f32>], &mut S) + Sync,
) -> CpuTensor {
    let rows = side.len();
    let length = rows * columns;
    let mut values: Vec<f32> = Vec::with_capacity(length);
    each(&mut values.spare_capacity_mut()[..length], columns, work, side, write);
    // SAFETY: the capacity is at least `length`, and both callers write every element of every row.
    unsafe { values.set_len(length) };
    CpuTensor::from_data(TensorData::new(values, [rows, columns]))
}

/// Calls `change` with every row and its entry of `side`, on several threads where that pays; `work` is as in [`from_rows`].
fn each<T: Send, S: Send>(values: &mut [T], columns: usize, work: usize, side: &mut [S], change: impl Fn(usize, &mut [T], &mut S) + Sync) {
    if side.len() * work < PARALLEL {
        for (index, (row, side)) in values.chunks_exact_mut(columns).zip(side).enumerate() {
            change(index, row, side);
        }
    } else {
        values
            .par_chunks_exact_mut(columns)
            .zip(side.par_iter_mut())
            .enumerate()
            .with_min_len((SHARE / work).max(1))
            .for_each(|(index, (row, side))| change(index, row, side));
    }
}

/// Independent partial sums, so that loops run in vector registers; their number fixes the order of a sum, whatever the machine.
const LANES: usize = 8;

/// Sum over elements, in double precision: magnitudes and squares of single precision neither overflow nor vanish there.
pub(crate) fn sum(values: &[f32], term: impl Fn(f64) -> f64) -> f64 {
    let mut lanes = [0.0; LANES];
    let chunks = values.chunks_exact(LANES);
    let rest: f64 = chunks.remainder().iter().map(|&value| term(value.into())).sum();
    for chunk in chunks {
        for lane in 0..LANES {
            lanes[lane] += term(chunk[lane].into());
        }
    }
    lanes.iter().sum::<f64>() + rest
}

/// Sum over differences of the order of 1: in single precision over a few elements at a time, in double precision over all.
pub(crate) fn sum_differences(x: &[f32], origin: &[f32], term: impl Fn(f32) -> f32) -> f64 {
    const SPAN: usize = 16 * LANES;
    let span = |(x, origin): (&[f32], &[f32])| {
        let mut lanes = [0.0f32; LANES];
        let (x, origin) = (x.chunks_exact(LANES), origin.chunks_exact(LANES));
        let rest: f32 = x.remainder().iter().zip(origin.remainder()).map(|(x, origin)| term(x - origin)).sum();
        for (x, origin) in x.zip(origin) {
            for lane in 0..LANES {
                lanes[lane] += term(x[lane] - origin[lane]);
            }
        }
        f64::from(lanes.iter().sum::<f32>() + rest)
    };
    x.chunks(SPAN).zip(origin.chunks(SPAN)).map(span).sum()
}

/// `out = decay out + factor values`, in single precision where the factor is a normal number there.
pub(crate) fn blend(out: &mut [f32], decay: f32, values: &[f32], factor: f64) {
    let single = factor as f32;
    if single.is_normal() {
        for (out, value) in out.iter_mut().zip(values) {
            *out = decay * *out + single * value;
        }
    } else {
        for (out, value) in out.iter_mut().zip(values) {
            *out = decay * *out + (factor * f64::from(*value)) as f32;
        }
    }
}

/// The largest magnitude as bits, which order as the magnitudes do; [`NOT_FINITE`] or more where an element is not finite.
pub(crate) fn largest_bits(values: &[f32]) -> i32 {
    values.iter().fold(0, |largest, value| largest.max((value.to_bits() & 0x7FFF_FFFF) as i32))
}

/// Bits of infinity.
pub(crate) const NOT_FINITE: i32 = 0x7F80_0000;

/// Bits of the smallest normal number. A row whose largest magnitude is below it counts as zero, because GPUs may flush it to zero.
pub(crate) const NORMAL: i32 = 0x0080_0000;

/// `value` within the bounds. The plain comparisons compile to two instructions, which `f32::clamp` does not.
pub(crate) fn clip(value: f32, low: f32, high: f32) -> f32 {
    let value = if value < low { low } else { value };
    if value > high { high } else { value }
}

/// Index of the largest value, the first one of several; `except` is passed over.
pub(crate) fn argmax(values: &[f32], except: Option<usize>) -> usize {
    let mut best = usize::from(except == Some(0));
    for (index, value) in values.iter().enumerate() {
        if *value > values[best] && Some(index) != except {
            best = index;
        }
    }
    best
}
