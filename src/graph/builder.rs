//! Writes graphs: layers by name, their parameters named as PyTorch does.

use super::shape::infer;
use super::{Binary, Dim, Graph, Node, Op, Parameter, Reduction, Source, Unary};
use crate::{Error, Result};

/// Adds to batch norm's variance, and how far a batch moves its statistics: PyTorch's defaults.
const BATCH_NORM: Op = Op::BatchNorm { epsilon: 1e-5, momentum: 0.1 };

/// A graph in the making. Every call checks the sides at once, so that an error names the layer that does not fit.
#[derive(Clone, Debug)]
pub struct Builder {
    graph: Graph,
    shapes: Vec<Vec<Dim>>,
}

/// A convolution, for [`Builder::conv`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conv {
    /// Output channels.
    pub to: usize,
    /// Height and width of the window.
    pub kernel: [usize; 2],
    /// Pixels between windows, down and across.
    pub stride: [usize; 2],
    /// Zeros at the top, left, bottom and right.
    pub padding: [usize; 4],
    /// Pixels between a window's elements, down and across.
    pub dilation: [usize; 2],
    /// Groups of channels that do not see each other.
    pub groups: usize,
    /// Whether there is a bias.
    pub bias: bool,
}

impl Conv {
    /// Stride and dilation 1, no padding, one group, a bias.
    pub fn new(to: usize, kernel: [usize; 2]) -> Self {
        Self { to, kernel, stride: [1, 1], padding: [0; 4], dilation: [1, 1], groups: 1, bias: true }
    }
}

impl Builder {
    /// An empty graph for images of `input` channels, height and width.
    pub fn new(input: [usize; 3], classes: usize) -> Self {
        let graph = Graph { input, classes, parameters: Vec::new(), nodes: Vec::new(), output: Source::Input };
        Self { graph, shapes: Vec::new() }
    }

    /// The images [N, C, H, W].
    pub fn input(&self) -> Source {
        Source::Input
    }

    /// How many classes the logits tell apart.
    pub fn classes(&self) -> usize {
        self.graph.classes
    }

    /// Sides of a value of this builder; none for one of another.
    pub fn sides(&self, source: Source) -> Vec<Dim> {
        self.graph.sides(source, &self.shapes).unwrap_or_default()
    }

    /// A new parameter; the same one again where name and sides are those of an earlier.
    pub fn parameter(&mut self, name: &str, shape: &[usize], trained: bool) -> Source {
        let parameter = Parameter { name: name.into(), shape: shape.into(), trained };
        if let Some(at) = self.graph.parameters.iter().position(|other| *other == parameter) {
            return Source::Parameter(at);
        }
        self.graph.parameters.push(parameter);
        Source::Parameter(self.graph.parameters.len() - 1)
    }

    /// The result of an operation.
    ///
    /// # Errors
    /// Inputs that do not fit it, with `name`, the operation and their sides.
    pub fn node(&mut self, name: &str, op: Op, inputs: &[Source]) -> Result<Source> {
        let sides: Option<Vec<Vec<Dim>>> = inputs.iter().map(|&source| self.graph.sides(source, &self.shapes)).collect();
        let sides = sides.ok_or_else(|| Error::input(format!("node \"{name}\" ({}) reads a value that is not there", op.name())))?;
        self.shapes.push(infer(&op, name, &sides)?);
        self.graph.nodes.push(Node { name: name.into(), op, inputs: inputs.into() });
        Ok(Source::Node(self.graph.nodes.len() - 1))
    }

    /// A convolution of x [N, C, H, W] with `<name>.weight` and, where asked, `<name>.bias`.
    ///
    /// # Errors
    /// As [`Builder::node`].
    pub fn conv(&mut self, name: &str, x: Source, conv: Conv) -> Result<Source> {
        let Conv { to, kernel, stride, padding, dilation, groups, bias } = conv;
        let from = self.side(x, 1) / groups.max(1);
        let op = Op::Conv { stride, padding, dilation, groups };
        self.weighted(name, op, x, &[to, from, kernel[0], kernel[1]], bias)
    }

    /// A dense layer over the last side of x, with `<name>.weight` and, where asked, `<name>.bias`.
    ///
    /// # Errors
    /// As [`Builder::node`].
    pub fn linear(&mut self, name: &str, x: Source, to: usize, bias: bool) -> Result<Source> {
        let from = self.sides(x).last().and_then(|side| side.size()).unwrap_or(0);
        self.weighted(name, Op::Linear, x, &[to, from], bias)
    }

    /// Batch norm of x [N, C, ..] with PyTorch's epsilon 1e-5 and momentum 0.1; `<name>.weight`, `.bias`, `.running_mean`, `.running_var`.
    ///
    /// # Errors
    /// As [`Builder::node`].
    pub fn batch_norm(&mut self, name: &str, x: Source) -> Result<Source> {
        let channels = self.side(x, 1);
        let kinds = [("weight", true), ("bias", true), ("running_mean", false), ("running_var", false)];
        let [weight, bias, mean, variance] = kinds.map(|(kind, trained)| self.parameter(&format!("{name}.{kind}"), &[channels], trained));
        self.node(name, BATCH_NORM, &[x, weight, bias, mean, variance])
    }

    /// A function of every element.
    ///
    /// # Errors
    /// As [`Builder::node`].
    pub fn unary(&mut self, x: Source, function: Unary) -> Result<Source> {
        self.unnamed(Op::Unary(function), &[x])
    }

    /// The sum of two values, broadcast.
    ///
    /// # Errors
    /// As [`Builder::node`].
    pub fn add(&mut self, a: Source, b: Source) -> Result<Source> {
        self.unnamed(Op::Binary(Binary::Add), &[a, b])
    }

    /// The largest number of each window; padding top, left, bottom, right counts as minus infinity.
    ///
    /// # Errors
    /// As [`Builder::node`].
    pub fn max_pool(&mut self, x: Source, kernel: [usize; 2], stride: [usize; 2], padding: [usize; 4]) -> Result<Source> {
        self.unnamed(Op::MaxPool { kernel, stride, padding, dilation: [1, 1], ceil: false }, &[x])
    }

    /// The mean of each window, padding top, left, bottom, right counted as zeros.
    ///
    /// # Errors
    /// As [`Builder::node`].
    pub fn average_pool(&mut self, x: Source, kernel: [usize; 2], stride: [usize; 2], padding: [usize; 4]) -> Result<Source> {
        self.unnamed(Op::AveragePool { kernel, stride, padding, count_padding: true, ceil: false }, &[x])
    }

    /// Averages down to height and width.
    ///
    /// # Errors
    /// As [`Builder::node`].
    pub fn adaptive_average_pool(&mut self, x: Source, size: [usize; 2]) -> Result<Source> {
        self.unnamed(Op::AdaptiveAveragePool { size }, &[x])
    }

    /// The mean over axes, which go.
    ///
    /// # Errors
    /// As [`Builder::node`].
    pub fn mean(&mut self, x: Source, axes: &[usize]) -> Result<Source> {
        self.unnamed(Op::Reduce { kind: Reduction::Mean, axes: axes.into(), keep: false }, &[x])
    }

    /// All sides but the first as one.
    ///
    /// # Errors
    /// As [`Builder::node`].
    pub fn flatten(&mut self, x: Source) -> Result<Source> {
        let sides = self.sides(x);
        let rest = sides.iter().skip(1).try_fold(Dim::from(1), |product, &side| product.times(side));
        let to = sides.first().copied().into_iter().chain(rest).collect();
        self.unnamed(Op::Reshape { to }, &[x])
    }

    /// Values one after the other along an axis.
    ///
    /// # Errors
    /// As [`Builder::node`].
    pub fn concat(&mut self, values: &[Source], axis: usize) -> Result<Source> {
        self.unnamed(Op::Concat { axis }, values)
    }

    /// (x - mean) / deviation, a number of each a channel.
    ///
    /// # Errors
    /// As [`Builder::node`].
    pub fn normalise(&mut self, x: Source, mean: &[f32], deviation: &[f32]) -> Result<Source> {
        self.unnamed(Op::Normalise { mean: mean.into(), deviation: deviation.into() }, &[x])
    }

    /// The graph whose logits are `output`.
    ///
    /// # Errors
    /// A parameter's name that is there twice with different sides; an output that is not [N, classes].
    pub fn finish(mut self, output: Source) -> Result<Graph> {
        self.graph.output = output;
        self.graph.shapes()?;
        Ok(self.graph)
    }

    fn weighted(&mut self, name: &str, op: Op, x: Source, weight: &[usize], bias: bool) -> Result<Source> {
        let mut inputs = vec![x, self.parameter(&format!("{name}.weight"), weight, true)];
        if bias {
            inputs.push(self.parameter(&format!("{name}.bias"), &weight[..1], true));
        }
        self.node(name, op, &inputs)
    }

    fn unnamed(&mut self, op: Op, inputs: &[Source]) -> Result<Source> {
        let name = format!("{}_{}", op.name().to_lowercase(), self.graph.nodes.len());
        self.node(&name, op, inputs)
    }

    fn side(&self, x: Source, axis: usize) -> usize {
        self.sides(x).get(axis).and_then(|side| side.size()).unwrap_or(0)
    }
}
