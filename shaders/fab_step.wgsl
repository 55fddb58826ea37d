// A step of the FAB attack (Croce and Hein 2020, algorithm 1). One workgroup a row.
//   STEP: with the plane {z : <w, z - x> + difference = 0}, w the gradient at x, and d1, d2 the shortest ways within [0, 1] from x and
//         from the origin to it, y = (1 - alpha) (x + eta d1) + alpha (origin + eta d2), alpha = min(|d1| / (|d1| + |d2|), alpha_max),
//         clipped to [0, 1]; where the plane misses the box, the way leads to the corner that comes nearest to it
//   BACK: y = origin + beta (x - origin)
// The way is d_i = s sign(w_i) min(level a_i, room_i), s and room_i towards the plane, a_i = 1 under linf and |w_i| under l2: the level
// solves a concave equation by Newton's method from below, which ends on the exact piece. Under l1 the elements of the largest |w_i|
// go all their room: the level, the smallest |w_i| that moves, is found by halving over the bits, and elements equal to it go one share.
//
// x, origin, out_x: f32 [B, D], input units. gradient: f32 [B, D]. state, out_state: State [B]. notes: i32 [B, 16], Notes of
// src/kernel/fab_look.rs.

//!include shared/float.wgsl
//!include shared/grid.wgsl
//!include shared/reduce.wgsl
//!include shared/row.wgsl

const GROUP: u32 = 256u;

const LINF: u32 = 0u;
const L2: u32 = 1u;

const STAY: i32 = 0;
const BACK: i32 = 1;
const STEP: i32 = 2;

const NOTES_WORDS: u32 = 16u;

// Under l1 and l2 smaller elements of w, of which the largest is at least 1, count as 0.
const TINY: f32 = 1e-8;
// A level at which every element goes all its room.
const ALL: f32 = 1e9;
// Each pass at least quarters the product of what is missing and of the slope, so single precision is reached in fewer.
const PASSES: u32 = 64u;
// Halvings between the bits of TINY and those of 4.
const HALVINGS: u32 = 28u;

struct Parameters {
    rows: u32,
    columns: u32,
    norm: u32,
    alpha_max: f32,
    eta: f32,
    beta: f32,
}

@group(0) @binding(0) var<storage, read_write> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> origin: array<f32>;
@group(0) @binding(2) var<storage, read_write> gradient: array<f32>;
@group(0) @binding(3) var<storage, read_write> state: array<State>;
@group(0) @binding(4) var<storage, read_write> notes: array<i32>;
@group(0) @binding(5) var<storage, read_write> out_x: array<f32>;
@group(0) @binding(6) var<storage, read_write> out_state: array<State>;
@group(0) @binding(7) var<storage, read_write> parameters: Parameters;

// What decides whether the workgroup reaches a barrier is read uniformly.
var<workgroup> shared_action: i32;
var<workgroup> shared_norm: u32;
var<workgroup> partial_pair: array<vec2<f32>, GROUP>;

fn reduce_pair(lane: u32, value: vec2<f32>) -> vec2<f32> {
    partial_pair[lane] = value;
    workgroupBarrier();
    for (var width = GROUP / 2u; width > 0u; width = width / 2u) {
        if lane < width {
            partial_pair[lane] += partial_pair[lane + width];
        }
        workgroupBarrier();
    }
    return workgroupUniformLoad(&partial_pair[0]);
}

// An element of a row as its way to the plane sees it.
struct Element {
    // The direction of the way: 1, -1 or 0.
    sign: f32,
    // |w_i|.
    weight: f32,
    // How far it may go in that direction.
    room: f32,
}

// The element of w, scaled by `order`; `side` is 1 where <w, z> must grow, -1 where it must shrink.
fn element_of(w: f32, order: f32, point: f32, side: f32) -> Element {
    var weight = abs(w * order);
    var sign = side * sign_of(w);
    if parameters.norm != LINF && weight < TINY {
        weight = 0.0;
        sign = 0.0;
    }
    return Element(sign, weight, max(select(point, 1.0 - point, sign > 0.0), 0.0));
}

struct Way {
    side: f32,
    level: f32,
    // What elements at the level go of their room, under l1.
    share: f32,
}

fn change(way: Way, element: Element) -> f32 {
    var size = element.room;
    if parameters.norm == LINF {
        size = min(way.level, element.room);
    } else if parameters.norm == L2 {
        size = min(way.level * element.weight, element.room);
    } else if element.weight < way.level {
        size = 0.0;
    } else if element.weight == way.level {
        size = way.share * element.room;
    }
    return element.sign * size;
}

// A row and one of its two points, for `way_to`.
struct Start {
    base: u32,
    // 1: the origin; 0: x.
    from_origin: bool,
    order: f32,
}

fn point_at(start: Start, column: u32) -> f32 {
    if start.from_origin {
        return origin[start.base + column];
    }
    return x[start.base + column];
}

fn element_at(start: Start, column: u32, side: f32) -> Element {
    return element_of(gradient[start.base + column], start.order, point_at(start, column), side);
}

// The shortest way along which <w, z> changes by `wanted`, or, where the box has none, by as much as it can.
fn way_to(lane: u32, start: Start, wanted: f32) -> Way {
    let columns = parameters.columns;
    let norm = workgroupUniformLoad(&shared_norm);
    var way = Way(select(1.0, -1.0, wanted < 0.0), 0.0, 1.0);
    var whole = 0.0;
    for (var column = lane; column < columns; column += GROUP) {
        let element = element_at(start, column, way.side);
        whole += element.weight * element.room;
    }
    let reach = reduce_pair(lane, vec2<f32>(whole, select(0.0, abs(wanted), lane == 0u)));
    let most = reach.x;
    let missing = reach.y;
    if missing <= 0.0 || most <= missing {
        // Nothing to do, or too much.
        let all = missing > 0.0;
        if norm == LINF || norm == L2 {
            way.level = select(0.0, ALL, all);
        } else {
            way.level = select(ALL, 0.0, all);
        }
        return way;
    }
    if norm == LINF || norm == L2 {
        var level = 0.0;
        for (var turn = 0u; turn < PASSES; turn += 1u) {
            // What the elements that have gone all their room contribute, and the slope of the others.
            var sums = vec2<f32>(0.0, 0.0);
            for (var column = lane; column < columns; column += GROUP) {
                let element = element_at(start, column, way.side);
                let rate = select(1.0, element.weight, norm == L2);
                if level * rate >= element.room {
                    sums.x += element.weight * element.room;
                } else {
                    sums.y += element.weight * rate;
                }
            }
            let total = reduce_pair(lane, sums);
            let next = (missing - total.x) / max(total.y, 1e-30);
            if total.y <= 0.0 || next <= level {
                break;
            }
            level = next;
        }
        way.level = level;
        return way;
    }
    // The elements of weight `low` or more go far enough, those of `high` or more do not.
    var low = magnitude_bits(TINY);
    var high = magnitude_bits(4.0);
    for (var halving = 0u; halving < HALVINGS; halving += 1u) {
        let middle = low + (high - low) / 2u;
        var sum = 0.0;
        for (var column = lane; column < columns; column += GROUP) {
            let element = element_at(start, column, way.side);
            if magnitude_bits(element.weight) >= middle {
                sum += element.weight * element.room;
            }
        }
        if reduce_pair(lane, vec2<f32>(sum, 0.0)).x >= missing {
            low = middle;
        } else {
            high = middle;
        }
    }
    var sums = vec2<f32>(0.0, 0.0);
    for (var column = lane; column < columns; column += GROUP) {
        let element = element_at(start, column, way.side);
        let bits = magnitude_bits(element.weight);
        if bits > low {
            sums.x += element.weight * element.room;
        } else if bits == low {
            sums.y += element.weight * element.room;
        }
    }
    let total = reduce_pair(lane, sums);
    way.level = bitcast<f32>(low);
    way.share = clamp((missing - total.x) / max(total.y, 1e-30), 0.0, 1.0);
    return way;
}

fn length_of(lane: u32, start: Start, way: Way) -> f32 {
    var sum = 0.0;
    var bits = 0u;
    for (var column = lane; column < parameters.columns; column += GROUP) {
        let moved = change(way, element_at(start, column, way.side));
        sum += select(abs(moved), moved * moved, parameters.norm == L2);
        bits = max(bits, magnitude_bits(moved));
    }
    let total = reduce_sum(lane, sum);
    let largest = bitcast<f32>(reduce_max_bits(lane, bits));
    if parameters.norm == LINF {
        return max(largest, 1e-8);
    }
    return max(select(total, sqrt(total), parameters.norm == L2), 1e-8);
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
    let columns = parameters.columns;
    let base = slot * columns;
    if lane == 0u {
        shared_action = select(STAY, notes[slot * NOTES_WORDS + 2u], live);
        shared_norm = parameters.norm;
    }
    let action = workgroupUniformLoad(&shared_action);
    if action != STEP {
        if live {
            for (var column = lane; column < columns; column += GROUP) {
                let point = x[base + column];
                let center = origin[base + column];
                out_x[base + column] = select(point, center + parameters.beta * (point - center), action == BACK);
            }
            if lane == 0u {
                out_state[slot] = state[slot];
            }
        }
        return;
    }

    var bits = 0u;
    for (var column = lane; column < columns; column += GROUP) {
        bits = max(bits, magnitude_bits(gradient[base + column]));
    }
    let largest = reduce_max_bits(lane, bits);
    let failed = largest >= NOT_FINITE;
    let order = select(0.0, to_order_of_one(largest), largest >= NORMAL && !failed);
    let noted = bitcast<f32>(notes[slot * NOTES_WORDS + 5u]);
    // A difference that is far out of reach stays so without overflowing.
    let bound = select(-LOWEST, 1e30 / max(order, 1.0), order > 1.0);
    let difference = clamp(noted, -bound, bound) * order;

    var product = 0.0;
    for (var column = lane; column < columns; column += GROUP) {
        product += gradient[base + column] * order * (origin[base + column] - x[base + column]);
    }
    let to_origin = reduce_sum(lane, product);
    let here = Start(base, false, order);
    let there = Start(base, true, order);
    let way1 = way_to(lane, here, -difference);
    let way2 = way_to(lane, there, -(difference + to_origin));
    let length1 = length_of(lane, here, way1);
    let length2 = length_of(lane, there, way2);
    let alpha = min(length1 / (length1 + length2), parameters.alpha_max);

    for (var column = lane; column < columns; column += GROUP) {
        let point = x[base + column];
        let center = origin[base + column];
        let near = point + parameters.eta * change(way1, element_at(here, column, way1.side));
        let far = center + parameters.eta * change(way2, element_at(there, column, way2.side));
        out_x[base + column] = select(clamp((1.0 - alpha) * near + alpha * far, 0.0, 1.0), point, failed);
    }
    if lane == 0u {
        out_state[slot] = state[slot];
        if failed {
            out_state[slot].status = FAILED;
        }
    }
}
