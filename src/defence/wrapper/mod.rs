//! Wrappers: what stands in front of a model or behind it.
//!
//! A wrapper changes the inputs, the logits, or what is rejected; attacks see it through the oracle and know none by name. [`WRAPPERS`]
//! is the table: a wrapper is one file and one row. Those here make an evaluation lie in known ways, each the test subject of a check of
//! a flawed evaluation: gradients that are zero (two of them), a softmax that saturates, an output that is random, a detector that tells
//! how an input was stored instead of what it shows.

mod bit_depth;
mod grid_detector;
mod random_resize;
mod temperature;
mod thresholded;

use std::sync::Arc;

use burn::tensor::Tensor;

use crate::engine::draw::Draw;
use crate::options::{Entry, Options};
use crate::suite::WrapperSpec;

/// Something around a model. Inputs are flat, [rows, features], in [0, 1]; logits are [rows, classes].
pub trait Wrapper: Send + Sync {
    /// What the model sees of the inputs, images of `shape` (channels, height, width). Gradients flow back as Burn's operations do.
    fn inputs(&self, inputs: Tensor<2>, _shape: [usize; 3], _draw: &Draw) -> Tensor<2> {
        inputs
    }

    /// What leaves of the logits.
    fn logits(&self, logits: Tensor<2>) -> Tensor<2> {
        logits
    }

    /// Which inputs are rejected, [rows, 1] of 1 and 0; `None` from a wrapper that rejects nothing ever.
    fn rejections(&self, _inputs: &Tensor<2>, _logits: &Tensor<2>) -> Option<Tensor<2>> {
        None
    }

    /// Whether an answer depends on the draw.
    fn is_random(&self) -> bool {
        false
    }
}

/// A row of [`WRAPPERS`].
pub struct WrapperRow {
    /// Name, summary and options.
    pub entry: Entry,
    /// Builds the wrapper.
    pub build: fn(&Options) -> Box<dyn Wrapper>,
}

/// Every wrapper.
pub const WRAPPERS: &[WrapperRow] = &[bit_depth::ROW, temperature::ROW, random_resize::ROW, grid_detector::ROW, thresholded::ROW];

/// The wrappers of a suite's `stack`, outermost first.
pub fn stack(specs: &[WrapperSpec]) -> Arc<[Box<dyn Wrapper>]> {
    let build = |spec: &WrapperSpec| {
        let row = WRAPPERS.iter().find(|row| row.entry.name == spec.kind).expect("the suite's reader knows the wrappers");
        (row.build)(&spec.options)
    };
    specs.iter().map(build).collect()
}
