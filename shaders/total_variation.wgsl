// Total variation minimisation with dropped values: min over z of 1/2 |M (z - x)|^2 + weight sum |grad z|, channel by channel, by the
// primal-dual method of Chambolle and Pock 2011 with both steps 1 / sqrt 8 (Guo et al. 2018; Rudin, Osher and Fatemi 1992). One workgroup
// a row.
//
// x, out_x: f32 [B, D], input units, D = channels height width. draws: i32 [B, 5]: key, example, attempt, step.
// ahead: f32 [B, D], 2 z' - z. down, across: f32 [B, D], the dual variable.

//!include shared/grid.wgsl
//!include shared/random.wgsl
//!include shared/variation.wgsl

const GROUP: u32 = 64u;

@group(0) @binding(0) var<storage, read_write> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> draws: array<i32>;
@group(0) @binding(2) var<storage, read_write> out_x: array<f32>;
@group(0) @binding(3) var<storage, read_write> ahead: array<f32>;
@group(0) @binding(4) var<storage, read_write> down: array<f32>;
@group(0) @binding(5) var<storage, read_write> across: array<f32>;
@group(0) @binding(6) var<storage, read_write> parameters: Parameters;

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let number = group_index(group, groups);
    let live = number < parameters.rows;
    let slot = min(number, parameters.rows - 1u);
    let width = parameters.width;
    let height = parameters.height;
    let columns = select(0u, parameters.channels * height * width, live);
    let base = slot * parameters.channels * height * width;
    for (var element = lane; element < columns; element += GROUP) {
        let at = base + element;
        out_x[at] = select(0.5, x[at], is_kept(slot, element));
        ahead[at] = out_x[at];
        down[at] = 0.0;
        across[at] = 0.0;
    }
    for (var iteration = 0u; iteration < parameters.iterations; iteration += 1u) {
        storageBarrier();
        for (var element = lane; element < columns; element += GROUP) {
            let at = base + element;
            var below = 0.0;
            var beside = 0.0;
            if element / width % height + 1u < height {
                below = ahead[at + width] - ahead[at];
            }
            if element % width + 1u < width {
                beside = ahead[at + 1u] - ahead[at];
            }
            let moved = vec2<f32>(down[at] + STEP * below, across[at] + STEP * beside);
            let size = sqrt(moved.x * moved.x + moved.y * moved.y);
            let scale = select(1.0, parameters.weight / max(size, 1e-30), size > parameters.weight);
            down[at] = moved.x * scale;
            across[at] = moved.y * scale;
        }
        storageBarrier();
        for (var element = lane; element < columns; element += GROUP) {
            let at = base + element;
            var divergence = 0.0;
            if element / width % height + 1u < height {
                divergence += down[at];
            }
            if element / width % height > 0u {
                divergence -= down[at - width];
            }
            if element % width + 1u < width {
                divergence += across[at];
            }
            if element % width > 0u {
                divergence -= across[at - 1u];
            }
            var point = out_x[at] + STEP * divergence;
            if is_kept(slot, element) {
                point = (point + STEP * x[at]) / (1.0 + STEP);
            }
            ahead[at] = 2.0 * point - out_x[at];
            out_x[at] = point;
        }
    }
}
