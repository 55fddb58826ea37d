//! A step of the FAB attack (Croce and Hein 2020, "Minimally distorted adversarial examples with a fast adaptive boundary attack",
//! algorithm 1).
//!
//! With w the gradient, at x, of the difference of two logits, and d1, d2 the shortest ways within [0, 1] from x and from the origin to
//! the plane `{z : <w, z - x> + difference = 0}`: `y = (1 - alpha) (x + eta d1) + alpha (origin + eta d2)`, clipped to [0, 1], with
//! `alpha = min(|d1| / (|d1| + |d2|), alpha_max)` (lengths below 1e-8 count as 1e-8). Where the plane misses the box, the
//! way leads to the corner that comes nearest to it. A row that goes back becomes `origin + beta (x - origin)`.
//!
//! The shortest ways stand in `plane.rs`.

use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{Backend, Dispatch, Flex, backend_extension};
use burn::tensor::{DType, Int, Tensor};
use burn_wgpu::{CubeBackend, CubeTensor};
use bytemuck::{Pod, Zeroable};

use super::fab_look::{self, BACK, NORMS, Notes, STEP, number};
use super::launch::launch;
use super::plane::Slope;
use super::row::{FAILED, NOTES_WORDS, STATE_WORDS, State};
use super::twin::{self, CpuTensor, NOT_FINITE, clip, largest_bits};
use super::{Element, Kernel, door, fields, input, output, sample};
use crate::threat::Norm;

/// The row of [`KERNELS`](super::KERNELS).
pub const KERNEL: Kernel = Kernel {
    name: "fab_step",
    summary: "step of a FAB row between the projections of its point and its origin on the plane, or back (Croce and Hein 2020)",
    shader: include_str!("../../shaders/fab_step.wgsl"),
    workgroup: 256,
    per_row: true,
    bindings: &[
        input("x", Element::Float),
        input("origin", Element::Float),
        input("gradient", Element::Float),
        input("state", Element::State),
        input("notes", Element::Word),
        output("out_x", Element::Float),
        output("out_state", Element::State),
    ],
    parameters: fields!(Parameters { rows, columns, norm, alpha_max, eta, beta }),
    parameters_size: size_of::<Parameters>(),
    variants: &["linf", "l2", "l1"],
    sample: |shape, device| {
        let (_, state, notes) = fab_look::slots(shape, device);
        vec![sample::near(shape, 1, device), sample::unit(shape, 1, device), sample::gradient(shape, 3, device), state, notes]
    },
    run: |variant, values| {
        let [x, origin, gradient, state, notes] = sample::take(values);
        let (x, state) =
            fab_step(x.floats(), origin.floats(), gradient.floats(), state.words(), notes.words(), NORMS[variant], Pace::default());
        vec![x.into(), state.into()]
    },
};

/// How far steps go; without units.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pace {
    /// Largest weight of the origin's projection, in [0, 1].
    pub alpha_max: f32,
    /// How far beyond the plane a step goes, 1 being the plane itself.
    pub eta: f32,
    /// What going back leaves of the way from the origin, in [0, 1].
    pub beta: f32,
}

impl Default for Pace {
    /// The paper's: 0.1, 1.05 and 0.9.
    fn default() -> Self {
        Self { alpha_max: 0.1, eta: 1.05, beta: 0.9 }
    }
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
    /// See [`Pace`].
    pub alpha_max: f32,
    /// See [`Pace`].
    pub eta: f32,
    /// See [`Pace`].
    pub beta: f32,
}

/// The next points of the rows at `x` [B, D] around `origin` [B, D], both within [0, 1], as the action in their `notes` ([`Notes`],
/// after [`fab_look`](super::fab_look())) says. `gradient` [B, D] is that of the target's logit less the label's; a zero one, or one
/// whose largest magnitude is subnormal, moves nothing but a share alpha of the way to the origin.
///
/// Where a gradient that is to be used is not finite, the row keeps `x` and its state says that it failed.
///
/// # Panics
/// Where shapes or element types do not fit, and for the norm l0.
pub fn fab_step(
    x: Tensor<2>,
    origin: Tensor<2>,
    gradient: Tensor<2>,
    state: Tensor<1, Int>,
    notes: Tensor<1, Int>,
    norm: Norm,
    pace: Pace,
) -> (Tensor<2>, Tensor<1, Int>) {
    let shape = x.dims();
    door::floats(KERNEL.name, "x", &x, shape);
    door::floats(KERNEL.name, "origin", &origin, shape);
    door::floats(KERNEL.name, "gradient", &gradient, shape);
    door::words(KERNEL.name, "state", &state, shape[0] * STATE_WORDS);
    door::words(KERNEL.name, "notes", &notes, shape[0] * NOTES_WORDS);
    let (x, state) = <Dispatch as FabStep>::fab_step(
        x.into_dispatch(),
        origin.into_dispatch(),
        gradient.into_dispatch(),
        state.into_dispatch(),
        notes.into_dispatch(),
        number(KERNEL.name, norm),
        pace,
    );
    (Tensor::from_dispatch(x), Tensor::from_dispatch(state))
}

/// [`fab_step`] on the backends' own tensors.
#[backend_extension(Cube, Flex, Fusion)]
pub trait FabStep: Backend {
    /// See [`fab_step`].
    #[fusion(meta = |x, _origin, _gradient, state, _notes, _norm, _pace| (x.clone(), state.clone()))]
    fn fab_step(
        x: FloatTensor<Self>,
        origin: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        state: IntTensor<Self>,
        notes: IntTensor<Self>,
        norm: u32,
        pace: Pace,
    ) -> (FloatTensor<Self>, IntTensor<Self>);
}

impl FabStep for CubeBackend {
    fn fab_step(
        x: CubeTensor,
        origin: CubeTensor,
        gradient: CubeTensor,
        state: CubeTensor,
        notes: CubeTensor,
        norm: u32,
        pace: Pace,
    ) -> (CubeTensor, CubeTensor) {
        let shape = x.meta.shape().clone();
        let Pace { alpha_max, eta, beta } = pace;
        let parameters = Parameters { rows: shape[0] as u32, columns: shape[1] as u32, norm, alpha_max, eta, beta };
        let outputs = [(shape, DType::F32), (state.meta.shape().clone(), DType::I32)];
        let [x, state] = launch(&KERNEL, vec![x, origin, gradient, state, notes], outputs, &parameters);
        (x, state)
    }
}

impl FabStep for Flex {
    fn fab_step(
        x: CpuTensor,
        origin: CpuTensor,
        gradient: CpuTensor,
        state: CpuTensor,
        notes: CpuTensor,
        norm: u32,
        pace: Pace,
    ) -> (CpuTensor, CpuTensor) {
        let (origin, gradient, notes) = (twin::dense::<f32>(origin), twin::dense::<f32>(gradient), twin::dense::<i32>(notes));
        let (origin, gradient, notes): (&[f32], &[f32], &[Notes]) = (origin.storage(), gradient.storage(), twin::records(&notes));
        let norm = NORMS[norm as usize];
        let mut state = twin::dense::<i32>(state);
        // Some ten passes over two points.
        let x = twin::update(x, 32, twin::records_mut(&mut state), |slot, x, state: &mut State| {
            let part = slot * x.len()..(slot + 1) * x.len();
            let (origin, gradient) = (&origin[part.clone()], &gradient[part]);
            match notes[slot].action {
                BACK => x.iter_mut().zip(origin).for_each(|(x, origin)| *x = origin + pace.beta * (*x - origin)),
                STEP if largest_bits(gradient) >= NOT_FINITE => state.status = FAILED,
                STEP => step(x, origin, gradient, notes[slot].difference, norm, pace),
                _ => {}
            }
        });
        (x, state)
    }
}

fn step(x: &mut [f32], origin: &[f32], gradient: &[f32], difference: f32, norm: Norm, pace: Pace) {
    let slope = Slope::new(gradient, norm);
    let at_x = f64::from(difference) * f64::from(slope.scale);
    let at_origin = at_x + slope.change(x, origin);
    let (d1, length1) = slope.way(x, -at_x);
    let (d2, length2) = slope.way(origin, -at_origin);
    let alpha = (length1 / (length1 + length2)).min(pace.alpha_max);
    for (((x, origin), d1), d2) in x.iter_mut().zip(origin).zip(d1).zip(d2) {
        *x = clip((1.0 - alpha) * (*x + pace.eta * d1) + alpha * (origin + pace.eta * d2), 0.0, 1.0);
    }
}
