//! Writes small ONNX files, faulty ones too, in protobuf's own bytes.

/// A field of bytes: a message, text or raw data.
pub fn field(tag: u64, content: impl AsRef<[u8]>) -> Vec<u8> {
    [varint(tag << 3 | 2), varint(content.as_ref().len() as u64), content.as_ref().to_vec()].concat()
}

/// A field of a whole number.
pub fn number(tag: u64, value: i64) -> Vec<u8> {
    [varint(tag << 3), varint(value as u64)].concat()
}

fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let low = (value & 127) as u8;
        value >>= 7;
        if value == 0 {
            bytes.push(low);
            return bytes;
        }
        bytes.push(low | 128);
    }
}

/// A node; `attributes` are whole [`ints`] or [`text`] fields.
pub fn node(op: &str, inputs: &[&str], outputs: &[&str], attributes: &[Vec<u8>]) -> Vec<u8> {
    let mut content: Vec<u8> = inputs.iter().flat_map(|name| field(1, name)).collect();
    content.extend(outputs.iter().flat_map(|name| field(2, name)));
    content.extend(field(4, op));
    content.extend(attributes.iter().flat_map(|attribute| field(5, attribute)));
    content
}

pub fn int(name: &str, value: i64) -> Vec<u8> {
    [field(1, name), number(3, value), number(20, 2)].concat()
}

pub fn ints(name: &str, values: &[i64]) -> Vec<u8> {
    [field(1, name), values.iter().flat_map(|value| number(8, *value)).collect(), number(20, 7)].concat()
}

/// A constant of raw bytes, of the element type with this number.
pub fn tensor(name: &str, element: i64, sides: &[i64], raw: &[u8]) -> Vec<u8> {
    [sides.iter().flat_map(|side| number(1, *side)).collect(), number(2, element), field(8, name), field(9, raw)].concat()
}

pub fn floats(name: &str, sides: &[i64]) -> Vec<u8> {
    let count: i64 = sides.iter().product();
    tensor(name, 1, sides, &(0..count).flat_map(|at| (at as f32 * 0.1 - 0.3).to_le_bytes()).collect::<Vec<_>>())
}

pub fn whole(name: &str, values: &[i64]) -> Vec<u8> {
    tensor(name, 7, &[values.len() as i64], &values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<_>>())
}

/// An input or output; a side of 0 is left open.
pub fn value(name: &str, element: i64, sides: &[i64]) -> Vec<u8> {
    let side = |side: &i64| field(1, if *side == 0 { field(2, "n") } else { number(1, *side) });
    let shape: Vec<u8> = sides.iter().flat_map(side).collect();
    [field(1, name), field(2, field(1, [number(1, element), field(2, shape)].concat()))].concat()
}

/// A model of opset 17 with input "x" [N, 1, 2, 2] and output "y".
pub fn model(nodes: &[Vec<u8>], constants: &[Vec<u8>]) -> Vec<u8> {
    with(nodes, constants, &[value("x", 1, &[0, 1, 2, 2])], &[value("y", 1, &[0, 3])], 17, &[])
}

pub fn with(
    nodes: &[Vec<u8>],
    constants: &[Vec<u8>],
    inputs: &[Vec<u8>],
    outputs: &[Vec<u8>],
    opset: i64,
    functions: &[Vec<u8>],
) -> Vec<u8> {
    let parts = [(1, nodes), (5, constants), (11, inputs), (12, outputs)];
    let graph: Vec<u8> = parts.iter().flat_map(|(tag, list)| list.iter().flat_map(|item| field(*tag, item))).collect();
    let functions: Vec<u8> = functions.iter().flat_map(|function| field(25, function)).collect();
    let own = if functions.is_empty() { Vec::new() } else { field(8, [field(1, "own"), number(2, 1)].concat()) };
    [number(1, 8), field(7, graph), field(8, number(2, opset)), own, functions].concat()
}
