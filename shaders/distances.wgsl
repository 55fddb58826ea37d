// Distances of each row from its origin, in one pass: the number of elements that differ, the sum of the magnitudes, the Euclidean
// length and the largest magnitude of x - origin. One workgroup a row. Differences are of the order of 1, so squares are safe.
//
// x, origin: f32 [B, D], input units. out_distances: f32 [B, 4], l0 (elements), l1, l2 and linf (input units).

//!include shared/grid.wgsl

const GROUP: u32 = 256u;

struct Parameters {
    rows: u32,
    columns: u32,
}

@group(0) @binding(0) var<storage, read_write> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> origin: array<f32>;
@group(0) @binding(2) var<storage, read_write> out_distances: array<f32>;
@group(0) @binding(3) var<storage, read_write> parameters: Parameters;

// Counts, magnitudes, squares, largest magnitude.
var<workgroup> parts: array<vec4<f32>, GROUP>;

fn join(a: vec4<f32>, b: vec4<f32>) -> vec4<f32> {
    return vec4<f32>(a.xyz + b.xyz, max(a.w, b.w));
}

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let number = group_index(group, groups);
    let live = number < parameters.rows;
    let slot = min(number, parameters.rows - 1u);
    let base = slot * parameters.columns;

    var mine = vec4<f32>();
    for (var column = lane; column < parameters.columns; column += GROUP) {
        let a = x[base + column];
        let b = origin[base + column];
        let size = abs(a - b);
        mine = join(mine, vec4<f32>(select(0.0, 1.0, a != b), size, size * size, size));
    }
    parts[lane] = mine;
    workgroupBarrier();
    for (var width = GROUP / 2u; width > 0u; width = width / 2u) {
        if lane < width {
            parts[lane] = join(parts[lane], parts[lane + width]);
        }
        workgroupBarrier();
    }
    if live && lane < 4u {
        let whole = parts[0];
        let distances = vec4<f32>(whole.xy, sqrt(whole.z), whole.w);
        out_distances[slot * 4u + lane] = distances[lane];
    }
}
