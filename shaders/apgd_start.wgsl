// Where APGD's rows start (Croce and Hein 2020 and 2021): t / |t| epsilon away from the origin, clipped to [0, 1], with
//   linf: t uniform in [-1, 1), |t| its largest magnitude
//   l2:   t standard normal, |t| its Euclidean length
// and under l1 at the projection of origin + t, t standard normal, on the box and the ball of stages * epsilon (shared/l1.wgsl). One
// workgroup a row; rows that are not fresh keep x. Fresh rows' notes are begun: the number of elements that differ from the origin, and
// zeros. Random counter: (element / 4, 0, restart, example), word = element % 4 (Philox, Salmon et al. 2011).
//
// x, origin, out_x: f32 [B, D], input units. notes, out_notes: i32 [B * NOTES], shared/apgd.wgsl. rows: Row [B]. state: State [B].

//!include shared/apgd.wgsl
//!include shared/float.wgsl
//!include shared/grid.wgsl
//!include shared/random.wgsl
//!include shared/reduce.wgsl
//!include shared/row.wgsl

const GROUP: u32 = 256u;

const LINF: u32 = 0u;
const L1: u32 = 2u;

struct Parameters {
    rows: u32,
    columns: u32,
    norm: u32,
    stages: u32,
}

@group(0) @binding(0) var<storage, read_write> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> origin: array<f32>;
@group(0) @binding(2) var<storage, read_write> notes: array<i32>;
@group(0) @binding(3) var<storage, read_write> rows: array<Row>;
@group(0) @binding(4) var<storage, read_write> state: array<State>;
@group(0) @binding(5) var<storage, read_write> out_x: array<f32>;
@group(0) @binding(6) var<storage, read_write> out_notes: array<i32>;
@group(0) @binding(7) var<storage, read_write> parameters: Parameters;

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
    let columns = select(0u, parameters.columns, live);
    let base = slot * parameters.columns;
    let note = slot * NOTES;
    let row = rows[slot];
    let fresh = is_fresh(row, state[slot]);
    let sparse = parameters.norm == L1;

    // What an invocation writes into out_x here it alone reads again below: its blocks of four first, then single elements.
    var origin_bits = 0u;
    var largest = 0u;
    var squares = 0.0;
    for (var block = lane; block * 4u < columns; block += GROUP) {
        let words = philox(vec4<u32>(block, 0u, row.restart, row.example), row.key);
        var drawn = vec4<f32>(unit(words.x), unit(words.y), unit(words.z), unit(words.w)) * 2.0 - 1.0;
        if parameters.norm != LINF {
            drawn = normals(words);
        }
        for (var word = 0u; word < min(4u, columns - block * 4u); word += 1u) {
            let element = base + block * 4u + word;
            out_x[element] = drawn[word];
            largest = max(largest, magnitude_bits(drawn[word]));
            squares += drawn[word] * drawn[word];
            origin_bits = max(origin_bits, magnitude_bits(origin[element]));
        }
    }
    let finite = reduce_max_bits(lane, origin_bits) < NOT_FINITE;
    let magnitude = bitcast<f32>(reduce_max_bits(lane, largest));
    let length = sqrt(reduce_sum(lane, squares));
    let norm = select(length, magnitude, parameters.norm == LINF);
    let scale = select(row.epsilon / max(norm, 1e-12), 1.0, sparse);
    storageBarrier();
    for (var column = lane; column < columns; column += GROUP) {
        let element = base + column;
        if !fresh {
            out_x[element] = x[element];
        } else if !finite {
            // A pixel that is not finite stays as it is, so that the row is seen to fail: a clamp may hide it.
            out_x[element] = origin[element];
        } else {
            let point = origin[element] + scale * out_x[element];
            out_x[element] = select(clamp(point, 0.0, 1.0), point, sparse);
        }
    }
    l1_project_row(lane, base, select(0u, columns, fresh && finite && sparse), row.epsilon * f32(parameters.stages));

    var changed = 0.0;
    for (var column = lane; column < columns; column += GROUP) {
        changed += select(0.0, 1.0, out_x[base + column] != origin[base + column]);
    }
    let nonzeros = u32(reduce_sum(lane, changed));
    if live && lane < NOTES {
        var word = notes[note + lane];
        if fresh {
            word = select(0, bitcast<i32>(nonzeros), lane == NONZEROS);
        }
        out_notes[note + lane] = word;
    }
}
