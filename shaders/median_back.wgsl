// The way back through medians: out_gradient[i] = sum of gradient[o] over the windows o with chosen[o] = i. One invocation a pixel; only
// windows near it can have chosen it.
//
// gradient, out_gradient: f32 [B, D], D = channels height width. chosen: f32 [B, D], places below 2^24.

//!include shared/grid.wgsl

const GROUP: u32 = 64u;

struct Parameters {
    rows: u32,
    channels: u32,
    height: u32,
    width: u32,
    window: u32,
}

@group(0) @binding(0) var<storage, read_write> gradient: array<f32>;
@group(0) @binding(1) var<storage, read_write> chosen: array<f32>;
@group(0) @binding(2) var<storage, read_write> out_gradient: array<f32>;
@group(0) @binding(3) var<storage, read_write> parameters: Parameters;

// The first of the places near `at`.
fn first(at: u32) -> u32 {
    return select(0u, at - parameters.window, at > parameters.window);
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
    var sum = 0.0;
    for (var y = first(line); y < min(line + parameters.window + 1u, parameters.height); y += 1u) {
        for (var z = first(column); z < min(column + parameters.window + 1u, parameters.width); z += 1u) {
            let place = (plane * parameters.height + y) * parameters.width + z;
            if chosen[base + place] == f32(within) {
                sum += gradient[base + place];
            }
        }
    }
    out_gradient[element] = sum;
}
