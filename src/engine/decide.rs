//! The decision: the class that a defence decides for, or that it rejects the input. A random defence is put before as many draws as
//! [`Oracle::draws`] says; they are counted where they are made, and read back once.

use burn::tensor::Tensor;

use super::draw::Draw;
use super::oracle::{Oracle, read_matrix};
use crate::Result;
use crate::kernel;

/// What a defence decides on an input.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// The class that most draws decide for, the first of several.
    pub prediction: u32,
    /// Whether a logit is not finite under some draw.
    pub failed: bool,
    /// Whether most draws reject the input.
    pub rejected: bool,
    /// The logits, averaged over the draws.
    pub logits: Vec<f32>,
    /// Draws that decide for a class and do not reject.
    accepted: Vec<f32>,
    draws: u32,
    polled: bool,
}

impl Decision {
    /// Whether an attack on `label`, or towards `target`, has reached its goal: the class that was polled is one it wants and is not
    /// rejected; or more than half of the draws decide for such a class without rejecting.
    pub fn is_broken(&self, label: u32, target: Option<u32>) -> bool {
        if self.failed {
            return false;
        }
        if self.polled {
            return !self.rejected && target.map_or(self.prediction != label, |target| self.prediction == target);
        }
        let votes = |class: u32| self.accepted.get(class as usize).copied().unwrap_or(0.0);
        let wanted = target.map_or(self.accepted.iter().sum::<f32>() - votes(label), votes);
        2.0 * wanted > self.draws as f32
    }
}

/// Decides on a batch [rows, features] under draws of the rows of `draw`.
///
/// # Errors
/// A device that stops answering.
pub fn decide(oracle: &Oracle, inputs: &Tensor<2>, draw: &Draw) -> Result<Vec<Decision>> {
    let (draws, classes, rows) = (oracle.draws(), oracle.classes(), inputs.dims()[0]);
    let none = || Tensor::<2>::zeros([rows, classes], oracle.device());
    let (mut counts, mut sums, mut accepted) = (none(), none(), none());
    let mut rejections = Tensor::<2>::zeros([rows, 1], oracle.device());
    for number in draw.number..draw.number + draws {
        let answer = oracle.answer(inputs.clone(), &Draw { number, ..draw.clone() });
        let ballot = match &answer.ballots[..] {
            [] => answer.logits.clone(),
            ballots => ballots.iter().fold(none(), |counts, ballot| kernel::votes(ballot.clone(), counts)),
        };
        if let Some(score) = answer.score {
            let rejects = score.greater_elem(0.0).float();
            accepted = accepted + kernel::votes(ballot.clone(), none()) * (-rejects.clone() + 1.0);
            rejections = rejections + rejects;
        }
        counts = kernel::votes(ballot, counts);
        sums = sums + answer.logits;
    }
    let rejects = oracle.rejects();
    let counts = read_matrix(counts)?;
    let accepted = if rejects { read_matrix(accepted)? } else { counts.clone() };
    let rejections = if rejects { read_matrix(rejections)? } else { vec![0.0; rows] };
    let sums = read_matrix(sums)?;
    let decision = |row: usize| {
        let [sums, counts, accepted] = [&sums, &counts, &accepted].map(|matrix| &matrix[row * classes..(row + 1) * classes]);
        Decision {
            prediction: largest(counts),
            failed: sums.iter().any(|sum| !sum.is_finite()),
            rejected: 2.0 * rejections[row] > draws as f32,
            logits: sums.iter().map(|sum| sum / draws as f32).collect(),
            accepted: accepted.to_vec(),
            draws,
            polled: oracle.polls(),
        }
    };
    Ok((0..rows).map(decision).collect())
}

/// The first of the largest.
fn largest(row: &[f32]) -> u32 {
    (0..row.len()).fold(0, |best, at| if row[at] > row[best] { at } else { best }) as u32
}
