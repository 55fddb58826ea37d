//! Adversarial training (Madry et al. 2018, equation 2.1): every step descends the loss at the points where PGD has ascended it.

use std::collections::BTreeMap;

use super::{BATCH, EPOCHS, Inner, LEARNING_RATE, MOMENTUM, OPTIMIZER, SCHEDULE, TrainerRow, WEIGHT_DECAY};
use crate::attack::step::{STEP, STEP_RELATIVE, one_step};
use crate::attack::{ATTACKS, Setting};
use crate::options::{Accepts, Entry, OptionSpec, Options, Value};
use crate::threat::Norm;

pub(super) const ROW: TrainerRow = TrainerRow {
    entry: Entry {
        name: "pgd",
        summary: "cross-entropy on examples that PGD makes at every step (Madry et al. 2018)",
        options: &[
            EPOCHS,
            BATCH,
            OPTIMIZER,
            LEARNING_RATE,
            SCHEDULE,
            MOMENTUM,
            WEIGHT_DECAY,
            OptionSpec {
                name: "norm",
                accepts: Accepts::Choice(&["linf", "l2"]),
                default: Some("\"linf\""),
                help: "norm of the training attack's ball",
            },
            OptionSpec {
                name: "epsilon",
                accepts: Accepts::Distance(0.0, 1e6),
                default: Some("0.1"),
                help: "radius of the training attack",
            },
            OptionSpec {
                name: "steps",
                accepts: Accepts::Integer(1, 10_000),
                default: Some("7"),
                help: "gradient steps of the training attack",
            },
            STEP,
            OptionSpec { help: "step size as a multiple of epsilon; default 2.5 / steps", ..STEP_RELATIVE },
            OptionSpec { name: "random_start", accepts: Accepts::Flag, default: Some("true"), help: "start at a random point of the ball" },
            OptionSpec {
                name: "share",
                accepts: Accepts::Number(0.0, 1.0),
                default: Some("1.0"),
                help: "share of adversarial examples in a batch",
            },
        ],
    },
    check: one_step,
    inner: |options, shape, classes| Some(inner(options, shape, classes)),
};

fn inner(options: &Options, shape: [usize; 3], classes: usize) -> Inner {
    let pgd = ATTACKS.iter().find(|row| row.entry.name == "pgd").expect("pgd is an attack");
    let mut own: BTreeMap<String, Value> = options.0.clone();
    own.retain(|name, _| ["steps", "step", "step_relative", "random_start"].contains(&name.as_str()));
    // Training wants the point of highest loss, not the first that succeeds.
    own.insert("stop".into(), Value::Text("last".into()));
    let norm = if options.text("norm") == Some("l2") { Norm::L2 } else { Norm::Linf };
    Inner {
        attack: (pgd.build)(&Options(own), &Setting { norm, classes, shape }).remove(0),
        norm,
        epsilon: options.number("epsilon").unwrap_or(0.1) as f32,
        share: options.number("share").unwrap_or(1.0),
    }
}
