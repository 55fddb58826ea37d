//! The Square attack's points under linf (Andriushchenko et al. 2020, algorithms 1 and 2): vertical stripes, then windows.
//!
//! A running row's point is its best one but for a window, which becomes `origin + or - epsilon`, one sign a channel, clipped to [0, 1].

use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{Backend, Dispatch, Flex, backend_extension};
use burn::tensor::{DType, Int, Tensor};
use burn_wgpu::{CubeBackend, CubeTensor};

use super::launch::launch;
use super::row::{Row, State};
use super::square::{Draws, Parameters, Schedule, sample_shape};
use super::twin::{self, CpuTensor, clip};
use super::{Element, Kernel, door, fields, input, output, sample};
use crate::threat::Norm;

/// The row of [`KERNELS`](super::KERNELS).
pub const KERNEL: Kernel = Kernel {
    name: "square_linf",
    summary: "starts and proposals of the Square attack under linf (Andriushchenko et al. 2020)",
    shader: include_str!("../../shaders/square_linf.wgsl"),
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
    variants: &["large windows", "small windows"],
    sample: |shape, device| {
        let (rows, state) = sample::slots(shape, device);
        let [x, best, origin] = [sample::unit(shape, 2, device), sample::near(shape, 1, device), sample::unit(shape, 1, device)];
        vec![x, best, origin, rows, state]
    },
    run: |variant, values| {
        let [x, best, origin, rows, state] = sample::take(values);
        let x = x.floats();
        let shape = sample_shape(x.dims()[1]);
        let schedule = Schedule::new(Norm::Linf, if variant == 0 { 5000 } else { 4 }, 0.8, variant == 1, [shape[1], shape[2]]);
        vec![square_linf(x, best.floats(), origin.floats(), rows.words(), state.words(), shape, &schedule).into()]
    },
};

/// The points of the next forward pass, in place of `x` [B, D], for images of `shape`: channels, height, width. A fresh row starts at
/// its `origin` [B, D] plus or minus epsilon, one sign a channel and column. A running row proposes its `best` point [B, D] with one
/// window changed: the window's side is the `schedule`'s for the proposal, its place uniform among all that are in the image, its
/// signs drawn one a channel. Where that would change nothing, a drawn channel's sign is turned round and the others are drawn again,
/// so a proposal differs from the best point wherever epsilon does. All others keep `x`; a pixel that is not finite stays as it is.
///
/// # Panics
/// Where shapes or element types do not fit.
pub fn square_linf(
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
    Tensor::from_dispatch(<Dispatch as SquareLinf>::square_linf(
        x.into_dispatch(),
        best.into_dispatch(),
        origin.into_dispatch(),
        rows.into_dispatch(),
        state.into_dispatch(),
        Parameters::new(dims[0], shape, *schedule),
    ))
}

/// [`square_linf`] on the backends' own tensors.
#[backend_extension(Cube, Flex, Fusion)]
pub trait SquareLinf: Backend {
    /// See [`square_linf`].
    #[fusion(dtype = x, shape = x)]
    fn square_linf(
        x: FloatTensor<Self>,
        best: FloatTensor<Self>,
        origin: FloatTensor<Self>,
        rows: IntTensor<Self>,
        state: IntTensor<Self>,
        parameters: Parameters,
    ) -> FloatTensor<Self>;
}

impl SquareLinf for CubeBackend {
    fn square_linf(
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

impl SquareLinf for Flex {
    fn square_linf(
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
        twin::update_rows(x, 1, |slot, x| {
            let (row, state) = (&rows[slot], &states[slot]);
            let part = slot * x.len()..(slot + 1) * x.len();
            if state.is_fresh(row) {
                stripes(x, &origin[part], row, &parameters);
            } else if state.is_running(row) {
                x.copy_from_slice(&best[part.clone()]);
                propose(x, &origin[part], &Draws { row, step: state.step }, &parameters);
            }
        })
    }
}

/// A pixel that is not finite stays as it is, so that its row is seen to fail: clipping would hide it.
fn moved(origin: f32, epsilon: f32, up: bool) -> f32 {
    if origin.is_finite() { clip(origin + if up { epsilon } else { -epsilon }, 0.0, 1.0) } else { origin }
}

fn stripes(x: &mut [f32], origin: &[f32], row: &Row, parameters: &Parameters) {
    let [_, height, width] = parameters.shape();
    let draws = Draws { row, step: 0 };
    let mut up = vec![false; width];
    for (channel, (x, origin)) in x.chunks_exact_mut(height * width).zip(origin.chunks_exact(height * width)).enumerate() {
        for (column, up) in up.iter_mut().enumerate() {
            *up = draws.bit(channel * width + column);
        }
        for ((x, origin), up) in x.iter_mut().zip(origin).zip(up.iter().cycle()) {
            *x = moved(*origin, row.epsilon, *up);
        }
    }
}

/// Changes a window of `x`, which holds the best point.
fn propose(x: &mut [f32], origin: &[f32], draws: &Draws, parameters: &Parameters) {
    let shape @ [channels, height, width] = parameters.shape();
    let schedule = &parameters.schedule;
    let side = schedule.sides[schedule.stage(draws.step.max(1) - 1)] as usize;
    let [[top, left], _] = draws.corners(side, shape);
    let mut change = |up: &dyn Fn(usize) -> bool| {
        let mut changed = false;
        for channel in 0..channels {
            let up = up(channel);
            for line in top..top + side {
                let start = (channel * height + line) * width + left;
                for (x, origin) in x[start..start + side].iter_mut().zip(&origin[start..start + side]) {
                    let point = moved(*origin, draws.row.epsilon, up);
                    changed |= point != *x;
                    *x = point;
                }
            }
        }
        changed
    };
    if !change(&|channel| draws.bit(channel)) {
        let (_, turned) = draws.extras(channels);
        change(&|channel| if channel == turned { !draws.bit(channel) } else { draws.bit(channels + channel) });
    }
}
