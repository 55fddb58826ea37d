//! Training on clean examples.

use super::{BATCH, EPOCHS, LEARNING_RATE, MOMENTUM, OPTIMIZER, SCHEDULE, TrainerRow, WEIGHT_DECAY};
use crate::options::Entry;

pub(super) const ROW: TrainerRow = TrainerRow {
    entry: Entry {
        name: "standard",
        summary: "cross-entropy on clean examples",
        options: &[EPOCHS, BATCH, OPTIMIZER, LEARNING_RATE, SCHEDULE, MOMENTUM, WEIGHT_DECAY],
    },
    check: |_| Ok(()),
    inner: |_, _, _| None,
};
