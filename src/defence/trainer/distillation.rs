//! Defensive distillation (Papernot et al. 2016, "Distillation as a defense to adversarial perturbations against deep neural networks",
//! section III): a teacher learns the labels at temperature T, a student of the same architecture learns the teacher's probabilities at
//! T, and is deployed at temperature 1, where its logits are T times as far apart.
//!
//! Both take `epochs`, from the same first weights; the lines of the second half are the student's.

use burn::tensor::{Tensor, activation};

use super::method::{Learner, Lesson, Loss, Method};
use super::{Kept, TrainerRow, number};
use crate::Result;
use crate::defence::loss::soft_cross_entropy;
use crate::defence::training::recipe::options;
use crate::model::{self, Classifier};
use crate::options::{Accepts, Entry, OptionSpec};

pub(super) const ROW: TrainerRow = TrainerRow {
    entry: Entry {
        name: "distillation",
        summary: "a student of a teacher's probabilities at a temperature, deployed at 1 (Papernot et al. 2016)",
        options: options![OptionSpec {
            name: "temperature",
            accepts: Accepts::Number(0.01, 1e4),
            default: Some("20.0"),
            help: "what logits are divided by in both trainings",
        }],
    },
    rule: |_| Ok(()),
    fits: |_| Ok(()),
    build: |options, _| Box::new(Distillation { temperature: number(options, "temperature", 20.0), teacher: None }),
};

struct Distillation {
    temperature: f32,
    /// Once it is trained.
    teacher: Option<Classifier>,
}

impl Method for Distillation {
    fn phases(&self) -> usize {
        2
    }

    fn begin(&mut self, _phase: usize, trained: Classifier) {
        self.teacher = Some(trained);
    }

    fn loss(&mut self, learner: &mut Learner, lesson: &Lesson, inputs: &Tensor<2>) -> Result<Loss> {
        let cooled = 1.0 / self.temperature;
        let logits = learner.logits(inputs.clone());
        let clean = if lesson.batch.unmixed.is_some() { None } else { Some(lesson.right(&logits)?) };
        let loss = match &self.teacher {
            None => lesson.cross_entropy(logits * cooled),
            Some(teacher) => soft_cross_entropy(logits * cooled, activation::softmax(teacher.logits(inputs.clone()) * cooled, 1)),
        };
        Ok(Loss { clean, robust: Vec::new(), loss })
    }

    fn save(&self, kept: &mut Kept) -> Result<()> {
        if let Some(teacher) = &self.teacher {
            kept.put_weights("teacher", &teacher.network.weights());
        }
        Ok(())
    }

    fn restore(&mut self, kept: &Kept, blank: &Classifier) -> Result<()> {
        let weights = kept.weights("teacher");
        if !weights.0.is_empty() {
            let network = model::load(blank.network.clone(), &weights, "the interrupted training's teacher", kept.device())?;
            self.teacher = Some(Classifier { network, ..blank.clone() });
        }
        Ok(())
    }
}
