//! Where a set's pixels are: in memory as they came, or made when they are asked for.

use std::fmt;
use std::sync::Arc;

/// Makes the image at a position of its source, row-major.
pub(super) type Maker = dyn Fn(usize) -> Vec<f32> + Send + Sync;

/// The pixels of a set, by the position in the set.
#[derive(Clone)]
pub(super) enum Pixels {
    /// Values in [0, 1].
    Floats(Vec<f32>),
    /// Values of 8 bits: a quarter of the memory.
    Bytes(Vec<u8>),
    /// Images that are made anew each time; `first` is the position of the set's first in its source.
    Made { maker: Arc<Maker>, first: usize, recipe: String },
}

impl Pixels {
    /// Image `at` of so many features.
    pub(super) fn image(&self, at: usize, features: usize) -> Vec<f32> {
        let range = at * features..(at + 1) * features;
        match self {
            Self::Floats(values) => values[range].to_vec(),
            Self::Bytes(values) => values[range].iter().map(|&value| f32::from(value) / 255.0).collect(),
            Self::Made { maker, first, .. } => maker(first + at),
        }
    }

    /// How many values are in memory; `None` where they are made.
    pub(super) fn len(&self) -> Option<usize> {
        match self {
            Self::Floats(values) => Some(values.len()),
            Self::Bytes(values) => Some(values.len()),
            Self::Made { .. } => None,
        }
    }

    /// Bytes of memory that they take.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Floats(values) => size_of_val(values.as_slice()),
            Self::Bytes(values) => values.len(),
            Self::Made { .. } => 0,
        }
    }

    pub(super) fn truncate(&mut self, values: usize) {
        match self {
            Self::Floats(all) => all.truncate(values),
            Self::Bytes(all) => all.truncate(values),
            Self::Made { .. } => {}
        }
    }
}

impl fmt::Debug for Pixels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Floats(values) => write!(f, "{} values", values.len()),
            Self::Bytes(values) => write!(f, "{} values of 8 bits", values.len()),
            Self::Made { recipe, .. } => write!(f, "made: {recipe}"),
        }
    }
}
