// What APGD does with a row after a forward pass (Croce and Hein 2020, algorithm 1 and section 3.2; under l1 Croce and Hein 2021, section
// 3.2): is the point the best so far, has the step size to shrink, does the row go back to its best point, does its stage end? One
// workgroup a row, whose gradient is checked for numbers that are not finite; then the row has failed.
//
// With n steps in the stage, checkpoints come after max(22 n / 100, 1) steps, then at distances that shrink by max(3 n / 100, 1) down to
// max(6 n / 100, 1). The step size is halved, and the row goes back, where the loss rose in at most rho of the steps since the last
// checkpoint, or where the size was not halved there and the best loss is the same. Under l1 (sparse) checkpoints come every
// max(4 n / 100, 1) steps: the next steps move 2/3 as many elements as the best point has changed; where these are below 0.95 of those
// at the last checkpoint, the row goes back with the first step size, else the size is divided by 1.5.
//
// gradient: f32 [B, D]. notes, out_notes: i32 [B * NOTES], shared/apgd.wgsl. rows: Row [B]. state, out_state: State [B].

//!include shared/apgd.wgsl
//!include shared/float.wgsl
//!include shared/grid.wgsl
//!include shared/reduce.wgsl
//!include shared/row.wgsl

const GROUP: u32 = 256u;

struct Parameters {
    rows: u32,
    columns: u32,
    sparse: u32,
    stages: u32,
    rho: f32,
}

struct Notes {
    actions: u32,
    stage: u32,
    taken: u32,
    interval: u32,
    since: u32,
    increases: u32,
    reductions: u32,
    reduced: u32,
    active_: u32,
    nonzeros: u32,
    best_nonzeros: u32,
    checked_nonzeros: u32,
    last_loss: f32,
    best_loss: f32,
    checked_loss: f32,
    unused: u32,
}

@group(0) @binding(0) var<storage, read_write> gradient: array<f32>;
@group(0) @binding(1) var<storage, read_write> notes: array<i32>;
@group(0) @binding(2) var<storage, read_write> rows: array<Row>;
@group(0) @binding(3) var<storage, read_write> state: array<State>;
@group(0) @binding(4) var<storage, read_write> out_notes: array<i32>;
@group(0) @binding(5) var<storage, read_write> out_state: array<State>;
@group(0) @binding(6) var<storage, read_write> parameters: Parameters;

fn word(at: u32) -> u32 {
    return bitcast<u32>(notes[at]);
}

fn number(at: u32) -> f32 {
    return bitcast<f32>(notes[at]);
}

fn load_notes(at: u32) -> Notes {
    return Notes(
        word(at), word(at + 1u), word(at + 2u), word(at + 3u), word(at + 4u), word(at + 5u), word(at + 6u), word(at + 7u),
        word(at + 8u), word(at + 9u), word(at + 10u), word(at + 11u), number(at + 12u), number(at + 13u), number(at + 14u), word(at + 15u),
    );
}

fn store_notes(at: u32, note: Notes) {
    let words = array<u32, 16>(
        note.actions, note.stage, note.taken, note.interval, note.since, note.increases, note.reductions, note.reduced,
        note.active_, note.nonzeros, note.best_nonzeros, note.checked_nonzeros,
        bitcast<u32>(note.last_loss), bitcast<u32>(note.best_loss), bitcast<u32>(note.checked_loss), note.unused,
    );
    for (var index = 0u; index < NOTES; index += 1u) {
        out_notes[at + index] = bitcast<i32>(words[index]);
    }
}

fn stage_steps(steps: u32, stages: u32, stage: u32) -> u32 {
    if stages == 1u {
        return steps;
    }
    let first = (3u * steps + 9u) / 10u;
    let second = min(first, steps - first);
    return select(select(steps - first - second, second, stage == 1u), first, stage == 0u);
}

fn elements_to_move(nonzeros: u32) -> u32 {
    return max((2u * nonzeros + 2u) / 3u, 1u);
}

fn begin(now: Notes, loss: f32, steps: u32) -> Notes {
    var next = now;
    let sparse = parameters.sparse == 1u;
    next.actions = KEEP;
    next.interval = max(select(22u, 4u, sparse) * steps / 100u, 1u);
    next.since = 0u;
    next.increases = 0u;
    next.reductions = 0u;
    next.reduced = 1u;
    next.last_loss = loss;
    next.best_loss = loss;
    next.checked_loss = loss;
    next.best_nonzeros = now.nonzeros;
    if parameters.stages == 1u {
        next.active_ = (parameters.columns + 4u) / 5u;
        next.checked_nonzeros = parameters.columns;
    } else {
        next.active_ = elements_to_move(now.nonzeros);
        next.checked_nonzeros = now.nonzeros;
    }
    return next;
}

fn check(now: Notes, steps: u32) -> Notes {
    var next = now;
    next.since = 0u;
    next.increases = 0u;
    var goes_back = false;
    if parameters.sparse == 1u {
        goes_back = 20u * now.best_nonzeros < 19u * now.checked_nonzeros;
        next.active_ = elements_to_move(now.best_nonzeros);
        next.checked_nonzeros = now.best_nonzeros;
        next.reductions = select(now.reductions + 1u, 0u, goes_back);
    } else {
        let few = f32(now.increases) <= f32(now.interval) * parameters.rho;
        goes_back = few || (now.reduced == 0u && now.checked_loss >= now.best_loss);
        next.reduced = select(0u, 1u, goes_back);
        next.reductions = now.reductions + next.reduced;
        next.checked_loss = now.best_loss;
        let less = max(3u * steps / 100u, 1u);
        next.interval = max(now.interval - min(less, now.interval), max(6u * steps / 100u, 1u));
    }
    next.actions |= select(0u, JUMP, goes_back);
    return next;
}

fn after_forward(now: Notes, loss: f32, all_steps: u32) -> Notes {
    let steps = stage_steps(all_steps, parameters.stages, now.stage);
    var next = now;
    if now.taken == 0u {
        next = begin(now, loss, steps);
    } else {
        next.actions = 0u;
        next.increases += select(0u, 1u, loss > now.last_loss);
        if loss > now.best_loss {
            next.actions = KEEP;
            next.best_loss = loss;
            next.best_nonzeros = now.nonzeros;
        }
        next.last_loss = loss;
        next.since += 1u;
        if next.since == next.interval {
            next = check(next, steps);
        }
    }
    if next.stage + 1u < parameters.stages && next.taken >= steps {
        next.stage += 1u;
        next.taken = 0u;
        next.actions |= JUMP | SHRINK;
    } else {
        next.actions |= select(MOVE, MOVE | FIRST, next.taken == 0u);
        next.taken += 1u;
    }
    return next;
}

// The last point of a row that ran out of steps may be its best.
fn last(now: Notes, state: State, row: Row) -> Notes {
    var next = now;
    next.actions = 0u;
    let survived = row.generation != 0u && state.generation == row.generation && state.status == SURVIVED;
    // A stage without steps has but one.
    if survived && (now.taken == 0u || state.loss > now.best_loss) {
        next.actions = KEEP;
        next.best_loss = state.loss;
        next.best_nonzeros = now.nonzeros;
    }
    return next;
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
    let base = slot * parameters.columns;
    let row = rows[slot];
    let now = state[slot];

    var bits = 0u;
    for (var column = lane; column < parameters.columns; column += GROUP) {
        bits = max(bits, magnitude_bits(gradient[base + column]));
    }
    let finite = reduce_max_bits(lane, bits) < NOT_FINITE;
    if !live || lane != 0u {
        return;
    }
    let running = is_running(row, now);
    var note = load_notes(slot * NOTES);
    if running && finite {
        note = after_forward(note, now.loss, row.steps + 1u - min(parameters.stages, row.steps + 1u));
    } else if running {
        note.actions = 0u;
    } else {
        note = last(note, now, row);
    }
    store_notes(slot * NOTES, note);
    if running && !finite {
        out_state[slot] = failed_state(row, now);
    } else {
        out_state[slot] = now;
    }
}
