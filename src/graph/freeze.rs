//! The same function of the images with less work: for attacks, which run a network far more often than they change it.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use burn::tensor::{Device, Tensor, TensorData};

use super::ops::{apply, constants};
use super::run::live;
use super::shape::infer;
use super::{Binary, Dim, Graph, Node, Op, Parameter, Source, Value};
use crate::model::Weights;
use crate::{Error, Result};

/// Batch norm folded into the convolution or dense layer before it, else turned into a scale and a shift; parts that no image enters
/// worked out; what nothing reads dropped. Nothing in the result is trained.
///
/// # Errors
/// A graph that does not pass [`Graph::shapes`]; weights that lack one of its parameters.
pub fn freeze(graph: &Graph, weights: &Weights) -> Result<(Graph, Weights)> {
    let shapes = graph.shapes()?;
    let live = live(graph);
    let mut frozen = Frozen::new(graph, weights)?;
    let live_nodes = || graph.nodes.iter().enumerate().filter(|(at, _)| live[*at]);
    for source in live_nodes().flat_map(|(_, node)| &node.inputs).chain([&graph.output]) {
        *frozen.readers.entry(*source).or_default() += 1;
    }
    for (at, node) in live_nodes() {
        let rank = shapes[at].len();
        let result = frozen.take(node, rank)?;
        frozen.results.insert(at, result);
    }
    frozen.finish(graph)
}

/// A frozen graph in the making, whose parameters have their numbers beside them.
struct Frozen {
    parameters: Vec<(Parameter, Vec<f32>)>,
    nodes: Vec<Node>,
    /// Where the result of an old node is found.
    results: BTreeMap<usize, Source>,
    /// How often an old value is read.
    readers: HashMap<Source, usize>,
}

impl Frozen {
    fn new(graph: &Graph, weights: &Weights) -> Result<Self> {
        let parameters = graph.parameters.iter().map(|parameter| match weights.0.get(&parameter.name) {
            Some((shape, numbers)) if *shape == parameter.shape => Ok((Parameter { trained: false, ..parameter.clone() }, numbers.clone())),
            _ => Err(Error::input(format!("parameter \"{}\" {:?} has no weights of its sides", parameter.name, parameter.shape))),
        });
        let parameters = parameters.collect::<Result<_>>()?;
        Ok(Self { parameters, nodes: Vec::new(), results: BTreeMap::new(), readers: HashMap::new() })
    }

    /// Takes over a node whose result has `rank` sides.
    fn take(&mut self, old: &Node, rank: usize) -> Result<Source> {
        let inputs = old.inputs.iter().map(|source| match source {
            Source::Node(at) => self.results[at],
            source => *source,
        });
        let node = Node { inputs: inputs.collect(), ..old.clone() };
        if matches!(node.op, Op::Dropout { .. }) {
            return Ok(node.inputs[0]);
        }
        let known: Option<Vec<usize>> = node.inputs.iter().map(|source| index(*source)).collect();
        if let Some(known) = known {
            return self.work_out(&node, &known);
        }
        let Some((scale, shift)) = self.affine(&node) else { return Ok(self.push(node)) };
        if self.readers.get(&old.inputs[0]) == Some(&1)
            && let Some(layer) = self.foldable(node.inputs[0], rank)
        {
            self.fold_into(layer, &scale, &shift);
            return Ok(Source::Node(layer));
        }
        let mut x = node.inputs[0];
        for (function, kind, numbers) in [(Binary::Multiply, "scale", scale), (Binary::Add, "shift", shift)] {
            let mut shape = vec![1; rank];
            shape[1] = numbers.len();
            let numbers = numbers.into_iter().map(|number| number as f32).collect();
            let name = format!("{}.{kind}", node.name);
            let operand = self.add(name.clone(), shape, numbers);
            x = self.push(Node { name, op: Op::Binary(function), inputs: vec![x, operand] });
        }
        Ok(x)
    }

    fn push(&mut self, node: Node) -> Source {
        self.nodes.push(node);
        Source::Node(self.nodes.len() - 1)
    }

    fn add(&mut self, name: String, shape: Vec<usize>, numbers: Vec<f32>) -> Source {
        self.parameters.push((Parameter { name, shape, trained: false }, numbers));
        Source::Parameter(self.parameters.len() - 1)
    }

    /// The result of a node that reads parameters alone.
    fn work_out(&mut self, node: &Node, inputs: &[usize]) -> Result<Source> {
        let device = Device::flex();
        let inputs: Vec<&(Parameter, Vec<f32>)> = inputs.iter().map(|&at| &self.parameters[at]).collect();
        let sides: Vec<Vec<Dim>> = inputs.iter().map(|(parameter, _)| parameter.shape.iter().map(|&side| side.into()).collect()).collect();
        let shape: Vec<usize> = infer(&node.op, &node.name, &sides)?.iter().map(|side| side.at(1)).collect();
        let values = inputs.iter().enumerate().map(|(input, (parameter, numbers))| {
            let numbers = TensorData::new(numbers.clone(), [numbers.len()]);
            let value = Value::new(Tensor::<1>::from_data(numbers, &device)).reshape(&parameter.shape);
            if node.op == Op::Linear && input == 1 { value.swap(0, 1) } else { value }
        });
        let value = apply(&node.op, values.collect(), &constants(&node.op, &sides[0], &device), 1);
        let numbers = value.reshape(&[shape.iter().product()]).tensor::<1>().into_data().try_to_vec();
        let numbers = numbers.map_err(|error| Error::data(format!("node \"{}\" gave no numbers: {error:?}", node.name)))?;
        Ok(self.add(node.name.clone(), shape, numbers))
    }

    /// Scale and shift a channel of a batch norm whose statistics are known.
    fn affine(&self, node: &Node) -> Option<(Vec<f64>, Vec<f64>)> {
        let Op::BatchNorm { epsilon, .. } = node.op else { return None };
        let numbers = |input: usize| index(node.inputs[input]).map(|at| self.parameters[at].1.iter().map(|&number| f64::from(number)));
        let deviation = numbers(4)?.map(|variance| (variance + f64::from(epsilon)).sqrt());
        let scale: Vec<f64> = numbers(1)?.zip(deviation).map(|(weight, deviation)| weight / deviation).collect();
        let shift = numbers(2)?.zip(numbers(3)?).zip(&scale).map(|((bias, mean), scale)| bias - mean * scale).collect();
        Some((scale, shift))
    }

    /// The layer that gives a value of `rank` sides, where it can take a batch norm in: its weights are known and its outputs are the
    /// channels.
    fn foldable(&self, source: Source, rank: usize) -> Option<usize> {
        let Source::Node(at) = source else { return None };
        let layer = &self.nodes[at];
        let fits = matches!(layer.op, Op::Conv { .. }) || (layer.op == Op::Linear && rank == 2);
        (fits && layer.inputs[1..].iter().all(|source| index(*source).is_some())).then_some(at)
    }

    fn fold_into(&mut self, layer: usize, scale: &[f64], shift: &[f64]) {
        let inputs = self.nodes[layer].inputs.clone();
        let [weight, bias] = [1, 2].map(|input| inputs.get(input).and_then(|source| index(*source)).map(|at| self.parameters[at].clone()));
        let Some((Parameter { name, shape, .. }, weight)) = weight else { return };
        let row = weight.len() / scale.len();
        let weight = weight.iter().enumerate().map(|(at, number)| (f64::from(*number) * scale[at / row]) as f32).collect();
        let old = |channel: usize| bias.as_ref().map_or(0.0, |(_, numbers)| f64::from(numbers[channel]));
        let new_bias = (0..scale.len()).map(|channel| (old(channel) * scale[channel] + shift[channel]) as f32).collect();
        let bias_name = format!("{}.bias", name.strip_suffix(".weight").unwrap_or(&name));
        let weight = self.add(name, shape, weight);
        let bias = self.add(bias_name, vec![scale.len()], new_bias);
        self.nodes[layer].inputs = vec![inputs[0], weight, bias];
    }

    /// The parameters that are read, each name once, and their numbers.
    fn finish(mut self, graph: &Graph) -> Result<(Graph, Weights)> {
        let output = match graph.output {
            Source::Node(at) => self.results[&at],
            source => source,
        };
        let read: BTreeSet<usize> = self.nodes.iter().flat_map(|node| &node.inputs).filter_map(|source| index(*source)).collect();
        let mut weights = Weights::default();
        let mut parameters = Vec::with_capacity(read.len());
        let mut moved = BTreeMap::new();
        for at in read {
            let (mut parameter, numbers) = self.parameters[at].clone();
            while weights.0.contains_key(&parameter.name) {
                parameter.name.push_str(".folded");
            }
            weights.0.insert(parameter.name.clone(), (parameter.shape.clone(), numbers));
            moved.insert(at, parameters.len());
            parameters.push(parameter);
        }
        for source in self.nodes.iter_mut().flat_map(|node| &mut node.inputs) {
            if let Source::Parameter(at) = source {
                *at = moved[at];
            }
        }
        let frozen = Graph { input: graph.input, classes: graph.classes, parameters, nodes: self.nodes, output };
        frozen.shapes()?;
        Ok((frozen, weights))
    }
}

fn index(source: Source) -> Option<usize> {
    if let Source::Parameter(at) = source { Some(at) } else { None }
}
