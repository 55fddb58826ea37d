//! Gaussian noise, drawn anew for every input and not clipped, as in randomised smoothing (Cohen et al. 2019): the model answers on what
//! it is given, and a random answer is judged by most of its draws.

use burn::tensor::Tensor;

use super::{Backward, FREE, Wrapper, WrapperRow};
use crate::engine::draw::Draw;
use crate::kernel;
use crate::options::{Accepts, Entry, OptionSpec};

pub(super) const SIGMA: OptionSpec = OptionSpec {
    name: "sigma",
    accepts: Accepts::Distance(0.0, 10.0),
    default: Some("0.1"),
    help: "standard deviation of the noise, input units",
};

pub(super) const ROW: WrapperRow = WrapperRow {
    entry: Entry { name: "noise", summary: "adds Gaussian noise to the inputs", options: &[SIGMA] },
    backward: Backward::Exact,
    check: FREE,
    build: |options| Box::new(Noise { sigma: options.number("sigma").unwrap_or(0.1) as f32 }),
};

struct Noise {
    sigma: f32,
}

impl Wrapper for Noise {
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
}
