//! The training methods, one file each.

mod distillation;
mod fast;
mod fgsm;
mod free;
mod gaussian;
mod ibp;
mod mart;
mod mixed;
mod multi_norm;
mod pgd;
mod standard;
mod trades;

use super::training::trial::{Threatened, inner};
use super::training::{Aim, Inner, Kept, method};
use super::{Ground, TrainerRow};
use crate::options::{Accepts, OptionSpec, Options, Value};
use crate::threat::Norm;

/// Every training method.
pub const TRAINERS: &[TrainerRow] = &[
    standard::ROW,
    fgsm::ROW,
    fast::ROW,
    free::ROW,
    pgd::ROW,
    trades::ROW,
    mart::ROW,
    multi_norm::ROW,
    mixed::ROW,
    ibp::ROW,
    gaussian::ROW,
    distillation::ROW,
];

const NORM: OptionSpec = OptionSpec {
    name: "norm",
    accepts: Accepts::Choice(&["linf", "l2"]),
    default: Some("\"linf\""),
    help: "norm of the training attack's ball",
};

const EPSILON: OptionSpec =
    OptionSpec { name: "epsilon", accepts: Accepts::Distance(0.0, 1e6), default: Some("0.1"), help: "radius of the training attack" };

const STEPS: OptionSpec =
    OptionSpec { name: "steps", accepts: Accepts::Integer(1, 10_000), default: Some("7"), help: "gradient steps of the training attack" };

const SHARE: OptionSpec = OptionSpec {
    name: "share",
    accepts: Accepts::Number(0.0, 1.0),
    default: Some("1.0"),
    help: "share of adversarial examples in a batch",
};

const BETA: OptionSpec =
    OptionSpec { name: "beta", accepts: Accepts::Number(0.0, 1e4), default: Some("6.0"), help: "weight of the regulariser" };

/// The ball that `norm` and `epsilon` name.
fn threat(options: &Options) -> Threatened {
    let norm = if options.text("norm") == Some("l2") { Norm::L2 } else { Norm::Linf };
    Threatened { norm, epsilon: number(options, "epsilon", 0.1) }
}

fn number(options: &Options, name: &str, otherwise: f64) -> f32 {
    options.number(name).unwrap_or(otherwise) as f32
}

/// PGD in a ball, with the step options given; it ends at its last point, since training wants the highest loss and not the first success.
fn pgd_inner(options: &Options, threat: Threatened, random_start: bool, ground: &Ground) -> Inner {
    let given = ["steps", "step", "step_relative"].into_iter().filter_map(|name| Some((name, options.0.get(name)?.clone())));
    let fixed = [("stop", Value::Text("last".into())), ("random_start", Value::Flag(random_start))];
    inner("pgd", given.chain(fixed).collect(), threat, ground.shape, ground.classes)
}

/// Soft targets have no rule where a loss reads the label itself.
fn no_mixup(options: &Options) -> Result<(), String> {
    match options.number("mixup") {
        Some(alpha) if alpha > 0.0 => Err("`mixup` gives examples two classes, and this method's loss reads one: set it to 0".into()),
        _ => Ok(()),
    }
}
