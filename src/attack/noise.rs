//! Best of N uniform draws from the ball: the baseline that a gradient must beat.

use burn::tensor::Tensor;

use super::goal::{self, GOAL, Goal, TARGET};
use super::{Attack, AttackRow, RowPlan};
use crate::engine::slots::Slots;
use crate::kernel::row::{MARGIN, START_RANDOM};
use crate::options::{Accepts, Entry, OptionSpec};
use crate::threat::Norm;

pub(super) const ROW: AttackRow = AttackRow {
    entry: Entry {
        name: "noise",
        summary: "best of N uniform draws from the ball",
        options: &[
            GOAL,
            TARGET,
            OptionSpec { name: "draws", accepts: Accepts::Integer(1, 10_000_000), default: Some("100"), help: "draws at an epsilon" },
        ],
    },
    norms: &[Norm::Linf, Norm::L2],
    check: |_| Ok(()),
    build: |options, _| {
        vec![Box::new(Noise {
            goal: goal::goal(options),
            flags: goal::flags(options) | MARGIN,
            draws: options.integer("draws").unwrap_or(100) as u32,
        })]
    },
};

struct Noise {
    goal: Goal,
    flags: u32,
    draws: u32,
}

impl Attack for Noise {
    fn goal(&self) -> Goal {
        self.goal
    }

    fn plan(&self, _epsilon: f32, _attempt: u32, _kept: bool) -> RowPlan {
        RowPlan { step_size: 0.0, steps: self.draws - 1, start: START_RANDOM, flags: self.flags, ..RowPlan::default() }
    }

    fn uses_gradients(&self) -> bool {
        false
    }

    fn runs_every_epsilon(&self) -> bool {
        true
    }

    fn start(&self, slots: &mut Slots) {
        slots.redraw_rows();
    }

    fn advance(&self, slots: &mut Slots, _gradient: Option<Tensor<2>>) {
        slots.keep_best();
    }

    fn candidates(&self, slots: &Slots) -> Tensor<2> {
        slots.memory.clone()
    }
}
