//! A small convolutional network for images of any size.

use super::{Blueprint, ModelRow};
use crate::Result;
use crate::graph::{Builder, Conv, Graph, Unary};
use crate::options::{Accepts, Entry, OptionSpec};

/// The dense layer sees at most so many pixels a side; larger images are averaged down to it, so that its size stays bounded.
const LARGEST_SIDE: usize = 14;

pub(super) const ROW: ModelRow = ModelRow {
    entry: Entry {
        name: "small-cnn",
        summary: "conv 3x3, conv 3x3 of stride 2, two dense layers; rectifiers between them; any image size",
        options: &[
            OptionSpec {
                name: "channels",
                accepts: Accepts::Integer(1, 1024),
                default: Some("32"),
                help: "channels of the first convolution; the second has twice as many",
            },
            OptionSpec {
                name: "hidden",
                accepts: Accepts::Integer(1, 65_536),
                default: Some("128"),
                help: "width of the hidden dense layer",
            },
        ],
    },
    build,
};

/// conv - relu - conv - relu - dense - relu - dense.
fn build(blueprint: &Blueprint) -> Result<Graph> {
    let [_, height, width] = blueprint.shape;
    let channels = blueprint.options.integer("channels").unwrap_or(32) as usize;
    let hidden = blueprint.options.integer("hidden").unwrap_or(128) as usize;
    let mut net = Builder::new(blueprint.shape, blueprint.classes);
    let conv = Conv { padding: [1; 4], ..Conv::new(channels, [3, 3]) };
    let mut x = net.conv("conv1", net.input(), conv)?;
    x = net.unary(x, Unary::Relu)?;
    x = net.conv("conv2", x, Conv { to: 2 * channels, stride: [2, 2], ..conv })?;
    x = net.unary(x, Unary::Relu)?;
    let (height, width) = (height.div_ceil(2), width.div_ceil(2));
    if height > LARGEST_SIDE || width > LARGEST_SIDE {
        x = net.adaptive_average_pool(x, [height.min(LARGEST_SIDE), width.min(LARGEST_SIDE)])?;
    }
    x = net.flatten(x)?;
    x = net.linear("linear1", x, hidden, true)?;
    x = net.unary(x, Unary::Relu)?;
    let logits = net.linear("linear2", x, blueprint.classes, true)?;
    net.finish(logits)
}
