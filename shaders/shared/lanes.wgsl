// Values of a frozen network: [vectors, images] in f32, a vector an element, so that neighbouring invocations read neighbouring numbers
// whatever the element. The number of images is a multiple of 32; a quad is four images side by side.

// Where the vector of (channel, row, column) lies.
struct Grid {
    origin: u32,
    channel: u32,
    row: u32,
    column: u32,
}

fn grid_at(grid: Grid, channel: u32, row: u32, column: u32) -> u32 {
    return grid.origin + channel * grid.channel + row * grid.row + column * grid.column;
}

// What is done with a result; the numbers stand in src/kernel/lanes.rs.
const RECTIFY: u32 = 1u;
const GATE: u32 = 2u;
const NOTE: u32 = 4u;
const ADD: u32 = 8u;
const ZERO: u32 = 16u;
const RING: u32 = 32u;

// Which are above 0, a bit each: the bits of positive numbers and infinity are 1 to 0x7f800000. Not those of NaN.
fn bits_above(value: vec4<f32>) -> u32 {
    let above = (bitcast<vec4<u32>>(value) - vec4<u32>(1u)) < vec4<u32>(0x7f800000u);
    let bits = select(vec4<u32>(0u), vec4<u32>(1u, 2u, 4u, 8u), above);
    return bits.x | bits.y | bits.z | bits.w;
}

// 0 in the place of what is below it; NaN stays, which max(value, 0) does not promise.
fn rectified(value: vec4<f32>) -> vec4<f32> {
    let below = (bitcast<vec4<u32>>(value) - vec4<u32>(0x80000001u)) < vec4<u32>(0x7f800000u);
    return select(value, vec4<f32>(0.0), below);
}

// Those whose bit is set, 0 for the others.
fn kept(value: vec4<f32>, bits: u32) -> vec4<f32> {
    return select(vec4<f32>(0.0), value, (vec4<u32>(bits) & vec4<u32>(1u, 2u, 4u, 8u)) != vec4<u32>(0u));
}
