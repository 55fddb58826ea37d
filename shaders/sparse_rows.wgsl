// Rows of a fixed sparse matrix times a value, of images that lie side by side:
//   out_value[to[r]] = shift[r] + sum over the entries i of row r of weights[i] value[from[i]]
// Average pooling, padding, cropping, transposing and their ways back come to it. A workgroup makes 256 images of a row: it is bound by
// memory.
//
// value, out_value: f32 [vectors, images]. places: i32, to [rows], ends [rows] (a row's entries begin where the last one's end), from
// [entries]. weights: f32, [entries] and then, where there are any, the shifts [rows].

//!include shared/grid.wgsl

const GROUP: u32 = 64u;

struct Parameters {
    quads: u32,
    rows: u32,
    entries: u32,
    shifted: u32,
}

@group(0) @binding(0) var<storage, read_write> value: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read_write> places: array<i32>;
@group(0) @binding(2) var<storage, read_write> weights: array<f32>;
@group(0) @binding(3) var<storage, read_write> out_value: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> parameters: Parameters;

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let number = group_index(group, groups);
    let parts = (parameters.quads + GROUP - 1u) / GROUP;
    let row = number / parts;
    let quad = number % parts * GROUP + lane;
    if row >= parameters.rows || quad >= parameters.quads {
        return;
    }
    var begin = 0u;
    if row > 0u {
        begin = u32(places[parameters.rows + row - 1u]);
    }
    let end = u32(places[parameters.rows + row]);
    var sum = vec4<f32>(0.0);
    if parameters.shifted != 0u {
        sum = vec4<f32>(weights[parameters.entries + row]);
    }
    for (var entry = begin; entry < end; entry += 1u) {
        let source = u32(places[2u * parameters.rows + entry]);
        sum = fma(value[source * parameters.quads + quad], vec4<f32>(weights[entry]), sum);
    }
    out_value[u32(places[row]) * parameters.quads + quad] = sum;
}
