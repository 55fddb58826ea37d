//! Stacks of layers written in a suite: `layers = [{ kind = "conv", out = 16, kernel = 3 }, { kind = "relu" }, ..]`.
//!
//! [`LAYERS`] is the table: a kind is one row, which the suite's reader, `gauntlet list layers` and [`build`] share. Parameters are named as in
//! `torch.nn.Sequential`: `<position>.weight`, or `<name>.weight` where an entry has a name.

mod activations;
mod norms;
mod windows;

use serde::Serialize;

use crate::graph::{Builder, Graph, Source};
use crate::nearest::nearest;
use crate::options::{Entry, OptionSpec, Options};
use crate::{Error, Result};

/// A row of [`LAYERS`].
#[derive(Clone, Copy, Debug)]
pub struct LayerRow {
    /// Name, summary and options.
    pub entry: Entry,
    /// The options that must be given.
    pub required: &'static [&'static str],
    /// Adds the layer of this name, which reads the source.
    build: fn(&mut Layer, Source) -> Result<Source>,
}

/// An entry of a suite's `layers`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LayerSpec {
    /// The row's name.
    pub kind: String,
    /// What its parameters' names begin with: the position from 0, unless given.
    pub name: String,
    /// The row's own options.
    pub options: Options,
}

/// Every kind of layer.
pub const LAYERS: &[LayerRow] = &[
    windows::CONV,
    windows::DENSE,
    windows::MAX_POOL,
    windows::AVERAGE_POOL,
    windows::ADAPTIVE_AVERAGE_POOL,
    windows::GLOBAL_AVERAGE_POOL,
    norms::BATCH_NORM,
    norms::GROUP_NORM,
    norms::INSTANCE_NORM,
    norms::LAYER_NORM,
    windows::FLATTEN,
    windows::DROPOUT,
    windows::IDENTITY,
    activations::RELU,
    activations::RELU6,
    activations::LEAKY_RELU,
    activations::PRELU,
    activations::ELU,
    activations::SELU,
    activations::CELU,
    activations::GELU,
    activations::SILU,
    activations::MISH,
    activations::HARDSWISH,
    activations::HARDSIGMOID,
    activations::HARDTANH,
    activations::SIGMOID,
    activations::TANH,
    activations::SOFTPLUS,
    activations::SOFTSIGN,
];

/// A layer in the making.
struct Layer<'a> {
    graph: &'a mut Builder,
    name: &'a str,
    options: &'a Options,
}

impl Layer<'_> {
    /// The whole number `name`, 0 or more; `default` where it is absent.
    fn size(&self, name: &str, default: usize) -> usize {
        self.options.integer(name).and_then(|size| usize::try_from(size).ok()).unwrap_or(default)
    }

    /// Height and width of the option `name`, where it is set.
    fn sides(&self, name: &str) -> Option<[usize; 2]> {
        self.options.sides(name).map(|sides| sides.map(|side| usize::try_from(side).unwrap_or(0)))
    }

    fn number(&self, name: &str, default: f64) -> f32 {
        self.options.number(name).unwrap_or(default) as f32
    }

    fn flag(&self, name: &str) -> bool {
        self.options.flag(name) == Some(true)
    }

    /// Sides of a value behind the number of examples.
    fn shape(&self, x: Source) -> Vec<usize> {
        self.graph.sides(x).iter().skip(1).filter_map(|side| side.size()).collect()
    }
}

/// The network of a stack.
///
/// # Errors
/// An unknown kind; a layer that does not fit what is before it, or a stack that does not end in one logit a class.
pub fn build(layers: &[LayerSpec], shape: [usize; 3], classes: usize) -> Result<Graph> {
    let mut graph = Builder::new(shape, classes);
    let mut x = graph.input();
    for LayerSpec { kind, name, options } in layers {
        let row = LAYERS.iter().find(|row| row.entry.name == kind).ok_or_else(|| {
            let known: Vec<&str> = LAYERS.iter().map(|row| row.entry.name).collect();
            let near = nearest(kind, known.iter().copied()).map(|near| format!("did you mean \"{near}\"? ")).unwrap_or_default();
            Error::input(format!("unknown layer \"{kind}\"")).help(format!("{near}known: {}", known.join(", ")))
        })?;
        x = (row.build)(&mut Layer { graph: &mut graph, name, options }, x).map_err(|error| {
            error.or_help("a layer's name is its place, from 0, unless it is given: change its options, or a layer before it")
        })?;
    }
    graph.finish(x)
}

const fn row(
    name: &'static str,
    summary: &'static str,
    options: &'static [OptionSpec],
    required: &'static [&'static str],
    build: fn(&mut Layer, Source) -> Result<Source>,
) -> LayerRow {
    LayerRow { entry: Entry { name, summary, options }, required, build }
}
