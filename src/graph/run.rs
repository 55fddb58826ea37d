//! Runs a graph on tensors, node by node.

use burn::module::Module;
use burn::tensor::{Device, FloatDType, Int, Tensor, TensorData};

use super::ops::{apply, constants, layer};
use super::{Binary, Graph, Node, Op, Source, Value};
use crate::Result;
use crate::kernel::random::{philox, unit};
use crate::model::Weights;

/// What one node keeps on the device beside its parameters: matrices of a resize, indices of a gather.
#[derive(Module, Debug, Default)]
pub struct Constants {
    pub(super) matrices: Vec<Tensor<2>>,
    pub(super) indices: Vec<Tensor<1, Int>>,
    /// A power's exponent, where it is one known number.
    #[module(skip)]
    pub(super) exponent: Option<f32>,
}

impl Constants {
    /// The same numbers in half precision.
    pub(crate) fn halved(&self) -> Self {
        Self { matrices: self.matrices.iter().map(|matrix| matrix.clone().cast(FloatDType::F16)).collect(), ..self.clone() }
    }
}

/// A graph that has been checked, with what running it needs to know.
#[derive(Clone, Debug)]
pub struct Plan {
    graph: Graph,
    /// Which nodes the logits depend on.
    live: Vec<bool>,
    /// By node and input: whether nothing reads the value afterwards, so that its memory can be used again.
    last: Vec<Vec<bool>>,
    transposed: Vec<bool>,
    activations: usize,
}

/// What a run gives.
#[derive(Debug)]
pub struct Outcome {
    /// Logits [N, classes].
    pub logits: Tensor<2>,
    /// Running statistics moved by the batch: index of the parameter, and its new value. Empty but in training.
    pub moved: Vec<(usize, Tensor<1>)>,
}

impl Plan {
    /// Checks a graph and looks ahead.
    ///
    /// # Errors
    /// As [`Graph::shapes`].
    pub fn new(graph: Graph) -> Result<Self> {
        let activations = graph.activations()?;
        let live = live(&graph);
        let mut seen = vec![false; graph.nodes.len()];
        if let Source::Node(at) = graph.output {
            seen[at] = true;
        }
        let mut last: Vec<Vec<bool>> = graph.nodes.iter().map(|node| vec![false; node.inputs.len()]).collect();
        for (at, node) in graph.nodes.iter().enumerate().rev().filter(|(at, _)| live[*at]) {
            for (input, source) in node.inputs.iter().enumerate().rev() {
                if let Source::Node(from) = *source {
                    last[at][input] = !std::mem::replace(&mut seen[from], true);
                }
            }
        }
        let transposed = (0..graph.parameters.len()).map(|parameter| only_dense(&graph, parameter)).collect();
        Ok(Self { graph, live, last, transposed, activations })
    }

    /// The graph.
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// As [`Graph::activations`].
    pub fn activations(&self) -> usize {
        self.activations
    }

    /// Whether a parameter, [out, in] in the weights, is kept as [in, out]: those that only dense layers read.
    pub fn is_transposed(&self, parameter: usize) -> bool {
        self.transposed[parameter]
    }

    /// What the nodes keep on the device, one each.
    ///
    /// # Errors
    /// As [`Graph::shapes`].
    pub fn constants(&self, weights: &Weights, device: &Device) -> Result<Vec<Constants>> {
        let shapes = self.graph.shapes()?;
        let of = |node: &Node| {
            let x = self.graph.sides(node.inputs[0], &shapes).unwrap_or_default();
            Constants { exponent: exponent(&self.graph, node, weights), ..constants(&node.op, &x, device) }
        };
        Ok(self.graph.nodes.iter().map(of).collect())
    }
}

/// Whether a run is part of a training.
#[derive(Clone, Copy, Debug)]
pub enum Mode<'a> {
    /// Batch norm uses its running statistics, and nothing is dropped.
    Plain,
    /// Batch norm uses the statistics of the batch; what dropout drops is drawn, where draws are given.
    Training(Option<&'a Throw>),
}

/// What dropout draws with: an example loses the same elements whatever batch it is in.
#[derive(Clone, Debug)]
pub struct Throw {
    /// Key of the random stream.
    pub key: [u32; 2],
    /// What tells an epoch's draws from another's.
    pub epoch: u32,
    /// What tells the runs of one step apart.
    pub call: u32,
    /// Stable ids of the rows.
    pub examples: Vec<u32>,
}

impl Throw {
    /// 0 or 1 / (1 - rate), flat, for the elements of a node's value.
    fn mask(&self, node: usize, elements: usize, rate: f32) -> Vec<f32> {
        let key = [self.key[0] ^ node as u32, self.key[1].wrapping_add(self.call)];
        let kept = 1.0 / (1.0 - rate).max(f32::MIN_POSITIVE);
        let mut mask = vec![0.0; elements];
        let row = elements / self.examples.len().max(1);
        for (mask, &example) in mask.chunks_mut(row.max(1)).zip(&self.examples) {
            for (block, mask) in mask.chunks_mut(4).enumerate() {
                let words = philox([block as u32, self.epoch, DROPOUT, example], key);
                mask.iter_mut().zip(words).for_each(|(mask, word)| *mask = if unit(word) < rate { 0.0 } else { kept });
            }
        }
        mask
    }
}

/// Sets dropout's draws apart from others of the key.
const DROPOUT: u32 = 0x6472_6f70;

/// Runs a graph. `parameter` gives each parameter by its index, as [`Plan::is_transposed`] says.
pub fn run(plan: &Plan, parameter: impl Fn(usize) -> Value, constants: &[Constants], images: Tensor<4>, mode: Mode) -> Outcome {
    let (examples, device) = (images.dims()[0], images.device());
    let training = matches!(mode, Mode::Training(_));
    let images = Value::new(images);
    let mut values: Vec<Option<Value>> = vec![None; plan.graph.nodes.len()];
    let mut moved = Vec::new();
    for (at, node) in plan.graph.nodes.iter().enumerate().filter(|(at, _)| plan.live[*at]) {
        let mut read = |input: usize| {
            let (value, transposed) = match node.inputs[input] {
                Source::Input => (images.clone(), false),
                Source::Parameter(index) => (parameter(index), plan.transposed[index]),
                Source::Node(from) if plan.last[at][input] => (values[from].take().expect("a value outlives its last use"), false),
                Source::Node(from) => (values[from].clone().expect("nodes are in order"), false),
            };
            if node.op == Op::Linear && input == 1 && !transposed { value.swap(0, 1) } else { value }
        };
        let mut inputs: Vec<Value> = (0..node.inputs.len()).map(&mut read).collect();
        values[at] = Some(match node.op {
            Op::BatchNorm { epsilon, momentum } if training => {
                let rest = inputs.split_off(1);
                let (x, running) = layer::batch_norm_training(inputs.remove(0), &rest, epsilon, momentum);
                for (source, value) in node.inputs[3..].iter().zip(running) {
                    if let Source::Parameter(index) = *source {
                        moved.push((index, value.tensor()));
                    }
                }
                x
            }
            Op::Dropout { rate } if let Mode::Training(Some(throw)) = mode => {
                let x = inputs.remove(0);
                let sides = x.shape();
                let mask = throw.mask(at, sides.iter().product(), rate);
                x.multiply(Value::new(Tensor::<1>::from_data(TensorData::from(mask.as_slice()), &device)).reshape(&sides))
            }
            _ => apply(&node.op, inputs, &constants[at], examples),
        });
    }
    let logits = match plan.graph.output {
        Source::Node(at) => values[at].take().map(Value::tensor),
        _ => None,
    };
    Outcome { logits: logits.expect("a checked graph ends in a node"), moved }
}

/// Which nodes the output depends on.
pub(super) fn live(graph: &Graph) -> Vec<bool> {
    let mut live = vec![false; graph.nodes.len()];
    if let Source::Node(at) = graph.output {
        live[at] = true;
    }
    for at in (0..graph.nodes.len()).rev() {
        if live[at] {
            for source in &graph.nodes[at].inputs {
                if let Source::Node(from) = *source {
                    live[from] = true;
                }
            }
        }
    }
    live
}

/// Whether dense layers, as their weight, and nothing else read a parameter.
fn only_dense(graph: &Graph, parameter: usize) -> bool {
    let mut dense = false;
    for node in &graph.nodes {
        for (input, source) in node.inputs.iter().enumerate() {
            if *source == Source::Parameter(parameter) {
                if node.op != Op::Linear || input != 1 {
                    return false;
                }
                dense = true;
            }
        }
    }
    dense
}

fn exponent(graph: &Graph, node: &Node, weights: &Weights) -> Option<f32> {
    let (Op::Binary(Binary::Power), [_, Source::Parameter(at)]) = (&node.op, &node.inputs[..]) else { return None };
    let parameter = &graph.parameters[*at];
    match &weights.0.get(&parameter.name)?.1[..] {
        [exponent] if !parameter.trained => Some(*exponent),
        _ => None,
    }
}
