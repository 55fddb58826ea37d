// Noisy copies: x + sigma n, n standard normal. One workgroup a row.
// Random counter: (element / 4, step, attempt, example), word = element % 4 (Philox, Salmon et al. 2011).
//
// x, out_x: f32 [B, D], input units. draws: i32 [B, 5]: key, example, attempt, step. sigma: standard deviation, input units.

//!include shared/grid.wgsl
//!include shared/random.wgsl

const GROUP: u32 = 256u;

struct Parameters {
    rows: u32,
    columns: u32,
    sigma: f32,
}

@group(0) @binding(0) var<storage, read_write> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> draws: array<i32>;
@group(0) @binding(2) var<storage, read_write> out_x: array<f32>;
@group(0) @binding(3) var<storage, read_write> parameters: Parameters;

fn word(slot: u32, at: u32) -> u32 {
    return bitcast<u32>(draws[slot * 5u + at]);
}

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let slot = group_index(group, groups);
    if slot >= parameters.rows {
        return;
    }
    let columns = parameters.columns;
    let key = vec2<u32>(word(slot, 0u), word(slot, 1u));
    for (var block = lane; block * 4u < columns; block += GROUP) {
        let noise = normals(philox(vec4<u32>(block, word(slot, 4u), word(slot, 3u), word(slot, 2u)), key));
        for (var at = 0u; at < min(4u, columns - block * 4u); at += 1u) {
            let element = slot * columns + block * 4u + at;
            out_x[element] = x[element] + parameters.sigma * noise[at];
        }
    }
}
