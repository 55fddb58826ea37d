//! Softmax over runs of elements of a frozen network's value, its logarithm, and the ways back through both.

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Dispatch, Flex, backend_extension};
use burn::tensor::Tensor;
use burn_wgpu::{CubeBackend, CubeTensor};
use bytemuck::{Pod, Zeroable};

use super::lanes::{self, Grid, QUAD, Written};
use super::launch::launch_groups;
use super::twin::{self, CpuTensor};
use super::{Element, Kernel, fields, input, output, sample};

/// The row of [`KERNELS`](super::KERNELS).
pub const KERNEL: Kernel = Kernel {
    name: "softmax",
    summary: "softmax and its logarithm over runs of elements of images side by side, both ways",
    shader: include_str!("../../shaders/softmax.wgsl"),
    workgroup: GROUP as u32,
    per_row: true,
    bindings: &[input("value", Element::Float), input("gradient", Element::Float), output("out_value", Element::Float)],
    parameters: fields!(Parameters { quads, runs, count, apart, rows, columns, logarithm, back, value, gradient, result }),
    parameters_size: size_of::<Parameters>(),
    variants: &["plain, back", "logarithm, back", "plain", "logarithm"],
    sample: |shape, device| [1, 2].map(|seed| lanes::sixteenths(shape.rows, lanes::lanes(shape.columns), seed, device)).into(),
    run: |variant, values| {
        let [value, gradient] = sample::take(values);
        let value = value.floats();
        let [vectors, images] = value.dims();
        // Runs along the first side that is divided: of one element where there is none, so that the grid is full.
        let count = if vectors.is_multiple_of(3) { 3 } else { 1 };
        let way = Way { count, apart: vectors / count, logarithm: variant % 2 == 1, back: variant < 2 };
        let parameters = Parameters::new(images, [vectors, 1, 1], way);
        vec![softmax(value, gradient.floats(), parameters).into()]
    },
};

const GROUP: usize = 64;

/// Which way, over what.
#[derive(Clone, Copy, Debug)]
pub struct Way {
    /// Elements of a run.
    pub count: usize,
    /// From an element of a run to the next.
    pub apart: usize,
    /// Whether the logarithm is asked for.
    pub logarithm: bool,
    /// Whether it is the way back.
    pub back: bool,
}

/// Parameters of the shader.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
pub struct Parameters {
    /// Images over 4.
    pub quads: u32,
    /// Runs.
    pub runs: u32,
    /// Elements of a run.
    pub count: u32,
    /// From an element of a run to the next.
    pub apart: u32,
    /// Rows of the value.
    pub rows: u32,
    /// Columns of the value.
    pub columns: u32,
    /// 1: the logarithm.
    pub logarithm: u32,
    /// 1: the way back.
    pub back: u32,
    /// What is read; on the way back the result. In vectors.
    pub value: Grid,
    /// The gradient of the result, in vectors.
    pub gradient: Grid,
    /// What is written, in vectors.
    pub result: Grid,
}

impl Parameters {
    /// Of values without a border.
    pub(crate) fn new(images: usize, sides: [usize; 3], way: Way) -> Self {
        let Way { count, apart, logarithm, back } = way;
        let runs = sides.iter().product::<usize>() / count;
        let [runs, count, apart, rows, columns] = [runs, count, apart, sides[1], sides[2]].map(|number| number as u32);
        let plain = Grid::plain(sides);
        let quads = (images / QUAD) as u32;
        let (logarithm, back) = (logarithm.into(), back.into());
        Self { quads, runs, count, apart, rows, columns, logarithm, back, value: plain, gradient: plain, result: plain }
    }

    /// Workgroups of a launch.
    pub(crate) fn workgroups(&self) -> usize {
        self.runs as usize * (self.quads as usize).div_ceil(GROUP)
    }

    fn elements(&self) -> usize {
        (self.runs * self.count) as usize
    }
}

/// The softmax of `value` [vectors, images], or on the way back the gradient with respect to what `value` is the softmax of.
///
/// # Panics
/// Where a tensor is too small for the parameters.
pub fn softmax(value: Tensor<2>, gradient: Tensor<2>, parameters: Parameters) -> Tensor<2> {
    Tensor::from_dispatch(<Dispatch as SoftmaxOfLanes>::softmax_of_lanes(value.into_dispatch(), gradient.into_dispatch(), parameters))
}

/// [`softmax`] on the backends' own tensors.
#[backend_extension(Cube, Flex, Fusion)]
pub trait SoftmaxOfLanes: Backend {
    /// See [`softmax`].
    #[fusion(meta = |_value, _gradient, parameters| lanes::specs(parameters.elements(), parameters.quads).0)]
    fn softmax_of_lanes(value: FloatTensor<Self>, gradient: FloatTensor<Self>, parameters: Parameters) -> FloatTensor<Self>;
}

impl SoftmaxOfLanes for CubeBackend {
    fn softmax_of_lanes(value: CubeTensor, gradient: CubeTensor, parameters: Parameters) -> CubeTensor {
        let [output, _] = lanes::outputs(parameters.elements(), parameters.quads);
        let [value] = launch_groups(&KERNEL, parameters.workgroups(), vec![value, gradient], [output], &parameters);
        value
    }
}

impl SoftmaxOfLanes for Flex {
    fn softmax_of_lanes(value: CpuTensor, gradient: CpuTensor, parameters: Parameters) -> CpuTensor {
        let (value, gradient) = (twin::dense::<f32>(value), twin::dense::<f32>(gradient));
        let (value, gradient): (&[f32], &[f32]) = (value.storage(), gradient.storage());
        let p = &parameters;
        let (images, count, apart) = (QUAD * p.quads as usize, p.count as usize, p.apart as usize);
        let mut written = Written::new(p.elements(), images);
        for run in 0..p.runs as usize {
            let first = run / apart * apart * count + run % apart;
            let at = |grid: &Grid, number: usize| {
                let (element, rows, columns) = (first + number * apart, p.rows as usize, p.columns as usize);
                grid.at(element / (rows * columns), element / columns % rows, element % columns)
            };
            let of = |lane: usize| {
                let x: Vec<f32> = (0..count).map(|number| value[at(&p.value, number) * images + lane]).collect();
                let g: Vec<f32> = (0..count).map(|number| gradient[at(&p.gradient, number) * images + lane]).collect();
                one(&x, &g, p.logarithm == 1, p.back == 1)
            };
            let results: Vec<Vec<f32>> = (0..images).map(of).collect();
            for number in 0..count {
                let numbers: Vec<(f32, bool)> = results.iter().map(|results| (results[number], false)).collect();
                written.write(at(&p.result, number), 0, 0, &numbers);
            }
        }
        written.tensors().0
    }
}

/// A run of one image.
fn one(x: &[f32], g: &[f32], logarithm: bool, back: bool) -> Vec<f32> {
    let pairs = x.iter().zip(g);
    match (back, logarithm) {
        (true, true) => {
            let sum: f32 = g.iter().sum();
            pairs.map(|(y, g)| g - y.exp() * sum).collect()
        }
        (true, false) => {
            let sum: f32 = pairs.clone().map(|(y, g)| y * g).sum();
            pairs.map(|(y, g)| y * (g - sum)).collect()
        }
        (false, _) => {
            let largest = x.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let sum: f32 = x.iter().map(|x| (x - largest).exp()).sum();
            x.iter().map(|x| if logarithm { x - largest - sum.ln() } else { (x - largest).exp() / sum }).collect()
        }
    }
}
