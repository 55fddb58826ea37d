// The point of each row's best score: best' = x where the last forward improved the row, best elsewhere. One invocation an element.
//
// best, x, out_best: f32 [B, D], input units. rows: Row [B]. state: State [B].

//!include shared/grid.wgsl
//!include shared/row.wgsl

const GROUP: u32 = 256u;

struct Parameters {
    rows: u32,
    columns: u32,
}

@group(0) @binding(0) var<storage, read_write> best: array<f32>;
@group(0) @binding(1) var<storage, read_write> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> rows: array<Row>;
@group(0) @binding(3) var<storage, read_write> state: array<State>;
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
    let slot = element / parameters.columns;
    if state[slot].improved == 1u && state[slot].generation == rows[slot].generation {
        out_best[element] = x[element];
    } else {
        out_best[element] = best[element];
    }
}
