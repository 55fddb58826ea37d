//! What a defence says without an attack.

use burn::tensor::Tensor;

use super::draw::{Draw, DrawRow};
use super::oracle::{Oracle, read_matrix};
use crate::Result;
use crate::data::Dataset;
use crate::kernel;
use crate::kernel::words::upload;

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

/// Decides on every example of `data`, on the device as `sent` [examples, features], `slots` at a time, so that the batch has the shape
/// that attacks use. `seed` keys the draws of a random defence.
///
/// # Errors
/// A device that stops answering.
pub fn decide(oracle: &Oracle, data: &Dataset, sent: &Tensor<2>, slots: usize, seed: u64) -> Result<Vec<CleanDecision>> {
    let [examples, features] = sent.dims();
    let classes = oracle.classes();
    let draws = oracle.draws();
    let key = [seed as u32, (seed >> 32) as u32];
    let mut decisions = Vec::with_capacity(examples);
    for first in (0..examples).step_by(slots) {
        let held = slots.min(examples - first);
        let index: Vec<i32> = (first..first + slots).map(|at| if at < examples { at as i32 } else { -1 }).collect();
        let empty = Tensor::zeros([slots, features], oracle.device());
        let batch = kernel::admit(empty, sent.clone(), upload(&index, oracle.device()));
        let mut draw = Draw::none(slots);
        for (row, id) in draw.rows.iter_mut().zip(&data.ids[first..first + held]) {
            *row = DrawRow { key, example: *id, ..DrawRow::default() };
        }
        let mut votes = vec![vec![0u32; classes]; held];
        let mut rejections = vec![0u32; held];
        let mut sums = vec![vec![0.0f32; classes]; held];
        for number in 0..draws {
            draw.number = number;
            let logits = oracle.logits(batch.clone(), &draw);
            let rejected = oracle.rejections(&batch, &logits)?;
            for (at, row) in read_matrix(logits)?.chunks(classes).take(held).enumerate() {
                votes[at][largest(row)] += 1;
                rejections[at] += u32::from(rejected.as_ref().is_some_and(|rejected| rejected[at]));
                sums[at].iter_mut().zip(row).for_each(|(sum, logit)| *sum += logit);
            }
        }
        decisions.extend(votes.iter().zip(rejections).zip(sums).map(|((votes, rejections), sums)| CleanDecision {
            prediction: largest(votes) as u32,
            failed: sums.iter().any(|logit| !logit.is_finite()),
            rejected: 2 * rejections > draws,
            logits: sums.iter().map(|sum| sum / draws as f32).collect(),
        }));
    }
    Ok(decisions)
}

/// The first of the largest.
fn largest<T: PartialOrd>(row: &[T]) -> usize {
    (0..row.len()).fold(0, |best, at| if row[at] > row[best] { at } else { best })
}
