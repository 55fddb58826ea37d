//! A suite with its data, checked, and what a run's folder says of both.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::catalogue::catalogue;
use super::certify::{Planned, Refused, planned};
use super::spec::{AttackSpec, Catalogue, DataSpec, DefenceSpec, Suite};
use super::{Plan, moved, plan, read};
use crate::data::{self, Dataset, Request, Split};
use crate::defence::trainer;
use crate::evaluate::record::SeriesKey;
use crate::evaluate::results::DataInfo;
use crate::model::source::{Design, design};
use crate::report::text::distance;
use crate::store::Identity;
use crate::threat::Threat;
use crate::{Error, Result};

/// What a run's folder says of the run besides its rows: all that a report needs.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Layout {
    /// The suite as it ran.
    pub suite: String,
    /// The same with paths that start from the run's folder, where it has others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub here: Option<String>,
    /// The data that was attacked.
    pub data: DataInfo,
    /// Stable ids of its examples.
    pub ids: Vec<u32>,
    /// Their classes.
    pub labels: Vec<u32>,
    /// Defences in the suite's order.
    pub defences: Vec<String>,
    /// Threats in the suite's order.
    pub threats: Vec<Threat>,
    /// Series in the order of the results.
    pub series: Vec<SeriesKey>,
    /// How many cells there will be.
    pub planned: usize,
    /// Defences that attacks do not know, each with the one that differs in nothing else, where the suite has it.
    #[serde(default)]
    pub unknown: Vec<(String, Option<String>)>,
    /// Members of ensembles, by the names that their training goes by.
    #[serde(default)]
    pub members: Vec<String>,
    /// What is certified, in the order of the results.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub certificates: Vec<Planned>,
    /// What cannot be certified.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refused: Vec<Refused>,
}

/// A suite with its data: everything that can be wrong with it has been checked.
pub struct Resolved {
    /// The suite.
    pub suite: Suite,
    /// The examples to attack.
    pub data: Arc<Dataset>,
    /// The training examples, where some defence is trained.
    pub train: Option<Dataset>,
    /// The networks of the defences, in their order, with the weights that they start from: one, or an ensemble's members.
    pub designs: Vec<Vec<Design>>,
    /// The cells.
    pub plan: Plan,
    /// What is certified, in the order of the results.
    pub certificates: Vec<Planned>,
    /// What cannot be certified.
    pub refused: Vec<Refused>,
    /// The names that it was read against.
    pub catalogue: Catalogue,
}

/// Reads a suite and its data, of which `limit` keeps the first so many.
///
/// # Errors
/// All mistakes of the suite; then those of its data and of its checkpoints.
pub fn resolve(path: &Path, overrides: &[String], limit: Option<usize>) -> Result<Resolved> {
    let catalogue = catalogue();
    let mut suite = read(path, overrides, &catalogue)?;
    let mut errors = Vec::new();
    let mut load = |spec: &DataSpec, split: Option<Split>| match load(spec, split, &suite.base) {
        Ok(data) => Some(data),
        Err(error) => {
            errors.push(error);
            None
        }
    };
    let data = load(&suite.data, None);
    let trained = suite.defences.iter().any(DefenceSpec::wants_training_examples);
    let train = if !trained {
        None
    } else if let Some(spec) = &suite.train_data {
        load(spec, None)
    } else {
        // A limit on the examples to attack is none on those to train on.
        load(&DataSpec { examples: None, ..suite.data.clone() }, Some(Split::Named("train".into())))
    };
    if let (Some(data), Some(train)) = (&data, &train)
        && (data.shape != train.shape || data.classes != train.classes)
    {
        let message = format!(
            "the training examples are {:?} with {} classes, those to attack {:?} with {} classes",
            train.shape, train.classes, data.shape, data.classes
        );
        errors.push(Error::input(message).help("point [data] and [data.train] at the same kind of images"));
    }
    if let (Some(data), Some(train)) = (&data, &train)
        && let Some(count) = data.shared_with(train).filter(|count| 2 * count > data.len())
    {
        let message =
            format!("{count} of the {} examples to attack ({}) are among the training examples ({})", data.len(), data.name, train.name);
        errors.push(Error::input(message).help("attack another split: a model looks better on what it was trained on than it is"));
    }
    let mut designs = Vec::new();
    if let Some(data) = &data {
        errors.extend(suite.threats.iter().filter_map(|threat| too_far(threat, data)));
        for defence in &suite.defences {
            let mut members = Vec::new();
            for member in defence.members() {
                match design(&member.model, &suite.base, data.shape, data.classes) {
                    Ok(design) => {
                        let fits = member.train.as_ref().map(|train| trainer(train).and_then(|row| row.fits(&design.graph)));
                        if let Some(Err(error)) = fits {
                            errors.push(error.about(&format!("defence \"{}\"", member.name)));
                        }
                        members.push(design);
                    }
                    Err(error) => errors.push(error.about(&format!("defence \"{}\"", member.name))),
                }
            }
            designs.push(members);
        }
    }
    if let Some(error) = Error::many("the suite's data or weights cannot be used", errors) {
        return Err(error);
    }
    let mut data = data.expect("a source that gave no error gave data");
    if let Some(limit) = limit.filter(|&limit| limit < data.len()) {
        // As an override, so that the suite as it ran says so.
        let limited = [overrides, &[format!("data.examples={limit}")]].concat();
        suite = read(path, &limited, &catalogue)?;
        data = data.limit(limit);
    }
    let plan = plan(&suite, &catalogue, data.len());
    let (certificates, refused) = planned(&suite, &designs)?;
    let data = Arc::new(data);
    Ok(Resolved { suite, data, train, designs, plan, certificates, refused, catalogue })
}

/// Radii beyond which nothing lies.
fn too_far(threat: &Threat, data: &Dataset) -> Option<Error> {
    let most = threat.norm.diameter(data.features());
    let beyond: Vec<String> = threat.epsilons.iter().filter(|&&epsilon| epsilon > most).map(|&epsilon| distance(epsilon)).collect();
    let [channels, height, width] = data.shape;
    let message = format!(
        "`epsilons` of the threat under {} has {}: images of {channels}x{height}x{width} in [0, 1] are {} apart at most",
        threat.norm.name(),
        beyond.join(", "),
        distance(most)
    );
    let help = "give smaller radii, in units of the whole range of a pixel: divide those for pixels in 0..255 by 255";
    (!beyond.is_empty()).then(|| Error::input(message).help(help))
}

pub(crate) fn load(spec: &DataSpec, split: Option<Split>, base: &Path) -> Result<Dataset> {
    let source = data::source(&spec.source)?;
    let split = match (split, &spec.split) {
        (Some(split), _) => split,
        (None, Some(text)) => text.parse()?,
        (None, None) => source.default_split(),
    };
    data::load(&spec.source, &Request { options: spec.options.clone(), split, examples: spec.examples, base: base.to_path_buf() })
}

impl Resolved {
    /// The threat of a series.
    pub fn threat(&self, key: &SeriesKey) -> &Threat {
        self.suite.threats.iter().find(|threat| threat.norm == key.norm).expect("a series comes from a threat")
    }

    /// The attack entry of a series.
    pub fn attack(&self, key: &SeriesKey) -> &AttackSpec {
        self.suite.attacks.iter().find(|attack| attack.name == key.attack).expect("a series comes from an attack")
    }

    /// Every series, in the order of the results.
    pub fn series(&self) -> Vec<SeriesKey> {
        let mut series: Vec<SeriesKey> = Vec::new();
        for cell in &self.plan.cells {
            let key = SeriesKey { defence: cell.defence.clone(), attack: cell.attack.clone(), norm: cell.norm };
            if series.last() != Some(&key) {
                series.push(key);
            }
        }
        series
    }

    /// The identity of the run: two suites that mean the same on the same data are the same run.
    pub fn identity(&self) -> Identity {
        let Suite { title, seed, data, train_data, threats, defences, attacks, .. } = &self.suite;
        let mut meaning =
            serde_json::to_string(&(title, seed, data, train_data, threats, defences, attacks)).expect("a suite is plain JSON");
        if !self.suite.certificates.is_empty() {
            meaning += &serde_json::to_string(&self.suite.certificates).expect("a suite is plain JSON");
        }
        if !self.suite.precision.is_single() {
            meaning += self.suite.precision.name();
        }
        let mut hasher = blake3::Hasher::new_derive_key("gauntlet run");
        for text in [meaning.as_str(), &self.data.hash, self.train.as_ref().map_or("", |train| train.hash.as_str())] {
            hasher.update(&(text.len() as u64).to_le_bytes());
            hasher.update(text.as_bytes());
        }
        Identity {
            suite_hash: hasher.finalize().to_hex().to_string(),
            title: title.clone(),
            seed: *seed,
            version: env!("CARGO_PKG_VERSION").into(),
            parts: self.parts(),
        }
    }

    /// The run's identity part by part, as messages call the parts; what files hold is compared, and not where they lie.
    fn parts(&self) -> BTreeMap<String, String> {
        fn json(part: &impl Serialize) -> String {
            let mut part = serde_json::to_value(part).expect("a suite is plain JSON");
            without_paths(&mut part);
            part.to_string()
        }
        let Suite { precision, data, train_data, threats, defences, attacks, certificates, .. } = &self.suite;
        let mut parts = BTreeMap::from([
            ("`precision`".to_string(), precision.name().to_string()),
            ("the data".to_string(), json(&(data, &self.data.hash))),
        ]);
        parts.extend(self.train.as_ref().map(|train| ("the training data".to_string(), json(&(train_data, &train.hash)))));
        parts.extend(threats.iter().map(|threat| (format!("the threat under {}", threat.norm.name()), json(threat))));
        parts.extend(defences.iter().map(|defence| (format!("defence \"{}\"", defence.name), json(defence))));
        parts.extend(attacks.iter().map(|attack| (format!("attack \"{}\"", attack.name), json(attack))));
        parts.extend(certificates.iter().map(|entry| (format!("certificate \"{}\"", entry.name), json(entry))));
        parts
    }

    /// What the store of a run in `folder` keeps for reports.
    pub fn layout(&self, folder: &Path) -> Layout {
        Layout {
            suite: self.suite.text.clone(),
            here: moved(&self.suite.text, &self.suite.base, folder),
            data: DataInfo {
                name: self.data.name.clone(),
                examples: self.data.len(),
                classes: self.data.classes,
                shape: self.data.shape,
                hash: self.data.hash.clone(),
            },
            ids: self.data.ids.clone(),
            labels: self.data.labels.clone(),
            defences: self.suite.defences.iter().map(|defence| defence.name.clone()).collect(),
            threats: self.suite.threats.clone(),
            series: self.series(),
            planned: self.plan.cells.len(),
            unknown: unknown(&self.suite.defences),
            members: {
                let ensembles = self.suite.defences.iter().filter(|defence| defence.ensemble.is_some());
                ensembles.flat_map(DefenceSpec::members).map(|member| member.name).collect()
            },
            certificates: self.certificates.clone(),
            refused: self.refused.clone(),
        }
    }
}

/// Leaves out where files lie: data are told by their hash, and weights by that which a run keeps of each defence.
fn without_paths(part: &mut serde_json::Value) {
    match part {
        serde_json::Value::Object(fields) => {
            fields.iter_mut().for_each(|(name, value)| match value.is_string() && ["path", "weights", "onnx"].contains(&name.as_str()) {
                true => *value = true.into(),
                false => without_paths(value),
            });
        }
        serde_json::Value::Array(values) => values.iter_mut().for_each(without_paths),
        _ => {}
    }
}

/// The defences that attacks do not know, each with the same one before attacks that do.
fn unknown(defences: &[DefenceSpec]) -> Vec<(String, Option<String>)> {
    let known = |naive: &DefenceSpec| defences.iter().find(|other| naive.differs_in_adaptivity(other)).map(|other| other.name.clone());
    defences.iter().filter(|defence| !defence.adaptive).map(|naive| (naive.name.clone(), known(naive))).collect()
}
