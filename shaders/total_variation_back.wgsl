// The way back through total variation minimisation: the iterations of Chambolle and Pock 2011 transposed, all of them linearised where
// the solver ended (the implicit function theorem's gradient where it has converged). One workgroup a row. With cotangents z, a, p of the
// solution, the point ahead and the dual variable, tau = 1 / sqrt 8, and c = 1 / (1 + tau) at kept values, 1 at dropped ones, a step is
// s = c (z + 2 a); x gets tau s at kept values; z' = s - a; p' = J^T (p - tau grad s); a' = -tau div p'; J is the projection's derivative
// at p + tau grad ahead.
//
// gradient: f32 [B, D], D = channels height width. draws: i32 [B, 5]: key, example, attempt, step. ahead, down, across: f32 [B, D], the
// solver's last state. out_parts: f32 [B, 5 D]: the gradient with respect to x, then z, a, and p's two parts.

//!include shared/grid.wgsl
//!include shared/random.wgsl
//!include shared/variation.wgsl

const GROUP: u32 = 64u;

@group(0) @binding(0) var<storage, read_write> gradient: array<f32>;
@group(0) @binding(1) var<storage, read_write> draws: array<i32>;
@group(0) @binding(2) var<storage, read_write> ahead: array<f32>;
@group(0) @binding(3) var<storage, read_write> down: array<f32>;
@group(0) @binding(4) var<storage, read_write> across: array<f32>;
@group(0) @binding(5) var<storage, read_write> out_parts: array<f32>;
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
    let features = parameters.channels * height * width;
    let columns = select(0u, features, live);
    let base = slot * features;
    let to_x = 5u * base;
    let to_z = to_x + features;
    let to_a = to_z + features;
    let to_p = to_a + features;
    let to_q = to_p + features;
    for (var element = lane; element < columns; element += GROUP) {
        out_parts[to_x + element] = 0.0;
        out_parts[to_z + element] = gradient[base + element];
        out_parts[to_a + element] = 0.0;
        out_parts[to_p + element] = 0.0;
        out_parts[to_q + element] = 0.0;
    }
    for (var iteration = 0u; iteration < parameters.iterations; iteration += 1u) {
        storageBarrier();
        for (var element = lane; element < columns; element += GROUP) {
            let kept = is_kept(slot, element);
            let point = out_parts[to_a + element];
            var through = out_parts[to_z + element] + 2.0 * point;
            if kept {
                through = through / (1.0 + STEP);
                out_parts[to_x + element] += STEP * through;
            }
            out_parts[to_z + element] = through - point;
            out_parts[to_a + element] = through;
        }
        storageBarrier();
        for (var element = lane; element < columns; element += GROUP) {
            let at = base + element;
            let from_a = to_a + element;
            var back = vec2<f32>(0.0, 0.0);
            var slope = vec2<f32>(0.0, 0.0);
            if element / width % height + 1u < height {
                back.x = out_parts[from_a + width] - out_parts[from_a];
                slope.x = ahead[at + width] - ahead[at];
            }
            if element % width + 1u < width {
                back.y = out_parts[from_a + 1u] - out_parts[from_a];
                slope.y = ahead[at + 1u] - ahead[at];
            }
            var pulled = vec2<f32>(out_parts[to_p + element], out_parts[to_q + element]) - STEP * back;
            let dual = vec2<f32>(down[at], across[at]) + STEP * slope;
            let size = sqrt(dual.x * dual.x + dual.y * dual.y);
            if size > parameters.weight {
                let way = dual / size;
                pulled = parameters.weight / size * (pulled - way * (way.x * pulled.x + way.y * pulled.y));
            }
            out_parts[to_p + element] = pulled.x;
            out_parts[to_q + element] = pulled.y;
        }
        storageBarrier();
        for (var element = lane; element < columns; element += GROUP) {
            var divergence = 0.0;
            if element / width % height + 1u < height {
                divergence += out_parts[to_p + element];
            }
            if element / width % height > 0u {
                divergence -= out_parts[to_p + element - width];
            }
            if element % width + 1u < width {
                divergence += out_parts[to_q + element];
            }
            if element % width > 0u {
                divergence -= out_parts[to_q + element - 1u];
            }
            out_parts[to_a + element] = -STEP * divergence;
        }
    }
    for (var element = lane; element < columns; element += GROUP) {
        if is_kept(slot, element) {
            out_parts[to_x + element] += out_parts[to_z + element] + out_parts[to_a + element];
        }
    }
}
