//! From a suite's `[[defence]]` to a classifier with weights: read from a checkpoint, found in the cache, or trained.
//!
//! Trained weights are kept by the hash of what produced them: model, method, training examples and engine version. A run elsewhere, on
//! another kind of device too, finds them again and attacks the same weights; the file says where it was trained.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use burn::tensor::Device;

use super::training::{Progress, Trainee, train_kept};
use super::{TRAINERS, TrainerRow};
use crate::data::Dataset;
use crate::evaluate::record::Epoch;
use crate::frozen::{Plan, gpu};
use crate::model::source::Design;
use crate::model::{self, Classifier, Weights};
use crate::store::{check_folder, write_atomic};
use crate::suite::{DefenceSpec, TrainSpec};
use crate::{Error, Result};

/// Ends the name of what an interrupted training goes on from.
const PART: &str = "part.safetensors";

/// What all defences of a run are made with.
pub struct Workshop<'a> {
    /// Trained weights are kept here.
    pub cache: &'a Path,
    /// Where to train.
    pub device: &'a Device,
    /// Its name, for the checkpoint.
    pub device_name: &'a str,
    /// The training examples, where some defence wants them.
    pub data: Option<&'a Dataset>,
}

/// A defence with its weights.
#[derive(Clone, Debug)]
pub struct Prepared {
    /// The classifier, on the workshop's device.
    pub classifier: Classifier,
    /// Its weights on the host.
    pub weights: Weights,
    /// What the training came to; empty for a checkpoint from elsewhere.
    pub history: Vec<Epoch>,
    /// Whether it was trained just now.
    pub trained: bool,
    /// Wall seconds of the training, now or when its weights were kept, where they are known.
    pub seconds: Option<f64>,
    frozen: Classifier,
    plan: OnceLock<Option<Arc<Plan>>>,
    gpu: OnceLock<Option<Arc<gpu::Plan>>>,
}

impl Prepared {
    fn new(classifier: Classifier, history: Vec<Epoch>, trained: bool, seconds: Option<f64>) -> Result<Self> {
        let weights = Weights::of(&classifier.network);
        // On the host, so that it outlives a device that is lost; its plans are compiled where they are wanted.
        let frozen = Classifier { network: classifier.network.frozen(&Device::flex())?, plan: None, gpu: None, ..classifier.clone() };
        Ok(Self { classifier, weights, history, trained, seconds, frozen, plan: OnceLock::new(), gpu: OnceLock::new() })
    }

    /// The defence as it is attacked, on another device: the same function, batch norm folded away; with a plan, all workers of a
    /// kind of device with the same one.
    pub fn on(&self, device: &Device) -> Classifier {
        use burn::module::Module;
        let frozen = Classifier { network: self.frozen.network.clone().to_device(device), ..self.frozen.clone() };
        if *device != Device::flex() {
            return Classifier { plan: None, gpu: self.on_gpus(), ..frozen };
        }
        let compile = || frozen.plan.clone().or_else(|| frozen.clone().compiled(device).ok()?.plan);
        let plan = self.plan.get_or_init(compile).clone();
        Classifier { plan, gpu: None, ..frozen }
    }

    /// The plan for GPUs: one for all of them.
    fn on_gpus(&self) -> Option<Arc<gpu::Plan>> {
        let compile = || self.frozen.gpu.clone().or_else(|| self.frozen.clone().compiled_for_gpu().ok()?.gpu);
        self.gpu.get_or_init(compile).clone()
    }
}

/// A defence that needs no training any more: read from a checkpoint, or found in the cache; none where it is still to be trained.
///
/// # Errors
/// A defence that is trained without training examples; a cache that cannot be read.
pub fn ready(spec: &DefenceSpec, design: &Design, workshop: &Workshop) -> Result<Option<Prepared>> {
    let start = Classifier::from_graph(design.graph.clone(), &design.weights, workshop.device)?;
    if spec.train.is_none() {
        return Prepared::new(start, Vec::new(), false, None).map(Some);
    }
    let kept = cached_at(spec, design, examples(spec, workshop)?, workshop);
    if !kept.is_file() {
        return Ok(None);
    }
    let again = |error: Error| {
        error.about(&format!("defence \"{}\"", spec.name)).help(format!("delete {}: it is trained again then", kept.display()))
    };
    let (classifier, about) = put(start, &kept, workshop).map_err(again)?;
    let history = about.get("history").and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
    let seconds = about.get("seconds").and_then(|text| text.parse().ok());
    Prepared::new(classifier, history, false, seconds).map(Some)
}

/// A defence with the weights that its training would start from.
///
/// # Errors
/// A device that does not answer.
pub fn drawn(design: &Design, device: &Device) -> Result<Prepared> {
    let start = Classifier::from_graph(design.graph.clone(), &design.weights, device)?;
    Prepared::new(start, Vec::new(), false, None)
}

fn examples<'a>(spec: &DefenceSpec, workshop: &Workshop<'a>) -> Result<&'a Dataset> {
    workshop.data.ok_or_else(|| {
        Error::input(format!("defence \"{}\" is trained, but there are no training examples", spec.name)).help("add [data.train]")
    })
}

/// Makes a defence from its model's design.
///
/// # Errors
/// A training that fails; a cache that cannot be read or written.
pub fn prepare(
    spec: &DefenceSpec,
    design: &Design,
    workshop: &Workshop,
    progress: &mut dyn FnMut(Progress) -> Result<()>,
) -> Result<Prepared> {
    let method = match ready(spec, design, workshop)? {
        Some(prepared) => return Ok(prepared),
        None => spec.train.as_ref().expect("what is not ready is trained"),
    };
    let (trainer, data) = (trainer(method)?, examples(spec, workshop)?);
    let kept = cached_at(spec, design, data, workshop);
    let start = Classifier::from_graph(design.graph.clone(), &design.weights, workshop.device)?;
    let trainee = Trainee {
        name: &spec.name,
        classifier: start,
        seed: spec.model.seed,
        trainer,
        options: &method.options,
        data,
        device: workshop.device,
    };
    let elsewhere = "make it a writable folder, or name another with --weights";
    check_folder(workshop.cache).map_err(|error| error.help(elsewhere))?;
    std::fs::create_dir_all(workshop.cache).map_err(|error| {
        Error::store(format!("cannot make the folder {} for trained weights: {error}", workshop.cache.display())).help(elsewhere)
    })?;
    let part = kept.with_extension(PART);
    let started = Instant::now();
    let (classifier, history) = train_kept(&trainee, Some(&part), progress)?;
    let seconds = started.elapsed().as_secs_f64();
    let prepared = Prepared::new(classifier, history, true, Some(seconds))?;
    if !prepared.weights.is_finite() {
        let message = format!("defence \"{}\": a weight is not finite after {} epochs of training", spec.name, prepared.history.len());
        return Err(Error::data(message).help("lower `learning_rate`"));
    }
    write_atomic(&kept, &model::write(&prepared.weights, about(spec, data, workshop, &prepared))?)?;
    // Left behind, it would only take room: the weights are found first.
    let _ = std::fs::remove_file(&part);
    Ok(prepared)
}

/// The method of a suite's `train`.
///
/// # Errors
/// An unknown name.
pub(crate) fn trainer(spec: &TrainSpec) -> Result<&'static TrainerRow> {
    TRAINERS.iter().find(|row| row.entry.name == spec.method).ok_or_else(|| {
        let known: Vec<&str> = TRAINERS.iter().map(|row| row.entry.name).collect();
        Error::input(format!("unknown training method \"{}\"", spec.method)).help(format!("known: {}", known.join(", ")))
    })
}

fn put(classifier: Classifier, path: &Path, workshop: &Workshop) -> Result<(Classifier, BTreeMap<String, String>)> {
    let (weights, about) = model::read(path)?;
    let network = model::load(classifier.network, &weights, &format!("weights {}", path.display()), workshop.device)?;
    Ok((Classifier { network, ..classifier }, about))
}

/// Where the cache keeps the weights of a defence that is trained: two defences with one place are one training.
pub(crate) fn cached_at(spec: &DefenceSpec, design: &Design, data: &Dataset, workshop: &Workshop) -> PathBuf {
    let mut hasher = blake3::Hasher::new_derive_key("gauntlet trained defence");
    let recipe = serde_json::to_string(&(&design.graph, spec.model.seed, &spec.train));
    for text in [&recipe.expect("specs are plain JSON"), &design.weights.hash(), &data.hash, env!("CARGO_PKG_VERSION")] {
        hasher.update(&(text.len() as u64).to_le_bytes());
        hasher.update(text.as_bytes());
    }
    workshop.cache.join(format!("{}.safetensors", &hasher.finalize().to_hex()[..32]))
}

fn about(spec: &DefenceSpec, data: &Dataset, workshop: &Workshop, prepared: &Prepared) -> BTreeMap<String, String> {
    let json = |value: serde_json::Result<String>| value.expect("specs are plain JSON");
    BTreeMap::from([
        ("gauntlet".into(), env!("CARGO_PKG_VERSION").into()),
        ("defence".into(), spec.name.clone()),
        ("model".into(), json(serde_json::to_string(&spec.model))),
        ("train".into(), json(serde_json::to_string(&spec.train))),
        ("data".into(), format!("{} ({})", data.name, data.hash)),
        ("device".into(), workshop.device_name.into()),
        ("history".into(), json(serde_json::to_string(&prepared.history))),
        ("seconds".into(), prepared.seconds.unwrap_or_default().to_string()),
    ])
}
