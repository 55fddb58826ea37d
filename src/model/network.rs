//! A graph with its parameters on a device.

use std::sync::Arc;

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor, TensorData};

use super::Weights;
use crate::Result;
use crate::graph::{Constants, Graph, Plan, Value, freeze, run};

/// A network that runs, and that an optimiser can train.
#[derive(Module, Debug)]
pub struct Network {
    tensors: Vec<Stored>,
    constants: Vec<Constants>,
    #[module(skip)]
    plan: Arc<Plan>,
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
        Ok(Self { tensors, constants, plan })
    }

    /// What it computes.
    pub fn graph(&self) -> &Graph {
        self.plan.graph()
    }

    /// Numbers that a forward pass makes of one image and keeps, as [`Graph::activations`] counts them.
    pub fn activations(&self) -> usize {
        self.plan.activations()
    }

    /// Logits [examples, classes] of images [examples, channels, height, width].
    pub fn forward(&self, images: Tensor<4>) -> Tensor<2> {
        run(&self.plan, |at| self.tensors[at].value(), &self.constants, images, false).logits
    }

    /// As [`Network::forward`], batch norm using the statistics of this batch; also the running statistics that it moves, for
    /// [`Network::moved`].
    pub fn forward_training(&self, images: Tensor<4>) -> (Tensor<2>, Moved) {
        let outcome = run(&self.plan, |at| self.tensors[at].value(), &self.constants, images, true);
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
