//! Interval arithmetic over a graph, in tensors through which training differentiates (Gowal et al. 2018, "On the effectiveness of
//! interval bound propagation for training verifiably robust models", section 3).
//!
//! Every value becomes a box of a lower and an upper end. Dense layers and convolutions move its middle by the weight and its radius by the
//! weight's absolute value; monotone functions move both ends. Rounding is single precision's, to nearest: these bounds train, and
//! certificates round outward elsewhere.

use burn::tensor::{Int, Tensor};

use super::ops::{apply, layer};
use super::run::live;
use super::{Binary, Constants, Graph, Node, Op, Plan, Reduction, Source, Unary, Value};
use crate::{Error, Result};

/// The ends of what a value lies between; one that does not depend on the images has no other end.
#[derive(Clone)]
struct Bounds {
    lower: Value,
    upper: Option<Value>,
}

impl Bounds {
    fn known(value: Value) -> Self {
        Self { lower: value, upper: None }
    }

    fn between(lower: Value, upper: Value) -> Self {
        Self { lower, upper: Some(upper) }
    }

    /// The lower and the upper end.
    fn ends(self) -> (Value, Value) {
        let upper = self.upper.unwrap_or_else(|| self.lower.clone());
        (self.lower, upper)
    }
}

/// Whether intervals can be taken through a graph.
///
/// # Errors
/// The operations that cannot, each with its node.
pub fn check(graph: &Graph) -> Result<()> {
    let live = live(graph);
    let moving = moving(graph);
    let faults = graph.nodes.iter().enumerate().filter(|(at, _)| live[*at]).filter_map(|(at, node)| {
        let varies: Vec<bool> = node.inputs.iter().map(|source| depends(*source, &moving)).collect();
        (moving[at] && !takes(&node.op, &varies)).then(|| format!("\"{}\" ({})", node.name, node.op.name()))
    });
    let faults: Vec<String> = faults.collect();
    if faults.is_empty() {
        return Ok(());
    }
    Err(Error::input(format!("intervals cannot be taken through {}", faults.join(", ")))
        .help("use layers that are affine or monotone: dense, convolution, batch norm, pooling, relu and the like"))
}

/// Which nodes depend on the images.
fn moving(graph: &Graph) -> Vec<bool> {
    let mut moving = Vec::with_capacity(graph.nodes.len());
    for node in &graph.nodes {
        let varies = node.inputs.iter().any(|source| depends(*source, &moving));
        moving.push(varies);
    }
    moving
}

fn depends(source: Source, moving: &[bool]) -> bool {
    match source {
        Source::Input => true,
        Source::Parameter(_) => false,
        Source::Node(at) => moving[at],
    }
}

/// Whether an operation is known, given which of its inputs vary.
fn takes(op: &Op, varies: &[bool]) -> bool {
    let first_alone = varies[0] && varies[1..].iter().all(|varies| !varies);
    match op {
        Op::Binary(Binary::Add | Binary::Subtract | Binary::Minimum | Binary::Maximum) | Op::Concat { .. } => true,
        Op::Binary(Binary::Multiply) => !(varies[0] && varies[1]),
        Op::Binary(Binary::Divide) | Op::MatMul | Op::BatchNorm { .. } => first_alone,
        Op::Conv { .. } | Op::Linear => first_alone,
        Op::Unary(function) => direction(*function).is_some() || *function == Unary::Abs,
        Op::Reduce { kind, .. } => matches!(kind, Reduction::Sum | Reduction::Mean | Reduction::Max | Reduction::Min),
        Op::Normalise { deviation, .. } => deviation.iter().all(|deviation| *deviation > 0.0),
        op => keeps_order(op),
    }
}

/// Operations each of whose results rises with every element that it reads.
fn keeps_order(op: &Op) -> bool {
    matches!(
        op,
        Op::MaxPool { .. }
            | Op::AveragePool { .. }
            | Op::AdaptiveAveragePool { .. }
            | Op::Pad { .. }
            | Op::Slice { .. }
            | Op::Reshape { .. }
            | Op::Transpose { .. }
            | Op::Expand { .. }
            | Op::Gather { .. }
            | Op::Dropout { .. }
    )
}

/// Whether a function rises (`true`) or falls everywhere; nothing for one that does neither.
fn direction(function: Unary) -> Option<bool> {
    match function {
        Unary::Relu
        | Unary::Selu
        | Unary::Sigmoid
        | Unary::Tanh
        | Unary::Softplus
        | Unary::Softsign
        | Unary::Erf
        | Unary::Exp
        | Unary::Clip { .. } => Some(true),
        Unary::LeakyRelu { slope } => (slope >= 0.0).then_some(true),
        Unary::Elu { alpha } | Unary::Celu { alpha } | Unary::HardSigmoid { alpha, .. } => (alpha >= 0.0).then_some(true),
        Unary::Negate => Some(false),
        _ => None,
    }
}

/// [`Network::worst_margins`](crate::model::Network::worst_margins).
pub(crate) fn worst_margins(
    plan: &Plan,
    parameter: impl Fn(usize) -> Value,
    constants: &[Constants],
    images: [Tensor<4>; 2],
    labels: Tensor<1, Int>,
) -> Tensor<2> {
    let graph = plan.graph();
    let Source::Node(last) = graph.output else { unreachable!("a checked graph ends in a node") };
    // The weight of a dense layer comes as [in, out].
    let read = |node: &Node, input: usize| match node.inputs[input] {
        Source::Parameter(at) if node.op == Op::Linear && input == 1 && !plan.is_transposed(at) => Some(parameter(at).swap(0, 1)),
        Source::Parameter(at) => Some(parameter(at)),
        _ => None,
    };
    let node = &graph.nodes[last];
    let affine = (node.op == Op::Linear).then(|| read(node, 1)).flatten();
    let bias = if node.inputs.len() > 2 { read(node, 2) } else { None };
    let elided = affine.filter(|_| node.inputs.len() == 2 || bias.is_some());
    let wanted = if elided.is_some() { node.inputs[0] } else { graph.output };
    let (lower, upper) = bounds(graph, wanted, images, constants, &read).ends();
    match elided {
        Some(weight) => margins_through(lower.tensor(), upper.tensor(), weight.tensor(), bias.map(Value::tensor), labels),
        None => {
            let (lower, upper): (Tensor<2>, Tensor<2>) = (lower.tensor(), upper.tensor());
            let [rows, classes] = lower.dims();
            let own = lower.gather(1, labels.clone().reshape([rows, 1]));
            (upper - own) * others(labels, classes)
        }
    }
}

/// Worst margins behind a dense layer with weight [in, classes], from bounds [rows, in] of what it reads: the difference of two logits is
/// one product, so that what both share cancels.
fn margins_through(lower: Tensor<2>, upper: Tensor<2>, weight: Tensor<2>, bias: Option<Tensor<1>>, labels: Tensor<1, Int>) -> Tensor<2> {
    let classes = weight.dims()[1];
    let (middle, radius) = ((lower.clone() + upper.clone()) * 0.5, (upper - lower) * 0.5);
    let rows_of = weight.transpose();
    let own = rows_of.clone().select(0, labels.clone());
    let difference: Tensor<3> = rows_of.unsqueeze_dim::<3>(0) - own.unsqueeze_dim::<3>(1);
    let through = |difference: Tensor<3>, side: Tensor<2>| (difference * side.unsqueeze_dim::<3>(1)).sum_dim(2).squeeze_dim::<2>(2);
    let mut margins = through(difference.clone(), middle) + through(difference.abs(), radius);
    if let Some(bias) = bias {
        let own = bias.clone().select(0, labels.clone());
        margins = margins + (bias.unsqueeze_dim::<2>(0) - own.unsqueeze_dim::<2>(1));
    }
    margins * others(labels, classes)
}

/// 1 [rows, classes] for every class but the row's label.
fn others(labels: Tensor<1, Int>, classes: usize) -> Tensor<2> {
    let ones = labels.one_hot::<2>(classes).float();
    ones.neg() + 1.0
}

/// Bounds of one value of a graph.
fn bounds(
    graph: &Graph,
    wanted: Source,
    images: [Tensor<4>; 2],
    constants: &[Constants],
    read: &impl Fn(&Node, usize) -> Option<Value>,
) -> Bounds {
    let examples = images[0].dims()[0];
    let images = images.map(Value::new);
    let input = || Bounds::between(images[0].clone(), images[1].clone());
    let last = match wanted {
        Source::Node(at) => at,
        _ => return input(),
    };
    let live = live(graph);
    let mut found: Vec<Option<Bounds>> = vec![None; graph.nodes.len()];
    for (at, node) in graph.nodes.iter().enumerate().take(last + 1).filter(|(at, _)| live[*at]) {
        let inputs = node.inputs.iter().enumerate().map(|(place, source)| match *source {
            Source::Input => input(),
            Source::Node(from) => found[from].clone().expect("nodes are in order"),
            Source::Parameter(_) => Bounds::known(read(node, place).expect("a parameter")),
        });
        let inputs: Vec<Bounds> = inputs.collect();
        found[at] = Some(through(&node.op, inputs, &constants[at], examples));
    }
    found[last].take().expect("a live node")
}

/// Bounds of an operation's result.
fn through(op: &Op, inputs: Vec<Bounds>, constants: &Constants, examples: usize) -> Bounds {
    let run = |op: &Op, inputs: Vec<Value>| apply(op, inputs, constants, examples);
    if inputs.iter().all(|input| input.upper.is_none()) {
        return Bounds::known(run(op, inputs.into_iter().map(|input| input.lower).collect()));
    }
    let mut pairs = inputs.into_iter().map(Bounds::ends);
    let (lower, upper) = pairs.next().expect("every operation reads something");
    let rest: Vec<(Value, Value)> = pairs.collect();
    let known = |at: usize| rest[at].0.clone();
    match op {
        Op::Linear | Op::Conv { .. } | Op::MatMul | Op::BatchNorm { .. } => {
            let middle = lower.clone().add(upper.clone()).times(0.5);
            let radius = upper.subtract(lower).times(0.5);
            let (middle, radius) = match *op {
                Op::BatchNorm { epsilon, .. } => {
                    let rank = middle.shape().len();
                    let scale = known(0).divide(known(3).plus(epsilon).sqrt()).abs().per_channel(rank);
                    let all: Vec<Value> = (0..4).map(known).collect();
                    (layer::batch_norm(middle, &all, epsilon), radius.multiply(scale))
                }
                _ => {
                    let all = std::iter::once(middle).chain((0..rest.len()).map(known)).collect();
                    (run(op, all), run(op, vec![radius, known(0).abs()]))
                }
            };
            Bounds::between(middle.clone().subtract(radius.clone()), middle.add(radius))
        }
        Op::Unary(Unary::Abs) => {
            let (below, above) = (lower.clone().abs(), upper.clone().abs());
            // The distance of the box from 0, and its farther end.
            let least = lower.relu().add(upper.negate().relu());
            let most = run(&Op::Binary(Binary::Maximum), vec![below, above]);
            Bounds::between(least, most)
        }
        Op::Unary(function) => {
            let (a, b) = (run(op, vec![lower]), run(op, vec![upper]));
            if direction(*function) == Some(false) { Bounds::between(b, a) } else { Bounds::between(a, b) }
        }
        Op::Binary(Binary::Subtract) => {
            let (low, high) = rest[0].clone();
            Bounds::between(lower.subtract(high), upper.subtract(low))
        }
        Op::Binary(Binary::Multiply | Binary::Divide) => {
            let (low, high) = rest[0].clone();
            // One of the two does not vary; a product with it has its ends at the other's ends, in either order.
            let (a, b) = (run(op, vec![lower, low]), run(op, vec![upper, high]));
            let ends = |which: Binary| run(&Op::Binary(which), vec![a.clone(), b.clone()]);
            Bounds::between(ends(Binary::Minimum), ends(Binary::Maximum))
        }
        // All others rise with each input.
        op => {
            let (low, high): (Vec<Value>, Vec<Value>) = rest.into_iter().unzip();
            let all = |first: Value, rest: Vec<Value>| std::iter::once(first).chain(rest).collect();
            Bounds::between(run(op, all(lower, low)), run(op, all(upper, high)))
        }
    }
}
