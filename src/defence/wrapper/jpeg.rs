//! JPEG compression (Dziugaite et al. 2016; Guo et al. 2018; Das et al. 2018): images are rounded to 8 bits, compressed and read back, as
//! Pillow does with libjpeg-turbo's defaults but for `subsampling`. Images of three channels are taken for RGB, and every channel of
//! others for a grey image of its own. Entropy coding loses nothing and is left out.
//!
//! In colour, chroma is halved by the mean of 2 x 2 pixels and doubled by libjpeg's triangle filter ("fancy upsampling"); what libjpeg
//! reckons there in 16-bit whole numbers is reckoned in single precision here.
//!
//! The stand-in for its gradient is that of the linear part of the same chain, with the identity for every rounding, quantisation among
//! them, and for clipping (BPDA): the DCT and its inverse then cancel, so a gradient passes grey images and 4:4:4 as it is, and 4:2:0
//! with its chroma halved and doubled on the way. Athalye et al. 2018 broke JPEG with the identity.

use burn::tensor::{Device, Tensor, TensorData};

use super::images::matrix;
use super::{Backward, FREE, Wrapper, WrapperRow};
use crate::engine::draw::Draw;
use crate::engine::pass::recorded;
use crate::kernel;
use crate::kernel::jpeg_blocks::BLOCK;
use crate::options::{Accepts, Entry, OptionSpec};

pub(super) const ROW: WrapperRow = WrapperRow {
    entry: Entry {
        name: "jpeg",
        summary: "compresses images as JPEG and reads them back (Guo et al. 2018)",
        options: &[
            OptionSpec { name: "quality", accepts: Accepts::Integer(1, 100), default: Some("75"), help: "libjpeg's quality" },
            OptionSpec {
                name: "subsampling",
                accepts: Accepts::Choice(&["4:2:0", "4:4:4"]),
                default: Some("\"4:2:0\""),
                help: "4:2:0 halves the chroma of colour images, 4:4:4 leaves it",
            },
        ],
    },
    backward: Backward::StandIn("the linear chain, straight through its roundings"),
    check: FREE,
    build: |options| {
        let quality = options.integer("quality").unwrap_or(75) as i32;
        let halved = options.text("subsampling") != Some("4:4:4");
        Box::new(Jpeg { tables: [LUMINANCE, CHROMINANCE].map(|table| scaled(table, quality)), halved })
    },
};

/// Quantisation tables of ITU-T T.81, annex K.1, row by row.
const LUMINANCE: [i32; BLOCK] = [
    16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55, 14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22, 29, 51, 87, 80, 62, 18, 22,
    37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92, 49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99,
];
const CHROMINANCE: [i32; BLOCK] = [
    17, 18, 24, 47, 99, 99, 99, 99, 18, 21, 26, 66, 99, 99, 99, 99, 24, 26, 56, 99, 99, 99, 99, 99, 47, 66, 99, 99, 99, 99, 99, 99, 99, 99,
    99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99,
];

/// A table at a quality, as libjpeg scales it.
fn scaled(table: [i32; BLOCK], quality: i32) -> [i32; BLOCK] {
    let percent = if quality < 50 { 5000 / quality } else { 200 - 2 * quality };
    table.map(|step| ((step * percent + 50) / 100).clamp(1, 255))
}

struct Jpeg {
    tables: [[i32; BLOCK]; 2],
    halved: bool,
}

/// Planes [rows, 1, height, width].
type Plane = Tensor<4>;

/// A rounding, or in the linear chain none.
fn whole(plane: Plane, really: bool) -> Plane {
    if really { (plane + 0.5).floor() } else { plane }
}

/// A plane's samples through JPEG's blocks; the last line and column are repeated up to whole blocks.
fn blocks(plane: Plane, table: [i32; BLOCK]) -> Plane {
    let [rows, _, height, width] = plane.dims();
    let (down, across) = (height.div_ceil(8), width.div_ceil(8));
    let device = plane.device();
    let (tall, wide) = (repeated(height, 8 * down, &device), repeated(width, 8 * across, &device));
    let padded = if (height, width) == (8 * down, 8 * across) { plane } else { tall.matmul(plane).matmul(wide.swap_dims(2, 3)) };
    let cut: Tensor<2> = padded.reshape([rows, down, 8, across, 8]).swap_dims(2, 3).reshape([rows * down * across, BLOCK]);
    let joined = kernel::jpeg_blocks(cut, table).reshape([rows, down, across, 8, 8]).swap_dims(2, 3);
    joined.reshape([rows, 1, 8 * down, 8 * across]).slice([0..rows, 0..1, 0..height, 0..width])
}

/// A matrix whose rows each name the columns that are averaged.
fn averaging(to: usize, from: usize, device: &Device, of: impl Fn(usize) -> Vec<(usize, f32)>) -> Tensor<4> {
    let mut values = vec![0.0; to * from];
    for (at, row) in values.chunks_exact_mut(from).enumerate() {
        of(at).into_iter().for_each(|(source, share)| row[source] += share);
    }
    matrix(values, to, from, device)
}

fn repeated(side: usize, to: usize, device: &Device) -> Tensor<4> {
    averaging(to, side, device, |at| vec![(at.min(side - 1), 1.0)])
}

/// Means of pairs, `to` of them, of a side whose last value is repeated (libjpeg widens lines before it halves them); or, where
/// `last` repeats the last mean instead (it lengthens columns after).
fn halving(side: usize, to: usize, last: bool, device: &Device) -> Tensor<4> {
    averaging(to, side, device, |at| {
        let at = if last { at.min(side.div_ceil(2) - 1) } else { at };
        vec![((2 * at).min(side - 1), 0.5), ((2 * at + 1).min(side - 1), 0.5)]
    })
}

/// Twice as many: three parts of the nearest and one of the next nearest; plain copies of a side of two or fewer, as libjpeg has it
/// for widths.
fn doubling(side: usize, plain: bool, device: &Device) -> Tensor<4> {
    let half = side.div_ceil(2);
    averaging(side, half, device, |at| {
        let (near, next) = (at / 2, if at % 2 == 0 { (at / 2).saturating_sub(1) } else { (at / 2 + 1).min(half - 1) });
        if plain { vec![(near, 1.0)] } else { vec![(near, 0.75), (next, 0.25)] }
    })
}

/// One of two numbers for every column, in turns: libjpeg's roundings are half up and half down, so that none drifts.
fn turns(width: usize, one: f32, other: f32, device: &Device) -> Tensor<4> {
    let values = (0..width).map(|at| if at % 2 == 0 { one } else { other }).collect::<Vec<f32>>();
    Tensor::from_data(TensorData::new(values, [1, 1, 1, width]), device)
}

impl Jpeg {
    /// Images [rows, channels, height, width] in 0..255 through the chain; without `really`, through its linear part.
    fn chain(&self, images: Tensor<4>, really: bool) -> Tensor<4> {
        let [rows, channels, height, width] = images.dims();
        // What stands before may leave the range that 8 bits have.
        let images = whole(if really { images.clamp(0.0, 255.0) } else { images }, really);
        let grey = |plane: Plane| if really { blocks(plane, self.tables[0]) } else { plane };
        let plane = |at: usize| images.clone().slice([0..rows, at..at + 1, 0..height, 0..width]);
        if channels != 3 {
            return Tensor::cat((0..channels).map(|at| grey(plane(at))).collect(), 1);
        }
        let (red, green, blue) = (plane(0), plane(1), plane(2));
        let mix = |weights: [f32; 3]| red.clone() * weights[0] + green.clone() * weights[1] + blue.clone() * weights[2];
        let light = grey(whole(mix([0.299, 0.587, 0.114]), really));
        let chroma = |weights: [f32; 3]| self.chroma(mix(weights) + 128.0, really) - 128.0;
        let (cb, cr) = (chroma([-0.168_735_9, -0.331_264_1, 0.5]), chroma([0.5, -0.418_687_6, -0.081_312_4]));
        let out = [
            light.clone() + whole(cr.clone() * 1.402, really),
            light.clone() + whole(cb.clone() * -0.344_136_3 - cr * 0.714_136_3, really),
            light + whole(cb * 1.772, really),
        ];
        let clipped = |plane: Plane| if really { plane.clamp(0.0, 255.0) } else { plane };
        Tensor::cat(out.map(clipped).to_vec(), 1)
    }

    /// A chroma plane, 128 in its middle.
    fn chroma(&self, plane: Plane, really: bool) -> Plane {
        // libjpeg rounds chroma's halves down.
        let plane = if really { (plane + 0.499_99).floor() } else { plane };
        let squeezed = |plane: Plane| if really { blocks(plane, self.tables[1]) } else { plane };
        if !self.halved {
            return squeezed(plane);
        }
        let ([rows, _, height, width], device) = (plane.dims(), plane.device());
        let half = [height.div_ceil(2), width.div_ceil(2)];
        let [tall, wide] = half.map(|side| if really { side.next_multiple_of(8) } else { side });
        let across = halving(width, wide, false, &device).swap_dims(2, 3);
        let small = halving(height, tall, true, &device).matmul(plane).matmul(across);
        let small = if really { (small + turns(wide, 0.25, 0.5, &device)).floor() } else { small };
        let small = squeezed(small).slice([0..rows, 0..1, 0..half[0], 0..half[1]]);
        let plain = half[1] <= 2;
        let [down, across] = [height, width].map(|side| doubling(side, plain, &device));
        let large = down.matmul(small).matmul(across.swap_dims(2, 3));
        if really { (large + turns(width, 0.5, 0.4375, &device)).floor() } else { large }
    }

    fn flat(&self, inputs: Tensor<2>, [channels, height, width]: [usize; 3], really: bool) -> Tensor<2> {
        let [rows, features] = inputs.dims();
        let images = inputs.reshape([rows, channels, height, width]) * 255.0;
        self.chain(images, really).reshape([rows, features]) / 255.0
    }
}

impl Wrapper for Jpeg {
    fn inputs(&self, inputs: Tensor<2>, shape: [usize; 3], _draw: &Draw) -> Tensor<2> {
        self.flat(inputs, shape, true)
    }

    fn pull(&self, inputs: Tensor<2>, gradient: Tensor<2>, shape: [usize; 3], _draw: &Draw) -> Tensor<2> {
        if shape[0] != 3 || !self.halved {
            return gradient;
        }
        recorded(inputs, gradient, |inputs| self.flat(inputs, shape, false))
    }
}
