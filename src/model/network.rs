//! A graph with its parameters on a device.

use std::sync::Arc;

use burn::module::{Module, Param};
use burn::tensor::{Device, FloatDType, Gradients, Int, Tensor, TensorData};

use super::Weights;
use crate::Result;
use crate::graph::{Constants, Graph, Mode, Op, Plan, Source, Throw, Value, freeze, interval, run};

/// A network that runs, and that an optimiser can train.
#[derive(Module, Debug)]
pub struct Network {
    tensors: Vec<Stored>,
    constants: Vec<Constants>,
    #[module(skip)]
    plan: Arc<Plan>,
    /// Whether parameters and activations are in half precision.
    #[module(skip)]
    half: bool,
}

/// A parameter. Those without sides are kept as [1]; a dense weight as [in, out].
#[derive(Module, Debug)]
enum Stored {
    One(Param<Tensor<1>>),
    Two(Param<Tensor<2>>),
    Three(Param<Tensor<3>>),
    Four(Param<Tensor<4>>),
    Five(Param<Tensor<5>>),
    Six(Param<Tensor<6>>),
    Seven(Param<Tensor<7>>),
    Eight(Param<Tensor<8>>),
}

/// Calls something generic over the rank of a stored tensor.
macro_rules! each {
    ($stored:expr, $tensor:ident => $result:expr) => {
        match $stored {
            Stored::One($tensor) => $result,
            Stored::Two($tensor) => $result,
            Stored::Three($tensor) => $result,
            Stored::Four($tensor) => $result,
            Stored::Five($tensor) => $result,
            Stored::Six($tensor) => $result,
            Stored::Seven($tensor) => $result,
            Stored::Eight($tensor) => $result,
        }
    };
}

impl Stored {
    /// A tensor of up to 8 sides, more than any that a checked graph has.
    fn new(numbers: Vec<f32>, shape: &[usize], trained: bool, device: &Device) -> Self {
        let data = TensorData::new(numbers, if shape.is_empty() { vec![1] } else { shape.to_vec() });
        match shape.len() {
            0 | 1 => Self::One(param(data, trained, device)),
            2 => Self::Two(param(data, trained, device)),
            3 => Self::Three(param(data, trained, device)),
            4 => Self::Four(param(data, trained, device)),
            5 => Self::Five(param(data, trained, device)),
            6 => Self::Six(param(data, trained, device)),
            7 => Self::Seven(param(data, trained, device)),
            _ => Self::Eight(param(data, trained, device)),
        }
    }

    fn value(&self) -> Value {
        each!(self, tensor => Value::new(tensor.val()))
    }

    /// The elements in the order in which they are kept, without their gradients.
    fn flat(&self) -> Tensor<1> {
        each!(self, tensor => {
            let value = tensor.val();
            let count = value.shape().num_elements();
            if value.is_autodiff() { value.inner().reshape([count]) } else { value.reshape([count]) }
        })
    }

    /// The same sides with other elements, to be trained.
    fn trained(&self, flat: Tensor<1>) -> Self {
        macro_rules! renewed {
            ($kind:ident, $tensor:expr) => {{
                let value = flat.reshape($tensor.shape());
                Self::$kind(Param::from_tensor(if $tensor.val().is_autodiff() { Tensor::from_inner(value) } else { value }))
            }};
        }
        match self {
            Self::One(tensor) => renewed!(One, tensor),
            Self::Two(tensor) => renewed!(Two, tensor),
            Self::Three(tensor) => renewed!(Three, tensor),
            Self::Four(tensor) => renewed!(Four, tensor),
            Self::Five(tensor) => renewed!(Five, tensor),
            Self::Six(tensor) => renewed!(Six, tensor),
            Self::Seven(tensor) => renewed!(Seven, tensor),
            Self::Eight(tensor) => renewed!(Eight, tensor),
        }
    }

    fn gradient(&self, gradients: &mut Gradients) -> Option<Tensor<1>> {
        each!(self, tensor => {
            let gradient = tensor.val().grad_remove(gradients)?;
            let count = gradient.shape().num_elements();
            Some(gradient.reshape([count]))
        })
    }

    fn halved(&self) -> Self {
        macro_rules! halved {
            ($kind:ident, $tensor:expr) => {
                Self::$kind(Param::from_tensor($tensor.val().cast(FloatDType::F16)).set_require_grad(false))
            };
        }
        match self {
            Self::One(tensor) => halved!(One, tensor),
            Self::Two(tensor) => halved!(Two, tensor),
            Self::Three(tensor) => halved!(Three, tensor),
            Self::Four(tensor) => halved!(Four, tensor),
            Self::Five(tensor) => halved!(Five, tensor),
            Self::Six(tensor) => halved!(Six, tensor),
            Self::Seven(tensor) => halved!(Seven, tensor),
            Self::Eight(tensor) => halved!(Eight, tensor),
        }
    }

    fn numbers(&self) -> Vec<f32> {
        each!(self, tensor => tensor.val().inner().into_data().try_to_vec().expect("weights are f32"))
    }
}

fn param<const D: usize>(data: TensorData, trained: bool, device: &Device) -> Param<Tensor<D>> {
    Param::from_tensor(Tensor::from_data(data, device)).set_require_grad(trained)
}

/// Running statistics that a batch has moved: index of the parameter, and its new value.
pub type Moved = Vec<(usize, Tensor<1>)>;

impl Network {
    /// Puts the weights of a graph on a device.
    ///
    /// # Errors
    /// A graph that does not fit together; every missing, extra or misshapen weight, by name and both shapes, at once, in words that
    /// start with `from`.
    pub fn new(graph: Graph, weights: &Weights, from: &str, device: &Device) -> Result<Self> {
        super::fit(&graph, weights, from)?;
        Self::with_plan(Arc::new(Plan::new(graph)?), weights, device)
    }

    /// The same network with other weights.
    ///
    /// # Errors
    /// As [`Network::new`].
    pub(super) fn with_weights(&self, weights: &Weights, from: &str, device: &Device) -> Result<Self> {
        super::fit(self.graph(), weights, from)?;
        Self::with_plan(self.plan.clone(), weights, device)
    }

    fn with_plan(plan: Arc<Plan>, weights: &Weights, device: &Device) -> Result<Self> {
        let store = |(at, parameter): (usize, &crate::graph::Parameter)| {
            let (shape, numbers) = &weights.0[&parameter.name];
            match shape[..] {
                [rows, columns] if plan.is_transposed(at) => {
                    Stored::new(transposed(numbers, rows, columns), &[columns, rows], parameter.trained, device)
                }
                _ => Stored::new(numbers.clone(), shape, parameter.trained, device),
            }
        };
        let tensors = plan.graph().parameters.iter().enumerate().map(store).collect();
        let constants = plan.constants(weights, device)?;
        Ok(Self { tensors, constants, plan, half: false })
    }

    /// What it computes.
    pub fn graph(&self) -> &Graph {
        self.plan.graph()
    }

    /// Numbers that a forward pass makes of one image and keeps, as [`Graph::activations`] counts them.
    pub fn activations(&self) -> usize {
        self.plan.activations()
    }

    /// Logits [examples, classes] of images [examples, channels, height, width], both in single precision.
    pub fn forward(&self, images: Tensor<4>) -> Tensor<2> {
        let images = if self.half { images.cast(FloatDType::F16) } else { images };
        let logits = run(&self.plan, |at| self.tensors[at].value(), &self.constants, images, Mode::Plain).logits;
        if self.half { logits.cast(FloatDType::F32) } else { logits }
    }

    /// The same network with parameters and activations in half precision, for gradients of its inputs; not to be trained.
    #[must_use]
    pub fn halved(&self) -> Self {
        let constants = self.constants.iter().map(Constants::halved).collect();
        Self { tensors: self.tensors.iter().map(Stored::halved).collect(), constants, plan: self.plan.clone(), half: true }
    }

    /// Whether it computes in half precision.
    pub fn is_half(&self) -> bool {
        self.half
    }

    /// As [`Network::forward`], batch norm using the statistics of this batch; also the running statistics that it moves, for
    /// [`Network::moved`].
    pub fn forward_training(&self, images: Tensor<4>) -> (Tensor<2>, Moved) {
        self.forward_dropping(images, None)
    }

    /// As [`Network::forward_training`]; dropout drops what `throw` draws.
    pub fn forward_dropping(&self, images: Tensor<4>, throw: Option<&Throw>) -> (Tensor<2>, Moved) {
        let outcome = run(&self.plan, |at| self.tensors[at].value(), &self.constants, images, Mode::Training(throw));
        (outcome.logits, outcome.moved)
    }

    /// With running statistics as a batch has moved them.
    #[must_use]
    pub fn moved(mut self, moved: Moved) -> Self {
        for (at, value) in moved {
            if let Stored::One(statistic) = &self.tensors[at] {
                let value = if statistic.val().is_autodiff() { value } else { value.inner() };
                self.tensors[at] = Stored::One(statistic.clone().map(|_| value));
            }
        }
        self
    }

    /// The trained parameters in the graph's order, each flat `[elements]`, on the plain device.
    pub fn trained(&self) -> Vec<Tensor<1>> {
        self.trainable().map(|at| self.tensors[at].flat()).collect()
    }

    /// The running statistics of batch norm: index of the parameter, and its value on the plain device.
    pub fn statistics(&self) -> Moved {
        let nodes = self.graph().nodes.iter().filter(|node| matches!(node.op, Op::BatchNorm { .. }));
        let sources = nodes.flat_map(|node| &node.inputs[3..]);
        let places = sources.filter_map(|source| if let Source::Parameter(at) = *source { Some(at) } else { None });
        places.map(|at| (at, self.tensors[at].flat())).collect()
    }

    /// How many sides each trained parameter has, in the graph's order: 1 for a bias or a norm's scale.
    pub fn trained_ranks(&self) -> Vec<usize> {
        self.trainable().map(|at| self.graph().parameters[at].shape.len()).collect()
    }

    /// The same network with other trained parameters, as [`Network::trained`] gives them.
    ///
    /// # Panics
    /// Where a parameter has another number of elements.
    #[must_use]
    pub fn with_trained(mut self, trained: Vec<Tensor<1>>) -> Self {
        let places: Vec<usize> = self.trainable().collect();
        for (at, flat) in places.into_iter().zip(trained) {
            self.tensors[at] = self.tensors[at].trained(flat);
        }
        self
    }

    /// The gradients of the trained parameters, flat, in the graph's order; none for one that the loss does not depend on.
    pub fn gradients(&self, gradients: &mut Gradients) -> Vec<Option<Tensor<1>>> {
        self.trainable().map(|at| self.tensors[at].gradient(gradients)).collect()
    }

    fn trainable(&self) -> impl Iterator<Item = usize> + '_ {
        let parameters = self.graph().parameters.iter().enumerate();
        parameters.filter(|(_, parameter)| parameter.trained).map(|(at, _)| at)
    }

    /// Upper bounds [examples, classes] of each class's logit less the label's over all images between `lower` and `upper`
    /// [examples, channels, height, width]; 0 for the label itself. By interval arithmetic, the last dense layer taken into the
    /// difference (Gowal et al. 2018, section 3); batch norm by its running statistics. Gradients flow through it.
    ///
    /// # Panics
    /// Where [`interval::check`] refuses the graph.
    pub fn worst_margins(&self, lower: Tensor<4>, upper: Tensor<4>, labels: Tensor<1, Int>) -> Tensor<2> {
        interval::worst_margins(&self.plan, |at| self.tensors[at].value(), &self.constants, [lower, upper], labels)
    }

    /// The weights, in PyTorch's layout.
    pub fn weights(&self) -> Weights {
        let parameters = self.graph().parameters.iter().zip(&self.tensors).enumerate();
        let weights = parameters.map(|(at, (parameter, stored))| {
            let numbers = match parameter.shape[..] {
                [rows, columns] if self.plan.is_transposed(at) => transposed(&stored.numbers(), columns, rows),
                _ => stored.numbers(),
            };
            (parameter.name.clone(), (parameter.shape.clone(), numbers))
        });
        Weights(weights.collect())
    }

    /// The same function of the images with less work, batch norm folded away; not to be trained.
    ///
    /// # Errors
    /// A device that does not answer.
    pub fn frozen(&self, device: &Device) -> Result<Self> {
        let (graph, weights) = freeze(self.graph(), &self.weights())?;
        Self::new(graph, &weights, "the frozen network", device)
    }
}

fn transposed(values: &[f32], rows: usize, columns: usize) -> Vec<f32> {
    (0..columns).flat_map(|column| (0..rows).map(move |row| values[row * columns + column])).collect()
}
