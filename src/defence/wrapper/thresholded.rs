//! Activations cut at a threshold, as in thermometer encodings and binary filters (Buckman et al. 2018, broken by Athalye et al. 2018): a
//! value is 1 above it and 0 below. A step has no gradient; its stand-in is the identity's.

use burn::tensor::Tensor;

use super::{Backward, FREE, Wrapper, WrapperRow};
use crate::engine::draw::Draw;
use crate::options::{Accepts, Entry, OptionSpec};

pub(super) const ROW: WrapperRow = WrapperRow {
    entry: Entry {
        name: "thresholded",
        summary: "cuts inputs to 0 and 1 at a threshold",
        options: &[OptionSpec {
            name: "threshold",
            accepts: Accepts::Number(0.0, 1.0),
            default: Some("0.5"),
            help: "the largest value that becomes 0",
        }],
    },
    backward: Backward::StraightThrough,
    check: FREE,
    build: |options| Box::new(Thresholded { threshold: options.number("threshold").unwrap_or(0.5) as f32 }),
};

struct Thresholded {
    threshold: f32,
}

impl Wrapper for Thresholded {
    fn inputs(&self, inputs: Tensor<2>, _shape: [usize; 3], _draw: &Draw) -> Tensor<2> {
        (inputs - self.threshold).sign().clamp_min(0.0)
    }

    fn pull(&self, _inputs: Tensor<2>, gradient: Tensor<2>, _shape: [usize; 3], _draw: &Draw) -> Tensor<2> {
        gradient
    }
}
