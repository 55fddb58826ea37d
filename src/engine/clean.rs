//! What a defence says without an attack.

use burn::tensor::Tensor;

use super::oracle::{Oracle, read_matrix};
use crate::Result;
use crate::kernel;
use crate::kernel::words::upload;

/// The clean decision on one example.
#[derive(Clone, Debug, PartialEq)]
pub struct CleanDecision {
    /// The class of the largest logit.
    pub prediction: u32,
    /// Whether a logit is not finite.
    pub failed: bool,
    /// The logits.
    pub logits: Vec<f32>,
}

/// Decides on every example of `data` [examples, features], `slots` at a time, so that the batch has the shape that attacks use.
///
/// # Errors
/// A device that stops answering.
pub fn decide(oracle: &Oracle, data: &Tensor<2>, slots: usize) -> Result<Vec<CleanDecision>> {
    let [examples, features] = data.dims();
    let mut decisions = Vec::with_capacity(examples);
    for first in (0..examples).step_by(slots) {
        let index: Vec<i32> = (first..first + slots).map(|at| if at < examples { at as i32 } else { -1 }).collect();
        let empty = Tensor::zeros([slots, features], oracle.device());
        let batch = kernel::admit(empty, data.clone(), upload(&index, oracle.device()));
        let logits = read_matrix(oracle.logits(batch))?;
        for row in logits.chunks(oracle.classes()).take(examples - first) {
            let best = (0..row.len()).fold(0, |best, class| if row[class] > row[best] { class } else { best });
            decisions.push(CleanDecision {
                prediction: best as u32,
                failed: row.iter().any(|logit| !logit.is_finite()),
                logits: row.to_vec(),
            });
        }
    }
    Ok(decisions)
}
