//! What the attack finds on a linear model of two classes, whose optimum has a closed form: the gap over the weights' dual norm, and
//! under l1, where the box is near, the largest weights' pixels moved to its bounds one after the other.

use std::collections::BTreeMap;

use burn::tensor::{Device, Tensor, TensorData};
use gauntlet::attack::{ATTACKS, Attack, Setting};
use gauntlet::engine::chain::Walk;
use gauntlet::engine::slots::Slots;
use gauntlet::evaluate::record::Verdict;
use gauntlet::kernel::random::{philox, unit};
use gauntlet::kernel::row::{BROKEN, RUNNING, Row, SURVIVED, State};
use gauntlet::kernel::{flags, words};
use gauntlet::options::{Options, Value};
use gauntlet::threat::Norm;

use crate::bench_model::{Trial, attack, separable, separator};

promises! {
    under_linf_it_breaks_just_above_the_optimum_and_not_below,
    under_l2_and_l1_it_breaks_above_the_optimum_and_not_below,
    a_row_pays_for_its_queries_and_no_more,
    the_best_score_never_falls_and_the_best_point_has_it,
    a_broken_row_is_not_moved,
    a_row_finds_the_same_whatever_stands_beside_it,
    a_targeted_row_goes_for_its_target,
    outcomes_do_not_depend_on_the_slots_or_on_how_often_they_are_looked_at,
}

const SHAPE: [usize; 3] = [1, 8, 8];
const FEATURES: usize = 64;

/// Weights of the difference of the two logits.
fn weights() -> Vec<f32> {
    (0..FEATURES as u32).map(|at| 2.0 * unit(philox([at, 0, 0, 0], [9, 9])[0]) - 1.0).collect()
}

fn origin() -> Vec<f32> {
    (0..FEATURES).map(|at| 0.4 + 0.2 * ((at * 31 % 17) as f32 / 16.0)).collect()
}

/// How far below the other logit the label's lies, at the worst.
const GAP: f32 = 2.0;

struct Bench {
    attack: Box<dyn Attack>,
    slots: Slots,
    origin: Vec<f32>,
    weights: Vec<f32>,
}

fn bench(norm: Norm, options: &[(&str, Value)], epsilon: f32, examples: &[u32], label: u32) -> Bench {
    let device = Device::flex();
    let row = ATTACKS.iter().find(|row| row.entry.name == "square").expect("square is an attack");
    let options = Options(options.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect::<BTreeMap<_, _>>());
    let mut parts = (row.build)(&options, &Setting { norm, classes: 2, shape: SHAPE });
    let attack = parts.pop().expect("one part");
    let plan = attack.plan(epsilon, 0, false);
    let row = |example: &u32| Row {
        epsilon,
        steps: plan.steps,
        label,
        target: 1 - label,
        flags: plan.flags,
        start: plan.start,
        generation: 1,
        key: [7, 8],
        example: *example,
        ..bytemuck::Zeroable::zeroed()
    };
    let mut slots = Slots::new(examples.len(), SHAPE, norm, attack.planes(), &device);
    slots.rows = words::upload(&examples.iter().map(row).collect::<Vec<_>>(), &device);
    let origin = origin();
    slots.origin = Tensor::from_data(TensorData::new(origin.repeat(examples.len()), [examples.len(), FEATURES]), &device);
    Bench { attack, slots, origin, weights: weights() }
}

impl Bench {
    /// Logits [rows, 2]: 0, and the weighted difference from the origin less the gap.
    fn logits(&self, x: Tensor<2>) -> Tensor<2> {
        let device = Device::flex();
        let weights = Tensor::<2>::from_data(TensorData::new(self.weights.clone(), [FEATURES, 1]), &device);
        let at_origin: f32 = self.weights.iter().zip(&self.origin).map(|(weight, origin)| weight * origin).sum();
        let other = x.matmul(weights).sub_scalar(at_origin + GAP);
        Tensor::cat(vec![other.zeros_like(), other], 1)
    }

    fn step(&mut self) -> Vec<State> {
        self.attack.start(&mut self.slots);
        let logits = self.logits(self.slots.x.clone());
        self.slots.state = flags(logits, self.slots.rows.clone(), self.slots.state.clone(), false);
        self.attack.advance(&mut self.slots, None);
        words::download(self.slots.state.clone())
    }

    /// Steps until every row has ended.
    fn run(&mut self) -> Vec<State> {
        loop {
            let states = self.step();
            if states.iter().all(|state| state.status != RUNNING) {
                return states;
            }
        }
    }

    fn x(&self) -> Vec<f32> {
        read(self.slots.x.clone())
    }
}

fn read(tensor: Tensor<2>) -> Vec<f32> {
    tensor.into_data().try_to_vec().expect("floats")
}

fn optimum(norm: Norm) -> f32 {
    let weights = weights();
    match norm {
        Norm::Linf => GAP / weights.iter().map(|weight| weight.abs()).sum::<f32>(),
        Norm::L2 => GAP / weights.iter().map(|weight| weight * weight).sum::<f32>().sqrt(),
        _ => {
            let origin = origin();
            let mut pixels: Vec<(f32, f32)> = weights
                .iter()
                .zip(&origin)
                .map(|(weight, origin)| (weight.abs(), if *weight > 0.0 { 1.0 - origin } else { *origin }))
                .collect();
            pixels.sort_by(|a, b| b.0.total_cmp(&a.0));
            let (mut gap, mut distance) = (GAP, 0.0);
            for (weight, room) in pixels {
                let moved = room.min(gap / weight);
                gap -= weight * moved;
                distance += moved;
            }
            distance
        }
    }
}

fn broken(norm: Norm, factor: f32) -> f64 {
    let examples: Vec<u32> = (0..12).collect();
    let states = bench(norm, &[], factor * optimum(norm), &examples, 0).run();
    assert!(states.iter().all(|state| [BROKEN, SURVIVED].contains(&state.status)));
    states.iter().filter(|state| state.status == BROKEN).count() as f64 / 12.0
}

fn under_linf_it_breaks_just_above_the_optimum_and_not_below() {
    assert_eq!(broken(Norm::Linf, 0.99), 0.0);
    assert_eq!(broken(Norm::Linf, 1.01), 1.0);
}

fn under_l2_and_l1_it_breaks_above_the_optimum_and_not_below() {
    // Windows of 3 x 3 pixels with a fixed pattern cannot follow weights without structure pixel by pixel.
    for (norm, factor) in [(Norm::L2, 1.6), (Norm::L1, 1.4)] {
        assert_eq!(broken(norm, 0.99), 0.0, "{}", norm.name());
        assert_eq!(broken(norm, factor), 1.0, "{}", norm.name());
    }
}

fn a_row_pays_for_its_queries_and_no_more() {
    for queries in [1, 2, 30] {
        let mut bench = bench(Norm::Linf, &[("queries", Value::Integer(queries))], 0.5 * optimum(Norm::Linf), &[0, 1], 0);
        for state in bench.run() {
            assert_eq!((state.status, i64::from(state.forwards), state.backwards), (SURVIVED, queries, 0));
        }
    }
    assert!(!bench(Norm::Linf, &[], 0.1, &[0], 0).attack.uses_gradients());
}

fn the_best_score_never_falls_and_the_best_point_has_it() {
    for norm in [Norm::Linf, Norm::L2, Norm::L1] {
        let mut bench = bench(norm, &[("queries", Value::Integer(300))], 0.9 * optimum(norm), &[0, 1, 2], 0);
        let mut best = [f32::MIN; 3];
        let mut rises = 0;
        for _ in 0..300 {
            let states = bench.step();
            let scores = read(bench.logits(bench.slots.memory.clone()));
            for (slot, state) in states.iter().enumerate() {
                assert!(state.best >= best[slot] && state.best >= state.score);
                assert!((scores[2 * slot + 1] - state.best).abs() < 1e-4, "the point kept has another score");
                rises += usize::from(state.best > best[slot]);
                best[slot] = state.best;
            }
        }
        assert!(rises > 15, "{} rises under {}", rises, norm.name());
    }
}

fn a_broken_row_is_not_moved() {
    for norm in [Norm::Linf, Norm::L2, Norm::L1] {
        let mut bench = bench(norm, &[], 3.0 * optimum(norm), &[0, 1, 2, 3], 0);
        assert!(bench.run().iter().all(|state| state.status == BROKEN), "{}", norm.name());
        let ended = bench.x();
        bench.step();
        bench.step();
        assert_eq!(bench.x(), ended, "{}", norm.name());
        let scores = read(bench.logits(bench.attack.candidates(&bench.slots)));
        assert!(scores.chunks_exact(2).all(|scores| scores[1] > scores[0]), "{}: a candidate that is not broken", norm.name());
    }
}

fn a_row_finds_the_same_whatever_stands_beside_it() {
    for norm in [Norm::Linf, Norm::L2, Norm::L1] {
        let options = [("queries", Value::Integer(60))];
        let epsilon = 0.9 * optimum(norm);
        let mut together = bench(norm, &options, epsilon, &[5, 4, 3, 2, 1], 0);
        let states = together.run();
        for (slot, example) in [5, 4, 3, 2, 1].into_iter().enumerate() {
            let mut alone = bench(norm, &options, epsilon, &[example], 0);
            alone.run();
            assert_eq!(alone.x(), together.x()[slot * FEATURES..(slot + 1) * FEATURES], "{} {example}", norm.name());
        }
        assert_ne!(states[0].best, states[1].best);
    }
}

fn a_targeted_row_goes_for_its_target() {
    // The row's label is the class that it is not in: its target is the one that it is in, reached at once.
    let targeted = [("goal", Value::Text("targeted".into()))];
    let states = bench(Norm::Linf, &targeted, 0.1, &[0], 1).run();
    assert_eq!((states[0].status, states[0].prediction, states[0].forwards), (BROKEN, 0, 1));
    // And with two classes a row that wants the other one is broken where an untargeted one is.
    let states = bench(Norm::Linf, &targeted, 1.01 * optimum(Norm::Linf), &[0, 1], 0).run();
    assert!(states.iter().all(|state| state.status == BROKEN && state.prediction == 1));
    let states = bench(Norm::Linf, &targeted, 0.99 * optimum(Norm::Linf), &[0, 1], 0).run();
    assert!(states.iter().all(|state| state.status == SURVIVED));
}

fn outcomes_do_not_depend_on_the_slots_or_on_how_often_they_are_looked_at() {
    let data = separable(3, 10, 0.3);
    let oracle = separator(&data, 1.0, &Device::flex());
    let positions: Vec<usize> = (0..data.len()).collect();
    for (norm, epsilons) in [(Norm::Linf, [0.01, 0.2]), (Norm::L2, [0.1, 2.0]), (Norm::L1, [0.5, 12.0])] {
        let run = |slots, cadence| {
            let options = "queries = 40\nrestarts = 2";
            let trial = Trial { kind: "square", options, norm, epsilons: &epsilons, walk: Walk::Each, slots, cadence };
            attack(&trial, &oracle, &data, &positions).0
        };
        let want = run(1, 1);
        assert_eq!(run(4, 1), want, "{}", norm.name());
        assert_eq!(run(16, 3), want, "{}", norm.name());
        for outcomes in want.values() {
            let [low, high] = outcomes.outcomes[..] else { panic!("two epsilons") };
            assert_eq!((low.verdict, low.forwards, low.backwards), (Verdict::Survived, 80, 0), "{}", norm.name());
            assert_eq!(high.verdict, Verdict::Broken, "{}", norm.name());
            assert!(f64::from(high.distance.expect("a broken row has a distance")) <= epsilons[1] * (1.0 + 1e-5));
        }
    }
}
