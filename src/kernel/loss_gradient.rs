//! Gradient of the loss that an attack ascends, with respect to the logits z; y is the label, t the target.
//!
//! - cross-entropy, untargeted: `softmax(z) - onehot(y)`; to a target: `onehot(t) - softmax(z)`;
//! - margin (Carlini and Wagner 2017), untargeted: `onehot(best but y) - onehot(y)`; targeted: `onehot(t) - onehot(best but t)`; towards
//!   a target: `onehot(t) - onehot(y)`;
//! - difference of logits ratio n / d (Croce and Hein 2020): `(gradient of n - n / d gradient of d) / d`, n being the margin.

use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{Backend, Dispatch, Flex, backend_extension};
use burn::tensor::{DType, Int, Tensor};
use burn_wgpu::{CubeBackend, CubeTensor};
use bytemuck::{Pod, Zeroable};

use super::launch::launch;
use super::loss;
use super::row::{Row, State};
use super::twin::{self, CpuTensor};
use super::{Element, Kernel, door, fields, input, output, sample};

/// The row of [`KERNELS`](super::KERNELS).
pub const KERNEL: Kernel = Kernel {
    name: "loss_gradient",
    summary: "gradient of cross-entropy, margin or logits ratio with respect to the logits, targeted or not",
    shader: include_str!("../../shaders/loss_gradient.wgsl"),
    workgroup: 64,
    per_row: true,
    bindings: &[
        input("logits", Element::Float),
        input("rows", Element::Row),
        input("state", Element::State),
        output("out_gradient", Element::Float),
    ],
    parameters: fields!(Parameters { rows, classes }),
    parameters_size: size_of::<Parameters>(),
    variants: &["plain"],
    sample: |shape, device| {
        let (rows, state) = sample::slots(shape, device);
        vec![sample::logits(shape, 1, device), rows, state]
    },
    run: |_, values| {
        let [logits, rows, state] = sample::take(values);
        vec![loss_gradient(logits.floats(), rows.words(), state.words()).into()]
    },
};

/// Parameters of the shader.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
pub struct Parameters {
    /// B.
    pub rows: u32,
    /// C.
    pub classes: u32,
}

/// Gradient [B, C] of each row's loss with respect to its `logits` [B, C], at least two classes; 0 for rows that are not running. The
/// first of several largest logits counts as the best. A label or a target past the last class counts as the last one.
///
/// # Panics
/// Where shapes or element types do not fit.
pub fn loss_gradient(logits: Tensor<2>, rows: Tensor<1, Int>, state: Tensor<1, Int>) -> Tensor<2> {
    let shape = logits.dims();
    door::floats(KERNEL.name, "logits", &logits, shape);
    door::classes(KERNEL.name, shape[1]);
    door::slots(KERNEL.name, &rows, &state, shape[0]);
    Tensor::from_dispatch(<Dispatch as LossGradient>::loss_gradient(logits.into_dispatch(), rows.into_dispatch(), state.into_dispatch()))
}

/// [`loss_gradient`] on the backends' own tensors.
#[backend_extension(Cube, Flex, Fusion)]
pub trait LossGradient: Backend {
    /// See [`loss_gradient`].
    #[fusion(dtype = logits, shape = logits)]
    fn loss_gradient(logits: FloatTensor<Self>, rows: IntTensor<Self>, state: IntTensor<Self>) -> FloatTensor<Self>;
}

impl LossGradient for CubeBackend {
    fn loss_gradient(logits: CubeTensor, rows: CubeTensor, state: CubeTensor) -> CubeTensor {
        let shape = logits.meta.shape().clone();
        let parameters = Parameters { rows: shape[0] as u32, classes: shape[1] as u32 };
        let [out] = launch(&KERNEL, vec![logits, rows, state], [(shape, DType::F32)], &parameters);
        out
    }
}

impl LossGradient for Flex {
    fn loss_gradient(logits: CpuTensor, rows: CpuTensor, state: CpuTensor) -> CpuTensor {
        let (rows, state) = (twin::dense::<i32>(rows), twin::dense::<i32>(state));
        let (rows, states): (&[Row], &[State]) = (twin::records(&rows), twin::records(&state));
        twin::update_rows(logits, 16, |slot, z| {
            let row = &rows[slot];
            if !states[slot].is_running(row) {
                z.fill(0.0);
                return;
            }
            loss::gradient(row, z);
        })
    }
}
