//! Ensembles: what members say together, and its gradient.

use gauntlet::data::Dataset;
use gauntlet::engine::base::{Base, Combine};
use gauntlet::engine::decide::decide;
use gauntlet::engine::oracle::Oracle;
use gauntlet::engine::pool;
use gauntlet::model::{self, Blueprint, Classifier, Weights};
use gauntlet::options::Options;

use super::*;
use crate::bench_model::separable;

promises! {
    members_answer_together_as_their_combination_says,
    pooled_probabilities_are_finite_and_have_the_gradient_that_is_measured,
    gradients_of_ensembles_are_those_of_finite_differences,
}

/// A linear model whose logits are its biases and a little of the first pixels.
fn member(data: &Dataset, biases: &[f32]) -> Classifier {
    let blueprint = Blueprint { options: &Options::default(), shape: data.shape, classes: data.classes };
    let start = Classifier::new("linear", 0, &blueprint, &device()).unwrap();
    let mut tensors = Weights::of(&start.network).0;
    for (name, (_, numbers)) in &mut tensors {
        if name.ends_with("weight") {
            let seed = biases[0].to_bits();
            *numbers = random(numbers.len(), seed).iter().map(|value| (value - 0.5) * 0.2).collect();
        } else {
            numbers.copy_from_slice(biases);
        }
    }
    let network = model::load(start.network, &Weights(tensors), "a member", &device()).unwrap();
    Classifier { network, ..start }
}

fn ensemble(data: &Dataset, combine: Combine) -> Oracle {
    // Two members lean to class 0, one is sure of class 1: the vote says 0, the means say 1.
    let members = [[0.6, 0.0, -4.0], [0.7, 0.0, -4.0], [-8.0, 2.0, -4.0]].map(|biases| member(data, &biases)).to_vec();
    Oracle::of(Base { members, combine }, device())
}

fn decision(oracle: &Oracle, x: &Tensor<2>) -> u32 {
    decide(oracle, x, &Draw::none(1)).unwrap()[0].prediction
}

fn members_answer_together_as_their_combination_says() {
    let data = separable(3, 6, 0.2);
    let x = tensor(&vec![0.0; data.features()], data.features());
    assert_eq!(decision(&ensemble(&data, Combine::Vote), &x), 0);
    assert_eq!(decision(&ensemble(&data, Combine::MeanLogits), &x), 1);
    assert_eq!(decision(&ensemble(&data, Combine::MeanProbability), &x), 1);
    let logits = values(ensemble(&data, Combine::MeanLogits).logits(x.clone(), &Draw::none(1)));
    let wanted = [(0.6 + 0.7 - 8.0) / 3.0, 2.0 / 3.0, -4.0];
    assert!(logits.iter().zip(wanted).all(|(got, want)| (got - want).abs() < 1e-5), "{logits:?}");
    let total: f32 = values(ensemble(&data, Combine::MeanProbability).logits(x.clone(), &Draw::none(1))).iter().map(|log| log.exp()).sum();
    assert!((total - 1.0).abs() < 1e-5, "{total}");
    // A vote is broken where most members are, whatever the means say.
    let voted = &decide(&ensemble(&data, Combine::Vote), &x, &Draw::none(1)).unwrap()[0];
    assert!(!voted.is_broken(0, None) && voted.is_broken(1, None) && voted.is_broken(2, Some(0)) && !voted.is_broken(2, Some(1)));
    assert!(ensemble(&data, Combine::Vote).votes() && !ensemble(&data, Combine::MeanLogits).votes());
}

fn pooled_probabilities_are_finite_and_have_the_gradient_that_is_measured() {
    let logits: Vec<Tensor<2>> =
        (0..4).map(|seed| tensor(&random(2 * 5, seed).iter().map(|u| 8.0 * u - 4.0).collect::<Vec<_>>(), 5)).collect();
    let weights = tensor(&random(10, 9), 5);
    let value =
        |logits: &[Tensor<2>]| -> f64 { values(pool::log_mean_probability(logits) * weights.clone()).iter().map(|v| f64::from(*v)).sum() };
    let pulled = pool::pull(&logits, &weights);
    for (at, pulled) in pulled.iter().enumerate() {
        let way = tensor(&random(10, 20 + at as u32), 5) - 0.5;
        let moved = |side: f32| -> f64 {
            let mut moved = logits.clone();
            moved[at] = moved[at].clone() + way.clone() * (side * 1e-2);
            value(&moved)
        };
        let measured = (moved(1.0) - moved(-1.0)) / 2e-2;
        let said: f64 = values(pulled.clone() * way.clone()).iter().map(|v| f64::from(*v)).sum();
        assert!((measured - said).abs() < 2e-3, "{said}, measured {measured}");
    }
    // Where every probability of the label vanishes in single precision.
    let sure = vec![tensor(&[500.0, -500.0, 0.0], 3), tensor(&[400.0, -600.0, 0.0], 3)];
    let pooled = values(pool::log_mean_probability(&sure));
    assert!(pooled.iter().all(|value| value.is_finite()) && (pooled[1] + 1000.0).abs() < 1.0, "{pooled:?}");
    for pulled in pool::pull(&sure, &tensor(&[1.0, -1.0, 0.0], 3)) {
        assert!(values(pulled).iter().all(|value| value.is_finite()));
    }
}

fn gradients_of_ensembles_are_those_of_finite_differences() {
    let data = separable(3, 6, 0.2);
    let features = data.features();
    let (x, way, step) = (random(features, 5), random(features, 6), 1e-2f32);
    for combine in Combine::ALL {
        let oracle = ensemble(&data, combine);
        let gradient =
            |oracle: &Oracle| values(oracle.gradient(tensor(&x, features), &[Draw::none(1)], |_| vec![tensor(&[1.0, -0.5, 0.25], 3)]));
        let value = |side: f32| -> f64 {
            let moved: Vec<f32> = x.iter().zip(&way).map(|(x, way)| x + side * step * (way - 0.5)).collect();
            let logits = values(oracle.logits(tensor(&moved, features), &Draw::none(1)));
            f64::from(logits[0]) - 0.5 * f64::from(logits[1]) + 0.25 * f64::from(logits[2])
        };
        let measured = (value(1.0) - value(-1.0)) / f64::from(2.0 * step);
        let said: f64 = gradient(&oracle).iter().zip(&way).map(|(g, way)| f64::from(g * (way - 0.5))).sum();
        assert!((measured - said).abs() < 1e-3, "{}: {said}, measured {measured}", combine.name());
        let hidden = gradient(&oracle.unknown());
        assert_eq!(hidden.iter().all(|value| *value == 0.0), combine == Combine::Vote, "{}", combine.name());
    }
}
