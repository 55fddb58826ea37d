//! Fast adversarial training (Wong, Rice and Kolter 2020, "Fast is better than free: revisiting adversarial training", algorithm 3): one
//! step of 1.25 epsilon from a uniform point of the ball.
//!
//! Such a network may overfit the one step: PGD's accuracy falls to nothing while that of the step rises. So, as in the authors' code,
//! PGD-5 is run on one training batch at each epoch's end; where its accuracy collapses, training stops and the best epoch's weights are
//! kept. Their rule is a fall by 20 points from the epoch before. Small batches scatter as much, and a slow fall is none by it; here the
//! accuracy has collapsed where it has lost the share `drop` of its best value so far, and 10 points at least.

use burn::tensor::Tensor;

use super::method::{Learner, Lesson, Loss, Method, Review};
use super::{EPSILON, Inner, Threatened, TrainerRow, inner, number};
use crate::Result;
use crate::attack::step::{STEP, STEP_RELATIVE, one_step};
use crate::defence::training::recipe::options;
use crate::defence::training::trial::withstands;
use crate::evaluate::record::{Epoch, Event};
use crate::options::{Accepts, Entry, OptionSpec, Value};
use crate::threat::Norm;

/// Steps of the attack that looks for overfitting.
const CHECK_STEPS: i64 = 5;

/// A smaller fall is the scatter of a batch.
const LEAST: f64 = 0.1;

pub(super) const ROW: TrainerRow = TrainerRow {
    entry: Entry {
        name: "fast",
        summary: "cross-entropy on one large step from a random start under linf (Wong et al. 2020), with a check for its collapse",
        options: options![
            EPSILON,
            STEP,
            OptionSpec { help: "step size as a multiple of epsilon; default 1.25", ..STEP_RELATIVE },
            OptionSpec {
                name: "random_start",
                accepts: Accepts::Flag,
                default: Some("true"),
                help: "start at a uniform point of the ball; without it the method is FGSM's",
            },
            OptionSpec {
                name: "check",
                accepts: Accepts::Flag,
                default: Some("true"),
                help: "stop where PGD's accuracy on a training batch collapses, and keep the best epoch's weights",
            },
            OptionSpec {
                name: "drop",
                accepts: Accepts::Number(0.0, 1.0),
                default: Some("0.5"),
                help: "share of its best value so far that this accuracy has lost when it has collapsed",
            },
        ],
    },
    rule: one_step,
    fits: |_| Ok(()),
    build: |options, ground| {
        let threat = Threatened { norm: Norm::Linf, epsilon: number(options, "epsilon", 0.1) };
        let step = match options.number("step") {
            Some(step) => ("step", step),
            None => ("step_relative", options.number("step_relative").unwrap_or(1.25)),
        };
        let given = vec![
            ("steps", Value::Integer(1)),
            (step.0, Value::Number(step.1)),
            ("random_start", Value::Flag(options.flag("random_start").unwrap_or(true))),
            ("stop", Value::Text("last".into())),
        ];
        let check = options.flag("check").unwrap_or(true).then(|| threat.attack(CHECK_STEPS, ground.shape, ground.classes));
        Box::new(Fast {
            inner: inner("pgd", given, threat, ground.shape, ground.classes),
            threat,
            check,
            drop: options.number("drop").unwrap_or(0.5),
        })
    },
};

struct Fast {
    inner: Inner,
    threat: Threatened,
    /// PGD, where it is to look for overfitting.
    check: Option<Inner>,
    drop: f64,
}

impl Method for Fast {
    fn threats(&self) -> Vec<Threatened> {
        vec![self.threat]
    }

    fn inputs(&mut self, lesson: &Lesson) -> Result<Tensor<2>> {
        Ok(lesson.craft(&self.inner, lesson.key))
    }

    fn loss(&mut self, learner: &mut Learner, lesson: &Lesson, inputs: &Tensor<2>) -> Result<Loss> {
        let logits = learner.logits(inputs.clone());
        Ok(Loss { clean: None, robust: lesson.right(&logits)?, loss: lesson.cross_entropy(logits) })
    }

    fn after_epoch(&mut self, review: &Review, epoch: &mut Epoch) -> Result<Option<Event>> {
        let Some(attack) = &self.check else { return Ok(None) };
        let stands = withstands(review.oracle, review.batch, std::slice::from_ref(attack), review.key, review.epoch)?;
        let now = stands.iter().filter(|&&stands| stands).count() as f64 / stands.len() as f64;
        epoch.checked_accuracy = Some(now);
        let best = review.history.iter().filter_map(|epoch| epoch.checked_accuracy).fold(0.0, f64::max);
        let lost = best - now;
        Ok((lost > LEAST && lost > self.drop * best).then_some(Event::CatastrophicOverfitting))
    }
}
