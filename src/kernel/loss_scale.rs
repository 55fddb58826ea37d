//! A scale a row, so that half precision can carry its gradient: a power of two that brings the largest magnitude into [64, 128)
//! (Micikevicius et al. 2018, "Mixed Precision Training", section 3.2, with one scale for all).
//!
//! 64: on the way back through a network magnitudes may grow a thousandfold before half precision ends at 65,504, and what is 2^-20 of
//! the largest is still a normal number there. Powers of two only change exponents, so scaling and its undoing are exact.

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Dispatch, Flex, backend_extension};
use burn::tensor::{DType, Shape, Tensor};
use burn_wgpu::{CubeBackend, CubeTensor};
use bytemuck::{Pod, Zeroable};

use super::launch::launch;
use super::twin::{self, CpuTensor, NORMAL, NOT_FINITE, largest_bits};
use super::{Element, Kernel, door, fields, input, output, sample};

/// The row of [`KERNELS`](super::KERNELS).
pub const KERNEL: Kernel = Kernel {
    name: "loss_scale",
    summary: "scales each row by a power of two, for half precision to carry it (Micikevicius et al. 2018)",
    shader: include_str!("../../shaders/loss_scale.wgsl"),
    workgroup: 64,
    per_row: true,
    bindings: &[input("gradient", Element::Float), output("out_gradient", Element::Float), output("out_undo", Element::Float)],
    parameters: fields!(Parameters { rows, columns }),
    parameters_size: size_of::<Parameters>(),
    variants: &["plain"],
    sample: |shape, device| vec![sample::scattered(shape, 3, device)],
    run: |_, values| {
        let [gradient] = sample::take(values);
        let (gradient, undo) = loss_scale(gradient.floats());
        vec![gradient.into(), undo.into()]
    },
};

/// Parameters of the shader.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
pub struct Parameters {
    /// B.
    pub rows: u32,
    /// C.
    pub columns: u32,
}

/// Exponent of a float, biased, whose scale is 1.
const BIAS: u32 = 127;

/// Exponent of the largest scaled magnitude: 64 or more, and less than 128.
const AIM: u32 = BIAS + 6;

/// `gradient` [B, C], each row multiplied by a power of two that brings its largest magnitude into [64, 128), and the powers [B, 1] that
/// undo it. A row of zeros, or of subnormal numbers, and one with a number that is not finite stay as they are.
///
/// # Panics
/// Where shapes or element types do not fit.
pub fn loss_scale(gradient: Tensor<2>) -> (Tensor<2>, Tensor<2>) {
    let shape = gradient.dims();
    door::floats(KERNEL.name, "gradient", &gradient, shape);
    let (gradient, undo) = <Dispatch as LossScale>::loss_scale(gradient.into_dispatch());
    (Tensor::from_dispatch(gradient), Tensor::from_dispatch(undo))
}

/// [`loss_scale`] on the backends' own tensors.
#[backend_extension(Cube, Flex, Fusion)]
pub trait LossScale: Backend {
    /// See [`loss_scale`].
    #[fusion(meta = |gradient| {
        let mut undo = gradient.clone();
        undo.shape = Shape::new([gradient.shape[0], 1]);
        (gradient.clone(), undo)
    })]
    fn loss_scale(gradient: FloatTensor<Self>) -> (FloatTensor<Self>, FloatTensor<Self>);
}

impl LossScale for CubeBackend {
    fn loss_scale(gradient: CubeTensor) -> (CubeTensor, CubeTensor) {
        let shape = gradient.meta.shape().clone();
        let parameters = Parameters { rows: shape[0] as u32, columns: shape[1] as u32 };
        let column = Shape::new([shape[0], 1]);
        let [gradient, undo] = launch(&KERNEL, vec![gradient], [(shape, DType::F32), (column, DType::F32)], &parameters);
        (gradient, undo)
    }
}

impl LossScale for Flex {
    fn loss_scale(gradient: CpuTensor) -> (CpuTensor, CpuTensor) {
        let rows = gradient.layout().shape()[0];
        let mut undo = vec![0.0f32; rows];
        let gradient = twin::update(gradient, 2, &mut undo, |_, row, undo| {
            let largest = largest_bits(row);
            let exponent = if (NORMAL..NOT_FINITE).contains(&largest) {
                (BIAS + AIM).saturating_sub(largest as u32 >> 23).clamp(1, 2 * BIAS - 1)
            } else {
                BIAS
            };
            let power = |exponent: u32| f32::from_bits(exponent << 23);
            row.iter_mut().for_each(|value| *value *= power(exponent));
            *undo = power(2 * BIAS - exponent);
        });
        (gradient, CpuTensor::from_data(burn::tensor::TensorData::new(undo, [rows, 1])))
    }
}
