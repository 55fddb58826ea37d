//! A frozen network, one example at a time, as the few kinds of steps that bounds are known for.

use super::affine::{Affine, Conv};
use super::relax;
use crate::graph::{self, Binary, Dim, Graph, Op, PadMode, Reduction, Source, Unary, probe};
use crate::model::Weights;
use crate::{Error, Result};

/// A network of steps. Value 0 is the image; value s + 1 is the result of step s.
#[derive(Clone, Debug)]
pub struct Net {
    pub(super) steps: Vec<Step>,
    /// Elements of the image.
    pub(super) features: usize,
    /// The value with the logits.
    pub(super) output: usize,
    /// How many classes the logits tell apart.
    pub classes: usize,
}

#[derive(Clone, Debug)]
pub(super) struct Step {
    pub(super) kind: Kind,
    /// The values that it reads.
    pub(super) inputs: Vec<usize>,
    /// Elements of its result.
    pub(super) size: usize,
}

#[derive(Clone, Debug)]
pub(super) enum Kind {
    Affine(Affine),
    /// The sum of two values of the same sides; or their difference.
    Sum {
        subtract: bool,
    },
    /// Each element is one of those of the inputs, counted through all of them, or a constant; `repeats`: some are read several times.
    Arrange {
        from: Vec<Option<usize>>,
        constant: f64,
        repeats: bool,
    },
    Unary(Unary),
    /// The largest of each window's elements.
    MaxPool {
        windows: Vec<Vec<usize>>,
    },
}

impl Net {
    /// Takes a graph apart, batch norm folded first.
    ///
    /// # Errors
    /// The first operation that no bound is known for, in words that complete "not certifiable: ".
    pub fn new(graph: &Graph, weights: &Weights) -> Result<Self> {
        let (graph, weights) = graph::freeze(graph, weights)?;
        let shapes = graph.shapes()?;
        let sides = |source: Source| -> Vec<usize> {
            match source {
                Source::Input => [1].into_iter().chain(graph.input).collect(),
                Source::Parameter(at) => graph.parameters[at].shape.clone(),
                Source::Node(at) => shapes[at].iter().map(|side| side.at(1)).collect(),
            }
        };
        let open = |source: Source| match source {
            Source::Node(at) => shapes[at].clone(),
            Source::Input => [Dim::EXAMPLES].into_iter().chain(graph.input.map(Dim::from)).collect(),
            Source::Parameter(at) => graph.parameters[at].shape.iter().map(|&side| side.into()).collect(),
        };
        let mut net = Self { steps: Vec::new(), features: graph.input.iter().product(), output: 0, classes: graph.classes };
        let mut values = Vec::with_capacity(graph.nodes.len());
        for (at, node) in graph.nodes.iter().enumerate() {
            let known = |source: &Source| match *source {
                Source::Parameter(at) => Some(weights.0[&graph.parameters[at].name].1.as_slice()),
                _ => None,
            };
            let reading = Reading {
                op: &node.op,
                name: &node.name,
                sides: node.inputs.iter().map(|source| sides(*source)).collect(),
                open: node.inputs.iter().map(|source| open(*source)).collect(),
                known: node.inputs.iter().map(known).collect(),
                to: sides(Source::Node(at)),
                shape: &shapes[at],
            };
            let kind = reading.kind()?;
            let size = reading.to.iter().product();
            if let Kind::Affine(affine) = &kind
                && !affine.is_bounded()
            {
                return Err(reading.unknown("sums of more than four million products"));
            }
            let inputs: Vec<usize> = node
                .inputs
                .iter()
                .filter_map(|source| match *source {
                    Source::Input => Some(0),
                    Source::Node(at) => Some(values[at]),
                    Source::Parameter(_) => None,
                })
                .collect();
            if kind.is_identity() && inputs.len() == 1 {
                values.push(inputs[0]);
                continue;
            }
            net.steps.push(Step { kind, inputs, size });
            values.push(net.steps.len());
        }
        match graph.output {
            Source::Node(at) => net.output = values[at],
            _ => return Err(Error::input("its logits do not depend on the image")),
        }
        Ok(net)
    }

    /// Whether it is one affine map.
    pub fn is_affine(&self) -> bool {
        self.steps.iter().all(|step| step.kind.is_linear())
    }

    /// Elements of a value.
    pub(super) fn size(&self, value: usize) -> usize {
        value.checked_sub(1).map_or(self.features, |step| self.steps[step].size)
    }
}

impl Kind {
    pub(super) fn is_linear(&self) -> bool {
        matches!(self, Self::Affine(_) | Self::Sum { .. } | Self::Arrange { .. })
    }

    /// Whether it only renames: every element stays where it is.
    fn is_identity(&self) -> bool {
        let Self::Arrange { from, repeats: false, .. } = self else { return false };
        from.iter().enumerate().all(|(at, from)| *from == Some(at))
    }
}

/// A node of the graph, about to become a step.
struct Reading<'a> {
    op: &'a Op,
    name: &'a str,
    /// Sides of its inputs for one example.
    sides: Vec<Vec<usize>>,
    /// The same, the number of examples open.
    open: Vec<Vec<Dim>>,
    /// The numbers of those that are known.
    known: Vec<Option<&'a [f32]>>,
    /// Sides of its result.
    to: Vec<usize>,
    shape: &'a [Dim],
}

impl Reading<'_> {
    fn kind(&self) -> Result<Kind> {
        if self.known[0].is_some() && !matches!(self.op, Op::Binary(Binary::Add | Binary::Subtract | Binary::Multiply)) {
            return Err(self.unknown("a constant in the image's place"));
        }
        if self.known.iter().skip(1).any(Option::is_none) && !matches!(self.op, Op::Concat { .. } | Op::Binary(_)) {
            return Err(self.unknown("weights that depend on the image"));
        }
        match self.op {
            Op::Conv { .. } => self.conv(),
            Op::Linear | Op::MatMul => self.dense(),
            Op::Normalise { mean, deviation } => {
                let pixels = self.to[2] * self.to[3];
                let each = |of: &dyn Fn(usize) -> f64| (0..mean.len() * pixels).map(|at| of(at / pixels)).collect();
                let factor = each(&|channel| 1.0 / f64::from(deviation[channel]));
                let shift = each(&|channel| -f64::from(mean[channel]) / f64::from(deviation[channel]));
                Ok(Kind::Affine(Affine::Scale { factor, shift }))
            }
            Op::Unary(function) if relax::is_known(*function) => Ok(Kind::Unary(*function)),
            Op::Binary(function) => self.binary(*function),
            Op::AveragePool { .. } | Op::AdaptiveAveragePool { .. } => self.planes(),
            Op::Reduce { kind: Reduction::Mean | Reduction::Sum, axes, .. } if self.sides[0].len() == 4 && axes[..] == [2, 3] => {
                self.planes()
            }
            Op::MaxPool { kernel, stride, padding, dilation, .. } => Ok(self.max_pool(*kernel, *stride, *padding, *dilation)),
            Op::Concat { .. } if self.known.iter().any(Option::is_some) => Err(self.unknown("a constant among its inputs")),
            Op::Pad { mode: PadMode::Constant(constant), .. } => self.arrange(self.op, f64::from(*constant)),
            Op::Pad { .. }
            | Op::Slice { .. }
            | Op::Concat { .. }
            | Op::Reshape { .. }
            | Op::Transpose { .. }
            | Op::Expand { .. }
            | Op::Gather { .. } => self.arrange(self.op, 0.0),
            _ => Err(self.unknown("no bound is known for it")),
        }
    }

    fn unknown(&self, why: &str) -> Error {
        Error::input(format!("{} (node \"{}\"): {why}", self.op.name(), self.name))
    }

    fn numbers(&self, input: usize) -> Option<Vec<f64>> {
        self.known.get(input).copied().flatten().map(|numbers| numbers.iter().map(|&number| f64::from(number)).collect())
    }

    fn arrange(&self, op: &Op, constant: f64) -> Result<Kind> {
        let from = probe::arrangement(op, self.name, &self.open)?;
        let mut seen = vec![false; self.sides.iter().map(|sides| sides.iter().product::<usize>()).sum()];
        let repeats = from.iter().flatten().any(|&at| std::mem::replace(&mut seen[at], true));
        Ok(Kind::Arrange { from, constant, repeats })
    }

    fn conv(&self) -> Result<Kind> {
        let Op::Conv { stride, padding, dilation, groups } = *self.op else { return Err(self.unknown("no convolution")) };
        let (weight, &[out, deep, height, width]) = (self.numbers(1).unwrap_or_default(), &self.sides[1][..]) else {
            return Err(self.unknown("its weight has not four sides"));
        };
        let moved = (0..weight.len()).map(|at| {
            let (channel, pixel, out) = (at % deep, at / deep % (height * width), at / (deep * height * width));
            weight[(out * deep + channel) * height * width + pixel]
        });
        Ok(Kind::Affine(Affine::Conv(Conv {
            weight: moved.collect(),
            bias: self.numbers(2).unwrap_or_else(|| vec![0.0; out]),
            from: [self.sides[0][1], self.sides[0][2], self.sides[0][3]],
            to: [self.to[1], self.to[2], self.to[3]],
            kernel: [height, width],
            stride,
            padding: [padding[0], padding[1]],
            dilation,
            groups,
        })))
    }

    fn dense(&self) -> Result<Kind> {
        let [rows, columns] = self.sides[1][..] else { return Err(self.unknown("its second factor is not a matrix")) };
        let weight = self.numbers(1).unwrap_or_default();
        let (weight, ins, outs) = if *self.op == Op::Linear {
            (weight, columns, rows)
        } else {
            ((0..weight.len()).map(|at| weight[at % rows * columns + at / rows]).collect(), rows, columns)
        };
        let repeat = self.sides[0].iter().product::<usize>() / ins;
        Ok(Kind::Affine(Affine::Dense { weight, bias: self.numbers(2).unwrap_or_else(|| vec![0.0; outs]), ins, repeat }))
    }

    /// Sums of two values, and what a constant does to one.
    fn binary(&self, function: Binary) -> Result<Kind> {
        let value = match [self.known[0].is_some(), self.known[1].is_some()] {
            [false, false] if matches!(function, Binary::Add | Binary::Subtract) && self.sides[0] == self.sides[1] => {
                return Ok(Kind::Sum { subtract: function == Binary::Subtract });
            }
            [false, true] => 0,
            [true, false] => 1,
            _ => return Err(self.unknown("two values")),
        };
        if self.sides[value] != self.to {
            return Err(self.unknown("a value is broadcast"));
        }
        let constant = self.numbers(1 - value).unwrap_or_default();
        let places = probe::arrangement(&Op::Expand { to: self.shape_of_one() }, self.name, &[self.open[1 - value].clone()])?;
        let constant: Vec<f64> = places.into_iter().flatten().map(|at| constant[at]).collect();
        let all = |number: f64| vec![number; constant.len()];
        let negative = || constant.iter().map(|number| -number).collect();
        let (factor, shift) = match (function, value) {
            (Binary::Add, _) => (all(1.0), constant),
            (Binary::Subtract, 0) => (all(1.0), negative()),
            (Binary::Subtract, _) => (all(-1.0), constant),
            (Binary::Multiply, _) => (constant.clone(), all(0.0)),
            (Binary::Divide, 0) if constant.iter().all(|number| *number != 0.0) => {
                (constant.iter().map(|number| 1.0 / number).collect(), all(0.0))
            }
            _ => return Err(self.unknown("no bound is known for it")),
        };
        Ok(Kind::Affine(Affine::Scale { factor, shift }))
    }

    fn shape_of_one(&self) -> Vec<Dim> {
        self.shape.iter().map(|side| Dim::from(side.at(1))).collect()
    }

    fn planes(&self) -> Result<Kind> {
        let &[_, channels, height, width] = &self.sides[0][..] else { return Err(self.unknown("its input is no image")) };
        let pixels = height * width;
        let weights = probe::plane(self.op, self.name, [height, width])?;
        let outs = weights.len() / pixels;
        let sum = |out: usize| {
            let weight = |pixel: usize| (pixel, f64::from(weights[pixel * outs + out]));
            (0..pixels).map(weight).filter(|(_, weight)| *weight != 0.0).collect()
        };
        Ok(Kind::Affine(Affine::Planes { channels, pixels, sums: (0..outs).map(sum).collect() }))
    }

    fn max_pool(&self, kernel: [usize; 2], stride: [usize; 2], padding: [usize; 4], dilation: [usize; 2]) -> Kind {
        let [channels, height, width] = [self.sides[0][1], self.sides[0][2], self.sides[0][3]];
        let along = |axis: usize, length: usize, window: usize| {
            let at = move |step: usize| (window * stride[axis] + step * dilation[axis]).checked_sub(padding[axis]);
            (0..kernel[axis]).filter_map(at).filter(move |&at| at < length)
        };
        let mut windows = Vec::new();
        for channel in 0..channels {
            for row in 0..self.to[2] {
                for column in 0..self.to[3] {
                    let pixels = along(0, height, row).flat_map(|y| along(1, width, column).map(move |x| y * width + x));
                    windows.push(pixels.map(|pixel| channel * height * width + pixel).collect());
                }
            }
        }
        Kind::MaxPool { windows }
    }
}
