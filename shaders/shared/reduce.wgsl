// Reductions over a workgroup of GROUP invocations, a power of two. Every invocation must call them, and all get the result.

var<workgroup> partial_sum: array<f32, GROUP>;
var<workgroup> partial_bits: array<u32, GROUP>;

fn reduce_sum(lane: u32, value: f32) -> f32 {
    partial_sum[lane] = value;
    workgroupBarrier();
    for (var width = GROUP / 2u; width > 0u; width = width / 2u) {
        if lane < width {
            partial_sum[lane] += partial_sum[lane + width];
        }
        workgroupBarrier();
    }
    let total = partial_sum[0];
    workgroupBarrier();
    return total;
}

fn reduce_max_bits(lane: u32, value: u32) -> u32 {
    partial_bits[lane] = value;
    workgroupBarrier();
    for (var width = GROUP / 2u; width > 0u; width = width / 2u) {
        if lane < width {
            partial_bits[lane] = max(partial_bits[lane], partial_bits[lane + width]);
        }
        workgroupBarrier();
    }
    let largest = partial_bits[0];
    workgroupBarrier();
    return largest;
}
