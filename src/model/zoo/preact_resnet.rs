//! The pre-activation residual network for small images (He et al. 2016b), as CIFAR repositories and RobustBench have it.

use super::{Blueprint, ModelRow, Sketch, size, width};
use crate::Result;
use crate::graph::{Graph, Source};
use crate::options::{Accepts, Entry, OptionSpec};

pub(in crate::model) const RESNET18: ModelRow = ModelRow {
    entry: Entry {
        name: "preact-resnet18",
        summary: "pre-activation residual network for small images, 18 layers (He et al. 2016b), RobustBench's names",
        options: &[
            OptionSpec {
                name: "shortcut",
                accepts: Accepts::Choice(&["activated", "raw"]),
                default: Some("\"activated\""),
                help: "what a shortcut's convolution reads: a block's input after norm and rectifier (PreActBlockV2 of RobustBench), or as it is",
            },
            OptionSpec {
                name: "final_norm",
                accepts: Accepts::Flag,
                default: Some("false"),
                help: "a batch norm `bn` and a rectifier before the dense layer (bn_before_fc of RobustBench)",
            },
            width("64", "channels of the first stage; each of the other three doubles them"),
        ],
    },
    build,
};

fn build(blueprint: &Blueprint) -> Result<Graph> {
    let width = size(blueprint, "width", 64);
    let activated = blueprint.options.text("shortcut") != Some("raw");
    let mut sketch = Sketch::new(blueprint);
    let mut x = sketch.conv("conv1", sketch.graph.input(), width, 3, 1)?;
    for stage in 0..4 {
        for block in 0..2 {
            let stride = if stage > 0 && block == 0 { 2 } else { 1 };
            x = residual(&mut sketch, &format!("layer{}.{block}", stage + 1), x, width << stage, stride, activated)?;
        }
    }
    if blueprint.options.flag("final_norm") == Some(true) {
        x = sketch.norm_relu("bn", x)?;
    }
    sketch.head("linear", x)
}

fn residual(sketch: &mut Sketch, name: &str, x: Source, to: usize, stride: usize, activated: bool) -> Result<Source> {
    let active = sketch.norm_relu(&format!("{name}.bn1"), x)?;
    let mut out = sketch.conv(&format!("{name}.conv1"), active, to, 3, stride)?;
    out = sketch.norm_relu(&format!("{name}.bn2"), out)?;
    out = sketch.conv(&format!("{name}.conv2"), out, to, 3, 1)?;
    let mut shortcut = x;
    if stride != 1 || sketch.channels(x)? != to {
        shortcut = sketch.conv(&format!("{name}.shortcut.0"), if activated { active } else { x }, to, 1, stride)?;
    }
    sketch.graph.add(out, shortcut)
}
