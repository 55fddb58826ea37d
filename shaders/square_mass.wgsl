// The Square attack's points under l2 and l1 (Andriushchenko et al. 2020, algorithm 3, and its form for l1 in AutoAttack). One workgroup
// a row. A fresh row gets a tiling with patterns; in a running row the budget of one window moves into another, along a pattern.
// |.| is the norm, D = best - origin, per channel c with a drawn sign s:
//   mass_c = sqrt(max(epsilon^2 - |D|^2, 0) / C + |D in both windows|_c^2), under l1 C (max(epsilon - |D|, 0) / C + |D in both|_c)
//   D in the first window = mass_c n / |n|, n = s pattern + D / |D in the first window|_c; D in the second = 0
// Under l2 the result has length epsilon before it is clipped to [0, 1]; under l1 it is projected by another kernel.
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

var<workgroup> loop_bound: u32;

// The summand of the norm's power, and the root of the sum.
fn power(value: f32) -> f32 {
    return select(value * value, abs(value), parameters.schedule.manhattan == 1u);
}

fn root(sum: f32) -> f32 {
    return select(sqrt(sum), sum, parameters.schedule.manhattan == 1u);
}

// The pattern of norm 1: two halves of opposite signs, each falling from its middle in square rings.
fn pattern(stage: u32, line: u32, column: u32, transposed: bool) -> f32 {
    let side = parameters.schedule.sides[stage];
    let across = select(column, line, transposed);
    let along = select(line, column, transposed);
    let half = side / 2u;
    let first = along < half;
    let middle = select(half + (side - half) / 2u, half / 2u, first);
    let ring = max(max(along, middle) - min(along, middle), max(across, half) - min(across, half));
    var sum = 0.0;
    for (var k = ring + 1u; k <= half + 1u; k += 1u) {
        let square = f32(k * k);
        sum += 1.0 / select(square, square * square, parameters.schedule.manhattan == 1u);
    }
    return sum * select(-parameters.schedule.lower[stage], parameters.schedule.upper[stage], first);
}

// The start's tiling at a place of a channel, before it is scaled.
fn tiling(row: Row, channel: u32, line: u32, column: u32) -> f32 {
    let side = parameters.schedule.sides[TILES];
    let offset = (max(parameters.height, 5u * side) - 5u * side) / 2u;
    let tiles = vec2<u32>(parameters.height / side, parameters.width / side);
    let place = vec2<u32>(max(line, offset) - offset, max(column, offset) - offset);
    let tile = place / side;
    if line < offset || column < offset || tile.x >= tiles.x || tile.y >= tiles.y {
        return 0.0;
    }
    let count = tiles.x * tiles.y;
    let index = tile.x * tiles.y + tile.y;
    let transposed = random_bit(row, 0u, parameters.channels * count + index);
    let sign = select(-1.0, 1.0, random_bit(row, 0u, channel * count + index));
    return sign * pattern(TILES, place.x % side, place.y % side, transposed);
}

// A moved pixel. One that is not finite stays as it is, so that the row is seen to fail: a clamp may hide it.
fn moved(center: f32, change: f32) -> f32 {
    if magnitude_bits(center) >= NOT_FINITE {
        return center;
    }
    let point = center + change;
    return select(clamp(point, 0.0, 1.0), point, parameters.schedule.manhattan == 1u);
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
    let manhattan = parameters.schedule.manhattan == 1u;
    let width = parameters.width;
    let plane = parameters.height * width;
    let columns = parameters.channels * plane;
    let base = slot * columns;
    let row = rows[slot];
    let now = state[slot];
    let fresh = is_fresh(row, now);
    let proposes = is_running(row, now);

    // The norm of the tiling, or of the best point's perturbation.
    var sum = 0.0;
    for (var place = lane; place < columns; place += GROUP) {
        if fresh {
            sum += power(tiling(row, place / plane, place % plane / width, place % width));
        } else if proposes {
            sum += power(best[base + place] - origin[base + place]);
        }
    }
    let image = reduce_sum(lane, sum);
    let length = root(image);
    let shrinks = !manhattan && !fresh && length > row.epsilon;
    var scale = select(1.0, row.epsilon / max(length, 1e-30), shrinks || (fresh && !manhattan && length > 0.0));

    let stage = stage_of(max(now.step, 1u) - 1u);
    let side = parameters.schedule.sides[stage];
    let corner = corners(row, now.step, side);
    if live {
        for (var place = lane; place < columns; place += GROUP) {
            let element = base + place;
            let line = place % plane / width;
            let column = place % width;
            if fresh {
                out_x[element] = moved(origin[element], scale * tiling(row, place / plane, line, column));
            } else if !proposes {
                out_x[element] = x[element];
            } else if in_window(line, column, corner.x, corner.y, side) {
                // Written below.
            } else if in_window(line, column, corner.z, corner.w, side) {
                out_x[element] = origin[element];
            } else if shrinks {
                out_x[element] = moved(origin[element], scale * (best[element] - origin[element]));
            } else {
                out_x[element] = best[element];
            }
        }
    }

    // Loops around barriers must be seen to be the same for the whole workgroup.
    if lane == 0u {
        loop_bound = parameters.channels;
    }
    let channels = workgroupUniformLoad(&loop_bound);
    let area = side * side;
    let transposed = (extras(row, now.step).x >> 31u) == 1u;
    let budget = max(power(row.epsilon) - image, 0.0) / f32(channels);
    for (var channel = 0u; channel < channels; channel += 1u) {
        let start = base + channel * plane;
        let first_corner = start + corner.x * width + corner.y;
        var in_first = 0.0;
        var in_second = 0.0;
        if proposes {
            for (var pixel = lane; pixel < area; pixel += GROUP) {
                let element = first_corner + pixel / side * width + pixel % side;
                in_first += power(best[element] - origin[element]);
                let line = corner.z + pixel / side;
                let column = corner.w + pixel % side;
                if !in_window(line, column, corner.x, corner.y, side) {
                    let other = start + line * width + column;
                    in_second += power(best[other] - origin[other]);
                }
            }
        }
        let first = reduce_sum(lane, in_first);
        let both = first + reduce_sum(lane, in_second);
        let mass = select(sqrt(budget + both), (budget + both) * f32(channels), manhattan);
        let sign = select(-1.0, 1.0, random_bit(row, now.step, channel));
        let per_old = 1.0 / (1e-12 + root(first));

        sum = 0.0;
        if proposes {
            for (var pixel = lane; pixel < area; pixel += GROUP) {
                let element = first_corner + pixel / side * width + pixel % side;
                let old = (best[element] - origin[element]) * per_old;
                sum += power(sign * pattern(stage, pixel / side, pixel % side, transposed) + old);
            }
        }
        let total = root(reduce_sum(lane, sum));
        let cancels = total < 1e-3;
        let factor = scale * mass / select(total, 1.0, cancels);
        if live && proposes {
            for (var pixel = lane; pixel < area; pixel += GROUP) {
                let element = first_corner + pixel / side * width + pixel % side;
                let old = (best[element] - origin[element]) * per_old;
                let new_ = sign * pattern(stage, pixel / side, pixel % side, transposed) + select(old, 0.0, cancels);
                out_x[element] = moved(origin[element], factor * new_);
            }
        }
    }
}
