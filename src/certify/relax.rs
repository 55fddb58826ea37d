//! Functions of one element: their range over an interval, and lines below and above them.

use super::rounding::{Arithmetic, OUTWARD, TRANSCENDENTAL, gamma64};
use crate::graph::Unary;

/// A line that stays below or above a function over an interval: slope x + intercept, and by how much the bound's arithmetic and the
/// network's may move it, for a coefficient of 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Line {
    pub(super) slope: f64,
    pub(super) intercept: f64,
    pub(super) slack: f64,
}

/// Whether a range is known for a function: the monotone ones, and the absolute value.
pub(super) fn is_known(function: Unary) -> bool {
    match function {
        Unary::LeakyRelu { slope } => slope >= 0.0,
        Unary::Elu { alpha } | Unary::Celu { alpha } => alpha > 0.0,
        Unary::HardSigmoid { alpha, .. } => alpha >= 0.0,
        Unary::Relu
        | Unary::Selu
        | Unary::Sigmoid
        | Unary::Tanh
        | Unary::Softplus
        | Unary::Softsign
        | Unary::Exp
        | Unary::Abs
        | Unary::Negate
        | Unary::Sign
        | Unary::Floor
        | Unary::Ceil
        | Unary::Round
        | Unary::Truncate
        | Unary::Clip { .. } => true,
        _ => false,
    }
}

/// Bounds of what the network computes of an input within [low, high].
pub(super) fn range(function: Unary, [low, high]: [f64; 2], arithmetic: Arithmetic) -> [f64; 2] {
    let (a, b) = (value(function, low), value(function, high));
    let [low, high] = match function {
        Unary::Abs if low < 0.0 && high > 0.0 => [0.0, a.max(b)],
        _ => [a.min(b), a.max(b)],
    };
    let slack = |value: f64| error(function, arithmetic) * if is_elementary(function) { value.abs().max(1.0) } else { value.abs() };
    // What is exact stays exact, so that what is cut off at 0 stays 0.
    let (down, up) = (slack(low), slack(high));
    [if down > 0.0 { (low - down).next_down() } else { low }, if up > 0.0 { (high + up).next_up() } else { high }]
}

/// Lines below and above what the network computes of an input within [low, high], whose own range is `range`.
///
/// A rectifier that may be off and on has the chord above it, and below it x or 0, whichever leaves the smaller area (Zhang et al.,
/// "Efficient Neural Network Robustness Certification with General Activation Functions", NeurIPS 2018, section 3.3). What is straight
/// over the interval is its own line. Everything else has its range: two lines of slope 0.
pub(super) fn lines(function: Unary, [low, high]: [f64; 2], range: [f64; 2], arithmetic: Arithmetic) -> [Line; 2] {
    let size = low.abs().max(high.abs());
    let inexact = error(function, arithmetic) * range[0].abs().max(range[1].abs());
    let line = |slope: f64, intercept: f64| {
        let rounding = gamma64(8) * (slope.abs() * size + intercept.abs());
        Line { slope, intercept, slack: (inexact + rounding) * OUTWARD }
    };
    let straight = |slope: f64| [line(slope, 0.0); 2];
    let kinked = |below: f64| {
        // Any slope is sound once the line passes above both ends of a convex function: a rounded one too.
        let chord = ((high - below * low) / (high - low)).clamp(below, 1.0);
        let intercept = ((below - chord) * low).max((1.0 - chord) * high) * (1.0 + gamma64(4));
        [line(if high > -low { 1.0 } else { below }, 0.0), line(chord, intercept)]
    };
    match function {
        Unary::Relu if low >= 0.0 => straight(1.0),
        Unary::Relu if high <= 0.0 => straight(0.0),
        Unary::Relu => kinked(0.0),
        Unary::LeakyRelu { .. } if low >= 0.0 => straight(1.0),
        Unary::LeakyRelu { slope } if high <= 0.0 => straight(f64::from(slope)),
        Unary::LeakyRelu { slope } if slope <= 1.0 => kinked(f64::from(slope)),
        Unary::Abs if low >= 0.0 => straight(1.0),
        Unary::Abs if high <= 0.0 => straight(-1.0),
        Unary::Negate => straight(-1.0),
        Unary::Clip { min, max } if low >= f64::from(min) && high <= f64::from(max) => straight(1.0),
        _ => range.map(|value| Line { slope: 0.0, intercept: value, slack: gamma64(8) * value.abs() }),
    }
}

/// How far, relative to the size of the result, the network's arithmetic and the bound's may be off.
fn error(function: Unary, arithmetic: Arithmetic) -> f64 {
    match function {
        Unary::LeakyRelu { .. } => arithmetic.gamma(4) + gamma64(4),
        _ if is_elementary(function) => {
            if arithmetic == Arithmetic::F32 {
                TRANSCENDENTAL
            } else {
                gamma64(64)
            }
        }
        _ => 0.0,
    }
}

fn is_elementary(function: Unary) -> bool {
    matches!(
        function,
        Unary::Elu { .. }
            | Unary::Selu
            | Unary::Celu { .. }
            | Unary::Sigmoid
            | Unary::Tanh
            | Unary::Softplus
            | Unary::Softsign
            | Unary::Exp
            | Unary::HardSigmoid { .. }
    )
}

fn value(function: Unary, x: f64) -> f64 {
    match function {
        Unary::Relu => x.max(0.0),
        Unary::LeakyRelu { slope } => {
            if x > 0.0 {
                x
            } else {
                f64::from(slope) * x
            }
        }
        Unary::Elu { alpha } => {
            if x > 0.0 {
                x
            } else {
                f64::from(alpha) * x.exp_m1()
            }
        }
        Unary::Selu => {
            let (scale, alpha) = (1.050_700_987_355_480_5, 1.673_263_242_354_377_2);
            scale * if x > 0.0 { x } else { alpha * x.exp_m1() }
        }
        Unary::Celu { alpha } => {
            if x > 0.0 {
                x
            } else {
                f64::from(alpha) * (x / f64::from(alpha)).exp_m1()
            }
        }
        Unary::HardSigmoid { alpha, beta } => (f64::from(alpha) * x + f64::from(beta)).clamp(0.0, 1.0),
        Unary::Sigmoid => 1.0 / (1.0 + (-x).exp()),
        Unary::Tanh => x.tanh(),
        Unary::Softplus => x.max(0.0) + (-x.abs()).exp().ln_1p(),
        Unary::Softsign => x / (1.0 + x.abs()),
        Unary::Exp => x.exp(),
        Unary::Abs => x.abs(),
        Unary::Negate => -x,
        Unary::Sign => {
            if x == 0.0 {
                0.0
            } else {
                x.signum()
            }
        }
        Unary::Floor => x.floor(),
        Unary::Ceil => x.ceil(),
        Unary::Round => x.round_ties_even(),
        Unary::Truncate => x.trunc(),
        Unary::Clip { min, max } => x.clamp(f64::from(min), f64::from(max)),
        _ => f64::NAN,
    }
}
