//! Randomised smoothing as a decision (Cohen et al. 2019, "Certified Adversarial Robustness via Randomized Smoothing", section 3): the
//! class that the model says most often of noisy copies of the input, the first of several; without abstention, so that it decides on
//! everything. A vote has no gradient: attacks follow the mean of the probabilities over the copies of a step (Salman et al. 2019).

use burn::tensor::Tensor;

use super::noise::SIGMA;
use super::{Backward, FREE, Wrapper, WrapperRow};
use crate::engine::draw::Draw;
use crate::kernel;
use crate::options::{Accepts, Entry, OptionSpec};

pub(super) const ROW: WrapperRow = WrapperRow {
    entry: Entry {
        name: "smoothing",
        summary: "decides by most of many noisy copies (Cohen et al. 2019)",
        options: &[
            OptionSpec {
                name: "samples",
                accepts: Accepts::Integer(2, 1_000_000),
                default: Some("100"),
                help: "noisy copies that a decision takes; steps of attacks average over `eot` of their own",
            },
            OptionSpec { default: Some("0.25"), ..SIGMA },
        ],
    },
    backward: Backward::Poll,
    check: FREE,
    build: |options| {
        let samples = options.integer("samples").unwrap_or(100) as u32;
        Box::new(Smoothing { samples, sigma: options.number("sigma").unwrap_or(0.25) as f32 })
    },
};

struct Smoothing {
    samples: u32,
    sigma: f32,
}

impl Wrapper for Smoothing {
    fn inputs(&self, inputs: Tensor<2>, _shape: [usize; 3], draw: &Draw) -> Tensor<2> {
        let draws = draw.upload(&inputs.device());
        kernel::gaussian(inputs, draws, self.sigma)
    }

    fn pull(&self, _inputs: Tensor<2>, gradient: Tensor<2>, _shape: [usize; 3], _draw: &Draw) -> Tensor<2> {
        gradient
    }

    fn is_random(&self) -> bool {
        true
    }

    fn polls(&self) -> Option<u32> {
        Some(self.samples)
    }
}
