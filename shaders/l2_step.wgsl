// A step of the l2 attacks in one pass over a row: y = x + step_size direction / |direction|, then
// origin + (y - origin) min(1, epsilon / |y - origin|), then into [0, 1] (Madry et al. 2018, with the Euclidean ball).
// One workgroup a row. Clipping does not leave the ball: the origin is in [0, 1], so it shrinks every component of the difference.
// Only the direction's squares may overflow or vanish; x and origin are of the order of 1.
//
// x, origin, out_x: f32 [B, D], input units. direction: f32 [B, D]. rows: Row [B]. state, out_state: State [B].

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
@group(0) @binding(2) var<storage, read_write> direction: array<f32>;
@group(0) @binding(3) var<storage, read_write> rows: array<Row>;
@group(0) @binding(4) var<storage, read_write> state: array<State>;
@group(0) @binding(5) var<storage, read_write> out_x: array<f32>;
@group(0) @binding(6) var<storage, read_write> out_state: array<State>;
@group(0) @binding(7) var<storage, read_write> parameters: Parameters;

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
    let kept = is_fresh(row, now) && row.start == START_KEPT;
    let wanted = kept || is_running(row, now);

    var bits = 0u;
    for (var column = lane; column < columns; column += GROUP) {
        bits = max(bits, magnitude_bits(direction[base + column]));
    }
    let largest = reduce_max_bits(lane, bits);
    let failed = wanted && largest >= NOT_FINITE;
    let moves = wanted && !failed;
    let order = select(0.0, to_order_of_one(largest), largest >= NORMAL);

    var squares = 0.0;
    for (var column = lane; column < columns; column += GROUP) {
        let value = direction[base + column] * order;
        squares += value * value;
    }
    let norm = sqrt(reduce_sum(lane, squares));
    let factor = select(0.0, row.step_size / max(norm, 1.0), moves && largest >= NORMAL);

    // What an invocation writes into out_x here it alone reads again below.
    squares = 0.0;
    if live {
        for (var column = lane; column < columns; column += GROUP) {
            let element = base + column;
            var point = x[element];
            if moves {
                point = select(point, origin[element], kept) + (direction[element] * order) * factor;
                let difference = point - origin[element];
                squares += difference * difference;
            }
            out_x[element] = point;
        }
    }
    let length = sqrt(reduce_sum(lane, squares));
    if !live {
        return;
    }
    if moves {
        let outside = length > row.epsilon;
        let scale = row.epsilon / max(length, 1e-30);
        for (var column = lane; column < columns; column += GROUP) {
            let element = base + column;
            let center = origin[element];
            let point = out_x[element];
            out_x[element] = clamp(select(point, center + (point - center) * scale, outside), 0.0, 1.0);
        }
    }
    if lane == 0u {
        if failed {
            out_state[slot] = failed_state(row, now);
        } else {
            out_state[slot] = now;
        }
    }
}
