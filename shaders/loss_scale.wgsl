// Multiplies each row by a power of two that brings its largest magnitude into [64, 128), and says what undoes it, so that half precision
// can carry the row (Micikevicius et al. 2018). A row of zeros or subnormal numbers, and one that is not finite, stay as they are. One
// workgroup a row.
//
// gradient, out_gradient: f32 [B, C]. out_undo: f32 [B, 1].

//!include shared/float.wgsl
//!include shared/grid.wgsl
//!include shared/reduce.wgsl

const GROUP: u32 = 64u;

// Biased exponents of 1 and of 64.
const BIAS: u32 = 127u;
const AIM: u32 = 133u;

struct Parameters {
    rows: u32,
    columns: u32,
}

@group(0) @binding(0) var<storage, read_write> gradient: array<f32>;
@group(0) @binding(1) var<storage, read_write> out_gradient: array<f32>;
@group(0) @binding(2) var<storage, read_write> out_undo: array<f32>;
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
    let columns = parameters.columns;
    let base = slot * columns;

    var mine = 0u;
    for (var column = lane; column < columns; column += GROUP) {
        mine = max(mine, magnitude_bits(gradient[base + column]));
    }
    let largest = reduce_max_bits(lane, mine);
    if !live {
        return;
    }
    let wanted = clamp(BIAS + AIM - (largest >> 23u), 1u, 2u * BIAS - 1u);
    let exponent = select(BIAS, wanted, largest >= NORMAL && largest < NOT_FINITE);
    let scale = bitcast<f32>(exponent << 23u);
    for (var column = lane; column < columns; column += GROUP) {
        out_gradient[base + column] = gradient[base + column] * scale;
    }
    if lane == 0u {
        out_undo[slot] = bitcast<f32>((2u * BIAS - exponent) << 23u);
    }
}
