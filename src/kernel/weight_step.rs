//! Adversarial weight perturbation: `gamma |w| / |g| g` for a weight w and the gradient g of its loss, lengths l2 (Wu, Xia and Wang 2020,
//! "Adversarial weight perturbation helps robust generalization", equation 10).

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Dispatch, Flex, backend_extension};
use burn::tensor::{DType, Tensor};
use burn_wgpu::{CubeBackend, CubeTensor};
use bytemuck::{Pod, Zeroable};

use super::launch::launch;
use super::twin::{self, CpuTensor, NORMAL, NOT_FINITE, largest_bits};
use super::{Element, Kernel, door, fields, input, output, sample};

/// The row of [`KERNELS`](super::KERNELS).
pub const KERNEL: Kernel = Kernel {
    name: "weight_step",
    summary: "adversarial weight perturbation along the gradient, as long as a share of the weight (Wu et al. 2020)",
    shader: include_str!("../../shaders/weight_step.wgsl"),
    workgroup: 256,
    per_row: true,
    bindings: &[input("weight", Element::Float), input("gradient", Element::Float), output("out_change", Element::Float)],
    parameters: fields!(Parameters { rows, columns, gamma }),
    parameters_size: size_of::<Parameters>(),
    variants: &["gamma 0.05"],
    sample: |shape, device| vec![sample::unit(shape, 1, device), sample::gradient(shape, 3, device)],
    run: |_, values| {
        let [weight, gradient] = sample::take(values);
        vec![weight_step(weight.floats(), gradient.floats(), 0.05).into()]
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
    /// Length of the change over that of the weight.
    pub gamma: f32,
}

/// The change of each row of `weight` [B, D] along the same row of `gradient` [B, D], `gamma` times as long as the weight. 0 where the
/// gradient's largest magnitude is subnormal, and where the gradient is not finite: the step that it is for meets that itself.
///
/// # Panics
/// Where shapes or element types do not fit.
pub fn weight_step(weight: Tensor<2>, gradient: Tensor<2>, gamma: f32) -> Tensor<2> {
    let shape = weight.dims();
    door::floats(KERNEL.name, "weight", &weight, shape);
    door::floats(KERNEL.name, "gradient", &gradient, shape);
    Tensor::from_dispatch(<Dispatch as WeightStep>::weight_step(weight.into_dispatch(), gradient.into_dispatch(), gamma))
}

/// [`weight_step`] on the backends' own tensors.
#[backend_extension(Cube, Flex, Fusion)]
pub trait WeightStep: Backend {
    /// See [`weight_step`].
    #[fusion(dtype = weight, shape = weight)]
    fn weight_step(weight: FloatTensor<Self>, gradient: FloatTensor<Self>, gamma: f32) -> FloatTensor<Self>;
}

impl WeightStep for CubeBackend {
    fn weight_step(weight: CubeTensor, gradient: CubeTensor, gamma: f32) -> CubeTensor {
        let shape = weight.meta.shape().clone();
        let parameters = Parameters { rows: shape[0] as u32, columns: shape[1] as u32, gamma };
        let [out] = launch(&KERNEL, vec![weight, gradient], [(shape, DType::F32)], &parameters);
        out
    }
}

impl WeightStep for Flex {
    fn weight_step(weight: CpuTensor, gradient: CpuTensor, gamma: f32) -> CpuTensor {
        let weight = twin::dense::<f32>(weight);
        let weight = weight.storage::<f32>();
        twin::update_rows(gradient, 3, |slot, gradient| {
            let weight = &weight[slot * gradient.len()..][..gradient.len()];
            let length = |values: &[f32]| twin::sum(values, |value| value * value).sqrt();
            let factor = match largest_bits(gradient) {
                NORMAL..NOT_FINITE => f64::from(gamma) * length(weight) / length(gradient),
                _ => return gradient.fill(0.0),
            };
            gradient.iter_mut().for_each(|value| *value = (f64::from(*value) * factor) as f32);
        })
    }
}
