//! The distances that attacks are measured against, worked out again from the separator and the norms' duals.

use std::collections::BTreeMap;

use gauntlet::data::{load, synthetic};
use gauntlet::options::Value;

use super::{ask, says};

promises! {
    every_synthetic_example_lies_at_the_margin_from_the_known_separator_within_the_box,
    synthetic_examples_depend_on_seed_split_and_position_alone,
    an_impossible_synthetic_margin_names_the_largest_possible_one,
}

fn logits(weights: &[f32], image: &[f32]) -> Vec<f64> {
    weights.chunks(image.len()).map(|row| row.iter().zip(image).map(|(&w, &x)| f64::from(w) * f64::from(x)).sum()).collect()
}

fn every_synthetic_example_lies_at_the_margin_from_the_known_separator_within_the_box() {
    for (classes, shape, margin) in
        [(3, [1, 8, 8], 0.3), (2, [3, 4, 5], 0.7), (10, [1, 8, 8], 0.3), (5, [1, 1, 5], 0.1), (4, [2, 3, 3], 0.25)]
    {
        let options = [
            ("classes", Value::Integer(classes as i64)),
            ("channels", Value::Integer(shape[0] as i64)),
            ("height", Value::Integer(shape[1] as i64)),
            ("width", Value::Integer(shape[2] as i64)),
            ("margin", Value::Number(margin)),
            ("count", Value::Integer(60)),
        ];
        let set = load("synthetic", &ask("test", &options)).unwrap();
        assert_eq!((set.len(), set.shape, set.classes), (60, shape, classes));
        let weights = synthetic::separator(classes, shape).unwrap();
        let linf = synthetic::linf_distance(classes, shape, margin).unwrap();
        let mut runners_up = BTreeMap::new();
        for i in 0..set.len() {
            let label = set.labels[i] as usize;
            assert_eq!(label, i % classes);
            let z = logits(&weights, &set.image(i));
            let row = |class: usize| &weights[class * set.features()..(class + 1) * set.features()];
            // The distance to a class over the length of the difference of the rows, in the dual norm.
            let distances = |class: usize| {
                let difference: Vec<f64> = row(label).iter().zip(row(class)).map(|(&a, &b)| f64::from(a) - f64::from(b)).collect();
                let l2 = difference.iter().map(|value| value * value).sum::<f64>().sqrt();
                let l1 = difference.iter().map(|value| value.abs()).sum::<f64>();
                ((z[label] - z[class]) / l2, (z[label] - z[class]) / l1)
            };
            let mut others: Vec<(f64, f64, usize)> =
                (0..classes).filter(|&class| class != label).map(|class| (distances(class).0, distances(class).1, class)).collect();
            others.sort_by(|a, b| a.0.total_cmp(&b.0));
            assert!((others[0].0 - margin).abs() < 1e-6, "l2 {} for {margin}", others[0].0);
            assert!((others[0].1 - linf).abs() < 1e-6, "linf {} for {linf}", others[0].1);
            assert!(others[1..].iter().all(|other| (other.0 - 2.0 * margin).abs() < 1e-6));
            *runners_up.entry(others[0].2).or_insert(0) += 1;
            let room = set.image(i).iter().map(|&value| f64::from(value.min(1.0 - value))).fold(1.0, f64::min);
            assert!(room >= 0.15 - 1e-6 && room >= 1.5 * linf - 1e-6, "room {room} for {linf}");
        }
        assert_eq!(runners_up.len(), classes, "every class is a runner-up now and then");
    }
}

fn synthetic_examples_depend_on_seed_split_and_position_alone() {
    let make = |split: &str, seed: i64, count: i64| {
        load("synthetic", &ask(split, &[("seed", Value::Integer(seed)), ("count", Value::Integer(count))])).unwrap()
    };
    let test = make("test", 0, 40);
    assert_eq!(make("test", 0, 40).hash, test.hash);
    assert_eq!(make("test", 0, 400).limit(40).hash, test.hash);
    assert_ne!(make("test", 1, 40).hash, test.hash);
    let train = make("train", 0, 40);
    assert!((0..40).all(|i| train.image(i) != test.image(i)));
}

fn an_impossible_synthetic_margin_names_the_largest_possible_one() {
    let with_margin = |margin: f64| load("synthetic", &ask("test", &[("margin", Value::Number(margin))]));
    says(with_margin(0.7), &["margin of 0.7", "0.648 at most"]);
    assert!(with_margin(0.648).is_ok());
    says(with_margin(f64::NAN), &["`margin`"]);
    says(load("synthetic", &ask("test", &[("classes", Value::Integer(65))])), &["64 features", "65 classes"]);
    let huge = [("height", Value::Integer(1024)), ("width", Value::Integer(1024)), ("channels", Value::Integer(64))];
    let set = load("synthetic", &ask("test", &huge)).unwrap();
    assert_eq!((set.len(), set.bytes()), (500, 0), "images are made when they are asked for");
}
