// What turns rows [rows, elements] into values [vectors, images] and back.

const GROUP: u32 = 256u;

// Side of a tile.
const SIDE: u32 = 16u;

struct Parameters {
    rows: u32,
    elements: u32,
    images: u32,
    height: u32,
    width: u32,
    value: Grid,
}

// A tile of numbers; a column more, so that its columns lie in different banks.
var<workgroup> turned: array<f32, 272>;

// First element and first image of a tile.
fn tile_corner(number: u32) -> vec2<u32> {
    let across = (parameters.images + SIDE - 1u) / SIDE;
    return vec2<u32>(number / across * SIDE, number % across * SIDE);
}

fn vector_at(element: u32) -> u32 {
    let plane = parameters.height * parameters.width;
    let row = element / parameters.width % parameters.height;
    return grid_at(parameters.value, element / plane, row, element % parameters.width);
}
