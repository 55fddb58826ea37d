// Gradient of the loss that an attack ascends, with respect to the logits z; y is the label, t the target. One workgroup a row.
//   cross-entropy: softmax(z) - onehot(y), targeted onehot(t) - softmax(z)
//   margin (Carlini and Wagner 2017): onehot(best but y) - onehot(y), targeted onehot(t) - onehot(best but t)
// It is 0 for rows that are not running. The first of several largest logits is the best.
//
// logits, out_gradient: f32 [B, C]. rows: Row [B]. state: State [B].

//!include shared/argmax.wgsl
//!include shared/grid.wgsl
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
    let targeted = (row.flags & TARGETED) != 0u;
    let chosen = min(select(row.label, row.target_, targeted), classes - 1u);
    let running = is_running(row, now);
    let margin = (row.flags & MARGIN) != 0u;

    // The margin wants the best of the others, the softmax the best of all.
    var mine = Largest(LOWEST, NOWHERE);
    for (var j = lane; j < classes; j += GROUP) {
        if !(margin && j == chosen) {
            mine = larger(mine, Largest(logits[base + j], j));
        }
    }
    let largest = reduce_largest(lane, mine);

    var exponentials = 0.0;
    for (var j = lane; j < classes; j += GROUP) {
        exponentials += exp(logits[base + j] - largest.value);
    }
    let total = reduce_sum(lane, exponentials);

    if !live {
        return;
    }
    for (var j = lane; j < classes; j += GROUP) {
        var value = 0.0;
        if running && margin {
            value = select(0.0, 1.0, j == largest.index) - select(0.0, 1.0, j == chosen);
        } else if running {
            value = exp(logits[base + j] - largest.value) / total - select(0.0, 1.0, j == chosen);
        }
        out_gradient[base + j] = select(value, -value, targeted);
    }
}
