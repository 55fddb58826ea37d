// Admission of examples into slots: out[i] = source[index[i]] where 0 <= index[i] < N, slots[i] elsewhere. One invocation an element.
//
// slots, out_slots: f32 [B, D]. source: f32 [N, D]. index: i32 [B].

//!include shared/grid.wgsl

const GROUP: u32 = 256u;

struct Parameters {
    rows: u32,
    columns: u32,
    source_rows: u32,
}

@group(0) @binding(0) var<storage, read_write> slots: array<f32>;
@group(0) @binding(1) var<storage, read_write> source: array<f32>;
@group(0) @binding(2) var<storage, read_write> index: array<i32>;
@group(0) @binding(3) var<storage, read_write> out_slots: array<f32>;
@group(0) @binding(4) var<storage, read_write> parameters: Parameters;

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let columns = parameters.columns;
    let element = group_index(group, groups) * GROUP + lane;
    if element >= parameters.rows * columns {
        return;
    }
    let example = index[element / columns];
    if example >= 0 && u32(example) < parameters.source_rows {
        out_slots[element] = source[u32(example) * columns + element % columns];
    } else {
        out_slots[element] = slots[element];
    }
}
