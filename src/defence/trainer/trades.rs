//! TRADES (Zhang et al. 2019, "Theoretically principled trade-off between robustness and accuracy", equation 5): cross-entropy on clean
//! examples, and beta times the divergence of the network's answers from there to the points of the ball where it is largest.
//!
//! As in the authors' code: the inner attack starts 0.001 standard deviations of noise from the example and ascends KL(f(x) || f(x'))
//! with f(x) held; the outer gradient flows to both. Their l2 attack runs an optimiser; here PGD's normalised steps serve both norms.

use burn::tensor::{Tensor, activation};

use super::method::{Learner, Lesson, Loss, Method};
use super::{Aim, BETA, EPSILON, Inner, NORM, STEPS, Threatened, TrainerRow, pgd_inner, threat};
use crate::Result;
use crate::attack::step::{STEP, STEP_RELATIVE, one_step};
use crate::defence::loss::divergence;
use crate::defence::training::awp::{AWP, AWP_WARMUP, Awp};
use crate::defence::training::recipe::options;
use crate::engine::draw::Draw;
use crate::options::{Entry, OptionSpec};

/// Standard deviation of the noise that the inner attack starts from.
pub(super) const START: f32 = 0.001;

/// Sets the start's draws apart.
pub(super) const STREAM: u32 = 0x7472_6164;

pub(super) const ROW: TrainerRow = TrainerRow {
    entry: Entry {
        name: "trades",
        summary: "clean cross-entropy and beta times the worst divergence in the ball (Zhang et al. 2019)",
        options: options![
            NORM,
            EPSILON,
            OptionSpec { default: Some("10"), ..STEPS },
            STEP,
            OptionSpec { help: "step size as a multiple of epsilon; default 2.5 / steps", ..STEP_RELATIVE },
            OptionSpec { help: "weight of the divergence beside the clean loss (the paper's 1 / lambda)", ..BETA },
            AWP,
            AWP_WARMUP,
        ],
    },
    rule: one_step,
    fits: |_| Ok(()),
    build: |options, ground| {
        let threat = threat(options);
        Box::new(Trades {
            inner: pgd_inner(options, threat, false, ground),
            threat,
            beta: options.number("beta").unwrap_or(6.0) as f32,
            awp: Awp::new(options),
        })
    },
};

struct Trades {
    inner: Inner,
    threat: Threatened,
    beta: f32,
    awp: Option<Awp>,
}

impl Method for Trades {
    fn awp(&self) -> Option<Awp> {
        self.awp
    }

    fn threats(&self) -> Vec<Threatened> {
        vec![self.threat]
    }

    fn inputs(&mut self, lesson: &Lesson) -> Result<Tensor<2>> {
        let clean = lesson.batch.inputs.clone();
        let answers = lesson.oracle.logits(clean.clone(), &Draw::none(lesson.rows()));
        let aim = Aim { from: Some(clean + lesson.noise(STREAM) * START), away_from: Some(activation::softmax(answers, 1)) };
        Ok(lesson.craft_first(&self.inner, lesson.key, lesson.rows(), aim))
    }

    fn loss(&mut self, learner: &mut Learner, lesson: &Lesson, inputs: &Tensor<2>) -> Result<Loss> {
        let clean = learner.logits(lesson.batch.inputs.clone());
        let adversarial = learner.logits(inputs.clone());
        let (right, robust) = (lesson.right(&clean)?, lesson.right(&adversarial)?);
        let loss = lesson.cross_entropy(clean.clone()) + divergence(clean, adversarial) * self.beta;
        Ok(Loss { clean: lesson.batch.unmixed.is_none().then_some(right), robust, loss })
    }
}
