//! Adversarial training on one gradient step (Goodfellow et al. 2015, section 6): alpha J(x, y) + (1 - alpha) J(x + epsilon sign(gradient), y).

use burn::tensor::Tensor;

use super::method::{Learner, Lesson, Loss, Method};
use super::{EPSILON, Inner, NORM, SHARE, Threatened, TrainerRow, inner, threat};
use crate::Result;
use crate::defence::training::recipe::options;
use crate::options::{Accepts, Entry, OptionSpec};

pub(super) const ROW: TrainerRow = TrainerRow {
    entry: Entry {
        name: "fgsm",
        summary: "cross-entropy on clean examples and on FGSM's, mixed (Goodfellow et al. 2015)",
        options: options![
            NORM,
            EPSILON,
            OptionSpec {
                name: "alpha",
                accepts: Accepts::Number(0.0, 1.0),
                default: Some("0.5"),
                help: "weight of the whole clean batch's loss beside that of the batch with adversarial examples, as CleverHans has it; 0: none",
            },
            OptionSpec {
                help: "share of adversarial examples in the batch that is beside the clean one, as ART's `ratio` with alpha = 0",
                ..SHARE
            },
        ],
    },
    rule: |_| Ok(()),
    fits: |_| Ok(()),
    build: |options, ground| {
        let threat = threat(options);
        Box::new(Fgsm {
            inner: inner("fgsm", Vec::new(), threat, ground.shape, ground.classes),
            threat,
            alpha: options.number("alpha").unwrap_or(0.5) as f32,
            share: options.number("share").unwrap_or(1.0),
            adversarial: 0,
        })
    },
};

struct Fgsm {
    inner: Inner,
    threat: Threatened,
    alpha: f32,
    share: f64,
    /// Rows of the step's batch, from the first, that are adversarial.
    adversarial: usize,
}

impl Method for Fgsm {
    fn threats(&self) -> Vec<Threatened> {
        vec![self.threat]
    }

    fn inputs(&mut self, lesson: &Lesson) -> Result<Tensor<2>> {
        let (inputs, adversarial) = lesson.partly(&self.inner, self.share);
        self.adversarial = adversarial;
        Ok(inputs)
    }

    fn loss(&mut self, learner: &mut Learner, lesson: &Lesson, inputs: &Tensor<2>) -> Result<Loss> {
        let logits = learner.logits(inputs.clone());
        let mut robust = lesson.right(&logits)?;
        robust.truncate(self.adversarial);
        let mut loss = lesson.cross_entropy(logits);
        if self.alpha > 0.0 {
            let clean = lesson.cross_entropy(learner.logits(lesson.batch.inputs.clone()));
            loss = clean * self.alpha + loss * (1.0 - self.alpha);
        }
        Ok(Loss { clean: None, robust, loss })
    }
}
