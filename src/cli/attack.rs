//! `gauntlet attack`: one image in, the adversarial one out, decided again after the file is read back.

use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;

use super::model;
use crate::attack::{self, ATTACKS, Goal, Parts, Setting};
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
use crate::nearest::nearest;
use crate::suite::parse_options;
use crate::threat::{Norm, epsilon};
use crate::{Error, Result, device};

/// Options of `attack`.
#[derive(Clone, Debug, Args)]
pub struct Arguments {
    /// The image, PNG or JPEG, of the model's height and width
    image: PathBuf,
    /// An ONNX file, or weights (.pt, .pth, .safetensors) with an architecture
    #[arg(long, value_name = "FILE")]
    model: PathBuf,
    /// The architecture that the weights are for
    #[arg(long, value_name = "NAME", conflicts_with = "model_fields")]
    architecture: Option<String>,
    /// The model as a suite writes it between { }, without the file, such as 'architecture = "resnet20", width = 8'
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
    let norm = norm(&arguments.norm)?;
    let radius = epsilon::parse(&arguments.epsilon)?;
    if radius <= 0.0 {
        return Err(
            Error::input(format!("--epsilon {}: the ball has no room", arguments.epsilon)).help("give a radius above 0, such as 8/255")
        );
    }
    if arguments.out.extension().is_none_or(|ending| !ending.eq_ignore_ascii_case("png")) {
        return Err(Error::input(format!("--out {}: not a .png", arguments.out.display()))
            .help("PNG keeps every pixel; other formats would undo the attack"));
    }
    let folder = arguments.out.parent().filter(|folder| !folder.as_os_str().is_empty());
    if let Some(folder) = folder.filter(|folder| !folder.is_dir()) {
        return Err(Error::input(format!("--out {}: there is no folder {}", arguments.out.display(), folder.display()))
            .help("make it, or name another"));
    }
    let Design { graph, weights, .. } = network(arguments)?;
    let image = picture::read(&arguments.image, graph.input)?;
    let handle = device::open(device::parse(&arguments.device)?.resolve()?[0])?;
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
    let found = break_it(arguments, &oracle, &image, &decision, label, norm, radius)?;
    if arguments.json {
        super::say(&serde_json::to_string_pretty(&found).expect("what was found is plain JSON"))?;
    } else {
        super::say(&describe(&found, norm))?;
    }
    Ok(u8::from(!found.verified))
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

pub(super) fn norm(name: &str) -> Result<Norm> {
    Norm::ALL.into_iter().find(|norm| norm.name() == name).ok_or_else(|| {
        let names: Vec<&str> = Norm::ALL.iter().map(|norm| norm.name()).collect();
        Error::input(format!("--norm {name}: no such norm")).help(format!("name one of {}", names.join(", ")))
    })
}

/// The attack's parts, with the key of their random stream.
fn parts(arguments: &Arguments, oracle: &Oracle, norm: Norm) -> Result<(Parts, [u32; 2])> {
    let kind = &arguments.attack;
    let row = ATTACKS.iter().find(|row| row.entry.name == kind).ok_or_else(|| {
        let names: Vec<&str> = ATTACKS.iter().map(|row| row.entry.name).collect();
        let hint = nearest(kind, names.iter().copied()).map(|name| format!("did you mean \"{name}\"? ")).unwrap_or_default();
        Error::input(format!("--attack {kind}: no such attack")).help(format!("{hint}known: {}", names.join(", ")))
    })?;
    if !row.norms.contains(&norm) {
        let names: Vec<&str> = row.norms.iter().map(|norm| norm.name()).collect();
        return Err(Error::input(format!("--norm {}: {kind} does not work under it", norm.name()))
            .help(format!("name one of {}", names.join(", "))));
    }
    let set: Vec<String> = arguments.set.iter().map(|set| assignment(set)).collect();
    let options = parse_options(&row.entry, &set.join("\n"))?;
    (row.check)(&options).map_err(|message| Error::input(format!("--set: {message}")))?;
    let setting = Setting { norm, classes: oracle.classes(), shape: oracle.shape() };
    Ok(((row.build)(&options, &setting), attack::random_key(arguments.seed, kind, norm, &options)))
}

/// An option as TOML; a value that is none, such as a word without quotes, is taken as text.
fn assignment(set: &str) -> String {
    match set.split_once('=') {
        Some((name, value)) if value.trim().parse::<toml_edit::Value>().is_err() => {
            format!("{name} = {}", toml::Value::String(value.trim().into()))
        }
        _ => set.to_owned(),
    }
}

fn break_it(
    arguments: &Arguments,
    oracle: &Oracle,
    image: &[f32],
    decision: &CleanDecision,
    label: u32,
    norm: Norm,
    radius: f64,
) -> Result<Found> {
    let (parts, key) = parts(arguments, oracle, norm)?;
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
    if parts.iter().any(|part| part.surrogate().is_some()) {
        return Err(
            Error::input("--attack transfer crafts on another defence, and here is one alone").help("use it in a suite, or take pgd")
        );
    }
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
        crate::suite::schedule::check_interrupt()
    }
}
