// Where a row of the FAB attack starts: its origin, or a random point at half of epsilon from it, clipped to [0, 1] (Croce and Hein
// 2020): origin + epsilon / 2 t / |t|, the norm being the threat's. One workgroup a row.
//   linf:   t uniform in [-1, 1), one number an element
//   l1, l2: t standard normal
// Random counter: (element / 4, 0, restart, example), word = element % 4 (Philox, Salmon et al. 2011).
//
// x, origin, out_x: f32 [B, D], input units. rows: Row [B]. state: State [B].

//!include shared/float.wgsl
//!include shared/grid.wgsl
//!include shared/random.wgsl
//!include shared/reduce.wgsl
//!include shared/row.wgsl

const GROUP: u32 = 256u;

const LINF: u32 = 0u;
const L2: u32 = 1u;

struct Parameters {
    rows: u32,
    columns: u32,
    norm: u32,
}

@group(0) @binding(0) var<storage, read_write> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> origin: array<f32>;
@group(0) @binding(2) var<storage, read_write> rows: array<Row>;
@group(0) @binding(3) var<storage, read_write> state: array<State>;
@group(0) @binding(4) var<storage, read_write> out_x: array<f32>;
@group(0) @binding(5) var<storage, read_write> parameters: Parameters;

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let number = group_index(group, groups);
    let live = number < parameters.rows;
    let slot = min(number, parameters.rows - 1u);
    let columns = parameters.columns;
    let base = slot * columns;
    let row = rows[slot];
    let fresh = is_fresh(row, state[slot]);
    let draws = fresh && row.start == START_RANDOM;
    let begins = fresh && row.start == START_ORIGIN;
    let norm = parameters.norm;

    // What an invocation writes into out_x here it alone reads again below.
    var sum = 0.0;
    var bits = 0u;
    if live && draws {
        for (var block = lane; block * 4u < columns; block += GROUP) {
            let words = philox(vec4<u32>(block, 0u, row.restart, row.example), row.key);
            var drawn = vec4<f32>(unit(words.x), unit(words.y), unit(words.z), unit(words.w)) * 2.0 - 1.0;
            if norm != LINF {
                drawn = normals(words);
            }
            for (var word = 0u; word < min(4u, columns - block * 4u); word += 1u) {
                let value = drawn[word];
                out_x[base + block * 4u + word] = value;
                sum += select(abs(value), value * value, norm == L2);
                bits = max(bits, magnitude_bits(value));
            }
        }
    }
    let total = reduce_sum(lane, sum);
    let largest = bitcast<f32>(reduce_max_bits(lane, bits));
    var length = total;
    if norm == LINF {
        length = largest;
    } else if norm == L2 {
        length = sqrt(total);
    }
    let scale = select(0.0, 0.5 * row.epsilon / max(length, 1e-30), length > 0.0);
    if !live {
        return;
    }
    for (var block = lane; block * 4u < columns; block += GROUP) {
        for (var word = 0u; word < min(4u, columns - block * 4u); word += 1u) {
            let element = base + block * 4u + word;
            let center = origin[element];
            if draws && magnitude_bits(center) < NOT_FINITE {
                out_x[element] = clamp(center + scale * out_x[element], 0.0, 1.0);
            } else if draws || begins {
                // A pixel that is not finite stays as it is, so that the row is seen to fail: a clamp may hide it.
                out_x[element] = center;
            } else {
                out_x[element] = x[element];
            }
        }
    }
}
