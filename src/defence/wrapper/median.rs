//! Median smoothing (Xu et al. 2018, "Feature Squeezing", section III-B), channel by channel. Its gradient goes to the pixel that the
//! median is, which is exact wherever no two values of a window are equal.

use burn::tensor::Tensor;

use super::{Backward, FREE, Wrapper, WrapperRow};
use crate::engine::draw::Draw;
use crate::kernel;
use crate::options::{Accepts, Entry, OptionSpec};

pub(super) const ROW: WrapperRow = WrapperRow {
    entry: Entry {
        name: "median",
        summary: "median of each pixel's window (Xu et al. 2018)",
        options: &[OptionSpec { name: "window", accepts: Accepts::Integer(2, 11), default: Some("3"), help: "side of the window, pixels" }],
    },
    backward: Backward::Exact,
    check: FREE,
    build: |options| Box::new(Median { window: options.integer("window").unwrap_or(3) as usize }),
};

pub(super) struct Median {
    pub(super) window: usize,
}

impl Wrapper for Median {
    fn inputs(&self, inputs: Tensor<2>, shape: [usize; 3], _draw: &Draw) -> Tensor<2> {
        kernel::median(inputs, shape, self.window).0
    }

    fn pull(&self, inputs: Tensor<2>, gradient: Tensor<2>, shape: [usize; 3], _draw: &Draw) -> Tensor<2> {
        let (_, chosen) = kernel::median(inputs, shape, self.window);
        kernel::median_back(gradient, chosen, shape, self.window)
    }
}
