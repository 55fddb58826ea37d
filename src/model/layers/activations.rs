//! Functions of every element.

use super::{Layer, LayerRow, row};
use crate::Result;
use crate::graph::{Op, Source, Unary};
use crate::options::{Accepts, OptionSpec};

/// Finite numbers of a useful size.
const ANY: Accepts = Accepts::Number(-1e6, 1e6);

const SLOPE: OptionSpec = OptionSpec { name: "slope", accepts: ANY, default: Some("0.01"), help: "slope below 0" };
const ALPHA: OptionSpec =
    OptionSpec { name: "alpha", accepts: Accepts::Number(1e-6, 1e6), default: Some("1.0"), help: "the value far below 0 is -alpha" };
const APPROXIMATE: OptionSpec = OptionSpec {
    name: "approximate",
    accepts: Accepts::Choice(&["none", "tanh"]),
    default: Some("\"none\""),
    help: "tanh: by the approximation with tanh",
};
const MIN: OptionSpec = OptionSpec { name: "min", accepts: ANY, default: Some("-1.0"), help: "the smallest value" };
const MAX: OptionSpec = OptionSpec { name: "max", accepts: ANY, default: Some("1.0"), help: "the largest value" };
const PARAMETERS: OptionSpec = OptionSpec {
    name: "parameters",
    accepts: Accepts::Choice(&["one", "channels"]),
    default: Some("\"one\""),
    help: "one slope, or one a channel",
};

pub(super) const RELU: LayerRow = row("relu", "max(0, x)", &[], &[], |layer, x| unary(layer, x, Unary::Relu));
pub(super) const RELU6: LayerRow =
    row("relu6", "min(6, max(0, x))", &[], &[], |layer, x| unary(layer, x, Unary::Clip { min: 0.0, max: 6.0 }));
pub(super) const LEAKY_RELU: LayerRow = row("leaky-relu", "x where positive, else slope x", &[SLOPE], &[], |layer, x| {
    unary(layer, x, Unary::LeakyRelu { slope: layer.number("slope", 0.01) })
});
pub(super) const PRELU: LayerRow = row("prelu", "x where positive, else a learned slope times x", &[PARAMETERS], &[], |layer, x| {
    let shape = layer.shape(x);
    let count = if layer.options.text("parameters") == Some("channels") { shape.first().copied().unwrap_or(1) } else { 1 };
    let mut slope = layer.graph.parameter(&format!("{}.weight", layer.name), &[count], true);
    if count > 1 && shape.len() > 1 {
        // Along the channels.
        let to = std::iter::once(count).chain(shape.iter().skip(1).map(|_| 1)).map(Into::into).collect();
        slope = layer.graph.node(&format!("{}.slope", layer.name), Op::Reshape { to }, &[slope])?;
    }
    layer.graph.node(layer.name, Op::Prelu, &[x, slope])
});
pub(super) const ELU: LayerRow = row("elu", "x where positive, else alpha (exp(x) - 1)", &[ALPHA], &[], |layer, x| {
    unary(layer, x, Unary::Elu { alpha: layer.number("alpha", 1.0) })
});
pub(super) const SELU: LayerRow = row("selu", "scaled ELU (Klambauer et al. 2017)", &[], &[], |layer, x| unary(layer, x, Unary::Selu));
pub(super) const CELU: LayerRow = row("celu", "x where positive, else alpha (exp(x / alpha) - 1)", &[ALPHA], &[], |layer, x| {
    unary(layer, x, Unary::Celu { alpha: layer.number("alpha", 1.0) })
});
pub(super) const GELU: LayerRow = row("gelu", "x times the normal distribution's share below x", &[APPROXIMATE], &[], |layer, x| {
    unary(layer, x, Unary::Gelu { tanh: layer.options.text("approximate") == Some("tanh") })
});
pub(super) const SILU: LayerRow = row("silu", "x sigmoid(x)", &[], &[], |layer, x| unary(layer, x, Unary::Silu));
pub(super) const MISH: LayerRow = row("mish", "x tanh(softplus(x))", &[], &[], |layer, x| unary(layer, x, Unary::Mish));
pub(super) const HARDSWISH: LayerRow =
    row("hardswish", "x min(6, max(0, x + 3)) / 6", &[], &[], |layer, x| unary(layer, x, Unary::HardSwish));
pub(super) const HARDSIGMOID: LayerRow = row("hardsigmoid", "min(6, max(0, x + 3)) / 6", &[], &[], |layer, x| {
    unary(layer, x, Unary::HardSigmoid { alpha: 1.0 / 6.0, beta: 0.5 })
});
pub(super) const HARDTANH: LayerRow = row("hardtanh", "x cut to [min, max]", &[MIN, MAX], &[], |layer, x| {
    unary(layer, x, Unary::Clip { min: layer.number("min", -1.0), max: layer.number("max", 1.0) })
});
pub(super) const SIGMOID: LayerRow = row("sigmoid", "1 / (1 + exp(-x))", &[], &[], |layer, x| unary(layer, x, Unary::Sigmoid));
pub(super) const TANH: LayerRow = row("tanh", "tanh(x)", &[], &[], |layer, x| unary(layer, x, Unary::Tanh));
pub(super) const SOFTPLUS: LayerRow = row("softplus", "log(1 + exp(x))", &[], &[], |layer, x| unary(layer, x, Unary::Softplus));
pub(super) const SOFTSIGN: LayerRow = row("softsign", "x / (1 + |x|)", &[], &[], |layer, x| unary(layer, x, Unary::Softsign));

fn unary(layer: &mut Layer, x: Source, function: Unary) -> Result<Source> {
    layer.graph.node(layer.name, Op::Unary(function), &[x])
}
