//! Reads ONNX files: classifiers as PyTorch, Keras and scikit-learn export them, opsets 11 to 22.
//!
//! A file becomes a [`Graph`] over images [N, C, H, W] in [0, 1] with its [`Weights`]. Whole numbers, booleans
//! and shapes are worked out while it is read, as values linear in the number of examples N ([`Dim`](crate::graph::Dim)); floats that
//! do not depend on the images become parameters under their own names. [`OPERATORS`] lists what is read. Operators that are missing
//! are named all at once, each with its nodes and a way to export without it.
//!
//! Recognised and told in [`Imported::notes`]: images as [N, H, W, C], a flat [N, features] input, a batch of fixed size, and a softmax
//! at the end, which is cut off. What cannot be told from the file is refused, naming the field of [`Declared`] that settles it.
//!
//! The file is untrusted: sizes are checked before memory is taken, constants share a budget, and functions nest to a fixed depth.

mod array;
mod call;
mod dim;
mod functions;
mod input;
mod limits;
mod moves;
mod ops;
mod order;
mod output;
mod read;
mod tensor;
mod value;
mod wire;
mod writer;

use std::collections::BTreeMap;
use std::path::Path;

use serde::Serialize;

use crate::graph::Graph;
use crate::model::Weights;
use crate::{Error, Result};

pub use ops::{OPERATORS, Operator};

/// What the user says of a model where the file leaves it open.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Declared {
    /// Channels, height and width of the data's images.
    pub shape: Option<[usize; 3]>,
    /// How many classes the data have.
    pub classes: Option<usize>,
    /// The order of an image's sides in the file.
    pub layout: Option<Layout>,
    /// What the file takes pixels to be; where nothing is said 0 to 1, unless the file seems to take something else.
    pub range: Option<Range>,
}

/// The order of an image's sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Layout {
    /// Channels, height, width: PyTorch's.
    Nchw,
    /// Height, width, channels: Keras's.
    Nhwc,
}

/// What pixels run from and to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Range {
    /// 0 to 1.
    #[serde(rename = "0..1")]
    Unit,
    /// 0 to 255: the graph multiplies its images by 255.
    #[serde(rename = "0..255")]
    Bytes,
}

/// A model out of a file.
#[derive(Clone, Debug)]
pub struct Imported {
    /// The network, of images in [0, 1].
    pub graph: Graph,
    /// The numbers of the graph's parameters, by their names.
    pub weights: Weights,
    /// What was recognised, in sentences.
    pub notes: Vec<String>,
    /// What the file says of itself.
    pub about: ModelFacts,
}

/// What an ONNX file says of itself.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ModelFacts {
    /// The exporter and its version.
    pub producer: String,
    /// The version of ONNX's operators.
    pub opset: i64,
    /// The input's name and sides, such as `x [N, 3, 32, 32]`.
    pub input: String,
    /// The name of the output that holds the logits.
    pub output: String,
    /// How often each operator occurs in the part that makes the logits.
    pub operators: BTreeMap<String, usize>,
}

/// Reads a model; numbers that it keeps in other files are looked for in its folder alone.
///
/// # Errors
/// A file that cannot be read or is no ONNX model; opsets other than 11 to 22; operators, element types or shapes that are not read,
/// all of them at once; inputs, layouts, ranges or outputs that cannot be told, naming what to declare.
pub fn read(path: &Path, declared: &Declared) -> Result<Imported> {
    let failed = |error: std::io::Error| Error::input(format!("{}: {error}", path.display())).help("give the path of an ONNX file");
    let length = std::fs::metadata(path).map_err(failed)?.len();
    if length >= read::LARGEST_FILE {
        return Err(Error::input(format!("{}: {length} bytes, an ONNX file has at most 2 GiB", path.display()))
            .help("export large models with their weights in a file beside (external data)"));
    }
    let model = read::decode(&std::fs::read(path).map_err(failed)?);
    let place = path.display().to_string();
    model.and_then(|model| read::import(model, path.parent(), declared)).map_err(|error| read::placed(&place, error))
}

/// Reads a model from memory; `base`: the folder where other files with its numbers may lie.
///
/// # Errors
/// As [`read`].
pub fn read_bytes(bytes: &[u8], base: Option<&Path>, declared: &Declared) -> Result<Imported> {
    read::import(read::decode(bytes)?, base, declared)
}
