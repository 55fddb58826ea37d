//! Certified training by interval bound propagation (Gowal et al. 2018, "On the effectiveness of interval bound propagation for training
//! verifiably robust models", section 3): kappa times the cross-entropy of the logits and 1 - kappa times that of the worst logits that
//! interval arithmetic allows in the linf ball.
//!
//! The last dense layer is taken into the differences of logits (their "elision"). As in the paper, training begins on clean examples,
//! then epsilon rises from 0 and kappa falls from 1, both linearly. Robust accuracy in its lines is the share that is certified, at the
//! epsilon of the step and in single precision.

use burn::tensor::Tensor;

use super::method::{Learner, Lesson, Loss, Method};
use super::{EPSILON, Threatened, TrainerRow, no_mixup, number};
use crate::Result;
use crate::defence::training::recipe::options;
use crate::engine::oracle::read_matrix;
use crate::graph::interval;
use crate::options::{Accepts, Entry, OptionSpec};
use crate::threat::Norm;

pub(super) const ROW: TrainerRow = TrainerRow {
    entry: Entry {
        name: "ibp",
        summary: "cross-entropy of the logits and of their worst interval bounds under linf (Gowal et al. 2018)",
        options: options![
            OptionSpec { help: "radius of the linf ball that is bounded, once it is reached", ..EPSILON },
            OptionSpec {
                name: "kappa",
                accepts: Accepts::Number(0.0, 1.0),
                default: Some("0.5"),
                help: "weight of the clean loss beside the bounds', once it is reached",
            },
            OptionSpec {
                name: "ramp_from",
                accepts: Accepts::Number(0.0, 1.0),
                default: Some("0.05"),
                help: "share of the steps before epsilon rises from 0 and kappa falls from 1",
            },
            OptionSpec {
                name: "ramp_to",
                accepts: Accepts::Number(0.0, 1.0),
                default: Some("0.5"),
                help: "share of the steps after which both are reached",
            },
        ],
    },
    rule: |options| {
        no_mixup(options)?;
        match (options.number("ramp_from"), options.number("ramp_to")) {
            (Some(from), Some(to)) if from > to => Err(format!("`ramp_from` = {from} lies behind `ramp_to` = {to}: exchange them")),
            _ => Ok(()),
        }
    },
    fits: interval::check,
    build: |options, _| {
        Box::new(Ibp {
            epsilon: number(options, "epsilon", 0.1),
            kappa: number(options, "kappa", 0.5),
            ramp: [("ramp_from", 0.05), ("ramp_to", 0.5)].map(|(name, otherwise)| options.number(name).unwrap_or(otherwise)),
        })
    },
};

struct Ibp {
    epsilon: f32,
    kappa: f32,
    ramp: [f64; 2],
}

impl Method for Ibp {
    fn threats(&self) -> Vec<Threatened> {
        vec![Threatened { norm: Norm::Linf, epsilon: self.epsilon }]
    }

    fn crafts(&self) -> bool {
        false
    }

    fn loss(&mut self, learner: &mut Learner, lesson: &Lesson, inputs: &Tensor<2>) -> Result<Loss> {
        let [from, to] = self.ramp;
        let risen = if to > from { ((lesson.done - from) / (to - from)).clamp(0.0, 1.0) } else { f64::from(u8::from(lesson.done >= to)) };
        let (epsilon, kappa) = (self.epsilon * risen as f32, 1.0 - (1.0 - self.kappa) * risen as f32);
        let logits = learner.logits(inputs.clone());
        let right = lesson.right(&logits)?;
        let fitted = lesson.cross_entropy(logits);
        if risen == 0.0 {
            return Ok(Loss { clean: Some(right), robust: Vec::new(), loss: fitted });
        }
        let end = |change: f32| (inputs.clone() + change).clamp(0.0, 1.0);
        let margins = learner.worst_margins([end(-epsilon), end(epsilon)], lesson.batch.classes.clone());
        let robust = certified(&margins, &lesson.batch.labels)?;
        let loss = fitted * kappa + lesson.cross_entropy(margins) * (1.0 - kappa);
        Ok(Loss { clean: Some(right), robust, loss })
    }
}

/// Which rows have no other class whose logit may reach the label's.
fn certified(margins: &Tensor<2>, labels: &[u32]) -> Result<Vec<bool>> {
    let classes = margins.dims()[1];
    let margins = read_matrix(margins.clone().inner())?;
    let holds = |(row, &label): (&[f32], &u32)| row.iter().enumerate().all(|(class, margin)| class == label as usize || *margin < 0.0);
    Ok(margins.chunks(classes).zip(labels).map(holds).collect())
}
