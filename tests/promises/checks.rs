//! Checks of a flawed evaluation: each fires on what it was made for, and stays quiet on honest models.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};

use burn::tensor::{Device, Tensor, activation};
use gauntlet::certify::Certificate;
use gauntlet::data::{self, Dataset, Request};
use gauntlet::defence::{Backward, TRAINERS, Trainee, WRAPPERS, Wrapper, naive, train};
use gauntlet::engine::chain::Walk;
use gauntlet::engine::clean::{self, CleanDecision};
use gauntlet::engine::draw::Draw;
use gauntlet::engine::drive::send;
use gauntlet::engine::oracle::Oracle;
use gauntlet::evaluate::checks::{self, Attacked, CHECKS, Certified, Found, Remedy, Subject, Trust, Verdict, Wish, additions};
use gauntlet::evaluate::record::{self, Audited, ExampleOutcomes, Outcome, SeriesKey, Settled};
use gauntlet::kernel::random::{philox, unit};
use gauntlet::model::{Blueprint, Classifier, MODELS};
use gauntlet::suite::{AttackSpec, parse_options};
use gauntlet::threat::{Norm, Sweep, Threat};
use serde_json::Value;

use super::bench_model::{Trial, attack, relabelled, separable, separator, untrained};

promises! {
    [controls, on_results, on_runs, values]
    honest_models_fail_no_check,
    each_broken_defence_is_caught_by_the_check_made_for_it,
    checks_of_the_output_fire_on_what_they_are_made_for,
    checks_of_the_gradient_fire_on_what_they_are_made_for,
    a_defence_that_nothing_moves_survives_distances_that_nothing_survives,
    an_attack_that_more_steps_improve_has_not_converged,
    a_defence_without_a_right_decision_is_skipped_and_not_passed,
    the_same_checks_come_to_the_same,
}

/// A defence, its data, and what attacks found.
struct Case {
    oracle: Oracle,
    data: Dataset,
    pixels: Tensor<2>,
    clean: Vec<CleanDecision>,
    series: Vec<Attacked>,
    certified: Vec<Certified>,
}

impl Case {
    fn new(oracle: Oracle, data: Dataset) -> Self {
        let pixels = send(&data, oracle.device());
        let clean = clean::decide(&oracle, &data, &pixels, 32, 0).unwrap();
        Self { oracle, data, pixels, clean, series: Vec::new(), certified: Vec::new() }
    }

    /// Attacks it as a suite would.
    fn attacked(mut self, kind: &str, options: &str, norm: Norm, epsilons: &[f64]) -> Self {
        let right: Vec<usize> = (0..self.data.len()).filter(|&at| self.clean[at].is_right(self.data.labels[at])).collect();
        let trial = Trial { kind, options, norm, epsilons, walk: Walk::Each, slots: 16, cadence: 1 };
        let (found, _) = attack(&trial, &self.oracle, &self.data, &right);
        let wrong = |id: u32| ExampleOutcomes { example: id, outcomes: vec![outcome('b'); epsilons.len()] };
        let outcomes = self.data.ids.iter().map(|id| found.get(id).cloned().unwrap_or_else(|| wrong(*id))).collect();
        self.series.push(series(kind, options, norm, epsilons, outcomes));
        self
    }

    /// The usual attacks of a suite.
    fn usual(self, epsilons: &[f64]) -> Self {
        let noise = self.attacked("noise", "draws = 10", Norm::Linf, epsilons).attacked("fgsm", "", Norm::Linf, epsilons);
        noise.attacked("pgd", "steps = 20", Norm::Linf, epsilons)
    }

    fn subject(&self) -> Subject<'_> {
        Subject {
            defence: "tested",
            oracle: &self.oracle,
            data: &self.data,
            pixels: &self.pixels,
            clean: &self.clean,
            slots: 32,
            cadence: 1,
            seed: 5,
            series: self.series.clone(),
            certified: self.certified.clone(),
        }
    }

    fn found(&self, check: &str) -> Found {
        (CHECKS.iter().find(|row| row.name == check).expect("a check of that name").run)(&self.subject()).unwrap()
    }

    fn all(&self) -> BTreeMap<&'static str, Found> {
        CHECKS.iter().map(|row| (row.name, (row.run)(&self.subject()).unwrap())).collect()
    }
}

fn series(kind: &str, options: &str, norm: Norm, epsilons: &[f64], outcomes: Vec<ExampleOutcomes>) -> Attacked {
    let row = gauntlet::attack::ATTACKS.iter().find(|row| row.entry.name == kind).unwrap();
    Attacked {
        key: SeriesKey { defence: "tested".into(), attack: kind.into(), norm },
        kind: kind.into(),
        options: parse_options(&row.entry, options).unwrap(),
        threat: Threat { norm, epsilons: epsilons.to_vec(), sweep: Sweep::Descending },
        outcomes,
        audits: None,
        rerun: false,
    }
}

/// b: broken, s: survived, f: failed.
fn outcome(letter: char) -> Outcome {
    let (verdict, distance) = match letter {
        'b' => (record::Verdict::Broken, Some(0.01)),
        's' => (record::Verdict::Survived, None),
        _ => (record::Verdict::Failed, None),
    };
    Outcome { verdict, settled: Settled::Attack, distance, forwards: 1, backwards: 1 }
}

fn digits(split: &str) -> Dataset {
    data::load("digits", &Request { split: split.parse().unwrap(), ..Request::default() }).unwrap()
}

/// Values as pictures hold them: multiples of 1/255.
fn as_pictures(data: &Dataset) -> Dataset {
    let images = data.images().iter().map(|value| (value * 255.0).round() / 255.0).collect();
    Dataset::new("pictures", data.shape, data.classes, data.ids.clone(), images, data.labels.clone()).unwrap()
}

fn pictures() -> Dataset {
    as_pictures(&digits("test").limit(80))
}

fn classifier(data: &Dataset, device: &Device) -> Classifier {
    let row = MODELS.iter().find(|row| row.entry.name == "small-cnn").unwrap();
    let options = parse_options(&row.entry, "channels = 8\nhidden = 32").unwrap();
    let blueprint = Blueprint { options: &options, shape: data.shape, classes: data.classes };
    Classifier::new("small-cnn", 1, &blueprint, device).unwrap()
}

/// A small network, adversarially trained for a moment.
fn trained() -> Oracle {
    static TRAINED: OnceLock<Oracle> = OnceLock::new();
    let make = || {
        let (data, device) = (digits("train"), Device::flex());
        let trainer = TRAINERS.iter().find(|row| row.entry.name == "pgd").unwrap();
        let options = parse_options(&trainer.entry, "epochs = 4\nepsilon = 0.1\nsteps = 3\nlearning_rate = 0.003").unwrap();
        let classifier = classifier(&data, &device);
        let trainee = Trainee { name: "tested", classifier, seed: 1, trainer, options: &options, data: &data, device: &device };
        Oracle::new(train(&trainee, &mut |_| Ok(())).unwrap().0, device)
    };
    TRAINED.get_or_init(make).clone()
}

const EPSILONS: [f64; 4] = [0.0, 0.05, 0.1, 0.2];

fn behind(oracle: Oracle, wrapper: impl Wrapper + 'static) -> Oracle {
    oracle.behind(Arc::new([Box::new(wrapper) as Box<dyn Wrapper>]))
}

/// The trained network behind a wrapper that attacks do not know.
fn wrapped(kind: &str, options: &str) -> Oracle {
    let row = WRAPPERS.iter().find(|row| row.entry.name == kind).unwrap();
    let wrapper = (row.build)(&parse_options(&row.entry, options).unwrap());
    trained().behind(Arc::new([naive(wrapper, row.backward)])).unknown()
}

fn honest_models_fail_no_check() {
    let mut cases = vec![("trained", Case::new(trained(), pictures()).usual(&EPSILONS))];
    for classes in [2, 4] {
        let data = as_pictures(&separable(classes, 40, 0.5));
        let oracle = separator(&data, 5.0, &Device::flex());
        cases.push(("separator", Case::new(oracle, data).usual(&EPSILONS)));
    }
    for (name, case) in cases {
        for (check, found) in case.all() {
            assert!(found.verdict != Verdict::Fail, "{name}, {check}: {found:?}");
            assert!(found.detail.len() > 10, "{check} says why: {found:?}");
        }
        assert_eq!(case.found("zero-gradients").verdict, Verdict::Pass, "{name}");
        assert_eq!(case.found("large-epsilon").verdict, Verdict::Pass, "{name}");
        assert_eq!(case.found("score-beats-white-box").remedy, Some(Remedy::Square), "{name} has no score-based attack");
    }
}

/// A wrapper, its options, and what the checks must say of it.
type Caught = (&'static str, &'static str, &'static [(&'static str, Verdict)]);

fn each_broken_defence_is_caught_by_the_check_made_for_it() {
    let table: [Caught; 7] = [
        ("bit-depth", "bits = 3", &[("zero-gradients", Verdict::Fail)]),
        ("thresholded", "", &[("zero-gradients", Verdict::Fail)]),
        ("jpeg", "", &[("zero-gradients", Verdict::Fail)]),
        ("total-variation", "keep = 1.0", &[("zero-gradients", Verdict::Fail)]),
        ("temperature", "", &[("zero-gradients", Verdict::Fail)]),
        ("random-resize", "", &[("random-output", Verdict::Fail)]),
        ("grid-detector", "", &[("eight-bit", Verdict::Fail)]),
    ];
    for row in WRAPPERS.iter().filter(|row| row.backward != Backward::Exact && row.backward != Backward::Poll) {
        // A detector's stand-in is for its score alone.
        let caught = table.iter().any(|(kind, ..)| *kind == row.entry.name) || row.entry.name == "squeeze-detector";
        assert!(caught, "{} has its check", row.entry.name);
    }
    for (kind, options, expected) in table {
        let case = Case::new(wrapped(kind, options), pictures()).usual(&EPSILONS);
        assert!(case.clean.iter().zip(&case.data.labels).filter(|(clean, label)| clean.is_right(**label)).count() > 40, "{kind} works");
        for (check, verdict) in expected {
            let found = case.found(check);
            assert_eq!(found.verdict, *verdict, "{kind}, {check}: {found:?}");
        }
    }
    // What the remedy asks for is heard.
    let saturated = |options| Case::new(wrapped("temperature", ""), pictures()).attacked("pgd", options, Norm::Linf, &EPSILONS);
    assert_eq!(saturated("steps = 4").found("zero-gradients").remedy, Some(Remedy::Margin));
    assert_eq!(saturated("steps = 4\nloss = \"margin\"").found("zero-gradients").verdict, Verdict::Warn);
    let random = |options| Case::new(wrapped("random-resize", ""), pictures()).attacked("pgd", options, Norm::Linf, &[0.1]);
    assert_eq!(random("steps = 2").found("random-output").remedy, Some(Remedy::Average));
    assert_eq!(random("steps = 2\neot = 10").found("random-output").verdict, Verdict::Pass);
}

struct Softmax;
impl Wrapper for Softmax {
    fn logits(&self, logits: Tensor<2>) -> Tensor<2> {
        activation::softmax(logits, 1)
    }
}

/// What every input of the batch has in common is taken away, as batch normalisation in training does.
struct Centred;
impl Wrapper for Centred {
    fn inputs(&self, inputs: Tensor<2>, _shape: [usize; 3], _draw: &Draw) -> Tensor<2> {
        inputs.clone() - inputs.mean_dim(0)
    }
}

/// Another answer every time, without a word.
struct Secretly(AtomicU32);
impl Wrapper for Secretly {
    fn logits(&self, logits: Tensor<2>) -> Tensor<2> {
        let turn = self.0.fetch_add(1, Ordering::Relaxed) % 7;
        let first = logits.clone().slice([0..logits.dims()[0], 0..1]) + turn as f32 * 0.1;
        let rest = logits.clone().slice([0..logits.dims()[0], 1..logits.dims()[1]]);
        Tensor::cat(vec![first, rest], 1)
    }
}

/// Waves much shorter than 8/255.
struct Waves;
impl Wrapper for Waves {
    fn inputs(&self, inputs: Tensor<2>, _shape: [usize; 3], _draw: &Draw) -> Tensor<2> {
        (inputs * 500.0).sin()
    }
}

fn checks_of_the_output_fire_on_what_they_are_made_for() {
    let quiet = Case::new(trained(), pictures());
    for check in ["softmax-output", "batch-invariance", "random-output", "unstable-predictions"] {
        assert_eq!(quiet.found(check).verdict, Verdict::Pass, "{check}: {:?}", quiet.found(check));
    }
    let relabelled = |oracle: Oracle| {
        let data = relabelled(pictures(), &oracle);
        Case::new(oracle, data)
    };
    assert_eq!(relabelled(behind(trained(), Softmax)).found("softmax-output").verdict, Verdict::Fail);
    assert_eq!(relabelled(behind(trained(), Centred)).found("batch-invariance").verdict, Verdict::Fail);
    let secret = relabelled(behind(trained(), Secretly(AtomicU32::new(0)))).found("random-output");
    assert_eq!((secret.verdict, secret.remedy), (Verdict::Fail, None));
    let waves = relabelled(behind(trained(), Waves)).found("unstable-predictions");
    assert_eq!(waves.verdict, Verdict::Warn, "{waves:?}");
    assert!(waves.forwards == 101 * 64, "{waves:?}");
}

/// The identity, with an infinite slope at 0.
struct Root;
impl Wrapper for Root {
    fn inputs(&self, inputs: Tensor<2>, _shape: [usize; 3], _draw: &Draw) -> Tensor<2> {
        inputs.sqrt().powi_scalar(2)
    }
}

fn checks_of_the_gradient_fire_on_what_they_are_made_for() {
    let quiet = Case::new(trained(), pictures());
    assert_eq!(quiet.found("non-finite-gradients").verdict, Verdict::Pass);
    assert_eq!((quiet.found("zero-gradients").verdict, quiet.found("zero-gradients").forwards), (Verdict::Pass, 128));
    let root = Case::new(behind(trained(), Root), pictures()).found("non-finite-gradients");
    assert_eq!(root.verdict, Verdict::Fail, "{root:?}");
    let steps = Case::new(wrapped("thresholded", ""), pictures()).found("zero-gradients");
    assert_eq!(steps.remedy, Some(Remedy::Square));
    assert!(steps.detail.contains("BPDA"), "{steps:?}");
}

/// The same for every input.
struct Deaf;
impl Wrapper for Deaf {
    fn inputs(&self, inputs: Tensor<2>, _shape: [usize; 3], _draw: &Draw) -> Tensor<2> {
        inputs * 0.0
    }
}

fn a_defence_that_nothing_moves_survives_distances_that_nothing_survives() {
    let oracle = behind(trained(), Deaf);
    let data = relabelled(pictures().limit(30), &oracle);
    let case = |norm| Case::new(oracle.clone(), data.clone()).attacked("pgd", "steps = 2", norm, &[0.1]);
    for check in ["large-epsilon", "unconstrained"] {
        let found = case(Norm::Linf).found(check);
        assert_eq!((found.verdict, found.remedy), (Verdict::Fail, Some(Remedy::Square)), "{check}");
        // Both losses, every step: a pass before each of 40 steps, and the last.
        assert_eq!(found.forwards, 30 * 2 * 41, "{check}");
    }
    assert_eq!(case(Norm::L2).found("unconstrained").verdict, Verdict::Fail);
    assert_eq!(case(Norm::L2).found("large-epsilon").verdict, Verdict::Skip);
    let honest = Case::new(trained(), pictures()).attacked("pgd", "steps = 2", Norm::L2, &[0.1]).attacked("fgsm", "", Norm::Linf, &[0.1]);
    assert_eq!(honest.found("unconstrained").verdict, Verdict::Pass, "{:?}", honest.found("unconstrained"));
}

fn drawn(scale: f32, levels: f32) -> Case {
    let value = |at: u32| {
        let value = scale * unit(philox([at, 0, 0, 0], [1, 2])[0]);
        if levels > 0.0 { (value * levels).round() / levels } else { value }
    };
    let images = (0..40 * 64).map(value).collect();
    let data = Dataset::new("drawn", [1, 8, 8], 2, (0..40).collect(), images, vec![0; 40]).unwrap();
    let oracle = untrained("linear", &data, &Device::flex());
    Case::new(oracle, data)
}

fn an_attack_that_more_steps_improve_has_not_converged() {
    let with = |options| Case::new(trained(), pictures()).attacked("pgd", options, Norm::Linf, &EPSILONS).found("not-converged");
    let lame = with("steps = 2\nstep_relative = 0.15\nrandom_start = false");
    assert_eq!((lame.verdict, lame.remedy), (Verdict::Fail, Some(Remedy::Longer { attack: "pgd".into() })), "{}", lame.detail);
    let covered = Case::new(trained(), pictures())
        .attacked("pgd", "steps = 2\nstep_relative = 0.15\nrandom_start = false", Norm::Linf, &EPSILONS)
        .attacked("autoattack", "", Norm::Linf, &EPSILONS)
        .found("not-converged");
    assert!(covered.verdict == Verdict::Warn && covered.detail.contains("by other attacks of the suite"), "{covered:?}");
    let thorough = with("steps = 40\nrestarts = 2");
    assert!(thorough.verdict <= Verdict::Warn && thorough.forwards > 0, "{thorough:?}");
    let alone = Case::new(trained(), pictures()).attacked("fgsm", "", Norm::Linf, &EPSILONS).found("not-converged");
    assert_eq!(alone.verdict, Verdict::Skip);
}

fn a_defence_without_a_right_decision_is_skipped_and_not_passed() {
    let mut data = relabelled(pictures().limit(20), &trained());
    data.labels.iter_mut().for_each(|label| *label = (*label + 1) % 10);
    let case = Case::new(trained(), data).usual(&[0.1]);
    for check in ["zero-gradients", "random-output", "softmax-output", "large-epsilon", "unconstrained", "not-converged", "eight-bit"] {
        let found = case.found(check);
        assert_eq!((found.verdict, found.forwards), (Verdict::Skip, 0), "{check}: {found:?}");
    }
}

fn the_same_checks_come_to_the_same() {
    let case = || Case::new(wrapped("random-resize", ""), pictures().limit(30)).attacked("pgd", "steps = 3", Norm::Linf, &[0.1]);
    let one = checks::run(&case().subject()).unwrap();
    assert_eq!(one, checks::run(&case().subject()).unwrap());
    assert_eq!(one.len(), CHECKS.len());
    let mut names: Vec<&str> = CHECKS.iter().map(|row| row.name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), CHECKS.len());
}

#[path = "checks/controls.rs"]
mod controls;
#[path = "checks/on_results.rs"]
mod on_results;
#[path = "checks/on_runs.rs"]
mod on_runs;
#[path = "checks/values.rs"]
mod values;
