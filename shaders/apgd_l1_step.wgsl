// A step of APGD under l1 (Croce and Hein 2021, "Mind the box", algorithm 2): along the signs of the `active` largest magnitudes of the
// gradient (and of those equal to the smallest of them), each moved by size / count, then projected on the ball and the box
// (shared/l1.wgsl). The size is step_size / 1.5^reductions, a tenth of it at least; both it and the radius are times the stages that are
// left. A row that SHRINKs is projected alone. One workgroup a row.
//
// x, origin, out_x: f32 [B, D], input units. gradient: f32 [B, D]. notes, out_notes: i32 [B * NOTES], shared/apgd.wgsl. rows: Row [B].

//!include shared/apgd.wgsl
//!include shared/float.wgsl
//!include shared/grid.wgsl
//!include shared/reduce.wgsl
//!include shared/row.wgsl

const GROUP: u32 = 256u;

struct Parameters {
    rows: u32,
    columns: u32,
    stages: u32,
}

@group(0) @binding(0) var<storage, read_write> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> origin: array<f32>;
@group(0) @binding(2) var<storage, read_write> gradient: array<f32>;
@group(0) @binding(3) var<storage, read_write> notes: array<i32>;
@group(0) @binding(4) var<storage, read_write> rows: array<Row>;
@group(0) @binding(5) var<storage, read_write> out_x: array<f32>;
@group(0) @binding(6) var<storage, read_write> out_notes: array<i32>;
@group(0) @binding(7) var<storage, read_write> parameters: Parameters;

//!include shared/l1.wgsl

// Bits of a finite magnitude, and elements that reach a magnitude with the so many-th bit set.
const MAGNITUDE_BITS: u32 = 31u;
var<workgroup> reaching: array<atomic<u32>, MAGNITUDE_BITS>;
var<workgroup> moved: atomic<u32>;

// Bits of the wanted-th largest magnitude of the row's gradient, found bit by bit from the highest.
fn threshold_bits(lane: u32, base: u32, columns: u32, wanted: u32) -> u32 {
    if lane < MAGNITUDE_BITS {
        atomicStore(&reaching[lane], 0u);
    }
    workgroupBarrier();
    var bits = 0u;
    for (var bit = 0u; bit < MAGNITUDE_BITS; bit += 1u) {
        let candidate = bits | (0x40000000u >> bit);
        var count = 0u;
        for (var column = lane; column < columns; column += GROUP) {
            count += select(0u, 1u, magnitude_bits(gradient[base + column]) >= candidate);
        }
        atomicAdd(&reaching[bit], count);
        workgroupBarrier();
        bits = select(bits, candidate, atomicLoad(&reaching[bit]) >= wanted);
    }
    return bits;
}

// Adds up over the workgroup.
fn total_count(lane: u32, count: u32) -> u32 {
    if lane == 0u {
        atomicStore(&moved, 0u);
    }
    workgroupBarrier();
    atomicAdd(&moved, count);
    workgroupBarrier();
    let total = atomicLoad(&moved);
    workgroupBarrier();
    return total;
}

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let number = group_index(group, groups);
    let live = number < parameters.rows;
    let slot = min(number, parameters.rows - 1u);
    let columns = select(0u, parameters.columns, live);
    let base = slot * parameters.columns;
    let note = slot * NOTES;
    let row = rows[slot];
    let actions = bitcast<u32>(notes[note + ACTIONS]);
    let moves = (actions & MOVE) != 0u;
    let projects = (actions & (MOVE | SHRINK)) != 0u;
    let left = f32(max(parameters.stages, bitcast<u32>(notes[note + STAGE]) + 1u) - bitcast<u32>(notes[note + STAGE]));
    var size = row.step_size * left;
    let least = size * 0.1;
    for (var reduction = 0u; reduction < min(bitcast<u32>(notes[note + REDUCTIONS]), 6u); reduction += 1u) {
        size = max(size / 1.5, least);
    }

    let bits = max(threshold_bits(lane, base, columns, bitcast<u32>(notes[note + ACTIVE])), 1u);
    var count = 0u;
    for (var column = lane; column < columns; column += GROUP) {
        count += select(0u, 1u, magnitude_bits(gradient[base + column]) >= bits);
    }
    let step = select(0.0, size / f32(max(total_count(lane, count), 1u)), moves);
    for (var column = lane; column < columns; column += GROUP) {
        let element = base + column;
        let changes = magnitude_bits(gradient[element]) >= bits;
        out_x[element] = x[element] + select(0.0, step * sign_of(gradient[element]), changes);
    }
    l1_project_row(lane, base, select(0u, columns, projects), row.epsilon * left);

    count = 0u;
    for (var column = lane; column < columns; column += GROUP) {
        count += select(0u, 1u, out_x[base + column] != origin[base + column]);
    }
    let nonzeros = total_count(lane, count);
    if live && lane < NOTES {
        out_notes[note + lane] = select(notes[note + lane], bitcast<i32>(nonzeros), projects && lane == NONZEROS);
    }
}
