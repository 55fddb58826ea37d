//! Where a row starts: its origin, or a uniform point of the ball around it, clipped to [0, 1].
//!
//! - linf: `origin + epsilon (2 u - 1)`, one u in [0, 1) an element.
//! - l2: `origin + epsilon u^(1/D) g / |g|`, g standard normal, one u a row (Muller 1959).
//!
//! The random counter is (element / 4, step, restart, example); step is 0 for a fresh row. The radius' u has
//! [`ROW_BLOCK`] in place of the element.

use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{Backend, Dispatch, Flex, backend_extension};
use burn::tensor::{DType, Int, Tensor};
use burn_wgpu::{CubeBackend, CubeTensor};
use bytemuck::{Pod, Zeroable};

use super::launch::launch;
use super::random::{LANES, ROW_BLOCK, normals, philox, philox_lanes, unit};
use super::row::{Row, START_ORIGIN, START_RANDOM, State};
use super::twin::{self, CpuTensor, clip};
use super::{Element, Kernel, door, fields, input, output, sample};
use crate::threat::Norm;

/// The row of [`KERNELS`](super::KERNELS).
pub const KERNEL: Kernel = Kernel {
    name: "random_start",
    summary: "starts rows at their origin or at a uniform point of the linf or l2 ball (Philox, Salmon et al. 2011)",
    shader: include_str!("../../shaders/random_start.wgsl"),
    workgroup: 256,
    per_row: true,
    bindings: &[
        input("x", Element::Float),
        input("origin", Element::Float),
        input("rows", Element::Row),
        input("state", Element::State),
        output("out_x", Element::Float),
    ],
    parameters: fields!(Parameters { rows, columns, euclidean, redraw, exponent }),
    parameters_size: size_of::<Parameters>(),
    variants: &["linf", "l2", "linf, drawn again", "l2, drawn again"],
    sample: |shape, device| {
        let (rows, state) = sample::slots(shape, device);
        vec![sample::near(shape, 1, device), sample::unit(shape, 1, device), rows, state]
    },
    run: |variant, values| {
        let [x, origin, rows, state] = sample::take(values);
        let norm = [Norm::Linf, Norm::L2][variant % 2];
        vec![random_start(x.floats(), origin.floats(), rows.words(), state.words(), norm, variant >= 2).into()]
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
    /// 0: the linf ball; 1: the l2 ball.
    pub euclidean: u32,
    /// 1: every row that is fresh or running draws a point.
    pub redraw: u32,
    /// 1 / D.
    pub exponent: f32,
}

/// The points that rows start from, in place of `x` [B, D]. A fresh row becomes a uniform point of the ball around its `origin`
/// [B, D], or its origin, as its `start` says; with `redraw` every fresh and every running row becomes a new uniform point. All others
/// keep `x`.
///
/// # Panics
/// Where shapes or element types do not fit, and for the norms l1 and l0.
pub fn random_start(x: Tensor<2>, origin: Tensor<2>, rows: Tensor<1, Int>, state: Tensor<1, Int>, norm: Norm, redraw: bool) -> Tensor<2> {
    let shape = x.dims();
    door::floats(KERNEL.name, "x", &x, shape);
    door::floats(KERNEL.name, "origin", &origin, shape);
    door::slots(KERNEL.name, &rows, &state, shape[0]);
    assert!(matches!(norm, Norm::Linf | Norm::L2), "random_start: no uniform points for the norm {}", norm.name());
    Tensor::from_dispatch(<Dispatch as RandomStart>::random_start(
        x.into_dispatch(),
        origin.into_dispatch(),
        rows.into_dispatch(),
        state.into_dispatch(),
        norm == Norm::L2,
        redraw,
    ))
}

/// [`random_start`] on the backends' own tensors.
#[backend_extension(Cube, Flex, Fusion)]
pub trait RandomStart: Backend {
    /// See [`random_start`].
    #[fusion(dtype = x, shape = x)]
    fn random_start(
        x: FloatTensor<Self>,
        origin: FloatTensor<Self>,
        rows: IntTensor<Self>,
        state: IntTensor<Self>,
        euclidean: bool,
        redraw: bool,
    ) -> FloatTensor<Self>;
}

impl RandomStart for CubeBackend {
    fn random_start(x: CubeTensor, origin: CubeTensor, rows: CubeTensor, state: CubeTensor, euclidean: bool, redraw: bool) -> CubeTensor {
        let shape = x.meta.shape().clone();
        let parameters = Parameters {
            rows: shape[0] as u32,
            columns: shape[1] as u32,
            euclidean: euclidean.into(),
            redraw: redraw.into(),
            exponent: 1.0 / shape[1] as f32,
        };
        let [out] = launch(&KERNEL, vec![x, origin, rows, state], [(shape, DType::F32)], &parameters);
        out
    }
}

impl RandomStart for Flex {
    fn random_start(x: CpuTensor, origin: CpuTensor, rows: CpuTensor, state: CpuTensor, euclidean: bool, redraw: bool) -> CpuTensor {
        let (origin, rows, state) = (twin::dense::<f32>(origin), twin::dense::<i32>(rows), twin::dense::<i32>(state));
        let (origin, rows, states): (&[f32], &[Row], &[State]) = (origin.storage(), twin::records(&rows), twin::records(&state));
        twin::update_rows(x, 16, |slot, x| {
            let (row, state) = (&rows[slot], &states[slot]);
            let origin = &origin[slot * x.len()..][..x.len()];
            let fresh = state.is_fresh(row);
            if (fresh && row.start == START_RANDOM) || (redraw && (fresh || state.is_running(row))) {
                let counter = [if fresh { 0 } else { state.step }, row.restart, row.example];
                if euclidean { in_sphere(x, origin, row, counter) } else { in_cube(x, origin, row, counter) }
            } else if fresh && row.start == START_ORIGIN {
                x.copy_from_slice(origin);
            }
        })
    }
}

fn in_cube(x: &mut [f32], origin: &[f32], row: &Row, counter: [u32; 3]) {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") {
        // SAFETY: the processor has AVX2.
        unsafe { in_cube_avx2(x, origin, row, counter) };
        return;
    }
    in_cube_lanes(x, origin, row, counter);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn in_cube_avx2(x: &mut [f32], origin: &[f32], row: &Row, counter: [u32; 3]) {
    in_cube_lanes(x, origin, row, counter);
}

#[inline(always)]
fn in_cube_lanes(x: &mut [f32], origin: &[f32], row: &Row, counter: [u32; 3]) {
    for (group, (x, origin)) in x.chunks_mut(4 * LANES).zip(origin.chunks(4 * LANES)).enumerate() {
        let words = philox_lanes((group * LANES) as u32, counter, row.key);
        let mut numbers = [0.0; 4 * LANES];
        for (lane, numbers) in numbers.chunks_exact_mut(4).enumerate() {
            for (number, words) in numbers.iter_mut().zip(&words) {
                *number = unit(words[lane]);
            }
        }
        for ((x, origin), number) in x.iter_mut().zip(origin).zip(numbers) {
            *x = near(*origin, row.epsilon * (2.0 * number - 1.0));
        }
    }
}

/// A moved pixel, within [0, 1]. One that is not finite stays as it is, so that its row is seen to fail: clipping would hide it.
#[inline(always)]
fn near(origin: f32, change: f32) -> f32 {
    if origin.is_finite() { clip(origin + change, 0.0, 1.0) } else { origin }
}

fn in_sphere(x: &mut [f32], origin: &[f32], row: &Row, counter: [u32; 3]) {
    let words = |block| philox([block, counter[0], counter[1], counter[2]], row.key);
    for (block, x) in x.chunks_mut(4).enumerate() {
        x.copy_from_slice(&normals(words(block as u32))[..x.len()]);
    }
    let length = twin::sum(x, |value| value * value).sqrt();
    let u = unit(words(ROW_BLOCK)[0]);
    let radius = f64::from(row.epsilon) * f64::from(u).powf(1.0 / x.len() as f64);
    let scale = if length > 0.0 { (radius / length) as f32 } else { 0.0 };
    for (x, origin) in x.iter_mut().zip(origin) {
        *x = near(*origin, scale * *x);
    }
}
