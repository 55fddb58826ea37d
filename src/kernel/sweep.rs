//! A pass over a value of a frozen network, element by element: a scale and a shift, a sum, a rectifier, a gate, zeros around or
//! throughout.

use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{Backend, Dispatch, Flex, backend_extension};
use burn::tensor::{Int, Tensor};
use burn_wgpu::{CubeBackend, CubeTensor};
use bytemuck::{Pod, Zeroable};

use super::lanes::{self, GATE, Grid, NOTE, QUAD, RECTIFY, Written};
use super::launch::launch_groups;
use super::twin::{self, CpuTensor};
use super::{Element, Kernel, fields, input, output, sample};

/// The row of [`KERNELS`](super::KERNELS).
pub const KERNEL: Kernel = Kernel {
    name: "sweep",
    summary: "scale, shift, sum, rectifier and gate over images side by side, and borders of zeros",
    shader: include_str!("../../shaders/sweep.wgsl"),
    workgroup: GROUP as u32,
    per_row: true,
    bindings: &[
        input("value", Element::Float),
        input("affine", Element::Float),
        input("gates", Element::Bits),
        output("out_value", Element::Float),
        output("out_bits", Element::Bits),
    ],
    parameters: fields!(Parameters { quads, vectors, rows, columns, each, scales, shifts, mode, before, beside, behind, value, result }),
    parameters_size: size_of::<Parameters>(),
    variants: &["rectified", "gated"],
    sample: |shape, device| {
        let images = lanes::lanes(shape.columns);
        let affine = lanes::sixteenths(2 * SAMPLED, 1, 2, device);
        vec![lanes::sixteenths(shape.rows, images, 1, device), affine, lanes::some_bits(shape.rows, images, device)]
    },
    run: |variant, values| {
        let [value, affine, gates] = sample::take(values);
        let value = value.floats();
        let [vectors, images] = value.dims();
        let sides = lanes::sample_sides(sample::Shape { rows: vectors, columns: images });
        let mode = NOTE | [RECTIFY, GATE][variant];
        let numbers = [3, SAMPLED, SAMPLED];
        let parameters = Parameters::new(images, sides, numbers, mode);
        let (value, bits) = sweep(value, affine.floats(), gates.words(), parameters);
        vec![value.into(), bits.into()]
    },
};

const GROUP: usize = 64;

/// Scales, and as many shifts, of a sample.
const SAMPLED: usize = 5;

/// Parameters of the shader. Grids are in vectors.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, Pod, Zeroable)]
pub struct Parameters {
    /// Images over 4.
    pub quads: u32,
    /// Elements; or vectors of all channels' borders.
    pub vectors: u32,
    /// Rows of the value.
    pub rows: u32,
    /// Columns of the value.
    pub columns: u32,
    /// Elements that share a scale and a shift.
    pub each: u32,
    /// How many scales there are.
    pub scales: u32,
    /// How many shifts there are.
    pub shifts: u32,
    /// Those of [`lanes`].
    pub mode: u32,
    /// Vectors of a channel's border before its first element.
    pub before: u32,
    /// Between two rows.
    pub beside: u32,
    /// Behind the last.
    pub behind: u32,
    /// What is read.
    pub value: Grid,
    /// What is written.
    pub result: Grid,
}

impl Parameters {
    /// From a value without a border to another. `numbers`: elements that share a scale, scales, and shifts.
    pub(crate) fn new(images: usize, sides: [usize; 3], [each, scales, shifts]: [usize; 3], mode: u32) -> Self {
        let [each, scales, shifts] = [each, scales, shifts].map(|number| number as u32);
        let [rows, columns] = [sides[1], sides[2]].map(|side| side as u32);
        let (quads, vectors) = ((images / QUAD) as u32, sides.iter().product::<usize>() as u32);
        let plain = Grid::plain(sides);
        Self { quads, vectors, rows, columns, each, scales, shifts, mode, value: plain, result: plain, ..Self::default() }
    }

    /// Workgroups of a launch.
    pub(crate) fn workgroups(&self) -> usize {
        self.vectors as usize * (self.quads as usize).div_ceil(GROUP)
    }
}

/// The swept value [vectors, images] and where it was above 0, a bit a number; `affine` holds the scales and then the shifts.
///
/// # Panics
/// Where a tensor is too small for the parameters.
pub fn sweep(value: Tensor<2>, affine: Tensor<2>, gates: Tensor<1, Int>, parameters: Parameters) -> (Tensor<2>, Tensor<1, Int>) {
    let (value, affine, gates) = (value.into_dispatch(), affine.into_dispatch(), gates.into_dispatch());
    let (value, bits) = <Dispatch as Sweep>::sweep(value, affine, gates, parameters);
    (Tensor::from_dispatch(value), Tensor::from_dispatch(bits))
}

/// [`sweep`] on the backends' own tensors.
#[backend_extension(Cube, Flex, Fusion)]
pub trait Sweep: Backend {
    /// See [`sweep`].
    #[fusion(meta = |_value, _affine, _gates, parameters| lanes::specs(parameters.vectors as usize, parameters.quads))]
    fn sweep(
        value: FloatTensor<Self>,
        affine: FloatTensor<Self>,
        gates: IntTensor<Self>,
        parameters: Parameters,
    ) -> (FloatTensor<Self>, IntTensor<Self>);
}

impl Sweep for CubeBackend {
    fn sweep(value: CubeTensor, affine: CubeTensor, gates: CubeTensor, parameters: Parameters) -> (CubeTensor, CubeTensor) {
        let outputs = lanes::outputs(parameters.vectors as usize, parameters.quads);
        let [value, bits] = launch_groups(&KERNEL, parameters.workgroups(), vec![value, affine, gates], outputs, &parameters);
        (value, bits)
    }
}

impl Sweep for Flex {
    fn sweep(value: CpuTensor, affine: CpuTensor, gates: CpuTensor, parameters: Parameters) -> (CpuTensor, CpuTensor) {
        let (value, affine, gates) = (twin::dense::<f32>(value), twin::dense::<f32>(affine), twin::dense::<i32>(gates));
        let (value, affine, gates): (&[f32], &[f32], &[i32]) = (value.storage(), affine.storage(), gates.storage());
        let p = &parameters;
        let (images, vectors) = (QUAD * p.quads as usize, p.vectors as usize);
        let (scales, shifts) = (p.scales as usize, p.shifts as usize);
        let mut written = Written::new(vectors, images);
        for element in 0..vectors {
            let (rows, columns) = (p.rows as usize, p.columns as usize);
            let at = |grid: &Grid| grid.at(element / (rows * columns), element / columns % rows, element % columns);
            let block = element / p.each as usize;
            let (scale, shift) = (affine[block % scales], affine[scales + block % shifts]);
            let numbers = value[at(&p.value) * images..][..images].iter().enumerate();
            let numbers: Vec<(f32, bool)> = numbers
                .map(|(lane, number)| lanes::finish(p.mode, number * scale + shift, lanes::bit(gates, element, images, lane)))
                .collect();
            written.write(at(&p.result), element, p.mode, &numbers);
        }
        written.tensors()
    }
}
