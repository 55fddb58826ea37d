//! Training on clean examples.

use burn::tensor::Tensor;

use super::TrainerRow;
use super::method::{Learner, Lesson, Loss, Method};
use crate::Result;
use crate::defence::training::recipe::options;
use crate::options::Entry;

pub(super) const ROW: TrainerRow = TrainerRow {
    entry: Entry { name: "standard", summary: "cross-entropy on clean examples", options: options![] },
    rule: |_| Ok(()),
    fits: |_| Ok(()),
    build: |_, _| Box::new(Standard),
};

struct Standard;

impl Method for Standard {
    fn loss(&mut self, learner: &mut Learner, lesson: &Lesson, inputs: &Tensor<2>) -> Result<Loss> {
        let logits = learner.logits(inputs.clone());
        let clean = if lesson.batch.unmixed.is_some() { None } else { Some(lesson.right(&logits)?) };
        Ok(Loss { clean, robust: Vec::new(), loss: lesson.cross_entropy(logits) })
    }
}
