//! Functions of single elements. Where a function is made of others, its gradient is that of the whole at every finite point.

use std::f32::consts::{FRAC_1_SQRT_2, FRAC_2_SQRT_PI};

use burn::backend::Dispatch;
use burn::backend::ops::FloatTensorOps;

use super::super::value::Mask;
use super::super::{Binary, Unary, Value};

/// Klambauer et al. 2017, "Self-Normalizing Neural Networks", section 2.
const SELU_ALPHA: f32 = 1.673_263_2;
const SELU_SCALE: f32 = 1.050_701;

/// From here on softplus is x in single precision.
const SOFTPLUS_LINEAR: f32 = 20.0;

pub(super) fn unary(x: Value, function: Unary) -> Value {
    match function {
        Unary::Relu => x.relu(),
        Unary::LeakyRelu { slope } => x.leaky_relu(slope),
        Unary::Elu { alpha } => elu(x, alpha, 1.0),
        Unary::Selu => elu(x, SELU_ALPHA, 1.0).times(SELU_SCALE),
        Unary::Celu { alpha } => elu(x, alpha, alpha),
        Unary::Gelu { tanh: false } => x.clone().times(FRAC_1_SQRT_2).erf().plus(1.0).multiply(x).times(0.5),
        Unary::Gelu { tanh: true } => {
            let cube = x.clone().multiply(x.clone()).multiply(x.clone());
            let inner = x.clone().add(cube.times(0.044_715)).times(FRAC_2_SQRT_PI * FRAC_1_SQRT_2);
            inner.tanh().plus(1.0).multiply(x).times(0.5)
        }
        Unary::Silu => x.clone().sigmoid().multiply(x),
        Unary::Mish => softplus(x.clone()).tanh().multiply(x),
        Unary::HardSwish => x.clone().times(1.0 / 6.0).plus(0.5).clamp(0.0, 1.0).multiply(x),
        Unary::HardSigmoid { alpha, beta } => x.times(alpha).plus(beta).clamp(0.0, 1.0),
        Unary::Sigmoid => x.sigmoid(),
        Unary::Tanh => x.tanh(),
        Unary::Softplus => softplus(x),
        Unary::Softsign => x.clone().divide(x.abs().plus(1.0)),
        Unary::Erf => x.erf(),
        Unary::Exp => x.exp(),
        Unary::Log => x.log(),
        Unary::Sqrt => x.sqrt(),
        Unary::Abs => x.abs(),
        Unary::Negate => x.negate(),
        Unary::Reciprocal => x.reciprocal(),
        Unary::Sign => x.sign(),
        Unary::Floor => x.floor(),
        Unary::Ceil => x.ceil(),
        Unary::Round => x.round(),
        Unary::Truncate => x.truncate(),
        Unary::Sin => x.sin(),
        Unary::Cos => x.cos(),
        Unary::Clip { min, max } => match (min == f32::NEG_INFINITY, max == f32::INFINITY) {
            (true, true) => x,
            (true, false) => x.at_most(max),
            (false, true) => x.at_least(min),
            (false, false) => x.clamp(min, max),
        },
        Unary::Not => Mask::zero(x).value(),
    }
}

/// x where positive, else alpha (exp(x / width) - 1); the exponent is cut off at 0, so that no large x overflows it.
fn elu(x: Value, alpha: f32, width: f32) -> Value {
    let below = x.clone().at_most(0.0).times(1.0 / width).exp().plus(-1.0).times(alpha);
    x.relu().add(below)
}

/// log(1 + exp(x)), its exponent cut off where it is x anyway.
fn softplus(x: Value) -> Value {
    let beyond = x.clone().plus(-SOFTPLUS_LINEAR).relu();
    x.at_most(SOFTPLUS_LINEAR).exp().log1p().add(beyond)
}

pub(super) fn binary(a: Value, b: Value, function: Binary) -> Value {
    let compare = |a: Value, b: Value, how| {
        let [a, b] = alike([a, b]);
        Mask::compare(a, b, how)
    };
    match function {
        Binary::Add => a.add(b),
        Binary::Subtract => a.subtract(b),
        Binary::Multiply => a.multiply(b),
        Binary::Divide => a.divide(b),
        Binary::Power => a.power(b),
        Binary::Minimum | Binary::Maximum => {
            let [a, b] = alike([a, b]);
            let how = if function == Binary::Minimum { Dispatch::float_greater } else { Dispatch::float_lower };
            let mask = Mask::compare(a.clone(), b.clone(), how);
            a.masked(mask, b)
        }
        Binary::Equal => compare(a, b, Dispatch::float_equal).value(),
        Binary::Less => compare(a, b, Dispatch::float_lower).value(),
        Binary::LessOrEqual => compare(a, b, Dispatch::float_lower_equal).value(),
        Binary::Greater => compare(a, b, Dispatch::float_greater).value(),
        Binary::GreaterOrEqual => compare(a, b, Dispatch::float_greater_equal).value(),
        Binary::And | Binary::Or => {
            let [a, b] = alike([a, b]).map(Mask::set);
            if function == Binary::And { a.and(b).value() } else { a.or(b).value() }
        }
    }
}

/// A power whose exponent is one known number; small whole ones are products, which have a sign where powers of negative numbers may not.
pub(super) fn power(x: Value, exponent: Option<f32>) -> Value {
    match exponent.unwrap_or(1.0) {
        1.0 => x,
        2.0 => x.clone().multiply(x),
        3.0 => x.clone().multiply(x.clone()).multiply(x),
        0.5 => x.sqrt(),
        exponent => x.power_of(exponent),
    }
}

pub(super) fn prelu(x: Value, slope: Value) -> Value {
    x.clone().relu().subtract(x.negate().relu().multiply(slope))
}

/// `a` where the mask is not 0, else `b`.
pub(super) fn choose(mask: Value, a: Value, b: Value) -> Value {
    let [mask, a, b] = alike([mask, a, b]);
    b.masked(Mask::set(mask), a)
}

/// Values expanded to the sides that they broadcast to.
fn alike<const K: usize>(values: [Value; K]) -> [Value; K] {
    let rank = values.iter().map(|value| value.shape().len()).max().unwrap_or(0);
    let values = values.map(|value| value.ranked(rank));
    let mut sides = vec![1; rank];
    for value in &values {
        for (side, own) in sides.iter_mut().zip(value.shape()) {
            *side = own.max(*side);
        }
    }
    values.map(|value| value.expand(&sides))
}
