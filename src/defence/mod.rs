//! Defences: models with whatever stands in front of or behind them.
//!
//! [`TRAINERS`] and [`WRAPPERS`] are the tables: a training method or a wrapper is one file and one row. The training loop is shared; a
//! method says what the network learns from and which loss it descends.

mod prepare;
mod trainer;
mod training;
mod wrapper;

use crate::graph::Graph;
use crate::options::{Entry, Options};
use crate::threat::epsilon::past_linf;

pub use prepare::{Prepared, Workshop, drawn, prepare, ready};
pub(crate) use prepare::{cached_at, trainer};
pub use trainer::TRAINERS;
pub use training::awp::perturbation;
pub use training::{Inner, Progress, Trainee, craft, loss, train, train_kept};
pub use wrapper::{Backward, Thresholds, WRAPPERS, Wrapper, WrapperRow, calibrate, naive, stack};

/// A row of [`TRAINERS`].
pub struct TrainerRow {
    /// Name, summary and options, the shared ones among them.
    pub entry: Entry,
    /// Rules between the method's own options.
    rule: fn(&Options) -> Result<(), String>,
    /// Whether the method works on a network.
    fits: fn(&Graph) -> crate::Result<()>,
    /// The method with its options.
    build: fn(&Options, &Ground) -> Box<dyn training::method::Method>,
}

impl TrainerRow {
    /// Checks rules between options; the message says which and the way out.
    ///
    /// # Errors
    /// Options that disagree.
    pub fn check(&self, options: &Options) -> Result<(), String> {
        training::recipe::check(options).and_then(|()| (self.rule)(options))?;
        // Under l2 and l1 more than 1 is far, and may be meant.
        let is_linf = options.text("norm").is_none_or(|norm| norm == "linf");
        let past = |name| options.number(name).and_then(|value| past_linf(name, value));
        match ["epsilon", "step"].into_iter().find_map(past) {
            Some([message, way]) if is_linf => Err(format!("{message}: {way}")),
            _ => Ok(()),
        }
    }

    /// Whether the method works on a network.
    ///
    /// # Errors
    /// The parts of the network that it has no rule for.
    pub fn fits(&self, graph: &Graph) -> crate::Result<()> {
        (self.fits)(graph)
    }
}

/// What a method is told of the images.
struct Ground {
    /// Channels, height and width.
    shape: [usize; 3],
    /// How many classes there are.
    classes: usize,
}
