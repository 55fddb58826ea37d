//! Fewer bits a pixel (Xu et al. 2018, "Feature Squeezing", section III-A). Rounding has no gradient; its stand-in is the identity's, as
//! in Athalye et al. 2018 ("Obfuscated Gradients Give a False Sense of Security", section 5.3).

use burn::tensor::Tensor;

use super::{Backward, FREE, Wrapper, WrapperRow};
use crate::engine::draw::Draw;
use crate::kernel;
use crate::options::{Accepts, Entry, OptionSpec};

pub(super) const ROW: WrapperRow = WrapperRow {
    entry: Entry {
        name: "bit-depth",
        summary: "rounds inputs to fewer bits (Xu et al. 2018)",
        options: &[OptionSpec { name: "bits", accepts: Accepts::Integer(1, 16), default: Some("4"), help: "bits a value" }],
    },
    backward: Backward::StraightThrough,
    check: FREE,
    build: |options| Box::new(BitDepth::new(options.integer("bits").unwrap_or(4) as u32)),
};

pub(super) struct BitDepth {
    levels: f32,
}

impl BitDepth {
    /// Values of so many bits, 1 to 16.
    pub(super) fn new(bits: u32) -> Self {
        Self { levels: ((1u32 << bits) - 1) as f32 }
    }
}

impl Wrapper for BitDepth {
    fn inputs(&self, inputs: Tensor<2>, _shape: [usize; 3], _draw: &Draw) -> Tensor<2> {
        kernel::bit_depth(inputs, self.levels)
    }

    fn pull(&self, _inputs: Tensor<2>, gradient: Tensor<2>, _shape: [usize; 3], _draw: &Draw) -> Tensor<2> {
        gradient
    }
}
