// Euclidean projection on the intersection of an l1 ball and the box [0, 1] (Croce and Hein 2021, "Mind the box: l1-APGD for sparse
// adversarial attacks on image classifiers", proposition 2.1): with d = x - origin and room_i = 1 - origin_i where d_i > 0, else
// origin_i, the projection moves element i by sign(d_i) min(max(|d_i| - threshold, 0), room_i). The threshold is 0 where that lies in
// the ball, else the root of sum_i min(max(|d_i| - threshold, 0), room_i) = epsilon, found by Newton's method between bounds.
//
// The shader that includes it has `origin` and `out_x`, f32 [B, D], GROUP, and the shared files float and reduce. Invocation `lane` has
// written the elements lane, lane + GROUP, ... of its row of out_x, with the points to project.

// At most so many rounds; every third halves the bounds. About six are needed.
const L1_ROUNDS: u32 = 64u;

// Relative distance from the radius at which the threshold is good enough: the last step closes the rest.
const L1_CLOSE: f32 = 5e-7;

var<workgroup> l1_settled: u32;

fn l1_room(center: f32, difference: f32) -> f32 {
    return max(select(center, 1.0 - center, difference > 0.0), 0.0);
}

// Length that is left of a difference.
fn l1_part(center: f32, difference: f32, threshold: f32) -> f32 {
    return min(max(abs(difference) - threshold, 0.0), l1_room(center, difference));
}

fn l1_threshold(lane: u32, base: u32, columns: u32, epsilon: f32) -> f32 {
    var bits = 0u;
    for (var column = lane; column < columns; column += GROUP) {
        bits = max(bits, magnitude_bits(out_x[base + column] - origin[base + column]));
    }
    var low = 0.0;
    var high = bitcast<f32>(min(reduce_max_bits(lane, bits), NOT_FINITE - 1u));
    var threshold = 0.0;
    for (var round = 0u; round < L1_ROUNDS; round += 1u) {
        var length = 0.0;
        var active_count = 0.0;
        for (var column = lane; column < columns; column += GROUP) {
            let center = origin[base + column];
            let difference = out_x[base + column] - center;
            let left = abs(difference) - threshold;
            length += l1_part(center, difference, threshold);
            active_count += select(0.0, 1.0, left > 0.0 && left < l1_room(center, difference));
        }
        length = reduce_sum(lane, length);
        active_count = reduce_sum(lane, active_count);

        let excess = length - epsilon;
        if excess > 0.0 {
            low = threshold;
        } else {
            high = threshold;
        }
        let newton = threshold + excess / max(active_count, 1.0);
        let follows = newton > low && newton < high && round % 3u != 2u;
        let next = select(0.5 * (low + high), newton, follows);
        let close = abs(excess) <= L1_CLOSE * epsilon;
        if lane == 0u {
            l1_settled = select(0u, 1u, close || next <= low || next >= high);
        }
        threshold = select(select(next, high, next <= low || next >= high), threshold, close);
        if workgroupUniformLoad(&l1_settled) == 1u {
            break;
        }
    }
    return threshold;
}

// Projects the row of out_x at `base`, where `columns` is not 0; every invocation must call it.
fn l1_project_row(lane: u32, base: u32, columns: u32, epsilon: f32) {
    let threshold = l1_threshold(lane, base, columns, epsilon);
    var length = 0.0;
    for (var column = lane; column < columns; column += GROUP) {
        let center = origin[base + column];
        let difference = out_x[base + column] - center;
        let left = l1_part(center, difference, threshold);
        let point = center + select(-left, left, difference > 0.0);
        out_x[base + column] = point;
        length += abs(point - center);
    }
    length = reduce_sum(lane, length);
    // Where rounding has left too much, what is scaled is then rounded towards the origin.
    let outside = length > epsilon * (1.0 + L1_CLOSE);
    let scale = epsilon / max(length, 1e-30);
    for (var column = lane; column < columns; column += GROUP) {
        let center = origin[base + column];
        var point = out_x[base + column];
        if outside {
            point = l1_towards(center + (point - center) * scale, center);
        }
        out_x[base + column] = clamp(point, 0.0, 1.0);
    }
}

// The number next to a positive one, or 0, in the direction of another.
fn l1_towards(value: f32, other: f32) -> f32 {
    let bits = bitcast<u32>(value);
    let next = select(max(bits, 1u) - 1u, bits + 1u, value < other);
    return bitcast<f32>(select(next, bits, value == other));
}
