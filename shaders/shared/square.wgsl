// What the Square attack's kernels share: the parameters, and a row's draws. The fields' meaning stands in src/kernel/square.rs.

struct Schedule {
    manhattan: u32,
    after: array<u32, 9>,
    sides: array<u32, 11>,
    upper: array<f32, 11>,
    lower: array<f32, 11>,
}

struct Parameters {
    rows: u32,
    channels: u32,
    height: u32,
    width: u32,
    schedule: Schedule,
}

// The index of the start's tiles in `sides`.
const TILES: u32 = 10u;

// Stage of a proposal, counted from 0.
fn stage_of(proposal: u32) -> u32 {
    var stage = 0u;
    for (var next = 0u; next < 9u; next += 1u) {
        stage += select(0u, 1u, proposal > parameters.schedule.after[next]);
    }
    return stage;
}

// A word as a whole number below `bound`.
fn below(word: u32, bound: u32) -> u32 {
    return multiply_high(word, bound);
}

// Upper left corners of two windows: top, left, top, left.
fn corners(row: Row, step: u32, side: u32) -> vec4<u32> {
    let words = philox(vec4<u32>(ROW_BLOCK, step, row.restart, row.example), row.key);
    let tops = parameters.height - side + 1u;
    let lefts = parameters.width - side + 1u;
    return vec4<u32>(below(words.x, tops), below(words.y, lefts), below(words.z, tops), below(words.w, lefts));
}

// Words for what is drawn once a step and is no corner.
fn extras(row: Row, step: u32) -> vec4<u32> {
    return philox(vec4<u32>(ROW_BLOCK - 1u, step, row.restart, row.example), row.key);
}

// The random bit number `index`.
fn random_bit(row: Row, step: u32, index: u32) -> bool {
    let words = philox(vec4<u32>(index / 128u, step, row.restart, row.example), row.key);
    return ((words[index / 32u % 4u] >> (index % 32u)) & 1u) == 1u;
}

fn in_window(line: u32, column: u32, top: u32, left: u32, side: u32) -> bool {
    return line >= top && line < top + side && column >= left && column < left + side;
}
