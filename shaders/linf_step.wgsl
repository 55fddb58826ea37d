// A step of the linf attacks: x + step_size sign(direction), back into the linf ball around the origin, then into [0, 1]
// (Goodfellow et al. 2015; Madry et al. 2018). One workgroup a row.
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

    if !live {
        return;
    }
    for (var column = lane; column < columns; column += GROUP) {
        let element = base + column;
        var point = x[element];
        if moves {
            let center = origin[element];
            let moved = select(point, center, kept) + row.step_size * sign_of(direction[element]);
            point = clamp(clamp(moved, center - row.epsilon, center + row.epsilon), 0.0, 1.0);
        }
        out_x[element] = point;
    }
    if lane == 0u {
        if failed {
            out_state[slot] = failed_state(row, now);
        } else {
            out_state[slot] = now;
        }
    }
}
