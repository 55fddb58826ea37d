//! Defences: models with whatever stands in front of or behind them.
//!
//! [`TRAINERS`] and [`WRAPPERS`] are the tables: a training method or a wrapper is one file and one row. The training loop is shared; a
//! method says which attack makes the training examples.

mod craft;
mod pgd;
mod prepare;
mod schedule;
mod standard;
mod training;
mod wrapper;

use crate::attack::Attack;
use crate::options::{Accepts, Entry, OptionSpec, Options};
use crate::threat::Norm;

pub use craft::craft;
pub use prepare::{Prepared, Workshop, prepare};
pub use training::{Progress, Trainee, train};
pub use wrapper::{Backward, Thresholds, WRAPPERS, Wrapper, WrapperRow, calibrate, naive, stack};

/// The attack inside a training loop.
pub struct Inner {
    /// It makes the adversarial examples.
    pub attack: Box<dyn Attack>,
    /// The norm of its ball.
    pub norm: Norm,
    /// Its radius, input units.
    pub epsilon: f32,
    /// Share of adversarial examples in a batch.
    pub share: f64,
}

/// A row of [`TRAINERS`].
pub struct TrainerRow {
    /// Name, summary and options.
    pub entry: Entry,
    /// Rules between options.
    pub check: fn(&Options) -> Result<(), String>,
    /// The attack inside the loop, for images of a shape (channels, height, width) and so many classes; `None`: clean examples only.
    pub inner: fn(&Options, [usize; 3], usize) -> Option<Inner>,
}

/// Every training method.
pub const TRAINERS: &[TrainerRow] = &[standard::ROW, pgd::ROW];

const EPOCHS: OptionSpec =
    OptionSpec { name: "epochs", accepts: Accepts::Integer(1, 100_000), default: Some("10"), help: "passes over the training examples" };

const BATCH: OptionSpec = OptionSpec {
    name: "batch",
    accepts: Accepts::Integer(1, 65_536),
    default: Some("64"),
    help: "examples a step; what does not fill a batch waits for the next epoch's order",
};

const OPTIMIZER: OptionSpec = OptionSpec {
    name: "optimizer",
    accepts: Accepts::Choice(&["adam", "sgd"]),
    default: Some("\"adam\""),
    help: "adam (beta 0.9, 0.999) or sgd (Nesterov off)",
};

const LEARNING_RATE: OptionSpec =
    OptionSpec { name: "learning_rate", accepts: Accepts::Number(1e-8, 100.0), default: Some("0.001"), help: "rate at the first step" };

const SCHEDULE: OptionSpec = OptionSpec {
    name: "schedule",
    accepts: Accepts::Choice(&["constant", "cosine", "linear", "step"]),
    default: Some("\"constant\""),
    help: "cosine and linear fall to 0 over all steps; step divides by 10 at 50 % and at 75 % of them",
};

const MOMENTUM: OptionSpec =
    OptionSpec { name: "momentum", accepts: Accepts::Number(0.0, 0.9999), default: Some("0.9"), help: "momentum; read by sgd" };

const WEIGHT_DECAY: OptionSpec = OptionSpec {
    name: "weight_decay",
    accepts: Accepts::Number(0.0, 10.0),
    default: Some("0.0"),
    help: "l2 penalty added to the gradient",
};
