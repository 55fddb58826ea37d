//! What a training takes.

use serde::Serialize;

/// A training and its measured speed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Course {
    /// Steps in all.
    pub steps: usize,
    /// Seconds of one of them.
    pub step: f64,
    /// Epochs in all, the phases' together.
    pub epochs: usize,
    /// Seconds at the end of each: validation, and what else the method looks at.
    pub end: f64,
    /// The first epoch after which it may stop.
    pub earliest: usize,
}

impl Course {
    /// Seconds of the whole.
    pub fn seconds(&self) -> f64 {
        self.steps as f64 * self.step + self.epochs as f64 * self.end
    }

    /// Seconds where it stops as early as it may.
    pub fn least(&self) -> f64 {
        self.seconds() * self.earliest.min(self.epochs) as f64 / self.epochs.max(1) as f64
    }
}
