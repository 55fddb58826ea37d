//! Rows of numbers spread over a value of a frozen network, whose images lie side by side.

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Dispatch, Flex, backend_extension};
use burn::tensor::Tensor;
use burn_wgpu::{CubeBackend, CubeTensor};
use bytemuck::{Pod, Zeroable};

use super::lanes::{self, Grid, QUAD, Written};
use super::launch::launch_groups;
use super::twin::{self, CpuTensor};
use super::{Element, Kernel, door, fields, input, output, sample};

/// The row of [`KERNELS`](super::KERNELS).
pub const KERNEL: Kernel = Kernel {
    name: "to_lanes",
    summary: "rows of a batch turned into values whose images lie side by side",
    shader: include_str!("../../shaders/to_lanes.wgsl"),
    workgroup: 256,
    per_row: false,
    bindings: &[input("x", Element::Float), output("out_value", Element::Float)],
    parameters: PARAMETERS,
    parameters_size: size_of::<Parameters>(),
    variants: &["plain"],
    sample: |shape, device| vec![sample::unit(shape, 1, device)],
    run: |_, values| {
        let [x] = sample::take(values);
        let x = x.floats();
        let [rows, elements] = x.dims();
        vec![to_lanes(x, Parameters::new([rows, lanes::lanes(rows)], [elements, 1, 1], Grid::plain([elements, 1, 1]))).into()]
    },
};

/// The fields of the parameters that turn rows round.
pub(super) const PARAMETERS: &[(&str, usize)] = fields!(Parameters { rows, elements, images, height, width, value });

/// Side of a tile.
const SIDE: usize = 16;

/// Parameters of to_lanes and from_lanes.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
pub struct Parameters {
    /// B.
    pub rows: u32,
    /// D.
    pub elements: u32,
    /// Images of the value: B rounded up.
    pub images: u32,
    /// Rows of the value.
    pub height: u32,
    /// Columns of the value.
    pub width: u32,
    /// Where the value's elements lie, in vectors.
    pub value: Grid,
}

impl Parameters {
    pub(crate) fn new([rows, images]: [usize; 2], sides: [usize; 3], value: Grid) -> Self {
        let [rows, images, elements, height, width] =
            [rows, images, sides.iter().product(), sides[1], sides[2]].map(|number| number as u32);
        Self { rows, elements, images, height, width, value }
    }

    /// Workgroups of a launch.
    pub(crate) fn workgroups(&self) -> usize {
        (self.elements as usize).div_ceil(SIDE) * (self.images as usize).div_ceil(SIDE)
    }

    pub(super) fn vector(&self, element: usize) -> usize {
        let (height, width) = (self.height as usize, self.width as usize);
        self.value.at(element / (height * width), element / width % height, element % width)
    }
}

/// The value [D, images] of rows `x` [B, D]; images without a row are 0.
///
/// # Panics
/// Where shapes or element types do not fit.
pub fn to_lanes(x: Tensor<2>, parameters: Parameters) -> Tensor<2> {
    door::floats(KERNEL.name, "x", &x, [parameters.rows, parameters.elements].map(|side| side as usize));
    Tensor::from_dispatch(<Dispatch as ToLanes>::to_lanes(x.into_dispatch(), parameters))
}

/// [`to_lanes`] on the backends' own tensors.
#[backend_extension(Cube, Flex, Fusion)]
pub trait ToLanes: Backend {
    /// See [`to_lanes`].
    #[fusion(meta = |_x, parameters| lanes::specs(parameters.elements as usize, parameters.images / QUAD as u32).0)]
    fn to_lanes(x: FloatTensor<Self>, parameters: Parameters) -> FloatTensor<Self>;
}

impl ToLanes for CubeBackend {
    fn to_lanes(x: CubeTensor, parameters: Parameters) -> CubeTensor {
        let [output, _] = lanes::outputs(parameters.elements as usize, parameters.images / QUAD as u32);
        let [value] = launch_groups(&KERNEL, parameters.workgroups(), vec![x], [output], &parameters);
        value
    }
}

impl ToLanes for Flex {
    fn to_lanes(x: CpuTensor, parameters: Parameters) -> CpuTensor {
        let x = twin::dense::<f32>(x);
        let x = x.storage::<f32>();
        let elements = parameters.elements as usize;
        let mut written = Written::new(elements, parameters.images as usize);
        let mut numbers = vec![(0.0, false); parameters.images as usize];
        for element in 0..elements {
            numbers.iter_mut().zip(x.chunks_exact(elements)).for_each(|(number, row)| number.0 = row[element]);
            written.write(parameters.vector(element), 0, 0, &numbers);
        }
        written.tensors().0
    }
}
