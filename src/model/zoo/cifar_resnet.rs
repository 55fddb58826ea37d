//! Residual networks for CIFAR (He et al. 2016, section 4.2): three stages of 16, 32 and 64 channels, and shortcuts without parameters
//! (option A: every second pixel, the new channels zero). Names as in pytorch_resnet_cifar10.

use super::{Blueprint, ModelRow, Sketch, size, width};
use crate::Result;
use crate::graph::{Graph, Op, PadMode, Source};
use crate::options::{Entry, OptionSpec};

const OPTIONS: &[OptionSpec] = &[width("16", "channels of the first stage; the others have twice and four times as many")];

const fn row(name: &'static str, summary: &'static str, build: fn(&Blueprint) -> Result<Graph>) -> ModelRow {
    ModelRow { entry: Entry { name, summary, options: OPTIONS }, build }
}

pub(in crate::model) const RESNET20: ModelRow =
    row("resnet20", "residual network for CIFAR, 20 layers, shortcuts of option A (He et al. 2016)", |blueprint| build(blueprint, 3));
pub(in crate::model) const RESNET32: ModelRow =
    row("resnet32", "residual network for CIFAR, 32 layers, shortcuts of option A (He et al. 2016)", |blueprint| build(blueprint, 5));
pub(in crate::model) const RESNET56: ModelRow =
    row("resnet56", "residual network for CIFAR, 56 layers, shortcuts of option A (He et al. 2016)", |blueprint| build(blueprint, 9));

fn build(blueprint: &Blueprint, blocks: usize) -> Result<Graph> {
    let width = size(blueprint, "width", 16);
    let mut sketch = Sketch::new(blueprint);
    let mut x = sketch.conv("conv1", sketch.graph.input(), width, 3, 1)?;
    x = sketch.norm_relu("bn1", x)?;
    for stage in 0..3 {
        for block in 0..blocks {
            let stride = if stage > 0 && block == 0 { 2 } else { 1 };
            x = residual(&mut sketch, &format!("layer{}.{block}", stage + 1), x, width << stage, stride)?;
        }
    }
    sketch.head("linear", x)
}

fn residual(sketch: &mut Sketch, name: &str, x: Source, to: usize, stride: usize) -> Result<Source> {
    let mut out = sketch.conv(&format!("{name}.conv1"), x, to, 3, stride)?;
    out = sketch.norm_relu(&format!("{name}.bn1"), out)?;
    out = sketch.conv(&format!("{name}.conv2"), out, to, 3, 1)?;
    out = sketch.norm(&format!("{name}.bn2"), out)?;
    let shortcut = shortcut(sketch, name, x, to, stride)?;
    let sum = sketch.graph.add(out, shortcut)?;
    sketch.relu(sum)
}

/// Every `stride`-th pixel, and zeros for the channels that are new, half of them before the old ones.
fn shortcut(sketch: &mut Sketch, name: &str, mut x: Source, to: usize, stride: usize) -> Result<Source> {
    if stride > 1 {
        for axis in [2, 3] {
            let end = sketch.graph.sides(x).get(axis).map_or(0, |side| side.fixed);
            x = sketch.graph.node(&format!("{name}.shortcut"), Op::Slice { axis, start: 0, end, step: stride as i64 }, &[x])?;
        }
    }
    let new = to.saturating_sub(sketch.channels(x)?) as i64;
    if new > 0 {
        let pads = vec![[0, 0], [new / 2, new - new / 2], [0, 0], [0, 0]];
        x = sketch.graph.node(&format!("{name}.shortcut"), Op::Pad { pads, mode: PadMode::Constant(0.0) }, &[x])?;
    }
    Ok(x)
}
