//! Rows of numbers gathered from a value of a frozen network, whose images lie side by side.

use burn::backend::fusion::custom::TensorSpec;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Dispatch, Flex, backend_extension};
use burn::tensor::{DType, Tensor};
use burn_wgpu::{CubeBackend, CubeTensor};

use super::lanes::{self, Grid};
use super::launch::{Output, launch_groups};
use super::to_lanes::{PARAMETERS, Parameters};
use super::twin::{self, CpuTensor};
use super::{Element, Kernel, input, output, sample};

/// The row of [`KERNELS`](super::KERNELS).
pub const KERNEL: Kernel = Kernel {
    name: "from_lanes",
    summary: "values whose images lie side by side turned into rows of a batch",
    shader: include_str!("../../shaders/from_lanes.wgsl"),
    workgroup: 256,
    per_row: false,
    bindings: &[input("value", Element::Float), output("out_x", Element::Float)],
    parameters: PARAMETERS,
    parameters_size: size_of::<Parameters>(),
    variants: &["plain", "the first images"],
    sample: |shape, device| vec![lanes::sixteenths(shape.rows, lanes::lanes(shape.columns), 1, device)],
    run: |variant, values| {
        let [value] = sample::take(values);
        let value = value.floats();
        let [elements, images] = value.dims();
        let rows = images - 5 * variant;
        vec![from_lanes(value, Parameters::new([rows, images], [elements, 1, 1], Grid::plain([elements, 1, 1]))).into()]
    },
};

/// The rows [B, D] of a value [vectors, images].
///
/// # Panics
/// Where the value is too small for the parameters.
pub fn from_lanes(value: Tensor<2>, parameters: Parameters) -> Tensor<2> {
    Tensor::from_dispatch(<Dispatch as FromLanes>::from_lanes(value.into_dispatch(), parameters))
}

fn rows(parameters: &Parameters) -> Output {
    ([parameters.rows, parameters.elements].map(|side| side as usize).into(), DType::F32)
}

/// [`from_lanes`] on the backends' own tensors.
#[backend_extension(Cube, Flex, Fusion)]
pub trait FromLanes: Backend {
    /// See [`from_lanes`].
    #[fusion(meta = |_value, parameters| {
        let (shape, dtype) = rows(parameters);
        TensorSpec::new(shape, dtype)
    })]
    fn from_lanes(value: FloatTensor<Self>, parameters: Parameters) -> FloatTensor<Self>;
}

impl FromLanes for CubeBackend {
    fn from_lanes(value: CubeTensor, parameters: Parameters) -> CubeTensor {
        let [x] = launch_groups(&KERNEL, parameters.workgroups(), vec![value], [rows(&parameters)], &parameters);
        x
    }
}

impl FromLanes for Flex {
    fn from_lanes(value: CpuTensor, parameters: Parameters) -> CpuTensor {
        let value = twin::dense::<f32>(value);
        let value = value.storage::<f32>();
        let (elements, images) = (parameters.elements as usize, parameters.images as usize);
        twin::from_rows(parameters.rows as usize, elements, elements, |row, out| {
            out.iter_mut().enumerate().for_each(|(element, out)| *out = value[parameters.vector(element) * images + row]);
        })
    }
}
