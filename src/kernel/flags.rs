//! A row's bookkeeping after a forward pass: did it succeed, has it run out, is its point the best so far?
//!
//! With logits z, label y and target t: the prediction is the first of the largest logits; the score is the margin,
//! `max over j != y of z_j - z_y` or, targeted, `z_t - max over j != t of z_j`; the loss is the margin, the cross-entropy of y or minus
//! that of t, or the difference of logits ratio; [`TOWARDS`](super::row::TOWARDS) leads the loss to t and leaves the score that of y.

use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{Backend, Dispatch, Flex, backend_extension};
use burn::tensor::{DType, Int, Tensor};
use burn_wgpu::{CubeBackend, CubeTensor};
use bytemuck::{Pod, Zeroable};

use super::launch::launch;
use super::loss;
use super::row::{BROKEN, LAST, OWN_END, RUNNING, Row, SURVIVED, State, TARGETED};
use super::twin::{self, CpuTensor, NOT_FINITE, argmax, largest_bits};
use super::{Element, Kernel, door, fields, input, output, sample};

/// The row of [`KERNELS`](super::KERNELS).
pub const KERNEL: Kernel = Kernel {
    name: "flags",
    summary: "bookkeeping after a forward pass: success, failure, best score, steps left",
    shader: include_str!("../../shaders/flags.wgsl"),
    workgroup: 64,
    per_row: true,
    bindings: &[
        input("logits", Element::Float),
        input("rows", Element::Row),
        input("state", Element::State),
        output("out_state", Element::State),
    ],
    parameters: fields!(Parameters { rows, classes, gradients }),
    parameters_size: size_of::<Parameters>(),
    variants: &["with gradients", "without gradients"],
    sample: |shape, device| {
        let (rows, state) = sample::slots(shape, device);
        vec![sample::logits(shape, 1, device), rows, state]
    },
    run: |variant, values| {
        let [logits, rows, state] = sample::take(values);
        vec![flags(logits.floats(), rows.words(), state.words(), variant == 0).into()]
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
    /// 1: a row that goes on gets a backward pass.
    pub gradients: u32,
}

/// The states after a forward pass that gave `logits` [B, C], at least two classes. A fresh row's state is begun first; a row that is
/// no longer running keeps its state, but for `improved`, which becomes 0; an empty slot keeps it as it is.
///
/// A running row with a logit that is not finite has failed. Otherwise a success from step `counts_from` on breaks it (with [`LAST`],
/// only after the last step); if not broken and out of steps, it has survived; else, and always with [`OWN_END`], its `step` goes up by
/// one, and with `gradients` so does `backwards`. A label or a target past the last class counts as the last one.
///
/// # Panics
/// Where shapes or element types do not fit.
pub fn flags(logits: Tensor<2>, rows: Tensor<1, Int>, state: Tensor<1, Int>, gradients: bool) -> Tensor<1, Int> {
    let shape = logits.dims();
    door::floats(KERNEL.name, "logits", &logits, shape);
    door::classes(KERNEL.name, shape[1]);
    door::slots(KERNEL.name, &rows, &state, shape[0]);
    Tensor::from_dispatch(<Dispatch as Flags>::flags(logits.into_dispatch(), rows.into_dispatch(), state.into_dispatch(), gradients))
}

/// [`flags`] on the backends' own tensors.
#[backend_extension(Cube, Flex, Fusion)]
pub trait Flags: Backend {
    /// See [`flags`].
    #[fusion(dtype = state, shape = state)]
    fn flags(logits: FloatTensor<Self>, rows: IntTensor<Self>, state: IntTensor<Self>, gradients: bool) -> IntTensor<Self>;
}

impl Flags for CubeBackend {
    fn flags(logits: CubeTensor, rows: CubeTensor, state: CubeTensor, gradients: bool) -> CubeTensor {
        let slots = logits.meta.shape()[0];
        let parameters = Parameters { rows: slots as u32, classes: logits.meta.shape()[1] as u32, gradients: gradients.into() };
        let outputs = [(state.meta.shape().clone(), DType::I32)];
        let [out] = launch(&KERNEL, vec![logits, rows, state], outputs, &parameters);
        out
    }
}

impl Flags for Flex {
    fn flags(logits: CpuTensor, rows: CpuTensor, state: CpuTensor, gradients: bool) -> CpuTensor {
        let classes = logits.layout().shape()[1];
        let (logits, rows) = (twin::dense::<f32>(logits), twin::dense::<i32>(rows));
        let (logits, rows): (&[f32], &[Row]) = (logits.storage(), twin::records(&rows));
        let mut state = twin::dense::<i32>(state);
        let states: &mut [State] = twin::records_mut(&mut state);
        for ((logits, row), state) in logits.chunks_exact(classes).zip(rows).zip(states) {
            *state = after_forward(logits, row, *state, gradients);
        }
        state
    }
}

fn after_forward(z: &[f32], row: &Row, mut state: State, gradients: bool) -> State {
    if row.generation == 0 {
        return state;
    }
    if state.is_fresh(row) {
        state = State::fresh(row);
    }
    state.improved = 0;
    if state.status != RUNNING {
        return state;
    }
    state.forwards += 1;
    if largest_bits(z) >= NOT_FINITE {
        return state.failed(row);
    }
    let targeted = row.flags & TARGETED != 0;
    let prediction = argmax(z, None);
    let pair = loss::score_pair(row, z);
    state.prediction = prediction as u32;
    state.score = z[pair.up] - z[pair.down];
    state.loss = loss::value(row, z);
    state.improved = u32::from(state.score > state.best);
    state.best = state.best.max(state.score);

    let class = if targeted { pair.up } else { pair.down };
    let success = (prediction == class) == targeted && state.step >= row.counts_from;
    let last = state.step >= row.steps && row.flags & OWN_END == 0;
    if success && (last || row.flags & (LAST | OWN_END) == 0) {
        state.status = BROKEN;
    } else if last {
        state.status = SURVIVED;
    } else {
        state.step += 1;
        state.backwards += u32::from(gradients);
    }
    state
}
