//! What an interrupted training goes on from.

use burn::module::Module;

use super::{Course, Kept};
use crate::Result;

impl Course<'_> {
    /// All that the next epoch needs.
    pub(super) fn save(&self) -> Result<Kept> {
        let mut kept = Kept::new(&self.device);
        kept.put("history", &self.history);
        kept.put_weights("network", &self.network.weights());
        self.optimiser.save(&mut kept)?;
        self.average.save(&mut kept)?;
        for (name, found) in [("best", &self.best), ("good", &self.good)] {
            if let Some((epoch, score, weights)) = found {
                kept.put(name, &(epoch, score.to_bits()));
                kept.put_weights(name, weights);
            }
        }
        self.method.save(&mut kept)?;
        Ok(kept)
    }

    /// Goes on where [`Course::save`] was called.
    pub(super) fn restore(&mut self, kept: &Kept) -> Result<()> {
        self.history = kept.get("history")?;
        let blank = &self.trainee.classifier.network;
        let network = crate::model::load(blank.clone(), &kept.weights("network"), "the interrupted training", &self.device)?;
        self.network = network.to_device(&self.device.clone().autodiff()).train();
        self.optimiser.restore(kept, self.network.trained_ranks().len())?;
        self.average.restore(kept)?;
        for (name, place) in [("best", &mut self.best), ("good", &mut self.good)] {
            let weights = kept.weights(name);
            if !weights.0.is_empty() {
                let (epoch, score): (usize, u64) = kept.get(name)?;
                *place = Some((epoch, f64::from_bits(score), weights));
            }
        }
        self.method.restore(kept, &self.trainee.classifier)
    }
}
