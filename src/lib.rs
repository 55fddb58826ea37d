//! gauntlet: a benchmark engine for adversarial robustness on any GPU.
//!
//! A suite, one TOML file, names data, threats, defences and attacks. The modules in the order of the flow:
//!
//! - [`options`] and [`nearest`]: named options with ranges and defaults, and what was probably meant by an unknown name.
//! - [`suite`]: reads the suite, resolves it into a plan, and runs the plan over the devices.
//! - [`device`]: which devices there are, how they are chosen and opened, and how much fits on one.
//! - [`data`]: examples, from files or made.
//! - [`graph`], [`onnx`] and [`model`]: networks as graphs, the reader of ONNX files, the zoo and its checkpoints.
//! - [`frozen`]: a network whose weights no longer change, compiled for the processor: logits and gradients of the inputs.
//! - [`defence`]: how models are trained, and what stands around them.
//! - [`threat`]: norms and radii.
//! - [`kernel`]: the hand-written WGSL compute shaders, each with a twin in Rust that the CPU device runs.
//! - [`attack`]: state machines over rows.
//! - [`engine`]: rows in slots, the oracle, the judge, the sweep over epsilons.
//! - [`certify`]: radii within which no attack can succeed.
//! - [`store`]: what was found, committed chunk by chunk.
//! - [`evaluate`] and [`report`]: numbers, plots, tables, exports.
//! - [`cli`]: the commands.
//!
//! Data moves one way. An attack never grades itself: the judge projects, clips and decides again what it hands in. A row that met a NaN
//! is failed, and never robust.

pub mod attack;
pub mod certify;
pub mod cli;
pub mod data;
pub mod defence;
pub mod device;
pub mod engine;
pub mod error;
pub mod evaluate;
pub mod frozen;
pub mod graph;
pub mod kernel;
pub mod model;
pub mod nearest;
pub mod onnx;
pub mod options;
pub mod report;
pub mod store;
pub mod suite;
pub mod threat;

pub use error::{Error, Result};
