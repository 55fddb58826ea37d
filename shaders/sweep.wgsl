// A pass over a value, element by element, of images that lie side by side:
//   out_value[e] = finish(value[e] scale[e / each % scales] + shift[e / each % shifts])
// Finishing adds what is there (ADD), rectifies, or keeps what `gates` say; `out_bits` tells where the result was above 0. ZERO writes
// zeros instead, RING zeros around the value alone. A workgroup makes 256 images of an element: it is bound by memory.
//
// value, out_value: f32 [vectors, images]. affine: f32, the scales and then the shifts. gates, out_bits: a bit a number, 32 images a word,
// by element.

//!include shared/grid.wgsl
//!include shared/lanes.wgsl

const GROUP: u32 = 64u;

struct Parameters {
    quads: u32,
    vectors: u32,
    rows: u32,
    columns: u32,
    each: u32,
    scales: u32,
    shifts: u32,
    mode: u32,
    // Vectors of a channel's border before its first element, beside each row, and behind the last row.
    before: u32,
    beside: u32,
    behind: u32,
    value: Grid,
    result: Grid,
}

@group(0) @binding(0) var<storage, read_write> value: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read_write> affine: array<f32>;
@group(0) @binding(2) var<storage, read_write> gates: array<i32>;
@group(0) @binding(3) var<storage, read_write> out_value: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> out_bits: array<i32>;
@group(0) @binding(5) var<storage, read_write> parameters: Parameters;

var<workgroup> noted: array<u32, 64>;

// Where a vector of the border lies; the channels' grid step is that of the whole value, border included.
fn ring_at(number: u32) -> u32 {
    let ring = parameters.before + (parameters.rows - 1u) * parameters.beside + parameters.behind;
    let channel = number / ring * parameters.result.channel;
    let at = number % ring;
    if at < parameters.before {
        return channel + at;
    }
    let rest = at - parameters.before;
    let gap = select(parameters.rows, rest / max(parameters.beside, 1u), parameters.beside > 0u);
    return channel + at + min(gap + 1u, parameters.rows) * parameters.columns;
}

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let number = group_index(group, groups);
    let parts = (parameters.quads + GROUP - 1u) / GROUP;
    let element = number / parts;
    let quad = number % parts * GROUP + lane;
    let live = element < parameters.vectors && quad < parameters.quads;
    let mode = parameters.mode;

    let plane = parameters.rows * parameters.columns;
    let channel = element / plane;
    let row = element / parameters.columns % parameters.rows;
    let column = element % parameters.columns;
    var bits = 0u;
    if live && (mode & RING) != 0u {
        out_value[ring_at(element) * parameters.quads + quad] = vec4<f32>(0.0);
    } else if live {
        let to = grid_at(parameters.result, channel, row, column) * parameters.quads + quad;
        var result = vec4<f32>(0.0);
        if (mode & ZERO) == 0u {
            let source = grid_at(parameters.value, channel, row, column) * parameters.quads + quad;
            let block = element / parameters.each;
            let scale = affine[block % parameters.scales];
            let shift = affine[parameters.scales + block % parameters.shifts];
            result = fma(value[source], vec4<f32>(scale), vec4<f32>(shift));
            if (mode & ADD) != 0u {
                result += out_value[to];
            }
            bits = bits_above(result);
            if (mode & RECTIFY) != 0u {
                result = rectified(result);
            }
            if (mode & GATE) != 0u {
                let at = element * parameters.quads + quad;
                result = kept(result, bitcast<u32>(gates[at / 8u]) >> (at % 8u * 4u));
            }
        }
        out_value[to] = result;
    }
    noted[lane] = bits;
    workgroupBarrier();
    if live && (mode & NOTE) != 0u && lane % 8u == 0u {
        var word = 0u;
        for (var next = 0u; next < 8u; next += 1u) {
            word |= noted[lane + next] << (4u * next);
        }
        out_bits[(element * parameters.quads + quad) / 8u] = bitcast<i32>(word);
    }
}
