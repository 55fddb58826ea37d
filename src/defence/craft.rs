//! Adversarial examples for a training batch: every row takes every step, and no judge is needed.

use burn::tensor::Tensor;
use bytemuck::Zeroable;

use super::Inner;
use crate::engine::draw::Draw;
use crate::engine::oracle::Oracle;
use crate::engine::slots::Slots;
use crate::kernel;
use crate::kernel::row::{LAST, Row};
use crate::kernel::words::upload;

/// The points [rows, features] where the attack ends, from `inputs` [rows, features] in [0, 1]; a row whose gradient is not finite stays
/// where it was. `examples` are the rows' stable ids and `round` tells one epoch's draws from another's.
pub fn craft(inner: &Inner, oracle: &Oracle, inputs: Tensor<2>, labels: &[u32], examples: &[u32], key: [u32; 2], round: u32) -> Tensor<2> {
    let [count, _] = inputs.dims();
    let plan = inner.attack.plan(inner.epsilon, 0, false);
    let rows: Vec<Row> = (0..count)
        .map(|row| Row {
            epsilon: inner.epsilon,
            step_size: plan.step_size,
            steps: plan.steps,
            label: labels[row],
            target: labels[row],
            flags: plan.flags | LAST,
            start: plan.start,
            generation: 1,
            key,
            example: examples[row],
            restart: round,
            decay: plan.decay,
            counts_from: plan.counts_from,
            ..Row::zeroed()
        })
        .collect();
    let mut slots = Slots::new(count, oracle.shape(), inner.norm, inner.attack.planes(), oracle.device());
    slots.origin = inputs;
    slots.rows = upload(&rows, oracle.device());
    for _ in 0..plan.steps {
        inner.attack.start(&mut slots);
        let (rows, state) = (slots.rows.clone(), &mut slots.state);
        let gradient = oracle.gradient(slots.x.clone(), &[Draw::none(count)], |logits| {
            *state = kernel::flags(logits[0].clone(), rows.clone(), state.clone(), true);
            vec![kernel::loss_gradient(logits[0].clone(), rows, state.clone())]
        });
        inner.attack.advance(&mut slots, Some(gradient));
    }
    slots.x
}
