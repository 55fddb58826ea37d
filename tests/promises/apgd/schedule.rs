//! Point by point, the attack goes where a plain implementation of the papers goes: one example at a time, no tensors, its own projections.

use std::collections::BTreeMap;

use burn::tensor::{Device, Tensor};
use gauntlet::attack::{ATTACKS, Attack, Setting};
use gauntlet::engine::slots::Slots;
use gauntlet::kernel::row::{FAILED, RUNNING, Row, START_RANDOM, SURVIVED, State};
use gauntlet::kernel::{self, words};
use gauntlet::options::{Options, Value};
use gauntlet::threat::Norm;

use super::projection::exact;
use super::{matrix, read, uniform, upload};

promises! {
    every_point_is_that_of_a_plain_implementation_of_the_papers,
    starts_are_on_the_sphere_that_they_are_scaled_to,
    a_row_takes_its_steps_and_a_stage_that_ends_one_more,
    a_gradient_that_is_not_finite_fails_its_row_alone,
    a_row_does_not_depend_on_the_slot_or_on_the_row_before,
}

const FEATURES: usize = 12;
const CLASSES: usize = 5;

/// A network with one hidden layer, curved enough for losses to rise and fall.
fn network(x: Tensor<2>, layers: [Tensor<2>; 2]) -> Tensor<2> {
    (x.matmul(layers[0].clone()).sin()).matmul(layers[1].clone())
}

fn layers() -> [Tensor<2>; 2] {
    let spread = |values: Vec<f32>, by: f32| values.iter().map(|value| by * (value - 0.5)).collect::<Vec<_>>();
    [matrix(&spread(uniform(FEATURES * 16, 1), 9.0), 16), matrix(&spread(uniform(16 * CLASSES, 2), 4.0), CLASSES)]
}

/// The gradient, with respect to the inputs, of the loss whose gradient with respect to the logits is given.
fn backward(x: Tensor<2>, loss_gradient: impl FnOnce(Tensor<2>) -> Tensor<2>) -> Tensor<2> {
    let inputs = x.autodiff().require_grad();
    let logits = network(inputs.clone(), layers().map(Tensor::from_inner));
    let weights = Tensor::from_inner(loss_gradient(logits.clone().inner()));
    let mut gradients = (logits * weights).sum().backward();
    inputs.grad_remove(&mut gradients).expect("the inputs have a gradient")
}

struct Case {
    norm: Norm,
    steps: u32,
    larger: bool,
    rho: f64,
    epsilon: f32,
}

impl Case {
    fn attack(&self) -> Box<dyn Attack> {
        let row = ATTACKS.iter().find(|row| row.entry.name == "apgd").expect("apgd is an attack");
        let options: BTreeMap<String, Value> = [
            ("steps".to_string(), Value::Integer(self.steps.into())),
            ("rho".to_string(), Value::Number(self.rho)),
            ("larger_epsilons".to_string(), Value::Flag(self.larger)),
        ]
        .into();
        let setting = Setting { norm: self.norm, classes: CLASSES, shape: [1, 1, FEATURES] };
        (row.build)(&Options(options), &setting).pop().expect("one part")
    }

    fn stages(&self) -> u32 {
        if self.larger && self.norm == Norm::L1 { 3 } else { 1 }
    }
}

fn origins(count: usize) -> Vec<f32> {
    uniform(count * FEATURES, 9)
}

/// Rows that nothing breaks: the class to reach by a success lies beyond every step.
fn rows(case: &Case, attack: &dyn Attack, count: usize) -> Vec<Row> {
    let plan = attack.plan(case.epsilon, 0, false);
    let row = |slot: usize| Row {
        epsilon: case.epsilon,
        step_size: plan.step_size,
        steps: plan.steps,
        label: (slot % CLASSES) as u32,
        flags: plan.flags,
        start: plan.start,
        generation: slot as u32 + 1,
        key: [5, 6],
        example: slot as u32,
        counts_from: u32::MAX,
        ..bytemuck::Zeroable::zeroed()
    };
    (0..count).map(row).collect()
}

/// The points of every forward pass until no row runs, and the last states.
fn run(case: &Case, slots: &mut Slots, rows: &[Row]) -> (Vec<Vec<f32>>, Vec<State>) {
    let attack = case.attack();
    slots.rows = upload(rows);
    let mut points = Vec::new();
    loop {
        attack.start(slots);
        points.push(read(slots.x.clone()));
        let (rows, state) = (slots.rows.clone(), &mut slots.state);
        let gradient = backward(slots.x.clone(), |logits| {
            *state = kernel::flags(logits.clone(), rows.clone(), state.clone(), true);
            kernel::loss_gradient(logits, rows, state.clone())
        });
        attack.advance(slots, Some(gradient));
        let states: Vec<State> = words::download(slots.state.clone());
        if states.iter().all(|state| state.status != RUNNING) {
            return (points, states);
        }
    }
}

fn slots(case: &Case, count: usize) -> Slots {
    let mut slots = Slots::new(count, [1, 1, FEATURES], case.norm, case.attack().planes(), &Device::flex());
    slots.origin = matrix(&origins(count), FEATURES);
    slots
}

/// What the plain implementation knows of an example.
struct Plain<'a> {
    case: &'a Case,
    label: usize,
    origin: &'a [f32],
    points: Vec<Vec<f32>>,
    /// Of all points, those before the last stage left out, the one of the largest loss.
    best: Vec<f32>,
}

impl Plain<'_> {
    /// Cross-entropy and its gradient; the point is written down.
    fn evaluate(&mut self, x: &[f32]) -> (f32, Vec<f32>) {
        self.points.push(x.to_vec());
        let logits = read(network(matrix(x, FEATURES), layers()));
        let largest = logits.iter().copied().fold(f32::MIN, f32::max);
        let total: f32 = logits.iter().map(|z| (z - largest).exp()).sum();
        let mut weights: Vec<f32> = logits.iter().map(|z| (z - largest).exp() / total).collect();
        weights[self.label] -= 1.0;
        (total.ln() + largest - logits[self.label], read(backward(matrix(x, FEATURES), |_| matrix(&weights, CLASSES))))
    }

    fn project(&self, x: &[f32], epsilon: f32) -> Vec<f32> {
        let pairs = x.iter().zip(self.origin);
        match self.case.norm {
            Norm::Linf => pairs.map(|(x, o)| x.max(o - epsilon).min(o + epsilon).clamp(0.0, 1.0)).collect(),
            Norm::L2 => {
                let length = pairs.clone().map(|(x, o)| (x - o) * (x - o)).sum::<f32>().sqrt();
                pairs.map(|(x, o)| (o + (x - o) * (epsilon / length.max(epsilon))).clamp(0.0, 1.0)).collect()
            }
            _ => exact(x, self.origin, f64::from(epsilon)).iter().map(|value| *value as f32).collect(),
        }
    }

    /// Algorithm 1 of Croce and Hein 2020.
    fn dense(&mut self, start: &[f32]) {
        let (steps, epsilon) = (self.case.steps as usize, self.case.epsilon);
        // w_0 = 0, w_1 = 0.22 n, w_(j+1) = w_j + max(w_j - w_(j-1) - 0.03 n, 0.06 n), in whole steps.
        let (mut checkpoints, mut distance) = (vec![0, (22 * steps / 100).max(1)], (22 * steps / 100).max(1));
        while *checkpoints.last().unwrap() < steps {
            distance = distance.saturating_sub((3 * steps / 100).max(1)).max((6 * steps / 100).max(1));
            checkpoints.push(checkpoints.last().unwrap() + distance);
        }
        let (mut size, mut x, mut before) = (2.0 * epsilon, start.to_vec(), start.to_vec());
        let (mut loss, mut gradient) = self.evaluate(&x);
        let mut losses = vec![loss];
        let mut best = (loss, x.clone(), gradient.clone());
        let (mut best_at_check, mut size_at_check) = (loss, f32::NAN);
        for step in 0..steps {
            let length = gradient.iter().map(|value| value * value).sum::<f32>().sqrt();
            let direction = |value: &f32| match self.case.norm {
                Norm::Linf if *value == 0.0 => 0.0,
                Norm::Linf => value.signum(),
                _ => value / length,
            };
            let far: Vec<f32> = x.iter().zip(&gradient).map(|(x, value)| x + size * direction(value)).collect();
            let z = self.project(&far, epsilon);
            let along = if step == 0 { 1.0 } else { 0.75 };
            let mixed: Vec<f32> = (0..FEATURES).map(|i| x[i] + along * (z[i] - x[i]) + (1.0 - along) * (x[i] - before[i])).collect();
            before = x;
            x = self.project(&mixed, epsilon);
            (loss, gradient) = self.evaluate(&x);
            losses.push(loss);
            if loss > best.0 {
                best = (loss, x.clone(), gradient.clone());
            }
            if let Some(check) = checkpoints.iter().position(|at| *at == step + 1) {
                let window = checkpoints[check - 1]..checkpoints[check];
                let rises = window.clone().filter(|&at| losses[at + 1] > losses[at]).count();
                let few = rises as f64 <= self.case.rho * window.len() as f64;
                let stuck = size_at_check == size && best_at_check == best.0;
                (best_at_check, size_at_check) = (best.0, size);
                if few || stuck {
                    size /= 2.0;
                    (x, gradient) = (best.1.clone(), best.2.clone());
                }
            }
        }
        self.best = best.1;
    }

    /// Algorithm 2 of Croce and Hein 2021, with or without larger radii first.
    fn sparse(&mut self, start: &[f32]) {
        let n = self.case.steps as usize;
        let stages = match self.case.stages() {
            1 => vec![(1.0, n)],
            _ => vec![(3.0, (3 * n).div_ceil(10)), (2.0, (3 * n).div_ceil(10)), (1.0, n - 2 * (3 * n).div_ceil(10))],
        };
        let mut x = start.to_vec();
        for (factor, steps) in stages.clone() {
            let epsilon = factor * self.case.epsilon;
            if factor < stages[0].0 {
                x = self.project(&x, epsilon);
            }
            let changed = |x: &[f32]| x.iter().zip(self.origin).filter(|(x, origin)| x != origin).count();
            let (mut share, mut changed_before) = match stages.len() {
                1 => (0.2, FEATURES),
                _ => (changed(&x) as f64 / FEATURES as f64 / 1.5, changed(&x)),
            };
            let mut size = epsilon;
            let (mut loss, mut gradient) = self.evaluate(&x);
            let mut best = (loss, x.clone(), gradient.clone());
            for step in 1..=steps {
                let mut order: Vec<f32> = gradient.iter().map(|value| value.abs()).collect();
                order.sort_by(f32::total_cmp);
                let at = ((1.0 - share) * FEATURES as f64 + 1e-9).clamp(0.0, (FEATURES - 1) as f64) as usize;
                let chosen: Vec<usize> = (0..FEATURES).filter(|&i| gradient[i].abs() >= order[at] && gradient[i] != 0.0).collect();
                for &i in &chosen {
                    x[i] += size / chosen.len() as f32 * gradient[i].signum();
                }
                x = self.project(&x, epsilon);
                (loss, gradient) = self.evaluate(&x);
                if loss > best.0 {
                    best = (loss, x.clone(), gradient.clone());
                }
                if step % (4 * steps / 100).max(1) == 0 {
                    let now = best.1.iter().zip(self.origin).filter(|(x, origin)| x != origin).count();
                    share = now as f64 / FEATURES as f64 / 1.5;
                    if (now as f64) < 0.95 * changed_before as f64 {
                        size = epsilon;
                        (x, gradient) = (best.1.clone(), best.2.clone());
                    } else {
                        size = (size / 1.5).max(0.1 * epsilon);
                    }
                    changed_before = now;
                }
            }
            x = best.1;
        }
        self.best = x;
    }
}

const CASES: [Case; 6] = [
    Case { norm: Norm::Linf, steps: 40, larger: false, rho: 0.75, epsilon: 0.2 },
    Case { norm: Norm::Linf, steps: 7, larger: false, rho: 0.4, epsilon: 0.05 },
    Case { norm: Norm::L2, steps: 40, larger: false, rho: 0.75, epsilon: 0.4 },
    Case { norm: Norm::L1, steps: 60, larger: false, rho: 0.75, epsilon: 0.9 },
    Case { norm: Norm::L1, steps: 50, larger: true, rho: 0.75, epsilon: 0.6 },
    Case { norm: Norm::L1, steps: 4, larger: true, rho: 0.75, epsilon: 0.6 },
];

const COUNT: usize = 6;

fn every_point_is_that_of_a_plain_implementation_of_the_papers() {
    for (number, case) in CASES.iter().enumerate() {
        let rows = rows(case, &*case.attack(), COUNT);
        let mut slots = slots(case, COUNT);
        let (points, _) = run(case, &mut slots, &rows);
        let best = read(case.attack().remains(&slots).expect("a row that ran out of steps has a best point"));
        let origins = origins(COUNT);
        for (slot, row) in rows.iter().enumerate() {
            let part = slot * FEATURES..(slot + 1) * FEATURES;
            let mut plain = Plain { case, label: row.label as usize, origin: &origins[part.clone()], points: Vec::new(), best: Vec::new() };
            let start = &points[0][part.clone()];
            if case.norm == Norm::L1 {
                plain.sparse(start)
            } else {
                plain.dense(start)
            }
            assert_eq!(plain.points.len(), points.len(), "case {number}");
            for (step, (got, want)) in points.iter().zip(&plain.points).enumerate() {
                let apart = got[part.clone()].iter().zip(want).map(|(got, want)| (got - want).abs()).fold(0.0, f32::max);
                assert!(apart <= 1e-4, "case {number}, row {slot}, step {step}: {:?} and {want:?}", &got[part.clone()]);
            }
            let apart = best[part].iter().zip(&plain.best).map(|(got, want)| (got - want).abs()).fold(0.0, f32::max);
            assert!(apart <= 1e-4, "case {number}, row {slot}: the best of all points, the last one's too");
        }
    }
}

fn starts_are_on_the_sphere_that_they_are_scaled_to() {
    for (norm, larger, factor) in [(Norm::Linf, false, 1.0), (Norm::L2, false, 1.0), (Norm::L1, false, 1.0), (Norm::L1, true, 3.0)] {
        let case = Case { norm, steps: 10, larger, rho: 0.75, epsilon: 0.125 };
        let attack = case.attack();
        let mut slots = slots(&case, 4);
        // Away from the bounds, so that nothing is clipped.
        slots.origin = Tensor::full([4, FEATURES], 0.5, &Device::flex());
        slots.rows = upload(&rows(&case, &*attack, 4));
        attack.start(&mut slots);
        let x = read(slots.x.clone());
        for x in x.chunks(FEATURES) {
            let differences = x.iter().map(|x| f64::from(x - 0.5).abs());
            let length = match norm {
                Norm::Linf => differences.fold(0.0, f64::max),
                Norm::L2 => differences.map(|value| value * value).sum::<f64>().sqrt(),
                _ => differences.sum(),
            };
            assert!((length - factor * 0.125).abs() < 1e-6, "{} {larger}: {length}", norm.name());
        }
        assert_ne!(x[..FEATURES], x[FEATURES..2 * FEATURES]);
    }
}

fn a_row_takes_its_steps_and_a_stage_that_ends_one_more() {
    for case in &CASES {
        let attack = case.attack();
        let (points, states) = run(case, &mut slots(case, 3), &rows(case, &*attack, 3));
        let passes = case.steps + case.stages();
        assert_eq!(points.len() as u32, passes);
        for state in states {
            assert_eq!((state.status, state.forwards, state.backwards), (SURVIVED, passes, passes - 1));
        }
        let plan = attack.plan(case.epsilon, 0, false);
        assert_eq!((plan.start, plan.counts_from > 0), (START_RANDOM, case.stages() == 3));
        // Every point from there on is within the radius itself, and some point before is not.
        let origins = origins(3);
        let length = |x: &[f32]| {
            x.chunks(FEATURES)
                .zip(origins.chunks(FEATURES))
                .map(|(x, o)| x.iter().zip(o).map(|(x, o)| (x - o).abs()).sum::<f32>())
                .fold(0.0, f32::max)
        };
        if case.norm == Norm::L1 {
            let (early, late) = points.split_at(plan.counts_from as usize);
            assert!(late.iter().all(|x| length(x) <= case.epsilon * 1.00001));
            assert!(early.iter().all(|x| length(x) > case.epsilon * 1.5), "the stages before have larger radii");
        }
    }
}

fn a_gradient_that_is_not_finite_fails_its_row_alone() {
    for case in &CASES[..4] {
        let attack = case.attack();
        for poison in [f32::NAN, f32::NEG_INFINITY] {
            let mut slots = slots(case, 3);
            slots.rows = upload(&rows(case, &*attack, 3));
            for step in 0..3 {
                attack.start(&mut slots);
                let before = read(slots.x.clone());
                let logits = network(slots.x.clone(), layers());
                slots.state = kernel::flags(logits, slots.rows.clone(), slots.state.clone(), true);
                let mut gradient = vec![0.25; 3 * FEATURES];
                if step == 1 {
                    gradient[FEATURES + 5] = poison;
                }
                attack.advance(&mut slots, Some(matrix(&gradient, FEATURES)));
                let states: Vec<State> = words::download(slots.state.clone());
                let status = |slot: usize| states[slot].status;
                assert_eq!([status(0), status(1), status(2)], [RUNNING, if step == 0 { RUNNING } else { FAILED }, RUNNING]);
                let after = read(slots.x.clone());
                assert!(after.iter().all(|value| value.is_finite()));
                assert_eq!(after[FEATURES..2 * FEATURES] == before[FEATURES..2 * FEATURES], step > 0, "a failed row moved");
            }
        }
    }
}

fn a_row_does_not_depend_on_the_slot_or_on_the_row_before() {
    for case in &CASES {
        let all = rows(case, &*case.attack(), COUNT);
        let mut slots = slots(case, COUNT);
        let (first, _) = run(case, &mut slots, &all);
        // The rows again, each in the slot behind, on what the rows before have left there; a NaN among it.
        let turned: Vec<Row> = (0..COUNT).map(|slot| Row { generation: 100 + slot as u32, ..all[(slot + 1) % COUNT] }).collect();
        let origins = origins(COUNT);
        let mut moved = origins[FEATURES..].to_vec();
        moved.extend_from_slice(&origins[..FEATURES]);
        slots.origin = matrix(&moved, FEATURES);
        slots.x = Tensor::full([COUNT, FEATURES], f32::NAN, &Device::flex());
        slots.planes.iter_mut().for_each(|plane| *plane = Tensor::full([COUNT, FEATURES], f32::NAN, &Device::flex()));
        let (second, _) = run(case, &mut slots, &turned);
        for (first, second) in first.iter().zip(&second) {
            assert_eq!(first[FEATURES..], second[..(COUNT - 1) * FEATURES]);
            assert_eq!(first[..FEATURES], second[(COUNT - 1) * FEATURES..]);
        }
    }
}
