//! Adversarial training (Madry et al. 2018, equation 2.1): every step descends the loss at the points where PGD has ascended it.

use burn::tensor::Tensor;

use super::method::{Learner, Lesson, Loss, Method};
use super::{EPSILON, Inner, NORM, SHARE, STEPS, Threatened, TrainerRow, pgd_inner, threat};
use crate::Result;
use crate::attack::step::{STEP, STEP_RELATIVE, one_step};
use crate::defence::training::awp::{AWP, AWP_WARMUP, Awp};
use crate::defence::training::recipe::options;
use crate::options::{Accepts, Entry, OptionSpec};

pub(super) const ROW: TrainerRow = TrainerRow {
    entry: Entry {
        name: "pgd",
        summary: "cross-entropy on examples that PGD makes at every step (Madry et al. 2018)",
        options: options![
            NORM,
            EPSILON,
            STEPS,
            STEP,
            OptionSpec { help: "step size as a multiple of epsilon; default 2.5 / steps", ..STEP_RELATIVE },
            OptionSpec { name: "random_start", accepts: Accepts::Flag, default: Some("true"), help: "start at a random point of the ball" },
            SHARE,
            AWP,
            AWP_WARMUP,
        ],
    },
    rule: one_step,
    fits: |_| Ok(()),
    build: |options, ground| {
        let threat = threat(options);
        Box::new(Pgd {
            inner: pgd_inner(options, threat, options.flag("random_start").unwrap_or(true), ground),
            threat,
            share: options.number("share").unwrap_or(1.0),
            awp: Awp::new(options),
            adversarial: 0,
        })
    },
};

struct Pgd {
    inner: Inner,
    threat: Threatened,
    share: f64,
    awp: Option<Awp>,
    /// Rows of the step's batch, from the first, that are adversarial.
    adversarial: usize,
}

impl Method for Pgd {
    fn awp(&self) -> Option<Awp> {
        self.awp
    }

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
        Ok(Loss { clean: None, robust, loss: lesson.cross_entropy(logits) })
    }
}
