//! What several tests attack: a linear model whose optimal perturbation is known, and a small network with random weights.

use std::cell::Cell;
use std::collections::BTreeMap;

use burn::tensor::Device;
use gauntlet::attack::{ATTACKS, Setting, largest_others, random_key};
use gauntlet::data::{self, Dataset, Request, synthetic};
use gauntlet::engine::chain::{Chain, Walk};
use gauntlet::engine::clean;
use gauntlet::engine::drive::{Drive, Effort, Feed, send};
use gauntlet::engine::examples::Examples;
use gauntlet::engine::judge::Judgement;
use gauntlet::engine::oracle::Oracle;
use gauntlet::evaluate::record::ExampleOutcomes;
use gauntlet::model::{self, Blueprint, Classifier, Weights};
use gauntlet::options::{Options, Value};
use gauntlet::suite::parse_options;
use gauntlet::threat::Norm;

/// `count` examples of `classes` classes that a linear model separates with an l2 distance of `margin`.
pub fn separable(classes: i64, count: i64, margin: f64) -> Dataset {
    let options = [("classes", classes), ("height", 8), ("width", 8), ("count", count)];
    let mut options: BTreeMap<String, Value> = options.map(|(name, value)| (name.into(), Value::Integer(value))).into();
    options.insert("margin".into(), Value::Number(margin));
    let split = "test".parse().unwrap();
    data::load("synthetic", &Request { options: Options(options), split, ..Request::default() }).unwrap()
}

/// The linear model that separates [`separable`], its weights times `scale`.
pub fn separator(data: &Dataset, scale: f32, device: &Device) -> Oracle {
    let weights = synthetic::separator(data.classes, data.shape).unwrap().iter().map(|weight| scale * weight).collect();
    let blueprint = Blueprint { options: &Options::default(), shape: data.shape, classes: data.classes };
    let start = Classifier::new("linear", 0, &blueprint, device).unwrap();
    let mut tensors = Weights::of(&start.network).0;
    for (name, (shape, values)) in &mut tensors {
        if name.ends_with("weight") {
            assert_eq!(*shape, [data.classes, data.features()]);
            *values = std::mem::take(&mut Vec::clone(&weights));
        } else {
            values.fill(0.0);
        }
    }
    let network = model::load(start.network, &Weights(tensors), "the separator", device).unwrap();
    Oracle::new(Classifier { network, ..start }, device.clone())
}

/// A network with the weights of its seed.
pub fn untrained(architecture: &str, data: &Dataset, device: &Device) -> Oracle {
    Oracle::new(network(architecture, data, device), device.clone())
}

/// The same, compiled.
pub fn planned(architecture: &str, data: &Dataset, device: &Device) -> Oracle {
    Oracle::new(network(architecture, data, device).frozen(device).unwrap(), device.clone())
}

fn network(architecture: &str, data: &Dataset, device: &Device) -> Classifier {
    let row = model::MODELS.iter().find(|row| row.entry.name == architecture).unwrap();
    let options = parse_options(&row.entry, "").unwrap();
    let blueprint = Blueprint { options: &options, shape: data.shape, classes: data.classes };
    Classifier::new(architecture, 7, &blueprint, device).unwrap()
}

/// Labels as the model itself decides, so that every example is rightly classified.
pub fn relabelled(mut data: Dataset, oracle: &Oracle) -> Dataset {
    let tensor = send(&data, oracle.device());
    data.labels = clean::decide(oracle, &data, &tensor, 16, 0).unwrap().iter().map(|clean| clean.prediction).collect();
    data
}

/// How a series is run in a test.
#[derive(Clone)]
pub struct Trial<'a> {
    pub kind: &'a str,
    pub options: &'a str,
    pub norm: Norm,
    pub epsilons: &'a [f64],
    pub walk: Walk,
    pub slots: usize,
    pub cadence: usize,
}

/// Hands out the examples at `positions` and collects what became of them.
#[derive(Default)]
pub struct Collect {
    pub waiting: Vec<Chain>,
    pub outcomes: BTreeMap<u32, ExampleOutcomes>,
    /// One time in so many that the engine asks, another device is to go on with a chain; 0 is never.
    pub passes_on: usize,
    pub asked: Cell<usize>,
    /// What another device is to go on with, and what this one is.
    pub given: Vec<Chain>,
    pub arrived: Vec<Chain>,
}

impl Feed for Collect {
    fn take(&mut self) -> Option<Chain> {
        self.waiting.pop()
    }

    fn receive(&mut self) -> Vec<Chain> {
        std::mem::take(&mut self.arrived)
    }

    fn spares(&self) -> bool {
        self.asked.set(self.asked.get() + 1);
        // In no rhythm of the engine's own.
        let scattered = self.asked.get().wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        self.passes_on > 0 && scattered.is_multiple_of(self.passes_on)
    }

    fn give(&mut self, chain: Chain) -> gauntlet::Result<()> {
        self.given.push(chain);
        Ok(())
    }

    fn wants_point(&self, _chain: &Chain) -> bool {
        false
    }

    fn point(&mut self, _chain: &Chain, _judgement: Judgement) {}

    fn finish(&mut self, chain: Chain) -> gauntlet::Result<()> {
        assert!(self.outcomes.insert(chain.example, chain.outcomes()).is_none(), "an example finished twice");
        Ok(())
    }
}

/// Runs a series over the examples at `positions`, the last first.
pub fn attack(trial: &Trial, oracle: &Oracle, data: &Dataset, positions: &[usize]) -> (BTreeMap<u32, ExampleOutcomes>, Effort) {
    attack_tensor(trial, oracle, data, &send(data, oracle.device()), positions)
}

/// As [`attack`], on pixels that the data need not have.
pub fn attack_tensor(
    trial: &Trial,
    oracle: &Oracle,
    data: &Dataset,
    pixels: &dyn Examples,
    positions: &[usize],
) -> (BTreeMap<u32, ExampleOutcomes>, Effort) {
    let (outcomes, effort, _) = relayed(trial, oracle, data, pixels, positions, 0);
    (outcomes, effort)
}

/// As [`attack_tensor`], in runs that pass chains on to the next, one time in so many that they may. Gives the number of chains too
/// that were passed on after a row of theirs.
pub fn relayed(
    trial: &Trial,
    oracle: &Oracle,
    data: &Dataset,
    pixels: &dyn Examples,
    positions: &[usize],
    passes_on: usize,
) -> (BTreeMap<u32, ExampleOutcomes>, Effort, usize) {
    let row = ATTACKS.iter().find(|row| row.entry.name == trial.kind).unwrap();
    let options = parse_options(&row.entry, trial.options).unwrap();
    (row.check)(&options).unwrap();
    let setting = Setting { norm: trial.norm, classes: data.classes, shape: data.shape };
    let parts = (row.build)(&options, &setting);
    let attempts = parts.iter().map(|part| part.attempts()).sum();
    let ranks = parts.iter().map(|part| part.ranks()).max().unwrap_or(0) as usize;
    let clean = if ranks == 0 { Vec::new() } else { clean::decide(oracle, data, pixels, trial.slots, 0).unwrap() };
    let chain = |&at: &usize| {
        let mut chain = Chain::new(at, data.ids[at], data.labels[at], trial.walk, attempts, trial.epsilons);
        chain.ranks = clean.get(at).map_or(Vec::new(), |clean| largest_others(chain.label, &clean.logits, ranks));
        if let gauntlet::attack::Goal::Targeted(target) = parts[0].goal() {
            chain.target = target.pick(chain.label, &vec![0.0; data.classes], [0, 0], chain.example);
        }
        chain
    };
    let mut feed = Collect { waiting: positions.iter().map(chain).collect(), passes_on, ..Collect::default() };
    let drive = Drive {
        oracle,
        surrogate: None,
        data: pixels,
        parts: &parts,
        norm: trial.norm,
        key: random_key(0, trial.kind, trial.norm, &options),
        slots: trial.slots,
        cadence: trial.cadence,
    };
    let mut effort = drive.run(&mut feed).unwrap();
    let mut passed_on = 0;
    while !feed.given.is_empty() {
        passed_on += feed.given.iter().filter(|chain| chain.passes() > 0).count();
        feed.arrived = std::mem::take(&mut feed.given);
        effort += drive.run(&mut feed).unwrap();
    }
    (feed.outcomes, effort, passed_on)
}
