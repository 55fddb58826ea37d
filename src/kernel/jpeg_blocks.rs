//! What JPEG leaves of 8 x 8 blocks of samples: DCT, quantisation, inverse DCT (ITU-T T.81, annex A.3).
//!
//! The transforms are the whole-number ones of Loeffler, Ligtenberg and Moschytz 1989 as libjpeg scales them (13 bits of constants, 2
//! bits kept between the passes; its default, "islow"), so that a block comes out as libjpeg's to the bit, and on a GPU as on the CPU.
//! Quantised values are rounded to the nearest, halves away from zero; what comes out is clipped to 0..255.

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Dispatch, Flex, backend_extension};
use burn::tensor::{DType, Tensor};
use burn_wgpu::{CubeBackend, CubeTensor};
use bytemuck::{Pod, Zeroable};

use super::launch::launch;
use super::sample::Shape;
use super::twin::{self, CpuTensor};
use super::{Element, Kernel, door, fields, input, output, sample};

/// Samples of a block.
pub const BLOCK: usize = 64;

/// The row of [`KERNELS`](super::KERNELS).
pub const KERNEL: Kernel = Kernel {
    name: "jpeg_blocks",
    summary: "8 x 8 blocks through JPEG's DCT, quantisation and inverse DCT (ITU-T T.81)",
    shader: include_str!("../../shaders/jpeg_blocks.wgsl"),
    workgroup: 64,
    per_row: true,
    bindings: &[input("x", Element::Float), output("out_x", Element::Float)],
    parameters: fields!(Parameters { rows, table }),
    parameters_size: size_of::<Parameters>(),
    variants: &["coarse", "fine"],
    sample: |shape, device| {
        let blocks = sample::near(Shape { columns: BLOCK, ..shape }, 1, device);
        vec![(blocks.floats() * 255.0).into()]
    },
    run: |variant, values| {
        let [x] = sample::take(values);
        let table = std::array::from_fn(|at| if variant == 0 { 16 + 3 * (at as i32 / 8 + at as i32 % 8) } else { 2 });
        vec![jpeg_blocks(x.floats(), table).into()]
    },
};

/// Parameters of the shader.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
pub struct Parameters {
    /// N, the number of blocks.
    pub rows: u32,
    /// The quantisation table, row by row, each 1 to 255.
    pub table: [i32; BLOCK],
}

/// What is left of blocks `x` [N, 64] of samples 0..255, which are rounded to whole numbers first, quantised by `table`.
///
/// # Panics
/// Where shape or element type do not fit.
pub fn jpeg_blocks(x: Tensor<2>, table: [i32; BLOCK]) -> Tensor<2> {
    let rows = x.dims()[0];
    door::floats(KERNEL.name, "x", &x, [rows, BLOCK]);
    Tensor::from_dispatch(<Dispatch as JpegBlocks>::jpeg_blocks(x.into_dispatch(), Parameters { rows: rows as u32, table }))
}

/// [`jpeg_blocks`] on the backends' own tensors.
#[backend_extension(Cube, Flex, Fusion)]
pub trait JpegBlocks: Backend {
    /// See [`jpeg_blocks`].
    #[fusion(dtype = x, shape = x)]
    fn jpeg_blocks(x: FloatTensor<Self>, parameters: Parameters) -> FloatTensor<Self>;
}

impl JpegBlocks for CubeBackend {
    fn jpeg_blocks(x: CubeTensor, parameters: Parameters) -> CubeTensor {
        let shape = x.meta.shape().clone();
        let [out] = launch(&KERNEL, vec![x], [(shape, DType::F32)], &parameters);
        out
    }
}

impl JpegBlocks for Flex {
    fn jpeg_blocks(x: CpuTensor, parameters: Parameters) -> CpuTensor {
        twin::update_rows(x, 8, |_, samples| {
            // A value that is not finite makes its block so, and its row is seen to fail.
            if let Some(ill) = samples.iter().copied().find(|sample| !sample.is_finite()) {
                samples.fill(ill);
                return;
            }
            let mut block: [i32; BLOCK] = std::array::from_fn(|at| (samples[at] + 0.5).floor() as i32 - 128);
            for line in 0..8 {
                lane(&mut block, 8 * line, 1, |values| forward(values, true));
            }
            for column in 0..8 {
                lane(&mut block, column, 8, |values| forward(values, false));
            }
            for (value, step) in block.iter_mut().zip(parameters.table) {
                // Coefficients are 8 times their size.
                *value = value.signum() * ((value.abs() + 4 * step) / (8 * step)) * step;
            }
            for column in 0..8 {
                lane(&mut block, column, 8, |values| inverse(values, 11));
            }
            for line in 0..8 {
                lane(&mut block, 8 * line, 1, |values| inverse(values, 18));
            }
            samples.iter_mut().zip(block).for_each(|(sample, value)| *sample = (value + 128).clamp(0, 255) as f32);
        })
    }
}

/// Eight values of a block, a line or a column of it.
fn lane(block: &mut [i32; BLOCK], first: usize, stride: usize, change: impl Fn([i32; 8]) -> [i32; 8]) {
    let values = change(std::array::from_fn(|at| block[first + at * stride]));
    values.iter().enumerate().for_each(|(at, value)| block[first + at * stride] = *value);
}

/// A product of cosines as a whole number of 2^-13.
const fn fixed(value: f64) -> i32 {
    (value * 8192.0 + 0.5) as i32
}

const C_0_298: i32 = fixed(0.298_631_336);
const C_0_390: i32 = fixed(0.390_180_644);
const C_0_541: i32 = fixed(0.541_196_100);
const C_0_765: i32 = fixed(0.765_366_865);
const C_0_899: i32 = fixed(0.899_976_223);
const C_1_175: i32 = fixed(1.175_875_602);
const C_1_501: i32 = fixed(1.501_321_110);
const C_1_847: i32 = fixed(1.847_759_065);
const C_1_961: i32 = fixed(1.961_570_560);
const C_2_053: i32 = fixed(2.053_119_869);
const C_2_562: i32 = fixed(2.562_915_447);
const C_3_072: i32 = fixed(3.072_711_026);

/// A value without its last bits, rounded.
fn descale(value: i32, bits: u32) -> i32 {
    (value + (1 << (bits - 1))) >> bits
}

/// The odd part, the same both ways: four values to four sums.
fn odd([a, b, c, d]: [i32; 4]) -> [i32; 4] {
    let shared = (a + b + c + d) * C_1_175;
    let (ad, bc) = (-C_0_899 * (a + d), -C_2_562 * (b + c));
    let (ac, bd) = (shared - C_1_961 * (a + c), shared - C_0_390 * (b + d));
    [a * C_0_298 + ad + ac, b * C_2_053 + bc + bd, c * C_3_072 + bc + ac, d * C_1_501 + ad + bd]
}

/// One pass forward: values that the first pass makes 4 times, and the second leaves so far divided again.
fn forward(x: [i32; 8], first: bool) -> [i32; 8] {
    let bits = if first { 11 } else { 15 };
    let plain = |value: i32| if first { value << 2 } else { descale(value, 2) };
    let [s0, s1, s2, s3] = [x[0] + x[7], x[1] + x[6], x[2] + x[5], x[3] + x[4]];
    let (a, b, c, d) = (s0 + s3, s1 + s2, s1 - s2, s0 - s3);
    let both = (c + d) * C_0_541;
    let [o7, o5, o3, o1] = odd([x[3] - x[4], x[2] - x[5], x[1] - x[6], x[0] - x[7]]).map(|value| descale(value, bits));
    [plain(a + b), o1, descale(both + d * C_0_765, bits), o3, plain(a - b), o5, descale(both - c * C_1_847, bits), o7]
}

/// One pass back, without the last `bits` bits.
fn inverse(x: [i32; 8], bits: u32) -> [i32; 8] {
    let both = (x[2] + x[6]) * C_0_541;
    let (low, high) = (both - x[6] * C_1_847, both + x[2] * C_0_765);
    let (sum, difference) = ((x[0] + x[4]) << 13, (x[0] - x[4]) << 13);
    let even = [sum + high, difference + low, difference - low, sum - high];
    let [o3, o2, o1, o0] = odd([x[7], x[5], x[3], x[1]]);
    let odds = [o0, o1, o2, o3];
    std::array::from_fn(|at| {
        let value = if at < 4 { even[at] + odds[at] } else { even[7 - at] - odds[7 - at] };
        descale(value, bits)
    })
}
