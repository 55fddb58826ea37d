//! One affine map from pixels to logits: the model whose optimal perturbation is known in closed form.

use burn::module::Module;
use burn::nn;
use burn::tensor::Tensor;

use super::{Blueprint, ModelRow, Network};
use crate::options::Entry;

pub(super) const ROW: ModelRow = ModelRow {
    entry: Entry { name: "linear", summary: "one affine map from pixels to logits", options: &[] },
    build: |blueprint| Network::Linear(Linear::new(blueprint)),
};

/// z = W x + b.
#[derive(Module, Debug)]
pub struct Linear {
    dense: nn::Linear,
}

impl Linear {
    fn new(blueprint: &Blueprint) -> Self {
        let features = blueprint.shape.iter().product();
        Self { dense: nn::LinearConfig::new(features, blueprint.classes).init(blueprint.device) }
    }

    /// Logits [examples, classes] of images [examples, channels, height, width].
    pub fn forward(&self, images: Tensor<4>) -> Tensor<2> {
        self.dense.forward(images.flatten(1, 3))
    }

    pub(super) fn activations(&self) -> usize {
        self.dense.weight.dims()[1]
    }
}
