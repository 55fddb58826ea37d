// Euclidean projection of every row on the intersection of the l1 ball around its origin and the box [0, 1] (Croce and Hein 2021,
// proposition 2.1; shared/l1.wgsl has the formula). One workgroup a row.
//
// x, origin, out_x: f32 [B, D], input units. rows: Row [B].

//!include shared/float.wgsl
//!include shared/grid.wgsl
//!include shared/reduce.wgsl
//!include shared/row.wgsl

const GROUP: u32 = 256u;

struct Parameters {
    rows: u32,
    columns: u32,
}

@group(0) @binding(0) var<storage, read_write> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> origin: array<f32>;
@group(0) @binding(2) var<storage, read_write> rows: array<Row>;
@group(0) @binding(3) var<storage, read_write> out_x: array<f32>;
@group(0) @binding(4) var<storage, read_write> parameters: Parameters;

//!include shared/l1.wgsl

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let number = group_index(group, groups);
    let live = number < parameters.rows;
    let slot = min(number, parameters.rows - 1u);
    let row = rows[slot];
    let base = slot * parameters.columns;
    let columns = select(0u, parameters.columns, live);

    var bits = 0u;
    for (var column = lane; column < columns; column += GROUP) {
        out_x[base + column] = x[base + column];
        bits = max(bits, max(magnitude_bits(x[base + column]), magnitude_bits(origin[base + column])));
    }
    let projects = reduce_max_bits(lane, bits) < NOT_FINITE && row.generation != 0u;
    l1_project_row(lane, base, select(0u, columns, projects), row.epsilon);
}
