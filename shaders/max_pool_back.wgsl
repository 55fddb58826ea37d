// The way back through a max pooling: each pixel gets the gradients of the windows that it won, in the order of the windows. A workgroup
// makes 256 images of a pixel: it is bound by memory.
//
// value: f32 [vectors, images], gradients of the results. winners: i32, four images a word, by result. out_value: f32 [vectors, images].

//!include shared/grid.wgsl
//!include shared/lanes.wgsl
//!include shared/pool.wgsl

const GROUP: u32 = 64u;

@group(0) @binding(0) var<storage, read_write> value: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read_write> winners: array<i32>;
@group(0) @binding(2) var<storage, read_write> out_value: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> parameters: Parameters;

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let number = group_index(group, groups);
    let parts = (parameters.quads + GROUP - 1u) / GROUP;
    let pixel = number / parts;
    let quad = number % parts * GROUP + lane;
    let plane = parameters.height * parameters.width;
    if pixel >= parameters.channels * plane || quad >= parameters.quads {
        return;
    }
    let channel = pixel / plane;
    let y = pixel / parameters.width % parameters.height + parameters.top;
    let x = pixel % parameters.width + parameters.left;

    var sum = vec4<f32>(0.0);
    for (var step = 0u; step < parameters.tall; step += 1u) {
        let down = parameters.tall - 1u - step;
        // Above the first window it wraps round, past the last.
        let high = y - down * parameters.apart_down;
        let row = high / parameters.down;
        if high % parameters.down != 0u || row >= parameters.rows {
            continue;
        }
        for (var other = 0u; other < parameters.wide; other += 1u) {
            let across = parameters.wide - 1u - other;
            let far = x - across * parameters.apart_across;
            let column = far / parameters.across;
            if far % parameters.across != 0u || column >= parameters.columns {
                continue;
            }
            let element = (channel * parameters.rows + row) * parameters.columns + column;
            let packed = bitcast<u32>(winners[element * parameters.quads + quad]);
            let winner = (vec4<u32>(packed) >> vec4<u32>(0u, 8u, 16u, 24u)) & vec4<u32>(255u);
            let gradient = value[grid_at(parameters.value, channel, row, column) * parameters.quads + quad];
            sum += select(vec4<f32>(0.0), gradient, winner == vec4<u32>(down * parameters.wide + across));
        }
    }
    let row = pixel / parameters.width % parameters.height;
    let column = pixel % parameters.width;
    out_value[grid_at(parameters.result, channel, row, column) * parameters.quads + quad] = sum;
}
