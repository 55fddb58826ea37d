//! Fewer bits a pixel (Xu et al. 2018, "Feature Squeezing", section III-A). Rounding has no gradient, and none is made up for it here:
//! an attack along gradients stands still.

use burn::tensor::Tensor;

use super::{Wrapper, WrapperRow};
use crate::engine::draw::Draw;
use crate::options::{Accepts, Entry, OptionSpec};

pub(super) const ROW: WrapperRow = WrapperRow {
    entry: Entry {
        name: "bit-depth",
        summary: "rounds inputs to fewer bits; its gradient is zero",
        options: &[OptionSpec { name: "bits", accepts: Accepts::Integer(1, 16), default: Some("4"), help: "bits a value" }],
    },
    build: |options| Box::new(BitDepth { levels: ((1u32 << options.integer("bits").unwrap_or(4)) - 1) as f32 }),
};

struct BitDepth {
    levels: f32,
}

impl Wrapper for BitDepth {
    fn inputs(&self, inputs: Tensor<2>, _shape: [usize; 3], _draw: &Draw) -> Tensor<2> {
        (inputs * self.levels).round() / self.levels
    }
}
