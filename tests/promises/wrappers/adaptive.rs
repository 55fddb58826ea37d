//! What attacks get by, and what they do not: rejections, votes and dice.

use gauntlet::data::Dataset;
use gauntlet::engine::chain::Walk;
use gauntlet::engine::clean;
use gauntlet::engine::drive::send;
use gauntlet::engine::oracle::Oracle;
use gauntlet::evaluate::record::Verdict;
use gauntlet::threat::Norm;

use super::*;
use crate::bench_model::{Trial, attack, relabelled, separable, separator, untrained};

promises! {
    a_rejected_adversarial_example_is_no_break_and_an_attack_that_knows_evades,
    scores_reach_the_inputs_through_every_layer,
    a_smoothed_linear_model_is_broken_where_the_linear_one_is,
    an_attack_averages_over_dice_unless_it_does_not_know_them,
    a_squeezed_detector_is_one_row_of_a_stack,
}

/// Rejects what is brighter than a threshold in its first pixel.
struct Bright(f32);

impl Wrapper for Bright {
    fn rejects(&self) -> bool {
        true
    }

    fn score(&self, inputs: &Tensor<2>, _logits: &[Tensor<2>]) -> Option<Tensor<2>> {
        let rows = inputs.dims()[0];
        Some((inputs.clone().slice([0..rows, 0..1]) - self.0) * 20.0)
    }
}

fn linear(margin: f64) -> (Oracle, Dataset) {
    let data = separable(2, 24, margin);
    let oracle = separator(&data, 5.0, &device());
    let data = relabelled(data, &oracle);
    (oracle, data)
}

/// How many of the examples an attack breaks at `epsilon` under linf.
fn broken(oracle: &Oracle, data: &Dataset, kind: &str, options: &str, epsilon: f64) -> Vec<bool> {
    let epsilons = [epsilon];
    let trial = Trial { kind, options, norm: Norm::Linf, epsilons: &epsilons, walk: Walk::Each, slots: 8, cadence: 1 };
    let positions: Vec<usize> = (0..data.len()).collect();
    let (outcomes, _) = attack(&trial, oracle, data, &positions);
    data.ids.iter().map(|id| outcomes[id].outcomes[0].verdict == Verdict::Broken).collect()
}

fn a_rejected_adversarial_example_is_no_break_and_an_attack_that_knows_evades() {
    let (bare, data) = linear(0.4);
    let epsilon = 0.3;
    assert!(broken(&bare, &data, "pgd", "steps = 10", epsilon).iter().all(|broken| *broken));
    // Just above the brightest original.
    let brightest = (0..data.len()).map(|at| data.image(at)[0]).fold(0.0, f32::max);
    let guarded = bare.behind(stack(vec![Box::new(Bright(brightest + 0.01))]));
    let accepted = clean::decide(&guarded, &data, &send(&data, guarded.device()), 8, 0).unwrap();
    assert!(accepted.iter().zip(&data.labels).all(|(clean, label)| clean.is_right(*label)));
    let count = |broken: Vec<bool>| broken.into_iter().filter(|broken| *broken).count();
    let unknown = count(broken(&guarded.clone().unknown(), &data, "pgd", "steps = 10\nstop = \"last\"\nrandom_start = false", epsilon));
    assert!(unknown < data.len(), "some are pushed past the threshold: {unknown}");
    for (kind, options) in [
        ("pgd", "steps = 40\nstop = \"last\""),
        ("pgd", "steps = 40\nloss = \"margin\""),
        ("square", "queries = 400"),
        ("apgd", "steps = 40"),
    ] {
        let known = count(broken(&guarded, &data, kind, options, epsilon));
        // Square draws its windows without a gradient to say which pixel is watched.
        let enough = if kind == "square" { unknown + 1 } else { data.len() - 1 };
        assert!(known >= enough.max(unknown + 1), "{kind}: {known} of {}, {unknown} unknown", data.len());
    }
}

fn scores_reach_the_inputs_through_every_layer() {
    let (bare, data) = linear(0.4);
    let shape = data.shape;
    let oracle = bare.behind(stack(vec![
        wrapper("gaussian-blur", ""),
        wrapper("squeeze-detector", "bits = 0\nwindow = 2\nthreshold = 0.01"),
        wrapper("temperature", "temperature = 3.0"),
    ]));
    assert!(oracle.rejects() && shape == oracle.shape());
    let x = random(2 * data.features(), 4);
    let draws = [Draw::none(2)];
    let value = |x: &[f32]| -> f64 {
        let answer = oracle.answer(tensor(x, data.features()), &draws[0]);
        let logits = values(answer.logits);
        values(answer.score.unwrap()).iter().map(|score| f64::from(*score)).sum::<f64>() + f64::from(logits[0] * 0.5 - logits[3])
    };
    let slopes = |_: &[gauntlet::engine::pass::Answer]| vec![(tensor(&[0.5, 0.0, 0.0, -1.0], 2), Some(tensor(&[1.0, 1.0], 1)))];
    let gradient = values(oracle.descend(tensor(&x, data.features()), &draws, slopes));
    let (way, step) = (random(x.len(), 8), 1e-3f32);
    let moved = |side: f32| -> Vec<f32> { x.iter().zip(&way).map(|(x, way)| x + side * step * (way - 0.5)).collect() };
    let measured = (value(&moved(1.0)) - value(&moved(-1.0))) / f64::from(2.0 * step);
    let said: f64 = gradient.iter().zip(&way).map(|(gradient, way)| f64::from(gradient * (way - 0.5))).sum();
    assert!((measured - said).abs() < 3e-2 * measured.abs().max(0.3), "{said}, measured {measured}");
}

fn a_smoothed_linear_model_is_broken_where_the_linear_one_is() {
    // The noise moves a linear decision to either side equally often, so the smoothed classifier is the linear one.
    let (bare, data) = linear(0.6);
    let smoothed = bare.clone().behind(stack(vec![wrapper("smoothing", "samples = 60\nsigma = 0.05")]));
    assert!((smoothed.draws(), smoothed.polls(), bare.draws()) == (60, true, 1));
    let decided = clean::decide(&smoothed, &data, &send(&data, smoothed.device()), 8, 3).unwrap();
    assert!(decided.iter().zip(&data.labels).all(|(clean, label)| clean.is_right(*label)));
    let again = clean::decide(&smoothed, &data, &send(&data, smoothed.device()), 5, 3).unwrap();
    let labels = |decided: &[clean::CleanDecision]| decided.iter().map(|clean| clean.prediction).collect::<Vec<_>>();
    assert_eq!(labels(&decided), labels(&again), "slots play no part");
    for (epsilon, breaks) in [(0.02, false), (0.4, true)] {
        let bare = broken(&bare, &data, "pgd", "steps = 10", epsilon);
        let found = broken(&smoothed, &data, "pgd", "steps = 10", epsilon);
        let agree = bare.iter().zip(&found).filter(|(a, b)| a == b).count();
        assert!(agree >= data.len() - 1 && (!breaks || found.iter().all(|broken| *broken)), "epsilon {epsilon}: {agree} agree");
    }
}

fn an_attack_averages_over_dice_unless_it_does_not_know_them() {
    let data = separable(2, 4, 0.4);
    let random = untrained("linear", &data, &device()).behind(stack(vec![wrapper("noise", "")]));
    let plain = untrained("linear", &data, &device());
    let polled = untrained("linear", &data, &device()).behind(stack(vec![wrapper("smoothing", "")]));
    let throws = |oracle: &Oracle| [oracle.throws(None), oracle.throws(Some(3))];
    assert_eq!(throws(&plain), [1, 1]);
    assert_eq!(throws(&random), [10, 3]);
    assert_eq!(throws(&polled), [10, 3]);
    assert_eq!(throws(&random.unknown()), [1, 3]);
}

fn a_squeezed_detector_is_one_row_of_a_stack() {
    let (bare, data) = linear(0.4);
    let strict = bare.clone().behind(stack(vec![wrapper("squeeze-detector", "threshold = 0.0")]));
    let lax = bare.behind(stack(vec![wrapper("squeeze-detector", "threshold = 2.0")]));
    let rejected = |oracle: &Oracle| {
        let clean = clean::decide(oracle, &data, &send(&data, oracle.device()), 8, 0).unwrap();
        clean.iter().filter(|clean| clean.rejected).count()
    };
    assert!(rejected(&strict) > 0 && rejected(&lax) == 0, "{} and {}", rejected(&strict), rejected(&lax));
    let row = WRAPPERS.iter().find(|row| row.entry.name == "squeeze-detector").unwrap();
    for wrong in ["bits = 0\nwindow = 0", "window = 1", "threshold = 0.1\nfalse_positives = 0.1"] {
        assert!((row.check)(&parse_options(&row.entry, wrong).unwrap()).is_err(), "{wrong}");
    }
}
