// Rows of numbers gathered from a value whose images lie side by side: image i becomes row i. A workgroup turns round 16 elements of 16
// images.
//
// value: f32 [vectors, images]. out_x: f32 [rows, elements].

//!include shared/grid.wgsl
//!include shared/lanes.wgsl
//!include shared/turn.wgsl

@group(0) @binding(0) var<storage, read_write> value: array<f32>;
@group(0) @binding(1) var<storage, read_write> out_x: array<f32>;
@group(0) @binding(2) var<storage, read_write> parameters: Parameters;

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let corner = tile_corner(group_index(group, groups));
    let other = corner.x + lane / SIDE;
    let image = corner.y + lane % SIDE;
    var number = 0.0;
    if other < parameters.elements && image < parameters.images {
        number = value[vector_at(other) * parameters.images + image];
    }
    turned[lane / SIDE * (SIDE + 1u) + lane % SIDE] = number;
    workgroupBarrier();
    let element = corner.x + lane % SIDE;
    let row = corner.y + lane / SIDE;
    if element < parameters.elements && row < parameters.rows {
        out_x[row * parameters.elements + element] = turned[lane % SIDE * (SIDE + 1u) + lane / SIDE];
    }
}
