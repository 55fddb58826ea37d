// Where a row starts: its origin, or a uniform point of the ball around it, clipped to [0, 1]. One workgroup a row.
//   linf: origin + epsilon (2 u - 1), one u in [0, 1) an element
//   l2:   origin + epsilon u^(1/D) g / |g|, g standard normal, one u a row (Muller 1959)
// Random counter: (element / 4, step, restart, example), word = element % 4 (Philox, Salmon et al. 2011).
//
// x, origin, out_x: f32 [B, D], input units. rows: Row [B]. state: State [B].

//!include shared/float.wgsl
//!include shared/grid.wgsl
//!include shared/random.wgsl
//!include shared/reduce.wgsl
//!include shared/row.wgsl

const GROUP: u32 = 256u;

struct Parameters {
    rows: u32,
    columns: u32,
    euclidean: u32,
    redraw: u32,
    exponent: f32,
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
    let now = state[slot];
    let fresh = is_fresh(row, now);
    let draws = (fresh && row.start == START_RANDOM) || (parameters.redraw == 1u && (fresh || is_running(row, now)));
    let begins = fresh && !draws && row.start == START_ORIGIN;
    let euclidean = parameters.euclidean == 1u;
    let step = select(now.step, 0u, fresh);

    // What an invocation writes into out_x here it alone reads again below.
    var squares = 0.0;
    if live && draws {
        for (var block = lane; block * 4u < columns; block += GROUP) {
            let words = philox(vec4<u32>(block, step, row.restart, row.example), row.key);
            var drawn = vec4<f32>(unit(words.x), unit(words.y), unit(words.z), unit(words.w)) * 2.0 - 1.0;
            if euclidean {
                drawn = normals(words);
            }
            for (var word = 0u; word < min(4u, columns - block * 4u); word += 1u) {
                out_x[base + block * 4u + word] = drawn[word];
                squares += drawn[word] * drawn[word];
            }
        }
    }
    let length = sqrt(reduce_sum(lane, squares));
    var scale = row.epsilon;
    if euclidean {
        let u = unit(philox(vec4<u32>(ROW_BLOCK, step, row.restart, row.example), row.key).x);
        // A power of 0 is 0; the logarithm inside pow has no such case.
        let radius = select(0.0, pow(max(u, 1e-9), parameters.exponent), u > 0.0) * row.epsilon;
        scale = select(0.0, radius / max(length, 1e-30), length > 0.0);
    }
    if !live {
        return;
    }
    for (var block = lane; block * 4u < columns; block += GROUP) {
        for (var word = 0u; word < min(4u, columns - block * 4u); word += 1u) {
            let element = base + block * 4u + word;
            if draws {
                // A pixel that is not finite stays as it is, so that the row is seen to fail: a clamp may hide it.
                if magnitude_bits(origin[element]) >= NOT_FINITE {
                    out_x[element] = origin[element];
                } else {
                    out_x[element] = clamp(origin[element] + scale * out_x[element], 0.0, 1.0);
                }
            } else if begins {
                out_x[element] = origin[element];
            } else {
                out_x[element] = x[element];
            }
        }
    }
}
