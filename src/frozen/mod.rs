//! A network whose weights no longer change, compiled for the processor, and for GPUs in [`gpu`].
//!
//! An attack runs one network thousands of times and wants two things of it: logits, and the gradient of a loss of them with respect to
//! the images. [`Plan::compile`] turns a frozen graph and its weights into a list of steps forward and one backward:
//!
//! - 16 images go together, the image innermost: a value is features x 16, so that every step is a loop over whole registers, whatever
//!   its windows, strides or borders. A block goes through all of the network on one thread; blocks share nothing but weights. Where
//!   there are fewer blocks than threads, several threads share the long steps of each.
//! - Weights are packed once, for the way forward and, turned round, for the way back; both read them from the first to the last.
//!   Those of 3x3 taps without strides between 16 channels and more are transformed for Winograd's method.
//! - Padding is a border of zeros around the values that convolutions read. Rectifiers and sums belong to the convolutions before them.
//! - Of the way forward only what the way back needs is kept: a bit for each rectified number, a byte for each pooling window.
//!
//! An operation that a plan cannot hold leaves the network to Burn, and [`Plan::compile`] names it: products of two values, dense layers
//! over values of more than two sides, choices between values, and reductions other than sums and means. Training is Burn's too.

mod convolution;
pub(crate) mod element;
mod emit;
pub mod gpu;
mod lanes;
mod layers;
mod layout;
mod moves;
mod passes;
mod plan;
mod pool;
mod read;
mod rows;
mod share;
mod step;
mod sweeps;
mod turns;
mod winograd;

pub use lanes::{BLOCK, Level};
pub use plan::{Plan, Tape};

/// How the processor's numbers come about, as results and stores say it. Changes whenever a change here may move a verdict, so that
/// what was found by other means is not mixed in.
pub const ROUTE: &str = "native, plan 2";

/// The same of a GPU whose driver is given shaders in `language`.
pub fn gpu_route(language: &str) -> String {
    format!("{language}, plan 1")
}
