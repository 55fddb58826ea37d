//! The way back through [`max_pool`](super::max_pool()): each pixel gets the gradients of the windows that it won.

use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{Backend, Dispatch, Flex, backend_extension};
use burn::tensor::{Device, Int, Tensor};
use burn_wgpu::{CubeBackend, CubeTensor};

use super::lanes::{self, Grid, QUAD, Written};
use super::launch::launch_groups;
use super::max_pool::{GROUP, PARAMETERS, Parameters, Windows};
use super::sample::{Shape, Value};
use super::twin::{self, CpuTensor};
use super::{Element, Kernel, input, output, random, sample, words};

/// The row of [`KERNELS`](super::KERNELS).
pub const KERNEL: Kernel = Kernel {
    name: "max_pool_back",
    summary: "gradients of a max pooling over images side by side, gathered by the pixels that won",
    shader: include_str!("../../shaders/max_pool_back.wgsl"),
    workgroup: GROUP as u32,
    per_row: true,
    bindings: &[input("value", Element::Float), input("winners", Element::Bits), output("out_value", Element::Float)],
    parameters: PARAMETERS,
    parameters_size: size_of::<Parameters>(),
    variants: &["3 x 3"],
    sample: |shape, device| {
        let images = lanes::lanes(shape.columns);
        vec![lanes::sixteenths(shape.rows, images, 1, device), some_winners(shape.rows * images / QUAD, device)]
    },
    run: |_, values| {
        let [value, winners] = sample::take(values);
        let value = value.floats();
        let [vectors, images] = value.dims();
        let to = lanes::sample_sides(Shape { rows: vectors, columns: images });
        let from = [to[0], 2 * to[1], to[2]];
        let windows = Windows { from: [from[1], from[2]], to, kernel: [3, 3], stride: [2, 1], padding: [1, 1], dilation: [1, 1] };
        vec![max_pool_back(value, winners.words(), windows.parameters(images, Grid::plain(to), Grid::plain(from))).into()]
    },
};

/// Numbers of a window's nine elements, four a word.
fn some_winners(count: usize, device: &Device) -> Value {
    let word = |at: usize| i32::from_le_bytes(random::philox([at as u32, 6, 7, 0], [3, 4]).map(|word| (word % 9) as u8));
    Value::Words(words::upload(&(0..count).map(word).collect::<Vec<i32>>(), device))
}

/// The gradients with respect to the pixels [pixels, images], from those with respect to the results, `value` [results, images], and the
/// winners of [`max_pool`](super::max_pool()).
///
/// # Panics
/// Where a tensor is too small for the parameters.
pub fn max_pool_back(value: Tensor<2>, winners: Tensor<1, Int>, parameters: Parameters) -> Tensor<2> {
    Tensor::from_dispatch(<Dispatch as MaxPoolBack>::max_pool_back(value.into_dispatch(), winners.into_dispatch(), parameters))
}

/// [`max_pool_back`] on the backends' own tensors.
#[backend_extension(Cube, Flex, Fusion)]
pub trait MaxPoolBack: Backend {
    /// See [`max_pool_back`].
    #[fusion(meta = |_value, _winners, parameters| lanes::specs(parameters.pooled(), parameters.quads).0)]
    fn max_pool_back(value: FloatTensor<Self>, winners: IntTensor<Self>, parameters: Parameters) -> FloatTensor<Self>;
}

impl MaxPoolBack for CubeBackend {
    fn max_pool_back(value: CubeTensor, winners: CubeTensor, parameters: Parameters) -> CubeTensor {
        let [output, _] = lanes::outputs(parameters.pooled(), parameters.quads);
        let [value] = launch_groups(&KERNEL, parameters.workgroups(false), vec![value, winners], [output], &parameters);
        value
    }
}

impl MaxPoolBack for Flex {
    fn max_pool_back(value: CpuTensor, winners: CpuTensor, parameters: Parameters) -> CpuTensor {
        let (value, winners) = (twin::dense::<f32>(value), twin::dense::<i32>(winners));
        let (value, winners): (&[f32], &[u8]) = (value.storage(), bytemuck::cast_slice(winners.storage::<i32>()));
        let p = &parameters;
        let (images, columns) = (QUAD * p.quads as usize, p.columns as usize);
        let mut sums = vec![vec![(0.0f32, false); images]; p.pooled()];
        for element in 0..p.results() {
            let (channel, row, column) = (element / (p.rows as usize * columns), element / columns % p.rows as usize, element % columns);
            let gradient = &value[p.value.at(channel, row, column) * images..][..images];
            p.each(row, column, |number, y, x| {
                let sum = &mut sums[(channel * p.height as usize + y) * p.width as usize + x];
                for (lane, sum) in sum.iter_mut().enumerate() {
                    sum.0 += if usize::from(winners[element * images + lane]) == number { gradient[lane] } else { 0.0 };
                }
            });
        }
        let mut written = Written::new(p.pooled(), images);
        for (pixel, sums) in sums.iter().enumerate() {
            let (height, width) = (p.height as usize, p.width as usize);
            written.write(p.result.at(pixel / (height * width), pixel / width % height, pixel % width), 0, 0, sums);
        }
        written.tensors().0
    }
}
