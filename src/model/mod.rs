//! Classifiers: images [examples, channels, height, width] in [0, 1] to logits [examples, classes].
//!
//! [`MODELS`] is the table: a model is one file and one row. Weights come from [`initialise`], which depends on the model's seed alone, or
//! from a checkpoint.

mod checkpoint;
mod initialise;
mod linear;
mod mlp;
mod small_cnn;

use burn::module::Module;
use burn::tensor::{Device, Tensor};

use crate::nearest::nearest;
use crate::options::{Entry, Options};
use crate::{Error, Result};

pub use checkpoint::{Weights, load, read, write};
pub use initialise::initialise;
pub use linear::Linear;
pub use mlp::Mlp;
pub use small_cnn::SmallCnn;

/// What a model's builder is told.
pub struct Blueprint<'a> {
    /// The model's own options, resolved.
    pub options: &'a Options,
    /// Channels, height and width of an image.
    pub shape: [usize; 3],
    /// How many classes.
    pub classes: usize,
    /// Where the weights live.
    pub device: &'a Device,
}

/// A row of [`MODELS`].
pub struct ModelRow {
    /// Name, summary and options.
    pub entry: Entry,
    /// Builds the network; its weights still want to be set.
    pub build: fn(&Blueprint) -> Network,
}

/// Every architecture.
pub const MODELS: &[ModelRow] = &[linear::ROW, mlp::ROW, small_cnn::ROW];

/// The network of an architecture.
#[derive(Module, Debug)]
#[expect(clippy::large_enum_variant, reason = "there is one a defence, never a list of them")]
pub enum Network {
    /// One affine map.
    Linear(Linear),
    /// Fully connected layers.
    Mlp(Mlp),
    /// Two convolutions and two dense layers.
    SmallCnn(SmallCnn),
}

impl Network {
    /// Logits [examples, classes] of images [examples, channels, height, width].
    pub fn forward(&self, images: Tensor<4>) -> Tensor<2> {
        match self {
            Network::Linear(network) => network.forward(images),
            Network::Mlp(network) => network.forward(images),
            Network::SmallCnn(network) => network.forward(images),
        }
    }
}

impl Network {
    /// Numbers that a forward pass makes of one image of this shape, layer by layer.
    fn activations(&self, shape: [usize; 3]) -> usize {
        match self {
            Network::Linear(network) => network.activations(),
            Network::Mlp(network) => network.activations(),
            Network::SmallCnn(network) => network.activations(shape),
        }
    }
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
}

impl Classifier {
    /// Builds an architecture with weights drawn from `seed`.
    ///
    /// # Errors
    /// An unknown architecture, with the nearest known name.
    pub fn new(architecture: &str, seed: u64, blueprint: &Blueprint) -> Result<Self> {
        let row = MODELS.iter().find(|row| row.entry.name == architecture).ok_or_else(|| {
            let known: Vec<&str> = MODELS.iter().map(|row| row.entry.name).collect();
            let hint = nearest(architecture, known.iter().copied()).map(|name| format!("did you mean \"{name}\"? ")).unwrap_or_default();
            Error::input(format!("unknown architecture \"{architecture}\"")).help(format!("{hint}known: {}", known.join(", ")))
        })?;
        let network = initialise((row.build)(blueprint), seed, blueprint.device);
        Ok(Self { network, shape: blueprint.shape, classes: blueprint.classes })
    }

    /// Numbers that a forward pass makes of one image, layer by layer: what memory is reckoned by.
    pub fn activations(&self) -> usize {
        self.network.activations(self.shape)
    }

    /// Features of an image: channels x height x width.
    pub fn features(&self) -> usize {
        self.shape.iter().product()
    }

    /// Logits [rows, classes] of flat inputs [rows, features].
    pub fn logits(&self, inputs: Tensor<2>) -> Tensor<2> {
        let [rows, _] = inputs.dims();
        let [channels, height, width] = self.shape;
        self.network.forward(inputs.reshape([rows, channels, height, width]))
    }
}
