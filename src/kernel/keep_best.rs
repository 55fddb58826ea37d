//! The best point of a row so far: `best'[i] = x[i]` where the last forward improved the row's score, and `best[i]` elsewhere.

use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{Backend, Dispatch, Flex, backend_extension};
use burn::tensor::{DType, Int, Tensor};
use burn_wgpu::{CubeBackend, CubeTensor};
use bytemuck::{Pod, Zeroable};

use super::launch::launch;
use super::row::{Row, State};
use super::twin::{self, CpuTensor};
use super::{Element, Kernel, door, fields, input, output, sample};

/// The row of [`KERNELS`](super::KERNELS).
pub const KERNEL: Kernel = Kernel {
    name: "keep_best",
    summary: "keeps the point of each row's best score",
    shader: include_str!("../../shaders/keep_best.wgsl"),
    workgroup: 256,
    per_row: false,
    bindings: &[
        input("best", Element::Float),
        input("x", Element::Float),
        input("rows", Element::Row),
        input("state", Element::State),
        output("out_best", Element::Float),
    ],
    parameters: fields!(Parameters { rows, columns }),
    parameters_size: size_of::<Parameters>(),
    variants: &["plain"],
    sample: |shape, device| {
        let (rows, state) = sample::slots(shape, device);
        vec![sample::unit(shape, 1, device), sample::unit(shape, 2, device), rows, state]
    },
    run: |_, values| {
        let [best, x, rows, state] = sample::take(values);
        vec![keep_best(best.floats(), x.floats(), rows.words(), state.words()).into()]
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

/// `best` [B, D] with the rows of `x` [B, D] whose state says `improved`. An empty slot, and one whose state belongs to another row,
/// keeps what it has.
///
/// # Panics
/// Where shapes or element types do not fit.
pub fn keep_best(best: Tensor<2>, x: Tensor<2>, rows: Tensor<1, Int>, state: Tensor<1, Int>) -> Tensor<2> {
    let shape = best.dims();
    door::floats(KERNEL.name, "best", &best, shape);
    door::floats(KERNEL.name, "x", &x, shape);
    door::slots(KERNEL.name, &rows, &state, shape[0]);
    Tensor::from_dispatch(<Dispatch as KeepBest>::keep_best(
        best.into_dispatch(),
        x.into_dispatch(),
        rows.into_dispatch(),
        state.into_dispatch(),
    ))
}

/// [`keep_best`] on the backends' own tensors.
#[backend_extension(Cube, Flex, Fusion)]
pub trait KeepBest: Backend {
    /// See [`keep_best`].
    #[fusion(dtype = best, shape = best)]
    fn keep_best(best: FloatTensor<Self>, x: FloatTensor<Self>, rows: IntTensor<Self>, state: IntTensor<Self>) -> FloatTensor<Self>;
}

impl KeepBest for CubeBackend {
    fn keep_best(best: CubeTensor, x: CubeTensor, rows: CubeTensor, state: CubeTensor) -> CubeTensor {
        let shape = best.meta.shape().clone();
        let parameters = Parameters { rows: shape[0] as u32, columns: shape[1] as u32 };
        let [out] = launch(&KERNEL, vec![best, x, rows, state], [(shape, DType::F32)], &parameters);
        out
    }
}

impl KeepBest for Flex {
    fn keep_best(best: CpuTensor, x: CpuTensor, rows: CpuTensor, state: CpuTensor) -> CpuTensor {
        let (x, rows, state) = (twin::dense::<f32>(x), twin::dense::<i32>(rows), twin::dense::<i32>(state));
        let (x, rows, state): (&[f32], &[Row], &[State]) = (x.storage(), twin::records(&rows), twin::records(&state));
        twin::update_rows(best, 1, |slot, best| {
            if rows[slot].generation == state[slot].generation && state[slot].improved == 1 {
                best.copy_from_slice(&x[slot * best.len()..][..best.len()]);
            }
        })
    }
}
