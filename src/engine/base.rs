//! What stands in the middle of a defence: one network, or several that answer together.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::pool;
use crate::kernel;
use crate::model::Classifier;

/// How the members of an ensemble answer together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Combine {
    /// The mean of their logits.
    MeanLogits,
    /// The mean of their probabilities; its logarithms are the logits.
    MeanProbability,
    /// The class that most members decide for, the first of several. Attacks follow the mean of the probabilities.
    Vote,
}

impl Combine {
    /// All of them.
    pub const ALL: [Combine; 3] = [Combine::MeanLogits, Combine::MeanProbability, Combine::Vote];

    /// The name in suites.
    pub fn name(self) -> &'static str {
        match self {
            Combine::MeanLogits => "mean-logits",
            Combine::MeanProbability => "mean-probability",
            Combine::Vote => "vote",
        }
    }
}

/// One network, or an ensemble, on one device.
#[derive(Clone, Debug)]
pub struct Base {
    /// At least one; all take the same images and tell the same classes apart.
    pub members: Vec<Classifier>,
    /// How they answer together.
    pub combine: Combine,
}

/// The way back: from the gradient with respect to the logits to that with respect to the inputs.
pub(super) type Pull = Box<dyn FnOnce(Tensor<2>) -> Tensor<2>>;

/// What the middle says.
pub(super) struct Said {
    /// Logits [rows, classes].
    pub logits: Tensor<2>,
    /// Where a vote decides, what each member votes by; otherwise none.
    pub ballots: Vec<Tensor<2>>,
    /// The way back, where it was asked for.
    pub pull: Option<Pull>,
}

impl Base {
    /// Logits of flat inputs [rows, features], of the rows `asked` at least; with `back`, the way back. `adaptive` gives a vote the
    /// gradient of what stands in for it.
    pub(super) fn say(&self, inputs: Tensor<2>, asked: &[usize], back: bool, adaptive: bool) -> Said {
        if let [alone] = &self.members[..] {
            let (logits, pull) = one(alone, inputs, asked, back);
            return Said { logits, ballots: Vec::new(), pull };
        }
        let (ballots, pulls): (Vec<Tensor<2>>, Vec<Option<Pull>>) =
            self.members.iter().map(|member| one(member, inputs.clone(), asked, back)).unzip();
        let pulls: Option<Vec<Pull>> = pulls.into_iter().collect();
        let combine = self.combine;
        let logits = match combine {
            Combine::MeanLogits => mean(&ballots),
            Combine::MeanProbability | Combine::Vote => pool::log_mean_probability(&ballots),
        };
        let seen = ballots.clone();
        let pull = pulls.map(|pulls| -> Pull {
            Box::new(move |gradient| {
                if combine == Combine::Vote && !adaptive {
                    return inputs.zeros_like();
                }
                let count = seen.len() as f32;
                let shares = match combine {
                    Combine::MeanLogits => vec![gradient / count; seen.len()],
                    Combine::MeanProbability | Combine::Vote => pool::pull(&seen, &gradient),
                };
                pulls.into_iter().zip(shares).map(|(pull, share)| pull(share)).reduce(|sum, one| sum + one).expect("there are members")
            })
        });
        Said { logits, ballots: if combine == Combine::Vote { ballots } else { Vec::new() }, pull }
    }
}

fn one(classifier: &Classifier, inputs: Tensor<2>, asked: &[usize], back: bool) -> (Tensor<2>, Option<Pull>) {
    if !back {
        return (classifier.logits_of(inputs, asked), None);
    }
    if let Some((logits, mut tape)) = classifier.forward(&inputs, asked) {
        let classifier = classifier.clone();
        return (logits, Some(Box::new(move |gradient| classifier.gradient(&mut tape, gradient))));
    }
    let inputs = inputs.autodiff().require_grad();
    let logits = classifier.logits(inputs.clone());
    let said = logits.clone().inner();
    if !classifier.network.is_half() {
        return (said, Some(Box::new(move |gradient| back_to(&inputs, logits, gradient))));
    }
    let pull = move |gradient| {
        let (gradient, undo) = kernel::loss_scale(gradient);
        back_to(&inputs, logits, gradient) * undo
    };
    (said, Some(Box::new(pull)))
}

/// The gradient that reaches `inputs` when `gradient` reaches `outputs`, which Burn recorded. Zero where nothing leads there.
pub(crate) fn back_to(inputs: &Tensor<2>, outputs: Tensor<2>, gradient: Tensor<2>) -> Tensor<2> {
    if !outputs.is_tracked() {
        return inputs.clone().inner().zeros_like();
    }
    let mut gradients = (outputs * Tensor::from_inner(gradient)).sum().backward();
    inputs.grad_remove(&mut gradients).unwrap_or_else(|| inputs.clone().inner().zeros_like())
}

/// The mean of tensors of one shape.
pub(super) fn mean(tensors: &[Tensor<2>]) -> Tensor<2> {
    let sum = tensors.iter().cloned().reduce(|sum, one| sum + one).expect("there is one at least");
    if tensors.len() == 1 { sum } else { sum / tensors.len() as f32 }
}
