//! VGG-16 with batch norm (Simonyan and Zisserman 2015), torchvision's names; the head for small images is the one of CIFAR repositories.

use super::{Blueprint, ModelRow, Sketch, is_small, size, width};
use crate::Result;
use crate::graph::{Conv, Graph};
use crate::options::{Accepts, Entry, OptionSpec};

pub(in crate::model) const VGG16: ModelRow = ModelRow {
    entry: Entry {
        name: "vgg16-bn",
        summary: "VGG-16 with batch norm (Simonyan and Zisserman 2015), torchvision's names",
        options: &[
            OptionSpec {
                name: "head",
                accepts: Accepts::Choice(&["auto", "cifar", "imagenet"]),
                default: Some("\"auto\""),
                help: "imagenet: 7x7 pixels and three dense layers; cifar: one pixel and one; auto: cifar up to 64 pixels",
            },
            width("64", "channels of the first stage; the others have 2, 4, 8 and 8 times as many"),
            OptionSpec {
                name: "hidden",
                accepts: Accepts::Integer(1, 65_536),
                default: Some("4096"),
                help: "width of the imagenet head's hidden layers",
            },
        ],
    },
    build,
};

/// Convolutions of each stage, and their channels in units of the first stage's.
const STAGES: [(usize, usize); 5] = [(2, 1), (2, 2), (3, 4), (3, 8), (3, 8)];

fn build(blueprint: &Blueprint) -> Result<Graph> {
    let width = size(blueprint, "width", 64);
    let mut sketch = Sketch::new(blueprint);
    let mut x = sketch.graph.input();
    // Convolution, norm, rectifier and pooling are counted through.
    let mut layer = 0;
    for (convs, factor) in STAGES {
        for _ in 0..convs {
            x = sketch.graph.conv(&format!("features.{layer}"), x, Conv { padding: [1; 4], ..Conv::new(width * factor, [3, 3]) })?;
            x = sketch.norm_relu(&format!("features.{}", layer + 1), x)?;
            layer += 3;
        }
        x = sketch.graph.max_pool(x, [2, 2], [2, 2], [0; 4])?;
        layer += 1;
    }
    if is_small(blueprint, "head") {
        return sketch.head("classifier", x);
    }
    let hidden = size(blueprint, "hidden", 4096);
    x = sketch.graph.adaptive_average_pool(x, [7, 7])?;
    x = sketch.graph.flatten(x)?;
    for name in ["classifier.0", "classifier.3"] {
        x = sketch.graph.linear(name, x, hidden, true)?;
        x = sketch.relu(x)?;
    }
    let logits = sketch.graph.linear("classifier.6", x, blueprint.classes, true)?;
    sketch.graph.finish(logits)
}
