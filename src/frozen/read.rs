//! From a frozen graph to layers: rectifiers and sums are taken into the convolutions before them.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::layers::{Affine, Function, Kind, Layer, Network, Number, Pair};
use super::moves;
use super::passes::Convolution;
use super::pool::MaxPool;
use super::rows::{coordinates, index};
use crate::Result;
use crate::graph::{Binary, Dim, Graph, Node, Op, Source, Unary};
use crate::model::Weights;

/// Reads a frozen graph; or what of it the plan lacks, an operation each once.
///
/// # Errors
/// A graph that does not fit together.
pub(super) fn read(graph: &Graph, weights: &Weights) -> Result<std::result::Result<Network, BTreeSet<String>>> {
    let shapes = graph.shapes()?;
    let mut readers: HashMap<Source, usize> = HashMap::new();
    for source in graph.nodes.iter().flat_map(|node| &node.inputs).chain([&graph.output]) {
        *readers.entry(*source).or_default() += 1;
    }
    let mut reader = Reader { graph, weights, shapes: &shapes, readers, network: empty(graph.input), values: BTreeMap::new() };
    let mut missing = BTreeSet::new();
    for (at, node) in graph.nodes.iter().enumerate() {
        match reader.take(at, node) {
            Some(number) => {
                reader.values.insert(at, number);
            }
            None => {
                missing.insert(node.op.name());
                // Any value, so that what comes after is looked at too.
                let sides = reader.sides_of(at).unwrap_or([1; 3]);
                let number = reader.value(sides);
                reader.values.insert(at, number);
            }
        }
    }
    let Some(output) = reader.number(graph.output) else { return Ok(Err(BTreeSet::from(["Output".into()]))) };
    reader.network.output = output;
    Ok(if missing.is_empty() { Ok(reader.network) } else { Err(missing) })
}

fn empty(input: [usize; 3]) -> Network {
    Network { sides: vec![input], layers: Vec::new(), output: 0 }
}

struct Reader<'a> {
    graph: &'a Graph,
    weights: &'a Weights,
    shapes: &'a [Vec<Dim>],
    readers: HashMap<Source, usize>,
    network: Network,
    /// By node.
    values: BTreeMap<usize, Number>,
}

/// Sides of one image's part of a value [N, ..]; `None` where N is elsewhere.
fn sides(shape: &[Dim]) -> Option<Vec<usize>> {
    let (first, rest) = shape.split_first()?;
    if *first != Dim::EXAMPLES { None } else { rest.iter().map(|side| side.size()).collect() }
}

/// As channels, rows and columns.
fn planes(sides: &[usize]) -> [usize; 3] {
    match *sides {
        [channels, rows, columns] => [channels, rows, columns],
        _ => [sides.iter().product(), 1, 1],
    }
}

impl Reader<'_> {
    fn value(&mut self, sides: [usize; 3]) -> Number {
        self.network.sides.push(sides);
        self.network.sides.len() - 1
    }

    fn sides_of(&self, node: usize) -> Option<[usize; 3]> {
        sides(&self.shapes[node]).map(|sides| planes(&sides))
    }

    fn number(&self, source: Source) -> Option<Number> {
        match source {
            Source::Input => Some(0),
            Source::Node(at) => self.values.get(&at).copied(),
            Source::Parameter(_) => None,
        }
    }

    /// Sides of one image's part of what is read.
    fn read_sides(&self, source: Source) -> Option<Vec<usize>> {
        match source {
            Source::Input => Some(self.graph.input.to_vec()),
            Source::Node(at) => sides(&self.shapes[at]),
            Source::Parameter(_) => None,
        }
    }

    fn numbers(&self, source: Source) -> Option<&(Vec<usize>, Vec<f32>)> {
        let Source::Parameter(at) = source else { return None };
        self.weights.0.get(&self.graph.parameters[at].name)
    }

    fn push(&mut self, kind: Kind, inputs: Vec<Number>, sides: [usize; 3]) -> Number {
        let output = self.value(sides);
        self.network.layers.push(Layer { kind, inputs, output });
        output
    }

    /// The layer that gives a value which nothing else reads.
    fn only(&self, source: Source) -> Option<usize> {
        let number = self.number(source)?;
        let alone = self.readers.get(&source) == Some(&1);
        self.network.layers.iter().rposition(|layer| alone && layer.output == number)
    }

    /// The value that a node comes to; `None` where the plan lacks the operation.
    fn take(&mut self, at: usize, node: &Node) -> Option<Number> {
        let to = sides(&self.shapes[at])?;
        let out = planes(&to);
        let inputs = &node.inputs;
        let x = self.number(inputs[0]);
        let from = self.read_sides(inputs[0]);
        match &node.op {
            Op::Binary(function) => return self.pair(Function::Binary(*function), [inputs[0], inputs[1]], &to),
            Op::Prelu => return self.pair(Function::Prelu, [inputs[0], inputs[1]], &to),
            Op::Concat { axis } => {
                let all: Option<Vec<Vec<usize>>> = inputs.iter().map(|source| self.read_sides(*source)).collect();
                let numbers: Option<Vec<Number>> = inputs.iter().map(|source| self.number(*source)).collect();
                let rows = moves::joined(&all?, &to, axis.checked_sub(1)?);
                return Some(self.push(Kind::Rows(rows), numbers?, out));
            }
            _ => {}
        }
        let (x, from) = (x?, from?);
        let kind = match &node.op {
            Op::Normalise { mean, deviation } => {
                let scale: Vec<f32> = deviation.iter().map(|deviation| 1.0 / deviation).collect();
                let shift = mean.iter().zip(&scale).map(|(mean, scale)| -mean * scale).collect();
                Kind::Affine { of: Affine { each: from[1..].iter().product(), scale, shift }, rectify: false }
            }
            Op::Conv { stride, padding, dilation, groups } => {
                let (shape, weight) = self.numbers(inputs[1])?;
                let convolution = Convolution {
                    from: planes(&from),
                    to: out,
                    kernel: [shape[2], shape[3]],
                    stride: *stride,
                    padding: [padding[0], padding[1]],
                    dilation: *dilation,
                    groups: *groups,
                    weight: weight.clone(),
                    bias: self.bias(inputs)?,
                };
                Kind::Convolution { of: Box::new(convolution), rectify: false }
            }
            Op::Linear if from.len() == 1 => {
                let (shape, weight) = self.numbers(inputs[1])?;
                let convolution = Convolution {
                    from: [shape[1], 1, 1],
                    to: out,
                    kernel: [1, 1],
                    stride: [1, 1],
                    dilation: [1, 1],
                    groups: 1,
                    weight: weight.clone(),
                    bias: self.bias(inputs)?,
                    ..Convolution::default()
                };
                Kind::Convolution { of: Box::new(convolution), rectify: false }
            }
            Op::BatchNorm { epsilon, .. } => {
                let [scale, bias, mean, variance] = [1, 2, 3, 4].map(|input| self.numbers(inputs[input]));
                let (scale, bias, mean, variance) = (&scale?.1, &bias?.1, &mean?.1, &variance?.1);
                let scale: Vec<f32> = scale.iter().zip(variance).map(|(scale, variance)| scale / (variance + epsilon).sqrt()).collect();
                let shift = (0..scale.len()).map(|channel| bias[channel] - mean[channel] * scale[channel]).collect();
                Kind::Affine { of: Affine { each: from[1..].iter().product(), scale, shift }, rectify: false }
            }
            Op::Unary(Unary::Relu) => return Some(self.rectified(inputs[0], x, out)),
            Op::Unary(Unary::Negate) => Kind::Affine { of: Affine { each: 1, scale: vec![-1.0], shift: vec![0.0] }, rectify: false },
            Op::Unary(function) => Kind::Unary(*function),
            Op::MaxPool { kernel, stride, padding, dilation, .. } if kernel[0] * kernel[1] <= MaxPool::LARGEST => Kind::MaxPool(MaxPool {
                from: [from[1], from[2]],
                to: out,
                kernel: *kernel,
                stride: *stride,
                padding: [padding[0], padding[1]],
                dilation: *dilation,
            }),
            Op::LayerNorm { axis, epsilon } => return self.standardised(x, &from, axis.checked_sub(1)?, *epsilon, inputs),
            Op::GroupNorm { groups, epsilon } => {
                let run = from.iter().product::<usize>() / groups;
                let x = self.push(Kind::Standardise { run, epsilon: *epsilon }, vec![x], out);
                let (scale, shift) = (self.numbers(inputs[1])?.1.clone(), self.numbers(inputs[2])?.1.clone());
                let of = Affine { each: from[1..].iter().product(), scale, shift };
                return Some(self.push(Kind::Affine { of, rectify: false }, vec![x], out));
            }
            Op::Softmax { axis } | Op::LogSoftmax { axis } => {
                let axis = axis.checked_sub(1)?;
                let logarithm = matches!(node.op, Op::LogSoftmax { .. });
                Kind::Softmax { count: from[axis], apart: from[axis + 1..].iter().product(), logarithm }
            }
            Op::Reshape { .. } => Kind::View,
            op => Kind::Rows(vec![moves::rows(op, &from, &to)?]),
        };
        Some(self.push(kind, vec![x], out))
    }

    fn bias(&self, inputs: &[Source]) -> Option<Vec<f32>> {
        match inputs.get(2) {
            Some(source) => self.numbers(*source).map(|(_, numbers)| numbers.clone()),
            None => Some(Vec::new()),
        }
    }

    fn rectified(&mut self, source: Source, x: Number, sides: [usize; 3]) -> Number {
        if let Some(layer) = self.only(source)
            && let Kind::Convolution { rectify, .. } | Kind::Affine { rectify, .. } = &mut self.network.layers[layer].kind
            && !*rectify
        {
            *rectify = true;
            return x;
        }
        let of = Affine { each: 1, scale: vec![1.0], shift: vec![0.0] };
        self.push(Kind::Affine { of, rectify: true }, vec![x], sides)
    }

    fn standardised(&mut self, x: Number, from: &[usize], axis: usize, epsilon: f32, inputs: &[Source]) -> Option<Number> {
        let tail = &from[axis..];
        let (run, out) = (tail.iter().product(), planes(from));
        let mut affine = Affine { each: 1, scale: vec![1.0], shift: vec![0.0] };
        for (source, numbers) in inputs[1..].iter().zip([&mut affine.scale, &mut affine.shift]) {
            let (shape, values) = self.numbers(*source)?;
            *numbers = spread(shape, tail).into_iter().map(|at| values[at as usize]).collect();
        }
        let x = self.push(Kind::Standardise { run, epsilon }, vec![x], out);
        if inputs.len() == 1 {
            return Some(x);
        }
        Some(self.push(Kind::Affine { of: affine, rectify: false }, vec![x], out))
    }

    fn pair(&mut self, function: Function, sources: [Source; 2], to: &[usize]) -> Option<Number> {
        let out = planes(to);
        if let Some(number) = self.shifted(function, sources, to).or_else(|| self.summed(function, sources, to)) {
            return Some(number);
        }
        let mut pair = Pair { function, picks: Default::default(), numbers: Default::default() };
        let mut inputs = Vec::new();
        for (side, source) in sources.into_iter().enumerate() {
            match (self.numbers(source), self.number(source)) {
                (Some((shape, numbers)), _) => {
                    let numbers = spread(&behind(shape, to)?, to).into_iter().map(|at| numbers[at as usize]);
                    pair.numbers[side] = Some(numbers.collect());
                }
                (None, Some(number)) => {
                    inputs.push(number);
                    let from = self.read_sides(source)?;
                    // A value [N, ..] broadcasts from the last side on: with fewer sides N would meet another one.
                    if from.len() != to.len() {
                        return None;
                    }
                    if from != to {
                        pair.picks[side] = spread(&from, to);
                    }
                }
                (None, None) => return None,
            }
        }
        Some(self.push(Kind::Pair(pair), inputs, out))
    }

    /// A value and numbers, where that is a scale and a shift.
    fn shifted(&mut self, function: Function, sources: [Source; 2], to: &[usize]) -> Option<Number> {
        let Function::Binary(function) = function else { return None };
        let (value, numbers, first) = match sources.map(|source| self.numbers(source)) {
            [None, Some(numbers)] => (sources[0], numbers, true),
            [Some(numbers), None] => (sources[1], numbers, false),
            _ => return None,
        };
        if self.read_sides(value)? != to {
            return None;
        }
        let (shape, numbers) = numbers;
        let shape = behind(shape, to)?;
        let (each, list) = match shape.iter().position(|&side| side != 1) {
            None => (1, vec![numbers[0]]),
            Some(axis) if shape[axis + 1..].iter().all(|&side| side == 1) => (to[axis + 1..].iter().product(), numbers.clone()),
            Some(_) => (1, spread(&shape, to).into_iter().map(|at| numbers[at as usize]).collect()),
        };
        let alike = |number: f32| vec![number; list.len()];
        let (scale, shift) = match (function, first) {
            (Binary::Add, _) => (alike(1.0), list),
            (Binary::Subtract, true) => (alike(1.0), list.iter().map(|number| -number).collect()),
            (Binary::Subtract, false) => (alike(-1.0), list),
            (Binary::Multiply, _) => (list.clone(), alike(0.0)),
            (Binary::Divide, true) => (list.iter().map(|number| 1.0 / number).collect(), alike(0.0)),
            _ => return None,
        };
        let x = self.number(value)?;
        if let Some(layer) = self.only(value)
            && let Kind::Affine { of, rectify: false } = &mut self.network.layers[layer].kind
            && of.each == each
            && of.scale.len() == scale.len()
            && of.shift.len() == shift.len()
        {
            for at in 0..scale.len() {
                of.shift[at] = of.shift[at] * scale[at] + shift[at];
                of.scale[at] *= scale[at];
            }
            return Some(x);
        }
        Some(self.push(Kind::Affine { of: Affine { each, scale, shift }, rectify: false }, vec![x], planes(to)))
    }

    /// A sum taken into the convolution that gives one of its parts.
    fn summed(&mut self, function: Function, sources: [Source; 2], to: &[usize]) -> Option<Number> {
        if function != Function::Binary(Binary::Add) || sources.iter().any(|source| self.read_sides(*source).as_deref() != Some(to)) {
            return None;
        }
        let numbers = [self.number(sources[0])?, self.number(sources[1])?];
        let fits = |side: &usize| {
            self.only(sources[*side]).is_some_and(|layer| {
                let Layer { kind, inputs, .. } = &self.network.layers[layer];
                matches!(kind, Kind::Convolution { rectify: false, .. }) && inputs.len() == 1
            })
        };
        let side = [1, 0].into_iter().find(fits).filter(|_| numbers[0] != numbers[1])?;
        // Nothing else reads it, so it can wait until the other part is there.
        let mut layer = self.network.layers.remove(self.only(sources[side])?);
        layer.inputs.push(numbers[1 - side]);
        self.network.layers.push(layer);
        Some(numbers[side])
    }
}

/// A parameter's sides behind those of the examples, where it is the same for all of them.
fn behind(shape: &[usize], to: &[usize]) -> Option<Vec<usize>> {
    match shape.len().checked_sub(to.len()) {
        Some(0) => Some(shape.to_vec()),
        Some(1) if shape[0] == 1 => Some(shape[1..].to_vec()),
        Some(_) => None,
        None => Some(vec![1; to.len() - shape.len()].into_iter().chain(shape.iter().copied()).collect()),
    }
}

/// By element of `to`, that of what broadcasts to it.
fn spread(from: &[usize], to: &[usize]) -> Vec<u32> {
    let Some(from) = behind(from, to) else { return Vec::new() };
    let pick = |at: usize| {
        let at = coordinates(to, at);
        let own: Vec<usize> = at.iter().zip(&from).map(|(at, side)| if *side == 1 { 0 } else { *at }).collect();
        index(&from, &own) as u32
    };
    (0..to.iter().product()).map(pick).collect()
}
