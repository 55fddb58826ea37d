// A row's parameters and its state; the fields' meaning and units stand in src/kernel/row.rs. `target` is a reserved word here.

struct Row {
    epsilon: f32,
    step_size: f32,
    steps: u32,
    label: u32,
    target_: u32,
    flags: u32,
    start: u32,
    generation: u32,
    key: vec2<u32>,
    example: u32,
    restart: u32,
    decay: f32,
    counts_from: u32,
    unused: array<u32, 2>,
}

const TARGETED: u32 = 1u;
const MARGIN: u32 = 2u;
const LAST: u32 = 4u;
const DLR: u32 = 8u;
const TOWARDS: u32 = 16u;
const OWN_END: u32 = 32u;

const START_ORIGIN: u32 = 0u;
const START_RANDOM: u32 = 1u;
const START_KEPT: u32 = 2u;

struct State {
    generation: u32,
    status: u32,
    step: u32,
    forwards: u32,
    backwards: u32,
    prediction: u32,
    improved: u32,
    unused: u32,
    score: f32,
    best: f32,
    loss: f32,
    unused2: u32,
}

const RUNNING: u32 = 0u;
const BROKEN: u32 = 1u;
const SURVIVED: u32 = 2u;
const FAILED: u32 = 3u;

// The smallest finite number: below every score.
const LOWEST: f32 = -3.4028234663852886e38;

fn is_running(row: Row, state: State) -> bool {
    return row.generation != 0u && state.generation == row.generation && state.status == RUNNING;
}

fn is_fresh(row: Row, state: State) -> bool {
    return row.generation != 0u && state.generation != row.generation;
}

// The state of a row that has just entered its slot.
fn fresh_state(row: Row) -> State {
    return State(row.generation, RUNNING, 0u, 0u, 0u, 0u, 0u, 0u, 0.0, LOWEST, 0.0, 0u);
}

// This row's state after a number that is not finite; another row's state is not carried over.
fn failed_state(row: Row, state: State) -> State {
    var failed = state;
    if state.generation != row.generation {
        failed = fresh_state(row);
    }
    failed.status = FAILED;
    return failed;
}
