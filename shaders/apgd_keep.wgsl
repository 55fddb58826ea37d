// APGD's best point, or the gradient there (Croce and Hein 2020, algorithm 1): best' = point where the notes say KEEP; point' = best
// where they say JUMP without it. One invocation an element.
//
// point, best, out_point, out_best: f32 [B, D]. notes: i32 [B * NOTES], shared/apgd.wgsl.

//!include shared/apgd.wgsl
//!include shared/grid.wgsl

const GROUP: u32 = 256u;

struct Parameters {
    rows: u32,
    columns: u32,
}

@group(0) @binding(0) var<storage, read_write> point: array<f32>;
@group(0) @binding(1) var<storage, read_write> best: array<f32>;
@group(0) @binding(2) var<storage, read_write> notes: array<i32>;
@group(0) @binding(3) var<storage, read_write> out_point: array<f32>;
@group(0) @binding(4) var<storage, read_write> out_best: array<f32>;
@group(0) @binding(5) var<storage, read_write> parameters: Parameters;

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let element = group_index(group, groups) * GROUP + lane;
    if element >= parameters.rows * parameters.columns {
        return;
    }
    let actions = bitcast<u32>(notes[element / parameters.columns * NOTES + ACTIONS]);
    let keeps = (actions & KEEP) != 0u;
    // One value is read where both outputs get the same.
    if keeps {
        let value = point[element];
        out_point[element] = value;
        out_best[element] = value;
    } else {
        let value = best[element];
        out_best[element] = value;
        if (actions & JUMP) != 0u {
            out_point[element] = value;
        } else {
            out_point[element] = point[element];
        }
    }
}
