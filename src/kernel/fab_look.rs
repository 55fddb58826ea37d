//! What a row of the FAB attack does after a forward pass (Croce and Hein 2020, "Minimally distorted adversarial examples with a fast
//! adaptive boundary attack", algorithm 1).
//!
//! The paper asks for a forward pass at a point that a step has found, and, one iteration later, for another one and the gradient where
//! the row goes on: at that point, or, where it is a success, between it and the origin. Here each forward pass comes with its gradient:
//! after a success that a step has found, the gradient is not used and the row goes back; else it takes its step. The points are the
//! paper's; the forward passes are one and those of steps and successes.

use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{Backend, Dispatch, Flex, backend_extension};
use burn::tensor::{DType, Device, Int, Tensor};
use burn_wgpu::{CubeBackend, CubeTensor};
use bytemuck::{Pod, Zeroable};

use super::launch::launch;
use super::row::{BROKEN, LAST, NOTES_WORDS, Row, SURVIVED, State};
use super::sample::{Shape, Value};
use super::twin::{self, CpuTensor};
use super::{Element, Kernel, door, fields, input, output, sample, words};
use crate::threat::Norm;

/// The row of [`KERNELS`](super::KERNELS).
pub const KERNEL: Kernel = Kernel {
    name: "fab_look",
    summary: "what a FAB row does after a forward pass: end, go back, or take a step (Croce and Hein 2020)",
    shader: include_str!("../../shaders/fab_look.wgsl"),
    workgroup: 256,
    per_row: true,
    bindings: &[
        input("x", Element::Float),
        input("origin", Element::Float),
        input("rows", Element::Row),
        input("state", Element::State),
        input("notes", Element::Word),
        output("out_state", Element::State),
        output("out_notes", Element::Word),
    ],
    parameters: fields!(Parameters { rows, columns, norm }),
    parameters_size: size_of::<Parameters>(),
    variants: &["linf", "l2", "l1"],
    sample: |shape, device| {
        let (rows, state, notes) = slots(shape, device);
        vec![sample::near(shape, 1, device), sample::unit(shape, 1, device), rows, state, notes]
    },
    run: |variant, values| {
        let [x, origin, rows, state, notes] = sample::take(values);
        let (state, notes) = fab_look(x.floats(), origin.floats(), rows.words(), state.words(), notes.words(), NORMS[variant]);
        vec![state.into(), notes.into()]
    },
};

/// The norms, in the order of the variants.
pub(super) const NORMS: [Norm; 3] = [Norm::Linf, Norm::L2, Norm::L1];

/// A norm as the shaders number it.
pub(super) fn number(kernel: &str, norm: Norm) -> u32 {
    let at = NORMS.iter().position(|known| *known == norm);
    at.unwrap_or_else(|| panic!("{kernel}: not made for the norm {}", norm.name())) as u32
}

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

/// The notes of a FAB row. 64 bytes.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Pod, Zeroable)]
pub struct Notes {
    /// The row that these notes belong to.
    pub generation: u32,
    /// Steps begun; the paper's iterations.
    pub steps: u32,
    /// [`STAY`], [`BACK`] or [`STEP`].
    pub action: u32,
    /// Distance of the closest success so far, input units; the largest number where there is none.
    pub best: f32,
    /// Distance of the point at the last forward, input units.
    pub distance: f32,
    /// The target's logit less the label's where the last step was begun.
    pub difference: f32,
    /// Keeps the size.
    pub unused: [u32; 10],
}

const _: () = assert!(size_of::<Notes>() == 4 * NOTES_WORDS);

/// The row keeps its point.
pub const STAY: u32 = 0;
/// The row goes back towards its origin.
pub const BACK: u32 = 1;
/// The row takes a step along its gradient.
pub const STEP: u32 = 2;

/// States and notes after a forward pass at `x` [B, D] and its `flags`. Of a running row, a point that is not decided as the label is a
/// success; the closest one's distance from `origin` [B, D] under `norm` is noted, and `improved` says whether this is it. A success
/// within the row's epsilon breaks it, with [`LAST`] only when it has begun all its steps; a row that has begun them all ends. One that
/// goes on goes back where its last step has found a success, and takes a step elsewhere; after going back it steps even where it is
/// still a success. `backwards` goes down again where the gradient is not used. Notes of another row are begun anew.
///
/// # Panics
/// Where shapes or element types do not fit, and for the norm l0.
pub fn fab_look(
    x: Tensor<2>,
    origin: Tensor<2>,
    rows: Tensor<1, Int>,
    state: Tensor<1, Int>,
    notes: Tensor<1, Int>,
    norm: Norm,
) -> (Tensor<1, Int>, Tensor<1, Int>) {
    let shape = x.dims();
    door::floats(KERNEL.name, "x", &x, shape);
    door::floats(KERNEL.name, "origin", &origin, shape);
    door::slots(KERNEL.name, &rows, &state, shape[0]);
    door::words(KERNEL.name, "notes", &notes, shape[0] * NOTES_WORDS);
    let (state, notes) = <Dispatch as FabLook>::fab_look(
        x.into_dispatch(),
        origin.into_dispatch(),
        rows.into_dispatch(),
        state.into_dispatch(),
        notes.into_dispatch(),
        number(KERNEL.name, norm),
    );
    (Tensor::from_dispatch(state), Tensor::from_dispatch(notes))
}

/// [`fab_look`] on the backends' own tensors.
#[backend_extension(Cube, Flex, Fusion)]
pub trait FabLook: Backend {
    /// See [`fab_look`].
    #[fusion(meta = |_x, _origin, _rows, state, notes, _norm| (state.clone(), notes.clone()))]
    fn fab_look(
        x: FloatTensor<Self>,
        origin: FloatTensor<Self>,
        rows: IntTensor<Self>,
        state: IntTensor<Self>,
        notes: IntTensor<Self>,
        norm: u32,
    ) -> (IntTensor<Self>, IntTensor<Self>);
}

impl FabLook for CubeBackend {
    fn fab_look(
        x: CubeTensor,
        origin: CubeTensor,
        rows: CubeTensor,
        state: CubeTensor,
        notes: CubeTensor,
        norm: u32,
    ) -> (CubeTensor, CubeTensor) {
        let parameters = Parameters { rows: x.meta.shape()[0] as u32, columns: x.meta.shape()[1] as u32, norm };
        let outputs = [(state.meta.shape().clone(), DType::I32), (notes.meta.shape().clone(), DType::I32)];
        let [state, notes] = launch(&KERNEL, vec![x, origin, rows, state, notes], outputs, &parameters);
        (state, notes)
    }
}

impl FabLook for Flex {
    fn fab_look(x: CpuTensor, origin: CpuTensor, rows: CpuTensor, state: CpuTensor, notes: CpuTensor, norm: u32) -> (CpuTensor, CpuTensor) {
        let (slots, columns) = (x.layout().shape()[0], x.layout().shape()[1]);
        let (x, origin, rows) = (twin::dense::<f32>(x), twin::dense::<f32>(origin), twin::dense::<i32>(rows));
        let (x, origin, rows): (&[f32], &[f32], &[Row]) = (x.storage(), origin.storage(), twin::records(&rows));
        let norm = NORMS[norm as usize];
        let distances = twin::from_rows(slots, 1, columns, |slot, out| {
            let part = slot * columns..(slot + 1) * columns;
            out[0] = distance(&x[part.clone()], &origin[part], norm);
        });
        let (mut state, mut notes) = (twin::dense::<i32>(state), twin::dense::<i32>(notes));
        let (states, all): (&mut [State], &mut [Notes]) = (twin::records_mut(&mut state), twin::records_mut(&mut notes));
        for (((row, state), notes), distance) in rows.iter().zip(states).zip(all).zip(distances.storage::<f32>()) {
            look(row, state, notes, *distance);
        }
        (state, notes)
    }
}

fn distance(x: &[f32], origin: &[f32], norm: Norm) -> f32 {
    match norm {
        Norm::Linf => x.iter().zip(origin).map(|(x, origin)| (x - origin).abs()).fold(0.0, f32::max),
        Norm::L2 => twin::sum_differences(x, origin, |difference| difference * difference).sqrt() as f32,
        _ => twin::sum_differences(x, origin, f32::abs) as f32,
    }
}

fn look(row: &Row, state: &mut State, notes: &mut Notes, distance: f32) {
    if !state.is_running(row) {
        notes.action = STAY;
        return;
    }
    if notes.generation != row.generation {
        *notes = Notes { generation: row.generation, best: f32::MAX, unused: notes.unused, ..Notes::default() };
    }
    notes.distance = distance;
    let wrong = state.prediction != row.label;
    let found = notes.action == STEP;
    state.improved = u32::from(wrong && distance < notes.best);
    if state.improved == 1 {
        notes.best = distance;
    }
    let last = notes.steps >= row.steps;
    notes.action = STAY;
    if notes.best <= row.epsilon && (last || row.flags & LAST == 0) {
        state.status = BROKEN;
    } else if last {
        state.status = SURVIVED;
    } else if wrong && found {
        notes.action = BACK;
    } else {
        notes.action = STEP;
        notes.steps += 1;
        notes.difference = state.loss;
    }
    if notes.action != STEP {
        state.backwards = state.backwards.saturating_sub(1);
    }
}

/// Slots for the samples of the FAB kernels: wrongly decided points and notes of every kind among them; the first slot takes a step.
pub(super) fn slots(shape: Shape, device: &Device) -> (Value, Value, Value) {
    let (rows, state) = sample::slots(shape, device);
    let read: Vec<Row> = words::download(rows.clone().words());
    let mut states: Vec<State> = words::download(state.words());
    let notes: Vec<Notes> = states
        .iter_mut()
        .zip(&read)
        .enumerate()
        .map(|(index, (state, row))| {
            let index = index as u32;
            state.prediction = row.label + index % 2;
            state.loss = (index as f32 * 0.37).sin() * if index % 5 == 4 { 1e6 } else { 0.5 };
            Notes {
                generation: if index % 11 == 7 { 1 } else { row.generation },
                steps: index % 4,
                action: [STEP, BACK, STEP, STAY][(index % 7 % 4) as usize],
                best: if index.is_multiple_of(3) { f32::MAX } else { 0.06 * (index % 5) as f32 + 0.001 },
                distance: 0.25,
                difference: state.loss,
                unused: [index; 10],
            }
        })
        .collect();
    (rows, Value::Words(words::upload(&states, device)), Value::Words(words::upload(&notes, device)))
}
