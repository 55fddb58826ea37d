//! Auto-PGD (Croce and Hein 2020, "Reliable evaluation of adversarial robustness with an ensemble of diverse parameter-free attacks",
//! algorithm 1), and under l1 its sparse version (Croce and Hein 2021, "Mind the box", algorithm 2): projected gradient steps with
//! momentum whose size shrinks where the loss stops rising.
//!
//! With `targets`, the loss of row after row leads to another class, the one with the largest clean logit first, and any wrong class is
//! a success (APGD-T). With `larger_epsilons`, a row goes through 0.3, 0.3 and 0.4 of its steps at 3, 2 and 1 times epsilon, each stage
//! from the projection of the best point before, and a success counts in the last one only.

use std::mem::replace;

use burn::tensor::Tensor;

use super::fgsm::Fgsm;
use super::goal::{self, GOAL, Goal, LOSS, TARGET};
use super::step::{EOT, draws};
use super::{Attack, AttackRow, RowPlan, Setting};
use crate::engine::slots::Slots;
use crate::kernel::apgd::stage_steps;
use crate::kernel::apgd_check::Schedule;
use crate::kernel::row::{DLR, START_RANDOM, TOWARDS};
use crate::kernel::{apgd_check, apgd_keep, apgd_l1_step, apgd_start, apgd_step};
use crate::options::{Accepts, Entry, OptionSpec, Options};
use crate::threat::Norm;

pub(super) const ROW: AttackRow = AttackRow {
    entry: Entry {
        name: "apgd",
        summary: "Auto-PGD: momentum and step sizes that follow the loss (Croce and Hein 2020, 2021)",
        options: &[
            GOAL,
            TARGET,
            OptionSpec { default: None, help: "the loss to ascend; default cross-entropy, or dlr with `targets`", ..LOSS },
            OptionSpec {
                name: "targets",
                accepts: Accepts::Integer(0, 1_000_000),
                default: Some("0"),
                help: "lead to so many other classes in turn, by clean logit; any wrong class is a success; 0: lead away from the label",
            },
            OptionSpec { name: "steps", accepts: Accepts::Integer(1, 1_000_000), default: Some("100"), help: "gradient steps" },
            OptionSpec {
                name: "rho",
                accepts: Accepts::Number(0.0, 1.0),
                default: Some("0.75"),
                help: "linf, l2: halve the step size where at most this share of the steps since the last checkpoint raised the loss",
            },
            OptionSpec {
                name: "restarts",
                accepts: Accepts::Integer(1, 1_000_000),
                default: Some("1"),
                help: "rows tried at an epsilon, for each target",
            },
            OptionSpec {
                name: "larger_epsilons",
                accepts: Accepts::Flag,
                default: None,
                help: "l1: begin at 3 and 2 times epsilon; default true",
            },
            EOT,
        ],
    },
    norms: &[Norm::Linf, Norm::L2, Norm::L1],
    check: |options| match (goal::goal(options), options.integer("targets")) {
        (Goal::Targeted(_), Some(1..)) => Err("`targets` leads to any wrong class, goal = \"targeted\" to one: keep one of them".into()),
        _ => Ok(()),
    },
    build: |options, setting| vec![Box::new(Apgd::new(options, setting))],
};

/// The attack under one norm.
pub(super) struct Apgd {
    goal: Goal,
    flags: u32,
    norm: Norm,
    /// Targets of an untargeted goal; 0: the loss leads away from the label.
    targets: u32,
    restarts: u32,
    steps: u32,
    rho: f32,
    /// 1, or 3 with larger epsilons first.
    stages: u32,
    draws: Option<u32>,
}

/// Places of [`Slots::planes`].
const BEST: usize = 0;
const BEST_GRADIENT: usize = 1;
const PREVIOUS: usize = 2;

impl Apgd {
    fn new(options: &Options, setting: &Setting) -> Self {
        let integer = |name, otherwise| options.integer(name).unwrap_or(otherwise) as u32;
        let plain = Self::untargeted(setting, integer("steps", 100), integer("restarts", 1), draws(options));
        let targets = integer("targets", 0).min(setting.classes as u32 - 1);
        let loss = if targets > 0 && options.text("loss").is_none() { DLR } else { 0 };
        Self {
            goal: goal::goal(options),
            flags: goal::flags(options) | loss | if targets > 0 { TOWARDS } else { 0 },
            targets,
            rho: options.number("rho").unwrap_or(0.75) as f32,
            stages: if options.flag("larger_epsilons") == Some(false) { 1 } else { plain.stages },
            ..plain
        }
    }

    fn untargeted(setting: &Setting, steps: u32, restarts: u32, eot: Option<u32>) -> Self {
        let stages = if setting.norm == Norm::L1 { 3 } else { 1 };
        Self { goal: Goal::Untargeted, flags: 0, norm: setting.norm, targets: 0, restarts, steps, rho: 0.75, stages, draws: eot }
    }

    /// APGD-CE; `eot` draws of a random defence a step, or as many as the engine thinks right.
    pub(super) fn cross_entropy(setting: &Setting, steps: u32, restarts: u32, eot: Option<u32>) -> Self {
        Self::untargeted(setting, steps, restarts, eot)
    }

    /// APGD-DLR; on the margin where there are fewer than three classes.
    pub(super) fn dlr(setting: &Setting, steps: u32, restarts: u32, eot: Option<u32>) -> Self {
        Self { flags: DLR, ..Self::untargeted(setting, steps, restarts, eot) }
    }

    /// APGD-T, on as many targets as there are other classes at most; on the margin where there are fewer than four classes.
    pub(super) fn targeted(setting: &Setting, targets: u32, steps: u32, restarts: u32) -> Self {
        let targets = targets.min(setting.classes as u32 - 1);
        Self { flags: DLR | TOWARDS, targets, ..Self::untargeted(setting, steps, restarts, None) }
    }

    /// Two stages end with a step that projects.
    fn all_steps(&self) -> u32 {
        self.steps + self.stages - 1
    }
}

impl Attack for Apgd {
    fn goal(&self) -> Goal {
        self.goal
    }

    fn plan(&self, epsilon: f32, attempt: u32, _kept: bool) -> RowPlan {
        let early = (0..self.stages - 1).map(|stage| stage_steps(self.steps, self.stages, stage) + 1);
        RowPlan {
            step_size: if self.norm == Norm::L1 { epsilon } else { 2.0 * epsilon },
            steps: self.all_steps(),
            start: START_RANDOM,
            flags: self.flags,
            counts_from: early.sum(),
            rank: (self.targets > 0).then(|| attempt / self.restarts),
            ..RowPlan::default()
        }
    }

    fn attempts(&self) -> u32 {
        self.targets.max(1) * self.restarts
    }

    fn ranks(&self) -> u32 {
        self.targets
    }

    fn planes(&self) -> usize {
        if self.norm == Norm::L1 { 2 } else { 3 }
    }

    fn draws(&self) -> Option<u32> {
        self.draws
    }

    fn scout(&self) -> Option<Box<dyn Attack>> {
        // One step has no target of its own to lead to.
        let flags = if self.targets > 0 { 0 } else { self.flags };
        (self.norm != Norm::L1).then(|| Box::new(Fgsm { goal: self.goal, flags, draws: self.draws }) as Box<dyn Attack>)
    }

    fn start(&self, slots: &mut Slots) {
        let x = replace(&mut slots.x, slots.origin.clone());
        let (rows, state) = (slots.rows.clone(), slots.state.clone());
        (slots.x, slots.notes) = apgd_start(x, slots.origin.clone(), slots.notes.clone(), rows, state, (self.norm, self.stages));
    }

    fn keeps_best(&self) -> bool {
        true
    }

    fn remains(&self, slots: &Slots) -> Option<Tensor<2>> {
        Some(slots.planes[BEST].clone())
    }

    fn advance(&self, slots: &mut Slots, gradient: Option<Tensor<2>>) {
        let gradient = gradient.expect("apgd asks for gradients");
        let schedule = Schedule { sparse: self.norm == Norm::L1, stages: self.stages, rho: self.rho };
        let rows = slots.rows.clone();
        let (notes, state) = apgd_check(gradient.clone(), slots.notes.clone(), rows.clone(), slots.state.clone(), schedule);
        (slots.notes, slots.state) = (notes.clone(), state);

        // Each tensor is taken out of its place, so that the CPU's kernels may change it where it lies.
        let origin = slots.origin.clone();
        let take = |place: &mut Tensor<2>| replace(place, origin.clone());
        let (x, best) = apgd_keep(take(&mut slots.x), take(&mut slots.planes[BEST]), notes.clone());
        let (gradient, best_gradient) = apgd_keep(gradient, take(&mut slots.planes[BEST_GRADIENT]), notes.clone());
        slots.planes[BEST] = best;
        slots.planes[BEST_GRADIENT] = best_gradient;
        if self.norm == Norm::L1 {
            (slots.x, slots.notes) = apgd_l1_step(x, origin, gradient, notes, rows, self.stages);
        } else {
            let previous = replace(&mut slots.planes[PREVIOUS], x.clone());
            slots.x = apgd_step([x, previous, origin], gradient, notes, rows, self.norm);
        }
    }
}
