//! Adversarial training against several norms at once (Tramer and Boneh 2019, "Adversarial training and robustness for multiple
//! perturbations", section 4): the worst of the attacks' points by example, all of them, or, by batch, one drawn at random (Madaan et al.
//! 2021, "Learning to generate noise for multi-attack robustness").
//!
//! Under l1 the attack is Auto-PGD's sparse step (Croce and Hein 2021), where the paper has an attack of its own.

use burn::tensor::{Tensor, activation};

use super::method::{Learner, Lesson, Loss, Method};
use super::{EPSILON, Inner, STEPS, Threatened, TrainerRow, number};
use crate::Result;
use crate::defence::training::recipe::options;
use crate::engine::draw::Draw;
use crate::kernel::random::philox;
use crate::options::{Accepts, Entry, OptionSpec};
use crate::threat::Norm;

/// Sets the choice's draws apart.
const STREAM: u32 = 0x6e6f_726d;

pub(super) const ROW: TrainerRow = TrainerRow {
    entry: Entry {
        name: "multi-norm",
        summary: "cross-entropy on PGD's examples under linf, l2 and l1 (Tramer and Boneh 2019)",
        options: options![
            OptionSpec {
                name: "strategy",
                accepts: Accepts::Choice(&["max", "average", "random"]),
                default: Some("\"max\""),
                help: "max: the norm with the largest loss, by example; average: all of them; random: one a batch",
            },
            OptionSpec { help: "radius under linf; 0 leaves a norm out", ..EPSILON },
            OptionSpec { name: "epsilon_l2", default: Some("0.5"), help: "radius under l2", ..EPSILON },
            OptionSpec { name: "epsilon_l1", default: Some("2.0"), help: "radius under l1", ..EPSILON },
            STEPS,
        ],
    },
    rule: |options| match ["epsilon", "epsilon_l2", "epsilon_l1"].iter().all(|name| options.number(name) == Some(0.0)) {
        true => Err("`epsilon`, `epsilon_l2` and `epsilon_l1` are all 0: give at least one norm a radius".into()),
        false => Ok(()),
    },
    fits: |_| Ok(()),
    build: |options, ground| {
        let balls = [("epsilon", Norm::Linf, 0.1), ("epsilon_l2", Norm::L2, 0.5), ("epsilon_l1", Norm::L1, 2.0)];
        let threats = balls.map(|(name, norm, otherwise)| Threatened { norm, epsilon: number(options, name, otherwise) });
        let threats: Vec<Threatened> = threats.into_iter().filter(|threat| threat.epsilon > 0.0).collect();
        let steps = options.integer("steps").unwrap_or(7);
        Box::new(MultiNorm {
            attacks: threats.iter().map(|threat| threat.attack(steps, ground.shape, ground.classes)).collect(),
            threats,
            strategy: match options.text("strategy") {
                Some("average") => Strategy::Average,
                Some("random") => Strategy::Random,
                _ => Strategy::Max,
            },
        })
    },
};

#[derive(Clone, Copy, PartialEq)]
enum Strategy {
    Max,
    Average,
    Random,
}

struct MultiNorm {
    attacks: Vec<Inner>,
    threats: Vec<Threatened>,
    strategy: Strategy,
}

impl MultiNorm {
    /// Each attack's points, its draws apart from the others'.
    fn points(&self, lesson: &Lesson, at: usize) -> Tensor<2> {
        lesson.craft(&self.attacks[at], [lesson.key[0], lesson.key[1].wrapping_add(at as u32)])
    }
}

impl Method for MultiNorm {
    fn threats(&self) -> Vec<Threatened> {
        self.threats.clone()
    }

    /// [rows, features], or with the strategy `average` the attacks' points one below the other.
    fn inputs(&mut self, lesson: &Lesson) -> Result<Tensor<2>> {
        match self.strategy {
            Strategy::Average => Ok(Tensor::cat((0..self.attacks.len()).map(|at| self.points(lesson, at)).collect(), 0)),
            Strategy::Random => {
                let word = philox([0, lesson.epoch, 0, lesson.batch.examples[0]], [lesson.key[0] ^ STREAM, lesson.key[1]])[0];
                Ok(self.points(lesson, word as usize % self.attacks.len()))
            }
            Strategy::Max => {
                let scored = (0..self.attacks.len()).map(|at| {
                    let points = self.points(lesson, at);
                    (losses(lesson, points.clone()), points)
                });
                let worst = scored.reduce(|(loss, points), (other, candidates)| {
                    let [rows, features] = points.dims();
                    let higher = other.clone().greater(loss.clone());
                    (loss.mask_where(higher.clone(), other), points.mask_where(higher.expand([rows, features]), candidates))
                });
                Ok(worst.expect("a norm at least").1)
            }
        }
    }

    fn loss(&mut self, learner: &mut Learner, lesson: &Lesson, inputs: &Tensor<2>) -> Result<Loss> {
        let (rows, features) = (lesson.rows(), inputs.dims()[1]);
        let parts = inputs.dims()[0] / rows;
        let mut robust = vec![true; rows];
        let mut losses = Vec::with_capacity(parts);
        for part in 0..parts {
            let logits = learner.logits(inputs.clone().slice([part * rows..(part + 1) * rows, 0..features]));
            for (robust, right) in robust.iter_mut().zip(lesson.right(&logits)?) {
                *robust &= right;
            }
            losses.push(lesson.cross_entropy(logits));
        }
        let sum = losses.into_iter().reduce(|a, b| a + b).expect("a norm at least");
        Ok(Loss { clean: None, robust, loss: sum * (1.0 / parts as f32) })
    }
}

/// Cross-entropy [rows, 1] of the labels at points [rows, features].
fn losses(lesson: &Lesson, points: Tensor<2>) -> Tensor<2> {
    let rows = lesson.rows();
    let logits = lesson.oracle.logits(points, &Draw::none(rows));
    activation::log_softmax(logits, 1).gather(1, lesson.batch.classes.clone().reshape([rows, 1])).neg()
}
