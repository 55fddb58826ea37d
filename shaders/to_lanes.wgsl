// Rows of numbers spread over a value whose images lie side by side: row i becomes image i, and images without a row are 0. A workgroup
// turns round 16 elements of 16 images.
//
// x: f32 [rows, elements]. out_value: f32 [vectors, images].

//!include shared/grid.wgsl
//!include shared/lanes.wgsl
//!include shared/turn.wgsl

@group(0) @binding(0) var<storage, read_write> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> out_value: array<f32>;
@group(0) @binding(2) var<storage, read_write> parameters: Parameters;

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let corner = tile_corner(group_index(group, groups));
    let element = corner.x + lane % SIDE;
    let row = corner.y + lane / SIDE;
    var number = 0.0;
    if element < parameters.elements && row < parameters.rows {
        number = x[row * parameters.elements + element];
    }
    turned[lane / SIDE * (SIDE + 1u) + lane % SIDE] = number;
    workgroupBarrier();
    let other = corner.x + lane / SIDE;
    let image = corner.y + lane % SIDE;
    if other < parameters.elements && image < parameters.images {
        out_value[vector_at(other) * parameters.images + image] = turned[lane % SIDE * (SIDE + 1u) + lane / SIDE];
    }
}
