//! Normalisation layers.

use super::{Layer, LayerRow, row};
use crate::graph::{Op, Source};
use crate::options::{Accepts, OptionSpec};
use crate::{Error, Result};

const EPSILON: OptionSpec =
    OptionSpec { name: "epsilon", accepts: Accepts::Number(0.0, 1.0), default: Some("1e-5"), help: "added to the variance" };
const MOMENTUM: OptionSpec = OptionSpec {
    name: "momentum",
    accepts: Accepts::Number(0.0, 1.0),
    default: Some("0.1"),
    help: "how far a batch moves the running statistics in training",
};
const GROUPS: OptionSpec = OptionSpec {
    name: "groups",
    accepts: Accepts::Integer(1, 65_536),
    default: None,
    help: "groups of channels that are normalised together",
};
const AXIS: OptionSpec = OptionSpec {
    name: "axis",
    accepts: Accepts::Integer(1, 3),
    default: Some("1"),
    help: "the first of the sides that are normalised together: 1 for all of an example's numbers",
};
const AFFINE: OptionSpec =
    OptionSpec { name: "affine", accepts: Accepts::Flag, default: Some("false"), help: "whether there are a weight and a bias" };

pub(super) const BATCH_NORM: LayerRow =
    row("batch-norm", "batch normalisation with running statistics (BatchNorm1d, BatchNorm2d)", &[EPSILON, MOMENTUM], &[], |layer, x| {
        let channels = channels(layer, x)?;
        let kinds = [("weight", true), ("bias", true), ("running_mean", false), ("running_var", false)];
        let [weight, bias, mean, variance] = kinds.map(|(kind, trained)| parameter(layer, kind, &[channels], trained));
        let op = Op::BatchNorm { epsilon: layer.number("epsilon", 1e-5), momentum: layer.number("momentum", 0.1) };
        layer.graph.node(layer.name, op, &[x, weight, bias, mean, variance])
    });

pub(super) const GROUP_NORM: LayerRow =
    row("group-norm", "normalisation over groups of channels (GroupNorm)", &[GROUPS, EPSILON], &["groups"], |layer, x| {
        let groups = layer.size("groups", 1);
        grouped(layer, x, groups)
    });

pub(super) const INSTANCE_NORM: LayerRow =
    row("instance-norm", "normalisation of every channel by itself (InstanceNorm2d)", &[AFFINE, EPSILON], &[], |layer, x| {
        if layer.flag("affine") {
            let groups = channels(layer, x)?;
            return grouped(layer, x, groups);
        }
        layer.graph.node(layer.name, Op::LayerNorm { axis: 2, epsilon: layer.number("epsilon", 1e-5) }, &[x])
    });

pub(super) const LAYER_NORM: LayerRow =
    row("layer-norm", "normalisation over the sides from an axis on (LayerNorm)", &[AXIS, EPSILON], &[], |layer, x| {
        let axis = layer.size("axis", 1);
        let sides = layer.shape(x).get(axis - 1..).unwrap_or_default().to_vec();
        let weight = parameter(layer, "weight", &sides, true);
        let bias = parameter(layer, "bias", &sides, true);
        layer.graph.node(layer.name, Op::LayerNorm { axis, epsilon: layer.number("epsilon", 1e-5) }, &[x, weight, bias])
    });

fn grouped(layer: &mut Layer, x: Source, groups: usize) -> Result<Source> {
    let channels = channels(layer, x)?;
    let weight = parameter(layer, "weight", &[channels], true);
    let bias = parameter(layer, "bias", &[channels], true);
    layer.graph.node(layer.name, Op::GroupNorm { groups, epsilon: layer.number("epsilon", 1e-5) }, &[x, weight, bias])
}

fn parameter(layer: &mut Layer, kind: &str, shape: &[usize], trained: bool) -> Source {
    layer.graph.parameter(&format!("{}.{kind}", layer.name), shape, trained)
}

fn channels(layer: &Layer, x: Source) -> Result<usize> {
    layer.shape(x).first().copied().ok_or_else(|| Error::input(format!("layer \"{}\" has no channels to normalise", layer.name)))
}
