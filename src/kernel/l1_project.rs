//! Euclidean projection on the intersection of an l1 ball and the box [0, 1]^D (Croce and Hein 2021, "Mind the box: l1-APGD for sparse
//! adversarial attacks on image classifiers", proposition 2.1).
//!
//! With `d = x - origin` and `room_i = 1 - origin_i` where `d_i > 0`, else `origin_i`, element i moves by
//! `sign(d_i) min(max(|d_i| - threshold, 0), room_i)`. The threshold is 0 where that lies in the ball, else the root of
//! `sum_i min(max(|d_i| - threshold, 0), room_i) = epsilon`, a monotone function that is linear between its breakpoints: Newton's method
//! between bounds finds it in about six passes over the row where algorithm 1 of the paper sorts 2 D numbers.

use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{Backend, Dispatch, Flex, backend_extension};
use burn::tensor::{DType, Int, Tensor};
use burn_wgpu::{CubeBackend, CubeTensor};
use bytemuck::{Pod, Zeroable};

use super::launch::launch;
use super::row::Row;
use super::twin::{self, CpuTensor, NOT_FINITE, clip, largest_bits};
use super::{Element, Kernel, door, fields, input, output, sample};

/// The row of [`KERNELS`](super::KERNELS).
pub const KERNEL: Kernel = Kernel {
    name: "l1_project",
    summary: "projection on the intersection of the l1 ball and [0, 1] (Croce and Hein 2021)",
    shader: include_str!("../../shaders/l1_project.wgsl"),
    workgroup: 256,
    per_row: true,
    bindings: &[input("x", Element::Float), input("origin", Element::Float), input("rows", Element::Row), output("out_x", Element::Float)],
    parameters: fields!(Parameters { rows, columns }),
    parameters_size: size_of::<Parameters>(),
    variants: &["plain"],
    sample: |shape, device| {
        // Points on both sides of both bounds, a few elements long, and the radii from a fraction of an element up.
        let far = sample::near(shape, 1, device).floats() * 1.25 - 0.125;
        vec![far.into(), sample::unit(shape, 1, device), sample::slots(shape, device).0]
    },
    run: |_, values| {
        let [x, origin, rows] = sample::take(values);
        vec![l1_project(x.floats(), origin.floats(), rows.words()).into()]
    },
};

/// Parameters of the shader.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
pub struct Parameters {
    /// B.
    pub rows: u32,
    /// D.
    pub columns: u32,
}

/// Every row of `x` [B, D] projected on the l1 ball of radius `epsilon` around `origin` [B, D] and on [0, 1]. The l1 distance of the
/// result is at most epsilon (1 + 1e-6), and every element is that of the exact projection up to a few roundings of single precision. An
/// empty slot keeps `x`, and so does a row with a number that is not finite.
///
/// # Panics
/// Where shapes or element types do not fit.
pub fn l1_project(x: Tensor<2>, origin: Tensor<2>, rows: Tensor<1, Int>) -> Tensor<2> {
    let shape = x.dims();
    door::floats(KERNEL.name, "x", &x, shape);
    door::floats(KERNEL.name, "origin", &origin, shape);
    door::words(KERNEL.name, "rows", &rows, shape[0] * super::row::ROW_WORDS);
    Tensor::from_dispatch(<Dispatch as L1Project>::l1_project(x.into_dispatch(), origin.into_dispatch(), rows.into_dispatch()))
}

/// [`l1_project`] on the backends' own tensors.
#[backend_extension(Cube, Flex, Fusion)]
pub trait L1Project: Backend {
    /// See [`l1_project`].
    #[fusion(dtype = x, shape = x)]
    fn l1_project(x: FloatTensor<Self>, origin: FloatTensor<Self>, rows: IntTensor<Self>) -> FloatTensor<Self>;
}

impl L1Project for CubeBackend {
    fn l1_project(x: CubeTensor, origin: CubeTensor, rows: CubeTensor) -> CubeTensor {
        let shape = x.meta.shape().clone();
        let parameters = Parameters { rows: shape[0] as u32, columns: shape[1] as u32 };
        let [out] = launch(&KERNEL, vec![x, origin, rows], [(shape, DType::F32)], &parameters);
        out
    }
}

impl L1Project for Flex {
    fn l1_project(x: CpuTensor, origin: CpuTensor, rows: CpuTensor) -> CpuTensor {
        let (origin, rows) = (twin::dense::<f32>(origin), twin::dense::<i32>(rows));
        let (origin, rows): (&[f32], &[Row]) = (origin.storage(), twin::records(&rows));
        twin::update_rows(x, 8, |slot, x| {
            let origin = &origin[slot * x.len()..][..x.len()];
            if rows[slot].generation != 0 && largest_bits(x) < NOT_FINITE && largest_bits(origin) < NOT_FINITE {
                project_row(x, origin, rows[slot].epsilon);
            }
        })
    }
}

/// Projects the finite point `x` on the l1 ball of radius `epsilon` around `origin` and on [0, 1].
pub(crate) fn project_row(x: &mut [f32], origin: &[f32], epsilon: f32) {
    let threshold = threshold(x, origin, f64::from(epsilon)) as f32;
    for (x, &origin) in x.iter_mut().zip(origin) {
        let difference = *x - origin;
        let left = part(origin, difference, threshold);
        *x = clip(origin + left.copysign(difference), 0.0, 1.0);
    }
    let length = twin::sum_differences(x, origin, f32::abs);
    if length > f64::from(epsilon) * (1.0 + CLOSE) {
        // Rounding has left too much: what is scaled is then rounded towards the origin.
        let scale = (f64::from(epsilon) / length) as f32;
        for (x, &origin) in x.iter_mut().zip(origin) {
            *x = clip(towards(origin + (*x - origin) * scale, origin), 0.0, 1.0);
        }
    }
}

/// The relative excess over the radius that is left alone.
const CLOSE: f64 = 5e-7;

/// The number next to a positive one, or 0, in the direction of another.
fn towards(value: f32, other: f32) -> f32 {
    if value < other {
        f32::from_bits(value.to_bits() + 1)
    } else if value > other {
        f32::from_bits(value.to_bits().saturating_sub(1))
    } else {
        value
    }
}

/// Length that is left of an element's difference.
fn part(origin: f32, difference: f32, threshold: f32) -> f32 {
    clip(difference.abs() - threshold, 0.0, room(origin, difference))
}

/// How far an element may move in the direction of its difference.
fn room(origin: f32, difference: f32) -> f32 {
    let room = if difference > 0.0 { 1.0 - origin } else { origin };
    if room < 0.0 { 0.0 } else { room }
}

/// Rounds after which the bounds are taken as they are; every third halves them.
const ROUNDS: usize = 64;

fn threshold(x: &[f32], origin: &[f32], epsilon: f64) -> f64 {
    let largest = x.iter().zip(origin).fold(0.0f32, |largest, (x, origin)| largest.max((x - origin).abs()));
    let (mut low, mut high, mut threshold) = (0.0, f64::from(largest), 0.0);
    for round in 0..ROUNDS {
        let (length, active) = length(x, origin, threshold as f32);
        let excess = length - epsilon;
        if excess.abs() <= 1e-7 * epsilon || (round == 0 && excess < 0.0) {
            return threshold;
        }
        if excess > 0.0 {
            low = threshold
        } else {
            high = threshold
        }
        // Thresholds are tried in single precision.
        let newton = f64::from((threshold + excess / active.max(1.0)) as f32);
        let middle = f64::from((0.5 * (low + high)) as f32);
        threshold = if newton > low && newton < high && round % 3 != 2 { newton } else { middle };
        if threshold <= low || threshold >= high {
            return high;
        }
    }
    high
}

/// Length at a threshold, and how many elements change with it.
fn length(x: &[f32], origin: &[f32], threshold: f32) -> (f64, f64) {
    const LANES: usize = 8;
    let one = |x: f32, origin: f32| {
        let difference = x - origin;
        let (left, room) = (difference.abs() - threshold, room(origin, difference));
        (clip(left, 0.0, room), if left > 0.0 && left < room { 1.0 } else { 0.0 })
    };
    let (mut length, mut active) = (0.0, 0.0);
    for (x, origin) in x.chunks(16 * LANES).zip(origin.chunks(16 * LANES)) {
        let (mut lengths, mut actives) = ([0.0f32; LANES], [0.0f32; LANES]);
        let (x, origin) = (x.chunks_exact(LANES), origin.chunks_exact(LANES));
        for (&x, &origin) in x.remainder().iter().zip(origin.remainder()) {
            let (part, counts) = one(x, origin);
            (lengths[0], actives[0]) = (lengths[0] + part, actives[0] + counts);
        }
        for (x, origin) in x.zip(origin) {
            for lane in 0..LANES {
                let (part, counts) = one(x[lane], origin[lane]);
                lengths[lane] += part;
                actives[lane] += counts;
            }
        }
        length += f64::from(lengths.iter().sum::<f32>());
        active += f64::from(actives.iter().sum::<f32>());
    }
    (length, active)
}
