//! The only door from an attack to a defence: logits, gradients of a loss of the logits, and rejections.

use std::sync::Arc;

use burn::tensor::{Device, Int, Tensor};

use super::draw::Draw;
use crate::defence::Wrapper;
use crate::frozen::Tape;
use crate::kernel::words;
use crate::model::Classifier;
use crate::{Error, Result};

/// Throws that the judge and the clean pass decide a random defence by.
pub const JUDGED_DRAWS: u32 = 10;

/// A defence on one device, as attacks see it. Inputs are flat, [rows, features], in [0, 1]; logits are [rows, classes].
#[derive(Clone)]
pub struct Oracle {
    classifier: Classifier,
    /// What stands around the classifier, outermost first.
    stack: Arc<[Box<dyn Wrapper>]>,
    device: Device,
}

impl Oracle {
    /// An oracle for a classifier whose weights live on `device`, without autodiff: gradients are taken to the input alone.
    pub fn new(classifier: Classifier, device: Device) -> Self {
        Self { classifier, stack: Arc::new([]), device }
    }

    /// The same classifier with wrappers around it, outermost first.
    #[must_use]
    pub fn behind(self, stack: Arc<[Box<dyn Wrapper>]>) -> Self {
        Self { stack, ..self }
    }

    /// The device that answers.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Features of an input.
    pub fn features(&self) -> usize {
        self.classifier.features()
    }

    /// How many classes there are.
    pub fn classes(&self) -> usize {
        self.classifier.classes
    }

    /// Channels, height and width of an input.
    pub fn shape(&self) -> [usize; 3] {
        self.classifier.shape
    }

    /// Whether an answer depends on the draw.
    pub fn is_random(&self) -> bool {
        self.stack.iter().any(|wrapper| wrapper.is_random())
    }

    /// Throws that a decision takes: one, or for a random defence [`JUDGED_DRAWS`].
    pub fn draws(&self) -> u32 {
        if self.is_random() { JUDGED_DRAWS } else { 1 }
    }

    /// Logits of the inputs.
    pub fn logits(&self, inputs: Tensor<2>, draw: &Draw) -> Tensor<2> {
        if self.stack.is_empty() {
            return self.classifier.logits(inputs);
        }
        let seen = self.stack.iter().fold(inputs, |inputs, wrapper| wrapper.inputs(inputs, self.shape(), draw));
        self.stack.iter().rev().fold(self.classifier.logits(seen), |logits, wrapper| wrapper.logits(logits))
    }

    /// Which inputs the defence rejects, 1 or 0 a row; `None` where it rejects nothing ever.
    ///
    /// # Errors
    /// A device that stops answering.
    pub fn rejections(&self, inputs: &Tensor<2>, logits: &Tensor<2>) -> Result<Option<Vec<bool>>> {
        let mut all: Option<Vec<bool>> = None;
        for rejects in self.stack.iter().filter_map(|wrapper| wrapper.rejections(inputs, logits)) {
            let rejects = read_matrix(rejects)?.into_iter().map(|reject| reject != 0.0);
            all = Some(match all {
                Some(before) => before.into_iter().zip(rejects).map(|(one, other)| one || other).collect(),
                None => rejects.collect(),
            });
        }
        Ok(all)
    }

    /// The gradient [rows, features], with respect to the inputs, of the sum over the draws of the losses whose gradients with respect
    /// to the logits `loss_gradients` gives, one a draw. A row's gradient is zero where those of its logits are.
    pub fn gradient(&self, inputs: Tensor<2>, draws: &[Draw], loss_gradients: impl FnOnce(&[Tensor<2>]) -> Vec<Tensor<2>>) -> Tensor<2> {
        if self.classifier.plan.is_some() {
            return self.planned_gradient(inputs, draws, loss_gradients);
        }
        let inputs = inputs.autodiff().require_grad();
        let logits: Vec<Tensor<2>> = draws.iter().map(|draw| self.logits(inputs.clone(), draw)).collect();
        let plain: Vec<Tensor<2>> = logits.iter().map(|logits| logits.clone().inner()).collect();
        let losses = logits.into_iter().zip(loss_gradients(&plain)).map(|(logits, weights)| (logits * Tensor::from_inner(weights)).sum());
        let mut gradients = losses.reduce(|sum, loss| sum + loss).expect("there is a draw at least").backward();
        // A defence that cuts the graph between its input and its logits has no gradient: nothing to follow.
        inputs.grad_remove(&mut gradients).unwrap_or_else(|| inputs.inner().zeros_like())
    }
}

/// One draw's way through wrappers, plan and wrappers.
struct Way {
    /// What the classifier sees, and its logits as a leaf; with no wrapper neither is tracked.
    seen: Tensor<2>,
    leaf: Tensor<2>,
    logits: Tensor<2>,
    tape: Tape,
}

impl Oracle {
    /// As [`Oracle::gradient`], by the classifier's plan: what is asked of the logits goes back through the wrappers behind it, then
    /// through the plan, then through the wrappers in front.
    fn planned_gradient(
        &self,
        inputs: Tensor<2>,
        draws: &[Draw],
        loss_gradients: impl FnOnce(&[Tensor<2>]) -> Vec<Tensor<2>>,
    ) -> Tensor<2> {
        let bare = self.stack.is_empty();
        let tracked = |tensor: Tensor<2>| if bare { tensor } else { tensor.autodiff().require_grad() };
        let plain = |tensor: &Tensor<2>| if bare { tensor.clone() } else { tensor.clone().inner() };
        let inputs = tracked(inputs);
        let way = |draw: &Draw| {
            let seen = self.stack.iter().fold(inputs.clone(), |inputs, wrapper| wrapper.inputs(inputs, self.shape(), draw));
            let (logits, tape) = self.classifier.forward(&plain(&seen)).expect("the caller looked for a plan");
            let leaf = tracked(logits);
            let logits = self.stack.iter().rev().fold(leaf.clone(), |logits, wrapper| wrapper.logits(logits));
            Way { seen, leaf, logits, tape }
        };
        let ways: Vec<Way> = draws.iter().map(way).collect();
        let logits: Vec<Tensor<2>> = ways.iter().map(|way| plain(&way.logits)).collect();
        let losses = ways.into_iter().zip(loss_gradients(&logits)).map(|(mut way, asked)| {
            if bare {
                return self.classifier.gradient(&mut way.tape, asked);
            }
            let mut gradients = (way.logits * Tensor::from_inner(asked)).sum().backward();
            let asked = way.leaf.grad_remove(&mut gradients).unwrap_or_else(|| way.leaf.inner().zeros_like());
            way.seen * Tensor::from_inner(self.classifier.gradient(&mut way.tape, asked))
        });
        let sum = losses.reduce(|sum, loss| sum + loss).expect("there is a draw at least");
        if bare {
            return sum;
        }
        let mut gradients = sum.sum().backward();
        inputs.grad_remove(&mut gradients).unwrap_or_else(|| inputs.inner().zeros_like())
    }
}

/// Reads 32-bit words back as what they were.
pub(crate) fn read_words<T: bytemuck::Pod>(tensor: Tensor<1, Int>) -> Result<Vec<T>> {
    let data = tensor.try_into_data().map_err(|error| lost(&error))?;
    Ok(words::records(&data))
}

/// Reads a matrix back, row-major.
pub(crate) fn read_matrix(tensor: Tensor<2>) -> Result<Vec<f32>> {
    let data = tensor.try_into_data().map_err(|error| lost(&error))?;
    data.try_to_vec().map_err(|error| lost(&error))
}

fn lost(error: &dyn std::fmt::Debug) -> Error {
    Error::device(format!("the device stopped answering: {error:?}"))
        .help("what was done is kept: run the same command again, with --device cpu or a smaller --memory if it happens again")
}
