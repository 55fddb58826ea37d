//! What counts as success, told to attacks whose logits do not say it all: where inputs are rejected, where votes decide, and where
//! the dice decide.
//!
//! A row reaches its goal by its *gap*: the largest other logit less the label's, or the target's less the largest other one. What a
//! detector says is a score s, above 0 where it rejects. An attack has to come by both, so it is shown logits whose gap is
//! `min(gap, -s)`: the label's logit is raised (the target's lowered) to where the gap is -s. Success, every loss and every search then
//! speak of both at once. It is the untargeted counterpart of the logit that Carlini and Wagner 2017 ("Adversarial Examples Are Not
//! Easily Detected", section 5) give a reject class; its gradient turns to the detector where that is what holds a row back, as in the
//! selective attack of Bryniarski et al. 2021 ("Evading Adversarial Example Detection Defenses with Orthogonal PGD").
//!
//! Votes have a gap too, that of their counts. A row that the attack thinks broken while the vote stands is held by it; against dice a
//! row is held until (nearly) all of a step's draws agree, up to its last step, for the judge throws others.

use burn::tensor::{Device, Tensor, TensorData};

use super::base::mean;
use super::oracle::Slope;
use super::pass::Answer;
use crate::kernel;
use crate::kernel::row::{Row, TARGETED};

/// The gap of a step's draws, as a share of them, from which on a row counts as broken before its last step: 19 in 20 for, or all of
/// fewer. A row that leaves at the first lucky draws is one that the judge's own draws refuse.
const FIRM: f32 = 0.9;

/// Of classes with equally many votes the first one wins: each place takes so much of a vote.
const PLACE: f32 = 1e-6;

/// Takes a class out of a maximum.
const FAR: f32 = 1e30;

/// The goals of a batch's rows.
pub struct Aim {
    /// 1 at the label, or at the target of a targeted row; [rows, classes].
    class: Tensor<2>,
    /// 1, or -1 where the row is targeted; [rows, 1].
    side: Tensor<2>,
    /// 0 where the row takes its last step, and 1 elsewhere; [rows, 1].
    before_last: Tensor<2>,
}

impl Aim {
    /// The goals of rows, each with whether it takes its last step.
    pub fn new(rows: &[(Row, bool)], classes: usize, device: &Device) -> Self {
        let mut class = vec![0.0; rows.len() * classes];
        for ((row, _), class) in rows.iter().zip(class.chunks_exact_mut(classes)) {
            let at = if row.flags & TARGETED == 0 { row.label } else { row.target };
            class[(at as usize).min(classes - 1)] = 1.0;
        }
        let column = |value: &dyn Fn(&(Row, bool)) -> f32| {
            Tensor::from_data(TensorData::new(rows.iter().map(value).collect::<Vec<f32>>(), [rows.len(), 1]), device)
        };
        Self {
            class: Tensor::from_data(TensorData::new(class, [rows.len(), classes]), device),
            side: column(&|(row, _)| if row.flags & TARGETED == 0 { 1.0 } else { -1.0 }),
            before_last: column(&|(_, last)| if *last { 0.0 } else { 1.0 }),
        }
    }

    /// The class's own logit and the largest of the others, [rows, 1] each.
    fn pair(&self, logits: &Tensor<2>) -> (Tensor<2>, Tensor<2>) {
        let others = (logits.clone() - self.class.clone() * FAR).max_dim(1);
        ((logits.clone() * self.class.clone()).sum_dim(1), others)
    }

    fn gap(&self, logits: &Tensor<2>) -> Tensor<2> {
        let (own, others) = self.pair(logits);
        (others - own) * self.side.clone()
    }

    /// Logits whose gap is the lesser of theirs and minus the score [rows, 1].
    fn held(&self, logits: &Tensor<2>, score: &Tensor<2>) -> Tensor<2> {
        let (own, others) = self.pair(logits);
        let gap = (others.clone() - own.clone()) * self.side.clone();
        let wanted = others - gap.min_pair(-score.clone()) * self.side.clone();
        logits.clone() + self.class.clone() * (wanted - own)
    }

    /// What a step's bookkeeping is shown of its answers. `random`: they are draws of a random defence.
    pub fn shown(&self, answers: &[Answer], polled: bool, random: bool) -> Tensor<2> {
        let logits: Vec<Tensor<2>> = answers.iter().map(|answer| answer.logits.clone()).collect();
        let scores: Option<Vec<Tensor<2>>> = answers.iter().map(|answer| answer.score.clone()).collect();
        let ballots: Vec<&Tensor<2>> = answers.iter().flat_map(|answer| &answer.ballots).collect();
        let ballots = if ballots.is_empty() { logits.iter().collect() } else { ballots };
        // Against dice the last step claims what the mean says; a vote without dice is what the judge will count.
        let held = (ballots.len() > 1).then(|| -self.gap(&counts(&ballots)));
        let held = match held {
            Some(held) if random => Some((held + FIRM) * self.before_last.clone() - rest(&self.before_last) * FAR),
            held => held,
        };
        // The pool's mean probability is the poll's own logits; other draws are averaged as they are.
        let logits = if polled { answers[0].logits.clone() } else { mean(&logits) };
        let score = match (scores.map(|scores| mean(&scores)), held) {
            (Some(score), Some(held)) => Some(score.max_pair(held)),
            (score, held) => score.or(held),
        };
        score.map_or(logits.clone(), |score| self.held(&logits, &score))
    }

    /// The logits that an answer's loss is taken of.
    pub fn logits(&self, answer: &Answer) -> Tensor<2> {
        answer.score.as_ref().map_or_else(|| answer.logits.clone(), |score| self.held(&answer.logits, score))
    }

    /// From the gradient with respect to [`Aim::logits`] to that with respect to the answer.
    pub fn pull(&self, answer: &Answer, gradient: Tensor<2>) -> Slope {
        let Some(score) = &answer.score else { return (gradient, None) };
        let others = answer.logits.clone() - self.class.clone() * FAR;
        let largest = others.clone().max_dim(1);
        let free = self.gap(&answer.logits).lower_equal(-score.clone()).float();
        let at_class = (gradient.clone() * self.class.clone()).sum_dim(1);
        let diverted = at_class.clone() * rest(&free);
        let at_largest = others.equal(largest.expand(answer.logits.dims())).float();
        let to_logits = gradient * rest(&self.class) + self.class.clone() * at_class * free + at_largest * diverted.clone();
        (to_logits, Some(diverted * self.side.clone()))
    }
}

/// 1 where a mask is 0.
fn rest(mask: &Tensor<2>) -> Tensor<2> {
    -mask.clone() + 1.0
}

/// Shares of the votes, [rows, classes].
fn counts(ballots: &[&Tensor<2>]) -> Tensor<2> {
    let [rows, classes] = ballots[0].dims();
    let device = ballots[0].device();
    let none = Tensor::zeros([rows, classes], &device);
    let counts = ballots.iter().fold(none, |counts, ballot| kernel::votes((*ballot).clone(), counts)) / ballots.len() as f32;
    let places: Vec<f32> = (0..classes).map(|class| PLACE * class as f32).collect();
    counts - Tensor::<2>::from_data(TensorData::new(places, [1, classes]), &device)
}
