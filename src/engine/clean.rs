//! What a defence says without an attack.

use burn::tensor::Tensor;

use super::decide::{self, Decision};
use super::draw::{Draw, DrawRow};
use super::examples::Examples;
use super::oracle::Oracle;
use crate::Result;
use crate::data::Dataset;
use crate::suite::schedule::check_interrupt;

/// The clean decision on one example.
#[derive(Clone, Debug, PartialEq)]
pub struct CleanDecision {
    /// The class of the largest logit; of a random defence, the class that most draws decide for.
    pub prediction: u32,
    /// Whether a logit is not finite.
    pub failed: bool,
    /// Whether most draws reject the input.
    pub rejected: bool,
    /// The logits, averaged over the draws.
    pub logits: Vec<f32>,
}

impl CleanDecision {
    /// Whether it is right: the class `label`, not rejected.
    pub fn is_right(&self, label: u32) -> bool {
        !self.failed && !self.rejected && self.prediction == label
    }
}

/// Decides on every example of `data`, which the device reaches as `sent`, `slots` at a time, so that the batch has the shape that attacks
/// use. `seed` keys the draws of a random defence.
///
/// # Errors
/// A device that stops answering; a user's interrupt.
pub fn decide(oracle: &Oracle, data: &Dataset, sent: &dyn Examples, slots: usize, seed: u64) -> Result<Vec<CleanDecision>> {
    decide_on(oracle, data, sent, data.len(), slots, seed)
}

/// As [`decide()`], on the first so many `examples` alone.
///
/// # Errors
/// A device that stops answering; a user's interrupt.
pub fn decide_on(
    oracle: &Oracle,
    data: &Dataset,
    sent: &dyn Examples,
    examples: usize,
    slots: usize,
    seed: u64,
) -> Result<Vec<CleanDecision>> {
    let features = data.features();
    let key = [seed as u32, (seed >> 32) as u32];
    let mut decisions = Vec::with_capacity(examples);
    let batch = |first: usize| (first..examples.min(first + slots)).collect::<Vec<usize>>();
    sent.expect(&batch(0));
    for first in (0..examples).step_by(slots) {
        check_interrupt()?;
        let held = slots.min(examples - first);
        let index: Vec<i32> = (first..first + slots).map(|at| if at < examples { at as i32 } else { -1 }).collect();
        let empty = Tensor::zeros([slots, features], oracle.device());
        let inputs = sent.put(empty, &index);
        sent.expect(&batch(first + slots));
        let mut draw = Draw::of(vec![None; slots]);
        for (row, id) in draw.rows.iter_mut().zip(&data.ids[first..first + held]) {
            *row = Some(DrawRow { key, example: *id, ..DrawRow::default() });
        }
        let decided = decide::decide(oracle, &inputs, &draw)?.into_iter().take(held);
        decisions.extend(decided.map(|Decision { prediction, failed, rejected, logits, .. }| CleanDecision {
            prediction,
            failed,
            rejected,
            logits,
        }));
    }
    Ok(decisions)
}
