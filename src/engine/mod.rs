//! The engine: rows in slots, run through a defence until they break or run out.
//!
//! Rivals run a batch through a fixed number of steps, once for each epsilon. Here the device's batch is a number of slots; a row that
//! breaks or runs out leaves at once, and the next row takes its slot; where none is left, slots go too. [`chain`] decides which epsilon
//! an example meets next, [`slots`] is what lives on the device, [`oracle`] is the only door to the defence ([`base`] in its middle,
//! [`pass`] through its layers and back, [`pool`] where votes are counted), [`aim`] tells an attack what counts as success, [`decide`] is
//! the defence's decision and [`judge`] what counts of it, [`draw`] is what a random defence throws its dice with, [`examples`] are the
//! inputs as a device reaches them, [`drive`] is what a run needs, `seats` the loop around them, and [`precision`] says what half
//! precision may decide.

pub mod aim;
pub mod base;
pub mod chain;
pub mod clean;
pub mod decide;
pub mod draw;
pub mod drive;
pub mod examples;
pub mod judge;
pub mod oracle;
pub mod pass;
pub mod pool;
pub mod precision;
mod seats;
pub mod slots;
