// The largest value of a workgroup of GROUP invocations, a power of two, with its index; the smallest index of several. Every
// invocation must call it, and all get the result.

// An index that stands for "no value".
const NOWHERE: u32 = 0xffffffffu;

struct Largest {
    value: f32,
    index: u32,
}

var<workgroup> partial_largest: array<Largest, GROUP>;

fn larger(a: Largest, b: Largest) -> Largest {
    let b_wins = b.index != NOWHERE && (a.index == NOWHERE || b.value > a.value || (b.value == a.value && b.index < a.index));
    if b_wins {
        return b;
    }
    return a;
}

fn reduce_largest(lane: u32, value: Largest) -> Largest {
    partial_largest[lane] = value;
    workgroupBarrier();
    for (var width = GROUP / 2u; width > 0u; width = width / 2u) {
        if lane < width {
            partial_largest[lane] = larger(partial_largest[lane], partial_largest[lane + width]);
        }
        workgroupBarrier();
    }
    let result = partial_largest[0];
    workgroupBarrier();
    return result;
}
