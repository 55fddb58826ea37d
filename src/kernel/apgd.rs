//! What the kernels of APGD (Croce and Hein 2020, "Reliable evaluation of adversarial robustness with an ensemble of diverse
//! parameter-free attacks", algorithm 1; Croce and Hein 2021, "Mind the box", algorithm 2, for l1) know of a row from step to step.
//!
//! A step is `apgd_check` (what to do), `apgd_keep` on the point and on its gradient (the best so far is kept, or taken up again), then
//! `apgd_step` or, under l1, `apgd_l1_step`. Under l1 a row may go through stages with larger radii first; between two of them it is
//! projected from its best point on the smaller ball.

use burn::tensor::Device;
use bytemuck::{Pod, Zeroable};

use super::row::NOTES_WORDS;
use super::sample::{Shape, Value};
use super::words;
use crate::threat::Norm;

/// Notes of an APGD row. 64 bytes; all zeros but `nonzeros` when it starts.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Pod, Zeroable)]
pub struct Notes {
    /// What this step does: [`KEEP`], [`JUMP`], [`MOVE`], [`FIRST`] and [`SHRINK`], added up.
    pub actions: u32,
    /// The stage, from 0.
    pub stage: u32,
    /// Gradient steps taken in this stage.
    pub taken: u32,
    /// Steps between the last checkpoint and the next.
    pub interval: u32,
    /// Steps since the last checkpoint.
    pub since: u32,
    /// Those of them that raised the loss.
    pub increases: u32,
    /// How often the step size was divided: by 2, under l1 by 1.5.
    pub reductions: u32,
    /// Whether it was divided at the last checkpoint.
    pub reduced: u32,
    /// l1: elements that a step moves.
    pub active: u32,
    /// l1: elements of the row's point that differ from its origin.
    pub nonzeros: u32,
    /// l1: those of the best point.
    pub best_nonzeros: u32,
    /// l1: those of the best point at the last checkpoint.
    pub checked_nonzeros: u32,
    /// Loss at the step before.
    pub last_loss: f32,
    /// Largest loss of the stage.
    pub best_loss: f32,
    /// The same at the last checkpoint.
    pub checked_loss: f32,
    /// Keeps the size 64 bytes.
    pub unused: u32,
}

const _: () = assert!(size_of::<Notes>() == 4 * NOTES_WORDS);

/// The point is the best of the stage so far.
pub const KEEP: u32 = 1;
/// The row goes back to the best point and its gradient.
pub const JUMP: u32 = 2;
/// The row takes a gradient step.
pub const MOVE: u32 = 4;
/// It is the first of the stage, without momentum.
pub const FIRST: u32 = 8;
/// The row is projected on the ball of a stage that begins.
pub const SHRINK: u32 = 16;

/// Gradient steps in `stage` of `stages` (1 or 3) when all of them together have `steps`: with three, 0.3, 0.3 and 0.4 of them, the
/// first two rounded up.
pub fn stage_steps(steps: u32, stages: u32, stage: u32) -> u32 {
    if stages == 1 {
        return steps;
    }
    let early = (3 * steps).div_ceil(10);
    match stage {
        0 => early,
        1 => early.min(steps - early),
        _ => steps - early - early.min(steps - early),
    }
}

/// The shaders' number for linf.
pub(super) const LINF: u32 = 0;
/// The shaders' number for l2.
pub(super) const L2: u32 = 1;
/// The shaders' number for l1.
pub(super) const L1: u32 = 2;

/// The shaders' number for a norm.
///
/// # Panics
/// For l0, under which there is no APGD.
pub(super) fn number(norm: Norm) -> u32 {
    match norm {
        Norm::Linf => LINF,
        Norm::L2 => L2,
        Norm::L1 => L1,
        Norm::L0 => panic!("apgd: no steps for the norm l0"),
    }
}

/// Notes of every kind of step, for tests and benches.
pub(super) fn sample(shape: Shape, device: &Device) -> Value {
    let note = |slot: usize| {
        let at = slot as u32;
        Notes {
            actions: [MOVE, KEEP | MOVE, JUMP | MOVE, KEEP | MOVE | FIRST, JUMP | SHRINK, KEEP | JUMP | SHRINK, 0][slot % 7],
            stage: at % 3,
            taken: at / 2 % 3,
            interval: 4,
            since: 2 + at % 2,
            increases: 2 + at / 3 % 3,
            reductions: at % 9,
            reduced: at / 5 % 2,
            active: 1 + at * 7 % shape.columns as u32,
            nonzeros: at * 3 % (shape.columns as u32 + 1),
            best_nonzeros: at * 5 % (shape.columns as u32 + 1),
            checked_nonzeros: at * 11 % (shape.columns as u32 + 1),
            last_loss: 0.25 * (at % 4) as f32,
            best_loss: 0.25 * (at % 5) as f32,
            checked_loss: 0.25 * (at % 3) as f32,
            unused: 0,
        }
    };
    Value::Words(words::upload(&(0..shape.rows).map(note).collect::<Vec<_>>(), device))
}
