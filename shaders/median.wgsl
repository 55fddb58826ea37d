// The median of each pixel's window and the place in its row of the pixel that it is (Xu et al. 2018). One invocation a pixel.
//
// A value's rank is the number of values of the window that are smaller, or equal and before it; the median has rank k k / 2. Where a
// value of the window is not finite, the first such is taken, so that its row is seen to fail.
//
// x, out_x: f32 [B, D], input units, D = channels height width. chosen: f32 [B, D], places below 2^24.

//!include shared/float.wgsl
//!include shared/grid.wgsl
//!include shared/window.wgsl

const GROUP: u32 = 64u;

struct Parameters {
    rows: u32,
    channels: u32,
    height: u32,
    width: u32,
    window: u32,
}

@group(0) @binding(0) var<storage, read_write> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> out_x: array<f32>;
@group(0) @binding(2) var<storage, read_write> chosen: array<f32>;
@group(0) @binding(3) var<storage, read_write> parameters: Parameters;

// Place in its row of the value number `number` of the window around a pixel.
fn place(number: u32, plane: u32, line: u32, column: u32) -> u32 {
    let back = i32(parameters.window / 2u);
    let y = mirrored(i32(line + number / parameters.window) - back, parameters.height);
    let z = mirrored(i32(column + number % parameters.window) - back, parameters.width);
    return (plane * parameters.height + y) * parameters.width + z;
}

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let columns = parameters.channels * parameters.height * parameters.width;
    let element = group_index(group, groups) * GROUP + lane;
    if element >= parameters.rows * columns {
        return;
    }
    let base = element / columns * columns;
    let within = element - base;
    let column = within % parameters.width;
    let line = within / parameters.width % parameters.height;
    let plane = within / (parameters.width * parameters.height);
    let count = parameters.window * parameters.window;
    var found = within;
    var ill = false;
    for (var number = 0u; number < count && !ill; number += 1u) {
        let candidate = place(number, plane, line, column);
        let value = x[base + candidate];
        if magnitude_bits(value) >= NOT_FINITE {
            found = candidate;
            ill = true;
        } else {
            var rank = 0u;
            for (var other = 0u; other < count; other += 1u) {
                let beside = x[base + place(other, plane, line, column)];
                rank += select(0u, 1u, beside < value || (beside == value && other < number));
            }
            if rank == count / 2u {
                found = candidate;
            }
        }
    }
    out_x[element] = x[base + found];
    chosen[element] = f32(found);
}
