//! The fast gradient sign method (Goodfellow et al. 2015, "Explaining and Harnessing Adversarial Examples", section 4), and under l2 the
//! fast gradient method: one step of epsilon along the gradient at the original.
//!
//! The gradient does not depend on epsilon, so an example's first row keeps it in the slot and the rows at the other epsilons pay one
//! forward pass each. The gradient is kept divided by its l1 norm, which changes neither its sign nor its direction.

use burn::tensor::Tensor;

use super::goal::{self, GOAL, Goal, LOSS, TARGET};
use super::step::{EOT, draws};
use super::{Attack, AttackRow, RowPlan};
use crate::engine::slots::Slots;
use crate::kernel::row::{LAST, START_KEPT, START_ORIGIN};
use crate::options::{Entry, Options};
use crate::threat::Norm;

pub(super) const ROW: AttackRow = AttackRow {
    entry: Entry {
        name: "fgsm",
        summary: "one step of epsilon along the gradient at the original (Goodfellow et al. 2015)",
        options: &[GOAL, TARGET, LOSS, EOT],
    },
    norms: &[Norm::Linf, Norm::L2],
    check: |_| Ok(()),
    build: |options, _| vec![Box::new(Fgsm::new(options))],
};

/// One step of epsilon.
pub(super) struct Fgsm {
    pub(super) goal: Goal,
    /// Loss and goal, as in [`crate::kernel::row`].
    pub(super) flags: u32,
    /// Draws that the gradient is averaged over.
    pub(super) draws: Option<u32>,
}

impl Fgsm {
    fn new(options: &Options) -> Self {
        Self { goal: goal::goal(options), flags: goal::flags(options), draws: draws(options) }
    }
}

impl Attack for Fgsm {
    fn goal(&self) -> Goal {
        self.goal
    }

    fn plan(&self, epsilon: f32, _attempt: u32, kept: bool) -> RowPlan {
        let (start, steps) = if kept { (START_KEPT, 0) } else { (START_ORIGIN, 1) };
        RowPlan { step_size: epsilon, steps, start, flags: self.flags | LAST, ..RowPlan::default() }
    }

    fn draws(&self) -> Option<u32> {
        self.draws
    }

    fn runs_every_epsilon(&self) -> bool {
        true
    }

    fn keeps_for_next_row(&self) -> bool {
        true
    }

    fn start(&self, slots: &mut Slots) {
        slots.place_fresh_rows();
        // Fresh rows that start from what was kept take their step now; running rows do not move along it again, for theirs is taken.
        slots.start_from_memory();
    }

    fn advance(&self, slots: &mut Slots, gradient: Option<Tensor<2>>) {
        slots.gather_momentum(gradient.expect("fgsm asks for gradients"));
        slots.step_along(slots.memory.clone());
    }
}
