//! How a network in training does against PGD on examples that it does not learn from.

use burn::tensor::Tensor;

use super::batch::Batch;
use super::craft::{Inner, craft};
use super::method::{Method, noise, right};
use crate::Result;
use crate::attack::{ATTACKS, Setting};
use crate::data::Dataset;
use crate::engine::draw::Draw;
use crate::engine::oracle::Oracle;
use crate::evaluate::record::Validation;
use crate::options::{Options, Value};
use crate::threat::Norm;

/// Sets these attacks' draws apart from the training's.
const STREAM: u32 = 0x7472_6961;

/// Steps of the attack that validates.
const STEPS: i64 = 10;

/// A ball.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Threatened {
    pub norm: Norm,
    pub epsilon: f32,
}

impl Threatened {
    /// PGD of so many steps of 2.5 epsilon / steps from a random start, and under l1, where PGD's steps do not go, as many of Auto-PGD's.
    pub(crate) fn attack(self, steps: i64, shape: [usize; 3], classes: usize) -> Inner {
        let kind = if self.norm == Norm::L1 { "apgd" } else { "pgd" };
        let mut options = vec![("steps", Value::Integer(steps))];
        match self.norm {
            Norm::L1 => options.push(("larger_epsilons", Value::Flag(false))),
            _ => options.push(("stop", Value::Text("last".into()))),
        }
        inner(kind, options, self, shape, classes)
    }
}

/// An attack of the table, inside a training loop.
pub(crate) fn inner(kind: &str, options: Vec<(&str, Value)>, threat: Threatened, shape: [usize; 3], classes: usize) -> Inner {
    let row = ATTACKS.iter().find(|row| row.entry.name == kind).expect("trainers name attacks of the table");
    let options = Options(options.into_iter().map(|(name, value)| (name.to_owned(), value)).collect());
    let Threatened { norm, epsilon } = threat;
    Inner { attack: (row.build)(&options, &Setting { norm, classes, shape }).remove(0), norm, epsilon }
}

/// Which rows of a batch are still decided rightly where each of the attacks ends.
pub(crate) fn withstands(oracle: &Oracle, batch: &Batch, attacks: &[Inner], key: [u32; 2], round: u32) -> Result<Vec<bool>> {
    let key = [key[0] ^ STREAM, key[1]];
    let mut stands = vec![true; batch.labels.len()];
    for inner in attacks {
        let points = craft(inner, oracle, batch.inputs.clone(), &batch.labels, &batch.examples, key, round);
        keep(&mut stands, &decided(oracle, points, &batch.labels)?);
    }
    Ok(stands)
}

fn keep(stands: &mut [bool], right: &[bool]) {
    for (stands, right) in stands.iter_mut().zip(right) {
        *stands &= right;
    }
}

/// Which of the inputs are decided rightly.
pub(super) fn decided(oracle: &Oracle, inputs: Tensor<2>, labels: &[u32]) -> Result<Vec<bool>> {
    right(oracle.logits(inputs, &Draw::none(labels.len())), labels)
}

/// Accuracies of a method's network on examples that are kept apart: clean and, where there is a threat, against PGD-10 under each, or
/// under the method's noise.
pub(super) fn validate(
    oracle: &Oracle,
    data: &Dataset,
    held: &[u32],
    method: &dyn Method,
    batch: usize,
    key: [u32; 2],
) -> Result<Validation> {
    let (threats, sigma) = (method.threats(), method.noise());
    let attacks: Vec<Inner> = threats.iter().map(|threat| threat.attack(STEPS, oracle.shape(), oracle.classes())).collect();
    let (mut clean, mut robust) = (0, 0);
    let count = |right: &[bool]| right.iter().filter(|&&right| right).count();
    for chosen in held.chunks(batch) {
        let batch = Batch::plain(data, chosen, oracle.device());
        let mut stands = decided(oracle, batch.inputs.clone(), &batch.labels)?;
        clean += count(&stands);
        // The same starts, and the same noise, each epoch, so that epochs are compared on the same points.
        if !attacks.is_empty() {
            keep(&mut stands, &withstands(oracle, &batch, &attacks, key, 0)?);
        } else if let Some(sigma) = sigma {
            let noisy = batch.inputs.clone() + noise(&batch, [key[0] ^ STREAM, key[1]], 0) * sigma;
            stands = decided(oracle, noisy, &batch.labels)?;
        }
        robust += count(&stands);
    }
    let is_robust = !attacks.is_empty() || sigma.is_some();
    let share = |right: usize| right as f64 / held.len() as f64;
    Ok(Validation { clean_accuracy: share(clean), robust_accuracy: is_robust.then(|| share(robust)) })
}
