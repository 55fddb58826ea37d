//! Functions of one or two elements and their derivatives, lane by lane.

use std::f32::consts::{FRAC_1_SQRT_2, FRAC_2_SQRT_PI};

use crate::graph::{Binary, Unary};

/// Klambauer et al. 2017, "Self-Normalizing Neural Networks", section 2.
pub(crate) const SELU_ALPHA: f32 = 1.673_263_2;
pub(crate) const SELU_SCALE: f32 = 1.050_701;

/// The function of x.
#[inline(always)]
pub(crate) fn unary(function: Unary, x: f32) -> f32 {
    match function {
        Unary::Relu => {
            if x < 0.0 {
                0.0
            } else {
                x
            }
        }
        Unary::LeakyRelu { slope } => {
            if x > 0.0 {
                x
            } else {
                slope * x
            }
        }
        Unary::Elu { alpha } => elu(x, alpha, 1.0),
        Unary::Selu => SELU_SCALE * elu(x, SELU_ALPHA, 1.0),
        Unary::Celu { alpha } => elu(x, alpha, alpha),
        Unary::Gelu { tanh: false } => 0.5 * x * (1.0 + libm::erff(x * FRAC_1_SQRT_2)),
        Unary::Gelu { tanh: true } => 0.5 * x * (1.0 + gelu_inner(x).tanh()),
        Unary::Silu => x * sigmoid(x),
        Unary::Mish => x * softplus(x).tanh(),
        Unary::HardSwish => x * (x / 6.0 + 0.5).clamp(0.0, 1.0),
        Unary::HardSigmoid { alpha, beta } => (alpha * x + beta).clamp(0.0, 1.0),
        Unary::Sigmoid => sigmoid(x),
        Unary::Tanh => x.tanh(),
        Unary::Softplus => softplus(x),
        Unary::Softsign => x / (1.0 + x.abs()),
        Unary::Erf => libm::erff(x),
        Unary::Exp => x.exp(),
        Unary::Log => x.ln(),
        Unary::Sqrt => x.sqrt(),
        Unary::Abs => x.abs(),
        Unary::Negate => -x,
        Unary::Reciprocal => 1.0 / x,
        Unary::Sign => {
            if x > 0.0 {
                1.0
            } else if x < 0.0 {
                -1.0
            } else {
                x
            }
        }
        Unary::Floor => x.floor(),
        Unary::Ceil => x.ceil(),
        Unary::Round => x.round_ties_even(),
        Unary::Truncate => x.trunc(),
        Unary::Sin => x.sin(),
        Unary::Cos => x.cos(),
        Unary::Clip { min, max } => {
            if x < min {
                min
            } else if x > max {
                max
            } else {
                x
            }
        }
        Unary::Not => f32::from(u8::from(x == 0.0)),
    }
}

/// Its derivative at x.
#[inline(always)]
pub(crate) fn slope(function: Unary, x: f32) -> f32 {
    let within = |inside: bool, slope: f32| if inside { slope } else { 0.0 };
    match function {
        Unary::Relu => within(x > 0.0, 1.0),
        Unary::LeakyRelu { slope } => {
            if x > 0.0 {
                1.0
            } else {
                slope
            }
        }
        Unary::Elu { alpha } => elu_slope(x, alpha, 1.0),
        Unary::Selu => SELU_SCALE * elu_slope(x, SELU_ALPHA, 1.0),
        Unary::Celu { alpha } => elu_slope(x, alpha, alpha),
        Unary::Gelu { tanh: false } => {
            let density = (-0.5 * x * x).exp() * FRAC_2_SQRT_PI * FRAC_1_SQRT_2 * 0.5;
            0.5 * (1.0 + libm::erff(x * FRAC_1_SQRT_2)) + x * density
        }
        Unary::Gelu { tanh: true } => {
            let tanh = gelu_inner(x).tanh();
            let inner = FRAC_2_SQRT_PI * FRAC_1_SQRT_2 * (1.0 + 3.0 * 0.044_715 * x * x);
            0.5 * (1.0 + tanh) + 0.5 * x * (1.0 - tanh * tanh) * inner
        }
        Unary::Silu => sigmoid(x) * (1.0 + x * (1.0 - sigmoid(x))),
        Unary::Mish => {
            let tanh = softplus(x).tanh();
            tanh + x * (1.0 - tanh * tanh) * sigmoid(x)
        }
        Unary::HardSwish => {
            let inner = x / 6.0 + 0.5;
            inner.clamp(0.0, 1.0) + within((0.0..=1.0).contains(&inner), x / 6.0)
        }
        Unary::HardSigmoid { alpha, beta } => within((0.0..=1.0).contains(&(alpha * x + beta)), alpha),
        Unary::Sigmoid => sigmoid(x) * (1.0 - sigmoid(x)),
        Unary::Tanh => 1.0 - x.tanh() * x.tanh(),
        Unary::Softplus => sigmoid(x),
        Unary::Softsign => (1.0 + x.abs()).powi(-2),
        Unary::Erf => FRAC_2_SQRT_PI * (-x * x).exp(),
        Unary::Exp => x.exp(),
        Unary::Log => 1.0 / x,
        Unary::Sqrt => 0.5 / x.sqrt(),
        Unary::Abs => {
            if x > 0.0 {
                1.0
            } else {
                within(x < 0.0, -1.0)
            }
        }
        Unary::Negate => -1.0,
        Unary::Reciprocal => -1.0 / (x * x),
        Unary::Sin => x.cos(),
        Unary::Cos => -x.sin(),
        Unary::Clip { min, max } => within((min..=max).contains(&x), 1.0),
        Unary::Sign | Unary::Floor | Unary::Ceil | Unary::Round | Unary::Truncate | Unary::Not => 0.0,
    }
}

/// Above this sum of exponents softplus is x in single precision.
const SOFTPLUS_LINEAR: f32 = 20.0;

fn softplus(x: f32) -> f32 {
    if x > SOFTPLUS_LINEAR { x } else { x.exp().ln_1p() }
}

fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + (-x).exp())
}

/// x where positive, else alpha (exp(x / width) - 1).
fn elu(x: f32, alpha: f32, width: f32) -> f32 {
    if x > 0.0 { x } else { alpha * (x / width).exp_m1() }
}

fn elu_slope(x: f32, alpha: f32, width: f32) -> f32 {
    if x > 0.0 { 1.0 } else { alpha / width * (x / width).exp() }
}

fn gelu_inner(x: f32) -> f32 {
    FRAC_2_SQRT_PI * FRAC_1_SQRT_2 * (x + 0.044_715 * x * x * x)
}

/// The function of a and b.
#[inline(always)]
pub(super) fn binary(function: Binary, a: f32, b: f32) -> f32 {
    let truth = |is: bool| f32::from(u8::from(is));
    match function {
        Binary::Add => a + b,
        Binary::Subtract => a - b,
        Binary::Multiply => a * b,
        Binary::Divide => a / b,
        Binary::Power => a.powf(b),
        Binary::Minimum => {
            if a > b {
                b
            } else {
                a
            }
        }
        Binary::Maximum => {
            if a < b {
                b
            } else {
                a
            }
        }
        Binary::Equal => truth(a == b),
        Binary::Less => truth(a < b),
        Binary::LessOrEqual => truth(a <= b),
        Binary::Greater => truth(a > b),
        Binary::GreaterOrEqual => truth(a >= b),
        Binary::And => truth(a != 0.0 && b != 0.0),
        Binary::Or => truth(a != 0.0 || b != 0.0),
    }
}

/// Its derivatives with respect to a and b.
#[inline(always)]
pub(super) fn slopes(function: Binary, a: f32, b: f32) -> [f32; 2] {
    match function {
        Binary::Add => [1.0, 1.0],
        Binary::Subtract => [1.0, -1.0],
        Binary::Multiply => [b, a],
        Binary::Divide => [1.0 / b, -a / (b * b)],
        Binary::Power => [b * a.powf(b - 1.0), a.powf(b) * a.ln()],
        Binary::Minimum => {
            if a > b {
                [0.0, 1.0]
            } else {
                [1.0, 0.0]
            }
        }
        Binary::Maximum => {
            if a < b {
                [0.0, 1.0]
            } else {
                [1.0, 0.0]
            }
        }
        _ => [0.0, 0.0],
    }
}
