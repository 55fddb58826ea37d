// A pass of a convolution or of a dense layer over images that lie side by side:
//   out_value[o, p] = finish(bias[o] + sum over k of weights[o, k] value[origin of p + offsets[k]]), k = (input, tap)
// with o an output, p a pixel and a quad of images, for each group of channels by itself. Finishing adds `added`, rectifies, or keeps
// what `gates` say; `out_bits` tells where the result was above 0. Padding is a border of zeros that the value is stored with.
//
// An implicit matrix product: a workgroup makes 8 2^down outputs for 1024 / 2^down images of pixels, an invocation 8 outputs for 8
// images, and slabs of 2^(down + 1) terms pass through workgroup memory while the next are fetched. A term costs 8 2^down + 1024 / 2^down
// numbers and gives 16,384 operations: at down = 3 that is 21 operations a byte fetched, and an invocation reads four quads of workgroup
// memory for 128 operations. Gathers are of whole quads of neighbouring images, so that strides, dilations and borders cost nothing.
//
// value: f32 [vectors, images]. weights: f32, [group][tile][term][output of the tile], 0 past the outputs, then the bias likewise,
// [group][tile][output]. offsets: i32 [terms], in vectors. added: f32 [vectors, images]. gates, out_bits: a bit a number, 32 images a
// word. out_value: f32 [vectors, images].

//!include shared/grid.wgsl
//!include shared/lanes.wgsl

const GROUP: u32 = 128u;

struct Parameters {
    quads: u32,
    pixels: u32,
    columns: u32,
    groups: u32,
    terms: u32,
    outputs: u32,
    tiles: u32,
    down: u32,
    mode: u32,
    value: Grid,
    added: Grid,
    bits: Grid,
    result: Grid,
}

@group(0) @binding(0) var<storage, read_write> value: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read_write> weights: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> offsets: array<i32>;
@group(0) @binding(3) var<storage, read_write> added: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> gates: array<i32>;
@group(0) @binding(5) var<storage, read_write> out_value: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read_write> out_bits: array<i32>;
@group(0) @binding(7) var<storage, read_write> parameters: Parameters;

// [term][quad] and [term][output / 4] of a slab.
var<workgroup> seen: array<vec4<f32>, 512>;
var<workgroup> weighed: array<vec4<f32>, 256>;
// Four bits for each of an invocation's outputs, of its first quad and then of its second.
var<workgroup> noted: array<u32, 256>;
var<workgroup> slabs: u32;

// A pixel and a quad of it.
struct Spot {
    live: bool,
    row: u32,
    column: u32,
    quad: u32,
}

fn spot(number: u32) -> Spot {
    let last = parameters.pixels * parameters.quads - 1u;
    let inside = min(number, last);
    let pixel = inside / parameters.quads;
    return Spot(number <= last, pixel / parameters.columns, pixel % parameters.columns, inside % parameters.quads);
}

fn quad_at(grid: Grid, channel: u32, place: Spot) -> u32 {
    return grid_at(grid, channel, place.row, place.column) * parameters.quads + place.quad;
}

fn fetch(at: u32, term: u32) -> vec4<f32> {
    // A term past the last is no number of the image: times 0 it may be NaN.
    if term >= parameters.terms {
        return vec4<f32>(0.0);
    }
    return value[at + u32(offsets[term]) * parameters.quads];
}

// A quad of weights of the slab of tall x tall quads whose first term is `begin`.
fn weight(first: u32, begin: u32, slot: u32, tall: u32) -> vec4<f32> {
    let at = begin * tall + slot;
    if slot >= tall * tall || at >= parameters.terms * tall {
        return vec4<f32>(0.0);
    }
    return weights[first + at];
}

// Stores a result; gives the bits of what is above 0.
fn finish(part: u32, output: u32, place: Spot, sum: vec4<f32>) -> u32 {
    if !place.live || output >= parameters.outputs {
        return 0u;
    }
    let channel = part * parameters.outputs + output;
    var result = sum;
    if (parameters.mode & ADD) != 0u {
        result += added[quad_at(parameters.added, channel, place)];
    }
    let above = bits_above(result);
    if (parameters.mode & RECTIFY) != 0u {
        result = rectified(result);
    }
    if (parameters.mode & GATE) != 0u {
        let at = quad_at(parameters.bits, channel, place);
        result = kept(result, bitcast<u32>(gates[at / 8u]) >> (at % 8u * 4u));
    }
    out_value[quad_at(parameters.result, channel, place)] = result;
    return above;
}

// Stores the bits of eight invocations side by side as one word.
fn note(part: u32, output: u32, start: u32, first: u32, shift: u32) {
    let place = spot(start);
    if !place.live || output >= parameters.outputs {
        return;
    }
    var word = 0u;
    for (var quad = 0u; quad < 8u; quad += 1u) {
        word |= ((noted[first + quad] >> shift) & 15u) << (4u * quad);
    }
    out_bits[quad_at(parameters.bits, part * parameters.outputs + output, place) / 8u] = bitcast<i32>(word);
}

@compute @workgroup_size(128)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let down = parameters.down;
    let across = GROUP >> down;
    let wide = 2u * across;
    // Quads of a tile's outputs, and terms of a slab.
    let tall = 2u << down;
    let number = group_index(group, groups);
    let tile = number % parameters.tiles;
    let part = number / parameters.tiles % parameters.groups;
    let start = number / (parameters.tiles * parameters.groups) * wide;
    if lane == 0u {
        slabs = (parameters.terms + tall - 1u) / tall;
    }
    let count = workgroupUniformLoad(&slabs);

    // What this invocation fetches: four quads of a slab, in two columns at most, and two quads of weights.
    let shift = 8u - down;
    let even = quad_at(parameters.value, part, spot(start + (lane & (wide - 1u))));
    let odd = quad_at(parameters.value, part, spot(start + ((lane + GROUP) & (wide - 1u))));
    let term0 = lane >> shift;
    let term1 = (lane + GROUP) >> shift;
    let term2 = (lane + 2u * GROUP) >> shift;
    let term3 = (lane + 3u * GROUP) >> shift;
    let stack = part * parameters.tiles + tile;
    let first = stack * parameters.terms * tall;

    // What it sums.
    let mine = lane & (across - 1u);
    let above = lane >> (7u - down);
    let bias = parameters.groups * parameters.tiles * parameters.terms * tall + stack * tall + 2u * above;
    let bias0 = weights[bias];
    let bias1 = weights[bias + 1u];
    var a0 = vec4<f32>(bias0.x);
    var a1 = vec4<f32>(bias0.y);
    var a2 = vec4<f32>(bias0.z);
    var a3 = vec4<f32>(bias0.w);
    var a4 = vec4<f32>(bias1.x);
    var a5 = vec4<f32>(bias1.y);
    var a6 = vec4<f32>(bias1.z);
    var a7 = vec4<f32>(bias1.w);
    var b0 = a0;
    var b1 = a1;
    var b2 = a2;
    var b3 = a3;
    var b4 = a4;
    var b5 = a5;
    var b6 = a6;
    var b7 = a7;

    var x0 = fetch(even, term0);
    var x1 = fetch(odd, term1);
    var x2 = fetch(even, term2);
    var x3 = fetch(odd, term3);
    var w0 = weight(first, 0u, lane, tall);
    var w1 = weight(first, 0u, lane + GROUP, tall);
    for (var slab = 0u; slab < count; slab += 1u) {
        workgroupBarrier();
        seen[lane] = x0;
        seen[lane + GROUP] = x1;
        seen[lane + 2u * GROUP] = x2;
        seen[lane + 3u * GROUP] = x3;
        weighed[lane] = w0;
        weighed[lane + GROUP] = w1;
        workgroupBarrier();
        let next = (slab + 1u) * tall;
        x0 = fetch(even, next + term0);
        x1 = fetch(odd, next + term1);
        x2 = fetch(even, next + term2);
        x3 = fetch(odd, next + term3);
        w0 = weight(first, next, lane, tall);
        w1 = weight(first, next, lane + GROUP, tall);
        for (var term = 0u; term < tall; term += 1u) {
            let u = weighed[term * tall + 2u * above];
            let v = weighed[term * tall + 2u * above + 1u];
            let x = seen[term * wide + mine];
            let y = seen[term * wide + mine + across];
            a0 = fma(vec4<f32>(u.x), x, a0);
            a1 = fma(vec4<f32>(u.y), x, a1);
            a2 = fma(vec4<f32>(u.z), x, a2);
            a3 = fma(vec4<f32>(u.w), x, a3);
            a4 = fma(vec4<f32>(v.x), x, a4);
            a5 = fma(vec4<f32>(v.y), x, a5);
            a6 = fma(vec4<f32>(v.z), x, a6);
            a7 = fma(vec4<f32>(v.w), x, a7);
            b0 = fma(vec4<f32>(u.x), y, b0);
            b1 = fma(vec4<f32>(u.y), y, b1);
            b2 = fma(vec4<f32>(u.z), y, b2);
            b3 = fma(vec4<f32>(u.w), y, b3);
            b4 = fma(vec4<f32>(v.x), y, b4);
            b5 = fma(vec4<f32>(v.y), y, b5);
            b6 = fma(vec4<f32>(v.z), y, b6);
            b7 = fma(vec4<f32>(v.w), y, b7);
        }
    }

    let output = (tile << (down + 3u)) + 8u * above;
    let near = spot(start + mine);
    let far = spot(start + across + mine);
    var bits = finish(part, output, near, a0);
    bits |= finish(part, output + 1u, near, a1) << 4u;
    bits |= finish(part, output + 2u, near, a2) << 8u;
    bits |= finish(part, output + 3u, near, a3) << 12u;
    bits |= finish(part, output + 4u, near, a4) << 16u;
    bits |= finish(part, output + 5u, near, a5) << 20u;
    bits |= finish(part, output + 6u, near, a6) << 24u;
    bits |= finish(part, output + 7u, near, a7) << 28u;
    noted[lane] = bits;
    bits = finish(part, output, far, b0);
    bits |= finish(part, output + 1u, far, b1) << 4u;
    bits |= finish(part, output + 2u, far, b2) << 8u;
    bits |= finish(part, output + 3u, far, b3) << 12u;
    bits |= finish(part, output + 4u, far, b4) << 16u;
    bits |= finish(part, output + 5u, far, b5) << 20u;
    bits |= finish(part, output + 6u, far, b6) << 24u;
    bits |= finish(part, output + 7u, far, b7) << 28u;
    noted[lane + GROUP] = bits;
    workgroupBarrier();
    if (parameters.mode & NOTE) != 0u {
        // 256 words: for each invocation one of the near half and one of the far.
        let octets = across / 8u;
        let row = lane / 8u / octets;
        let column = lane / 8u % octets * 8u;
        let which = lane % 8u;
        let written = (tile << (down + 3u)) + 8u * row + which;
        note(part, written, start + column, row * across + column, 4u * which);
        note(part, written, start + across + column, GROUP + row * across + column, 4u * which);
    }
}
