// Fewer bits a value: round(x levels) / levels, halves to even (Xu et al. 2018). One invocation an element.
//
// x, out_x: f32 [B, D], input units. levels: steps between 0 and 1.

//!include shared/float.wgsl
//!include shared/grid.wgsl

const GROUP: u32 = 256u;

struct Parameters {
    rows: u32,
    columns: u32,
    levels: f32,
}

@group(0) @binding(0) var<storage, read_write> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> out_x: array<f32>;
@group(0) @binding(2) var<storage, read_write> parameters: Parameters;

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
    // What is not finite stays as it is, so that its row is seen to fail.
    if magnitude_bits(x[element]) >= NOT_FINITE {
        out_x[element] = x[element];
    } else {
        out_x[element] = round(x[element] * parameters.levels) / parameters.levels;
    }
}
