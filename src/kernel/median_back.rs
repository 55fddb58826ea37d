//! The way back through [`median`](super::median()): each pixel gets the gradients of the windows whose median it is.

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Dispatch, Flex, backend_extension};
use burn::tensor::{DType, Tensor};
use burn_wgpu::{CubeBackend, CubeTensor};

use super::launch::launch;
use super::median::{MOST_FEATURES, Parameters, mirrored};
use super::sample::{Shape, Value};
use super::square::sample_shape;
use super::twin::{self, CpuTensor};
use super::{Element, Kernel, door, fields, input, output, sample};

/// The row of [`KERNELS`](super::KERNELS).
pub const KERNEL: Kernel = Kernel {
    name: "median_back",
    summary: "gradients of medians, gathered by the pixels that they are",
    shader: include_str!("../../shaders/median_back.wgsl"),
    workgroup: 64,
    per_row: false,
    bindings: &[input("gradient", Element::Float), input("chosen", Element::Float), output("out_gradient", Element::Float)],
    parameters: fields!(Parameters { rows, channels, height, width, window }),
    parameters_size: size_of::<Parameters>(),
    variants: &["3 x 3"],
    sample: |shape, device| vec![sample::gradient(shape, 1, device), neighbours(shape, device)],
    run: |_, values| {
        let [gradient, chosen] = sample::take(values);
        let gradient = gradient.floats();
        let shape = sample_shape(gradient.dims()[1]);
        vec![median_back(gradient, chosen.floats(), shape, 3).into()]
    },
};

/// For each pixel a place at most one line and one column away.
fn neighbours(shape: Shape, device: &burn::tensor::Device) -> Value {
    let [_, height, width] = sample_shape(shape.columns);
    let place = |element: usize| {
        let at = element % shape.columns;
        let step = |number: usize, at: usize, side: usize| mirrored((at + number % 3) as i64 - 1, side);
        let (line, column) = (step(element * 7, at / width % height, height), step(element * 5 / 3, at % width, width));
        ((at / (height * width) * height + line) * width + column) as f32
    };
    let places: Vec<f32> = (0..shape.rows * shape.columns).map(place).collect();
    Value::Floats(Tensor::from_data(burn::tensor::TensorData::new(places, [shape.rows, shape.columns]), device))
}

/// The gradients with respect to the pixels, [B, D], from those with respect to their medians, `gradient` [B, D], and the places
/// `chosen` [B, D] that [`median`](super::median::median) gave for images of `shape` and the same `window`. Sums are taken in the order of the windows.
///
/// # Panics
/// Where shapes or element types do not fit.
pub fn median_back(gradient: Tensor<2>, chosen: Tensor<2>, shape: [usize; 3], window: usize) -> Tensor<2> {
    let dims = [gradient.dims()[0], shape.iter().product()];
    door::floats(KERNEL.name, "gradient", &gradient, dims);
    door::floats(KERNEL.name, "chosen", &chosen, dims);
    assert!(dims[1] <= MOST_FEATURES, "median_back: {} features, more than {MOST_FEATURES}", dims[1]);
    let parameters = Parameters::new(dims[0], shape, window);
    Tensor::from_dispatch(<Dispatch as MedianBack>::median_back(gradient.into_dispatch(), chosen.into_dispatch(), parameters))
}

/// [`median_back`] on the backends' own tensors.
#[backend_extension(Cube, Flex, Fusion)]
pub trait MedianBack: Backend {
    /// See [`median_back`].
    #[fusion(dtype = gradient, shape = gradient)]
    fn median_back(gradient: FloatTensor<Self>, chosen: FloatTensor<Self>, parameters: Parameters) -> FloatTensor<Self>;
}

impl MedianBack for CubeBackend {
    fn median_back(gradient: CubeTensor, chosen: CubeTensor, parameters: Parameters) -> CubeTensor {
        let shape = gradient.meta.shape().clone();
        let [out] = launch(&KERNEL, vec![gradient, chosen], [(shape, DType::F32)], &parameters);
        out
    }
}

impl MedianBack for Flex {
    fn median_back(gradient: CpuTensor, chosen: CpuTensor, parameters: Parameters) -> CpuTensor {
        let (gradient, chosen) = (twin::dense::<f32>(gradient), twin::dense::<f32>(chosen));
        let shape = gradient.layout().shape();
        let (rows, columns) = (shape[0], shape[1]);
        let (gradient, chosen) = (gradient.storage::<f32>(), chosen.storage::<f32>());
        twin::from_rows(rows, columns, 4 * columns, |slot, out| {
            let part = slot * columns..(slot + 1) * columns;
            for (window, (gradient, place)) in gradient[part.clone()].iter().zip(&chosen[part]).enumerate() {
                let pixel = *place as usize;
                if pixel as f32 == *place && is_near(pixel, window, &parameters) {
                    out[pixel] += gradient;
                }
            }
        })
    }
}

/// Whether a pixel can be the median of a window: the shader looks no further.
fn is_near(pixel: usize, window: usize, parameters: &Parameters) -> bool {
    let [height, width, side] = [parameters.height, parameters.width, parameters.window].map(|size| size as usize);
    let line = |at: usize| at / width;
    // Lines count on through the planes of a row.
    pixel / (height * width) == window / (height * width)
        && line(pixel).abs_diff(line(window)) <= side
        && (pixel % width).abs_diff(window % width) <= side
}
