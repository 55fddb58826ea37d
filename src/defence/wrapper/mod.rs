//! Wrappers: what stands in front of a model or behind it.
//!
//! A wrapper changes the inputs, the logits, or what is rejected; attacks see it through the oracle and know none by name. [`WRAPPERS`]
//! is the table: a wrapper is one file and one row, and the row says what attacks get for its gradient. An attack that knows the
//! defence, as all do unless a suite says `adaptive = false`, gets the stand-in of what has no gradient; [`naive`] takes it away.

mod bit_depth;
mod calibrate;
mod gaussian_blur;
mod grid_detector;
mod images;
mod jpeg;
mod median;
mod noise;
mod random_resize;
mod smoothing;
mod squeeze_detector;
mod temperature;
mod thresholded;
mod total_variation;

use burn::tensor::Tensor;

use crate::engine::draw::Draw;
use crate::engine::pass::recorded;
use crate::options::{Entry, Options};
use crate::suite::WrapperSpec;

/// Something around a model. Inputs are flat, [rows, features], in [0, 1]; logits are [rows, classes]. `shape` is that of an image:
/// channels, height, width.
pub trait Wrapper: Send + Sync {
    /// What the model sees of the inputs.
    fn inputs(&self, inputs: Tensor<2>, _shape: [usize; 3], _draw: &Draw) -> Tensor<2> {
        inputs
    }

    /// The gradient with respect to `inputs` [rows, features], where `gradient` is that with respect to what [`Wrapper::inputs`] makes of
    /// them under the same draw. What is not differentiable answers with its stand-in (BPDA, Athalye et al. 2018).
    fn pull(&self, inputs: Tensor<2>, gradient: Tensor<2>, shape: [usize; 3], draw: &Draw) -> Tensor<2> {
        recorded(inputs, gradient, |inputs| self.inputs(inputs, shape, draw))
    }

    /// What leaves of the logits.
    fn logits(&self, logits: Tensor<2>) -> Tensor<2> {
        logits
    }

    /// As [`Wrapper::pull`], for the logits.
    fn pull_logits(&self, logits: Tensor<2>, gradient: Tensor<2>) -> Tensor<2> {
        recorded(logits, gradient, |logits| self.logits(logits))
    }

    /// Whether inputs may be rejected.
    fn rejects(&self) -> bool {
        false
    }

    /// A number a row, [rows, 1], above 0 where the input is rejected; differentiable by Burn's operations in all its arguments. `logits`
    /// are the model's for the inputs, and then for what each of [`Wrapper::squeezers`] makes of them.
    fn score(&self, _inputs: &Tensor<2>, _logits: &[Tensor<2>]) -> Option<Tensor<2>> {
        None
    }

    /// The share of clean images that it is to reject, where its threshold is to be set by that.
    fn false_alarms(&self) -> Option<f64> {
        None
    }

    /// The same detector with its scores lowered by `offset`.
    fn lowered(&self, _offset: f32) -> Option<Box<dyn Wrapper>> {
        None
    }

    /// Transforms of the inputs on which the score wants the model's logits too.
    fn squeezers(&self) -> &[Box<dyn Wrapper>] {
        &[]
    }

    /// Whether an answer depends on the draw.
    fn is_random(&self) -> bool {
        false
    }

    /// How many draws vote on a decision; `None` where the draws are chance and not votes.
    fn polls(&self) -> Option<u32> {
        None
    }
}

/// What an attack that knows the defence gets for a wrapper's gradient.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backward {
    /// The gradient itself.
    Exact,
    /// The gradient of the identity: what goes in comes out nearly as it was.
    StraightThrough,
    /// The gradient of something else that is near, in words.
    StandIn(&'static str),
    /// The gradient of the mean probability over draws, for a vote; those that do not know the defence follow single draws.
    Poll,
}

impl std::fmt::Display for Backward {
    fn fmt(&self, formatter: &mut std::fmt::Formatter) -> std::fmt::Result {
        match self {
            Backward::Exact => formatter.write_str("exact"),
            Backward::StraightThrough => formatter.write_str("straight through"),
            Backward::StandIn(words) => formatter.write_str(words),
            Backward::Poll => formatter.write_str("the mean probability over draws, for the vote"),
        }
    }
}

/// A row of [`WRAPPERS`].
pub struct WrapperRow {
    /// Name, summary and options.
    pub entry: Entry,
    /// What adaptive attacks get for its gradient; those that do not know the defence get zero for stand-ins.
    pub backward: Backward,
    /// Rules between options.
    pub check: fn(&Options) -> Result<(), String>,
    /// Builds the wrapper.
    pub build: fn(&Options) -> Box<dyn Wrapper>,
}

/// Every wrapper: transforms, detectors, and what is done to logits.
pub const WRAPPERS: &[WrapperRow] = &[
    bit_depth::ROW,
    jpeg::ROW,
    median::ROW,
    gaussian_blur::ROW,
    total_variation::ROW,
    random_resize::ROW,
    noise::ROW,
    smoothing::ROW,
    thresholded::ROW,
    temperature::ROW,
    squeeze_detector::ROW,
    grid_detector::ROW,
];

/// The wrappers of a suite's `stack`, outermost first, as attacks that know them or do not see them.
pub fn stack(specs: &[WrapperSpec], adaptive: bool) -> Vec<Box<dyn Wrapper>> {
    let build = |spec: &WrapperSpec| {
        let row = WRAPPERS.iter().find(|row| row.entry.name == spec.kind).expect("the suite's reader knows the wrappers");
        let wrapper = (row.build)(&spec.options);
        if adaptive { wrapper } else { naive(wrapper, row.backward) }
    };
    specs.iter().map(build).collect()
}

pub use calibrate::{Thresholds, calibrate};

/// A wrapper as an attack meets it that does not know it: without the stand-in for a gradient that it does not have. A detector changes
/// no inputs, and nobody asks for its score then.
pub fn naive(wrapper: Box<dyn Wrapper>, backward: Backward) -> Box<dyn Wrapper> {
    let has_gradient = matches!(backward, Backward::Exact | Backward::Poll) || wrapper.rejects();
    if has_gradient { wrapper } else { Box::new(Naive(wrapper)) }
}

struct Naive(Box<dyn Wrapper>);

impl Wrapper for Naive {
    fn inputs(&self, inputs: Tensor<2>, shape: [usize; 3], draw: &Draw) -> Tensor<2> {
        self.0.inputs(inputs, shape, draw)
    }

    fn pull(&self, inputs: Tensor<2>, _gradient: Tensor<2>, _shape: [usize; 3], _draw: &Draw) -> Tensor<2> {
        inputs.zeros_like()
    }

    fn logits(&self, logits: Tensor<2>) -> Tensor<2> {
        self.0.logits(logits)
    }

    fn pull_logits(&self, logits: Tensor<2>, gradient: Tensor<2>) -> Tensor<2> {
        self.0.pull_logits(logits, gradient)
    }

    fn rejects(&self) -> bool {
        self.0.rejects()
    }

    fn score(&self, inputs: &Tensor<2>, logits: &[Tensor<2>]) -> Option<Tensor<2>> {
        self.0.score(inputs, logits)
    }

    fn false_alarms(&self) -> Option<f64> {
        self.0.false_alarms()
    }

    fn lowered(&self, offset: f32) -> Option<Box<dyn Wrapper>> {
        Some(Box::new(Naive(self.0.lowered(offset)?)))
    }

    fn squeezers(&self) -> &[Box<dyn Wrapper>] {
        self.0.squeezers()
    }

    fn is_random(&self) -> bool {
        self.0.is_random()
    }

    fn polls(&self) -> Option<u32> {
        self.0.polls()
    }
}

/// For wrappers whose options agree however they are chosen.
const FREE: fn(&Options) -> Result<(), String> = |_| Ok(());
