//! A noisy copy: `x + sigma n`, n standard normal, one a value (Philox and Box-Muller, [`random`](super::random)).
//!
//! The random counter is (element / 4, step, attempt, example) under the draw's own key, so that a copy depends on the row, the step and
//! the number of the draw, never on the batch.

use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{Backend, Dispatch, Flex, backend_extension};
use burn::tensor::{DType, Int, Tensor};
use burn_wgpu::{CubeBackend, CubeTensor};
use bytemuck::{Pod, Zeroable};

use super::launch::launch;
use super::random::{normals, philox};
use super::sample::Value;
use super::twin::{self, CpuTensor};
use super::words::upload;
use super::{Element, Kernel, door, fields, input, output, sample};
use crate::engine::draw::DrawRow;

/// The row of [`KERNELS`](super::KERNELS).
pub const KERNEL: Kernel = Kernel {
    name: "gaussian",
    summary: "noisy copies of the inputs, keyed by row and draw (Philox, Salmon et al. 2011)",
    shader: include_str!("../../shaders/gaussian.wgsl"),
    workgroup: 256,
    per_row: true,
    bindings: &[input("x", Element::Float), input("draws", Element::Word), output("out_x", Element::Float)],
    parameters: fields!(Parameters { rows, columns, sigma }),
    parameters_size: size_of::<Parameters>(),
    variants: &["sigma 0.1"],
    sample: |shape, device| {
        let row = |at: usize| DrawRow { key: [7, at as u32], example: 3 * at as u32, attempt: at as u32 % 2, step: at as u32 % 5 };
        let draws = upload(&(0..shape.rows).map(row).collect::<Vec<_>>(), device);
        vec![sample::unit(shape, 1, device), Value::Words(draws)]
    },
    run: |_, values| {
        let [x, draws] = sample::take(values);
        vec![gaussian(x.floats(), draws.words(), 0.1).into()]
    },
};

/// Words of a draw's row.
pub const DRAW_WORDS: usize = size_of::<DrawRow>() / 4;

/// Parameters of the shader.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
pub struct Parameters {
    /// B.
    pub rows: u32,
    /// D.
    pub columns: u32,
    /// Standard deviation, input units.
    pub sigma: f32,
}

/// `x` [B, D] with noise of standard deviation `sigma`, not clipped; `draws` holds B [`DrawRow`]s.
///
/// # Panics
/// Where shapes or element types do not fit.
pub fn gaussian(x: Tensor<2>, draws: Tensor<1, Int>, sigma: f32) -> Tensor<2> {
    door::floats(KERNEL.name, "x", &x, x.dims());
    door::words(KERNEL.name, "draws", &draws, x.dims()[0] * DRAW_WORDS);
    Tensor::from_dispatch(<Dispatch as Gaussian>::gaussian(x.into_dispatch(), draws.into_dispatch(), sigma))
}

/// [`gaussian`] on the backends' own tensors.
#[backend_extension(Cube, Flex, Fusion)]
pub trait Gaussian: Backend {
    /// See [`gaussian`].
    #[fusion(dtype = x, shape = x)]
    fn gaussian(x: FloatTensor<Self>, draws: IntTensor<Self>, sigma: f32) -> FloatTensor<Self>;
}

impl Gaussian for CubeBackend {
    fn gaussian(x: CubeTensor, draws: CubeTensor, sigma: f32) -> CubeTensor {
        let shape = x.meta.shape().clone();
        let parameters = Parameters { rows: shape[0] as u32, columns: shape[1] as u32, sigma };
        let [out] = launch(&KERNEL, vec![x, draws], [(shape, DType::F32)], &parameters);
        out
    }
}

impl Gaussian for Flex {
    fn gaussian(x: CpuTensor, draws: CpuTensor, sigma: f32) -> CpuTensor {
        let draws = twin::dense::<i32>(draws);
        let draws: &[DrawRow] = twin::records(&draws);
        twin::update_rows(x, 16, |slot, x| {
            let DrawRow { key, example, attempt, step } = draws[slot];
            for (block, x) in x.chunks_mut(4).enumerate() {
                let noise = normals(philox([block as u32, step, attempt, example], key));
                x.iter_mut().zip(noise).for_each(|(x, noise)| *x += sigma * noise);
            }
        })
    }
}
