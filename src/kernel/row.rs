//! What a kernel knows of a row: its parameters, set when it is admitted, and its state, which the kernels carry from step to step.
//!
//! Both travel as tensors of 32-bit words ([slots * WORDS]); `shaders/shared/row.wgsl` has the same layouts, and a test compares them.

use bytemuck::{Pod, Zeroable};

/// Parameters of the row in a slot. 64 bytes.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Pod, Zeroable)]
pub struct Row {
    /// Radius of the ball, input units.
    pub epsilon: f32,
    /// Step size, input units.
    pub step_size: f32,
    /// Gradient steps before the row runs out.
    pub steps: u32,
    /// The example's class.
    pub label: u32,
    /// The class to reach; read where `flags` has [`TARGETED`] or [`TOWARDS`].
    pub target: u32,
    /// [`TARGETED`], [`MARGIN`], [`LAST`] and the like, added up.
    pub flags: u32,
    /// Where a fresh row starts: [`START_ORIGIN`], [`START_RANDOM`] or [`START_KEPT`].
    pub start: u32,
    /// Changes whenever another row enters the slot; 0 is an empty slot.
    pub generation: u32,
    /// Key of the random stream.
    pub key: [u32; 2],
    /// The example's stable id, a word of the random counter.
    pub example: u32,
    /// The restart, a word of the random counter.
    pub restart: u32,
    /// Momentum's decay.
    pub decay: f32,
    /// The first step whose success counts; 0: every one.
    pub counts_from: u32,
    /// Keeps the size a multiple of 16 bytes.
    pub unused: [u32; 2],
}

/// The row wants the class `target`; without it, any class but `label`.
pub const TARGETED: u32 = 1;
/// The loss is the margin of the logits; without it, cross-entropy.
pub const MARGIN: u32 = 2;
/// Only the point after the last step is judged; without it, the first one that succeeds.
pub const LAST: u32 = 4;
/// The loss is the difference of logits ratio (Croce and Hein 2020); without it and without [`MARGIN`], cross-entropy.
pub const DLR: u32 = 8;
/// The loss leads to the class `target`, but any class other than `label` is a success.
pub const TOWARDS: u32 = 16;
/// The attack's own kernel ends the row: neither a success nor the last step does.
pub const OWN_END: u32 = 32;

/// A fresh row starts at its origin.
pub const START_ORIGIN: u32 = 0;
/// A fresh row starts at a random point of the ball.
pub const START_RANDOM: u32 = 1;
/// A fresh row starts one step from its origin along the direction that the slot kept from the row before.
pub const START_KEPT: u32 = 2;

/// State of the row in a slot. 48 bytes.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Pod, Zeroable)]
pub struct State {
    /// The row that this state belongs to; another generation in [`Row`] means that the slot's row is fresh.
    pub generation: u32,
    /// [`RUNNING`], [`BROKEN`], [`SURVIVED`] or [`FAILED`].
    pub status: u32,
    /// Gradient steps taken.
    pub step: u32,
    /// Forward passes of this row.
    pub forwards: u32,
    /// Backward passes of this row.
    pub backwards: u32,
    /// Class of the largest logit at the last forward.
    pub prediction: u32,
    /// 1 where the last forward had the row's best score so far.
    pub improved: u32,
    /// Keeps the alignment.
    pub unused: u32,
    /// Margin at the last forward: above 0 is a success. Untargeted: the largest other logit less the label's; targeted: the
    /// target's logit less the largest other.
    pub score: f32,
    /// Largest score of the row so far.
    pub best: f32,
    /// The loss that the attack ascends, at the last forward.
    pub loss: f32,
    /// Keeps the size a multiple of 16 bytes.
    pub unused2: u32,
}

/// The row goes on.
pub const RUNNING: u32 = 0;
/// The row's point is decided wrongly (or as the target).
pub const BROKEN: u32 = 1;
/// The row ran out of steps.
pub const SURVIVED: u32 = 2;
/// A logit or a gradient was not finite.
pub const FAILED: u32 = 3;

/// 32-bit words in a [`Row`].
pub const ROW_WORDS: usize = size_of::<Row>() / 4;
/// 32-bit words that a slot has for the notes of an attack's own kernels.
pub const NOTES_WORDS: usize = 16;
/// 32-bit words in a [`State`].
pub const STATE_WORDS: usize = size_of::<State>() / 4;

impl State {
    /// The state of a row that has just entered its slot: running, nothing spent, no score yet.
    pub fn fresh(row: &Row) -> Self {
        Self { generation: row.generation, status: RUNNING, best: f32::MIN, ..Self::default() }
    }

    /// This row's state after a number that is not finite; another row's state is not carried over.
    pub fn failed(&self, row: &Row) -> Self {
        let state = if self.generation == row.generation { *self } else { Self::fresh(row) };
        Self { status: FAILED, ..state }
    }

    /// Whether this state belongs to the row that is in the slot, and the row goes on.
    pub fn is_running(&self, row: &Row) -> bool {
        row.generation != 0 && self.generation == row.generation && self.status == RUNNING
    }

    /// Whether this state belongs to the row that is in the slot, and the row ran out of steps.
    pub fn has_survived(&self, row: &Row) -> bool {
        row.generation != 0 && self.generation == row.generation && self.status == SURVIVED
    }

    /// Whether the slot's row has not met a forward yet.
    pub fn is_fresh(&self, row: &Row) -> bool {
        row.generation != 0 && self.generation != row.generation
    }
}
