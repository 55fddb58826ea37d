//! Input normalisation inside a network, so that epsilon stays in units of [0, 1] inputs.

use serde::Serialize;

use crate::graph::{Graph, Node, Op, Source};
use crate::{Error, Result};

/// Mean and deviation of the inputs, one a channel or one for all: the network reads (x - mean) / std.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Normalisation {
    /// What is subtracted, in units of [0, 1] inputs.
    pub mean: Vec<f64>,
    /// What the rest is divided by, in the same units; not 0.
    pub std: Vec<f64>,
}

impl Normalisation {
    /// As a suite writes it.
    pub fn text(&self) -> String {
        let list = |values: &[f64]| values.iter().map(|value| format!("{:.4}", value)).collect::<Vec<_>>().join(", ");
        format!("normalize = {{ mean = [{}], std = [{}] }}", list(&self.mean), list(&self.std))
    }

    /// Whether both say the same, to the fourth digit.
    pub(super) fn agrees(&self, other: &Self, channels: usize) -> bool {
        let near = |a: &[f64], b: &[f64]| (0..channels).all(|channel| (at(a, channel) - at(b, channel)).abs() < 1e-4);
        near(&self.mean, &other.mean) && near(&self.std, &other.std)
    }

    /// The network behind the normalisation.
    ///
    /// # Errors
    /// Numbers that are neither one for all channels nor one a channel.
    pub fn before(&self, graph: Graph) -> Result<Graph> {
        let channels = graph.input[0];
        if [self.mean.len(), self.std.len()].iter().any(|&count| count != 1 && count != channels) {
            let (means, deviations) = (self.mean.len(), self.std.len());
            let message = format!("`normalize` has {means} means and {deviations} deviations, the images {channels} channels");
            return Err(Error::input(message).help("give a number a channel of each, or one for all channels"));
        }
        let all = |values: &[f64]| (0..channels).map(|channel| at(values, channel) as f32).collect();
        let op = Op::Normalise { mean: all(&self.mean), deviation: all(&self.std) };
        let first = Node { name: "normalize".into(), op, inputs: vec![Source::Input] };
        let behind = |source: Source| match source {
            Source::Input => Source::Node(0),
            Source::Node(at) => Source::Node(at + 1),
            Source::Parameter(at) => Source::Parameter(at),
        };
        let rest = graph.nodes.into_iter().map(|node| Node { inputs: node.inputs.into_iter().map(behind).collect(), ..node });
        let nodes = std::iter::once(first).chain(rest).collect();
        Ok(Graph { nodes, output: behind(graph.output), ..graph })
    }
}

/// The number of a channel.
fn at(values: &[f64], channel: usize) -> f64 {
    values.get(channel).or(values.first()).copied().unwrap_or_default()
}
