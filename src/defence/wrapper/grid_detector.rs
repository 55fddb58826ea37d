//! A detector that lies: it rejects what does not lie on the grid of stored images (multiples of 1/255, say). Every adversarial example
//! is caught while it is a tensor of floats, and none once it was saved as a picture.

use burn::tensor::Tensor;

use super::{Backward, FREE, Wrapper, WrapperRow};
use crate::engine::draw::Draw;
use crate::options::{Accepts, Entry, OptionSpec};

/// How far from the grid counts as off it, in steps of the grid: above rounding of f32, below any change worth the name.
const TOLERANCE: f32 = 1e-3;

pub(super) const ROW: WrapperRow = WrapperRow {
    entry: Entry {
        name: "grid-detector",
        summary: "rejects inputs that are off the grid of stored images",
        options: &[OptionSpec {
            name: "levels",
            accepts: Accepts::Integer(1, 65_535),
            default: Some("255"),
            help: "values lie on multiples of 1 / levels",
        }],
    },
    backward: Backward::Exact,
    check: FREE,
    build: |options| Box::new(GridDetector { levels: options.integer("levels").unwrap_or(255) as f32 }),
};

struct GridDetector {
    levels: f32,
}

impl Wrapper for GridDetector {
    fn pull(&self, _inputs: Tensor<2>, gradient: Tensor<2>, _shape: [usize; 3], _draw: &Draw) -> Tensor<2> {
        gradient
    }

    fn rejects(&self) -> bool {
        true
    }

    fn score(&self, inputs: &Tensor<2>, _logits: &[Tensor<2>]) -> Option<Tensor<2>> {
        let scaled = inputs.clone() * self.levels;
        let off = (scaled.clone() - scaled.round()).abs().max_dim(1);
        Some(off - TOLERANCE)
    }
}
