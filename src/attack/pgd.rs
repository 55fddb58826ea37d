//! Projected gradient descent (Madry et al. 2018, "Towards Deep Learning Models Resistant to Adversarial Attacks", section 2.1).
//!
//! Signed steps under l-infinity, normalised steps under l2; after each, the point is projected on the ball and clipped to [0, 1].

use burn::tensor::Tensor;

use super::fgsm::Fgsm;
use super::goal::{self, GOAL, Goal, LOSS, TARGET};
use super::step::{EOT, STEP, STEP_RELATIVE, StepSize, draws, one_step};
use super::{Attack, AttackRow, RowPlan};
use crate::engine::slots::Slots;
use crate::kernel::row::{LAST, START_ORIGIN, START_RANDOM};
use crate::options::{Accepts, Entry, OptionSpec, Options};
use crate::threat::Norm;

pub(super) const ROW: AttackRow = AttackRow {
    entry: Entry {
        name: "pgd",
        summary: "projected gradient descent (Madry et al. 2018)",
        options: &[
            GOAL,
            TARGET,
            LOSS,
            EOT,
            OptionSpec { name: "steps", accepts: Accepts::Integer(1, 1_000_000), default: Some("40"), help: "gradient steps" },
            STEP,
            OptionSpec { help: "step size as a multiple of epsilon; default 2.5 / steps", ..STEP_RELATIVE },
            OptionSpec {
                name: "random_start",
                accepts: Accepts::Flag,
                default: Some("true"),
                help: "start at a uniform point of the ball instead of the original",
            },
            OptionSpec { name: "restarts", accepts: Accepts::Integer(1, 1_000_000), default: Some("1"), help: "rows tried at an epsilon" },
            OptionSpec {
                name: "stop",
                accepts: Accepts::Choice(&["first", "last"]),
                default: Some("\"first\""),
                help: "first: a row leaves when it breaks; last: the point after the last step alone is judged",
            },
        ],
    },
    norms: &[Norm::Linf, Norm::L2],
    check: one_step,
    build: |options, _| vec![Box::new(Pgd::new(options))],
};

pub(super) struct Pgd {
    goal: Goal,
    flags: u32,
    draws: Option<u32>,
    steps: u32,
    step: StepSize,
    random_start: bool,
    restarts: u32,
}

impl Pgd {
    pub(super) fn new(options: &Options) -> Self {
        let steps = options.integer("steps").unwrap_or(40) as u32;
        let last = if options.text("stop") == Some("last") { LAST } else { 0 };
        Self {
            goal: goal::goal(options),
            flags: goal::flags(options) | last,
            draws: draws(options),
            steps,
            step: StepSize::from_options(options, 2.5 / steps as f32),
            random_start: options.flag("random_start").unwrap_or(true),
            restarts: options.integer("restarts").unwrap_or(1) as u32,
        }
    }
}

impl Attack for Pgd {
    fn goal(&self) -> Goal {
        self.goal
    }

    fn plan(&self, epsilon: f32, _attempt: u32, _kept: bool) -> RowPlan {
        RowPlan {
            step_size: self.step.at(epsilon),
            steps: self.steps,
            start: if self.random_start { START_RANDOM } else { START_ORIGIN },
            flags: self.flags,
            ..RowPlan::default()
        }
    }

    fn attempts(&self) -> u32 {
        // Without a random start every restart would find the same.
        if self.random_start { self.restarts } else { 1 }
    }

    fn draws(&self) -> Option<u32> {
        self.draws
    }

    fn scout(&self) -> Option<Box<dyn Attack>> {
        Some(Box::new(Fgsm { goal: self.goal, flags: self.flags, draws: self.draws }))
    }

    fn start(&self, slots: &mut Slots) {
        slots.place_fresh_rows();
    }

    fn advance(&self, slots: &mut Slots, gradient: Option<Tensor<2>>) {
        slots.step_along(gradient.expect("pgd asks for gradients"));
    }
}
