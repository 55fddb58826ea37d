//! Counts a file's pieces before they are taken apart: two bytes can be an empty node, which takes a hundred in memory.

use crate::{Error, Result};

/// Messages and texts of one file.
const MOST_PIECES: usize = 1 << 22;

/// Kinds of messages, and which fields of theirs hold others.
#[derive(Clone, Copy)]
enum Kind {
    Model,
    Graph,
    Function,
    Node,
    Attribute,
    Tensor,
    Value,
    Type,
    TensorType,
    Shape,
    Leaf,
}

fn child(kind: Kind, tag: u64) -> Kind {
    match (kind, tag) {
        (Kind::Model, 7) => Kind::Graph,
        (Kind::Model, 25) => Kind::Function,
        (Kind::Graph, 1) | (Kind::Function, 7) => Kind::Node,
        (Kind::Graph, 5) | (Kind::Attribute, 5) => Kind::Tensor,
        (Kind::Graph, 11 | 12) => Kind::Value,
        (Kind::Node, 5) | (Kind::Function, 11) => Kind::Attribute,
        (Kind::Value, 2) => Kind::Type,
        (Kind::Type, 1) => Kind::TensorType,
        (Kind::TensorType, 2) => Kind::Shape,
        _ => Kind::Leaf,
    }
}

/// Refuses files of more pieces than any network has. Faulty bytes are left to the decoder to report.
pub(super) fn check(bytes: &[u8]) -> Result<()> {
    let mut left = MOST_PIECES;
    walk(bytes, Kind::Model, &mut left);
    if left == 0 {
        return Err(Error::input(format!("more than {MOST_PIECES} nodes, attributes and names: no network that can be read"))
            .help("the file is damaged, or not an ONNX file: export it again"));
    }
    Ok(())
}

fn walk(mut bytes: &[u8], kind: Kind, left: &mut usize) -> Option<()> {
    if matches!(kind, Kind::Leaf) {
        return Some(());
    }
    while !bytes.is_empty() && *left > 0 {
        let key = varint(&mut bytes)?;
        match key & 7 {
            0 => drop(varint(&mut bytes)?),
            1 => bytes = bytes.get(8..)?,
            2 => {
                let length = usize::try_from(varint(&mut bytes)?).ok()?;
                *left -= 1;
                walk(bytes.get(..length)?, child(kind, key >> 3), left)?;
                bytes = &bytes[length..];
            }
            5 => bytes = bytes.get(4..)?,
            _ => return None,
        }
    }
    Some(())
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for at in 0..10 {
        let byte = *bytes.get(at)?;
        value |= u64::from(byte & 127) << (7 * at);
        if byte < 128 {
            *bytes = &bytes[at + 1..];
            return Some(value);
        }
    }
    None
}
