//! Wide residual networks (Zagoruyko and Komodakis 2016) with the names of TRADES and RobustBench.

use super::{Blueprint, ModelRow, Sketch, size, width};
use crate::Result;
use crate::graph::{Graph, Source};
use crate::options::{Entry, OptionSpec};

const TEN: &[OptionSpec] = &[width("10", "how many times wider than a plain residual network")];
const SIXTEEN: &[OptionSpec] = &[width("16", "how many times wider than a plain residual network")];

pub(in crate::model) const WIDE_28_10: ModelRow = ModelRow {
    entry: Entry {
        name: "wide-resnet-28-10",
        summary: "wide residual network, 28 layers, 10 times as wide (Zagoruyko and Komodakis 2016), RobustBench's names",
        options: TEN,
    },
    build: |blueprint| build(blueprint, 28, 10),
};
pub(in crate::model) const WIDE_34_10: ModelRow = ModelRow {
    entry: Entry {
        name: "wide-resnet-34-10",
        summary: "wide residual network, 34 layers, 10 times as wide (Zagoruyko and Komodakis 2016), RobustBench's names",
        options: TEN,
    },
    build: |blueprint| build(blueprint, 34, 10),
};
pub(in crate::model) const WIDE_70_16: ModelRow = ModelRow {
    entry: Entry {
        name: "wide-resnet-70-16",
        summary: "wide residual network, 70 layers, 16 times as wide (Zagoruyko and Komodakis 2016), RobustBench's names",
        options: SIXTEEN,
    },
    build: |blueprint| build(blueprint, 70, 16),
};

fn build(blueprint: &Blueprint, depth: usize, factor: usize) -> Result<Graph> {
    let factor = size(blueprint, "width", factor);
    let mut sketch = Sketch::new(blueprint);
    let mut x = sketch.conv("conv1", sketch.graph.input(), 16, 3, 1)?;
    for stage in 0..3 {
        // Two convolutions a block, three stages, and four layers outside of them.
        for block in 0..(depth - 4) / 6 {
            let stride = if stage > 0 && block == 0 { 2 } else { 1 };
            let name = format!("block{}.layer.{block}", stage + 1);
            x = residual(&mut sketch, &name, x, (16 * factor) << stage, stride)?;
        }
    }
    x = sketch.norm_relu("bn1", x)?;
    sketch.head("fc", x)
}

fn residual(sketch: &mut Sketch, name: &str, x: Source, to: usize, stride: usize) -> Result<Source> {
    let active = sketch.norm_relu(&format!("{name}.bn1"), x)?;
    let mut out = sketch.conv(&format!("{name}.conv1"), active, to, 3, stride)?;
    out = sketch.norm_relu(&format!("{name}.bn2"), out)?;
    out = sketch.conv(&format!("{name}.conv2"), out, to, 3, 1)?;
    // Unlike elsewhere, only new channels make a convolution of the shortcut.
    let shortcut = if sketch.channels(x)? == to { x } else { sketch.conv(&format!("{name}.convShortcut"), active, to, 1, stride)? };
    sketch.graph.add(out, shortcut)
}
