//! A pass of a convolution, or of a dense layer, of a frozen network: forward, or backward to what it reads.
//!
//! For an output o and a pixel p of a group, `result[o, p] = bias[o] + sum_k weights[o, k] value[p + offsets[k]]` over the terms k, an
//! input and a tap each; then what is added, a rectifier, or a gate that an earlier one left.

use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{Backend, Dispatch, Flex, backend_extension};
use burn::tensor::{Device, Int, Tensor};
use burn_wgpu::{CubeBackend, CubeTensor};
use bytemuck::{Pod, Zeroable};
use rayon::prelude::*;

use super::lanes::{self, ADD, GATE, Grid, NOTE, QUAD, RECTIFY, Written};
use super::launch::launch_groups;
use super::sample::{Shape, Value};
use super::twin::{self, CpuTensor};
use super::{Element, Kernel, fields, input, output, sample};

/// The row of [`KERNELS`](super::KERNELS).
pub const KERNEL: Kernel = Kernel {
    name: "convolve",
    summary: "a pass of a convolution or dense layer over images side by side, with bias, sum and rectifier",
    shader: include_str!("../../shaders/convolve.wgsl"),
    workgroup: GROUP as u32,
    per_row: true,
    bindings: &[
        input("value", Element::Float),
        input("weights", Element::Float),
        input("offsets", Element::Bits),
        input("added", Element::Float),
        input("gates", Element::Bits),
        output("out_value", Element::Float),
        output("out_bits", Element::Bits),
    ],
    parameters: fields!(Parameters { quads, pixels, columns, groups, terms, outputs, tiles, down, mode, value, added, bits, result }),
    parameters_size: size_of::<Parameters>(),
    variants: &["each alone, summed and rectified", "every second pixel", "gated", "rectified"],
    sample,
    run: |variant, values| {
        let [value, weights, offsets, added, gates] = sample::take(values);
        let (value, weights) = (value.floats(), weights.floats());
        let parameters = sample_pass(value.dims(), variant);
        let (value, bits) = convolve(value, weights, offsets.words(), added.floats(), gates.words(), parameters);
        vec![value.into(), bits.into()]
    },
};

const GROUP: usize = 128;

/// Outputs that one invocation sums.
const TALL: usize = 8;

/// Parameters of the shader. Grids are in vectors; that of the value leads to a pixel's first term, its channel to the next group.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, Pod, Zeroable)]
pub struct Parameters {
    /// Images over 4.
    pub quads: u32,
    /// Pixels of the result.
    pub pixels: u32,
    /// Columns of the result.
    pub columns: u32,
    /// Groups of channels.
    pub groups: u32,
    /// Inputs of a group times taps.
    pub terms: u32,
    /// Outputs of a group.
    pub outputs: u32,
    /// Tiles of a group's outputs.
    pub tiles: u32,
    /// A tile has 8 outputs times 2 to this power, 0 to 3.
    pub down: u32,
    /// RECTIFY, GATE, NOTE and ADD of [`lanes`].
    pub mode: u32,
    /// What is read.
    pub value: Grid,
    /// What is added.
    pub added: Grid,
    /// The bits.
    pub bits: Grid,
    /// What is written.
    pub result: Grid,
}

impl Parameters {
    /// Outputs of a tile.
    fn tall(&self) -> usize {
        TALL << self.down
    }

    /// Workgroups of a launch.
    pub(crate) fn workgroups(&self) -> usize {
        let wide = (2 * GROUP) >> self.down;
        (self.pixels as usize * self.quads as usize).div_ceil(wide) * (self.tiles * self.groups) as usize
    }
}

/// The exponent `down` that suits so many outputs of a group and so many quads of pixels: little is summed in vain, and high tiles read
/// less.
pub(crate) fn down(outputs: usize, quads: usize) -> u32 {
    // What a tile's form costs beside the best, where no sum is in vain.
    const COSTS: [f64; 4] = [1.5, 1.25, 1.08, 1.0];
    let cost = |down: u32| {
        let (tall, wide) = (TALL << down, (2 * GROUP) >> down);
        (outputs.next_multiple_of(tall) * quads.next_multiple_of(wide)) as f64 * COSTS[down as usize]
    };
    (0..4).min_by(|a, b| cost(*a).total_cmp(&cost(*b))).unwrap_or(0)
}

/// Tiles of so many outputs.
pub(crate) fn tiles(outputs: usize, down: u32) -> usize {
    outputs.div_ceil(TALL << down)
}

/// Weights, then the bias, as the shader wants them: `weight` gives that of a group, an output of it and a term.
pub(crate) fn packed(
    [groups, outputs, terms]: [usize; 3],
    down: u32,
    weight: impl Fn(usize, usize, usize) -> f32,
    bias: &[f32],
) -> Vec<f32> {
    let tall = TALL << down;
    let tiles = tiles(outputs, down);
    let mut numbers = Vec::with_capacity(groups * tiles * (terms + 1) * tall);
    let within = |group, output, number: &dyn Fn(usize, usize) -> f32| if output < outputs { number(group, output) } else { 0.0 };
    for (group, tile) in (0..groups).flat_map(|group| (0..tiles).map(move |tile| (group, tile))) {
        for term in 0..terms {
            numbers
                .extend((tile * tall..(tile + 1) * tall).map(|output| within(group, output, &|group, output| weight(group, output, term))));
        }
    }
    for (group, tile) in (0..groups).flat_map(|group| (0..tiles).map(move |tile| (group, tile))) {
        let number = |group, output| bias.get(group * outputs + output).copied().unwrap_or(0.0);
        numbers.extend((tile * tall..(tile + 1) * tall).map(|output| within(group, output, &number)));
    }
    numbers
}

/// Outputs of the sample's windows.
const SAMPLED: usize = 21;

fn window([_, rows, columns]: [usize; 3]) -> [usize; 2] {
    [rows.min(3), columns.min(3)]
}

/// A pass over a sample of [vectors, images].
fn sample_pass([vectors, images]: [usize; 2], variant: usize) -> Parameters {
    let quads = (images / QUAD) as u32;
    if variant == 0 {
        let alone = Grid { channel: 1, ..Grid::default() };
        let mode = ADD | RECTIFY | NOTE;
        let grids = Parameters { value: alone, added: alone, bits: alone, result: alone, ..Parameters::default() };
        return Parameters { quads, pixels: 1, columns: 1, groups: vectors as u32, terms: 1, outputs: 1, tiles: 1, down: 0, mode, ..grids };
    }
    let sides = lanes::sample_sides(Shape { rows: vectors, columns: images });
    let (stride, down) = ([2, 1, 1][variant - 1], variant as u32);
    let [down_by, across] = window(sides);
    let (rows, columns) = ((sides[1] - down_by) / stride + 1, (sides[2] - across) / stride + 1);
    let whole = Grid::plain(sides);
    let plain = Grid::plain([SAMPLED, rows, columns]);
    Parameters {
        quads,
        pixels: (rows * columns) as u32,
        columns: columns as u32,
        groups: 1,
        terms: (sides[0] * down_by * across) as u32,
        outputs: SAMPLED as u32,
        tiles: tiles(SAMPLED, down) as u32,
        down,
        mode: NOTE | [0, GATE | ADD, RECTIFY][variant - 1],
        value: Grid { row: whole.row * stride as u32, column: stride as u32, ..whole },
        added: Grid { channel: 0, ..whole },
        bits: plain,
        result: plain,
    }
}

fn sample(shape: Shape, device: &Device) -> Vec<Value> {
    let images = lanes::lanes(shape.columns);
    let sides = lanes::sample_sides(shape);
    let [rows, columns] = window(sides);
    let (plane, width) = (sides[1] * sides[2], sides[2]);
    let taps = (0..rows).flat_map(|row| (0..columns).map(move |column| row * width + column));
    let taps: Vec<usize> = taps.collect();
    let offsets: Vec<usize> = (0..sides[0]).flat_map(|channel| taps.iter().map(move |tap| channel * plane + tap)).collect();
    let tallest = SAMPLED.next_multiple_of(TALL << 3) * (offsets.len() + 1);
    let weights = tallest.max(2 * TALL * shape.rows).div_ceil(TALL);
    let results = (SAMPLED * (sides[1] - rows + 1) * (sides[2] - columns + 1)).max(shape.rows);
    vec![
        lanes::sixteenths(shape.rows, images, 1, device),
        lanes::sixteenths(weights, TALL, 2, device),
        lanes::table(&offsets, device).into(),
        lanes::sixteenths(shape.rows, images, 3, device),
        lanes::some_bits(results, images, device),
    ]
}

/// The result [outputs x pixels, images] of all groups and where it was above 0, a bit a number; of `value` [vectors, images], `weights`
/// and `offsets` as the shader wants them, what is `added` and the `gates`, as far as the mode says.
///
/// # Panics
/// Where a grid or an offset leads out of a tensor.
pub fn convolve(
    value: Tensor<2>,
    weights: Tensor<2>,
    offsets: Tensor<1, Int>,
    added: Tensor<2>,
    gates: Tensor<1, Int>,
    parameters: Parameters,
) -> (Tensor<2>, Tensor<1, Int>) {
    let (value, bits) = <Dispatch as Convolve>::convolve(
        value.into_dispatch(),
        weights.into_dispatch(),
        offsets.into_dispatch(),
        added.into_dispatch(),
        gates.into_dispatch(),
        parameters,
    );
    (Tensor::from_dispatch(value), Tensor::from_dispatch(bits))
}

/// Vectors of the result.
fn results(parameters: &Parameters) -> usize {
    (parameters.groups * parameters.outputs) as usize * parameters.pixels as usize
}

/// [`convolve`] on the backends' own tensors.
#[backend_extension(Cube, Flex, Fusion)]
pub trait Convolve: Backend {
    /// See [`convolve`].
    #[fusion(meta = |_value, _weights, _offsets, _added, _gates, parameters| {
        lanes::specs(results(parameters), parameters.quads)
    })]
    fn convolve(
        value: FloatTensor<Self>,
        weights: FloatTensor<Self>,
        offsets: IntTensor<Self>,
        added: FloatTensor<Self>,
        gates: IntTensor<Self>,
        parameters: Parameters,
    ) -> (FloatTensor<Self>, IntTensor<Self>);
}

impl Convolve for CubeBackend {
    fn convolve(
        value: CubeTensor,
        weights: CubeTensor,
        offsets: CubeTensor,
        added: CubeTensor,
        gates: CubeTensor,
        parameters: Parameters,
    ) -> (CubeTensor, CubeTensor) {
        let inputs = vec![value, weights, offsets, added, gates];
        let outputs = lanes::outputs(results(&parameters), parameters.quads);
        let [value, bits] = launch_groups(&KERNEL, parameters.workgroups(), inputs, outputs, &parameters);
        (value, bits)
    }
}

impl Convolve for Flex {
    fn convolve(
        value: CpuTensor,
        weights: CpuTensor,
        offsets: CpuTensor,
        added: CpuTensor,
        gates: CpuTensor,
        parameters: Parameters,
    ) -> (CpuTensor, CpuTensor) {
        let [value, weights, added] = [value, weights, added].map(twin::dense::<f32>);
        let [offsets, gates] = [offsets, gates].map(twin::dense::<i32>);
        let [value, weights, added]: [&[f32]; 3] = [value.storage(), weights.storage(), added.storage()];
        let [offsets, gates]: [&[i32]; 2] = [offsets.storage(), gates.storage()];
        let p = &parameters;
        let (images, tall) = (QUAD * p.quads as usize, p.tall());
        let (outputs, pixels, terms, tiles) = (p.outputs as usize, p.pixels as usize, p.terms as usize, p.tiles as usize);
        let biases = p.groups as usize * tiles * terms * tall;
        let row = |number: usize| {
            let (channel, pixel) = (number / pixels, number % pixels);
            let (group, output) = (channel / outputs, channel % outputs);
            let (row, column) = (pixel / p.columns as usize, pixel % p.columns as usize);
            let (stack, which) = (group * tiles + output / tall, output % tall);
            let mut sums = vec![weights[biases + stack * tall + which]; images];
            let origin = p.value.at(group, row, column);
            for term in 0..terms {
                let weight = weights[(stack * terms + term) * tall + which];
                let seen = &value[(origin + offsets[term] as usize) * images..][..images];
                sums.iter_mut().zip(seen).for_each(|(sum, seen)| *sum += weight * seen);
            }
            if p.mode & ADD != 0 {
                let added = &added[p.added.at(channel, row, column) * images..][..images];
                sums.iter_mut().zip(added).for_each(|(sum, added)| *sum += added);
            }
            let gate = p.bits.at(channel, row, column);
            let finished = |(lane, sum): (usize, f32)| lanes::finish(p.mode, sum, lanes::bit(gates, gate, images, lane));
            (p.result.at(channel, row, column), gate, sums.into_iter().enumerate().map(finished).collect::<Vec<_>>())
        };
        let rows: Vec<_> = (0..results(p)).into_par_iter().map(row).collect();
        let mut written = Written::new(results(p), images);
        rows.into_iter().for_each(|(vector, bits, numbers)| written.write(vector, bits, p.mode, &numbers));
        written.tensors()
    }
}
