//! The training loop, shared by every method.
//!
//! Batches follow an order drawn from the model's seed and the epoch; on the CPU device the weights are the same to the bit whenever
//! the same training runs.

use burn::module::Module;
use burn::optim::decay::WeightDecayConfig;
use burn::optim::momentum::MomentumConfig;
use burn::optim::{AdamConfig, GradientsParams, ModuleOptimizer, SgdConfig};
use burn::tensor::{Device, Int, Tensor, TensorData, activation};

use super::craft::craft;
use super::schedule::Schedule;
use super::{Inner, TrainerRow};
use crate::data::Dataset;
use crate::engine::draw::Draw;
use crate::engine::oracle::{Oracle, read_matrix};
use crate::evaluate::record::Epoch;
use crate::kernel::random::philox;
use crate::model::Classifier;
use crate::options::Options;
use crate::{Error, Result};

/// What is trained, on what, and how.
pub struct Trainee<'a> {
    /// The defence's name, for messages.
    pub name: &'a str,
    /// The classifier with its first weights, on `device`.
    pub classifier: Classifier,
    /// The model's seed: order of the batches, and the training attack's draws.
    pub seed: u64,
    /// The method.
    pub trainer: &'a TrainerRow,
    /// The method's options.
    pub options: &'a Options,
    /// The training examples.
    pub data: &'a Dataset,
    /// Where to train.
    pub device: &'a Device,
}

/// How far a training is.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// Steps done.
    pub step: usize,
    /// Steps in all.
    pub steps: usize,
    /// The running epoch so far.
    pub epoch: Epoch,
    /// Whether the epoch is complete.
    pub ended: bool,
}

/// Trains and returns the classifier, its weights on the plain device, with a line an epoch. `progress` is told after every step and
/// may stop the training.
///
/// # Errors
/// A batch larger than the data; a loss or a weight that is not finite, with the epoch; what `progress` reports.
pub fn train(trainee: &Trainee, progress: &mut dyn FnMut(Progress) -> Result<()>) -> Result<(Classifier, Vec<Epoch>)> {
    let Trainee { name, classifier, seed, trainer, options, data, device } = trainee;
    let epochs = options.integer("epochs").unwrap_or(10) as usize;
    let batch = (options.integer("batch").unwrap_or(64) as usize).min(data.len());
    if batch == 0 {
        return Err(
            Error::input(format!("defence \"{name}\": there are no training examples")).help("check [data.train], or data.examples")
        );
    }
    let inner = (trainer.inner)(options, classifier.shape, classifier.classes);
    let schedule = Schedule::named(options.text("schedule"));
    let rate = options.number("learning_rate").unwrap_or(1e-3);
    let mut optimizer = optimizer(options);
    let steps_an_epoch = data.len() / batch;
    let steps = epochs * steps_an_epoch;
    let key = stream(*seed);
    let learner = (*device).clone().autodiff();
    let mut network = classifier.network.clone().to_device(&learner).train();
    let mut history = Vec::with_capacity(epochs);
    for epoch in 1..=epochs {
        let order = order(data.len(), key, epoch as u32);
        let mut tally = Tally::default();
        for at in 0..steps_an_epoch {
            let step = (epoch - 1) * steps_an_epoch + at;
            let chosen = &order[at * batch..(at + 1) * batch];
            let current = Classifier { network: network.valid(), ..(*classifier).clone() };
            let oracle = Oracle::new(if inner.is_some() { current.compiled(device)? } else { current }, (*device).clone());
            let batch = Batch::gather(data, chosen, device);
            let (inputs, adversarial) = batch.training_inputs(inner.as_ref(), &oracle, key, epoch as u32);
            let (logits, moved) = Classifier { network: network.clone(), ..(*classifier).clone() }.training_logits(inputs.autodiff());
            tally.add_training(&batch, logits.clone().inner(), adversarial)?;
            if inner.is_some() {
                tally.add_clean(&batch, oracle.logits(batch.inputs.clone(), &Draw::none(batch.labels.len())))?;
            }
            let loss = cross_entropy(logits, batch.labels_on_device.clone());
            tally.loss += f64::from(read_matrix(loss.clone().inner().reshape([1, 1]))?[0]);
            tally.steps += 1;
            let progressed = Progress { step: step + 1, steps, epoch: tally.epoch(epoch), ended: at + 1 == steps_an_epoch };
            if !progressed.epoch.loss.is_finite() {
                let message = format!("defence \"{name}\": the training loss is not finite in epoch {epoch}, step {}", step + 1);
                return Err(Error::data(message).help("lower `learning_rate`, or the training attack's `epsilon`"));
            }
            let gradients = GradientsParams::from_grads(loss.backward(), &network);
            network = optimizer.step(rate * schedule.factor(step, steps), network, gradients).moved(moved);
            progress(progressed)?;
        }
        history.push(tally.epoch(epoch));
    }
    Ok((Classifier { network: network.valid(), ..(*classifier).clone() }, history))
}

fn optimizer(options: &Options) -> ModuleOptimizer {
    let decay = options.number("weight_decay").filter(|&decay| decay > 0.0).map(|decay| WeightDecayConfig::new(decay as f32));
    if options.text("optimizer") == Some("sgd") {
        let momentum = options.number("momentum").filter(|&momentum| momentum > 0.0);
        let momentum = momentum.map(|momentum| MomentumConfig::new().with_momentum(momentum).with_dampening(0.0).with_nesterov(false));
        SgdConfig::new().with_weight_decay(decay).with_momentum(momentum).init()
    } else {
        AdamConfig::new().with_epsilon(1e-8).with_weight_decay(decay).init()
    }
}

/// Mean cross-entropy of logits [rows, classes] and labels [rows].
fn cross_entropy(logits: Tensor<2>, labels: Tensor<1, Int>) -> Tensor<1> {
    let [rows, _] = logits.dims();
    let picked = activation::log_softmax(logits, 1).gather(1, labels.autodiff().reshape([rows, 1]));
    picked.mean().neg()
}

/// A training batch.
struct Batch {
    inputs: Tensor<2>,
    labels: Vec<u32>,
    labels_on_device: Tensor<1, Int>,
    examples: Vec<u32>,
}

impl Batch {
    fn gather(data: &Dataset, chosen: &[u32], device: &Device) -> Self {
        let pixels: Vec<f32> = chosen.iter().flat_map(|&at| data.image(at as usize)).copied().collect();
        let labels: Vec<u32> = chosen.iter().map(|&at| data.labels[at as usize]).collect();
        let classes: Vec<i32> = labels.iter().map(|&label| label as i32).collect();
        Self {
            inputs: Tensor::from_data(TensorData::new(pixels, [chosen.len(), data.features()]), device),
            labels_on_device: Tensor::from_data(TensorData::new(classes, [chosen.len()]), device),
            labels,
            examples: chosen.iter().map(|&at| data.ids[at as usize]).collect(),
        }
    }

    /// What the network learns from, and how many rows of it, from the first, are adversarial.
    fn training_inputs(&self, inner: Option<&Inner>, oracle: &Oracle, key: [u32; 2], epoch: u32) -> (Tensor<2>, usize) {
        let rows = self.labels.len();
        let Some(inner) = inner else { return (self.inputs.clone(), 0) };
        let adversarial = (inner.share * rows as f64).round() as usize;
        if adversarial == 0 {
            return (self.inputs.clone(), 0);
        }
        let features = self.inputs.dims()[1];
        let inputs = self.inputs.clone().slice([0..adversarial, 0..features]);
        let crafted = craft(inner, oracle, inputs, &self.labels[..adversarial], &self.examples[..adversarial], key, epoch);
        if adversarial == rows {
            return (crafted, rows);
        }
        (Tensor::cat(vec![crafted, self.inputs.clone().slice([adversarial..rows, 0..features])], 0), adversarial)
    }
}

/// Sums over an epoch.
#[derive(Default)]
struct Tally {
    steps: usize,
    loss: f64,
    clean: usize,
    clean_right: usize,
    adversarial: usize,
    adversarial_right: usize,
}

impl Tally {
    fn add_training(&mut self, batch: &Batch, logits: Tensor<2>, adversarial: usize) -> Result<()> {
        let right = right(logits, &batch.labels)?;
        self.adversarial += adversarial;
        self.adversarial_right += right[..adversarial].iter().filter(|&&right| right).count();
        if adversarial == 0 {
            self.clean += right.len();
            self.clean_right += right.iter().filter(|&&right| right).count();
        }
        Ok(())
    }

    fn add_clean(&mut self, batch: &Batch, logits: Tensor<2>) -> Result<()> {
        let right = right(logits, &batch.labels)?;
        self.clean += right.len();
        self.clean_right += right.iter().filter(|&&right| right).count();
        Ok(())
    }

    fn epoch(&self, epoch: usize) -> Epoch {
        Epoch {
            epoch,
            loss: self.loss / self.steps.max(1) as f64,
            clean_accuracy: self.clean_right as f64 / self.clean.max(1) as f64,
            robust_accuracy: (self.adversarial > 0).then(|| self.adversarial_right as f64 / self.adversarial as f64),
        }
    }
}

fn right(logits: Tensor<2>, labels: &[u32]) -> Result<Vec<bool>> {
    let [_, classes] = logits.dims();
    let logits = read_matrix(logits)?;
    let argmax = |row: &[f32]| (0..classes).fold(0, |best, class| if row[class] > row[best] { class } else { best });
    Ok(logits.chunks(classes).zip(labels).map(|(row, &label)| argmax(row) == label as usize).collect())
}

/// The order in which an epoch meets the examples (Fisher and Yates' shuffle).
fn order(count: usize, key: [u32; 2], epoch: u32) -> Vec<u32> {
    let mut order: Vec<u32> = (0..count as u32).collect();
    for last in (1..count).rev() {
        let word = philox([last as u32, epoch, 0, u32::MAX], key)[0];
        order.swap(last, ((u64::from(word) * (last as u64 + 1)) >> 32) as usize);
    }
    order
}

fn stream(seed: u64) -> [u32; 2] {
    let mut hasher = blake3::Hasher::new_derive_key("gauntlet random stream of a training");
    hasher.update(&seed.to_le_bytes());
    let hash = hasher.finalize();
    let word = |at: usize| u32::from_le_bytes(hash.as_bytes()[at..at + 4].try_into().expect("four bytes"));
    [word(0), word(4)]
}
