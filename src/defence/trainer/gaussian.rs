//! Training on noisy examples, as the base of randomised smoothing (Cohen et al. 2019, "Certified adversarial robustness via randomized
//! smoothing", section 3.3). The noise is not clipped, as it is not when the smoothed classifier votes.

use burn::tensor::Tensor;

use super::method::{Learner, Lesson, Loss, Method};
use super::{TrainerRow, number};
use crate::Result;
use crate::defence::training::recipe::options;
use crate::options::{Accepts, Entry, OptionSpec};

/// Sets the noise apart from other draws.
const STREAM: u32 = 0x6761_7573;

pub(super) const ROW: TrainerRow = TrainerRow {
    entry: Entry {
        name: "gaussian",
        summary: "cross-entropy on examples with Gaussian noise, for smoothing (Cohen et al. 2019)",
        options: options![OptionSpec {
            name: "sigma",
            accepts: Accepts::Number(0.0, 100.0),
            default: Some("0.25"),
            help: "standard deviation of the noise, input units",
        }],
    },
    rule: |_| Ok(()),
    fits: |_| Ok(()),
    build: |options, _| Box::new(Gaussian { sigma: number(options, "sigma", 0.25) }),
};

struct Gaussian {
    sigma: f32,
}

impl Method for Gaussian {
    fn noise(&self) -> Option<f32> {
        Some(self.sigma)
    }

    fn inputs(&mut self, lesson: &Lesson) -> Result<Tensor<2>> {
        Ok(lesson.batch.inputs.clone() + lesson.noise(STREAM) * self.sigma)
    }

    fn loss(&mut self, learner: &mut Learner, lesson: &Lesson, inputs: &Tensor<2>) -> Result<Loss> {
        let logits = learner.logits(inputs.clone());
        Ok(Loss { clean: None, robust: lesson.right(&logits)?, loss: lesson.cross_entropy(logits) })
    }
}
