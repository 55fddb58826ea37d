//! Training methods: their losses are their authors', each learns, those against attacks withstand them, and a training that is cut off ends
//! as if it had not been.

use burn::tensor::{Device, Int, Tensor};
use gauntlet::attack::{ATTACKS, Setting};
use gauntlet::data::{self, Dataset, Request};
use gauntlet::defence::{Inner, Progress, TRAINERS, Trainee, craft, train, train_kept};
use gauntlet::engine::draw::Draw;
use gauntlet::engine::oracle::Oracle;
use gauntlet::evaluate::interval::wilson;
use gauntlet::evaluate::paired::{Counts, difference_interval};
use gauntlet::evaluate::record::{Epoch, Event};
use gauntlet::model::{self, Classifier, Weights, initialise};
use gauntlet::options::{Options, Value};
use gauntlet::suite::catalogue::catalogue;
use gauntlet::suite::{parse_model, parse_options};
use gauntlet::threat::Norm;
use gauntlet::{Error, Result};

#[path = "trainers/losses.rs"]
mod losses;
#[path = "trainers/options.rs"]
mod options;
#[path = "trainers/resumed.rs"]
mod resumed;

promises! { [losses, options, resumed]
    every_trainer_learns_and_those_against_attacks_withstand_pgd,
    pgd_training_is_worth_forty_points_at_its_epsilon,
    distillation_gains_next_to_nothing_before_an_attack_that_knows_it,
    norms_trained_against_are_norms_withstood,
    one_step_training_collapses_unchecked_and_the_check_stops_it_there,
    interval_training_certifies_what_no_attack_breaks,
    a_collapse_to_chance_is_an_error_with_its_epoch,
}

fn digits(split: &str) -> Dataset {
    data::load("digits", &Request { split: split.parse().unwrap(), ..Request::default() }).unwrap()
}

/// A network for digits, from a suite's model table.
fn network(table: &str, seed: u64) -> Classifier {
    network_for(table, seed, [1, 8, 8])
}

fn network_for(table: &str, seed: u64, shape: [usize; 3]) -> Classifier {
    let spec = parse_model(table, "".as_ref(), &catalogue()).unwrap();
    let design = model::source::design(&spec, "".as_ref(), shape, 10).unwrap();
    let weights = initialise(&design.graph, seed);
    Classifier::from_graph(design.graph, &weights, &Device::flex()).unwrap()
}

const SMALL: &str = "{ architecture = \"small-cnn\", channels = 8, hidden = 32 }";

type Trained = Result<(Classifier, Vec<Epoch>)>;

/// Calls something with a trainee on the CPU.
fn with_trainee<T>(method: &str, text: &str, classifier: Classifier, data: &Dataset, use_it: impl FnOnce(&Trainee) -> T) -> T {
    let trainer = TRAINERS.iter().find(|row| row.entry.name == method).unwrap();
    let options = parse_options(&trainer.entry, text).unwrap();
    trainer.check(&options).unwrap();
    let device = Device::flex();
    use_it(&Trainee { name: "tested", classifier, seed: 1, trainer, options: &options, data, device: &device })
}

fn trained_from(method: &str, text: &str, classifier: Classifier, data: &Dataset) -> Trained {
    with_trainee(method, text, classifier, data, |trainee| train(trainee, &mut |_| Ok(())))
}

fn trained(method: &str, text: &str, data: &Dataset) -> Trained {
    trained_from(method, text, network(SMALL, 1), data)
}

fn hash(trained: &(Classifier, Vec<Epoch>)) -> String {
    Weights::of(&trained.0.network).hash()
}

/// Which of the examples a classifier decides rightly, and which of them also where an attack with these options ends.
fn stands(classifier: &Classifier, data: &Dataset, kind: &str, text: &str, norm: Norm, epsilon: f32) -> (Vec<bool>, Vec<bool>) {
    let oracle = Oracle::new(classifier.clone(), Device::flex());
    let row = ATTACKS.iter().find(|row| row.entry.name == kind).unwrap();
    let mut options = parse_options(&row.entry, text).unwrap();
    if let Some(stop) = options.0.get_mut("stop") {
        *stop = Value::Text("last".into());
    }
    let attack = (row.build)(&options, &Setting { norm, classes: data.classes, shape: data.shape }).remove(0);
    let inner = Inner { attack, norm, epsilon };
    let inputs = gauntlet::engine::drive::send(data, &Device::flex());
    let right = |inputs: Tensor<2>| -> Vec<bool> {
        let logits: Vec<f32> = oracle.logits(inputs, &Draw::none(data.len())).into_data().try_to_vec().unwrap();
        let largest = |row: &[f32]| (0..10).fold(0, |best, class| if row[class] > row[best] { class } else { best });
        logits.chunks(10).zip(&data.labels).map(|(row, &label)| largest(row) == label as usize).collect()
    };
    let clean = right(inputs.clone());
    let attacked = right(craft(&inner, &oracle, inputs, &data.labels, &data.ids, [1, 2], 0));
    let both = clean.iter().zip(&attacked).map(|(clean, attacked)| *clean && *attacked).collect();
    (clean, both)
}

fn count(flags: &[bool]) -> usize {
    flags.iter().filter(|&&flag| flag).count()
}

/// How many of the examples a classifier decides rightly, and how many of them also where an attack of so many steps ends.
fn counts(classifier: &Classifier, data: &Dataset, kind: &str, steps: i64, norm: Norm, epsilon: f32) -> (usize, usize) {
    let text = if kind == "fgsm" { String::new() } else { format!("steps = {steps}") };
    let (clean, both) = stands(classifier, data, kind, &text, norm, epsilon);
    (count(&clean), count(&both))
}

fn every_trainer_learns_and_those_against_attacks_withstand_pgd() {
    let (data, test) = (digits("train"), digits("test"));
    let common = "epochs = 8\nlearning_rate = 0.005\n";
    let standard = trained("standard", common, &data).unwrap().0;
    let (_, undefended) = counts(&standard, &test, "pgd", 20, Norm::Linf, 0.1);
    // What a method asks for beyond, the floor of its clean accuracy, and whether it is trained against attacks.
    let cases = [
        ("standard", "", 0.93, false),
        ("fgsm", "epsilon = 0.1", 0.9, true),
        ("fast", "epsilon = 0.1", 0.9, true),
        ("free", "epsilon = 0.1\nepochs = 24\nreplays = 3", 0.85, true),
        ("pgd", "epsilon = 0.1\nsteps = 4", 0.9, true),
        ("pgd", "epsilon = 0.1\nsteps = 4\nawp = 0.01\nawp_warmup = 2", 0.88, true),
        ("trades", "epsilon = 0.1\nsteps = 4", 0.88, true),
        ("trades", "epsilon = 0.1\nsteps = 4\nawp = 0.005", 0.85, true),
        ("mart", "epsilon = 0.1\nsteps = 4", 0.85, true),
        ("multi-norm", "steps = 3", 0.85, true),
        ("multi-norm", "steps = 3\nstrategy = \"average\"", 0.85, true),
        ("multi-norm", "steps = 3\nstrategy = \"random\"", 0.85, true),
        ("mixed", "epsilon = 0.1\nsteps = 4", 0.88, true),
        ("ibp", "epsilon = 0.1\nepochs = 20", 0.6, true),
        ("gaussian", "sigma = 0.25", 0.88, false),
        ("distillation", "temperature = 10.0\nlearning_rate = 0.02", 0.85, false),
    ];
    for (method, own, floor, robust) in cases {
        let overridden = |line: &&str| !own.contains(line.split(' ').next().unwrap());
        let text: Vec<&str> = common.lines().filter(overridden).chain(own.lines()).collect();
        let (classifier, history) = trained(method, &text.join("\n"), &data).unwrap();
        assert!(history.iter().all(|epoch| epoch.event.is_none()), "{method}");
        let (clean, stands) = counts(&classifier, &test, "pgd", 20, Norm::Linf, 0.1);
        let share = |count: usize| count as f64 / test.len() as f64;
        assert!(share(clean) > floor, "{method} ({own}): clean {}", share(clean));
        assert!(!robust || share(stands) > share(undefended) + 0.12, "{method} ({own}): {} against {}", share(stands), share(undefended));
    }
    assert_eq!(TRAINERS.iter().filter(|row| !cases.iter().any(|case| case.0 == row.entry.name)).count(), 0, "every row is here");
}

fn pgd_training_is_worth_forty_points_at_its_epsilon() {
    let (data, test) = (digits("train"), digits("test"));
    let at = |method: &str, more: &str| {
        let classifier = network("{ architecture = \"small-cnn\", channels = 16, hidden = 64 }", 1);
        let text = format!("epochs = 16\nlearning_rate = 0.003\n{more}");
        let (classifier, _) = trained_from(method, &text, classifier, &data).unwrap();
        wilson(counts(&classifier, &test, "pgd", 40, Norm::Linf, 0.2).1, test.len(), 0.95)
    };
    let (undefended, defended) = (at("standard", ""), at("pgd", "epsilon = 0.2\nsteps = 5"));
    assert!(defended[0] - undefended[1] > 0.4, "{undefended:?} {defended:?}");
}

/// What Papernot et al. 2016 saw is there, and gone where the loss does not saturate with the softmax.
fn distillation_gains_next_to_nothing_before_an_attack_that_knows_it() {
    let (data, test) = (digits("train"), digits("test"));
    let standard = trained("standard", "epochs = 12\nlearning_rate = 0.005", &data).unwrap().0;
    let distilled = trained("distillation", "epochs = 12\nlearning_rate = 0.02\ntemperature = 100.0", &data).unwrap().0;
    let attacked = |classifier: &Classifier, text: &str| stands(classifier, &test, "pgd", text, Norm::Linf, 0.1).1;
    let naive = [&standard, &distilled].map(|classifier| attacked(classifier, "steps = 40"));
    // What no loss has found: of cross-entropy, the margin and the logits' ratio, which no temperature changes.
    let adaptive = [&standard, &distilled].map(|classifier| {
        let found = ["cross-entropy", "margin", "dlr"].map(|loss| attacked(classifier, &format!("steps = 40\nloss = \"{loss}\"")));
        (0..test.len()).map(|at| found.iter().all(|stands| stands[at])).collect::<Vec<bool>>()
    });
    let gain = |[without, with]: &[Vec<bool>; 2]| {
        let counts = Counts::of(without.iter().copied().zip(with.iter().copied()));
        (counts.difference(), difference_interval(&counts, 0.95))
    };
    let (seeming, real) = (gain(&naive), gain(&adaptive));
    println!("seeming {seeming:?}, real {real:?}");
    assert!(seeming.1[0] > 0.15, "on cross-entropy it seems to gain: {seeming:?}");
    assert!(real.1[1] <= 0.05, "an attack that knows it leaves it no more than 5 points: {real:?}");
}

fn norms_trained_against_are_norms_withstood() {
    let (data, test) = (digits("train"), digits("test"));
    let l2 = trained("pgd", "epochs = 8\nlearning_rate = 0.005\nnorm = \"l2\"\nepsilon = 0.5\nsteps = 4", &data).unwrap().0;
    let standard = trained("standard", "epochs = 8\nlearning_rate = 0.005", &data).unwrap().0;
    let several = trained("multi-norm", "epochs = 8\nlearning_rate = 0.005\nsteps = 4\nepsilon_l1 = 2.0", &data).unwrap().0;
    let share = |classifier: &Classifier, kind: &str, norm, epsilon| {
        counts(classifier, &test, kind, 20, norm, epsilon).1 as f64 / test.len() as f64
    };
    assert!(share(&l2, "pgd", Norm::L2, 0.5) > share(&standard, "pgd", Norm::L2, 0.5) + 0.1);
    for (kind, norm, epsilon) in [("pgd", Norm::Linf, 0.1), ("pgd", Norm::L2, 0.5), ("apgd", Norm::L1, 2.0)] {
        let (with, without) = (share(&several, kind, norm, epsilon), share(&standard, kind, norm, epsilon));
        assert!(with > without + 0.1, "{}: {with} against {without}", norm.name());
    }
}

fn one_step_training_collapses_unchecked_and_the_check_stops_it_there() {
    // Digits of 16x16: the more dimensions, the more a single step leaves unseen.
    let doubled = |split: &str| {
        let options = Options([("scale".to_owned(), Value::Integer(2))].into());
        data::load("digits", &Request { options, split: split.parse().unwrap(), ..Request::default() }).unwrap()
    };
    let (data, test) = (doubled("train"), doubled("test"));
    let trained = |more: &str| {
        let text = format!("epsilon = 0.25\nstep_relative = 1.0\nrandom_start = false\nlearning_rate = 0.003\nepochs = 20\n{more}");
        let classifier = network_for("{ architecture = \"small-cnn\", channels = 8, hidden = 512 }", 1, data.shape);
        trained_from("fast", &text, classifier, &data).unwrap()
    };
    let share = |classifier: &Classifier, kind: &str| {
        let (_, stands) = counts(classifier, &test, kind, 20, Norm::Linf, 0.25);
        wilson(stands, test.len(), 0.95)
    };
    let (unchecked, history) = trained("check = false");
    assert!(history.len() == 20 && history.iter().all(|epoch| epoch.event.is_none() && epoch.checked_accuracy.is_none()));
    let (fgsm, pgd) = (share(&unchecked, "fgsm"), share(&unchecked, "pgd"));
    assert!(pgd[1] < 0.1 && fgsm[0] > 0.5, "collapsed: FGSM {fgsm:?}, PGD {pgd:?}");
    let (checked, history) = trained("");
    assert_eq!(history.last().unwrap().event, Some(Event::CatastrophicOverfitting), "{history:?}");
    assert!(history.len() < 20 && share(&checked, "pgd")[0] > pgd[1], "the weights from before are better: {:?}", share(&checked, "pgd"));
}

fn interval_training_certifies_what_no_attack_breaks() {
    let (data, test) = (digits("train"), digits("test"));
    let (classifier, history) = trained("ibp", "epochs = 20\nlearning_rate = 0.005\nepsilon = 0.1", &data).unwrap();
    // The first epoch is on clean examples; then the box grows, and what is certified in it grows again once it has its size.
    let certified = |epoch: usize| history[epoch].robust_accuracy;
    assert!(certified(0).is_none() && certified(3) < certified(19) && certified(19) > Some(0.5), "{history:?}");
    let inputs = gauntlet::engine::drive::send(&test, &Device::flex());
    let epsilon = 0.1f32;
    let image = |inputs: Tensor<2>| inputs.reshape([test.len(), 1, 8, 8]);
    let labels: Vec<i32> = test.labels.iter().map(|&label| label as i32).collect();
    let labels = Tensor::<1, Int>::from_data(labels.as_slice(), &Device::flex());
    let ends = [-epsilon, epsilon].map(|change| image((inputs.clone() + change).clamp(0.0, 1.0)));
    let [lower, upper] = ends;
    let margins: Vec<f32> = classifier.network.worst_margins(lower, upper, labels).into_data().try_to_vec().unwrap();
    let certified = margins.chunks(10).filter(|row| row.iter().filter(|margin| **margin < 0.0).count() == 9).count();
    let (_, stands) = counts(&classifier, &test, "pgd", 40, Norm::Linf, epsilon);
    assert!(certified > test.len() / 4, "{certified} certified");
    assert!(certified <= stands, "{certified} certified, {stands} stand");
}

fn a_collapse_to_chance_is_an_error_with_its_epoch() {
    let data = digits("train");
    // Clipped, no number leaves the finite ones; the weights are thrown about all the same once the rate has risen.
    let text = "epochs = 20\noptimizer = \"sgd\"\nlearning_rate = 10.0\nmomentum = 0.0\nclip = 1.0\nwarmup = 1.0";
    let error = trained("standard", text, &data).unwrap_err();
    let text = format!("{error:?}");
    assert!(text.contains("tested") && text.contains("collapsed in epoch") && text.contains("chance"), "{text}");
}
