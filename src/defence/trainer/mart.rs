//! Misclassification-aware adversarial training (Wang et al. 2020, "Improving adversarial robustness requires revisiting misclassified
//! examples", equation 9): boosted cross-entropy on PGD's examples, and beta times the divergence of their answers from the clean ones,
//! weighted by how wrong the network is about the clean example.
//!
//! As in the authors' code, the inner attack is PGD on cross-entropy that starts 0.001 standard deviations of noise from the example.

use burn::tensor::Tensor;

use super::method::{Learner, Lesson, Loss, Method};
use super::trades::{START, STREAM};
use super::{Aim, BETA, EPSILON, Inner, NORM, STEPS, Threatened, TrainerRow, no_mixup, pgd_inner, threat};
use crate::Result;
use crate::attack::step::{STEP, STEP_RELATIVE, one_step};
use crate::defence::loss::{boosted, misclassification_aware};
use crate::defence::training::recipe::options;
use crate::options::{Entry, OptionSpec};

pub(super) const ROW: TrainerRow = TrainerRow {
    entry: Entry {
        name: "mart",
        summary: "boosted cross-entropy and a divergence weighted by clean mistakes (Wang et al. 2020)",
        options: options![
            NORM,
            EPSILON,
            OptionSpec { default: Some("10"), ..STEPS },
            STEP,
            OptionSpec { help: "step size as a multiple of epsilon; default 2.5 / steps", ..STEP_RELATIVE },
            OptionSpec { help: "weight of the divergence (the paper's lambda)", ..BETA },
        ],
    },
    rule: |options| one_step(options).and_then(|()| no_mixup(options)),
    fits: |_| Ok(()),
    build: |options, ground| {
        let threat = threat(options);
        Box::new(Mart { inner: pgd_inner(options, threat, false, ground), threat, beta: options.number("beta").unwrap_or(6.0) as f32 })
    },
};

struct Mart {
    inner: Inner,
    threat: Threatened,
    beta: f32,
}

impl Method for Mart {
    fn threats(&self) -> Vec<Threatened> {
        vec![self.threat]
    }

    fn inputs(&mut self, lesson: &Lesson) -> Result<Tensor<2>> {
        let aim = Aim { from: Some(lesson.batch.inputs.clone() + lesson.noise(STREAM) * START), away_from: None };
        Ok(lesson.craft_first(&self.inner, lesson.key, lesson.rows(), aim))
    }

    fn loss(&mut self, learner: &mut Learner, lesson: &Lesson, inputs: &Tensor<2>) -> Result<Loss> {
        let clean = learner.logits(lesson.batch.inputs.clone());
        let adversarial = learner.logits(inputs.clone());
        let (right, robust) = (lesson.right(&clean)?, lesson.right(&adversarial)?);
        let labels = lesson.batch.classes.clone();
        let fitted = lesson.cross_entropy(adversarial.clone());
        let boosted = boosted(adversarial.clone(), labels.clone(), fitted);
        let loss = boosted + misclassification_aware(clean, adversarial, labels) * self.beta;
        Ok(Loss { clean: Some(right), robust, loss })
    }
}
