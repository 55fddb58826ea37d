// A row's bookkeeping after a forward pass with logits z, label y and target t. One workgroup a row.
//   prediction: first of the largest logits
//   score:      max over j != y of z_j - z_y, targeted z_t - max over j != t of z_j
//   loss:       the score, or the cross-entropy of y, or minus that of t, or the difference of logits ratio (shared/loss.wgsl)
// Failed where a logit is not finite; else broken by a success from step counts_from on (with LAST only after the last step); else
// survived where no step is left; else one step more. With OWN_END always one step more.
//
// logits: f32 [B, C]. rows: Row [B]. state, out_state: State [B].

//!include shared/argmax.wgsl
//!include shared/float.wgsl
//!include shared/grid.wgsl
//!include shared/loss.wgsl
//!include shared/reduce.wgsl
//!include shared/row.wgsl

const GROUP: u32 = 64u;

struct Parameters {
    rows: u32,
    classes: u32,
    gradients: u32,
}

@group(0) @binding(0) var<storage, read_write> logits: array<f32>;
@group(0) @binding(1) var<storage, read_write> rows: array<Row>;
@group(0) @binding(2) var<storage, read_write> state: array<State>;
@group(0) @binding(3) var<storage, read_write> out_state: array<State>;
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

    var bits = 0u;
    for (var j = lane; j < classes; j += GROUP) {
        bits = max(bits, magnitude_bits(logits[base + j]));
    }
    let finite = reduce_max_bits(lane, bits) < NOT_FINITE;
    let ranking = rank_logits(lane, base, classes);
    let best = ranking.first;

    var exponentials = 0.0;
    for (var j = lane; j < classes; j += GROUP) {
        exponentials += exp(logits[base + j] - best.value);
    }
    let total = reduce_sum(lane, exponentials);

    if !live || lane != 0u {
        return;
    }
    if row.generation == 0u {
        out_state[slot] = now;
        return;
    }
    var next = now;
    if is_fresh(row, now) {
        next = fresh_state(row);
    }
    next.improved = 0u;
    if next.status == RUNNING {
        next.forwards += 1u;
        if !finite {
            next.status = FAILED;
        } else {
            let decides = score_pair(row, ranking, classes);
            let leads = loss_pair(row, ranking, classes);
            let kind = loss_kind(row, classes);
            next.prediction = best.index;
            next.score = logits[base + decides.up] - logits[base + decides.down];
            next.loss = logits[base + leads.up] - logits[base + leads.down];
            if kind == RATIO {
                next.loss = next.loss / ratio_range(row, ranking);
            } else if kind == CROSS_ENTROPY {
                let towards = (row.flags & (TARGETED | TOWARDS)) != 0u;
                let own = logits[base + min(select(row.label, row.target_, towards), classes - 1u)];
                let entropy = log(total) + (best.value - own);
                next.loss = select(entropy, -entropy, towards);
            }
            next.improved = select(0u, 1u, next.score > next.best);
            next.best = max(next.best, next.score);

            let chosen = select(decides.down, decides.up, targeted);
            let success = (best.index == chosen) == targeted && next.step >= row.counts_from;
            let last = next.step >= row.steps && (row.flags & OWN_END) == 0u;
            if success && (last || (row.flags & (LAST | OWN_END)) == 0u) {
                next.status = BROKEN;
            } else if last {
                next.status = SURVIVED;
            } else {
                next.step += 1u;
                next.backwards += parameters.gradients;
            }
        }
    }
    out_state[slot] = next;
}
