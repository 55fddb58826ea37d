// Adversarial weight perturbation: gamma |w| / |g| g for a weight w and the gradient g of its loss, lengths l2 (Wu, Xia and Wang 2020,
// equation 10). One workgroup a row, which is one weight; 0 where its gradient is zero (largest magnitude subnormal) or not finite.
// Only the gradient's squares may overflow or vanish; weights are of the order of 1.
//
// weight, gradient, out_change: f32 [B, D].

//!include shared/float.wgsl
//!include shared/grid.wgsl
//!include shared/reduce.wgsl

const GROUP: u32 = 256u;

struct Parameters {
    rows: u32,
    columns: u32,
    gamma: f32,
}

@group(0) @binding(0) var<storage, read_write> weight: array<f32>;
@group(0) @binding(1) var<storage, read_write> gradient: array<f32>;
@group(0) @binding(2) var<storage, read_write> out_change: array<f32>;
@group(0) @binding(3) var<storage, read_write> parameters: Parameters;

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

    var bits = 0u;
    for (var column = lane; column < columns; column += GROUP) {
        bits = max(bits, magnitude_bits(gradient[base + column]));
    }
    let largest = reduce_max_bits(lane, bits);
    let moves = largest >= NORMAL && largest < NOT_FINITE;
    let order = select(0.0, to_order_of_one(largest), moves);

    var weights = 0.0;
    var gradients = 0.0;
    if moves {
        for (var column = lane; column < columns; column += GROUP) {
            let value = gradient[base + column] * order;
            gradients += value * value;
            weights += weight[base + column] * weight[base + column];
        }
    }
    // Every invocation of a group takes the same way here: `largest` is the group's.
    let along = sqrt(reduce_sum(lane, gradients));
    let across = sqrt(reduce_sum(lane, weights));
    let factor = parameters.gamma * across / max(along, 1.0);
    if live {
        for (var column = lane; column < columns; column += GROUP) {
            var change = 0.0;
            if moves {
                change = gradient[base + column] * order * factor;
            }
            out_change[base + column] = change;
        }
    }
}
