//! Total variation minimisation of images of which pixels are dropped (Guo et al. 2018, "Countering Adversarial Images using Input
//! Transformations", section 4): with M the mask of kept values, one a value and drawn for each row,
//! `min over z of 1/2 |M (z - x)|^2 + weight sum |grad z|`, channel by channel.
//!
//! The variation is the isotropic one of Rudin, Osher and Fatemi 1992, and the solver the primal-dual one of Chambolle and Pock 2011
//! (algorithm 1, both steps 1 / sqrt 8, theta 1), which with nothing dropped solves what Chambolle 2004 does. Guo et al. take the norm of
//! the first term unsquared, that of whole lines for the second, and Bregman splitting. A dropped value starts at 1/2.

use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{Backend, Dispatch, Flex, backend_extension};
use burn::tensor::{DType, Int, Tensor};
use burn_wgpu::{CubeBackend, CubeTensor};
use bytemuck::{Pod, Zeroable};

use super::gaussian::{self, DRAW_WORDS};
use super::launch::launch;
use super::random::{philox, unit};
use super::square::sample_shape;
use super::twin::{self, CpuTensor};
use super::{Element, Kernel, door, fields, input, output, sample};
use crate::engine::draw::DrawRow;

/// The row of [`KERNELS`](super::KERNELS).
pub const KERNEL: Kernel = Kernel {
    name: "total_variation",
    summary: "total variation minimisation with dropped pixels (Guo et al. 2018; Chambolle and Pock 2011)",
    shader: include_str!("../../shaders/total_variation.wgsl"),
    workgroup: 64,
    per_row: true,
    bindings: &[
        input("x", Element::Float),
        input("draws", Element::Word),
        output("out_x", Element::Float),
        output("ahead", Element::Float),
        output("down", Element::Float),
        output("across", Element::Float),
    ],
    parameters: fields!(Parameters { rows, channels, height, width, iterations, weight, keep }),
    parameters_size: size_of::<Parameters>(),
    variants: &["half kept", "all kept"],
    sample: |shape, device| (gaussian::KERNEL.sample)(shape, device),
    run: |variant, values| {
        let [x, draws] = sample::take(values);
        let x = x.floats();
        let [channels, height, width] = sample_shape(x.dims()[1]).map(|size| size as u32);
        let rows = x.dims()[0] as u32;
        let parameters = Parameters { rows, channels, height, width, iterations: 5, weight: 0.1, keep: [0.5, 1.0][variant] };
        total_variation_state(x, draws.words(), parameters).map(Into::into).into()
    },
};

/// Parameters of the shader.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
pub struct Parameters {
    /// B.
    pub rows: u32,
    /// Channels of an image.
    pub channels: u32,
    /// Height of an image, pixels.
    pub height: u32,
    /// Width of an image, pixels.
    pub width: u32,
    /// Iterations of the solver.
    pub iterations: u32,
    /// Weight of the variation, input units.
    pub weight: f32,
    /// Share of the values that are kept.
    pub keep: f32,
}

/// `x` [B, D], images of the shape in `parameters`, with little variation; `draws` holds B [`DrawRow`]s that say what is dropped.
///
/// # Panics
/// Where shapes or element types do not fit.
pub fn total_variation(x: Tensor<2>, draws: Tensor<1, Int>, parameters: Parameters) -> Tensor<2> {
    let [x, ..] = total_variation_state(x, draws, parameters);
    x
}

/// As [`total_variation`], and what the solver ended with beside it: the point ahead of the solution and the dual variable's two parts,
/// [B, D] each.
///
/// # Panics
/// Where shapes or element types do not fit.
pub fn total_variation_state(x: Tensor<2>, draws: Tensor<1, Int>, parameters: Parameters) -> [Tensor<2>; 4] {
    let Parameters { channels, height, width, .. } = parameters;
    let rows = x.dims()[0];
    door::floats(KERNEL.name, "x", &x, [rows, (channels * height * width) as usize]);
    door::words(KERNEL.name, "draws", &draws, rows * DRAW_WORDS);
    let (x, ahead, down, across) = <Dispatch as TotalVariation>::total_variation(x.into_dispatch(), draws.into_dispatch(), parameters);
    [x, ahead, down, across].map(Tensor::from_dispatch)
}

/// [`total_variation`] on the backends' own tensors: the solution, the point ahead of it, and the dual variable's two parts.
#[backend_extension(Cube, Flex, Fusion)]
pub trait TotalVariation: Backend {
    /// See [`total_variation`].
    #[fusion(meta = |x, _draws, _parameters| (x.clone(), x.clone(), x.clone(), x.clone()))]
    fn total_variation(
        x: FloatTensor<Self>,
        draws: IntTensor<Self>,
        parameters: Parameters,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);
}

impl TotalVariation for CubeBackend {
    fn total_variation(x: CubeTensor, draws: CubeTensor, parameters: Parameters) -> (CubeTensor, CubeTensor, CubeTensor, CubeTensor) {
        let shape = x.meta.shape().clone();
        let outputs = std::array::from_fn(|_| (shape.clone(), DType::F32));
        let [x, ahead, down, across] = launch(&KERNEL, vec![x, draws], outputs, &parameters);
        (x, ahead, down, across)
    }
}

impl TotalVariation for Flex {
    fn total_variation(x: CpuTensor, draws: CpuTensor, parameters: Parameters) -> (CpuTensor, CpuTensor, CpuTensor, CpuTensor) {
        let draws = twin::dense::<i32>(draws);
        let draws: &[DrawRow] = twin::records(&draws);
        let source = twin::dense::<f32>(x);
        let [rows, columns] = [0, 1].map(|at| source.layout().shape()[at]);
        let source = source.storage::<f32>();
        let plane = (parameters.height * parameters.width) as usize;
        // All four parts of a row side by side, to be taken apart below.
        let work = 8 * columns * parameters.iterations as usize;
        let solved = twin::from_rows(rows, 4 * columns, work, |slot, out| {
            let x = &source[slot * columns..][..columns];
            let kept: Vec<bool> = (0..columns).map(|at| is_kept(&draws[slot], at, parameters.keep)).collect();
            let (z, rest) = out.split_at_mut(columns);
            let (ahead, rest) = rest.split_at_mut(columns);
            let (down, across) = rest.split_at_mut(columns);
            z.iter_mut().zip(x).zip(&kept).for_each(|((z, x), kept)| *z = if *kept { *x } else { 0.5 });
            ahead.copy_from_slice(z);
            for _ in 0..parameters.iterations {
                for first in (0..columns).step_by(plane) {
                    let part = first..first + plane;
                    ascend(&ahead[part.clone()], &mut down[part.clone()], &mut across[part], &parameters);
                }
                for first in (0..columns).step_by(plane) {
                    let part = first..first + plane;
                    let (down, across) = (&down[part.clone()], &across[part.clone()]);
                    descend(&x[part.clone()], &kept[part.clone()], down, across, &mut z[part.clone()], &mut ahead[part], &parameters);
                }
            }
        });
        let solved = solved.storage::<f32>();
        let part = |part: usize| {
            twin::from_rows(rows, columns, columns, |slot, out| out.copy_from_slice(&solved[(4 * slot + part) * columns..][..columns]))
        };
        (part(0), part(1), part(2), part(3))
    }
}

/// Whether a value of a row is kept.
pub(super) fn is_kept(draw: &DrawRow, element: usize, keep: f32) -> bool {
    let DrawRow { key, example, attempt, step } = *draw;
    unit(philox([element as u32 / 4, step, attempt, example], key)[element % 4]) < keep
}

/// 1 / sqrt 8: the gradient's norm is sqrt 8 at most.
pub(super) const STEP: f32 = 0.353_553_4;

/// The dual step of a plane: along the gradient of `ahead`, back to lengths of at most the weight.
fn ascend(ahead: &[f32], down: &mut [f32], across: &mut [f32], parameters: &Parameters) {
    let (height, width) = (parameters.height as usize, parameters.width as usize);
    for at in 0..height * width {
        let below = if at / width + 1 < height { ahead[at + width] - ahead[at] } else { 0.0 };
        let beside = if at % width + 1 < width { ahead[at + 1] - ahead[at] } else { 0.0 };
        let (p, q) = (down[at] + STEP * below, across[at] + STEP * beside);
        let length = (p * p + q * q).sqrt();
        let scale = if length > parameters.weight { parameters.weight / length } else { 1.0 };
        (down[at], across[at]) = (p * scale, q * scale);
    }
}

/// The primal step of a plane: along the divergence, towards what is kept; `ahead` goes the same way once more.
fn descend(x: &[f32], kept: &[bool], down: &[f32], across: &[f32], z: &mut [f32], ahead: &mut [f32], parameters: &Parameters) {
    let (height, width) = (parameters.height as usize, parameters.width as usize);
    for at in 0..height * width {
        let mut divergence = 0.0;
        if at / width + 1 < height {
            divergence += down[at];
        }
        if at / width > 0 {
            divergence -= down[at - width];
        }
        if at % width + 1 < width {
            divergence += across[at];
        }
        if at % width > 0 {
            divergence -= across[at - 1];
        }
        let moved = z[at] + STEP * divergence;
        let new = if kept[at] { (moved + STEP * x[at]) / (1.0 + STEP) } else { moved };
        ahead[at] = 2.0 * new - z[at];
        z[at] = new;
    }
}
