// Softmax over runs of elements, or its logarithm, or the ways back, of images that lie side by side. With y the result:
//   y[i] = exp(x[i] - m) / s, or x[i] - m - log(s), m the largest of the run and s the sum of exp(x[j] - m)
//   backward y[i] (g[i] - sum of g[j] y[j]), or g[i] - exp(y[i]) sum of g[j], y read in the place of x
// A workgroup makes 256 images of a run.
//
// value, gradient, out_value: f32 [vectors, images].

//!include shared/grid.wgsl
//!include shared/lanes.wgsl

const GROUP: u32 = 64u;

struct Parameters {
    quads: u32,
    runs: u32,
    count: u32,
    apart: u32,
    rows: u32,
    columns: u32,
    logarithm: u32,
    back: u32,
    value: Grid,
    gradient: Grid,
    result: Grid,
}

@group(0) @binding(0) var<storage, read_write> value: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read_write> gradient: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> out_value: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> parameters: Parameters;

fn quad_at(grid: Grid, element: u32, quad: u32) -> u32 {
    let channel = element / (parameters.rows * parameters.columns);
    let row = element / parameters.columns % parameters.rows;
    return grid_at(grid, channel, row, element % parameters.columns) * parameters.quads + quad;
}

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let number = group_index(group, groups);
    let parts = (parameters.quads + GROUP - 1u) / GROUP;
    let run = number / parts;
    let quad = number % parts * GROUP + lane;
    if run >= parameters.runs || quad >= parameters.quads {
        return;
    }
    let apart = parameters.apart;
    let first = run / apart * apart * parameters.count + run % apart;
    let logarithm = parameters.logarithm != 0u;
    var sum = vec4<f32>(0.0);
    if parameters.back != 0u {
        for (var i = 0u; i < parameters.count; i += 1u) {
            let slope = gradient[quad_at(parameters.gradient, first + i * apart, quad)];
            sum += select(slope * value[quad_at(parameters.value, first + i * apart, quad)], slope, logarithm);
        }
        for (var i = 0u; i < parameters.count; i += 1u) {
            let slope = gradient[quad_at(parameters.gradient, first + i * apart, quad)];
            let y = value[quad_at(parameters.value, first + i * apart, quad)];
            var result = y * (slope - sum);
            if logarithm {
                result = slope - exp(y) * sum;
            }
            out_value[quad_at(parameters.result, first + i * apart, quad)] = result;
        }
        return;
    }
    var largest = value[quad_at(parameters.value, first, quad)];
    for (var i = 1u; i < parameters.count; i += 1u) {
        largest = max(largest, value[quad_at(parameters.value, first + i * apart, quad)]);
    }
    for (var i = 0u; i < parameters.count; i += 1u) {
        sum += exp(value[quad_at(parameters.value, first + i * apart, quad)] - largest);
    }
    for (var i = 0u; i < parameters.count; i += 1u) {
        let x = value[quad_at(parameters.value, first + i * apart, quad)] - largest;
        var result = exp(x) / sum;
        if logarithm {
            result = x - log(sum);
        }
        out_value[quad_at(parameters.result, first + i * apart, quad)] = result;
    }
}
