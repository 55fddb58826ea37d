//! A transfer attack (Papernot et al. 2016, "Transferability in Machine Learning"; Tramer et al. 2018): PGD on another defence of the
//! suite, the surrogate, whose last points alone are put before the judge, those too that do not fool the surrogate.

use burn::tensor::Tensor;

use super::goal::{GOAL, Goal, LOSS, TARGET};
use super::pgd::Pgd;
use super::step::{EOT, STEP, STEP_RELATIVE, one_step};
use super::{Attack, AttackRow, RowPlan};
use crate::engine::slots::Slots;
use crate::kernel::row::LAST;
use crate::options::{Accepts, Entry, OptionSpec};
use crate::threat::Norm;

/// The option that names the defence that a transfer attack crafts on.
pub const SURROGATE: &str = "surrogate";

pub(super) const ROW: AttackRow = AttackRow {
    entry: Entry {
        name: "transfer",
        summary: "PGD's last points on another defence of the suite (Papernot et al. 2016)",
        options: &[
            OptionSpec {
                name: SURROGATE,
                accepts: Accepts::Text,
                default: None,
                help: "name of the defence that the points are crafted on; required",
            },
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
        ],
    },
    norms: &[Norm::Linf, Norm::L2],
    check: |options| {
        if options.text(SURROGATE).is_none() {
            return Err("`surrogate` is missing: name the defence that the points are crafted on".into());
        }
        one_step(options)
    },
    build: |options, _| {
        let surrogate = options.text(SURROGATE).unwrap_or_default().to_string();
        vec![Box::new(Transfer { inner: Pgd::new(options), surrogate })]
    },
};

struct Transfer {
    inner: Pgd,
    surrogate: String,
}

impl Attack for Transfer {
    fn goal(&self) -> Goal {
        self.inner.goal()
    }

    fn plan(&self, epsilon: f32, attempt: u32, kept: bool) -> RowPlan {
        let plan = self.inner.plan(epsilon, attempt, kept);
        RowPlan { flags: plan.flags | LAST, ..plan }
    }

    fn draws(&self) -> Option<u32> {
        self.inner.draws()
    }

    fn surrogate(&self) -> Option<&str> {
        Some(&self.surrogate)
    }

    // A point that breaks the surrogate far out need not be nearer to breaking the other one.
    fn runs_every_epsilon(&self) -> bool {
        true
    }

    fn start(&self, slots: &mut Slots) {
        self.inner.start(slots);
    }

    fn advance(&self, slots: &mut Slots, gradient: Option<Tensor<2>>) {
        self.inner.advance(slots, gradient);
    }
}
