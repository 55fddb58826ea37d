// Accumulated gradients: m' = decay m + g / |g|_1, with m = 0 at a row's first gradient (Dong et al. 2018, equation 6).
// One workgroup a row.
//
// m, out_m: f32 [B, D], without unit. gradient: f32 [B, D]. rows: Row [B]. state, out_state: State [B].

//!include shared/float.wgsl
//!include shared/grid.wgsl
//!include shared/reduce.wgsl
//!include shared/row.wgsl

const GROUP: u32 = 256u;

struct Parameters {
    rows: u32,
    columns: u32,
}

@group(0) @binding(0) var<storage, read_write> m: array<f32>;
@group(0) @binding(1) var<storage, read_write> gradient: array<f32>;
@group(0) @binding(2) var<storage, read_write> rows: array<Row>;
@group(0) @binding(3) var<storage, read_write> state: array<State>;
@group(0) @binding(4) var<storage, read_write> out_m: array<f32>;
@group(0) @binding(5) var<storage, read_write> out_state: array<State>;
@group(0) @binding(6) var<storage, read_write> parameters: Parameters;

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
    let running = is_running(row, now);

    var bits = 0u;
    for (var column = lane; column < columns; column += GROUP) {
        bits = max(bits, magnitude_bits(gradient[base + column]));
    }
    let largest = reduce_max_bits(lane, bits);
    let failed = running && largest >= NOT_FINITE;
    let order = select(0.0, to_order_of_one(largest), largest >= NORMAL);

    var magnitudes = 0.0;
    for (var column = lane; column < columns; column += GROUP) {
        magnitudes += abs(gradient[base + column] * order);
    }
    // At least 1 where the gradient is not zero, since its largest magnitude is.
    let norm = max(reduce_sum(lane, magnitudes), 1.0);

    if !live {
        return;
    }
    let decay = select(row.decay, 0.0, now.step == 1u);
    for (var column = lane; column < columns; column += GROUP) {
        let element = base + column;
        var value = m[element];
        if running && !failed {
            value = decay * value + gradient[element] * order / norm;
        }
        out_m[element] = value;
    }
    if lane == 0u {
        if failed {
            out_state[slot] = failed_state(row, now);
        } else {
            out_state[slot] = now;
        }
    }
}
