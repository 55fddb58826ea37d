// Counting votes: counts' = counts, and one more at the first of the row's largest logits; none from a row that is not finite (Cohen et
// al. 2019, algorithm 1). One workgroup a row.
//
// logits, counts, out_counts: f32 [B, C].

//!include shared/argmax.wgsl
//!include shared/float.wgsl
//!include shared/grid.wgsl
//!include shared/reduce.wgsl

const GROUP: u32 = 64u;

struct Parameters {
    rows: u32,
    classes: u32,
}

@group(0) @binding(0) var<storage, read_write> logits: array<f32>;
@group(0) @binding(1) var<storage, read_write> counts: array<f32>;
@group(0) @binding(2) var<storage, read_write> out_counts: array<f32>;
@group(0) @binding(3) var<storage, read_write> parameters: Parameters;

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
    var bits = 0u;
    var best = Largest(0.0, NOWHERE);
    for (var at = lane; at < classes; at += GROUP) {
        bits = max(bits, magnitude_bits(logits[base + at]));
        best = larger(best, Largest(logits[base + at], at));
    }
    let finite = reduce_max_bits(lane, bits) < NOT_FINITE;
    let winner = reduce_largest(lane, best).index;
    if !live {
        return;
    }
    for (var at = lane; at < classes; at += GROUP) {
        out_counts[base + at] = counts[base + at] + select(0.0, 1.0, finite && at == winner);
    }
}
