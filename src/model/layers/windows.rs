//! Layers that move windows over an image, dense layers, and what only changes the shape.

use super::{Layer, LayerRow, row};
use crate::Error;
use crate::graph::{Conv, Op};
use crate::options::{Accepts, OptionSpec};

const OUT: OptionSpec =
    OptionSpec { name: "out", accepts: Accepts::Integer(1, 1 << 20), default: None, help: "output channels or numbers" };
const KERNEL: OptionSpec =
    OptionSpec { name: "kernel", accepts: Accepts::Sides(1, 1024), default: None, help: "height and width of the window" };
const STRIDE: OptionSpec =
    OptionSpec { name: "stride", accepts: Accepts::Sides(1, 1024), default: Some("1"), help: "pixels between windows" };
const POOL_STRIDE: OptionSpec = OptionSpec {
    name: "stride",
    accepts: Accepts::Sides(1, 1024),
    default: None,
    help: "pixels between windows; the kernel's sides unless given",
};
const PADDING: OptionSpec =
    OptionSpec { name: "padding", accepts: Accepts::Sides(0, 1024), default: Some("0"), help: "pixels added on either side" };
const DILATION: OptionSpec =
    OptionSpec { name: "dilation", accepts: Accepts::Sides(1, 1024), default: Some("1"), help: "pixels between a window's elements" };
const GROUPS: OptionSpec = OptionSpec {
    name: "groups",
    accepts: Accepts::Integer(1, 1 << 20),
    default: Some("1"),
    help: "groups of channels that do not see each other",
};
const BIAS: OptionSpec = OptionSpec { name: "bias", accepts: Accepts::Flag, default: Some("true"), help: "whether there is a bias" };
const CEIL: OptionSpec =
    OptionSpec { name: "ceil", accepts: Accepts::Flag, default: Some("false"), help: "whether a last window may reach over the edge" };
const COUNT_PADDING: OptionSpec = OptionSpec {
    name: "count_padding",
    accepts: Accepts::Flag,
    default: Some("true"),
    help: "whether padding counts as zeros in the mean",
};
const SIZE: OptionSpec =
    OptionSpec { name: "size", accepts: Accepts::Sides(1, 1024), default: Some("1"), help: "height and width of the result" };
const RATE: OptionSpec = OptionSpec {
    name: "rate",
    accepts: Accepts::Number(0.0, 1.0),
    default: Some("0.5"),
    help: "share of the numbers that a training step sets to 0",
};

pub(super) const CONV: LayerRow =
    row("conv", "a convolution (Conv2d)", &[OUT, KERNEL, STRIDE, PADDING, DILATION, GROUPS, BIAS], &["out", "kernel"], |layer, x| {
        let conv = Conv {
            to: layer.size("out", 1),
            kernel: layer.sides("kernel").unwrap_or([1, 1]),
            stride: layer.sides("stride").unwrap_or([1, 1]),
            padding: padding(layer),
            dilation: layer.sides("dilation").unwrap_or([1, 1]),
            groups: layer.size("groups", 1),
            bias: layer.flag("bias"),
        };
        layer.graph.conv(layer.name, x, conv)
    });

pub(super) const DENSE: LayerRow = row("dense", "a dense layer (Linear)", &[OUT, BIAS], &["out"], |layer, x| {
    if layer.shape(x).len() != 1 {
        let message = format!("layer \"{}\" (dense) reads {:?} an image, not a row of numbers", layer.name, layer.shape(x));
        return Err(Error::input(message).help("put { kind = \"flatten\" } before it"));
    }
    layer.graph.linear(layer.name, x, layer.size("out", 1), layer.flag("bias"))
});

pub(super) const MAX_POOL: LayerRow = row(
    "max-pool",
    "the largest number of each window (MaxPool2d)",
    &[KERNEL, POOL_STRIDE, PADDING, DILATION, CEIL],
    &["kernel"],
    |layer, x| {
        let kernel = layer.sides("kernel").unwrap_or([1, 1]);
        let op = Op::MaxPool {
            kernel,
            stride: layer.sides("stride").unwrap_or(kernel),
            padding: padding(layer),
            dilation: layer.sides("dilation").unwrap_or([1, 1]),
            ceil: layer.flag("ceil"),
        };
        layer.graph.node(layer.name, op, &[x])
    },
);

pub(super) const AVERAGE_POOL: LayerRow = row(
    "average-pool",
    "the mean of each window (AvgPool2d)",
    &[KERNEL, POOL_STRIDE, PADDING, COUNT_PADDING, CEIL],
    &["kernel"],
    |layer, x| {
        let kernel = layer.sides("kernel").unwrap_or([1, 1]);
        let op = Op::AveragePool {
            kernel,
            stride: layer.sides("stride").unwrap_or(kernel),
            padding: padding(layer),
            count_padding: layer.flag("count_padding"),
            ceil: layer.flag("ceil"),
        };
        layer.graph.node(layer.name, op, &[x])
    },
);

pub(super) const ADAPTIVE_AVERAGE_POOL: LayerRow =
    row("adaptive-average-pool", "averages down to a height and width (AdaptiveAvgPool2d)", &[SIZE], &[], |layer, x| {
        let size = layer.sides("size").unwrap_or([1, 1]);
        layer.graph.node(layer.name, Op::AdaptiveAveragePool { size }, &[x])
    });

pub(super) const GLOBAL_AVERAGE_POOL: LayerRow =
    row("global-average-pool", "the mean over all pixels (AdaptiveAvgPool2d of 1)", &[], &[], |layer, x| {
        layer.graph.node(layer.name, Op::AdaptiveAveragePool { size: [1, 1] }, &[x])
    });

pub(super) const FLATTEN: LayerRow =
    row("flatten", "all sides as one row of numbers (Flatten)", &[], &[], |layer, x| layer.graph.flatten(x));

pub(super) const DROPOUT: LayerRow =
    row("dropout", "sets numbers to 0 in training, and does nothing else (Dropout)", &[RATE], &[], |layer, x| {
        layer.graph.node(layer.name, Op::Dropout { rate: layer.number("rate", 0.5) }, &[x])
    });

pub(super) const IDENTITY: LayerRow = row("identity", "nothing; keeps the positions of what follows (Identity)", &[], &[], |_, x| Ok(x));

/// Padding at the top, left, bottom and right.
fn padding(layer: &Layer) -> [usize; 4] {
    let [height, width] = layer.sides("padding").unwrap_or([0, 0]);
    [height, width, height, width]
}
