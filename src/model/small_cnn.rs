//! A small convolutional network for images of any size.

use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{Linear, LinearConfig, PaddingConfig2d};
use burn::tensor::module::adaptive_avg_pool2d;
use burn::tensor::{Tensor, activation};

use super::{Blueprint, ModelRow, Network};
use crate::options::{Accepts, Entry, OptionSpec};

/// The dense layer sees at most so many pixels a side; larger images are averaged down to it, so that its size stays bounded.
const LARGEST_SIDE: usize = 14;

pub(super) const ROW: ModelRow = ModelRow {
    entry: Entry {
        name: "small-cnn",
        summary: "conv 3x3, conv 3x3 of stride 2, two dense layers; rectifiers between them; any image size",
        options: &[
            OptionSpec {
                name: "channels",
                accepts: Accepts::Integer(1, 1024),
                default: Some("32"),
                help: "channels of the first convolution; the second has twice as many",
            },
            OptionSpec {
                name: "hidden",
                accepts: Accepts::Integer(1, 65_536),
                default: Some("128"),
                help: "width of the hidden dense layer",
            },
        ],
    },
    build: |blueprint| Network::SmallCnn(SmallCnn::new(blueprint)),
};

/// conv - relu - conv - relu - dense - relu - dense.
#[derive(Module, Debug)]
pub struct SmallCnn {
    conv1: Conv2d,
    conv2: Conv2d,
    linear1: Linear,
    linear2: Linear,
}

impl SmallCnn {
    fn new(blueprint: &Blueprint) -> Self {
        let [channels, height, width] = blueprint.shape;
        let first = blueprint.options.integer("channels").unwrap_or(32) as usize;
        let hidden = blueprint.options.integer("hidden").unwrap_or(128) as usize;
        let padding = PaddingConfig2d::Explicit(1, 1, 1, 1);
        let conv = |from, to, stride| {
            Conv2dConfig::new([from, to], [3, 3]).with_stride([stride, stride]).with_padding(padding.clone()).init(blueprint.device)
        };
        let side = |length: usize| length.div_ceil(2).min(LARGEST_SIDE);
        let features = 2 * first * side(height) * side(width);
        Self {
            conv1: conv(channels, first, 1),
            conv2: conv(first, 2 * first, 2),
            linear1: LinearConfig::new(features, hidden).init(blueprint.device),
            linear2: LinearConfig::new(hidden, blueprint.classes).init(blueprint.device),
        }
    }

    /// Logits [examples, classes] of images [examples, channels, height, width].
    pub fn forward(&self, images: Tensor<4>) -> Tensor<2> {
        let x = activation::relu(self.conv1.forward(images));
        let mut x = activation::relu(self.conv2.forward(x));
        let [_, _, height, width] = x.dims();
        if height > LARGEST_SIDE || width > LARGEST_SIDE {
            x = adaptive_avg_pool2d(x, [height.min(LARGEST_SIDE), width.min(LARGEST_SIDE)]);
        }
        let x = activation::relu(self.linear1.forward(x.flatten(1, 3)));
        self.linear2.forward(x)
    }

    pub(super) fn activations(&self, [_, height, width]: [usize; 3]) -> usize {
        let channels = |conv: &Conv2d| conv.weight.dims()[0];
        let dense = |layer: &Linear| layer.weight.dims()[1];
        channels(&self.conv1) * height * width
            + channels(&self.conv2) * height.div_ceil(2) * width.div_ceil(2)
            + dense(&self.linear1)
            + dense(&self.linear2)
    }
}
