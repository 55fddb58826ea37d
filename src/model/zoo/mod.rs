//! Known architectures, with the names that their authors' checkpoints use: a family is one file, a member one row.

mod cifar_resnet;
mod lenet5;
mod preact_resnet;
mod resnet;
mod vgg;
mod wide_resnet;

pub(super) use cifar_resnet::{RESNET20, RESNET32, RESNET56};
pub(super) use lenet5::ROW as LENET5;
pub(super) use preact_resnet::RESNET18 as PREACT_RESNET18;
pub(super) use resnet::{RESNET18, RESNET50};
pub(super) use vgg::VGG16;
pub(super) use wide_resnet::{WIDE_28_10, WIDE_34_10, WIDE_70_16};

use super::{Blueprint, ModelRow};
use crate::graph::{Builder, Conv, Source, Unary};
use crate::options::{Accepts, OptionSpec};
use crate::{Error, Result};

/// Images up to this side count as small, as CIFAR's and Tiny ImageNet's are.
const SMALL: usize = 64;

const fn width(default: &'static str, help: &'static str) -> OptionSpec {
    OptionSpec { name: "width", accepts: Accepts::Integer(1, 1024), default: Some(default), help }
}

/// Whether the variant for small images is meant: option `name` says "cifar", or leaves it to the images' size.
fn is_small(blueprint: &Blueprint, name: &str) -> bool {
    match blueprint.options.text(name) {
        Some("cifar") => true,
        Some("imagenet") => false,
        _ => blueprint.shape[1].max(blueprint.shape[2]) <= SMALL,
    }
}

/// The whole number `name`, which has a default.
fn size(blueprint: &Blueprint, name: &str, default: usize) -> usize {
    blueprint.options.integer(name).and_then(|size| usize::try_from(size).ok()).unwrap_or(default)
}

/// Which graph is written, and a few shapes that all families share.
struct Sketch {
    graph: Builder,
}

impl Sketch {
    fn new(blueprint: &Blueprint) -> Self {
        Self { graph: Builder::new(blueprint.shape, blueprint.classes) }
    }

    fn relu(&mut self, x: Source) -> Result<Source> {
        self.graph.unary(x, Unary::Relu)
    }

    /// A square convolution without bias, padded so that stride 1 keeps the size.
    fn conv(&mut self, name: &str, x: Source, to: usize, kernel: usize, stride: usize) -> Result<Source> {
        let conv = Conv { stride: [stride; 2], padding: [kernel / 2; 4], bias: false, ..Conv::new(to, [kernel; 2]) };
        self.graph.conv(name, x, conv)
    }

    fn norm(&mut self, name: &str, x: Source) -> Result<Source> {
        self.graph.batch_norm(name, x)
    }

    fn norm_relu(&mut self, name: &str, x: Source) -> Result<Source> {
        let x = self.norm(name, x)?;
        self.relu(x)
    }

    /// Channels of a value.
    fn channels(&self, x: Source) -> Result<usize> {
        let channels = self.graph.sides(x).get(1).and_then(|side| side.size());
        channels.ok_or_else(|| Error::input("a convolution's result has no channels"))
    }

    /// The mean over all pixels, and a dense layer of this name.
    fn head(mut self, name: &str, x: Source) -> Result<crate::graph::Graph> {
        let x = self.graph.adaptive_average_pool(x, [1, 1])?;
        let x = self.graph.flatten(x)?;
        let classes = self.graph.classes();
        let logits = self.graph.linear(name, x, classes, true)?;
        self.graph.finish(logits)
    }
}
