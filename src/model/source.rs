//! From a suite's model to a network with its weights: an architecture or a stack of layers with a checkpoint or first weights, or an
//! ONNX file.

use std::path::Path;

use burn::tensor::Device;

use super::layers;
use super::weights::{self, Fitted};
use super::{Blueprint, Classifier, Weights, build, initialise};
use crate::graph::Graph;
use crate::onnx::{self, Declared, Imported, Layout, Range};
use crate::options::{Accepts, Entry, OptionSpec};
use crate::suite::ModelSpec;
use crate::{Error, Result};

/// A network from an ONNX file: what a suite may say of it.
pub const ONNX: Entry = Entry {
    name: "onnx",
    summary: "a network with its weights from an ONNX file",
    options: &[
        OptionSpec {
            name: "layout",
            accepts: Accepts::Choice(&["auto", "nchw", "nhwc"]),
            default: Some("\"auto\""),
            help: "the order of an image's sides in the file; auto: as the file and the data tell",
        },
        OptionSpec {
            name: "range",
            accepts: Accepts::Choice(&["auto", "0..1", "0..255"]),
            default: Some("\"auto\""),
            help: "what it takes pixels to be; for 0..255, images in [0, 1] are multiplied by 255 inside the network; auto: 0..1, and a file \
                   that seems to take something else is refused",
        },
    ],
};

/// A network with its weights, on no device yet.
#[derive(Clone, Debug)]
pub struct Design {
    /// What it computes.
    pub graph: Graph,
    /// Its weights: a file's, or the first ones that the seed draws.
    pub weights: Weights,
    /// What was recognised or done while reading.
    pub notes: Vec<String>,
}

/// A network on a device.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The network.
    pub classifier: Classifier,
    /// Its weights on the host.
    pub weights: Weights,
    /// What was recognised or done while reading.
    pub notes: Vec<String>,
}

/// A suite's model for images of `shape` (channels, height, width) and so many classes, on a device; relative paths start from `base`.
///
/// # Errors
/// As [`design`].
pub fn load_model(spec: &ModelSpec, base: &Path, shape: [usize; 3], classes: usize, device: &Device) -> Result<Loaded> {
    let Design { graph, weights, notes } = design(spec, base, shape, classes)?;
    let classifier = Classifier::from_graph(graph, &weights, device)?;
    Ok(Loaded { classifier, weights, notes })
}

/// As [`load_model`], on no device.
///
/// # Errors
/// An unknown architecture; images or classes that the network does not take; a file that is missing, damaged or does not fit, with every
/// missing, extra or misshapen tensor at once; a checkpoint that normalises its inputs otherwise than the suite says.
pub fn design(spec: &ModelSpec, base: &Path, shape: [usize; 3], classes: usize) -> Result<Design> {
    if spec.onnx.is_some() {
        let design = imported(spec, base, Some((shape, classes)))?;
        let graph = &design.graph;
        if graph.input != shape || graph.classes != classes {
            let message = format!(
                "the network takes images {:?} (channels, height, width) and tells {} classes apart; the data are {shape:?} with {classes} classes",
                graph.input, graph.classes
            );
            return Err(
                Error::input(message).help("choose data of the same kind, or say layout = \"nhwc\" where the file's channels come last")
            );
        }
        return Ok(design);
    }
    let graph = if spec.layers.is_empty() {
        build(&spec.architecture, &Blueprint { options: &spec.options, shape, classes })?
    } else {
        layers::build(&spec.layers, shape, classes)?
    };
    let (weights, notes) = match &spec.weights {
        Some(path) => checkpoint(spec, &graph, &base.join(path))?,
        None => (initialise(&graph, spec.seed), Vec::new()),
    };
    Ok(Design { graph: normalised(spec, graph)?, weights, notes })
}

/// The network of a model's ONNX file; `images`: channels, height and width of the images and how many classes there are, where data say so.
///
/// # Errors
/// As [`design`].
pub fn imported(spec: &ModelSpec, base: &Path, images: Option<([usize; 3], usize)>) -> Result<Design> {
    let path = spec.onnx.as_ref().ok_or_else(|| Error::input("the model names no ONNX file"))?;
    let layout = match spec.options.text("layout") {
        Some("nchw") => Some(Layout::Nchw),
        Some("nhwc") => Some(Layout::Nhwc),
        _ => None,
    };
    let range = match spec.options.text("range") {
        Some("0..1") => Some(Range::Unit),
        Some("0..255") => Some(Range::Bytes),
        _ => None,
    };
    let (shape, classes) = images.unzip();
    let declared = Declared { shape, classes, layout, range };
    let Imported { graph, weights, notes, .. } = onnx::read(&base.join(path), &declared)?;
    Ok(Design { graph: normalised(spec, graph)?, weights, notes })
}

fn normalised(spec: &ModelSpec, graph: Graph) -> Result<Graph> {
    match &spec.normalize {
        Some(normalisation) => normalisation.before(graph),
        None => Ok(graph),
    }
}

/// A checkpoint's tensors under the graph's names.
fn checkpoint(spec: &ModelSpec, graph: &Graph, path: &Path) -> Result<(Weights, Vec<String>)> {
    let from = format!("weights {}", path.display());
    let wanted: Vec<(String, Vec<usize>)> =
        graph.parameters.iter().map(|parameter| (parameter.name.clone(), parameter.shape.clone())).collect();
    let channels = graph.input[0];
    let fitted = weights::fit(weights::read(path)?, &wanted, spec.matching, channels, &from)?;
    let Fitted { weights, mut notes, normalisation } = fitted;
    match (&normalisation, &spec.normalize) {
        (None, _) => {}
        (Some(found), None) => {
            let message = format!("{from}: the checkpoint normalises its inputs itself, the model of the suite does not");
            return Err(Error::input(message).help(format!("add {} to the model", found.text())));
        }
        (Some(found), Some(given)) if !found.agrees(given, channels) => {
            let message = format!("{from}: the checkpoint says {}, the suite says {}", found.text(), given.text());
            return Err(Error::input(message).help("make them agree"));
        }
        (Some(_), Some(_)) => notes.push("the checkpoint's own mean and deviation, which agree with `normalize`".into()),
    }
    Ok((weights, notes))
}
