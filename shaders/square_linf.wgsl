// The Square attack's points under linf (Andriushchenko et al. 2020, algorithms 1 and 2). One workgroup a row.
//   fresh row:   origin + or - epsilon, one sign a channel and column, into [0, 1]
//   running row: the best point, but in a window origin + or - epsilon, one sign a channel, into [0, 1]
// Where the window would not change, the signs are others: a drawn channel's is turned round, the rest are drawn again.
//
// x, best, origin, out_x: f32 [B, C H W], input units. rows: Row [B]. state: State [B].

//!include shared/float.wgsl
//!include shared/grid.wgsl
//!include shared/random.wgsl
//!include shared/reduce.wgsl
//!include shared/row.wgsl
//!include shared/square.wgsl

const GROUP: u32 = 256u;

@group(0) @binding(0) var<storage, read_write> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> best: array<f32>;
@group(0) @binding(2) var<storage, read_write> origin: array<f32>;
@group(0) @binding(3) var<storage, read_write> rows: array<Row>;
@group(0) @binding(4) var<storage, read_write> state: array<State>;
@group(0) @binding(5) var<storage, read_write> out_x: array<f32>;
@group(0) @binding(6) var<storage, read_write> parameters: Parameters;

fn moved(center: f32, epsilon: f32, up: bool) -> f32 {
    // A pixel that is not finite stays as it is, so that the row is seen to fail: a clamp may hide it.
    if magnitude_bits(center) >= NOT_FINITE {
        return center;
    }
    return clamp(center + select(-epsilon, epsilon, up), 0.0, 1.0);
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
    let channels = parameters.channels;
    let width = parameters.width;
    let plane = parameters.height * width;
    let base = slot * channels * plane;
    let row = rows[slot];
    let now = state[slot];
    let fresh = is_fresh(row, now);
    let proposes = is_running(row, now);

    let side = parameters.schedule.sides[stage_of(max(now.step, 1u) - 1u)];
    let corner = corners(row, now.step, side);
    let area = side * side;
    var changed = 0u;
    if proposes {
        for (var place = lane; place < channels * area; place += GROUP) {
            let channel = place / area;
            let pixel = place % area;
            let element = base + channel * plane + (corner.x + pixel / side) * width + corner.y + pixel % side;
            let up = random_bit(row, now.step, channel);
            changed |= select(0u, 1u, moved(origin[element], row.epsilon, up) != best[element]);
        }
    }
    let turns = reduce_max_bits(lane, changed) == 0u;
    let turned = below(extras(row, now.step).y, channels);
    if !live {
        return;
    }
    for (var place = lane; place < channels * plane; place += GROUP) {
        let element = base + place;
        let channel = place / plane;
        let line = place % plane / width;
        let column = place % width;
        if fresh {
            out_x[element] = moved(origin[element], row.epsilon, random_bit(row, 0u, channel * width + column));
        } else if !proposes {
            out_x[element] = x[element];
        } else if !in_window(line, column, corner.x, corner.y, side) {
            out_x[element] = best[element];
        } else {
            let again = turns && channel != turned;
            var up = random_bit(row, now.step, select(channel, channels + channel, again));
            if turns && channel == turned {
                up = !up;
            }
            out_x[element] = moved(origin[element], row.epsilon, up);
        }
    }
}
