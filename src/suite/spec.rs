//! What a suite says once it is read, and the catalogue of names that it is read against.

use std::path::PathBuf;

use serde::Serialize;

use crate::defence;
use crate::engine::base::Combine;
use crate::engine::precision::Precision;
use crate::model::layers::LayerSpec;
use crate::model::{Matching, Normalisation};
use crate::options::{Entry, Options};
use crate::threat::{Norm, Threat};

/// The names and options that a suite may use, gathered from the engine's tables.
#[derive(Clone, Debug, Default)]
pub struct Catalogue {
    /// Where examples come from. An option `path` of a source is required where it has no default, and the file or folder must exist.
    pub sources: Vec<SourceEntry>,
    /// Architectures.
    pub models: Vec<Entry>,
    /// Training methods.
    pub trainers: Vec<Entry>,
    /// What may stand around a model.
    pub wrappers: Vec<WrapperEntry>,
    /// Attacks.
    pub attacks: Vec<AttackEntry>,
    /// Certifiers.
    pub certifiers: Vec<CertifierEntry>,
}

impl Catalogue {
    /// The source of that name.
    pub fn source(&self, name: &str) -> Option<&SourceEntry> {
        self.sources.iter().find(|source| source.entry.name == name)
    }

    /// The attack of that name.
    pub fn attack(&self, kind: &str) -> Option<&AttackEntry> {
        self.attacks.iter().find(|attack| attack.entry.name == kind)
    }
}

/// A source of examples.
#[derive(Clone, Copy, Debug)]
pub struct SourceEntry {
    /// Its name and options.
    pub entry: Entry,
    /// The splits that it comes with; where there are none, a split is "all" or a range of positions such as "0..1000". A source that also gives
    /// training examples names them "train"; without it a trained defence needs `[data.train]`.
    pub splits: &'static [&'static str],
}

/// A rule across options; what is wrong with them, where something is.
pub type OptionsRule = fn(&Options) -> Result<(), String>;

/// A wrapper.
#[derive(Clone, Copy, Debug)]
pub struct WrapperEntry {
    /// Its name and options.
    pub entry: Entry,
    /// A rule across its options, defaults included, where there is one.
    pub check: Option<OptionsRule>,
}

/// An attack.
#[derive(Clone, Copy, Debug)]
pub struct AttackEntry {
    /// Its name and options.
    pub entry: Entry,
    /// The norms that it works under.
    pub norms: &'static [Norm],
    /// A rule across its options, defaults included, where there is one.
    pub check: Option<OptionsRule>,
}

/// A certifier.
#[derive(Clone, Copy, Debug)]
pub struct CertifierEntry {
    /// Its name and options.
    pub entry: Entry,
    /// The norms that it certifies under.
    pub norms: &'static [Norm],
    /// A rule across its options, defaults included.
    pub check: OptionsRule,
}

/// A suite as read: every name known, every default filled in.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Suite {
    /// What it is about, in a line.
    pub title: String,
    /// Drives the attacks.
    pub seed: u64,
    /// In which precision attacks search.
    #[serde(skip_serializing_if = "Precision::is_single")]
    pub precision: Precision,
    /// The examples to attack.
    pub data: DataSpec,
    /// The examples to train on, where they come from elsewhere than `data`.
    pub train_data: Option<DataSpec>,
    /// The threats, at most one a norm, in the suite's order.
    pub threats: Vec<Threat>,
    /// The defences, in the suite's order, each name once.
    pub defences: Vec<DefenceSpec>,
    /// The attacks, in the suite's order, each name once.
    pub attacks: Vec<AttackSpec>,
    /// The certificates, in the suite's order, each name once.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub certificates: Vec<CertificateSpec>,
    /// The suite as it ran: the file's text with the overrides applied.
    #[serde(skip)]
    pub text: String,
    /// The suite file's folder, which relative paths in the suite start from.
    pub base: PathBuf,
}

/// Where examples come from.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DataSpec {
    /// The source's name.
    pub source: String,
    /// The source's own options; paths as written.
    pub options: Options,
    /// A split's name, or what [`crate::data::Split`] reads as a range.
    pub split: Option<String>,
    /// Only the first so many examples, 1 or more.
    pub examples: Option<usize>,
}

/// A model and how it comes by its weights.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DefenceSpec {
    /// Its name in results.
    pub name: String,
    /// Of a defence that is trained with several seeds, the name that they share: its own is `NAME#SEED` then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recipe: Option<String>,
    /// The model; of an ensemble, the first.
    pub model: ModelSpec,
    /// How it is trained; absent only where the model has weights.
    pub train: Option<TrainSpec>,
    /// The other members of an ensemble, and how they answer together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ensemble: Option<EnsembleSpec>,
    /// What stands around the model, outermost first.
    pub stack: Vec<WrapperSpec>,
    /// Whether attacks know the defence: its stand-ins for gradients, its draws, and what it rejects.
    #[serde(skip_serializing_if = "is_true")]
    pub adaptive: bool,
}

fn is_true(flag: &bool) -> bool {
    *flag
}

impl DefenceSpec {
    /// Itself, or the members of an ensemble as defences of their own, named after their places.
    pub fn members(&self) -> Vec<DefenceSpec> {
        let Some(ensemble) = &self.ensemble else { return vec![self.clone()] };
        let first = MemberSpec { model: self.model.clone(), train: self.train.clone() };
        let member = |(index, MemberSpec { model, train }): (usize, &MemberSpec)| DefenceSpec {
            name: format!("{} [{}]", self.name, index + 1),
            recipe: None,
            model: model.clone(),
            train: train.clone(),
            ensemble: None,
            stack: Vec::new(),
            adaptive: true,
        };
        std::iter::once(&first).chain(&ensemble.others).enumerate().map(member).collect()
    }

    /// Whether it needs training examples: to be trained on, or to set a detector's threshold by.
    pub fn wants_training_examples(&self) -> bool {
        self.members().iter().any(|member| member.train.is_some()) || self.is_calibrated()
    }

    /// Whether a detector's threshold is set by its false alarms.
    pub fn is_calibrated(&self) -> bool {
        defence::stack(&self.stack, true).iter().any(|wrapper| wrapper.false_alarms().is_some())
    }

    /// Whether two defences are the same, but for whether attacks know them.
    pub fn differs_in_adaptivity(&self, other: &Self) -> bool {
        self.adaptive != other.adaptive
            && Self { name: other.name.clone(), recipe: other.recipe.clone(), adaptive: other.adaptive, ..self.clone() } == *other
    }
}

/// The members of an ensemble after the first.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct EnsembleSpec {
    /// One at least.
    pub others: Vec<MemberSpec>,
    /// How they answer together.
    pub combine: Combine,
}

/// A member of an ensemble.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MemberSpec {
    /// Its model.
    pub model: ModelSpec,
    /// How it is trained; absent only where the model has weights.
    pub train: Option<TrainSpec>,
}

impl DefenceSpec {
    /// The same recipe with one of its seeds.
    #[must_use]
    pub fn with_seed(&self, seed: u64) -> Self {
        let model = ModelSpec { seed, ..self.model.clone() };
        Self { name: format!("{}#{seed}", self.name), recipe: Some(self.name.clone()), model, ..self.clone() }
    }
}

/// A wrapper around a model.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct WrapperSpec {
    /// The wrapper's name.
    pub kind: String,
    /// The wrapper's own options.
    pub options: Options,
}

/// A model.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ModelSpec {
    /// The architecture's name; "onnx" or "layers" where the network comes from a file or a stack.
    pub architecture: String,
    /// Drives its first weights, its batches and its training attacks.
    pub seed: u64,
    /// The architecture's own options.
    pub options: Options,
    /// A checkpoint, as written: relative paths start from [`Suite::base`].
    pub weights: Option<PathBuf>,
    /// A network with its weights, as written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub onnx: Option<PathBuf>,
    /// A stack of layers.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub layers: Vec<LayerSpec>,
    /// What the network does to its inputs first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub normalize: Option<Normalisation>,
    /// How the checkpoint's tensors find their places.
    #[serde(rename = "match", skip_serializing_if = "Matching::is_by_name")]
    pub matching: Matching,
}

impl ModelSpec {
    /// An architecture with these options, without a checkpoint.
    pub fn new(architecture: impl Into<String>, options: Options) -> Self {
        Self {
            architecture: architecture.into(),
            seed: 0,
            options,
            weights: None,
            onnx: None,
            layers: Vec::new(),
            normalize: None,
            matching: Matching::default(),
        }
    }
}

/// How a model is trained.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TrainSpec {
    /// The trainer's name.
    pub method: String,
    /// The trainer's own options.
    pub options: Options,
}

/// An attack entry.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AttackSpec {
    /// Its name in results; the kind unless given.
    pub name: String,
    /// The attack's name.
    pub kind: String,
    /// The attack's own options.
    pub options: Options,
}

/// A certificate entry.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CertificateSpec {
    /// Its name in results; the kind unless given.
    pub name: String,
    /// The certifier's name.
    pub kind: String,
    /// The certifier's own options.
    pub options: Options,
}
