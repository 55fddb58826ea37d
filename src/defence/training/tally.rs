//! Sums over an epoch, and whether it came to nothing.

use super::method::Loss;
use crate::Result;
use crate::engine::oracle::read_matrix;
use crate::evaluate::record::Epoch;

/// Sums over an epoch.
#[derive(Default)]
pub(super) struct Tally {
    steps: usize,
    loss: f64,
    clean: Share,
    robust: Share,
}

#[derive(Clone, Copy, Default)]
struct Share {
    right: usize,
    of: usize,
}

impl Share {
    fn add(&mut self, right: &[bool]) {
        self.of += right.len();
        self.right += right.iter().filter(|&&right| right).count();
    }

    fn value(self) -> f64 {
        self.right as f64 / self.of.max(1) as f64
    }
}

impl Tally {
    /// Takes a step's loss in, and which clean examples were decided rightly before it.
    pub(super) fn add(&mut self, loss: &Loss, clean: &[bool]) -> Result<()> {
        self.loss += f64::from(read_matrix(loss.loss.clone().inner().reshape([1, 1]))?[0]);
        self.steps += 1;
        self.clean.add(clean);
        self.robust.add(&loss.robust);
        Ok(())
    }

    pub(super) fn epoch(&self, epoch: usize) -> Epoch {
        Epoch {
            epoch,
            loss: self.loss / self.steps.max(1) as f64,
            clean_accuracy: self.clean.value(),
            robust_accuracy: (self.robust.of > 0).then(|| self.robust.value()),
            ..Epoch::default()
        }
    }
}

/// What always naming the commonest class gets right, and three standard deviations of a mean over `measured` examples above it: an
/// accuracy up to there is chance.
pub(super) fn chance(labels: &[u32], classes: usize, measured: usize) -> f64 {
    let mut counts = vec![0usize; classes];
    for &label in labels {
        counts[label as usize] += 1;
    }
    let share = counts.into_iter().max().unwrap_or(0) as f64 / labels.len().max(1) as f64;
    share + 3.0 * (share * (1.0 - share) / measured.max(1) as f64).sqrt()
}

/// How far above chance an accuracy must have been before its fall to chance is a collapse.
pub(super) const LEARNT: f64 = 0.1;
