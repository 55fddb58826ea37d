//! Free adversarial training (Shafahi et al. 2019, "Adversarial training for free!", algorithm 1): each batch is replayed m times, and one
//! backward pass gives both the step of the weights and, through the inputs, the next step of the perturbation.
//!
//! The perturbation is the batch's, not an example's: the next batch starts from it. `epochs` are divided by m, so that a training costs
//! what as many epochs on clean examples do.

use burn::tensor::{Gradients, Tensor};

use super::method::{Learner, Lesson, Loss, Method};
use super::{EPSILON, Kept, Threatened, TrainerRow, number};
use crate::Result;
use crate::attack::step::STEP_RELATIVE;
use crate::defence::training::recipe::options;
use crate::model::Classifier;
use crate::options::{Accepts, Entry, OptionSpec};
use crate::threat::Norm;

pub(super) const ROW: TrainerRow = TrainerRow {
    entry: Entry {
        name: "free",
        summary: "one backward pass for weights and perturbation, each batch replayed (Shafahi et al. 2019), under linf",
        options: options![
            EPSILON,
            OptionSpec {
                name: "replays",
                accepts: Accepts::Integer(1, 1000),
                default: Some("4"),
                help: "steps on each batch; `epochs` are divided by it",
            },
            OptionSpec { default: Some("1.0"), help: "step of the perturbation as a multiple of epsilon", ..STEP_RELATIVE },
        ],
    },
    rule: |_| Ok(()),
    fits: |_| Ok(()),
    build: |options, _| {
        Box::new(Free {
            epsilon: number(options, "epsilon", 0.1),
            step: number(options, "step_relative", 1.0),
            replays: options.integer("replays").and_then(|replays| usize::try_from(replays).ok()).unwrap_or(4),
            change: None,
            tracked: None,
        })
    },
};

struct Free {
    epsilon: f32,
    /// Over epsilon.
    step: f32,
    replays: usize,
    /// The perturbation [rows, features] so far.
    change: Option<Tensor<2>>,
    /// The same in the step under way, with its gradient to come.
    tracked: Option<Tensor<2>>,
}

impl Method for Free {
    fn replays(&self) -> usize {
        self.replays
    }

    fn threats(&self) -> Vec<Threatened> {
        vec![Threatened { norm: Norm::Linf, epsilon: self.epsilon }]
    }

    fn crafts(&self) -> bool {
        false
    }

    fn loss(&mut self, learner: &mut Learner, lesson: &Lesson, inputs: &Tensor<2>) -> Result<Loss> {
        let change = self.change.get_or_insert_with(|| inputs.zeros_like());
        let tracked = change.clone().autodiff().require_grad();
        let logits = learner.logits_of((inputs.clone().autodiff() + tracked.clone()).clamp(0.0, 1.0));
        self.tracked = Some(tracked);
        Ok(Loss { clean: None, robust: lesson.right(&logits)?, loss: lesson.cross_entropy(logits) })
    }

    fn after_gradients(&mut self, gradients: &mut Gradients) {
        if let Some(gradient) = self.tracked.take().and_then(|tracked| tracked.grad_remove(gradients)) {
            let step = gradient.sign() * (self.step * self.epsilon);
            self.change = self.change.take().map(|change| (change + step).clamp(-self.epsilon, self.epsilon));
        }
    }

    fn save(&self, kept: &mut Kept) -> Result<()> {
        let Some(change) = &self.change else { return Ok(()) };
        let [rows, features] = change.dims();
        kept.put("free.rows", &rows);
        kept.put_tensors("free", &[change.clone().reshape([rows * features])])
    }

    fn restore(&mut self, kept: &Kept, blank: &Classifier) -> Result<()> {
        if let Some(flat) = kept.tensors("free").pop() {
            let rows: usize = kept.get("free.rows")?;
            self.change = Some(flat.reshape([rows, blank.features()]));
        }
        Ok(())
    }
}
