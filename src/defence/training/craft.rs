//! Adversarial examples for a training batch: every row takes every step, and no judge is needed.

use burn::tensor::{Tensor, activation};
use bytemuck::Zeroable;

use crate::attack::Attack;
use crate::engine::draw::Draw;
use crate::engine::oracle::Oracle;
use crate::engine::slots::Slots;
use crate::kernel;
use crate::kernel::row::Row;
use crate::kernel::words::upload;
use crate::threat::Norm;

/// The attack inside a training loop.
pub struct Inner {
    /// It makes the adversarial examples.
    pub attack: Box<dyn Attack>,
    /// The norm of its ball.
    pub norm: Norm,
    /// Its radius, input units.
    pub epsilon: f32,
}

/// Where an attack starts and what it leads away from, where that is not its own start and the labels.
#[derive(Default)]
pub(crate) struct Aim {
    /// The points [rows, features] before the first step.
    pub from: Option<Tensor<2>>,
    /// Probabilities [rows, classes]: the loss that rises is the divergence of the logits from them (or, which has the same gradient, their
    /// cross-entropy).
    pub away_from: Option<Tensor<2>>,
}

/// The points [rows, features] that the attack comes to, from `inputs` [rows, features] in [0, 1]; a row whose gradient is not finite stays
/// where it was. `examples` are the rows' stable ids and `round` tells one epoch's draws from another's.
pub fn craft(inner: &Inner, oracle: &Oracle, inputs: Tensor<2>, labels: &[u32], examples: &[u32], key: [u32; 2], round: u32) -> Tensor<2> {
    aimed(inner, oracle, inputs, labels, examples, key, round, Aim::default())
}

/// As [`craft`], with an aim.
#[expect(clippy::too_many_arguments, reason = "the rows, one list a property, and what tells their draws apart")]
pub(crate) fn aimed(
    inner: &Inner,
    oracle: &Oracle,
    inputs: Tensor<2>,
    labels: &[u32],
    examples: &[u32],
    key: [u32; 2],
    round: u32,
    aim: Aim,
) -> Tensor<2> {
    let [count, _] = inputs.dims();
    let plan = inner.attack.plan(inner.epsilon, 0, false);
    let rows: Vec<Row> = (0..count)
        .map(|row| Row {
            epsilon: inner.epsilon,
            step_size: plan.step_size,
            steps: plan.steps,
            label: labels[row],
            target: labels[row],
            flags: plan.flags,
            start: plan.start,
            generation: 1,
            key,
            example: examples[row],
            restart: round,
            decay: plan.decay,
            // Nothing breaks a row: each takes all its steps.
            counts_from: u32::MAX,
            ..Row::zeroed()
        })
        .collect();
    let mut slots = Slots::new(count, oracle.shape(), inner.norm, inner.attack.planes(), oracle.device());
    slots.origin = inputs;
    slots.rows = upload(&rows, oracle.device());
    let Aim { mut from, away_from } = aim;
    // The point behind the last step is one of those that the best is chosen from.
    let looks = plan.steps + u32::from(inner.attack.keeps_best());
    for _ in 0..looks {
        inner.attack.start(&mut slots);
        if let Some(from) = from.take() {
            slots.x = from;
        }
        let (rows, state) = (slots.rows.clone(), &mut slots.state);
        let gradient = oracle.gradient(slots.x.clone(), &[Draw::none(count)], |logits| {
            *state = kernel::flags(logits[0].clone(), rows.clone(), state.clone(), true);
            vec![match &away_from {
                Some(probabilities) => activation::softmax(logits[0].clone(), 1) - probabilities.clone(),
                None => kernel::loss_gradient(logits[0].clone(), rows, state.clone()),
            }]
        });
        inner.attack.advance(&mut slots, Some(gradient));
    }
    let best = inner.attack.keeps_best().then(|| inner.attack.remains(&slots)).flatten();
    best.unwrap_or(slots.x)
}
