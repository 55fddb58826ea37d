// Gradient of the loss that an attack ascends, with respect to the logits z; y is the label, t the target. One workgroup a row.
//   cross-entropy: softmax(z) - onehot(y); for a target onehot(t) - softmax(z)
//   margin: onehot(up) - onehot(down)
//   difference of logits ratio n / d: (gradient of n - n / d gradient of d) / d, with n the margin and
//     d = z_pi1 - z_pi3, or towards a target z_pi1 - (z_pi3 + z_pi4) / 2 (shared/loss.wgsl has the formulas and their sources)
// It is 0 for rows that are not running. The first of several largest logits is the best.
//
// logits, out_gradient: f32 [B, C]. rows: Row [B]. state: State [B].

//!include shared/argmax.wgsl
//!include shared/grid.wgsl
//!include shared/loss.wgsl
//!include shared/reduce.wgsl
//!include shared/row.wgsl

const GROUP: u32 = 64u;

struct Parameters {
    rows: u32,
    classes: u32,
}

@group(0) @binding(0) var<storage, read_write> logits: array<f32>;
@group(0) @binding(1) var<storage, read_write> rows: array<Row>;
@group(0) @binding(2) var<storage, read_write> state: array<State>;
@group(0) @binding(3) var<storage, read_write> out_gradient: array<f32>;
@group(0) @binding(4) var<storage, read_write> parameters: Parameters;

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let number = group_index(group, groups);
    let live = number < parameters.rows;
    let slot = min(number, parameters.rows - 1u);
    let classes = parameters.classes;
    let base = slot * classes;
    let row = rows[slot];
    let now = state[slot];
    let running = is_running(row, now);
    let ranking = rank_logits(lane, base, classes);
    let largest = ranking.first;

    var exponentials = 0.0;
    for (var j = lane; j < classes; j += GROUP) {
        exponentials += exp(logits[base + j] - largest.value);
    }
    let total = reduce_sum(lane, exponentials);

    if !live {
        return;
    }
    let kind = loss_kind(row, classes);
    let pair = loss_pair(row, ranking, classes);
    let range = ratio_range(row, ranking);
    let ratio = (logits[base + pair.up] - logits[base + pair.down]) / range;
    let third = share_of_third(row);
    let towards = (row.flags & (TARGETED | TOWARDS)) != 0u;
    let own = min(select(row.label, row.target_, towards), classes - 1u);
    for (var j = lane; j < classes; j += GROUP) {
        var value = 0.0;
        if running && kind == CROSS_ENTROPY {
            value = exp(logits[base + j] - largest.value) / total - select(0.0, 1.0, j == own);
            value = select(value, -value, towards);
        } else if running {
            value = select(0.0, 1.0, j == pair.up) - select(0.0, 1.0, j == pair.down);
            if kind == RATIO {
                let of_range = select(0.0, 1.0, j == ranking.first.index)
                    - select(0.0, third, j == ranking.third.index)
                    - select(0.0, 1.0 - third, j == ranking.fourth.index);
                value = (value - ratio * of_range) / range;
            }
        }
        out_gradient[base + j] = value;
    }
}
