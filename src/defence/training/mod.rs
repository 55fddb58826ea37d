//! The training loop, shared by every method.
//!
//! Batches follow an order drawn from the model's seed and the epoch, and so does everything else that is random; on the CPU device the
//! weights are the same to the bit whenever the same training runs, whether or not it was cut off on the way.

pub(super) mod augment;
pub(super) mod average;
pub mod awp;
pub(super) mod batch;
mod craft;
mod kept;
pub mod loss;
pub(super) mod method;
pub(super) mod optimiser;
pub(super) mod recipe;
mod resume;
mod schedule;
mod tally;
pub(super) mod trial;

use std::path::Path;

use burn::module::Module;
use burn::tensor::Device;

use super::{Ground, TrainerRow};
use crate::data::Dataset;
use crate::engine::oracle::Oracle;
use crate::evaluate::record::{Epoch, Event};
use crate::graph::Throw;
use crate::model::{Classifier, Network, Weights};
use crate::options::Options;
use crate::{Error, Result};
use average::{Average, has_statistics, with_statistics};
use batch::{Batch, order, stream};
use method::{Learner, Lesson, Method, Review};
use optimiser::{Optimiser, clipped};
use recipe::Recipe;
use tally::Tally;

pub(super) use craft::Aim;
pub use craft::{Inner, craft};
pub(super) use kept::Kept;

/// Runs of the network that one step has at most.
const REPLAYED: u32 = 16;

/// Examples of an epoch on which its clean accuracy is measured, about; where there are fewer, all of them.
const SHOWN: usize = 8_000;

/// Batches that an average's statistics are taken over, at most.
const STATISTICS: usize = 100;

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
/// once more when an epoch has been validated; it may stop the training.
///
/// # Errors
/// A validation split that leaves no batch; a loss or a weight that is not finite, or an accuracy that falls to chance, with the epoch;
/// what `progress` reports.
pub fn train(trainee: &Trainee, progress: &mut dyn FnMut(Progress) -> Result<()>) -> Result<(Classifier, Vec<Epoch>)> {
    train_kept(trainee, None, progress)
}

/// As [`train`]; after each epoch `file` holds what another call with the same trainee goes on from, to the same weights.
///
/// # Errors
/// As [`train`]; a file that cannot be written.
pub fn train_kept(
    trainee: &Trainee,
    file: Option<&Path>,
    progress: &mut dyn FnMut(Progress) -> Result<()>,
) -> Result<(Classifier, Vec<Epoch>)> {
    let mut course = Course::new(trainee)?;
    if let Some(kept) = file.and_then(|file| Kept::read(file, trainee.device)) {
        course.restore(&kept)?;
    }
    while !course.is_over() {
        course.epoch(progress)?;
        if let Some(file) = file {
            course.save()?.write(file)?;
        }
    }
    course.finish()
}

/// A training under way.
struct Course<'a> {
    trainee: &'a Trainee<'a>,
    recipe: Recipe,
    method: Box<dyn Method>,
    /// With gradients.
    network: Network,
    optimiser: Optimiser,
    average: Average,
    history: Vec<Epoch>,
    /// The best validation so far: its epoch, its score and its weights.
    best: Option<(usize, f64, Weights)>,
    /// The same of the accuracy that the method checks.
    good: Option<(usize, f64, Weights)>,
    key: [u32; 2],
    /// Positions of the examples to learn from, and of those kept apart.
    learnt: Vec<u32>,
    held: Vec<u32>,
    batch: usize,
    chance: f64,
    device: Device,
}

impl<'a> Course<'a> {
    fn new(trainee: &'a Trainee<'a>) -> Result<Self> {
        let Trainee { name, classifier, seed, trainer, options, data, device } = trainee;
        let recipe = Recipe::new(options);
        let key = stream(*seed);
        let all: Vec<u32> = (0..data.len() as u32).collect();
        let apart = (recipe.validation * data.len() as f64).round() as usize;
        // An order that no epoch has.
        let mut held = if apart > 0 { order(all.clone(), key, 0) } else { Vec::new() };
        held.truncate(apart);
        held.sort_unstable();
        let learnt: Vec<u32> = all.into_iter().filter(|at| held.binary_search(at).is_err()).collect();
        let batch = recipe.batch.min(learnt.len());
        if batch == 0 {
            let message = format!("defence \"{name}\": there are no training examples");
            return Err(Error::input(message).help("check [data.train], data.examples, or the share `validation`"));
        }
        if recipe.validation > 0.0 && held.is_empty() {
            let message = format!("defence \"{name}\": `validation` = {} of {} training examples is none", recipe.validation, data.len());
            return Err(Error::input(message).help("raise `validation`, or set it to 0"));
        }
        let ground = Ground { shape: classifier.shape, classes: classifier.classes };
        let labels: Vec<u32> = learnt.iter().map(|&at| data.labels[at as usize]).collect();
        let learner = (*device).clone().autodiff();
        Ok(Self {
            method: (trainer.build)(options, &ground),
            network: classifier.network.clone().to_device(&learner).train(),
            optimiser: Optimiser::new(recipe.kind),
            average: Average::new(recipe.averaging),
            history: Vec::new(),
            best: None,
            good: None,
            key,
            chance: tally::chance(&labels, data.classes, labels.len().min(SHOWN)),
            device: (*device).clone(),
            trainee,
            recipe,
            learnt,
            held,
            batch,
        })
    }

    /// Epochs of one phase.
    fn phase_epochs(&self) -> usize {
        self.recipe.epochs.div_ceil(self.method.replays())
    }

    fn is_over(&self) -> bool {
        let stopped = self.history.last().is_some_and(|epoch| epoch.event.is_some());
        stopped || self.history.len() == self.phase_epochs() * self.method.phases()
    }

    fn classifier(&self, network: Network) -> Classifier {
        Classifier { network, ..self.trainee.classifier.clone() }
    }

    /// A classifier to be asked and, where it is to be attacked, with a plan.
    fn oracle(&self, classifier: Classifier, attacked: bool) -> Result<Oracle> {
        let classifier = if attacked { classifier.compiled(&self.device)? } else { classifier };
        Ok(Oracle::new(classifier, self.device.clone()))
    }

    /// What would be deployed now: the average where there is one, with statistics of what the network trains on.
    fn deployed(&mut self) -> Result<Classifier> {
        let network = self.network.valid();
        let Some(weights) = self.average.weights() else { return Ok(self.classifier(network)) };
        let averaged = self.classifier(network.with_trained(weights));
        if !has_statistics(&averaged) {
            return Ok(averaged);
        }
        let oracle = self.oracle(averaged.clone(), self.method.crafts())?;
        // An order that no epoch has.
        let order = order(self.learnt.clone(), self.key, u32::MAX);
        let Self { method, trainee, recipe, key, device, batch, .. } = self;
        let inputs = order.chunks_exact(*batch).take(STATISTICS).map(|chosen| {
            let batch = Batch::gather(trainee.data, chosen, recipe, *key, u32::MAX, device);
            method.inputs(&Lesson { batch: &batch, oracle: &oracle, key: *key, epoch: u32::MAX, done: 1.0 })
        });
        with_statistics(averaged, inputs)
    }

    fn epoch(&mut self, progress: &mut dyn FnMut(Progress) -> Result<()>) -> Result<()> {
        let epoch = self.history.len() + 1;
        let phase = (epoch - 1) / self.phase_epochs();
        if phase > 0 && (epoch - 1).is_multiple_of(self.phase_epochs()) {
            let trained = self.deployed()?;
            self.method.begin(phase, trained);
            self.network = self.trainee.classifier.network.clone().to_device(&self.device.clone().autodiff()).train();
            self.optimiser = Optimiser::new(self.recipe.kind);
            self.average = Average::new(self.recipe.averaging);
            self.best = None;
        }
        let order = order(self.learnt.clone(), self.key, epoch as u32);
        let batches: Vec<&[u32]> = order.chunks_exact(self.batch).collect();
        let (steps, done) = (batches.len() * self.method.replays(), (epoch - 1) * batches.len() * self.method.replays());
        let mut tally = Tally::default();
        for (at, chosen) in batches.iter().enumerate() {
            let data = self.trainee.data;
            let batch = Batch::gather(data, chosen, &self.recipe, self.key, epoch as u32, &self.device);
            for replay in 0..self.method.replays() {
                let step = at * self.method.replays() + replay;
                self.step(&batch, epoch, done + step - phase * self.phase_epochs() * steps, &mut tally)?;
                let so_far = tally.epoch(epoch);
                let total = self.phase_epochs() * self.method.phases() * steps;
                progress(Progress { step: done + step + 1, steps: total, epoch: so_far, ended: false })?;
            }
        }
        let mut line = tally.epoch(epoch);
        self.refuse_collapse(&line)?;
        let first = Batch::plain(self.trainee.data, batches[0], &self.device);
        let oracle = self.oracle(self.classifier(self.network.valid()), self.method.crafts())?;
        let review = Review { batch: &first, oracle: &oracle, key: self.key, epoch: epoch as u32, history: &self.history };
        line.event = self.method.after_epoch(&review, &mut line)?;
        if line.event.is_some() {
            self.best = self.best.take().or_else(|| self.good.take());
        } else {
            self.average.epoch((epoch - phase * self.phase_epochs()) as f64 / self.phase_epochs() as f64, || self.network.trained());
            if let Some(checked) = line.checked_accuracy.filter(|checked| self.good.as_ref().is_none_or(|(_, best, _)| checked > best)) {
                self.good = Some((epoch, checked, self.deployed()?.network.weights()));
            }
            self.validate(&mut line)?;
        }
        self.history.push(line);
        let (step, steps) = (done + steps, self.phase_epochs() * self.method.phases() * steps);
        progress(Progress { step, steps, epoch: line, ended: true })
    }

    /// One step on a batch, the `step`th of its phase.
    fn step(&mut self, batch: &Batch, epoch: usize, step: usize, tally: &mut Tally) -> Result<()> {
        let steps = self.phase_epochs() * (self.learnt.len() / self.batch) * self.method.replays();
        let oracle = self.oracle(self.classifier(self.network.valid()), self.method.crafts())?;
        let lesson = Lesson { batch, oracle: &oracle, key: self.key, epoch: epoch as u32, done: step as f64 / steps as f64 };
        let inputs = self.method.inputs(&lesson)?;
        let examples = batch.examples.clone();
        // A batch that is replayed loses other numbers each time.
        let throw = Throw { key: self.key, epoch: epoch as u32, call: (step % self.method.replays()) as u32 * REPLAYED, examples };
        let mut learner = Learner { classifier: self.classifier(self.network.clone()), throw };
        let mut change = None;
        if let Some(awp) = self.method.awp().filter(|awp| awp.acts(epoch)) {
            let loss = self.method.loss(&mut learner.clone(), &lesson, &inputs)?.loss;
            let gradients = self.network.gradients(&mut loss.backward());
            let weights = self.network.trained();
            let found = awp.perturbation(&weights, &self.network.trained_ranks(), gradients);
            learner.classifier.network = learner.classifier.network.with_trained(awp::moved(weights, &found, 1.0));
            change = Some(found);
        }
        let loss = self.method.loss(&mut learner, &lesson, &inputs)?;
        let replays = self.method.replays();
        let met = step / replays % (self.learnt.len() / self.batch);
        let is_shown = step.is_multiple_of(replays) && met.is_multiple_of((self.learnt.len() / SHOWN).max(1));
        let clean = match &loss.clean {
            Some(clean) => clean.clone(),
            // A pass for a number that is only shown: as many as it takes.
            None if is_shown => trial::decided(&oracle, batch.unmixed.as_ref().unwrap_or(&batch.inputs).clone(), &batch.labels)?,
            None => Vec::new(),
        };
        tally.add(&loss, &clean)?;
        if !tally.epoch(epoch).loss.is_finite() {
            return Err(self.diverged(epoch));
        }
        let mut gradients = loss.loss.backward();
        self.method.after_gradients(&mut gradients);
        let mut gradients = learner.classifier.network.gradients(&mut gradients);
        if let Some(largest) = self.recipe.clip {
            gradients = clipped(gradients, largest);
        }
        let rate = self.recipe.rate * self.recipe.schedule.factor(step, steps, self.recipe.warmup);
        let mut weights = self.optimiser.step(rate, learner.classifier.network.trained(), gradients);
        if let Some(change) = &change {
            weights = awp::moved(weights, change, -1.0);
        }
        self.network = learner.classifier.network.with_trained(weights);
        self.average.step(|| self.network.trained());
        Ok(())
    }

    fn diverged(&self, epoch: usize) -> Error {
        let message = format!("defence \"{}\": the training loss is not finite in epoch {epoch}", self.trainee.name);
        Error::data(message).help("lower `learning_rate`, or the training attack's `epsilon`, or set `clip`")
    }

    /// An accuracy at chance after it was above is no training.
    fn refuse_collapse(&self, line: &Epoch) -> Result<()> {
        let phase = &self.history[(line.epoch - 1) / self.phase_epochs() * self.phase_epochs()..];
        let best = phase.iter().map(|epoch| epoch.clean_accuracy).fold(0.0, f64::max);
        if line.clean_accuracy > self.chance || best < self.chance + tally::LEARNT {
            return Ok(());
        }
        let message = format!(
            "defence \"{}\": training collapsed in epoch {}: the clean accuracy fell from {:.1} % to {:.1} %, which is chance",
            self.trainee.name,
            line.epoch,
            100.0 * best,
            100.0 * line.clean_accuracy
        );
        Err(Error::data(message).help("lower `learning_rate`, or the training attack's `epsilon`, or set `clip`"))
    }

    /// Measures what would be deployed, and keeps it where it is the best so far.
    fn validate(&mut self, line: &mut Epoch) -> Result<()> {
        if self.held.is_empty() {
            return Ok(());
        }
        let deployed = self.deployed()?;
        let oracle = self.oracle(deployed.clone(), !self.method.threats().is_empty())?;
        let found = trial::validate(&oracle, self.trainee.data, &self.held, &*self.method, self.recipe.batch, self.key)?;
        line.validation = Some(found);
        if self.best.as_ref().is_none_or(|(_, score, _)| found.score() > *score) {
            self.best = Some((line.epoch, found.score(), deployed.network.weights()));
        }
        let since = self.best.as_ref().map_or(0, |(epoch, ..)| line.epoch - epoch);
        // Only the phase that is deployed may end before its time.
        let last = line.epoch > self.phase_epochs() * (self.method.phases() - 1);
        if last && self.recipe.patience > 0 && since >= self.recipe.patience {
            line.event = Some(Event::NoLongerBetter);
        }
        Ok(())
    }

    fn finish(mut self) -> Result<(Classifier, Vec<Epoch>)> {
        let deployed = match &self.best {
            Some((.., weights)) => {
                let network = self.network.valid();
                let best = crate::model::load(network.clone(), weights, "the best epoch", &self.device);
                // They were read from this very network.
                self.classifier(best.unwrap_or(network))
            }
            None => self.deployed()?,
        };
        Ok((deployed, self.history))
    }
}
