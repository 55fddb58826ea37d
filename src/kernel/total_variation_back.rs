//! The way back through [`total_variation`](super::total_variation()), whose solution has no gradient in closed form: its own iterations
//! transposed, all of them linearised where the solver ended. Where it has converged that is the implicit function theorem's gradient,
//! summed up as a Neumann series of as many terms as the solver took steps.
//!
//! With cotangents z', a', p' of the solution, the point ahead and the dual variable, one step back is
//! `s = c (z' + 2 a')`, c being 1 / (1 + tau) at kept values and 1 at dropped ones; kept values of x get `tau s`; then
//! `z = s - a'`, `p = J^T (p' - tau grad s)`, `a = -tau div p`. J is the derivative of the projection on lengths of at most the weight:
//! the identity inside, `weight / |q| (1 - u u^T)` with u = q / |q| outside, at q = p + tau grad ahead.

use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{Backend, Dispatch, Flex, backend_extension};
use burn::tensor::{DType, Int, Shape, Tensor};
use burn_wgpu::{CubeBackend, CubeTensor};

use super::gaussian::{self, DRAW_WORDS};
use super::launch::launch;
use super::square::sample_shape;
use super::total_variation::{Parameters, STEP, is_kept};
use super::twin::{self, CpuTensor};
use super::{Element, Kernel, door, fields, input, output, sample};
use crate::engine::draw::DrawRow;

/// The row of [`KERNELS`](super::KERNELS).
pub const KERNEL: Kernel = Kernel {
    name: "total_variation_back",
    summary: "gradients through total variation minimisation: its iterations transposed (implicit function theorem)",
    shader: include_str!("../../shaders/total_variation_back.wgsl"),
    workgroup: 64,
    per_row: true,
    bindings: &[
        input("gradient", Element::Float),
        input("draws", Element::Word),
        input("ahead", Element::Float),
        input("down", Element::Float),
        input("across", Element::Float),
        output("out_parts", Element::Float),
    ],
    parameters: fields!(Parameters { rows, channels, height, width, iterations, weight, keep }),
    parameters_size: size_of::<Parameters>(),
    variants: &["half kept", "all kept"],
    sample: |shape, device| {
        let mut values = (gaussian::KERNEL.sample)(shape, device);
        values[0] = sample::gradient(shape, 1, device);
        values.extend([3, 4, 5].map(|seed| sample::unit(shape, seed, device)));
        values
    },
    run: |variant, values| {
        let [gradient, draws, ahead, down, across] = sample::take(values);
        let gradient = gradient.floats();
        let [rows, columns] = gradient.dims();
        let [channels, height, width] = sample_shape(columns).map(|size| size as u32);
        let keep = if variant == 0 { 0.5 } else { 1.0 };
        let parameters = Parameters { rows: rows as u32, channels, height, width, iterations: 12, weight: 0.6, keep };
        let state = [ahead.floats(), down.floats() * 0.4, across.floats() * 0.4];
        vec![parts(gradient, draws.words(), state, parameters).into()]
    },
};

/// Parts of a row of the output: the gradient, and the cotangents of solution, point ahead and dual variable.
const PARTS: usize = 5;

/// The gradients [B, D] with respect to the images from those with respect to their solutions, `gradient` [B, D]; `state` is what
/// [`total_variation_state`](super::total_variation::total_variation_state) gave beside the solutions, under the same `draws` and
/// `parameters`.
///
/// # Panics
/// Where shapes or element types do not fit.
pub fn total_variation_back(gradient: Tensor<2>, draws: Tensor<1, Int>, state: [Tensor<2>; 3], parameters: Parameters) -> Tensor<2> {
    let [rows, columns] = gradient.dims();
    parts(gradient, draws, state, parameters).slice([0..rows, 0..columns])
}

fn parts(gradient: Tensor<2>, draws: Tensor<1, Int>, state: [Tensor<2>; 3], parameters: Parameters) -> Tensor<2> {
    let Parameters { channels, height, width, .. } = parameters;
    let shape = [gradient.dims()[0], (channels * height * width) as usize];
    door::floats(KERNEL.name, "gradient", &gradient, shape);
    door::words(KERNEL.name, "draws", &draws, shape[0] * DRAW_WORDS);
    state.iter().zip(["ahead", "down", "across"]).for_each(|(part, name)| door::floats(KERNEL.name, name, part, shape));
    let [ahead, down, across] = state.map(Tensor::into_dispatch);
    let (gradient, draws) = (gradient.into_dispatch(), draws.into_dispatch());
    Tensor::from_dispatch(<Dispatch as TotalVariationBack>::total_variation_back(gradient, draws, ahead, down, across, parameters))
}

/// [`total_variation_back`] on the backends' own tensors: [B, 5 D].
#[backend_extension(Cube, Flex, Fusion)]
pub trait TotalVariationBack: Backend {
    /// See [`total_variation_back`].
    #[fusion(dtype = gradient, shape = Shape::new([gradient[0], PARTS * gradient[1]]))]
    fn total_variation_back(
        gradient: FloatTensor<Self>,
        draws: IntTensor<Self>,
        ahead: FloatTensor<Self>,
        down: FloatTensor<Self>,
        across: FloatTensor<Self>,
        parameters: Parameters,
    ) -> FloatTensor<Self>;
}

impl TotalVariationBack for CubeBackend {
    fn total_variation_back(
        gradient: CubeTensor,
        draws: CubeTensor,
        ahead: CubeTensor,
        down: CubeTensor,
        across: CubeTensor,
        parameters: Parameters,
    ) -> CubeTensor {
        let shape = [gradient.meta.shape()[0], PARTS * gradient.meta.shape()[1]];
        let [out] = launch(&KERNEL, vec![gradient, draws, ahead, down, across], [(Shape::new(shape), DType::F32)], &parameters);
        out
    }
}

impl TotalVariationBack for Flex {
    fn total_variation_back(
        gradient: CpuTensor,
        draws: CpuTensor,
        ahead: CpuTensor,
        down: CpuTensor,
        across: CpuTensor,
        parameters: Parameters,
    ) -> CpuTensor {
        let draws = twin::dense::<i32>(draws);
        let draws: &[DrawRow] = twin::records(&draws);
        let [gradient, ahead, down, across] = [gradient, ahead, down, across].map(twin::dense::<f32>);
        let [rows, columns] = [0, 1].map(|at| gradient.layout().shape()[at]);
        let of = |tensor: &CpuTensor, slot: usize| tensor.storage::<f32>()[slot * columns..][..columns].to_vec();
        let plane = (parameters.height * parameters.width) as usize;
        let work = 12 * columns * parameters.iterations as usize;
        twin::from_rows(rows, PARTS * columns, work, |slot, out| {
            let (gradient, ahead, down, across) = (of(&gradient, slot), of(&ahead, slot), of(&down, slot), of(&across, slot));
            let mut planes: Vec<&mut [f32]> = out.chunks_exact_mut(columns).collect();
            for first in (0..columns).step_by(plane) {
                let part = first..first + plane;
                let kept: Vec<bool> = part.clone().map(|at| is_kept(&draws[slot], at, parameters.keep)).collect();
                let bends = bends(&ahead[part.clone()], &down[part.clone()], &across[part.clone()], &parameters);
                let mut parts: Vec<&mut [f32]> = planes.iter_mut().map(|of| &mut of[part.clone()]).collect();
                let [to_x, z, a, p, q] = &mut parts[..] else { unreachable!("there are {PARTS} parts") };
                z.copy_from_slice(&gradient[part]);
                for _ in 0..parameters.iterations {
                    pull(to_x, z, a, p, q, &kept, &bends, &parameters);
                }
                // The solver starts both points where the kept values are.
                for at in (0..plane).filter(|&at| kept[at]) {
                    to_x[at] += z[at] + a[at];
                }
            }
        })
    }
}

/// Where the projection of a pixel's dual variable acts: its direction and weight / length, or 1 where it leaves it alone.
fn bends(ahead: &[f32], down: &[f32], across: &[f32], parameters: &Parameters) -> Vec<[f32; 3]> {
    let (height, width) = (parameters.height as usize, parameters.width as usize);
    let bend = |at: usize| {
        let below = if at / width + 1 < height { ahead[at + width] - ahead[at] } else { 0.0 };
        let beside = if at % width + 1 < width { ahead[at + 1] - ahead[at] } else { 0.0 };
        let (p, q) = (down[at] + STEP * below, across[at] + STEP * beside);
        let length = (p * p + q * q).sqrt();
        if length > parameters.weight { [p / length, q / length, parameters.weight / length] } else { [0.0, 0.0, 1.0] }
    };
    (0..height * width).map(bend).collect()
}

/// One step back of a plane.
#[expect(clippy::too_many_arguments, reason = "the planes of one state")]
fn pull(
    to_x: &mut [f32],
    z: &mut [f32],
    a: &mut [f32],
    p: &mut [f32],
    q: &mut [f32],
    kept: &[bool],
    bends: &[[f32; 3]],
    parameters: &Parameters,
) {
    let (height, width) = (parameters.height as usize, parameters.width as usize);
    for at in 0..height * width {
        let sum = z[at] + 2.0 * a[at];
        let through = if kept[at] { sum / (1.0 + STEP) } else { sum };
        if kept[at] {
            to_x[at] += STEP * through;
        }
        z[at] = through - a[at];
        a[at] = through;
    }
    for at in 0..height * width {
        let below = if at / width + 1 < height { a[at + width] - a[at] } else { 0.0 };
        let beside = if at % width + 1 < width { a[at + 1] - a[at] } else { 0.0 };
        let (down, across) = (p[at] - STEP * below, q[at] - STEP * beside);
        let [u, v, scale] = bends[at];
        let along = u * down + v * across;
        (p[at], q[at]) = (scale * (down - u * along), scale * (across - v * along));
    }
    for at in 0..height * width {
        let mut divergence = 0.0;
        if at / width + 1 < height {
            divergence += p[at];
        }
        if at / width > 0 {
            divergence -= p[at - width];
        }
        if at % width + 1 < width {
            divergence += q[at];
        }
        if at % width > 0 {
            divergence -= q[at - 1];
        }
        a[at] = -STEP * divergence;
    }
}
