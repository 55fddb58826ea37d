// What JPEG leaves of 8 x 8 blocks of samples: DCT, quantisation, inverse DCT, in whole numbers as libjpeg's "islow" (ITU-T T.81, annex
// A.3; Loeffler, Ligtenberg and Moschytz 1989). One workgroup a block, one invocation a line or a column of it.
//
// x, out_x: f32 [N, 64], samples 0..255. table: the quantisation table, row by row.

//!include shared/float.wgsl
//!include shared/grid.wgsl
//!include shared/reduce.wgsl

const GROUP: u32 = 64u;

struct Parameters {
    rows: u32,
    table: array<i32, 64>,
}

@group(0) @binding(0) var<storage, read_write> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> out_x: array<f32>;
@group(0) @binding(2) var<storage, read_write> parameters: Parameters;

// Products of cosines as whole numbers of 2^-13.
const C_0_298: i32 = 2446;
const C_0_390: i32 = 3196;
const C_0_541: i32 = 4433;
const C_0_765: i32 = 6270;
const C_0_899: i32 = 7373;
const C_1_175: i32 = 9633;
const C_1_501: i32 = 12299;
const C_1_847: i32 = 15137;
const C_1_961: i32 = 16069;
const C_2_053: i32 = 16819;
const C_2_562: i32 = 20995;
const C_3_072: i32 = 25172;

var<workgroup> block: array<i32, 64>;

fn descale(value: i32, bits: u32) -> i32 {
    return (value + (1i << (bits - 1u))) >> bits;
}

// The odd part, the same both ways.
fn odd(v: vec4<i32>) -> vec4<i32> {
    let shared_part = (v.x + v.y + v.z + v.w) * C_1_175;
    let ad = -C_0_899 * (v.x + v.w);
    let bc = -C_2_562 * (v.y + v.z);
    let ac = shared_part - C_1_961 * (v.x + v.z);
    let bd = shared_part - C_0_390 * (v.y + v.w);
    return vec4<i32>(v.x * C_0_298 + ad + ac, v.y * C_2_053 + bc + bd, v.z * C_3_072 + bc + ac, v.w * C_1_501 + ad + bd);
}

// One pass forward along a line (first) or a column.
fn forward(start: u32, stride: u32, first: bool) {
    let bits = select(15u, 11u, first);
    let x0 = block[start];
    let x1 = block[start + stride];
    let x2 = block[start + 2u * stride];
    let x3 = block[start + 3u * stride];
    let x4 = block[start + 4u * stride];
    let x5 = block[start + 5u * stride];
    let x6 = block[start + 6u * stride];
    let x7 = block[start + 7u * stride];
    let a = x0 + x7 + x3 + x4;
    let b = x1 + x6 + x2 + x5;
    let c = x1 + x6 - x2 - x5;
    let d = x0 + x7 - x3 - x4;
    let both = (c + d) * C_0_541;
    let o = odd(vec4<i32>(x3 - x4, x2 - x5, x1 - x6, x0 - x7));
    block[start] = select(descale(a + b, 2u), (a + b) * 4, first);
    block[start + stride] = descale(o.w, bits);
    block[start + 2u * stride] = descale(both + d * C_0_765, bits);
    block[start + 3u * stride] = descale(o.z, bits);
    block[start + 4u * stride] = select(descale(a - b, 2u), (a - b) * 4, first);
    block[start + 5u * stride] = descale(o.y, bits);
    block[start + 6u * stride] = descale(both - c * C_1_847, bits);
    block[start + 7u * stride] = descale(o.x, bits);
}

// One pass back along a column or a line, without the last bits.
fn inverse(start: u32, stride: u32, bits: u32) {
    let x2 = block[start + 2u * stride];
    let x6 = block[start + 6u * stride];
    let both = (x2 + x6) * C_0_541;
    let low = both - x6 * C_1_847;
    let high = both + x2 * C_0_765;
    let sum = (block[start] + block[start + 4u * stride]) * 8192;
    let difference = (block[start] - block[start + 4u * stride]) * 8192;
    let even = vec4<i32>(sum + high, difference + low, difference - low, sum - high);
    let odds = odd(vec4<i32>(block[start + 7u * stride], block[start + 5u * stride], block[start + 3u * stride], block[start + stride])).wzyx;
    for (var at = 0u; at < 4u; at += 1u) {
        block[start + at * stride] = descale(even[at] + odds[at], bits);
        block[start + (7u - at) * stride] = descale(even[at] - odds[at], bits);
    }
}

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let number = group_index(group, groups);
    let live = number < parameters.rows;
    let element = min(number, parameters.rows - 1u) * 64u + lane;
    let sample = x[element];
    // A value that is not finite makes its block so, and its row is seen to fail.
    let bits = magnitude_bits(sample);
    let largest = reduce_max_bits(lane, bits);
    block[lane] = i32(floor(select(sample, 0.0, bits >= NOT_FINITE) + 0.5)) - 128;
    workgroupBarrier();
    if lane < 8u {
        forward(lane * 8u, 1u, true);
    }
    workgroupBarrier();
    if lane < 8u {
        forward(lane, 8u, false);
    }
    workgroupBarrier();
    // Coefficients are 8 times their size.
    let step = parameters.table[lane];
    block[lane] = sign(block[lane]) * ((abs(block[lane]) + 4 * step) / (8 * step)) * step;
    workgroupBarrier();
    if lane < 8u {
        inverse(lane, 8u, 11u);
    }
    workgroupBarrier();
    if lane < 8u {
        inverse(lane * 8u, 1u, 18u);
    }
    workgroupBarrier();
    if live {
        out_x[element] = select(f32(clamp(block[lane] + 128, 0, 255)), bitcast<f32>(largest), largest >= NOT_FINITE);
    }
}
