//! safetensors files: a header in JSON, and the numbers behind it.

use std::collections::BTreeMap;

use safetensors::SafeTensors;
use safetensors::tensor::Dtype;

use super::pickle::Read;
use super::value::Kind;
use super::{Checkpoint, Named};
use crate::model::Weights;

/// The word about the weights that holds their hash.
pub const HASH: &str = "weights_blake3";

/// Whether a file opens with the length of a header and the header.
pub(super) fn is_safetensors(bytes: &[u8]) -> bool {
    let length = bytes.first_chunk().map(|length| u64::from_le_bytes(*length));
    length.is_some_and(|length| length < bytes.len() as u64) && bytes.get(8) == Some(&b'{')
}

/// Reads a file; one that states its tensors' hash is checked against it.
pub(super) fn read(bytes: &[u8]) -> Read<Checkpoint> {
    let broken = |error: safetensors::SafeTensorError| format!("not a safetensors file: {error}");
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(broken)?;
    let mut about: BTreeMap<String, String> = header.metadata().clone().unwrap_or_default().into_iter().collect();
    let file = SafeTensors::deserialize(bytes).map_err(broken)?;
    let mut found = file.tensors();
    // The order in which they lie in the file.
    found.sort_by_key(|(_, view)| view.data().as_ptr() as usize);
    let mut tensors = Vec::with_capacity(found.len());
    let mut unread = Vec::new();
    for (name, view) in found {
        match kind(view.dtype()) {
            Some(kind) => tensors.push(Named { name, shape: view.shape().to_vec(), values: kind.numbers(view.data()) }),
            None => unread.push((name, format!("{:?}", view.dtype()))),
        }
    }
    let checkpoint = Checkpoint { format: "safetensors", tensors, unread, about: BTreeMap::new(), notes: Vec::new() };
    if let Some(hash) = about.remove(HASH) {
        let weights: Weights = checkpoint.weights();
        if hash != weights.hash() {
            return Err("the file is damaged: its tensors do not have the hash that it states".into());
        }
    }
    Ok(Checkpoint { about, ..checkpoint })
}

fn kind(dtype: Dtype) -> Option<Kind> {
    Some(match dtype {
        Dtype::F32 => Kind::F32,
        Dtype::F64 => Kind::F64,
        Dtype::F16 => Kind::F16,
        Dtype::BF16 => Kind::Bf16,
        Dtype::I64 => Kind::I64,
        Dtype::I32 => Kind::I32,
        Dtype::I16 => Kind::I16,
        Dtype::I8 => Kind::I8,
        Dtype::U8 => Kind::U8,
        Dtype::BOOL => Kind::Bool,
        _ => return None,
    })
}
