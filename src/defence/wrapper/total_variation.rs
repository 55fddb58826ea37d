//! Total variation minimisation with pixel dropout (Guo et al. 2018, "Countering Adversarial Images using Input Transformations"; the
//! problem and the solver: [`kernel::total_variation`]). Its gradient is that of the solver's steps, linearised where it ended
//! ([`kernel::total_variation_back`]): a dropped value has none, and its neighbours have its share. Athalye et al. 2018 ("Obfuscated
//! Gradients Give a False Sense of Security", section 5.3) take the identity's instead, which blames values that were never looked at.

use burn::tensor::Tensor;

use super::{Backward, FREE, Wrapper, WrapperRow};
use crate::engine::draw::Draw;
use crate::kernel;
use crate::kernel::total_variation::Parameters;
use crate::options::{Accepts, Entry, OptionSpec};

pub(super) const ROW: WrapperRow = WrapperRow {
    entry: Entry {
        name: "total-variation",
        summary: "drops pixels and fills images up with little variation (Guo et al. 2018)",
        options: &[
            OptionSpec {
                name: "weight",
                accepts: Accepts::Number(0.0, 10.0),
                default: Some("0.03"),
                help: "weight of the variation beside half the squared difference, input units",
            },
            OptionSpec {
                name: "keep",
                accepts: Accepts::Number(0.01, 1.0),
                default: Some("0.5"),
                help: "share of the values that are not dropped; 1 makes the transform deterministic",
            },
            OptionSpec { name: "iterations", accepts: Accepts::Integer(1, 10_000), default: Some("50"), help: "steps of the solver" },
        ],
    },
    backward: Backward::StandIn("the solver's steps transposed where they ended"),
    check: FREE,
    build: |options| {
        Box::new(TotalVariation {
            weight: options.number("weight").unwrap_or(0.03) as f32,
            keep: options.number("keep").unwrap_or(0.5) as f32,
            iterations: options.integer("iterations").unwrap_or(50) as u32,
        })
    },
};

struct TotalVariation {
    weight: f32,
    keep: f32,
    iterations: u32,
}

impl TotalVariation {
    fn parameters(&self, rows: usize, shape: [usize; 3]) -> Parameters {
        let [channels, height, width] = shape.map(|size| size as u32);
        let (rows, weight, keep, iterations) = (rows as u32, self.weight, self.keep, self.iterations);
        Parameters { rows, channels, height, width, iterations, weight, keep }
    }
}

impl Wrapper for TotalVariation {
    fn inputs(&self, inputs: Tensor<2>, shape: [usize; 3], draw: &Draw) -> Tensor<2> {
        let (draws, parameters) = (draw.upload(&inputs.device()), self.parameters(inputs.dims()[0], shape));
        kernel::total_variation(inputs, draws, parameters)
    }

    fn pull(&self, inputs: Tensor<2>, gradient: Tensor<2>, shape: [usize; 3], draw: &Draw) -> Tensor<2> {
        let (draws, parameters) = (draw.upload(&inputs.device()), self.parameters(inputs.dims()[0], shape));
        let [_, state @ ..] = kernel::total_variation_state(inputs, draws.clone(), parameters);
        kernel::total_variation_back(gradient, draws, state, parameters)
    }

    fn is_random(&self) -> bool {
        self.keep < 1.0
    }
}
