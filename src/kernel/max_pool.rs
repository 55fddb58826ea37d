//! Max pooling of a frozen network, which keeps for each result the number of the window's element that won.

use burn::backend::fusion::custom::TensorSpec;
use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{Backend, Dispatch, Flex, backend_extension};
use burn::tensor::{DType, Int, Tensor, TensorData};
use burn_wgpu::{CubeBackend, CubeTensor};
use bytemuck::{Pod, Zeroable};

use super::lanes::{self, Grid, QUAD};
use super::launch::{Output, launch_groups};
use super::twin::{self, CpuTensor};
use super::{Element, Kernel, fields, input, output, sample};

/// The row of [`KERNELS`](super::KERNELS).
pub const KERNEL: Kernel = Kernel {
    name: "max_pool",
    summary: "max pooling over images side by side, a byte kept for each window's winner",
    shader: include_str!("../../shaders/max_pool.wgsl"),
    workgroup: GROUP as u32,
    per_row: true,
    bindings: &[input("value", Element::Float), output("out_value", Element::Float), output("out_winners", Element::Bits)],
    parameters: PARAMETERS,
    parameters_size: size_of::<Parameters>(),
    variants: &["3 x 3, padded", "2 x 2, apart"],
    sample: |shape, device| vec![lanes::sixteenths(shape.rows, lanes::lanes(shape.columns), 1, device)],
    run: |variant, values| {
        let [value] = sample::take(values);
        let value = value.floats();
        let [vectors, images] = value.dims();
        let from = lanes::sample_sides(sample::Shape { rows: vectors, columns: images });
        let [height, width] = [from[1], from[2]];
        let (kernel, stride, padding) = match variant {
            0 => ([3, 3], [2, 1], [1, 1]),
            _ => ([2.min(height), 2.min(width)], [2, 2], [0, 0]),
        };
        let side = |axis: usize| (from[1 + axis] + 2 * padding[axis] - kernel[axis]) / stride[axis] + 1;
        let windows = Windows { from: [height, width], to: [from[0], side(0), side(1)], kernel, stride, padding, dilation: [1, 1] };
        let parameters = windows.parameters(images, Grid::plain(from), Grid::plain(windows.to));
        let (value, winners) = max_pool(value, parameters);
        vec![value.into(), winners.into()]
    },
};

pub(super) const GROUP: usize = 64;

/// The fields of both shaders' parameters.
pub(super) const PARAMETERS: &[(&str, usize)] = fields!(Parameters {
    quads,
    channels,
    rows,
    columns,
    height,
    width,
    tall,
    wide,
    down,
    across,
    top,
    left,
    apart_down,
    apart_across,
    value,
    result
});

/// Windows over a value.
#[derive(Clone, Copy, Debug)]
pub struct Windows {
    /// Rows and columns of what is pooled.
    pub from: [usize; 2],
    /// Channels, rows and columns of the results.
    pub to: [usize; 3],
    /// Rows and columns of a window.
    pub kernel: [usize; 2],
    /// From a window to the next.
    pub stride: [usize; 2],
    /// Top and left.
    pub padding: [usize; 2],
    /// From an element of a window to the next.
    pub dilation: [usize; 2],
}

impl Windows {
    /// The shaders' parameters: forward from `value` to `result`; backward `value` holds the gradients of the results.
    pub(crate) fn parameters(&self, images: usize, value: Grid, result: Grid) -> Parameters {
        let [channels, rows, columns] = self.to.map(|side| side as u32);
        let pair = |pair: [usize; 2]| pair.map(|side| side as u32);
        let ([height, width], [tall, wide]) = (pair(self.from), pair(self.kernel));
        let ([down, across], [top, left], [apart_down, apart_across]) = (pair(self.stride), pair(self.padding), pair(self.dilation));
        let quads = (images / QUAD) as u32;
        Parameters {
            quads,
            channels,
            rows,
            columns,
            height,
            width,
            tall,
            wide,
            down,
            across,
            top,
            left,
            apart_down,
            apart_across,
            value,
            result,
        }
    }
}

/// Parameters of the shaders, those of max_pool and max_pool_back.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
pub struct Parameters {
    /// Images over 4.
    pub quads: u32,
    /// Channels.
    pub channels: u32,
    /// Rows of the results.
    pub rows: u32,
    /// Columns of the results.
    pub columns: u32,
    /// Rows of what is pooled.
    pub height: u32,
    /// Columns of what is pooled.
    pub width: u32,
    /// Rows of a window.
    pub tall: u32,
    /// Columns of a window.
    pub wide: u32,
    /// Rows from a window to the next.
    pub down: u32,
    /// Columns from a window to the next.
    pub across: u32,
    /// Padding above.
    pub top: u32,
    /// Padding on the left.
    pub left: u32,
    /// Rows from an element of a window to the next.
    pub apart_down: u32,
    /// Columns from an element of a window to the next.
    pub apart_across: u32,
    /// What is read, in vectors.
    pub value: Grid,
    /// What is written, in vectors.
    pub result: Grid,
}

impl Parameters {
    /// Results.
    pub(super) fn results(&self) -> usize {
        (self.channels * self.rows * self.columns) as usize
    }

    /// Elements that are pooled.
    pub(super) fn pooled(&self) -> usize {
        (self.channels * self.height * self.width) as usize
    }

    /// Workgroups that work on so many elements.
    pub(crate) fn workgroups(&self, forward: bool) -> usize {
        (if forward { self.results() } else { self.pooled() }) * (self.quads as usize).div_ceil(GROUP)
    }

    /// The elements of a window that are there: their numbers and pixels.
    pub(super) fn each(&self, row: usize, column: usize, mut seen: impl FnMut(usize, usize, usize)) {
        for (down, across) in (0..self.tall).flat_map(|down| (0..self.wide).map(move |across| (down, across))) {
            let y = (row as u32 * self.down + down * self.apart_down).wrapping_sub(self.top);
            let x = (column as u32 * self.across + across * self.apart_across).wrapping_sub(self.left);
            if y < self.height && x < self.width {
                seen((down * self.wide + across) as usize, y as usize, x as usize);
            }
        }
    }

    fn outputs(&self) -> [Output; 2] {
        let images = QUAD * self.quads as usize;
        [([self.results(), images].into(), DType::F32), ([self.results() * self.quads as usize].into(), DType::I32)]
    }
}

/// The largest of each window [results, images], and the winners, four bytes a word, of a value [vectors, images].
///
/// # Panics
/// Where a window leads out of the value.
pub fn max_pool(value: Tensor<2>, parameters: Parameters) -> (Tensor<2>, Tensor<1, Int>) {
    let (value, winners) = <Dispatch as MaxPool>::max_pool(value.into_dispatch(), parameters);
    (Tensor::from_dispatch(value), Tensor::from_dispatch(winners))
}

/// [`max_pool`] on the backends' own tensors.
#[backend_extension(Cube, Flex, Fusion)]
pub trait MaxPool: Backend {
    /// See [`max_pool`].
    #[fusion(meta = |_value, parameters| {
        let [value, winners] = parameters.outputs().map(|(shape, dtype)| TensorSpec::new(shape, dtype));
        (value, winners)
    })]
    fn max_pool(value: FloatTensor<Self>, parameters: Parameters) -> (FloatTensor<Self>, IntTensor<Self>);
}

impl MaxPool for CubeBackend {
    fn max_pool(value: CubeTensor, parameters: Parameters) -> (CubeTensor, CubeTensor) {
        let [value, winners] = launch_groups(&KERNEL, parameters.workgroups(true), vec![value], parameters.outputs(), &parameters);
        (value, winners)
    }
}

impl MaxPool for Flex {
    fn max_pool(value: CpuTensor, parameters: Parameters) -> (CpuTensor, CpuTensor) {
        let value = twin::dense::<f32>(value);
        let (value, p) = (value.storage::<f32>(), &parameters);
        let (images, results) = (QUAD * p.quads as usize, p.results());
        let (mut best, mut winners) = (vec![f32::NEG_INFINITY; results * images], vec![255u8; results * images]);
        for element in 0..results {
            let (rows, columns) = (p.rows as usize, p.columns as usize);
            let (channel, row, column) = (element / (rows * columns), element / columns % rows, element % columns);
            let (best, winners) = (&mut best[p.result.at(channel, row, column) * images..], &mut winners[element * images..]);
            p.each(row, column, |number, y, x| {
                let seen = &value[p.value.at(channel, y, x) * images..][..images];
                for ((seen, best), winner) in seen.iter().zip(best.iter_mut()).zip(winners.iter_mut()) {
                    if *seen > *best || seen.is_nan() {
                        (*best, *winner) = (*seen, number as u8);
                    }
                }
            });
        }
        let best = CpuTensor::from_data(TensorData::new(best, [results, images]));
        let words: Vec<i32> = bytemuck::pod_collect_to_vec(&winners);
        let count = words.len();
        (best, CpuTensor::from_data(TensorData::new(words, [count])))
    }
}
