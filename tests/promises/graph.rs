//! Networks as graphs: each operation gives PyTorch's numbers and the gradient of what it computes, shapes are checked before anything
//! runs, freezing changes nothing, and batch norm trains as PyTorch's does.

#[path = "graph/arrangements.rs"]
mod arrangements;
#[path = "graph/elements.rs"]
mod elements;
#[path = "graph/layers.rs"]
mod layers;
#[path = "graph/networks.rs"]
mod networks;

use burn::tensor::{Device, Tensor, TensorData};
use gauntlet::graph::{Builder, Dim, Graph, Op, Source};
use gauntlet::model::{Network, Weights};

use crate::{Promise, adapter};

pub fn tests() -> Vec<Promise> {
    let plain = |name, run| Promise { name, needs_adapter: false, run };
    let on_gpu = |name, run| Promise { name, needs_adapter: true, run };
    let mut tests = vec![
        plain("every operation gives the numbers of PyTorch", || gives_the_numbers(&Device::flex(), |_| true)),
        on_gpu("on an adapter operations give the numbers of PyTorch", || gives_the_numbers(&adapter::device(), on_adapters)),
        plain("every gradient is that of finite differences", gradients_are_those_of_finite_differences),
        on_gpu("on an adapter gradients are those of the CPU", || gradients_agree(&adapter::device())),
        plain("comparisons see equal numbers", comparisons_see_equal_numbers),
        plain("the root of a sum of squares has a gradient at zero", roots_have_a_gradient_at_zero),
    ];
    tests.extend(networks::tests());
    tests
}

/// What numbers a tensor is filled with: sines, their magnitudes plus 1/2, or 1 where they are positive and else 0.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    Any,
    Positive,
    Mask,
}

/// An operation on images of sides `image`, seen as `view` where that is not empty, and on parameters.
pub struct Case {
    pub name: &'static str,
    op: Op,
    image: [usize; 3],
    view: &'static [usize],
    kind: Kind,
    parameters: &'static [(&'static [usize], Kind)],
    pub smooth: bool,
    sum: f64,
    picked: [f64; 4],
}

impl Case {
    pub fn new(name: &'static str, op: Op, image: [usize; 3]) -> Self {
        Self { name, op, image, view: &[], kind: Kind::Any, parameters: &[], smooth: true, sum: 0.0, picked: [0.0; 4] }
    }

    pub fn view(self, view: &'static [usize]) -> Self {
        Self { view, ..self }
    }

    pub fn of(self, kind: Kind) -> Self {
        Self { kind, ..self }
    }

    pub fn with(self, parameters: &'static [(&'static [usize], Kind)]) -> Self {
        Self { parameters, ..self }
    }

    /// It has no gradient to speak of.
    pub fn flat(self) -> Self {
        Self { smooth: false, ..self }
    }

    /// The sum of all results for two images, each times cos of its index, and four of them, evenly spread from the first to the last.
    pub fn gives(self, sum: f64, picked: [f64; 4]) -> Self {
        Self { sum, picked, ..self }
    }

    pub fn network(&self, device: &Device) -> Network {
        let mut weights = Weights::default();
        // How many numbers come of an image is known only once the operation is there.
        let outputs = self.graph(1, &mut weights).unwrap_err();
        let graph = self.graph(outputs, &mut weights).unwrap();
        Network::new(graph, &weights, self.name, device).unwrap()
    }

    /// The graph of the operation with its results as logits; the number of them where they are not `classes`.
    fn graph(&self, classes: usize, weights: &mut Weights) -> Result<Graph, usize> {
        let mut net = Builder::new(self.image, classes);
        let mut x = net.input();
        if !self.view.is_empty() {
            let to = [Dim::EXAMPLES].into_iter().chain(self.view.iter().map(|&side| side.into())).collect();
            x = net.node("view", Op::Reshape { to }, &[x]).unwrap();
        }
        let mut inputs = vec![x];
        for (at, (shape, kind)) in self.parameters.iter().enumerate() {
            let name = format!("parameter{at}");
            inputs.push(net.parameter(&name, shape, true));
            weights.0.insert(name, (shape.to_vec(), numbers(shape.iter().product(), 1.0 + at as f64, *kind)));
        }
        let result = net.node(self.name, self.op.clone(), &inputs).unwrap();
        let logits = net.flatten(result).unwrap();
        let count = net.sides(logits)[1].size().unwrap();
        if count == classes { Ok(net.finish(logits).unwrap()) } else { Err(count) }
    }

    pub fn images(&self, device: &Device) -> Tensor<4> {
        let [channels, height, width] = self.image;
        let shape = [2, channels, height, width];
        Tensor::from_data(TensorData::new(numbers(shape.iter().product(), 0.3, self.kind), shape), device)
    }
}

pub fn cases() -> Vec<Case> {
    [layers::cases(), elements::cases(), arrangements::cases()].into_iter().flatten().collect()
}

/// A few operations of each kind: a software rasteriser takes seconds to compile each kernel, and products are tried by the engine's tests.
const ON_ADAPTERS: &[&str] = &[
    "batch norm",
    "group norm",
    "gelu",
    "softplus",
    "greater, broadcast",
    "maximum, broadcast",
    "where",
    "softmax",
    "max pool, uneven padding",
    "average pool, ceil",
    "reduce, logsumexp",
    "pad, reflect",
    "slice, backwards",
    "gather",
    "expand",
];

fn on_adapters(case: &Case) -> bool {
    ON_ADAPTERS.contains(&case.name)
}

/// Numbers that are neither round nor the same twice.
pub fn numbers(count: usize, phase: f64, kind: Kind) -> Vec<f32> {
    let number = |at: usize| 1.5 * (0.7 * at as f64 + phase).sin();
    let shaped = |number: f64| match kind {
        Kind::Any => number,
        Kind::Positive => number.abs() + 0.5,
        Kind::Mask => f64::from(number > 0.0),
    };
    (0..count).map(|at| shaped(number(at)) as f32).collect()
}

pub fn read<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
    tensor.into_data().try_to_vec::<f32>().unwrap().into_iter().map(f64::from).collect()
}

/// The sum of numbers, each times cos of its index.
pub fn weigh(numbers: &[f64]) -> f64 {
    numbers.iter().enumerate().map(|(at, number)| number * (at as f64).cos()).sum()
}

fn gives_the_numbers(device: &Device, chosen: fn(&Case) -> bool) {
    let mut wrong = Vec::new();
    for case in cases().into_iter().filter(chosen) {
        let found = read(case.network(device).forward(case.images(device)));
        let picked = [0, 1, 2, 3].map(|at| found[at * (found.len() - 1) / 3]);
        let near = |found: f64, wanted: f64| (found - wanted).abs() <= 5e-5 * (1.0 + wanted.abs());
        if !near(weigh(&found), case.sum) || picked.iter().zip(case.picked).any(|(&found, wanted)| !near(found, wanted)) {
            wrong.push(format!("{}: {} {picked:?}, not {} {:?}", case.name, weigh(&found), case.sum, case.picked));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Of the sum of all results, each times cos of its index.
fn gradient(network: &Network, images: Tensor<4>) -> Vec<f64> {
    let images = images.autodiff().require_grad();
    let logits = network.forward(images.clone());
    let [rows, classes] = logits.dims();
    let weights = (0..rows * classes).map(|at| (at as f64).cos() as f32).collect();
    let weights = Tensor::<2>::from_data(TensorData::new(weights, [rows, classes]), &logits.clone().inner().device());
    let gradients = (logits * Tensor::from_inner(weights)).sum().backward();
    read(images.grad(&gradients).unwrap())
}

fn gradients_are_those_of_finite_differences() {
    const STEP: f32 = 4e-3;
    let mut wrong = Vec::new();
    for case in cases().into_iter().filter(|case| case.smooth) {
        let network = case.network(&Device::flex());
        let images = case.images(&Device::flex());
        let found = gradient(&network, images.clone());
        let start: Vec<f32> = images.clone().into_data().try_to_vec().unwrap();
        let value = |at: usize, step: f32| {
            let mut moved = start.clone();
            moved[at] += step;
            weigh(&read(network.forward(Tensor::from_data(TensorData::new(moved, images.dims()), &Device::flex()))))
        };
        for (at, found) in found.iter().enumerate() {
            // The slopes on both sides differ at a kink, where either will do.
            let middle = value(at, 0.0);
            let slopes = [-STEP, STEP].map(|step| (value(at, step) - middle) / f64::from(step));
            let wanted = slopes[0].midpoint(slopes[1]);
            let allowed = 5e-3 * (1.0 + wanted.abs()) + (slopes[0] - slopes[1]).abs();
            if (found - wanted).abs() > allowed {
                wrong.push(format!("{}: the gradient at {at} is {found}, not {wanted}", case.name));
                break;
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn gradients_agree(device: &Device) {
    let mut wrong = Vec::new();
    for case in cases().into_iter().filter(|case| case.smooth && on_adapters(case)) {
        let of = |device: &Device| gradient(&case.network(device), case.images(device));
        let (found, wanted) = (of(device), of(&Device::flex()));
        if found.iter().zip(&wanted).any(|(found, wanted)| (found - wanted).abs() > 1e-4 * (1.0 + wanted.abs())) {
            wrong.push(format!("{}: {found:?}, not {wanted:?}", case.name));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn comparisons_see_equal_numbers() {
    use gauntlet::graph::Binary::{Equal, Greater, GreaterOrEqual, Less, LessOrEqual};
    for (function, wanted) in [(Equal, 1.0), (Less, 0.0), (LessOrEqual, 1.0), (Greater, 0.0), (GreaterOrEqual, 1.0)] {
        let mut net = Builder::new([1, 1, 1], 1);
        let same = net.node("compare", Op::Binary(function), &[Source::Input, Source::Input]).unwrap();
        let logits = net.flatten(same).unwrap();
        let network = Network::new(net.finish(logits).unwrap(), &Weights::default(), "none", &Device::flex()).unwrap();
        assert_eq!(read(network.forward(Tensor::ones([1, 1, 1, 1], &Device::flex()))), [wanted], "{function:?}");
    }
}

fn roots_have_a_gradient_at_zero() {
    let mut net = Builder::new([2, 2, 1], 2);
    let norm = Op::Reduce { kind: gauntlet::graph::Reduction::L2, axes: vec![2, 3], keep: false };
    let logits = net.node("norm", norm, &[Source::Input]).unwrap();
    let network = Network::new(net.finish(logits).unwrap(), &Weights::default(), "none", &Device::flex()).unwrap();
    assert_eq!(gradient(&network, Tensor::zeros([1, 2, 2, 1], &Device::flex())), [0.0; 4]);
}
