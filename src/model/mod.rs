//! Classifiers: images [examples, channels, height, width] in [0, 1] to logits [examples, classes].
//!
//! [`MODELS`] is the table: a model is one file, that writes a [`Graph`], and one row. Weights come from [`initialise`], which depends on
//! the model's seed alone, or from a checkpoint.

mod checkpoint;
mod initialise;
pub mod layers;
mod linear;
mod mlp;
mod network;
mod normalise;
mod small_cnn;
pub mod source;
pub mod weights;
mod zoo;

use std::collections::BTreeSet;
use std::sync::Arc;

use burn::tensor::{Device, Tensor, TensorData};

use crate::frozen::{self, Plan, gpu};
use crate::graph::{Graph, Throw, freeze};
use crate::nearest::nearest;
use crate::options::{Entry, Options};
use crate::{Error, Result};

pub use checkpoint::{Weights, fit, load, read, write};
pub use initialise::initialise;
pub use network::{Moved, Network};
pub use normalise::Normalisation;
pub use source::{Loaded, ONNX, load_model};
pub use weights::Matching;

/// What a model's builder is told.
pub struct Blueprint<'a> {
    /// The model's own options, resolved.
    pub options: &'a Options,
    /// Channels, height and width of an image.
    pub shape: [usize; 3],
    /// How many classes.
    pub classes: usize,
}

/// A row of [`MODELS`].
pub struct ModelRow {
    /// Name, summary and options.
    pub entry: Entry,
    /// Builds the graph.
    pub build: fn(&Blueprint) -> Result<Graph>,
}

/// Every architecture.
pub const MODELS: &[ModelRow] = &[
    linear::ROW,
    mlp::ROW,
    small_cnn::ROW,
    zoo::LENET5,
    zoo::RESNET20,
    zoo::RESNET32,
    zoo::RESNET56,
    zoo::RESNET18,
    zoo::RESNET50,
    zoo::PREACT_RESNET18,
    zoo::WIDE_28_10,
    zoo::WIDE_34_10,
    zoo::WIDE_70_16,
    zoo::VGG16,
];

/// The graph of an architecture.
///
/// # Errors
/// An unknown architecture, with the nearest known name; images that it does not take.
pub fn build(architecture: &str, blueprint: &Blueprint) -> Result<Graph> {
    let row = MODELS.iter().find(|row| row.entry.name == architecture).ok_or_else(|| {
        let known: Vec<&str> = MODELS.iter().map(|row| row.entry.name).collect();
        let hint = nearest(architecture, known.iter().copied()).map(|name| format!("did you mean \"{name}\"? ")).unwrap_or_default();
        Error::input(format!("unknown architecture \"{architecture}\"")).help(format!("{hint}known: {}", known.join(", ")))
    })?;
    (row.build)(blueprint)
}

/// A network for images of one shape.
#[derive(Clone, Debug)]
pub struct Classifier {
    /// The network.
    pub network: Network,
    /// Channels, height and width of an image.
    pub shape: [usize; 3],
    /// How many classes.
    pub classes: usize,
    /// What runs in the network's place where no weights are trained: on the processor, if a plan can hold all of the network.
    pub plan: Option<Arc<Plan>>,
    /// The same on a GPU.
    pub gpu: Option<Arc<gpu::Plan>>,
}

/// What the way back needs of a way forward through a plan.
#[derive(Debug)]
pub enum Tape {
    /// On the processor.
    Processor(frozen::Tape),
    /// On a GPU.
    Gpu(gpu::Tape),
}

impl Classifier {
    /// Builds an architecture on a device, with weights drawn from `seed`.
    ///
    /// # Errors
    /// As [`build`].
    pub fn new(architecture: &str, seed: u64, blueprint: &Blueprint, device: &Device) -> Result<Self> {
        let graph = build(architecture, blueprint)?;
        let weights = initialise(&graph, seed);
        Self::from_graph(graph, &weights, device)
    }

    /// A graph with its weights on a device.
    ///
    /// # Errors
    /// A graph that does not fit together; weights that are not its.
    pub fn from_graph(graph: Graph, weights: &Weights, device: &Device) -> Result<Self> {
        let (shape, classes) = (graph.input, graph.classes);
        Ok(Self { network: Network::new(graph, weights, "the weights", device)?, shape, classes, plan: None, gpu: None })
    }

    /// The same function of the images with less work, batch norm folded away, on a device: what attacks run. Not to be trained.
    ///
    /// # Errors
    /// A device that does not answer.
    pub fn frozen(&self, device: &Device) -> Result<Self> {
        let frozen = Self { network: self.network.frozen(device)?, ..self.clone() };
        if on_processor(device) { frozen.compiled(device) } else { frozen.compiled_for_gpu() }
    }

    /// With a plan of the weights as they are now, where `device` is the processor and a plan can hold the network; else without one.
    ///
    /// # Errors
    /// A device that does not answer.
    pub fn compiled(self, device: &Device) -> Result<Self> {
        if *device != Device::flex() {
            return Ok(Self { plan: None, gpu: None, ..self });
        }
        let (graph, weights) = freeze(self.network.graph(), &self.network.weights())?;
        Ok(Self { plan: held(Plan::compile(&graph, &weights)?), gpu: None, ..self })
    }

    /// As [`Classifier::compiled`], for a GPU. The weights are read from the device: not for weights that change at every step.
    ///
    /// # Errors
    /// A device that does not answer.
    pub fn compiled_for_gpu(self) -> Result<Self> {
        let (graph, weights) = freeze(self.network.graph(), &self.network.weights())?;
        Ok(Self { gpu: held(gpu::Plan::compile(&graph, &weights)?), plan: None, ..self })
    }

    /// The same network in half precision, without a plan: logits are still in single. Not to be trained.
    #[must_use]
    pub fn halved(&self) -> Self {
        Self { network: self.network.halved(), plan: None, gpu: None, ..self.clone() }
    }

    /// Numbers that a forward pass makes of one image and keeps, layer by layer: what memory is reckoned by.
    pub fn activations(&self) -> usize {
        self.network.activations()
    }

    /// Features of an image: channels x height x width.
    pub fn features(&self) -> usize {
        self.shape.iter().product()
    }

    /// Logits [rows, classes] of flat inputs [rows, features].
    pub fn logits(&self, inputs: Tensor<2>) -> Tensor<2> {
        let all: Vec<usize> = (0..inputs.dims()[0]).collect();
        self.logits_of(inputs, &all)
    }

    /// As [`Classifier::logits`], of the rows `asked`, each once and in order. Those of the others are 0 where a plan runs on the
    /// processor, which leaves them out, and otherwise whatever they are.
    pub fn logits_of(&self, inputs: Tensor<2>, asked: &[usize]) -> Tensor<2> {
        match (&self.plan, &self.gpu) {
            (Some(plan), _) if !inputs.is_autodiff() => {
                self.tensor(plan.logits(&numbers(inputs.clone()), asked), self.classes, &inputs.device())
            }
            (_, Some(plan)) if !inputs.is_autodiff() => plan.forward(inputs).0,
            _ => self.network.forward(self.images(inputs)),
        }
    }

    /// As [`Classifier::logits_of`], with what [`Classifier::gradient`] needs; none where there is no plan.
    pub fn forward(&self, inputs: &Tensor<2>, asked: &[usize]) -> Option<(Tensor<2>, Tape)> {
        if let Some(plan) = &self.gpu {
            let (logits, tape) = plan.forward(inputs.clone());
            return Some((logits, Tape::Gpu(tape)));
        }
        let (logits, tape) = self.plan.as_ref()?.forward(&numbers(inputs.clone()), asked);
        Some((self.tensor(logits, self.classes, &inputs.device()), Tape::Processor(tape)))
    }

    /// The gradient [rows, features] of the loss whose gradient with respect to the logits is `slopes`.
    pub fn gradient(&self, tape: &mut Tape, slopes: Tensor<2>) -> Tensor<2> {
        match tape {
            Tape::Processor(tape) => {
                let device = slopes.device();
                self.tensor(tape.gradient(&numbers(slopes)), self.features(), &device)
            }
            Tape::Gpu(tape) => tape.gradient(slopes),
        }
    }

    /// As [`Classifier::logits`], batch norm using the statistics of these rows, and the running statistics that they move.
    pub fn training_logits(&self, inputs: Tensor<2>) -> (Tensor<2>, Moved) {
        self.network.forward_training(self.images(inputs))
    }

    /// As [`Classifier::training_logits`]; dropout drops what `throw` draws.
    pub fn dropping_logits(&self, inputs: Tensor<2>, throw: &Throw) -> (Tensor<2>, Moved) {
        self.network.forward_dropping(self.images(inputs), Some(throw))
    }

    fn tensor(&self, numbers: Vec<f32>, columns: usize, device: &Device) -> Tensor<2> {
        let rows = numbers.len() / columns;
        Tensor::from_data(TensorData::new(numbers, [rows, columns]), device)
    }

    fn images(&self, inputs: Tensor<2>) -> Tensor<4> {
        let [rows, _] = inputs.dims();
        let [channels, height, width] = self.shape;
        inputs.reshape([rows, channels, height, width])
    }
}

fn on_processor(device: &Device) -> bool {
    device.clone().inner() == Device::flex()
}

/// A plan, where one can hold the network.
fn held<P>(compiled: std::result::Result<P, BTreeSet<String>>) -> Option<Arc<P>> {
    let lacking = |missing| tracing::debug!("no plan holds {missing:?}: the network runs on Burn");
    compiled.map_err(lacking).ok().map(Arc::new)
}

/// The numbers of a tensor on the processor.
fn numbers(tensor: Tensor<2>) -> Vec<f32> {
    tensor.into_data().try_to_vec().expect("a tensor on the processor holds f32")
}
