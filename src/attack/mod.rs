//! Attacks: procedures that look for an adversarial example inside a threat.
//!
//! An attack is a state machine over rows. The engine owns the slots, runs the defence and keeps the books; an attack says where rows
//! start, how they move along a gradient, and which point is put before the judge. [`ATTACKS`] is the table: an attack is one file and
//! one row.

mod apgd;
mod autoattack;
mod fab;
mod fgsm;
mod goal;
mod mi_fgsm;
mod noise;
mod pgd;
mod square;
pub(crate) mod step;
mod transfer;

use burn::tensor::Tensor;

use crate::engine::slots::Slots;
use crate::options::{Entry, Options};
use crate::threat::Norm;

pub use goal::{Goal, Target};
pub use step::StepSize;
pub use transfer::SURROGATE;

/// The parameters of a row that depend on the attack, the epsilon and the attempt alone.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct RowPlan {
    /// Step size, input units.
    pub step_size: f32,
    /// Steps before the row runs out.
    pub steps: u32,
    /// Where the row starts, as in [`crate::kernel::row`].
    pub start: u32,
    /// Loss and stopping rule, as in [`crate::kernel::row`].
    pub flags: u32,
    /// Momentum's decay.
    pub decay: f32,
    /// The first step whose success counts.
    pub counts_from: u32,
    /// The row's target is the class with the so many-th largest clean logit among the others, from 0; absent: the goal's.
    pub rank: Option<u32>,
}

/// What an attack is built for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Setting {
    /// The norm of the threat.
    pub norm: Norm,
    /// How many classes the defence tells apart.
    pub classes: usize,
    /// Channels, height and width of an input.
    pub shape: [usize; 3],
}

/// A procedure that looks for adversarial examples, a batch of rows at a time.
pub trait Attack: Send + Sync {
    /// What a row wants to reach.
    fn goal(&self) -> Goal;

    /// The parameters of a row at `epsilon`; `attempt` counts the rows tried at it from 0; `kept`: the slot has kept what the same
    /// example's last row found out, so that an attack which can use that need not pay for it again.
    fn plan(&self, epsilon: f32, attempt: u32, kept: bool) -> RowPlan;

    /// Rows tried at one epsilon before it counts as survived: restarts, targets, or restarts for each target.
    fn attempts(&self) -> u32 {
        1
    }

    /// How many of the classes with the largest clean logits rows are led to ([`RowPlan::rank`] is below it).
    fn ranks(&self) -> u32 {
        0
    }

    /// Tensors [slots, features] of its own that the attack keeps in [`Slots::planes`].
    fn planes(&self) -> usize {
        0
    }

    /// Draws of a random defence that a step averages over (expectation over transformations, Athalye et al. 2018); `None`: as many as
    /// [`Oracle::throws`](crate::engine::oracle::Oracle::throws) thinks right.
    fn draws(&self) -> Option<u32> {
        None
    }

    /// The defence that points are crafted on, where that is not the one that is judged; every row's last point is then judged.
    fn surrogate(&self) -> Option<&str> {
        None
    }

    /// Whether every step wants the gradient of the loss.
    fn uses_gradients(&self) -> bool {
        true
    }

    /// Whether its rows may search in half precision under [`Precision::Mixed`](crate::engine::precision::Precision::Mixed). Not where
    /// scores decide and there is no gradient, nor where a row leaves its slot too soon for the judge's word on its last point.
    fn searches_in_half(&self) -> bool {
        self.uses_gradients() && !self.keeps_for_next_row()
    }

    /// Whether every epsilon is run by itself whatever the sweep, because one epsilon says little of the next or costs next to nothing.
    fn runs_every_epsilon(&self) -> bool {
        false
    }

    /// Whether the same example's next row may start from what this one left in its slot ([`Attack::plan`]'s `kept`).
    fn keeps_for_next_row(&self) -> bool {
        false
    }

    /// A cheap attack with the same goal, whose first look says at which epsilon a descending sweep had best begin.
    fn scout(&self) -> Option<Box<dyn Attack>> {
        None
    }

    /// Places fresh rows, before the forward pass.
    fn start(&self, slots: &mut Slots);

    /// Moves the running rows along the gradient [slots, features] of their loss; without gradients, after every forward pass.
    fn advance(&self, slots: &mut Slots, gradient: Option<Tensor<2>>);

    /// The points [slots, features] that are put before the judge.
    fn candidates(&self, slots: &Slots) -> Tensor<2> {
        slots.x.clone()
    }

    /// Whether what it is after is the best point that it has seen, which [`Attack::remains`] gives, and not the last.
    fn keeps_best(&self) -> bool {
        false
    }

    /// The points [slots, features] of rows that ran out of steps, for a judge whose dice may say otherwise than those of the last step;
    /// `None`: such a row has found nothing.
    fn remains(&self, slots: &Slots) -> Option<Tensor<2>> {
        Some(self.candidates(slots))
    }
}

/// An attack's parts, cheapest first; most have one.
pub type Parts = Vec<Box<dyn Attack>>;

/// A row of [`ATTACKS`].
pub struct AttackRow {
    /// Name, summary and options.
    pub entry: Entry,
    /// The norms that it works under.
    pub norms: &'static [Norm],
    /// Rules between options; the message says which and the way out.
    pub check: fn(&Options) -> Result<(), String>,
    /// Builds the attack; of several parts, each runs on what those before it left standing.
    pub build: fn(&Options, &Setting) -> Parts,
}

/// Every attack.
pub const ATTACKS: &[AttackRow] =
    &[noise::ROW, fgsm::ROW, mi_fgsm::ROW, pgd::ROW, apgd::ROW, fab::ROW, square::ROW, transfer::ROW, autoattack::ROW];

/// The `count` classes with the largest logits but the label, largest first; the first of equal ones comes first.
pub fn largest_others(label: u32, logits: &[f32], count: usize) -> Vec<u32> {
    if count == 0 {
        return Vec::new();
    }
    let mut others: Vec<u32> = (0..logits.len() as u32).filter(|&class| class != label).collect();
    others.sort_by(|&a, &b| logits[b as usize].total_cmp(&logits[a as usize]));
    others.truncate(count);
    others
}

/// Key of the random stream of every row of an attack: a hash of the suite's seed, the attack's kind and its resolved options; epsilon
/// and the entry's name play no part.
pub fn random_key(seed: u64, kind: &str, norm: Norm, options: &Options) -> [u32; 2] {
    let mut hasher = blake3::Hasher::new_derive_key("gauntlet random stream of an attack");
    hasher.update(&seed.to_le_bytes());
    for text in [kind, norm.name(), &options.canonical()] {
        hasher.update(&(text.len() as u64).to_le_bytes());
        hasher.update(text.as_bytes());
    }
    let hash = hasher.finalize();
    let word = |at: usize| u32::from_le_bytes(hash.as_bytes()[at..at + 4].try_into().expect("four bytes"));
    [word(0), word(4)]
}
