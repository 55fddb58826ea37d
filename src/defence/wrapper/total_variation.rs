//! Total variation minimisation with pixel dropout (Guo et al. 2018, "Countering Adversarial Images using Input Transformations"; the
//! problem and the solver: [`kernel::total_variation`]). What comes out is near what went in, and the stand-in for the solver's gradient
//! is the identity's, as in Athalye et al. 2018 ("Obfuscated Gradients Give a False Sense of Security", section 5.3), who broke it so.

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
    backward: Backward::StraightThrough,
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

impl Wrapper for TotalVariation {
    fn inputs(&self, inputs: Tensor<2>, shape: [usize; 3], draw: &Draw) -> Tensor<2> {
        let draws = draw.upload(&inputs.device());
        let [channels, height, width] = shape.map(|size| size as u32);
        let rows = inputs.dims()[0] as u32;
        let (weight, keep, iterations) = (self.weight, self.keep, self.iterations);
        kernel::total_variation(inputs, draws, Parameters { rows, channels, height, width, iterations, weight, keep })
    }

    fn pull(&self, _inputs: Tensor<2>, gradient: Tensor<2>, _shape: [usize; 3], _draw: &Draw) -> Tensor<2> {
        gradient
    }

    fn is_random(&self) -> bool {
        self.keep < 1.0
    }
}
