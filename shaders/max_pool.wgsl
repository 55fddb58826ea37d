// The largest number of each window, the first among equals, of images that lie side by side; a NaN is the largest. `out_winners` holds
// the number of the window's element that won, a byte an image; 255 where all are minus infinity. A workgroup makes 256 images of a
// result: it is bound by memory.
//
// value: f32 [vectors, images]. out_value: f32 [vectors, images]. out_winners: i32, four images a word, by element.

//!include shared/grid.wgsl
//!include shared/lanes.wgsl
//!include shared/pool.wgsl

const GROUP: u32 = 64u;

@group(0) @binding(0) var<storage, read_write> value: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read_write> out_value: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> out_winners: array<i32>;
@group(0) @binding(3) var<storage, read_write> parameters: Parameters;

// Whole numbers that order as the numbers do, 0 and minus 0 the same, NaN above all.
fn order(number: vec4<f32>) -> vec4<u32> {
    let bits = bitcast<vec4<u32>>(number);
    let magnitude = bits & vec4<u32>(0x7fffffffu);
    let below = (bits >= vec4<u32>(0x80000001u)) & (bits <= vec4<u32>(0xff800000u));
    let ordered = select(magnitude | vec4<u32>(0x80000000u), ~bits, below);
    return select(ordered, vec4<u32>(0xffffffffu), magnitude > vec4<u32>(0x7f800000u));
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
    if element >= parameters.channels * parameters.rows * parameters.columns || quad >= parameters.quads {
        return;
    }
    let channel = element / (parameters.rows * parameters.columns);
    let row = element / parameters.columns % parameters.rows;
    let column = element % parameters.columns;

    var best = bitcast<vec4<f32>>(vec4<u32>(0xff800000u));
    var rank = vec4<u32>(0x007fffffu);
    var winner = vec4<u32>(255u);
    for (var down = 0u; down < parameters.tall; down += 1u) {
        // Before the first row it wraps round, past the last.
        let y = row * parameters.down + down * parameters.apart_down - parameters.top;
        for (var across = 0u; across < parameters.wide; across += 1u) {
            let x = column * parameters.across + across * parameters.apart_across - parameters.left;
            if y < parameters.height && x < parameters.width {
                let seen = value[grid_at(parameters.value, channel, y, x) * parameters.quads + quad];
                let place = order(seen);
                let wins = (place > rank) | (place == vec4<u32>(0xffffffffu));
                best = select(best, seen, wins);
                rank = select(rank, place, wins);
                winner = select(winner, vec4<u32>(down * parameters.wide + across), wins);
            }
        }
    }
    out_value[grid_at(parameters.result, channel, row, column) * parameters.quads + quad] = best;
    let packed = winner << vec4<u32>(0u, 8u, 16u, 24u);
    out_winners[element * parameters.quads + quad] = bitcast<i32>(packed.x | packed.y | packed.z | packed.w);
}
