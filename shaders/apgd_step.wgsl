// A step of APGD under linf or l2 (Croce and Hein 2020, equations 2 and 3): with P the projection on the ball of epsilon around the
// origin and then on [0, 1], a = 0.75 (1 at the first step) and x_old the point before,
//   z = P(x + size direction), x' = P(x + a (z - x) + (1 - a) (x - x_old))
// The direction is the gradient's sign, or the gradient over its Euclidean length; the size is step_size / 2^reductions. One workgroup a
// row; rows whose notes do not say MOVE keep x.
//
// x, previous, origin, out_x: f32 [B, D], input units. gradient: f32 [B, D]. notes: i32 [B * NOTES], shared/apgd.wgsl. rows: Row [B].

//!include shared/apgd.wgsl
//!include shared/float.wgsl
//!include shared/grid.wgsl
//!include shared/reduce.wgsl
//!include shared/row.wgsl

const GROUP: u32 = 256u;

struct Parameters {
    rows: u32,
    columns: u32,
    euclidean: u32,
}

@group(0) @binding(0) var<storage, read_write> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> previous: array<f32>;
@group(0) @binding(2) var<storage, read_write> origin: array<f32>;
@group(0) @binding(3) var<storage, read_write> gradient: array<f32>;
@group(0) @binding(4) var<storage, read_write> notes: array<i32>;
@group(0) @binding(5) var<storage, read_write> rows: array<Row>;
@group(0) @binding(6) var<storage, read_write> out_x: array<f32>;
@group(0) @binding(7) var<storage, read_write> parameters: Parameters;

var<workgroup> is_cube: u32;

fn into_cube(point: f32, center: f32, epsilon: f32) -> f32 {
    return clamp(clamp(point, center - epsilon, center + epsilon), 0.0, 1.0);
}

fn into_sphere(point: f32, center: f32, length: f32, epsilon: f32) -> f32 {
    let inside = center + (point - center) * (epsilon / max(length, 1e-30));
    return clamp(select(point, inside, length > epsilon), 0.0, 1.0);
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
    let columns = select(0u, parameters.columns, live);
    let base = slot * parameters.columns;
    let row = rows[slot];
    let actions = bitcast<u32>(notes[slot * NOTES + ACTIONS]);
    let size = row.step_size * halvings(bitcast<u32>(notes[slot * NOTES + REDUCTIONS]));
    let moves = (actions & MOVE) != 0u;
    // The point before the first step is another row's.
    let first = (actions & FIRST) != 0u;
    let along = select(0.75, 1.0, first);

    if lane == 0u {
        is_cube = select(1u, 0u, parameters.euclidean == 1u);
    }
    // Read so that it is seen to be the same for all: barriers follow.
    if workgroupUniformLoad(&is_cube) == 1u {
        for (var column = lane; column < columns; column += GROUP) {
            let element = base + column;
            let point = x[element];
            if moves {
                let center = origin[element];
                let z = into_cube(point + size * sign_of(gradient[element]), center, row.epsilon);
                let w = point + along * (z - point) + (1.0 - along) * (point - select(previous[element], point, first));
                out_x[element] = into_cube(w, center, row.epsilon);
            } else {
                out_x[element] = point;
            }
        }
        return;
    }

    var bits = 0u;
    for (var column = lane; column < columns; column += GROUP) {
        bits = max(bits, magnitude_bits(gradient[base + column]));
    }
    let largest = reduce_max_bits(lane, bits);
    let order = select(0.0, to_order_of_one(largest), largest >= NORMAL);
    var squares = 0.0;
    for (var column = lane; column < columns; column += GROUP) {
        let value = gradient[base + column] * order;
        squares += value * value;
    }
    let factor = size / max(sqrt(reduce_sum(lane, squares)), 1.0);

    // What an invocation writes into out_x here it alone reads again below.
    squares = 0.0;
    for (var column = lane; column < columns; column += GROUP) {
        let element = base + column;
        let z = x[element] + (gradient[element] * order) * factor;
        let difference = z - origin[element];
        squares += difference * difference;
        out_x[element] = z;
    }
    var length = sqrt(reduce_sum(lane, squares));
    squares = 0.0;
    for (var column = lane; column < columns; column += GROUP) {
        let element = base + column;
        let point = x[element];
        let z = into_sphere(out_x[element], origin[element], length, row.epsilon);
        let w = point + along * (z - point) + (1.0 - along) * (point - select(previous[element], point, first));
        let difference = w - origin[element];
        squares += difference * difference;
        out_x[element] = w;
    }
    length = sqrt(reduce_sum(lane, squares));
    for (var column = lane; column < columns; column += GROUP) {
        let element = base + column;
        let inside = into_sphere(out_x[element], origin[element], length, row.epsilon);
        out_x[element] = select(x[element], inside, moves);
    }
}
