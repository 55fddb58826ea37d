//! LeNet-5 as advertorch has it, for MNIST.

use super::{Blueprint, ModelRow, Sketch, size};
use crate::Result;
use crate::graph::{Conv, Graph};
use crate::options::{Accepts, Entry, OptionSpec};

pub(in crate::model) const ROW: ModelRow = ModelRow {
    entry: Entry {
        name: "lenet5",
        summary: "LeNet-5 of advertorch: two convolutions 3x3 with max pooling, two dense layers; conv1, conv2, linear1, linear2",
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
                default: Some("200"),
                help: "width of the hidden dense layer",
            },
        ],
    },
    build,
};

fn build(blueprint: &Blueprint) -> Result<Graph> {
    let (channels, hidden) = (size(blueprint, "channels", 32), size(blueprint, "hidden", 200));
    let mut sketch = Sketch::new(blueprint);
    let mut x = sketch.graph.input();
    for (name, to) in [("conv1", channels), ("conv2", 2 * channels)] {
        x = sketch.graph.conv(name, x, Conv { padding: [1; 4], ..Conv::new(to, [3, 3]) })?;
        x = sketch.relu(x)?;
        x = sketch.graph.max_pool(x, [2, 2], [2, 2], [0; 4])?;
    }
    x = sketch.graph.flatten(x)?;
    x = sketch.graph.linear("linear1", x, hidden, true)?;
    x = sketch.relu(x)?;
    let logits = sketch.graph.linear("linear2", x, blueprint.classes, true)?;
    sketch.graph.finish(logits)
}
