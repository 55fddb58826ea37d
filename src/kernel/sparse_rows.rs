//! Rows of a fixed sparse matrix times a value of a frozen network: averages, pads, crops and other moves of elements, both ways.

use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{Backend, Dispatch, Flex, backend_extension};
use burn::tensor::{Device, Int, Tensor};
use burn_wgpu::{CubeBackend, CubeTensor};
use bytemuck::{Pod, Zeroable};

use super::lanes::{self, QUAD, Written};
use super::launch::launch_groups;
use super::sample::{Shape, Value};
use super::twin::{self, CpuTensor};
use super::{Element, Kernel, fields, input, output, sample};

/// The row of [`KERNELS`](super::KERNELS).
pub const KERNEL: Kernel = Kernel {
    name: "sparse_rows",
    summary: "a fixed sparse matrix over images side by side: averages, pads and other moves, both ways",
    shader: include_str!("../../shaders/sparse_rows.wgsl"),
    workgroup: GROUP as u32,
    per_row: true,
    bindings: &[
        input("value", Element::Float),
        input("places", Element::Bits),
        input("weights", Element::Float),
        output("out_value", Element::Float),
    ],
    parameters: fields!(Parameters { quads, rows, entries, shifted }),
    parameters_size: size_of::<Parameters>(),
    variants: &["plain", "shifted"],
    sample: sample_rows,
    run: |variant, values| {
        let [value, places, weights] = sample::take(values);
        let value = value.floats();
        let [rows, images] = value.dims();
        let entries = rows * ENTRIES;
        vec![sparse_rows(value, places.words(), weights.floats(), Parameters::new(images, rows, entries, variant == 1)).into()]
    },
};

const GROUP: usize = 64;

/// Entries of a sample's row.
const ENTRIES: usize = 3;

/// Parameters of the shader.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
pub struct Parameters {
    /// Images over 4.
    pub quads: u32,
    /// Rows of the matrix.
    pub rows: u32,
    /// Its entries.
    pub entries: u32,
    /// 1: a number is added to each row.
    pub shifted: u32,
}

impl Parameters {
    pub(crate) fn new(images: usize, rows: usize, entries: usize, shifted: bool) -> Self {
        Self { quads: (images / QUAD) as u32, rows: rows as u32, entries: entries as u32, shifted: shifted.into() }
    }

    /// Workgroups of a launch.
    pub(crate) fn workgroups(&self) -> usize {
        self.rows as usize * (self.quads as usize).div_ceil(GROUP)
    }
}

/// Rows in reverse, three entries each.
fn sample_rows(shape: Shape, device: &Device) -> Vec<Value> {
    let rows = shape.rows;
    let entries = |row: usize| (0..ENTRIES).map(move |entry| (row * 5 + entry * 7) % rows);
    let ends = (1..=rows).map(|row| row * ENTRIES);
    let places: Vec<usize> = (0..rows).rev().chain(ends).chain((0..rows).flat_map(entries)).collect();
    let value = lanes::sixteenths(rows, lanes::lanes(shape.columns), 1, device);
    vec![value, lanes::table(&places, device).into(), lanes::sixteenths((ENTRIES + 1) * rows, 1, 2, device)]
}

/// The rows [rows, images] of a value [vectors, images]; `places` and `weights` as the shader wants them, the places of the results being
/// the rows' numbers in some order.
///
/// # Panics
/// Where a place leads out of a tensor.
pub fn sparse_rows(value: Tensor<2>, places: Tensor<1, Int>, weights: Tensor<2>, parameters: Parameters) -> Tensor<2> {
    let (value, places, weights) = (value.into_dispatch(), places.into_dispatch(), weights.into_dispatch());
    Tensor::from_dispatch(<Dispatch as SparseRows>::sparse_rows(value, places, weights, parameters))
}

/// [`sparse_rows`] on the backends' own tensors.
#[backend_extension(Cube, Flex, Fusion)]
pub trait SparseRows: Backend {
    /// See [`sparse_rows`].
    #[fusion(meta = |_value, _places, _weights, parameters| lanes::specs(parameters.rows as usize, parameters.quads).0)]
    fn sparse_rows(
        value: FloatTensor<Self>,
        places: IntTensor<Self>,
        weights: FloatTensor<Self>,
        parameters: Parameters,
    ) -> FloatTensor<Self>;
}

impl SparseRows for CubeBackend {
    fn sparse_rows(value: CubeTensor, places: CubeTensor, weights: CubeTensor, parameters: Parameters) -> CubeTensor {
        let [output, _] = lanes::outputs(parameters.rows as usize, parameters.quads);
        let [value] = launch_groups(&KERNEL, parameters.workgroups(), vec![value, places, weights], [output], &parameters);
        value
    }
}

impl SparseRows for Flex {
    fn sparse_rows(value: CpuTensor, places: CpuTensor, weights: CpuTensor, parameters: Parameters) -> CpuTensor {
        let (value, places, weights) = (twin::dense::<f32>(value), twin::dense::<i32>(places), twin::dense::<f32>(weights));
        let (value, places, weights): (&[f32], &[i32], &[f32]) = (value.storage(), places.storage(), weights.storage());
        let (rows, images) = (parameters.rows as usize, QUAD * parameters.quads as usize);
        let (to, places) = places.split_at(rows);
        let (ends, from) = places.split_at(rows);
        let (weights, shifts) = weights.split_at(parameters.entries as usize);
        let mut written = Written::new(rows, images);
        for row in 0..rows {
            let begin = row.checked_sub(1).map_or(0, |row| ends[row]) as usize;
            let shift = if parameters.shifted == 1 { shifts[row] } else { 0.0 };
            let mut sums = vec![(shift, false); images];
            for entry in begin..ends[row] as usize {
                let seen = &value[from[entry] as usize * images..][..images];
                sums.iter_mut().zip(seen).for_each(|(sum, seen)| sum.0 += weights[entry] * seen);
            }
            written.write(to[row] as usize, 0, 0, &sums);
        }
        written.tensors().0
    }
}
