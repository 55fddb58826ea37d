//! The momentum iterative fast gradient method (Dong et al. 2018, "Boosting Adversarial Attacks with Momentum", algorithm 1).
//!
//! The direction is the decayed sum of gradients, each divided by its l1 norm (equation 6); steps of epsilon / steps from the original.

use burn::tensor::Tensor;

use super::fgsm::Fgsm;
use super::goal::{self, GOAL, Goal, LOSS, TARGET};
use super::step::{EOT, STEP, STEP_RELATIVE, StepSize, draws, one_step};
use super::{Attack, AttackRow, RowPlan};
use crate::engine::slots::Slots;
use crate::kernel::row::START_ORIGIN;
use crate::options::{Accepts, Entry, OptionSpec, Options};
use crate::threat::Norm;

pub(super) const ROW: AttackRow = AttackRow {
    entry: Entry {
        name: "mi-fgsm",
        summary: "momentum iterative fast gradient method (Dong et al. 2018)",
        options: &[
            GOAL,
            TARGET,
            LOSS,
            EOT,
            OptionSpec { name: "steps", accepts: Accepts::Integer(1, 1_000_000), default: Some("10"), help: "gradient steps" },
            STEP,
            OptionSpec { help: "step size as a multiple of epsilon; default 1 / steps", ..STEP_RELATIVE },
            OptionSpec { name: "decay", accepts: Accepts::Number(0.0, 10.0), default: Some("1.0"), help: "weight of the gradients before" },
        ],
    },
    norms: &[Norm::Linf, Norm::L2],
    check: one_step,
    build: |options, _| vec![Box::new(MiFgsm::new(options))],
};

struct MiFgsm {
    goal: Goal,
    flags: u32,
    draws: Option<u32>,
    steps: u32,
    step: StepSize,
    decay: f32,
}

impl MiFgsm {
    fn new(options: &Options) -> Self {
        let steps = options.integer("steps").unwrap_or(10) as u32;
        Self {
            goal: goal::goal(options),
            flags: goal::flags(options),
            draws: draws(options),
            steps,
            step: StepSize::from_options(options, 1.0 / steps as f32),
            decay: options.number("decay").unwrap_or(1.0) as f32,
        }
    }
}

impl Attack for MiFgsm {
    fn goal(&self) -> Goal {
        self.goal
    }

    fn plan(&self, epsilon: f32, _attempt: u32, _kept: bool) -> RowPlan {
        RowPlan {
            step_size: self.step.at(epsilon),
            steps: self.steps,
            start: START_ORIGIN,
            flags: self.flags,
            decay: self.decay,
            ..RowPlan::default()
        }
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
        slots.gather_momentum(gradient.expect("mi-fgsm asks for gradients"));
        slots.step_along(slots.memory.clone());
    }
}
