//! Residual networks (He et al. 2016) with torchvision's names; the stem for small images is the one that CIFAR repositories use.

use super::{Blueprint, ModelRow, Sketch, is_small, size, width};
use crate::Result;
use crate::graph::{Graph, Source};
use crate::options::{Accepts, Entry, OptionSpec};

const OPTIONS: &[OptionSpec] = &[
    OptionSpec {
        name: "stem",
        accepts: Accepts::Choice(&["auto", "cifar", "imagenet"]),
        default: Some("\"auto\""),
        help: "imagenet: 7x7 of stride 2 and max pooling; cifar: 3x3 alone; auto: cifar up to 64 pixels",
    },
    width("64", "channels of the first stage; each of the other three doubles them"),
];

const fn row(name: &'static str, summary: &'static str, build: fn(&Blueprint) -> Result<Graph>) -> ModelRow {
    ModelRow { entry: Entry { name, summary, options: OPTIONS }, build }
}

pub(in crate::model) const RESNET18: ModelRow =
    row("resnet18", "residual network, 18 layers (He et al. 2016), torchvision's names", |blueprint| build(blueprint, [2, 2, 2, 2], false));
pub(in crate::model) const RESNET50: ModelRow =
    row("resnet50", "residual network, 50 layers with bottlenecks (He et al. 2016), torchvision's names", |blueprint| {
        build(blueprint, [3, 4, 6, 3], true)
    });

/// A bottleneck's result has so many times its inner channels.
const EXPANSION: usize = 4;

fn build(blueprint: &Blueprint, blocks: [usize; 4], bottleneck: bool) -> Result<Graph> {
    let width = size(blueprint, "width", 64);
    let mut sketch = Sketch::new(blueprint);
    let small = is_small(blueprint, "stem");
    let (kernel, stride) = if small { (3, 1) } else { (7, 2) };
    let mut x = sketch.conv("conv1", sketch.graph.input(), width, kernel, stride)?;
    x = sketch.norm_relu("bn1", x)?;
    if !small {
        x = sketch.graph.max_pool(x, [3, 3], [2, 2], [1; 4])?;
    }
    for (stage, count) in blocks.into_iter().enumerate() {
        for block in 0..count {
            let stride = if stage > 0 && block == 0 { 2 } else { 1 };
            x = residual(&mut sketch, &format!("layer{}.{block}", stage + 1), x, width << stage, stride, bottleneck)?;
        }
    }
    sketch.head("fc", x)
}

fn residual(sketch: &mut Sketch, name: &str, x: Source, inner: usize, stride: usize, bottleneck: bool) -> Result<Source> {
    let to = if bottleneck { EXPANSION * inner } else { inner };
    // Kernels and strides of the convolutions one after the other.
    let convs: &[(usize, usize, usize)] =
        if bottleneck { &[(1, 1, inner), (3, stride, inner), (1, 1, to)] } else { &[(3, stride, inner), (3, 1, inner)] };
    let mut out = x;
    for (index, &(kernel, stride, to)) in convs.iter().enumerate() {
        out = sketch.conv(&format!("{name}.conv{}", index + 1), out, to, kernel, stride)?;
        out = sketch.norm(&format!("{name}.bn{}", index + 1), out)?;
        if index + 1 < convs.len() {
            out = sketch.relu(out)?;
        }
    }
    let mut shortcut = x;
    if stride != 1 || sketch.channels(x)? != to {
        shortcut = sketch.conv(&format!("{name}.downsample.0"), x, to, 1, stride)?;
        shortcut = sketch.norm(&format!("{name}.downsample.1"), shortcut)?;
    }
    let sum = sketch.graph.add(out, shortcut)?;
    sketch.relu(sum)
}
