//! A step of the linf attacks: `x + step_size sign(direction)`, back into the linf ball around the origin, then into [0, 1]
//! (Goodfellow et al. 2015; Madry et al. 2018).
//!
//! With a zero direction, or a step size of 0, it is the projection alone, as the judge wants it.

use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{Backend, Dispatch, Flex, backend_extension};
use burn::tensor::{DType, Int, Tensor};
use burn_wgpu::{CubeBackend, CubeTensor};
use bytemuck::{Pod, Zeroable};

use super::launch::launch;
use super::row::{Row, START_KEPT, State};
use super::twin::{self, CpuTensor, NOT_FINITE, clip, largest_bits};
use super::{Element, Kernel, door, fields, input, output, sample};

/// The row of [`KERNELS`](super::KERNELS).
pub const KERNEL: Kernel = Kernel {
    name: "linf_step",
    summary: "signed step and projection to the linf ball and to [0, 1] (Madry et al. 2018)",
    shader: include_str!("../../shaders/linf_step.wgsl"),
    workgroup: 256,
    per_row: true,
    bindings: &[
        input("x", Element::Float),
        input("origin", Element::Float),
        input("direction", Element::Float),
        input("rows", Element::Row),
        input("state", Element::State),
        output("out_x", Element::Float),
        output("out_state", Element::State),
    ],
    parameters: fields!(Parameters { rows, columns }),
    parameters_size: size_of::<Parameters>(),
    variants: &["plain"],
    sample: |shape, device| {
        let (rows, state) = sample::slots(shape, device);
        let direction = sample::gradient(shape, 3, device);
        vec![sample::near(shape, 1, device), sample::unit(shape, 1, device), direction, rows, state]
    },
    run: |_, values| {
        let [x, origin, direction, rows, state] = sample::take(values);
        let (x, state) = linf_step(x.floats(), origin.floats(), direction.floats(), rows.words(), state.words());
        vec![x.into(), state.into()]
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

/// One step of every running row of `x` [B, D] along `direction` [B, D], within the ball around `origin` [B, D]; the sign of 0 is 0.
/// A fresh row that starts along a kept direction takes the same step from its origin, its state unchanged; all others keep `x`.
///
/// Where a direction that is to be used is not finite, the row keeps `x` and its state says that it failed.
///
/// # Panics
/// Where shapes or element types do not fit.
pub fn linf_step(
    x: Tensor<2>,
    origin: Tensor<2>,
    direction: Tensor<2>,
    rows: Tensor<1, Int>,
    state: Tensor<1, Int>,
) -> (Tensor<2>, Tensor<1, Int>) {
    let shape = x.dims();
    door::floats(KERNEL.name, "x", &x, shape);
    door::floats(KERNEL.name, "origin", &origin, shape);
    door::floats(KERNEL.name, "direction", &direction, shape);
    door::slots(KERNEL.name, &rows, &state, shape[0]);
    let (x, state) = <Dispatch as LinfStep>::linf_step(
        x.into_dispatch(),
        origin.into_dispatch(),
        direction.into_dispatch(),
        rows.into_dispatch(),
        state.into_dispatch(),
    );
    (Tensor::from_dispatch(x), Tensor::from_dispatch(state))
}

/// [`linf_step`] on the backends' own tensors.
#[backend_extension(Cube, Flex, Fusion)]
pub trait LinfStep: Backend {
    /// See [`linf_step`].
    #[fusion(meta = |x, _origin, _direction, _rows, state| (x.clone(), state.clone()))]
    fn linf_step(
        x: FloatTensor<Self>,
        origin: FloatTensor<Self>,
        direction: FloatTensor<Self>,
        rows: IntTensor<Self>,
        state: IntTensor<Self>,
    ) -> (FloatTensor<Self>, IntTensor<Self>);
}

impl LinfStep for CubeBackend {
    fn linf_step(
        x: CubeTensor,
        origin: CubeTensor,
        direction: CubeTensor,
        rows: CubeTensor,
        state: CubeTensor,
    ) -> (CubeTensor, CubeTensor) {
        let shape = x.meta.shape().clone();
        let parameters = Parameters { rows: shape[0] as u32, columns: shape[1] as u32 };
        let outputs = [(shape, DType::F32), (state.meta.shape().clone(), DType::I32)];
        let [x, state] = launch(&KERNEL, vec![x, origin, direction, rows, state], outputs, &parameters);
        (x, state)
    }
}

/// The sign's bit.
const SIGN: u32 = 0x8000_0000;

impl LinfStep for Flex {
    fn linf_step(x: CpuTensor, origin: CpuTensor, direction: CpuTensor, rows: CpuTensor, state: CpuTensor) -> (CpuTensor, CpuTensor) {
        let (origin, direction, rows) = (twin::dense::<f32>(origin), twin::dense::<f32>(direction), twin::dense::<i32>(rows));
        let (origin, direction, rows): (&[f32], &[f32], &[Row]) = (origin.storage(), direction.storage(), twin::records(&rows));
        let mut state = twin::dense::<i32>(state);
        let x = twin::update(x, 2, twin::records_mut(&mut state), |slot, x, state: &mut State| {
            let row = &rows[slot];
            let origin = &origin[slot * x.len()..][..x.len()];
            let direction = &direction[slot * x.len()..][..x.len()];
            let kept = state.is_fresh(row) && row.start == START_KEPT;
            if !kept && !state.is_running(row) {
                return;
            }
            if largest_bits(direction) >= NOT_FINITE {
                *state = state.failed(row);
                return;
            }
            if kept {
                x.copy_from_slice(origin);
            }
            let (epsilon, step_size) = (row.epsilon, row.step_size);
            for ((x, origin), direction) in x.iter_mut().zip(origin).zip(direction) {
                // step_size sign(direction), in two instructions on the bits.
                let step = f32::from_bits(step_size.to_bits() ^ (direction.to_bits() & SIGN));
                let moved = *x + if *direction == 0.0 { 0.0 } else { step };
                *x = clip(clip(moved, origin - epsilon, origin + epsilon), 0.0, 1.0);
            }
        });
        (x, state)
    }
}
