// What a row of the FAB attack does after a forward pass at x (Croce and Hein 2020, algorithm 1). One workgroup a row.
// A point that is decided wrongly is a success; the closest one counts. Then the row
//   ends:  broken by a success within epsilon, at once or, with LAST, after the last step; survived after the last step otherwise
//   goes BACK towards its origin: x is a success that a step has just found
//   takes a STEP along the gradient at x: else; the steps alone are counted against row.steps
//   stays: it is not running, or has just ended
// A gradient that is not used is not counted.
//
// x, origin: f32 [B, D], input units. rows: Row [B]. state, out_state: State [B]. notes, out_notes: i32 [B, 16], Notes of
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

struct Parameters {
    rows: u32,
    columns: u32,
    norm: u32,
}

@group(0) @binding(0) var<storage, read_write> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> origin: array<f32>;
@group(0) @binding(2) var<storage, read_write> rows: array<Row>;
@group(0) @binding(3) var<storage, read_write> state: array<State>;
@group(0) @binding(4) var<storage, read_write> notes: array<i32>;
@group(0) @binding(5) var<storage, read_write> out_state: array<State>;
@group(0) @binding(6) var<storage, read_write> out_notes: array<i32>;
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

    var sum = 0.0;
    var bits = 0u;
    for (var column = lane; column < columns; column += GROUP) {
        let difference = x[base + column] - origin[base + column];
        sum += select(abs(difference), difference * difference, parameters.norm == L2);
        bits = max(bits, magnitude_bits(difference));
    }
    let total = reduce_sum(lane, sum);
    let largest = bitcast<f32>(reduce_max_bits(lane, bits));
    if !live || lane != 0u {
        return;
    }
    var distance = total;
    if parameters.norm == LINF {
        distance = largest;
    } else if parameters.norm == L2 {
        distance = sqrt(total);
    }

    let row = rows[slot];
    var next = state[slot];
    let first = slot * NOTES_WORDS;
    var steps = u32(notes[first + 1u]);
    var found = notes[first + 2u] == STEP;
    var best = bitcast<f32>(notes[first + 3u]);
    var reached = bitcast<f32>(notes[first + 4u]);
    var difference = bitcast<f32>(notes[first + 5u]);
    var generation = bitcast<u32>(notes[first]);
    var action = STAY;
    if is_running(row, next) {
        if generation != row.generation {
            generation = row.generation;
            steps = 0u;
            found = false;
            best = -LOWEST;
            difference = 0.0;
        }
        reached = distance;
        let wrong = next.prediction != row.label;
        next.improved = select(0u, 1u, wrong && distance < best);
        best = select(best, distance, next.improved == 1u);
        let last = steps >= row.steps;
        if best <= row.epsilon && (last || (row.flags & LAST) == 0u) {
            next.status = BROKEN;
        } else if last {
            next.status = SURVIVED;
        } else if wrong && found {
            action = BACK;
        } else {
            action = STEP;
            steps += 1u;
            difference = next.loss;
        }
        if action != STEP {
            next.backwards -= min(next.backwards, 1u);
        }
    }
    out_state[slot] = next;
    out_notes[first] = bitcast<i32>(generation);
    out_notes[first + 1u] = i32(steps);
    out_notes[first + 2u] = action;
    out_notes[first + 3u] = bitcast<i32>(best);
    out_notes[first + 4u] = bitcast<i32>(reached);
    out_notes[first + 5u] = bitcast<i32>(difference);
    for (var word = 6u; word < NOTES_WORDS; word += 1u) {
        out_notes[first + word] = notes[first + word];
    }
}
