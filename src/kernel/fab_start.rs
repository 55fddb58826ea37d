//! Where a row of the FAB attack starts (Croce and Hein 2020, "Minimally distorted adversarial examples with a fast adaptive boundary
//! attack"): its origin, or a random point at half of epsilon from it, clipped to [0, 1], `origin + epsilon / 2 t / |t|`, the norm being
//! the threat's.
//!
//! Under linf, t is uniform in [-1, 1); under l1 and l2 it is standard normal. The random counter is (element / 4, 0, restart, example).

use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{Backend, Dispatch, Flex, backend_extension};
use burn::tensor::{DType, Int, Tensor};
use burn_wgpu::{CubeBackend, CubeTensor};
use bytemuck::{Pod, Zeroable};

use super::fab_look::{NORMS, number};
use super::launch::launch;
use super::random::{normals, philox, unit};
use super::row::{Row, START_ORIGIN, START_RANDOM, State};
use super::twin::{self, CpuTensor, clip};
use super::{Element, Kernel, door, fields, input, output, sample};
use crate::threat::Norm;

/// The row of [`KERNELS`](super::KERNELS).
pub const KERNEL: Kernel = Kernel {
    name: "fab_start",
    summary: "starts FAB rows at their origin or at a random point at half of epsilon from it (Croce and Hein 2020)",
    shader: include_str!("../../shaders/fab_start.wgsl"),
    workgroup: 256,
    per_row: true,
    bindings: &[
        input("x", Element::Float),
        input("origin", Element::Float),
        input("rows", Element::Row),
        input("state", Element::State),
        output("out_x", Element::Float),
    ],
    parameters: fields!(Parameters { rows, columns, norm }),
    parameters_size: size_of::<Parameters>(),
    variants: &["linf", "l2", "l1"],
    sample: |shape, device| {
        let (rows, state) = sample::slots(shape, device);
        vec![sample::near(shape, 1, device), sample::unit(shape, 1, device), rows, state]
    },
    run: |variant, values| {
        let [x, origin, rows, state] = sample::take(values);
        vec![fab_start(x.floats(), origin.floats(), rows.words(), state.words(), NORMS[variant]).into()]
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
    /// 0: linf, 1: l2, 2: l1.
    pub norm: u32,
}

/// The points that rows start from, in place of `x` [B, D]: a fresh row becomes its `origin` [B, D] or a random point at half of its
/// epsilon from it under `norm`, as its `start` says. All others keep `x`.
///
/// # Panics
/// Where shapes or element types do not fit, and for the norm l0.
pub fn fab_start(x: Tensor<2>, origin: Tensor<2>, rows: Tensor<1, Int>, state: Tensor<1, Int>, norm: Norm) -> Tensor<2> {
    let shape = x.dims();
    door::floats(KERNEL.name, "x", &x, shape);
    door::floats(KERNEL.name, "origin", &origin, shape);
    door::slots(KERNEL.name, &rows, &state, shape[0]);
    Tensor::from_dispatch(<Dispatch as FabStart>::fab_start(
        x.into_dispatch(),
        origin.into_dispatch(),
        rows.into_dispatch(),
        state.into_dispatch(),
        number(KERNEL.name, norm),
    ))
}

/// [`fab_start`] on the backends' own tensors.
#[backend_extension(Cube, Flex, Fusion)]
pub trait FabStart: Backend {
    /// See [`fab_start`].
    #[fusion(dtype = x, shape = x)]
    fn fab_start(
        x: FloatTensor<Self>,
        origin: FloatTensor<Self>,
        rows: IntTensor<Self>,
        state: IntTensor<Self>,
        norm: u32,
    ) -> FloatTensor<Self>;
}

impl FabStart for CubeBackend {
    fn fab_start(x: CubeTensor, origin: CubeTensor, rows: CubeTensor, state: CubeTensor, norm: u32) -> CubeTensor {
        let shape = x.meta.shape().clone();
        let parameters = Parameters { rows: shape[0] as u32, columns: shape[1] as u32, norm };
        let [out] = launch(&KERNEL, vec![x, origin, rows, state], [(shape, DType::F32)], &parameters);
        out
    }
}

impl FabStart for Flex {
    fn fab_start(x: CpuTensor, origin: CpuTensor, rows: CpuTensor, state: CpuTensor, norm: u32) -> CpuTensor {
        let (origin, rows, state) = (twin::dense::<f32>(origin), twin::dense::<i32>(rows), twin::dense::<i32>(state));
        let (origin, rows, states): (&[f32], &[Row], &[State]) = (origin.storage(), twin::records(&rows), twin::records(&state));
        let norm = NORMS[norm as usize];
        twin::update_rows(x, 16, |slot, x| {
            let row = &rows[slot];
            let origin = &origin[slot * x.len()..][..x.len()];
            match row.start {
                _ if !states[slot].is_fresh(row) => {}
                START_ORIGIN => x.copy_from_slice(origin),
                START_RANDOM => at_half(x, origin, row, norm),
                _ => {}
            }
        })
    }
}

fn at_half(x: &mut [f32], origin: &[f32], row: &Row, norm: Norm) {
    for (block, x) in x.chunks_mut(4).enumerate() {
        let words = philox([block as u32, 0, row.restart, row.example], row.key);
        let drawn = if norm == Norm::Linf { words.map(|word| 2.0 * unit(word) - 1.0) } else { normals(words) };
        x.copy_from_slice(&drawn[..x.len()]);
    }
    let length = match norm {
        Norm::Linf => x.iter().fold(0.0, |largest, value| value.abs().max(largest)),
        Norm::L2 => twin::sum(x, |value| value * value).sqrt() as f32,
        _ => twin::sum(x, f64::abs) as f32,
    };
    let scale = if length > 0.0 { 0.5 * row.epsilon / length } else { 0.0 };
    for (x, origin) in x.iter_mut().zip(origin) {
        // A pixel that is not finite stays as it is, so that its row is seen to fail: clipping would hide it.
        *x = if origin.is_finite() { clip(origin + scale * *x, 0.0, 1.0) } else { *origin };
    }
}
