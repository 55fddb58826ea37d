//! AutoAttack (Croce and Hein 2020, "Reliable evaluation of adversarial robustness with an ensemble of diverse parameter-free attacks";
//! for l1 Croce and Hein 2021, "Mind the box"), with the versions and the settings of the authors' own code.
//!
//! The parts run in the order of their cost, each on what those before it left standing; an example survives where all of them fail.
//! - `standard`: APGD on cross-entropy (100 steps), APGD on the targeted difference of logits ratio (9 targets), targeted FAB (9 targets,
//!   100 steps), Square (5,000 queries); under l1 APGD with 5 restarts and 5 targets, over three shrinking epsilons.
//! - `plus`: APGD on cross-entropy and on the difference of logits ratio with 5 restarts each, FAB with 5 restarts, Square, then the two
//!   targeted parts of `standard`.
//! - `rand`, against random defences: APGD on cross-entropy and on the difference of logits ratio, gradients averaged over 20 draws.
//!
//! Untargeted FAB is FAB led to each of the other classes in turn, up to 9 of them: its own choice among all classes' boundaries would
//! need the gradient of every logit. With fewer than four classes the targeted ratio becomes the margin, with fewer than three the
//! untargeted one does.

use super::apgd::Apgd;
use super::fab::Fab;
use super::square::Square;
use super::{Attack, AttackRow, Parts, Setting};
use crate::options::{Accepts, Entry, OptionSpec, Options};
use crate::threat::Norm;

/// Iterations of APGD and of FAB.
const STEPS: u32 = 100;
/// Queries of Square.
const QUERIES: u32 = 5000;
/// Classes that the targeted parts are led to, where there are as many others.
const TARGETS: u32 = 9;
/// The same for APGD under l1, and its restarts.
const TARGETS_L1: u32 = 5;
const RESTARTS_L1: u32 = 5;
/// Restarts in `plus`.
const RESTARTS_PLUS: u32 = 5;
/// Draws that a gradient is averaged over in `rand`.
const DRAWS: u32 = 20;

pub(super) const ROW: AttackRow = AttackRow {
    entry: Entry {
        name: "autoattack",
        summary: "APGD, targeted APGD, targeted FAB and Square, each on what is left (Croce and Hein 2020)",
        options: &[OptionSpec {
            name: "version",
            accepts: Accepts::Choice(&["standard", "plus", "rand"]),
            default: Some("\"standard\""),
            help: "standard; plus: more restarts and untargeted parts too; rand: for random defences, gradients over 20 draws",
        }],
    },
    norms: &[Norm::Linf, Norm::L2, Norm::L1],
    check: |_| Ok(()),
    build,
};

fn build(options: &Options, setting: &Setting) -> Parts {
    let others = (setting.classes as u32).saturating_sub(1);
    let targets = TARGETS.min(others);
    let (ce_restarts, dlr_targets) = if setting.norm == Norm::L1 { (RESTARTS_L1, TARGETS_L1.min(others)) } else { (1, targets) };
    let parts: Vec<Box<dyn Attack>> = match options.text("version") {
        Some("rand") => {
            vec![Box::new(Apgd::cross_entropy(setting, STEPS, 1, Some(DRAWS))), Box::new(Apgd::dlr(setting, STEPS, 1, Some(DRAWS)))]
        }
        Some("plus") => vec![
            Box::new(Apgd::cross_entropy(setting, STEPS, RESTARTS_PLUS, None)),
            Box::new(Apgd::dlr(setting, STEPS, RESTARTS_PLUS, None)),
            Box::new(Fab::targeted(setting, targets, STEPS, RESTARTS_PLUS)),
            Box::new(Square::new(setting, QUERIES, 1)),
            Box::new(Apgd::targeted(setting, targets, STEPS, 1)),
            Box::new(Fab::targeted(setting, targets, STEPS, 1)),
        ],
        _ => vec![
            Box::new(Apgd::cross_entropy(setting, STEPS, ce_restarts, None)),
            Box::new(Apgd::targeted(setting, dlr_targets, STEPS, 1)),
            Box::new(Fab::targeted(setting, targets, STEPS, 1)),
            Box::new(Square::new(setting, QUERIES, 1)),
        ],
    };
    parts
}
