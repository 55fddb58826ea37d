//! The Square attack (Andriushchenko et al. 2020, "Square Attack: a query-efficient black-box adversarial attack via random search"):
//! random windows of the best point so far are changed, and what raises the margin is kept. No gradients.
//!
//! Iterations, windows and patterns are those of AutoAttack (Croce and Hein 2020). What differs: every row draws for itself, while
//! there a batch shares its windows; windows may touch the last line and column, as in the paper; a window that the drawn signs would
//! leave as it is gets others, as in the authors' first code; the start is one of the queries, where there it comes on top; and with a
//! target the margin is followed, not the cross-entropy.

use burn::tensor::Tensor;

use super::goal::{self, GOAL, Goal, TARGET};
use super::{Attack, AttackRow, RowPlan, Setting};
use crate::engine::slots::Slots;
use crate::kernel;
use crate::kernel::row::{MARGIN, START_RANDOM};
use crate::kernel::square::Schedule;
use crate::options::{Accepts, Entry, OptionSpec};
use crate::threat::Norm;

pub(super) const ROW: AttackRow = AttackRow {
    entry: Entry {
        name: "square",
        summary: "random windows, no gradients (Andriushchenko et al. 2020)",
        options: &[
            GOAL,
            TARGET,
            OptionSpec {
                name: "queries",
                accepts: Accepts::Integer(1, 10_000_000),
                default: Some("5000"),
                help: "forward passes at an epsilon, the start's among them",
            },
            OptionSpec {
                name: "p",
                accepts: Accepts::Number(0.000_001, 1.0),
                default: Some("0.8"),
                help: "share of the pixels that the first windows cover",
            },
            OptionSpec { name: "restarts", accepts: Accepts::Integer(1, 1_000_000), default: Some("1"), help: "rows tried at an epsilon" },
            OptionSpec {
                name: "rescale",
                accepts: Accepts::Flag,
                default: Some("false"),
                help: "windows shrink in proportion to `queries`, not as they do in 10,000",
            },
        ],
    },
    norms: &[Norm::Linf, Norm::L2, Norm::L1],
    check: |_| Ok(()),
    build: |options, setting| {
        let queries = options.integer("queries").unwrap_or(5000) as u32;
        let restarts = options.integer("restarts").unwrap_or(1) as u32;
        let (p, rescale) = (options.number("p").unwrap_or(0.8), options.flag("rescale").unwrap_or(false));
        vec![Box::new(Square {
            goal: goal::goal(options),
            flags: goal::flags(options) | MARGIN,
            schedule: schedule(setting, queries, p, rescale),
            ..Square::new(setting, queries, restarts)
        })]
    },
};

/// The attack under the norm and on the images of a setting.
pub(super) struct Square {
    goal: Goal,
    flags: u32,
    queries: u32,
    restarts: u32,
    schedule: Schedule,
}

impl Square {
    /// As AutoAttack runs it: untargeted, windows of 0.8 of the pixels at first, the schedule of 10,000 queries.
    pub(super) fn new(setting: &Setting, queries: u32, restarts: u32) -> Self {
        Self { goal: Goal::Untargeted, flags: MARGIN, queries, restarts, schedule: schedule(setting, queries, 0.8, false) }
    }
}

fn schedule(setting: &Setting, queries: u32, p: f64, rescale: bool) -> Schedule {
    let [_, height, width] = setting.shape;
    Schedule::new(setting.norm, queries, p, rescale, [height, width])
}

impl Attack for Square {
    fn goal(&self) -> Goal {
        self.goal
    }

    fn plan(&self, _epsilon: f32, _attempt: u32, _kept: bool) -> RowPlan {
        RowPlan { steps: self.queries - 1, start: START_RANDOM, flags: self.flags, ..RowPlan::default() }
    }

    fn attempts(&self) -> u32 {
        self.restarts
    }

    fn uses_gradients(&self) -> bool {
        false
    }

    /// Fresh rows start, running rows propose.
    fn start(&self, slots: &mut Slots) {
        let place = if slots.norm == Norm::Linf { kernel::square_linf } else { kernel::square_mass };
        let (best, origin, rows, state) = (slots.memory.clone(), slots.origin.clone(), slots.rows.clone(), slots.state.clone());
        slots.x = place(slots.x.clone(), best, origin, rows, state, slots.shape, &self.schedule);
        if slots.norm == Norm::L1 {
            slots.project();
        }
    }

    fn advance(&self, slots: &mut Slots, _gradient: Option<Tensor<2>>) {
        slots.keep_best();
    }

    fn keeps_best(&self) -> bool {
        true
    }

    fn remains(&self, slots: &Slots) -> Option<Tensor<2>> {
        Some(slots.memory.clone())
    }
}
