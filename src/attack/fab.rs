//! The fast adaptive boundary attack (Croce and Hein 2020, "Minimally distorted adversarial examples with a fast adaptive boundary
//! attack"), targeted as in AutoAttack (Croce and Hein 2020, "Reliable evaluation of adversarial robustness with an ensemble of diverse
//! parameter-free attacks"): it looks for the smallest perturbation, each row towards the boundary to one class.
//!
//! The targets are the classes with the largest clean logits but the label, one a row. The untargeted attack wants the gradients of all
//! logits at every step; with as many targets as there are other classes, rows for each of them take its place. A row's points are those
//! of the paper's algorithm, in fewer forward passes, since one pass tells whether the last step was a success and gives the next
//! gradient; points between the origin and a success, which it does not look at, count here too where they are successes. So does a
//! random start.
//!
//! With `stop = "last"` a row hands in the closest success to its own target. The next target is tried at an epsilon only where a row has
//! survived it, so the smallest perturbation over all targets wants epsilons close below the first one found.

use burn::tensor::Tensor;

use super::goal::Goal;
use super::{Attack, AttackRow, RowPlan, Setting};
use crate::engine::slots::Slots;
use crate::kernel::fab_step::Pace;
use crate::kernel::row::{LAST, MARGIN, OWN_END, START_ORIGIN, START_RANDOM, TOWARDS};
use crate::kernel::{fab_look, fab_start, fab_step};
use crate::options::{Accepts, Entry, OptionSpec, Options};
use crate::threat::Norm;

pub(super) const ROW: AttackRow = AttackRow {
    entry: Entry {
        name: "fab",
        summary: "targeted fast adaptive boundary attack: the smallest perturbation (Croce and Hein 2020)",
        options: &[
            OptionSpec {
                name: "targets",
                accepts: Accepts::Integer(1, 1_000_000),
                default: Some("9"),
                help: "classes to try, by their clean logits; at most all but the label",
            },
            OptionSpec { name: "steps", accepts: Accepts::Integer(1, 1_000_000), default: Some("100"), help: "gradient steps" },
            OptionSpec {
                name: "restarts",
                accepts: Accepts::Integer(1, 1_000_000),
                default: Some("1"),
                help: "rows for each target; the first starts at the original, the others at random at half of epsilon from it",
            },
            OptionSpec {
                name: "alpha_max",
                accepts: Accepts::Number(0.0, 1.0),
                default: Some("0.1"),
                help: "largest weight of the original's projection in a step",
            },
            OptionSpec {
                name: "eta",
                accepts: Accepts::Number(1.0, 10.0),
                default: Some("1.05"),
                help: "how far beyond the linearised boundary a step goes; 1: on it",
            },
            OptionSpec {
                name: "beta",
                accepts: Accepts::Number(0.0, 1.0),
                default: Some("0.9"),
                help: "what is left of the way from the original after a success",
            },
            OptionSpec {
                name: "stop",
                accepts: Accepts::Choice(&["first", "last"]),
                default: Some("\"first\""),
                help: "first: a row leaves at a success within epsilon; last: it takes every step, for the closest success",
            },
        ],
    },
    norms: &[Norm::Linf, Norm::L2, Norm::L1],
    check: |_| Ok(()),
    build: |options, setting| vec![Box::new(Fab::new(options, setting))],
};

/// Targeted FAB.
pub(super) struct Fab {
    targets: u32,
    steps: u32,
    restarts: u32,
    pace: Pace,
    /// Whether rows take every step.
    last: bool,
}

impl Fab {
    /// As AutoAttack runs it: rows stop at a success within epsilon; `targets` is cut to the classes but one.
    pub(super) fn targeted(setting: &Setting, targets: u32, steps: u32, restarts: u32) -> Self {
        let targets = targets.clamp(1, setting.classes.saturating_sub(1).max(1) as u32);
        Self { targets, steps, restarts, pace: Pace::default(), last: false }
    }

    fn new(options: &Options, setting: &Setting) -> Self {
        let integer = |name, otherwise| options.integer(name).map_or(otherwise, |value| value as u32);
        let number = |name, otherwise| options.number(name).map_or(otherwise, |value| value as f32);
        let usual = Pace::default();
        Self {
            pace: Pace { alpha_max: number("alpha_max", usual.alpha_max), eta: number("eta", usual.eta), beta: number("beta", usual.beta) },
            last: options.text("stop") == Some("last"),
            ..Self::targeted(setting, integer("targets", 9), integer("steps", 100), integer("restarts", 1))
        }
    }
}

impl Attack for Fab {
    fn goal(&self) -> Goal {
        Goal::Untargeted
    }

    fn plan(&self, _epsilon: f32, attempt: u32, _kept: bool) -> RowPlan {
        RowPlan {
            steps: self.steps,
            start: if attempt.is_multiple_of(self.restarts) { START_ORIGIN } else { START_RANDOM },
            flags: MARGIN | TOWARDS | OWN_END | if self.last { LAST } else { 0 },
            rank: Some(attempt / self.restarts),
            ..RowPlan::default()
        }
    }

    fn attempts(&self) -> u32 {
        self.targets.saturating_mul(self.restarts)
    }

    fn ranks(&self) -> u32 {
        self.targets
    }

    // Its points lie at the boundary, on a side that half precision cannot tell.
    fn searches_in_half(&self) -> bool {
        false
    }

    fn start(&self, slots: &mut Slots) {
        slots.x = fab_start(slots.x.clone(), slots.origin.clone(), slots.rows.clone(), slots.state.clone(), slots.norm);
    }

    fn advance(&self, slots: &mut Slots, gradient: Option<Tensor<2>>) {
        let gradient = gradient.expect("fab asks for gradients");
        let (x, origin) = (slots.x.clone(), slots.origin.clone());
        (slots.state, slots.notes) =
            fab_look(x.clone(), origin.clone(), slots.rows.clone(), slots.state.clone(), slots.notes.clone(), slots.norm);
        if self.last {
            // `improved` says now whether the point is the closest success.
            slots.keep_best();
        }
        (slots.x, slots.state) = fab_step(x, origin, gradient, slots.state.clone(), slots.notes.clone(), slots.norm, self.pace);
    }

    fn remains(&self, _slots: &Slots) -> Option<Tensor<2>> {
        None
    }

    fn candidates(&self, slots: &Slots) -> Tensor<2> {
        if self.last { slots.memory.clone() } else { slots.x.clone() }
    }
}
