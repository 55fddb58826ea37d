//! Data: what a source hands out is what its files hold, and no file, however broken, is read as something else or ends in a panic.

#[path = "data/idx.rs"]
mod idx;
#[path = "data/npz.rs"]
mod npz;
#[path = "data/real.rs"]
mod real;
#[path = "data/synthetic.rs"]
mod synthetic;

use std::io::Write;
use std::path::Path;

use flate2::Compression;
use gauntlet::data::{Dataset, Request, SOURCES, Split, load, source};
use gauntlet::options::{Options, Value};
use gauntlet::{Error, Result};

promises! {
    [idx, npz, real, synthetic]
    every_source_has_its_own_name_and_a_split_to_attack_by_default,
    a_split_is_all_a_name_or_a_range_and_is_written_as_it_is_read,
    unknown_names_are_answered_with_the_nearest_known_one_all_at_once,
    more_examples_than_there_are_or_none_are_refused,
    a_set_with_a_wrong_count_label_or_value_is_refused_with_its_example,
    the_hash_tells_pixels_labels_ids_and_shape_apart_and_nothing_else,
    a_limited_set_is_the_set_that_was_asked_for_in_the_first_place,
    the_digits_are_the_known_ones,
    the_digits_split_is_fixed_stratified_and_a_fifth,
    bad_data_is_bad_input,
}

fn text(value: impl AsRef<Path>) -> Value {
    Value::Text(value.as_ref().display().to_string())
}

fn ask(split: &str, options: &[(&str, Value)]) -> Request {
    let options = Options(options.iter().map(|(name, value)| (name.to_string(), value.clone())).collect());
    Request { options, split: split.parse().unwrap(), ..Request::default() }
}

/// The message and the way out, of every error gathered in this one.
fn told(result: Result<Dataset>) -> String {
    match result {
        Ok(dataset) => panic!("{} was read without an error", dataset.name),
        Err(error) => format!("{error:?}"),
    }
}

#[track_caller]
fn says(result: Result<Dataset>, parts: &[&str]) {
    let message = told(result);
    for part in parts {
        assert!(message.contains(part), "`{part}` is missing in: {message}");
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn every_source_has_its_own_name_and_a_split_to_attack_by_default() {
    let names: std::collections::BTreeSet<&str> = SOURCES.iter().map(|source| source.entry.name).collect();
    assert_eq!(names.len(), SOURCES.len());
    assert_eq!(source("digits").unwrap().default_split(), Split::Named("test".into()));
    assert_eq!(source("npz").unwrap().default_split(), Split::All);
}

fn a_split_is_all_a_name_or_a_range_and_is_written_as_it_is_read() {
    let parse = |text: &str| text.parse::<Split>();
    assert_eq!(parse("all").unwrap(), Split::All);
    assert_eq!(parse("test").unwrap(), Split::Named("test".into()));
    assert_eq!(parse("0..1000").unwrap(), Split::Range(0, Some(1000)));
    assert_eq!(parse("100..").unwrap(), Split::Range(100, None));
    assert_eq!(parse(" ..50 ").unwrap(), Split::Range(0, Some(50)));
    for text in ["all", "train", "0..1000", "100.."] {
        assert_eq!(parse(text).unwrap().to_string(), text);
    }
    for text in ["", "5..5", "9..3", "a..b", "1..=3", "-1..4", "1...4", "99999999999999999999.."] {
        assert!(parse(text).is_err(), "{text} is no split");
    }
}

fn unknown_names_are_answered_with_the_nearest_known_one_all_at_once() {
    says(load("digit", &ask("test", &[])), &["unknown data source `digit`", "did you mean `digits`", "idx, npz, synthetic"]);
    says(load("digits", &ask("tset", &[])), &["no split `tset`", "did you mean `test`", "train, test, all"]);
    says(load("digits", &ask("0..10", &[])), &["no split `0..10`", "train, test, all"]);
    says(load("npz", &ask("train", &[("path", text("x.npz"))])), &["no splits", "`train`", "0..1000"]);
    let several = load("synthetic", &ask("tests", &[("class", Value::Integer(3)), ("width", Value::Integer(0)), ("margin", text("x"))]));
    says(
        several,
        &["no split `tests`", "no option `class`", "did you mean `classes`", "`width` is 0", "from 1 to 1024", "`margin` is \"x\""],
    );
}

fn more_examples_than_there_are_or_none_are_refused() {
    let some = |examples| Request { examples: Some(examples), ..ask("test", &[]) };
    says(load("digits", &some(361)), &["361 examples", "has 360", "from 1 to 360"]);
    says(load("digits", &some(0)), &["0 examples"]);
    assert_eq!(load("digits", &some(360)).unwrap().len(), 360);
}

fn two_by_one(images: Vec<f32>, labels: Vec<u32>) -> Result<Dataset> {
    Dataset::new("set", [1, 1, 2], 3, (10..10 + labels.len() as u32).collect(), images, labels)
}

fn a_set_with_a_wrong_count_label_or_value_is_refused_with_its_example() {
    assert_eq!(two_by_one(vec![0.0, 1.0, 0.5, 0.25], vec![0, 2]).unwrap().image(1), [0.5, 0.25]);
    says(two_by_one(vec![0.0; 3], vec![0, 2]), &["counts disagree", "2 labels", "1.5 images"]);
    says(two_by_one(vec![], vec![]), &["no examples"]);
    says(two_by_one(vec![0.0; 4], vec![0, 3]), &["example 11", "label 3", "0 to 2"]);
    says(two_by_one(vec![0.0, 0.0, 0.0, f32::NAN], vec![0, 1]), &["example 11", "NaN", "column 1"]);
    says(two_by_one(vec![0.0, f32::INFINITY, 0.0, 0.0], vec![0, 1]), &["example 10", "inf"]);
    says(two_by_one(vec![0.0, 0.0, 255.0, 0.0], vec![0, 1]), &["example 11", "255", "images / 255"]);
    says(two_by_one(vec![-1.0, 0.0, 1.0, 0.0], vec![0, 1]), &["example 10", "-1", "(images + 1) / 2"]);
    says(two_by_one(vec![-2.1, 0.0, 2.4, 0.0], vec![0, 1]), &["images * std + mean"]);
    says(two_by_one(vec![0.0, 0.0, 7.0, 0.0], vec![0, 9]), &["label 9", "the value 7"]);
    says(Dataset::new("set", [1, 1, 1], 2, vec![4, 4], vec![0.0; 2], vec![0, 1]), &["id 4 is used twice"]);
    says(Dataset::new("set", [1, 0, 2], 2, vec![], vec![], vec![]), &["no pixels"]);
    says(Dataset::new("set", [1, 1, 1], 1, vec![0], vec![0.0], vec![0]), &["two classes"]);
    says(Dataset::new("set", [usize::MAX, 2, 2], 2, vec![0], vec![0.0], vec![0]), &["counts disagree"]);
}

fn the_hash_tells_pixels_labels_ids_and_shape_apart_and_nothing_else() {
    let new = |name: &str, shape, ids: [u32; 2], images: [f32; 4], labels: [u32; 2]| {
        Dataset::new(name, shape, 3, ids.to_vec(), images.to_vec(), labels.to_vec()).unwrap().hash
    };
    let (shape, images) = ([1, 1, 2], [0.0, 0.5, 1.0, 0.25]);
    let plain = new("a", shape, [0, 1], images, [0, 1]);
    assert_eq!(plain, new("b", shape, [0, 1], images, [0, 1]));
    assert_eq!(plain.len(), 64);
    let others = [
        new("a", [1, 2, 1], [0, 1], images, [0, 1]),
        new("a", shape, [0, 2], images, [0, 1]),
        new("a", shape, [0, 1], [0.0, 0.5, 1.0, 0.250_001], [0, 1]),
        new("a", shape, [0, 1], images, [1, 0]),
    ];
    for other in others {
        assert_ne!(plain, other);
    }
}

fn a_limited_set_is_the_set_that_was_asked_for_in_the_first_place() {
    let whole = load("digits", &ask("test", &[])).unwrap();
    let limited = whole.clone().limit(50);
    let asked = load("digits", &Request { examples: Some(50), ..ask("test", &[]) }).unwrap();
    assert_eq!((limited.hash, limited.ids.as_slice()), (asked.hash, &whole.ids[..50]));
    assert_eq!(whole.clone().limit(5000).hash, whole.hash);
    assert!(whole.limit(0).is_empty());
}

fn the_digits_are_the_known_ones() {
    let all = load("digits", &ask("all", &[])).unwrap();
    assert_eq!((all.len(), all.shape, all.classes, all.features()), (1797, [1, 8, 8], 10, 64));
    let counts: Vec<usize> = (0..10).map(|class| all.labels.iter().filter(|&&label| label == class).count()).collect();
    assert_eq!(counts, [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]);
    // scikit-learn's `load_digits().data.sum()`.
    assert_eq!(all.images().iter().map(|&value| f64::from(value) * 16.0).sum::<f64>(), 561_718.0);
    assert_eq!(all.image(0)[..8].iter().map(|value| value * 16.0).collect::<Vec<_>>(), [0.0, 0.0, 5.0, 13.0, 9.0, 1.0, 0.0, 0.0]);
    assert_eq!(all.labels[..10], [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
}

fn the_digits_split_is_fixed_stratified_and_a_fifth() {
    let [train, test, all] = ["train", "test", "all"].map(|split| load("digits", &ask(split, &[])).unwrap());
    assert_eq!((train.len(), test.len()), (1437, 360));
    let mut union = [train.ids.clone(), test.ids.clone()].concat();
    union.sort_unstable();
    assert_eq!(union, all.ids);
    for (i, &id) in test.ids.iter().enumerate() {
        assert_eq!((test.image(i), test.labels[i]), (all.image(id as usize), all.labels[id as usize]));
    }
    for class in 0..10 {
        let count = |set: &Dataset| set.labels.iter().filter(|&&label| label == class).count() as f64;
        assert!((count(&test) - count(&all) * 360.0 / 1797.0).abs() < 1.0, "class {class} has {} in the test split", count(&test));
    }
    assert_eq!(test.name, "digits, test");
    // A change of the split would make runs incomparable: it needs this line to change.
    assert_eq!(&test.ids[..8], [6, 9, 11, 23, 25, 36, 39, 40]);
    assert_eq!(test.hash, "e3748101c56224d8a44557c0c979d84c95303ffc547be1b15d63051f7aaaefc3");
}

fn bad_data_is_bad_input() {
    let error: Error = load("npz", &ask("all", &[("path", text("/no/such.npz"))])).unwrap_err();
    assert_eq!((error.kind(), error.exit_code()), (gauntlet::error::Kind::Input, 2));
}
