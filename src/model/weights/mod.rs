//! Weights from files: what `torch.save` writes (zip archives, and the streams before 1.6) and safetensors, told apart by their content.
//!
//! Pickles are read without running anything. Numbers of every type become f32. [`fit`] puts what was found under the names that a
//! network wants, or says everything that stands in the way.
//!
//! Burn's own reader (`burn-store`) is as careful, but it forgets the order of the tensors, takes no list at the top, and reads a state
//! dict that is saved under two names as an empty one under the second.

mod call;
mod pickle;
mod remap;
mod safetensors;
mod state;
mod torch;
mod value;

use std::collections::BTreeMap;
use std::path::Path;

use super::Weights;
use crate::{Error, Result};

pub(super) use remap::misfits;
pub use remap::{Fitted, Matching, fit};
pub(in crate::model) use safetensors::HASH;

/// A tensor of a file.
#[derive(Clone, Debug, PartialEq)]
pub struct Named {
    /// Its name, such as `module.conv1.weight`.
    pub name: String,
    /// Its sides.
    pub shape: Vec<usize>,
    /// Row-major values.
    pub values: Vec<f32>,
}

/// What a file of weights holds.
#[derive(Clone, Debug, PartialEq)]
pub struct Checkpoint {
    /// The file's format, in words.
    pub format: &'static str,
    /// The tensors, in the order of the file.
    pub tensors: Vec<Named>,
    /// Entries whose numbers are not read, with their types.
    pub unread: Vec<(String, String)>,
    /// Words about the weights; safetensors files have some.
    pub about: BTreeMap<String, String>,
    /// Where in the file the tensors were found.
    pub notes: Vec<String>,
}

impl Checkpoint {
    /// The tensors by name; of equal names the last one counts, as in Python.
    pub fn weights(&self) -> Weights {
        Weights(self.tensors.iter().map(|tensor| (tensor.name.clone(), (tensor.shape.clone(), tensor.values.clone()))).collect())
    }
}

/// Reads a file of weights.
///
/// # Errors
/// A file that is missing, damaged, of another format, or that would run code; nothing is run.
pub fn read(path: &Path) -> Result<Checkpoint> {
    let from = format!("weights {}", path.display());
    let bytes = std::fs::read(path)
        .map_err(|error| Error::input(format!("{from}: {error}")).help("give the path of a .safetensors, .pt or .pth file"))?;
    read_bytes(&bytes, &from)
}

/// Reads the bytes of a file of weights; messages open with `from`.
///
/// # Errors
/// As [`read`].
pub fn read_bytes(bytes: &[u8], from: &str) -> Result<Checkpoint> {
    const TORCH: &str = "save it again with torch.save(model.state_dict(), path), or as safetensors";
    const AGAIN: &str = "put a sound copy in its place; one that `gauntlet train` wrote can be deleted and trained again";
    let fail = |help: &'static str| move |error: String| Error::input(format!("{from}: {error}")).help(help);
    if safetensors::is_safetensors(bytes) {
        return safetensors::read(bytes).map_err(fail(AGAIN));
    }
    if bytes.starts_with(b"PK\x03\x04") {
        return torch::read_archive(bytes).map_err(fail(TORCH));
    }
    if torch::is_stream(bytes) {
        return torch::read_stream(bytes).map_err(fail(TORCH));
    }
    let (what, help) = match bytes {
        [] => ("the file is empty", AGAIN),
        [0x89, b'H', b'D', b'F', ..] => ("it is an HDF5 file, as Keras writes", "export the model to ONNX and give it as onnx = \"...\""),
        [0x08, 1..=20, ..] => ("it looks like an ONNX file", "give it as onnx = \"...\" in place of an architecture with weights"),
        _ if bytes.get(257..262) == Some(b"ustar") => ("it is a tar archive, as PyTorch wrote before 0.1.10", TORCH),
        _ => ("it is neither a safetensors file nor one that torch.save wrote", TORCH),
    };
    Err(fail(help)(what.into()))
}
