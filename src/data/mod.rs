//! Examples: images with labels, from files or made, always as f32 in [0, 1], laid out as [examples, channels, height, width].
//!
//! [`SOURCES`] lists where examples come from; [`load`] reads some of them. Every source checks what it reads (counts, labels, ranges,
//! finite values) before anything runs, and believes no size that a file declares without holding the bytes for it. What a file has on 8
//! bits stays so in memory, and synthetic images are made when they are asked for, so that a set may be larger than the memory as floats. A defence trains on
//! the same source with the split `train`, unless the suite names other training data.

mod dataset;
mod digits;
mod files;
mod idx;
mod npz;
pub mod picture;
mod pixels;
mod request;
pub mod synthetic;

use std::fmt;

pub use dataset::Dataset;
pub use request::{Request, Split};

use crate::error::{Error, Result};
use crate::options::Entry;

/// A place that examples come from.
#[derive(Clone, Copy)]
pub struct Source {
    /// Name, meaning and options.
    pub entry: Entry,
    /// The splits that it has; empty: it takes a range of positions instead.
    pub splits: &'static [&'static str],
    /// Reads the examples; called through [`load`], which checks split and options first and fills the defaults in.
    pub load: fn(&Request) -> Result<Dataset>,
}

impl Source {
    /// The split to attack where none is named: `test` where there is one, else everything.
    pub fn default_split(&self) -> Split {
        if self.splits.contains(&"test") { Split::Named("test".into()) } else { Split::All }
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source").field("name", &self.entry.name).field("splits", &self.splits).finish_non_exhaustive()
    }
}

/// Every source, in the order of the lists.
pub const SOURCES: &[Source] = &[digits::SOURCE, idx::SOURCE, npz::SOURCE, synthetic::SOURCE];

/// The source called `name`.
///
/// # Errors
/// An unknown name, with the nearest known one.
pub fn source(name: &str) -> Result<&'static Source> {
    SOURCES.iter().find(|source| source.entry.name == name).ok_or_else(|| {
        let known: Vec<&str> = SOURCES.iter().map(|source| source.entry.name).collect();
        Error::input(format!("unknown data source `{name}`")).help(request::suggest(name, &known))
    })
}

/// Reads the examples that `request` asks of the source called `name`.
///
/// # Errors
/// An unknown source, split or option, an option out of its range, and whatever is wrong with the data: a missing, truncated or
/// foreign file, counts that disagree, labels out of range, values that are not finite or outside [0, 1].
pub fn load(name: &str, request: &Request) -> Result<Dataset> {
    let source = source(name)?;
    let resolved = request.resolve(source)?;
    (source.load)(&resolved)
}
