//! Logits divided by a temperature. Far below 1 it saturates the softmax, as defensive distillation does (Papernot et al. 2016; broken by
//! Carlini and Wagner 2017): the gradient of cross-entropy becomes exactly zero in f32 while decisions stay what they were.

use burn::tensor::Tensor;

use super::{Backward, FREE, Wrapper, WrapperRow};
use crate::engine::draw::Draw;
use crate::options::{Accepts, Entry, OptionSpec};

pub(super) const ROW: WrapperRow = WrapperRow {
    entry: Entry {
        name: "temperature",
        summary: "divides logits by a temperature",
        options: &[OptionSpec {
            name: "temperature",
            accepts: Accepts::Number(1e-6, 1e6),
            default: Some("0.001"),
            help: "below 1 saturates the softmax",
        }],
    },
    backward: Backward::Exact,
    check: FREE,
    build: |options| Box::new(Temperature { temperature: options.number("temperature").unwrap_or(0.001) as f32 }),
};

struct Temperature {
    temperature: f32,
}

impl Wrapper for Temperature {
    fn logits(&self, logits: Tensor<2>) -> Tensor<2> {
        logits / self.temperature
    }

    fn pull(&self, _inputs: Tensor<2>, gradient: Tensor<2>, _shape: [usize; 3], _draw: &Draw) -> Tensor<2> {
        gradient
    }

    fn pull_logits(&self, _logits: Tensor<2>, gradient: Tensor<2>) -> Tensor<2> {
        gradient / self.temperature
    }
}
