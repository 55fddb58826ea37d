//! Fully connected layers with rectifiers between them.

use super::{Blueprint, ModelRow};
use crate::Result;
use crate::graph::{Builder, Graph, Unary};
use crate::options::{Accepts, Entry, OptionSpec};

pub(super) const ROW: ModelRow = ModelRow {
    entry: Entry {
        name: "mlp",
        summary: "fully connected layers with rectifiers between them",
        options: &[
            OptionSpec { name: "hidden", accepts: Accepts::Integer(1, 65_536), default: Some("128"), help: "width of a hidden layer" },
            OptionSpec { name: "layers", accepts: Accepts::Integer(1, 64), default: Some("2"), help: "how many hidden layers" },
        ],
    },
    build,
};

fn build(blueprint: &Blueprint) -> Result<Graph> {
    let width = blueprint.options.integer("hidden").unwrap_or(128) as usize;
    let layers = blueprint.options.integer("layers").unwrap_or(2) as usize;
    let mut net = Builder::new(blueprint.shape, blueprint.classes);
    let mut x = net.flatten(net.input())?;
    for layer in 0..layers {
        x = net.linear(&format!("hidden.{layer}"), x, width, true)?;
        x = net.unary(x, Unary::Relu)?;
    }
    let logits = net.linear("output", x, blueprint.classes, true)?;
    net.finish(logits)
}
