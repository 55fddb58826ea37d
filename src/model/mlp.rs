//! Fully connected layers with rectifiers between them.

use burn::module::Module;
use burn::nn;
use burn::tensor::{Tensor, activation};

use super::{Blueprint, ModelRow, Network};
use crate::options::{Accepts, Entry, OptionSpec};

pub(super) const ROW: ModelRow = ModelRow {
    entry: Entry {
        name: "mlp",
        summary: "fully connected layers with rectifiers between them",
        options: &[
            OptionSpec { name: "hidden", accepts: Accepts::Integer(1, 65_536), default: Some("128"), help: "width of a hidden layer" },
            OptionSpec { name: "layers", accepts: Accepts::Integer(1, 64), default: Some("2"), help: "how many hidden layers" },
        ],
    },
    build: |blueprint| Network::Mlp(Mlp::new(blueprint)),
};

/// Hidden layers and a last affine map.
#[derive(Module, Debug)]
pub struct Mlp {
    hidden: Vec<nn::Linear>,
    output: nn::Linear,
}

impl Mlp {
    fn new(blueprint: &Blueprint) -> Self {
        let width = blueprint.options.integer("hidden").unwrap_or(128) as usize;
        let layers = blueprint.options.integer("layers").unwrap_or(2) as usize;
        let features: usize = blueprint.shape.iter().product();
        let hidden = (0..layers)
            .map(|layer| nn::LinearConfig::new(if layer == 0 { features } else { width }, width).init(blueprint.device))
            .collect();
        Self { hidden, output: nn::LinearConfig::new(width, blueprint.classes).init(blueprint.device) }
    }

    /// Logits [examples, classes] of images [examples, channels, height, width].
    pub fn forward(&self, images: Tensor<4>) -> Tensor<2> {
        let hidden = self.hidden.iter().fold(images.flatten(1, 3), |x, layer| activation::relu(layer.forward(x)));
        self.output.forward(hidden)
    }

    pub(super) fn activations(&self) -> usize {
        self.hidden.iter().chain([&self.output]).map(|layer| layer.weight.dims()[1]).sum()
    }
}
