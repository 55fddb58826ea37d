//! The Square attack's points under l2 and l1 (Andriushchenko et al. 2020, algorithm 3, and its form for l1 in AutoAttack): a tiling with
//! patterns, then windows whose budget moves.
//!
//! With D = best - origin, the norm |.| and, per channel c, a drawn sign s: in the first window D becomes `mass_c n / |n|`, where
//! `n = s pattern + D / |D in the first window|_c`; in the second it becomes 0. The mass is
//! `sqrt(max(epsilon^2 - |D|^2, 0) / C + |D in both windows|_c^2)`, under l1 `C (max(epsilon - |D|, 0) / C + |D in both windows|_c)`.

use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{Backend, Dispatch, Flex, backend_extension};
use burn::tensor::{DType, Int, Tensor};
use burn_wgpu::{CubeBackend, CubeTensor};

use super::launch::launch;
use super::row::{Row, State};
use super::square::{Draws, Parameters, STAGES, Schedule, sample_shape};
use super::twin::{self, CpuTensor, clip};
use super::{Element, Kernel, door, fields, input, output, sample};
use crate::threat::Norm;

/// The row of [`KERNELS`](super::KERNELS).
pub const KERNEL: Kernel = Kernel {
    name: "square_mass",
    summary: "starts and proposals of the Square attack under l2 and l1 (Andriushchenko et al. 2020)",
    shader: include_str!("../../shaders/square_mass.wgsl"),
    workgroup: 256,
    per_row: true,
    bindings: &[
        input("x", Element::Float),
        input("best", Element::Float),
        input("origin", Element::Float),
        input("rows", Element::Row),
        input("state", Element::State),
        output("out_x", Element::Float),
    ],
    parameters: fields!(Parameters { rows, channels, height, width, schedule }),
    parameters_size: size_of::<Parameters>(),
    variants: &["l2, large windows", "l1, large windows", "l2, small windows", "l1, small windows"],
    sample: |shape, device| {
        let (rows, state) = sample::slots(shape, device);
        let [x, best, origin] = [sample::unit(shape, 2, device), sample::near(shape, 1, device), sample::unit(shape, 1, device)];
        vec![x, best, origin, rows, state]
    },
    run: |variant, values| {
        let [x, best, origin, rows, state] = sample::take(values);
        let x = x.floats();
        let shape = sample_shape(x.dims()[1]);
        let norm = [Norm::L2, Norm::L1][variant % 2];
        let schedule = Schedule::new(norm, if variant < 2 { 5000 } else { 4 }, 0.8, variant >= 2, [shape[1], shape[2]]);
        vec![square_mass(x, best.floats(), origin.floats(), rows.words(), state.words(), shape, &schedule).into()]
    },
};

/// The points of the next forward pass, in place of `x` [B, D], for images of `shape`: channels, height, width; under l2 or l1 as the
/// `schedule` is. A fresh row starts at its `origin` [B, D] plus a tiling with patterns; a running row proposes its `best` point [B, D]
/// with budget moved between two windows of the schedule's side, places and signs drawn. Under l2 the perturbation has length epsilon
/// before it is clipped to [0, 1]; under l1 the point still wants its projection. All others keep `x`; a pixel that is not finite stays
/// as it is. Where the pattern cancels what a window holds, it alone takes its place.
///
/// # Panics
/// Where shapes or element types do not fit.
pub fn square_mass(
    x: Tensor<2>,
    best: Tensor<2>,
    origin: Tensor<2>,
    rows: Tensor<1, Int>,
    state: Tensor<1, Int>,
    shape: [usize; 3],
    schedule: &Schedule,
) -> Tensor<2> {
    let dims = [x.dims()[0], shape.iter().product()];
    door::floats(KERNEL.name, "x", &x, dims);
    door::floats(KERNEL.name, "best", &best, dims);
    door::floats(KERNEL.name, "origin", &origin, dims);
    door::slots(KERNEL.name, &rows, &state, dims[0]);
    Tensor::from_dispatch(<Dispatch as SquareMass>::square_mass(
        x.into_dispatch(),
        best.into_dispatch(),
        origin.into_dispatch(),
        rows.into_dispatch(),
        state.into_dispatch(),
        Parameters::new(dims[0], shape, *schedule),
    ))
}

/// [`square_mass`] on the backends' own tensors.
#[backend_extension(Cube, Flex, Fusion)]
pub trait SquareMass: Backend {
    /// See [`square_mass`].
    #[fusion(dtype = x, shape = x)]
    fn square_mass(
        x: FloatTensor<Self>,
        best: FloatTensor<Self>,
        origin: FloatTensor<Self>,
        rows: IntTensor<Self>,
        state: IntTensor<Self>,
        parameters: Parameters,
    ) -> FloatTensor<Self>;
}

impl SquareMass for CubeBackend {
    fn square_mass(
        x: CubeTensor,
        best: CubeTensor,
        origin: CubeTensor,
        rows: CubeTensor,
        state: CubeTensor,
        parameters: Parameters,
    ) -> CubeTensor {
        let shape = x.meta.shape().clone();
        let [out] = launch(&KERNEL, vec![x, best, origin, rows, state], [(shape, DType::F32)], &parameters);
        out
    }
}

impl SquareMass for Flex {
    fn square_mass(
        x: CpuTensor,
        best: CpuTensor,
        origin: CpuTensor,
        rows: CpuTensor,
        state: CpuTensor,
        parameters: Parameters,
    ) -> CpuTensor {
        let (best, origin) = (twin::dense::<f32>(best), twin::dense::<f32>(origin));
        let (rows, state) = (twin::dense::<i32>(rows), twin::dense::<i32>(state));
        let (best, origin): (&[f32], &[f32]) = (best.storage(), origin.storage());
        let (rows, states): (&[Row], &[State]) = (twin::records(&rows), twin::records(&state));
        twin::update_rows(x, 2, |slot, x| {
            let (row, state) = (&rows[slot], &states[slot]);
            let part = slot * x.len()..(slot + 1) * x.len();
            let pair = Pair { best: &best[part.clone()], origin: &origin[part], manhattan: parameters.schedule.manhattan == 1 };
            if state.is_fresh(row) {
                pair.start(x, row, &parameters);
            } else if state.is_running(row) {
                pair.propose(x, &Draws { row, step: state.step }, &parameters);
            }
        })
    }
}

/// Below this norm, of two vectors of norm 1, their sum counts as zero.
const CANCELS: f32 = 1e-3;

struct Pair<'a> {
    best: &'a [f32],
    origin: &'a [f32],
    manhattan: bool,
}

impl Pair<'_> {
    /// The summand of the norm's power.
    fn power(&self, value: f32) -> f32 {
        if self.manhattan { value.abs() } else { value * value }
    }

    fn root(&self, sum: f32) -> f32 {
        if self.manhattan { sum } else { sum.sqrt() }
    }

    /// A pixel that is not finite stays as it is, so that its row is seen to fail: clipping would hide it.
    fn moved(&self, at: usize, change: f32) -> f32 {
        let origin = self.origin[at];
        match (origin.is_finite(), self.manhattan) {
            (true, false) => clip(origin + change, 0.0, 1.0),
            (true, true) => origin + change,
            (false, _) => origin,
        }
    }

    fn start(&self, x: &mut [f32], row: &Row, parameters: &Parameters) {
        let [channels, height, width] = parameters.shape();
        let schedule = &parameters.schedule;
        let draws = Draws { row, step: 0 };
        let side = schedule.sides[STAGES] as usize;
        let offset = height.saturating_sub(5 * side) / 2;
        let [down, across] = [height / side, width / side];
        x.fill(0.0);
        for tile in 0..down * across {
            let [top, left] = [offset + tile / across * side, offset + tile % across * side];
            let transposed = draws.bit(channels * down * across + tile);
            for channel in 0..channels {
                let sign = draws.sign(channel * down * across + tile);
                for line in top..height.min(top + side) {
                    for column in left..width.min(left + side) {
                        x[(channel * height + line) * width + column] =
                            sign * schedule.pattern(STAGES, line - top, column - left, transposed);
                    }
                }
            }
        }
        let length = twin::sum(x, |value| value * value).sqrt() as f32;
        let scale = if self.manhattan || length == 0.0 { 1.0 } else { row.epsilon / length };
        for (at, x) in x.iter_mut().enumerate() {
            *x = self.moved(at, scale * *x);
        }
    }

    fn propose(&self, x: &mut [f32], draws: &Draws, parameters: &Parameters) {
        let shape @ [channels, height, width] = parameters.shape();
        let schedule = &parameters.schedule;
        let epsilon = draws.row.epsilon;
        let stage = schedule.stage(draws.step.max(1) - 1);
        let side = schedule.sides[stage] as usize;
        let [[top, left], [other_top, other_left]] = draws.corners(side, shape);
        let (transposed, _) = draws.extras(channels);
        let is_first = |line, column| (top..top + side).contains(&line) && (left..left + side).contains(&column);
        let places = || (0..side).flat_map(|line| (0..side).map(move |column| (line, column)));

        let pattern: Vec<f32> = places().map(|(line, column)| schedule.pattern(stage, line, column, transposed)).collect();

        // One branch a row, not one an element, so that the sum runs in vector registers.
        let image = if self.manhattan {
            twin::sum_differences(self.best, self.origin, f32::abs)
        } else {
            twin::sum_differences(self.best, self.origin, |difference| difference * difference)
        } as f32;
        let length = self.root(image);
        let scale = if !self.manhattan && length > epsilon { epsilon / length } else { 1.0 };
        if scale < 1.0 {
            for ((x, best), origin) in x.iter_mut().zip(self.best).zip(self.origin) {
                *x = clip(origin + scale * (best - origin), 0.0, 1.0);
            }
        } else {
            x.copy_from_slice(self.best);
        }
        let budget = (self.power(epsilon) - image).max(0.0) / channels as f32;
        for channel in 0..channels {
            let at = |line, column| (channel * height + line) * width + column;
            let old = |at: usize| self.best[at] - self.origin[at];
            let first: f32 = places().map(|(line, column)| self.power(old(at(top + line, left + column)))).sum();
            let mut both = first;
            for (line, column) in places().map(|(line, column)| (other_top + line, other_left + column)) {
                if !is_first(line, column) {
                    both += self.power(old(at(line, column)));
                    x[at(line, column)] = self.origin[at(line, column)];
                }
            }
            let mass = if self.manhattan { (budget + both) * channels as f32 } else { (budget + both).sqrt() };
            let sign = draws.sign(channel);
            let per_old = 1.0 / (1e-12 + self.root(first));
            for ((line, column), pattern) in places().zip(&pattern) {
                let at = at(top + line, left + column);
                x[at] = sign * pattern + old(at) * per_old;
            }
            let total = self.root(places().map(|(line, column)| self.power(x[at(top + line, left + column)])).sum());
            let factor = scale * mass / if total < CANCELS { 1.0 } else { total };
            for ((line, column), pattern) in places().zip(&pattern) {
                let at = at(top + line, left + column);
                x[at] = self.moved(at, factor * if total < CANCELS { sign * pattern } else { x[at] });
            }
        }
    }
}
