//! What a training method says of itself; the loop does the rest.

use burn::tensor::{Gradients, Int, Tensor, TensorData};
use rayon::prelude::*;

use super::awp::Awp;
use super::batch::Batch;
use super::craft::{Aim, Inner, aimed};
use super::kept::Kept;
use super::loss;
use super::trial::Threatened;
use crate::Result;
use crate::engine::oracle::{Oracle, read_matrix};
use crate::evaluate::record::{Epoch, Event};
use crate::graph::Throw;
use crate::kernel::random::{normals, philox};
use crate::model::Classifier;

/// A training method: what the network learns from, and the loss that it descends.
pub(crate) trait Method: Send {
    /// Trainings from the first weights, one after the other, the last of which is deployed.
    fn phases(&self) -> usize {
        1
    }

    /// Before the first step of a phase but the first; `trained` is what came of the one before, without gradients.
    fn begin(&mut self, _phase: usize, _trained: Classifier) {}

    /// Steps taken on each batch, one after the other.
    fn replays(&self) -> usize {
        1
    }

    /// How the weights are perturbed, where they are.
    fn awp(&self) -> Option<Awp> {
        None
    }

    /// What a validation measures robustness against; nothing, and no noise: clean accuracy is what counts.
    fn threats(&self) -> Vec<Threatened> {
        Vec::new()
    }

    /// The standard deviation of the noise that a validation adds, for a network that answers under noise; input units.
    fn noise(&self) -> Option<f32> {
        None
    }

    /// Whether [`Method::inputs`] attacks the network.
    fn crafts(&self) -> bool {
        !self.threats().is_empty()
    }

    /// What the network learns from [rows, features], beside the clean batch.
    fn inputs(&mut self, lesson: &Lesson) -> Result<Tensor<2>> {
        Ok(lesson.batch.inputs.clone())
    }

    /// The loss of a step, from what [`Method::inputs`] gave.
    fn loss(&mut self, learner: &mut Learner, lesson: &Lesson, inputs: &Tensor<2>) -> Result<Loss>;

    /// Behind the backward pass, before the weights move.
    fn after_gradients(&mut self, _gradients: &mut Gradients) {}

    /// At the end of an epoch; an event ends the training, with the weights of the epoch whose
    /// checked accuracy was best.
    fn after_epoch(&mut self, _review: &Review, _epoch: &mut Epoch) -> Result<Option<Event>> {
        Ok(None)
    }

    /// Keeps what it remembers from epoch to epoch.
    fn save(&self, _kept: &mut Kept) -> Result<()> {
        Ok(())
    }

    /// Remembers what [`Method::save`] kept; `blank` is the classifier with other weights.
    fn restore(&mut self, _kept: &Kept, _blank: &Classifier) -> Result<()> {
        Ok(())
    }
}

/// A step's batch, the network before it, and where the training is.
pub(crate) struct Lesson<'a> {
    pub batch: &'a Batch,
    /// The network as it is attacked: batch norm by its running statistics, no dropout.
    pub oracle: &'a Oracle,
    /// Key of the training's random stream.
    pub key: [u32; 2],
    /// From 1, all phases counted.
    pub epoch: u32,
    /// Share of the phase's steps that are done.
    pub done: f64,
}

impl Lesson<'_> {
    pub(crate) fn rows(&self) -> usize {
        self.batch.labels.len()
    }

    /// Points where an attack on the batch ends; on mixed examples it leads away from both classes.
    pub(crate) fn craft(&self, inner: &Inner, key: [u32; 2]) -> Tensor<2> {
        self.craft_first(inner, key, self.rows(), Aim::default())
    }

    /// As [`Lesson::craft`], of the first `count` rows.
    pub(crate) fn craft_first(&self, inner: &Inner, key: [u32; 2], count: usize, aim: Aim) -> Tensor<2> {
        let batch = self.batch;
        let away_from = aim.away_from.or_else(|| batch.mixed.clone()).map(|away| first(away, count));
        let inputs = first(batch.inputs.clone(), count);
        let aim = Aim { away_from, ..aim };
        aimed(inner, self.oracle, inputs, &batch.labels[..count], &batch.examples[..count], key, self.epoch, aim)
    }

    /// The batch with its first rows, a share of all, replaced by where an attack ends; and how many they are.
    pub(crate) fn partly(&self, inner: &Inner, share: f64) -> (Tensor<2>, usize) {
        let rows = self.rows();
        let adversarial = (share * rows as f64).round() as usize;
        let inputs = self.batch.inputs.clone();
        if adversarial == 0 {
            return (inputs, 0);
        }
        let crafted = self.craft_first(inner, self.key, adversarial, Aim::default());
        if adversarial == rows {
            return (crafted, rows);
        }
        let features = inputs.dims()[1];
        (Tensor::cat(vec![crafted, inputs.slice([adversarial..rows, 0..features])], 0), adversarial)
    }

    /// Independent standard normal numbers [rows, features]; `stream` tells one use from another.
    pub(crate) fn noise(&self, stream: u32) -> Tensor<2> {
        noise(self.batch, [self.key[0] ^ stream, self.key[1]], self.epoch)
    }

    /// Cross-entropy of logits [rows, classes] and the batch's labels, smoothed and mixed as the recipe says.
    pub(crate) fn cross_entropy(&self, logits: Tensor<2>) -> Tensor<1> {
        match &self.batch.targets {
            Some(targets) => loss::soft_cross_entropy(logits, targets.clone()),
            None => loss::cross_entropy(logits, self.batch.classes.clone()),
        }
    }

    /// Which of the first rows logits [rows, classes], with gradients or without, decide rightly.
    pub(crate) fn right(&self, logits: &Tensor<2>) -> Result<Vec<bool>> {
        let logits = if logits.is_autodiff() { logits.clone().inner() } else { logits.clone() };
        right(logits, &self.batch.labels)
    }
}

/// Independent standard normal numbers for a batch [rows, features].
pub(super) fn noise(batch: &Batch, key: [u32; 2], epoch: u32) -> Tensor<2> {
    let [rows, features] = batch.inputs.dims();
    let mut numbers = vec![0.0; rows * features];
    numbers.par_chunks_mut(features).zip(&batch.examples).for_each(|(row, &example)| {
        for (block, numbers) in row.chunks_mut(4).enumerate() {
            numbers.copy_from_slice(&normals(philox([block as u32, epoch, 0, example], key))[..numbers.len()]);
        }
    });
    Tensor::from_data(TensorData::new(numbers, [rows, features]), &batch.inputs.device())
}

/// The network of a step, with gradients.
#[derive(Clone)]
pub(crate) struct Learner {
    pub(super) classifier: Classifier,
    pub(super) throw: Throw,
}

impl Learner {
    /// Logits [rows, classes] of inputs [rows, features] on the plain device; batch norm's running statistics move.
    pub(crate) fn logits(&mut self, inputs: Tensor<2>) -> Tensor<2> {
        self.logits_of(inputs.autodiff())
    }

    /// As [`Learner::logits`], of inputs that may want gradients of their own.
    pub(crate) fn logits_of(&mut self, inputs: Tensor<2>) -> Tensor<2> {
        let (logits, moved) = self.classifier.dropping_logits(inputs, &self.throw);
        self.throw.call += 1;
        self.classifier.network = self.classifier.network.clone().moved(moved);
        logits
    }

    /// As [`Network::worst_margins`](crate::model::Network::worst_margins), between ends [rows, features] and for labels [rows], all on
    /// the plain device.
    pub(crate) fn worst_margins(&self, ends: [Tensor<2>; 2], labels: Tensor<1, Int>) -> Tensor<2> {
        let [channels, height, width] = self.classifier.shape;
        let [lower, upper] = ends.map(|end| {
            let rows = end.dims()[0];
            end.reshape([rows, channels, height, width]).autodiff()
        });
        self.classifier.network.worst_margins(lower, upper, labels.autodiff())
    }
}

/// What a step descends, and what is known of the batch beside.
pub(crate) struct Loss {
    /// With gradients.
    pub loss: Tensor<1>,
    /// Which clean examples are decided rightly; absent: the loop finds out.
    pub clean: Option<Vec<bool>>,
    /// Which adversarial ones are; empty where there are none.
    pub robust: Vec<bool>,
}

/// An epoch's end.
pub(crate) struct Review<'a> {
    /// The epoch's first batch.
    pub batch: &'a Batch,
    /// The network as it is attacked.
    pub oracle: &'a Oracle,
    pub key: [u32; 2],
    pub epoch: u32,
    /// The epochs before.
    pub history: &'a [Epoch],
}

fn first(tensor: Tensor<2>, count: usize) -> Tensor<2> {
    let [rows, columns] = tensor.dims();
    if count == rows { tensor } else { tensor.slice([0..count, 0..columns]) }
}

/// Which rows of logits are finite and have their largest number, the first of equal ones, at the label.
///
/// # Errors
/// A device that stops answering.
pub(super) fn right(logits: Tensor<2>, labels: &[u32]) -> Result<Vec<bool>> {
    let [_, classes] = logits.dims();
    let logits = read_matrix(logits)?;
    let argmax = |row: &[f32]| (0..classes).fold(0, |best, class| if row[class] > row[best] { class } else { best });
    let is_right = |row: &[f32], label: u32| row.iter().all(|logit| logit.is_finite()) && argmax(row) == label as usize;
    Ok(logits.chunks(classes).zip(labels).map(|(row, &label)| is_right(row, label)).collect())
}
