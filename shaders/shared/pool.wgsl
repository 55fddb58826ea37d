// Windows of a pooling: the fields' meaning stands in src/kernel/max_pool.rs.
struct Parameters {
    quads: u32,
    channels: u32,
    rows: u32,
    columns: u32,
    height: u32,
    width: u32,
    tall: u32,
    wide: u32,
    down: u32,
    across: u32,
    top: u32,
    left: u32,
    apart_down: u32,
    apart_across: u32,
    value: Grid,
    result: Grid,
}
