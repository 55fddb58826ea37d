//! Fewer bits a value: `round(x levels) / levels`, halves to even (Xu et al. 2018, "Feature Squeezing", section III-A).

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Dispatch, Flex, backend_extension};
use burn::tensor::{DType, Tensor};
use burn_wgpu::{CubeBackend, CubeTensor};
use bytemuck::{Pod, Zeroable};

use super::launch::launch;
use super::twin::{self, CpuTensor};
use super::{Element, Kernel, door, fields, input, output, sample};

/// The row of [`KERNELS`](super::KERNELS).
pub const KERNEL: Kernel = Kernel {
    name: "bit_depth",
    summary: "rounds inputs to fewer bits (Xu et al. 2018)",
    shader: include_str!("../../shaders/bit_depth.wgsl"),
    workgroup: 256,
    per_row: false,
    bindings: &[input("x", Element::Float), output("out_x", Element::Float)],
    parameters: fields!(Parameters { rows, columns, levels }),
    parameters_size: size_of::<Parameters>(),
    variants: &["4 bits", "1 bit"],
    sample: |shape, device| vec![sample::near(shape, 1, device)],
    run: |variant, values| {
        let [x] = sample::take(values);
        vec![bit_depth(x.floats(), [15.0, 1.0][variant]).into()]
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
    /// Steps between 0 and 1.
    pub levels: f32,
}

/// The nearest multiples of 1 / `levels` to `x` [B, D].
///
/// # Panics
/// Where the element type does not fit.
pub fn bit_depth(x: Tensor<2>, levels: f32) -> Tensor<2> {
    door::floats(KERNEL.name, "x", &x, x.dims());
    Tensor::from_dispatch(<Dispatch as BitDepth>::bit_depth(x.into_dispatch(), levels))
}

/// [`bit_depth`] on the backends' own tensors.
#[backend_extension(Cube, Flex, Fusion)]
pub trait BitDepth: Backend {
    /// See [`bit_depth`].
    #[fusion(dtype = x, shape = x)]
    fn bit_depth(x: FloatTensor<Self>, levels: f32) -> FloatTensor<Self>;
}

impl BitDepth for CubeBackend {
    fn bit_depth(x: CubeTensor, levels: f32) -> CubeTensor {
        let shape = x.meta.shape().clone();
        let parameters = Parameters { rows: shape[0] as u32, columns: shape[1] as u32, levels };
        let [out] = launch(&KERNEL, vec![x], [(shape, DType::F32)], &parameters);
        out
    }
}

impl BitDepth for Flex {
    fn bit_depth(x: CpuTensor, levels: f32) -> CpuTensor {
        twin::update_rows(x, 2, |_, row| row.iter_mut().for_each(|value| *value = (*value * levels).round_ties_even() / levels))
    }
}
