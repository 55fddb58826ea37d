//! What APGD does with a row after a forward pass (Croce and Hein 2020, algorithm 1 and section 3.2; under l1 Croce and Hein 2021,
//! section 3.2): is the point the best so far, has the step size to shrink, does the row go back to its best point, does its stage end?
//!
//! With n steps in the stage, checkpoints come after `max(22 n / 100, 1)` steps, then at distances that shrink by `max(3 n / 100, 1)`
//! down to `max(6 n / 100, 1)`. The step size is halved, and the row goes back, where the loss rose in at most rho of the steps since
//! the last checkpoint, or where the size was not halved there and the best loss is the same. Under l1 checkpoints come every
//! `max(4 n / 100, 1)` steps: the next steps move 2/3 as many elements as the best point has changed; where these are below 0.95 of
//! those at the last checkpoint, the row goes back with the first step size, else the size is divided by 1.5.
//!
//! One thing differs from the authors' code: whether the first step of a stage raised the loss is told from the loss before it, as in
//! the paper, where the code compares with 0.

use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{Backend, Dispatch, Flex, backend_extension};
use burn::tensor::{DType, Int, Tensor};
use burn_wgpu::{CubeBackend, CubeTensor};
use bytemuck::{Pod, Zeroable};
use rayon::prelude::*;

use super::apgd::{self, FIRST, JUMP, KEEP, MOVE, Notes, SHRINK, stage_steps};
use super::launch::launch;
use super::row::{NOTES_WORDS, Row, State};
use super::twin::{self, CpuTensor, NOT_FINITE, largest_bits};
use super::{Element, Kernel, door, fields, input, output, sample};

/// The row of [`KERNELS`](super::KERNELS).
pub const KERNEL: Kernel = Kernel {
    name: "apgd_check",
    summary: "APGD's bookkeeping: best loss, checkpoints, step sizes, stages (Croce and Hein 2020, 2021)",
    shader: include_str!("../../shaders/apgd_check.wgsl"),
    workgroup: 256,
    per_row: true,
    bindings: &[
        input("gradient", Element::Float),
        input("notes", Element::Word),
        input("rows", Element::Row),
        input("state", Element::State),
        output("out_notes", Element::Word),
        output("out_state", Element::State),
    ],
    parameters: fields!(Parameters { rows, columns, sparse, stages, rho }),
    parameters_size: size_of::<Parameters>(),
    variants: &["linf and l2", "l1", "l1, larger radii first"],
    sample: |shape, device| {
        let (rows, state) = sample::slots(shape, device);
        vec![sample::gradient(shape, 1, device), apgd::sample(shape, device), rows, state]
    },
    run: |variant, values| {
        let [gradient, notes, rows, state] = sample::take(values);
        let schedule = Schedule { sparse: variant > 0, stages: [1, 1, 3][variant], rho: 0.75 };
        let (notes, state) = apgd_check(gradient.floats(), notes.words(), rows.words(), state.words(), schedule);
        vec![notes.into(), state.into()]
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
    /// 1: l1.
    pub sparse: u32,
    /// Stages of a row: 1 or 3.
    pub stages: u32,
    /// The share of rising steps up to which a step size is halved.
    pub rho: f32,
}

/// The schedule that all rows follow.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Schedule {
    /// Whether the norm is l1.
    pub sparse: bool,
    /// Stages of a row: 1, or 3 with radii of 3, 2 and 1 epsilon.
    pub stages: u32,
    /// The share of rising steps up to which a step size is halved; not read under l1.
    pub rho: f32,
}

/// The notes [B * NOTES_WORDS] of every row after the forward pass that `state` tells of and the backward pass that gave `gradient`
/// [B, D], with what is to be done in them: nothing where a row is not running, but that one which has survived keeps its last point
/// where that is its best. A running row whose gradient is not finite has failed.
/// A row's gradient steps are its `steps` less one for every stage but the first.
///
/// # Panics
/// Where shapes or element types do not fit.
pub fn apgd_check(
    gradient: Tensor<2>,
    notes: Tensor<1, Int>,
    rows: Tensor<1, Int>,
    state: Tensor<1, Int>,
    schedule: Schedule,
) -> (Tensor<1, Int>, Tensor<1, Int>) {
    let shape = gradient.dims();
    door::floats(KERNEL.name, "gradient", &gradient, shape);
    door::words(KERNEL.name, "notes", &notes, shape[0] * NOTES_WORDS);
    door::slots(KERNEL.name, &rows, &state, shape[0]);
    let (notes, state) = <Dispatch as ApgdCheck>::apgd_check(
        gradient.into_dispatch(),
        notes.into_dispatch(),
        rows.into_dispatch(),
        state.into_dispatch(),
        schedule,
    );
    (Tensor::from_dispatch(notes), Tensor::from_dispatch(state))
}

/// [`apgd_check`] on the backends' own tensors.
#[backend_extension(Cube, Flex, Fusion)]
pub trait ApgdCheck: Backend {
    /// See [`apgd_check`].
    #[fusion(meta = |_gradient, notes, _rows, state, _schedule| (notes.clone(), state.clone()))]
    fn apgd_check(
        gradient: FloatTensor<Self>,
        notes: IntTensor<Self>,
        rows: IntTensor<Self>,
        state: IntTensor<Self>,
        schedule: Schedule,
    ) -> (IntTensor<Self>, IntTensor<Self>);
}

impl ApgdCheck for CubeBackend {
    fn apgd_check(
        gradient: CubeTensor,
        notes: CubeTensor,
        rows: CubeTensor,
        state: CubeTensor,
        schedule: Schedule,
    ) -> (CubeTensor, CubeTensor) {
        let shape = gradient.meta.shape();
        let Schedule { sparse, stages, rho } = schedule;
        let parameters = Parameters { rows: shape[0] as u32, columns: shape[1] as u32, sparse: sparse.into(), stages, rho };
        let outputs = [(notes.meta.shape().clone(), DType::I32), (state.meta.shape().clone(), DType::I32)];
        let [notes, state] = launch(&KERNEL, vec![gradient, notes, rows, state], outputs, &parameters);
        (notes, state)
    }
}

impl ApgdCheck for Flex {
    fn apgd_check(gradient: CpuTensor, notes: CpuTensor, rows: CpuTensor, state: CpuTensor, schedule: Schedule) -> (CpuTensor, CpuTensor) {
        let columns = gradient.layout().shape()[1];
        let (gradient, rows) = (twin::dense::<f32>(gradient), twin::dense::<i32>(rows));
        let (gradient, rows): (&[f32], &[Row]) = (gradient.storage(), twin::records(&rows));
        let (mut notes, mut state) = (twin::dense::<i32>(notes), twin::dense::<i32>(state));
        let states: &mut [State] = twin::records_mut(&mut state);
        let slots = twin::records_mut::<Notes>(&mut notes).par_iter_mut().zip(states);
        slots.zip(gradient.par_chunks_exact(columns)).zip(rows).for_each(|(((notes, state), gradient), row)| {
            notes.actions = 0;
            if !state.is_running(row) {
                if state.has_survived(row) {
                    notes.last(state.loss);
                }
                return;
            }
            if largest_bits(gradient) >= NOT_FINITE {
                *state = state.failed(row);
                return;
            }
            let steps = (row.steps + 1).saturating_sub(schedule.stages);
            notes.after_forward(state.loss, steps, columns as u32, schedule);
        });
        (notes, state)
    }
}

impl Notes {
    fn after_forward(&mut self, loss: f32, all_steps: u32, columns: u32, schedule: Schedule) {
        let steps = stage_steps(all_steps, schedule.stages, self.stage);
        if self.taken == 0 {
            self.begin(loss, steps, columns, schedule);
        } else {
            self.increases += u32::from(loss > self.last_loss);
            self.last_loss = loss;
            if loss > self.best_loss {
                self.actions = KEEP;
                (self.best_loss, self.best_nonzeros) = (loss, self.nonzeros);
            }
            self.since += 1;
            if self.since == self.interval {
                self.check(steps, schedule);
            }
        }
        if self.stage + 1 < schedule.stages && self.taken >= steps {
            self.actions |= JUMP | SHRINK;
            (self.stage, self.taken) = (self.stage + 1, 0);
        } else {
            self.actions |= if self.taken == 0 { MOVE | FIRST } else { MOVE };
            self.taken += 1;
        }
    }

    /// The last point of a row that ran out of steps may be its best.
    fn last(&mut self, loss: f32) {
        // A stage without steps has but one.
        if self.taken == 0 || loss > self.best_loss {
            self.actions = KEEP;
            (self.best_loss, self.best_nonzeros) = (loss, self.nonzeros);
        }
    }

    /// The first forward pass of a stage.
    fn begin(&mut self, loss: f32, steps: u32, columns: u32, schedule: Schedule) {
        // A row of one stage begins with a fifth of the elements, as if all of them had been changed before.
        let (active, changed) =
            if schedule.stages == 1 { (columns.div_ceil(5), columns) } else { (elements_to_move(self.nonzeros), self.nonzeros) };
        *self = Self {
            actions: KEEP,
            stage: self.stage,
            interval: ((if schedule.sparse { 4 } else { 22 }) * steps / 100).max(1),
            reduced: 1,
            active,
            nonzeros: self.nonzeros,
            best_nonzeros: self.nonzeros,
            checked_nonzeros: changed,
            last_loss: loss,
            best_loss: loss,
            checked_loss: loss,
            unused: self.unused,
            ..Self::default()
        };
    }

    fn check(&mut self, steps: u32, schedule: Schedule) {
        let goes_back = if schedule.sparse {
            let sparser = 20 * self.best_nonzeros < 19 * self.checked_nonzeros;
            self.reductions = if sparser { 0 } else { self.reductions + 1 };
            self.active = elements_to_move(self.best_nonzeros);
            self.checked_nonzeros = self.best_nonzeros;
            sparser
        } else {
            let few = self.increases as f32 <= self.interval as f32 * schedule.rho;
            let reduces = few || (self.reduced == 0 && self.checked_loss >= self.best_loss);
            self.reductions += u32::from(reduces);
            self.reduced = reduces.into();
            self.checked_loss = self.best_loss;
            self.interval = self.interval.saturating_sub((3 * steps / 100).max(1)).max((6 * steps / 100).max(1));
            reduces
        };
        self.actions |= if goes_back { JUMP } else { 0 };
        (self.since, self.increases) = (0, 0);
    }
}

/// Two thirds of the elements that the best point has changed, rounded up, but one at least.
fn elements_to_move(nonzeros: u32) -> u32 {
    (2 * nonzeros).div_ceil(3).max(1)
}
