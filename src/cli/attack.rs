//! `gauntlet attack`: one image in, the adversarial one out, decided again after the file is read back.

mod request;

use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;

use self::request::Request;
pub(super) use self::request::norm;
use super::model;
use crate::attack::{self, Goal, Setting};
use crate::data::{Dataset, picture};
use crate::engine::chain::{Chain, Walk};
use crate::engine::clean::{self, CleanDecision};
use crate::engine::drive::{Drive, Feed, send};
use crate::engine::judge::{Judgement, under};
use crate::engine::oracle::Oracle;
use crate::evaluate::record::{ExampleOutcomes, Verdict};
use crate::kernel;
use crate::model::Classifier;
use crate::model::source::{Design, design, imported};
use crate::threat::Norm;
use crate::{Error, Result, device};

/// Options of `attack`.
#[derive(Clone, Debug, Args)]
pub struct Arguments {
    /// The image, PNG or JPEG, of the model's height and width
    image: PathBuf,
    /// The model's file: ONNX, or weights (.pt, .pth, .safetensors), which want --architecture or --model-fields too
    #[arg(long, value_name = "FILE")]
    model: PathBuf,
    /// The architecture that the weights of --model are for, with its defaults; `gauntlet list models` names them
    #[arg(long, value_name = "NAME", conflicts_with = "model_fields")]
    architecture: Option<String>,
    /// All that a suite says of the model between { } but its file, in place of --architecture, such as 'architecture = "resnet20", width = 8'
    #[arg(long, value_name = "TOML")]
    model_fields: Option<String>,
    /// How many classes the weights tell apart; the last tensor's first side unless given
    #[arg(long, value_name = "N")]
    classes: Option<usize>,
    /// The attack; `gauntlet list attacks` names them
    #[arg(long, value_name = "KIND")]
    attack: String,
    /// The attack's options as a suite writes them, such as 'steps = 100'; repeatable
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// The norm: linf, l2 or l1
    #[arg(long, default_value = "linf", value_name = "NORM")]
    norm: String,
    /// Radius of the ball, such as 8/255
    #[arg(long, value_name = "E")]
    epsilon: String,
    /// The image's class; what the model says of it unless given
    #[arg(long, value_name = "CLASS")]
    label: Option<u32>,
    /// Where the adversarial image goes, a .png
    #[arg(long, value_name = "PNG")]
    out: PathBuf,
    /// Drives the attack
    #[arg(long, default_value_t = 0, value_name = "N")]
    seed: u64,
    /// Where to run: auto, cpu or gpu:N
    #[arg(long, default_value = "auto", value_name = "DEVICE")]
    device: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// What came of it.
#[derive(Serialize)]
struct Found {
    label: u32,
    /// Whether the attack found an adversarial example, before it was stored.
    broken: bool,
    /// Where it is stored; nothing is where nothing was found.
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<String>,
    /// What the model says of the file as read back.
    #[serde(skip_serializing_if = "Option::is_none")]
    prediction: Option<u32>,
    /// Whether the file as read back is adversarial and inside the ball.
    verified: bool,
    /// Distance of the file as read back, in the norm.
    #[serde(skip_serializing_if = "Option::is_none")]
    distance: Option<f32>,
    forwards: u32,
    backwards: u32,
}

/// Attacks one image. The code is 1 where nothing was found, or where the stored file is not adversarial.
///
/// # Errors
/// An image, a model, an attack or an option that cannot be used; a file that cannot be written.
pub fn run(arguments: &Arguments) -> Result<u8> {
    let request = Request::new(arguments)?;
    let norm = request.norm;
    let Design { graph, weights, .. } = network(arguments)?;
    request.check_reach(graph.input.iter().product())?;
    let image = picture::read(&arguments.image, graph.input)?;
    if let Some(note) = recoloured(picture::shape(&arguments.image)?[0], graph.input[0]) {
        super::tell(&format!("{}: {note}", arguments.image.display()));
    }
    let handle = device::open(request.device)?;
    let classifier = Classifier::from_graph(graph, &weights, &handle.device)?.frozen(&handle.device)?;
    let oracle = Oracle::new(classifier, handle.device.clone());
    let decision = decide(&oracle, &image, 0)?;
    let label = arguments.label.unwrap_or(decision.prediction);
    if label as usize >= oracle.classes() {
        let message = format!("--label {label}: the model tells {} classes apart", oracle.classes());
        return Err(Error::input(message).help("classes count from 0"));
    }
    if !decision.is_right(label) {
        let message = format!("the model says {} of the image, not {label}: there is nothing to break", decision.prediction);
        return Err(Error::input(message).help("leave --label out, or choose an image that the model knows"));
    }
    let found = break_it(arguments, &request, &oracle, &image, &decision, label)?;
    if arguments.json {
        super::say(&serde_json::to_string_pretty(&found).expect("what was found is plain JSON"))?;
    } else {
        super::say(&describe(&found, norm))?;
    }
    Ok(u8::from(!found.verified))
}

/// What becomes of an image's channels before a model that takes another number of them.
fn recoloured(has: usize, takes: usize) -> Option<&'static str> {
    match (has, takes) {
        (3, 1) => Some("the model takes one channel: the image is made grey, and the adversarial one is grey too"),
        (1, 3) => Some("the model takes three channels: all are the image's grey, and the adversarial one is in colour"),
        _ => None,
    }
}

/// The model's network: of an ONNX file, or for images such as the one given.
fn network(arguments: &Arguments) -> Result<Design> {
    let spec = model::spec(&arguments.model, arguments.architecture.as_deref(), arguments.model_fields.as_deref())?;
    if spec.onnx.is_some() {
        return imported(&spec, Path::new(""), None);
    }
    let classes = model::classes(&arguments.model, arguments.classes)?;
    design(&spec, Path::new(""), picture::shape(&arguments.image)?, classes)
}

fn break_it(
    arguments: &Arguments,
    request: &Request,
    oracle: &Oracle,
    image: &[f32],
    decision: &CleanDecision,
    label: u32,
) -> Result<Found> {
    let Request { norm, radius, .. } = *request;
    let setting = Setting { norm, classes: oracle.classes(), shape: oracle.shape() };
    let parts = (request.row.build)(&request.options, &setting);
    let key = attack::random_key(arguments.seed, &arguments.attack, norm, &request.options);
    let data = dataset(oracle, image, label)?;
    let attempts = parts.iter().map(|part| part.attempts()).sum();
    let mut chain = Chain::new(0, 0, label, Walk::Each, attempts, &[radius]);
    if let Goal::Targeted(target) = parts[0].goal() {
        chain.target = target.pick(label, &decision.logits, key, 0);
    }
    let target = chain.target;
    let ranks = parts.iter().map(|part| part.ranks()).max().unwrap_or(0);
    chain.ranks = attack::largest_others(label, &decision.logits, ranks as usize);
    let mut feed = One { chain: Some(chain), point: None, outcomes: None };
    let sent = send(&data, oracle.device());
    Drive { oracle, surrogate: None, data: &sent, parts: &parts, norm, key, slots: 1, cadence: 1 }.run(&mut feed)?;
    let outcome = feed.outcomes.expect("a drive finishes what it takes").outcomes[0];
    if outcome.verdict == Verdict::Failed {
        return Err(Error::data("the attack met a number that is not finite").help("check the model's weights and its normalisation"));
    }
    let mut found = Found {
        label,
        broken: feed.point.is_some(),
        file: None,
        prediction: None,
        verified: false,
        distance: None,
        forwards: outcome.forwards,
        backwards: outcome.backwards,
    };
    if let Some(point) = feed.point {
        let stored = picture::quantise(image, &point, (norm == Norm::Linf).then_some(radius as f32));
        picture::write(&arguments.out, &stored, oracle.shape())?;
        verify(&mut found, arguments, oracle, &data, norm, radius, (target != label).then_some(target))?;
    }
    Ok(found)
}

/// Reads the file back and decides again.
fn verify(
    found: &mut Found,
    arguments: &Arguments,
    oracle: &Oracle,
    data: &Dataset,
    norm: Norm,
    radius: f64,
    target: Option<u32>,
) -> Result<()> {
    let stored = picture::read(&arguments.out, oracle.shape())?;
    let decision = decide(oracle, &stored, 1)?;
    let stored = dataset(oracle, &stored, found.label)?;
    let distances = kernel::distances(send(&stored, oracle.device()), send(data, oracle.device()));
    let distances = crate::engine::oracle::read_matrix(distances)?;
    let distance = under(norm, &[distances[0], distances[1], distances[2], distances[3]]);
    let reached = target.map_or(decision.prediction != found.label, |target| decision.prediction == target);
    found.file = Some(arguments.out.display().to_string());
    found.prediction = Some(decision.prediction);
    found.distance = Some(distance);
    // The ball's radius as f32, and the rounding of a sum of squares.
    found.verified = reached && !decision.rejected && f64::from(distance) <= radius * (1.0 + 1e-5) + 1e-7;
    Ok(())
}

fn decide(oracle: &Oracle, image: &[f32], seed: u64) -> Result<CleanDecision> {
    let data = dataset(oracle, image, 0)?;
    Ok(clean::decide(oracle, &data, &send(&data, oracle.device()), 1, seed)?.remove(0))
}

fn dataset(oracle: &Oracle, image: &[f32], label: u32) -> Result<Dataset> {
    Dataset::new("an image", oracle.shape(), oracle.classes(), vec![0], image.to_vec(), vec![label])
}

fn describe(found: &Found, norm: Norm) -> String {
    let cost = format!("{} forwards, {} backwards", found.forwards, found.backwards);
    let (Some(file), Some(prediction), Some(distance)) = (&found.file, found.prediction, found.distance) else {
        return format!("no adversarial example was found ({cost}): the model keeps saying {}", found.label);
    };
    let verified = if found.verified { "verified after reading it back" } else { "NOT adversarial any more after 8-bit storage" };
    let Found { label, .. } = found;
    format!("{file}: class {label} becomes {prediction} at {} {distance:.6}, {verified} ({cost})", norm.name())
}

/// Hands out one example and keeps its point.
struct One {
    chain: Option<Chain>,
    point: Option<Vec<f32>>,
    outcomes: Option<ExampleOutcomes>,
}

impl Feed for One {
    fn take(&mut self) -> Option<Chain> {
        self.chain.take()
    }

    fn wants_point(&self, _chain: &Chain) -> bool {
        true
    }

    fn point(&mut self, _chain: &Chain, judgement: Judgement) {
        self.point = judgement.point;
    }

    fn finish(&mut self, chain: Chain) -> Result<()> {
        self.outcomes = Some(chain.outcomes());
        Ok(())
    }
}
