//! A function of each element of a value of a frozen network, and the way back through it.

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Dispatch, Flex, backend_extension};
use burn::tensor::Tensor;
use burn_wgpu::{CubeBackend, CubeTensor};
use bytemuck::{Pod, Zeroable};

use super::lanes::{self, Grid, QUAD, Written};
use super::launch::launch_groups;
use super::twin::{self, CpuTensor};
use super::{Element, Kernel, fields, input, output, sample};
use crate::frozen::element;
use crate::graph::Unary;

/// The row of [`KERNELS`](super::KERNELS).
pub const KERNEL: Kernel = Kernel {
    name: "unary",
    summary: "GELU, sigmoid and other functions of each element over images side by side, both ways",
    shader: include_str!("../../shaders/unary.wgsl"),
    workgroup: GROUP as u32,
    per_row: true,
    bindings: &[input("value", Element::Float), input("gradient", Element::Float), output("out_value", Element::Float)],
    parameters: fields!(Parameters { quads, vectors, rows, columns, function, back, a, b, c, value, gradient, result }),
    parameters_size: size_of::<Parameters>(),
    variants: &["gelu", "gelu, back", "silu, back", "selu", "mish, back", "softplus"],
    sample: |shape, device| [1, 2].map(|seed| lanes::sixteenths(shape.rows, lanes::lanes(shape.columns), seed, device)).into(),
    run: |variant, values| {
        let [value, gradient] = sample::take(values);
        let value = value.floats();
        let [vectors, images] = value.dims();
        let (function, back) = SAMPLED[variant];
        let sides = lanes::sample_sides(sample::Shape { rows: vectors, columns: images });
        let parameters = Parameters::new(images, sides, function, back).expect("a sampled function has a number");
        vec![unary(value, gradient.floats(), parameters).into()]
    },
};

const SAMPLED: [(Unary, bool); 6] = [
    (Unary::Gelu { tanh: false }, false),
    (Unary::Gelu { tanh: true }, true),
    (Unary::Silu, true),
    (Unary::Selu, false),
    (Unary::Mish, true),
    (Unary::Softplus, false),
];

const GROUP: usize = 64;

/// Parameters of the shader.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
pub struct Parameters {
    /// Images over 4.
    pub quads: u32,
    /// Elements.
    pub vectors: u32,
    /// Rows of the value.
    pub rows: u32,
    /// Columns of the value.
    pub columns: u32,
    /// The function's number.
    pub function: u32,
    /// 1: the way back.
    pub back: u32,
    /// A slope, a factor or a bound.
    pub a: f32,
    /// A width, a term or a bound.
    pub b: f32,
    /// A factor above 0.
    pub c: f32,
    /// What is read, in vectors.
    pub value: Grid,
    /// The gradient of the result, in vectors.
    pub gradient: Grid,
    /// What is written, in vectors.
    pub result: Grid,
}

/// A function's number in the shader and its three parameters; none for what a sweep does.
pub(crate) fn number(function: Unary) -> Option<(u32, [f32; 3])> {
    let plain = |number| (number, [0.0; 3]);
    Some(match function {
        Unary::Relu | Unary::Negate => return None,
        Unary::LeakyRelu { slope } => (0, [slope, 0.0, 0.0]),
        Unary::Elu { alpha } => (1, [alpha, 1.0, 1.0]),
        Unary::Selu => (1, [element::SELU_SCALE * element::SELU_ALPHA, 1.0, element::SELU_SCALE]),
        Unary::Celu { alpha } => (1, [alpha, alpha, 1.0]),
        Unary::Gelu { tanh: false } => plain(2),
        Unary::Gelu { tanh: true } => plain(3),
        Unary::Silu => plain(4),
        Unary::Mish => plain(5),
        Unary::HardSwish => plain(6),
        Unary::HardSigmoid { alpha, beta } => (7, [alpha, beta, 0.0]),
        Unary::Sigmoid => plain(8),
        Unary::Tanh => plain(9),
        Unary::Softplus => plain(10),
        Unary::Softsign => plain(11),
        Unary::Erf => plain(12),
        Unary::Exp => plain(13),
        Unary::Log => plain(14),
        Unary::Sqrt => plain(15),
        Unary::Abs => plain(16),
        Unary::Reciprocal => plain(17),
        Unary::Sign => plain(18),
        Unary::Floor => plain(19),
        Unary::Ceil => plain(20),
        Unary::Round => plain(21),
        Unary::Truncate => plain(22),
        Unary::Sin => plain(23),
        Unary::Cos => plain(24),
        Unary::Clip { min, max } => (25, [min, max, 0.0]),
        Unary::Not => plain(26),
    })
}

/// The function of a number.
fn function(parameters: &Parameters) -> Unary {
    let Parameters { function, a, b, .. } = *parameters;
    match function {
        0 => Unary::LeakyRelu { slope: a },
        1 if parameters.c != 1.0 => Unary::Selu,
        1 if a == b => Unary::Celu { alpha: a },
        1 => Unary::Elu { alpha: a },
        2 => Unary::Gelu { tanh: false },
        3 => Unary::Gelu { tanh: true },
        4 => Unary::Silu,
        5 => Unary::Mish,
        6 => Unary::HardSwish,
        7 => Unary::HardSigmoid { alpha: a, beta: b },
        8 => Unary::Sigmoid,
        9 => Unary::Tanh,
        10 => Unary::Softplus,
        11 => Unary::Softsign,
        12 => Unary::Erf,
        13 => Unary::Exp,
        14 => Unary::Log,
        15 => Unary::Sqrt,
        16 => Unary::Abs,
        17 => Unary::Reciprocal,
        18 => Unary::Sign,
        19 => Unary::Floor,
        20 => Unary::Ceil,
        21 => Unary::Round,
        22 => Unary::Truncate,
        23 => Unary::Sin,
        24 => Unary::Cos,
        25 => Unary::Clip { min: a, max: b },
        _ => Unary::Not,
    }
}

impl Parameters {
    /// Of values without a border; none for what a sweep does.
    pub(crate) fn new(images: usize, sides: [usize; 3], function: Unary, back: bool) -> Option<Self> {
        let (function, [a, b, c]) = number(function)?;
        let [rows, columns] = [sides[1], sides[2]].map(|side| side as u32);
        let (quads, vectors) = ((images / QUAD) as u32, sides.iter().product::<usize>() as u32);
        let plain = Grid::plain(sides);
        Some(Self { quads, vectors, rows, columns, function, back: back.into(), a, b, c, value: plain, gradient: plain, result: plain })
    }

    /// Workgroups of a launch.
    pub(crate) fn workgroups(&self) -> usize {
        self.vectors as usize * (self.quads as usize).div_ceil(GROUP)
    }
}

/// The function of `value` [vectors, images], or `gradient` [vectors, images] times its derivative.
///
/// # Panics
/// Where a tensor is too small for the parameters.
pub fn unary(value: Tensor<2>, gradient: Tensor<2>, parameters: Parameters) -> Tensor<2> {
    Tensor::from_dispatch(<Dispatch as UnaryOfLanes>::unary(value.into_dispatch(), gradient.into_dispatch(), parameters))
}

/// [`unary`] on the backends' own tensors.
#[backend_extension(Cube, Flex, Fusion)]
pub trait UnaryOfLanes: Backend {
    /// See [`unary`].
    #[fusion(meta = |_value, _gradient, parameters| lanes::specs(parameters.vectors as usize, parameters.quads).0)]
    fn unary(value: FloatTensor<Self>, gradient: FloatTensor<Self>, parameters: Parameters) -> FloatTensor<Self>;
}

impl UnaryOfLanes for CubeBackend {
    fn unary(value: CubeTensor, gradient: CubeTensor, parameters: Parameters) -> CubeTensor {
        let [output, _] = lanes::outputs(parameters.vectors as usize, parameters.quads);
        let [value] = launch_groups(&KERNEL, parameters.workgroups(), vec![value, gradient], [output], &parameters);
        value
    }
}

impl UnaryOfLanes for Flex {
    fn unary(value: CpuTensor, gradient: CpuTensor, parameters: Parameters) -> CpuTensor {
        let (value, gradient) = (twin::dense::<f32>(value), twin::dense::<f32>(gradient));
        let (value, gradient): (&[f32], &[f32]) = (value.storage(), gradient.storage());
        let (p, function) = (&parameters, function(&parameters));
        let images = QUAD * p.quads as usize;
        let mut written = Written::new(p.vectors as usize, images);
        for element in 0..p.vectors as usize {
            let (rows, columns) = (p.rows as usize, p.columns as usize);
            let at = |grid: &Grid| grid.at(element / (rows * columns), element / columns % rows, element % columns);
            let (x, slopes) = (&value[at(&p.value) * images..][..images], &gradient[at(&p.gradient) * images..][..images]);
            let one = |(x, slope): (&f32, &f32)| match p.back {
                0 => (element::unary(function, *x), false),
                _ => (slope * element::slope(function, *x), false),
            };
            written.write(at(&p.result), 0, 0, &x.iter().zip(slopes).map(one).collect::<Vec<_>>());
        }
        written.tensors().0
    }
}
