//! The devices that a run may use: which there are, which are meant by `--device`, how much fits on one, and how one is opened.
//!
//! `gpu:N` counts the cards of one graphics API, each card once, hardware before software rasterisers; [`list`] is that order and
//! [`open`] takes its index. A card is opened through a [`WgpuSetup`] of its own, because Burn's device kinds cannot tell two
//! software rasterisers apart, and once a process, so that the engine's kernels and Burn share buffers and queue.

mod adapter;
#[cfg(feature = "persistence")]
pub mod cache;
mod choice;
mod memory;
mod open;
mod processor;

pub use adapter::{Adapter, Kind, distinct, list, table};
pub use burn_wgpu::WgpuSetup;
pub use choice::{Choice, Named, Selection, choose, parse};
pub use memory::{DEFAULT_BUDGET, budget, format_size, parse_size, probe, settle_slots, slots};
pub(crate) use open::is_of_device;
pub use open::{Handle, LARGEST_BUFFER, another, is_exhausted, is_lost, open, reopen};
