//! Tensors of a file under the names that a network wants.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use serde::Serialize;

use super::{Checkpoint, Named};
use crate::model::{Normalisation, Weights};
use crate::nearest::nearest;
use crate::{Error, Result};

/// Extra tensors that are named one by one.
const MOST_LISTED: usize = 1000;

/// How tensors find their places.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Matching {
    /// By name, prefixes aside.
    #[default]
    Name,
    /// By their order in the file, whatever their names; every shape must agree.
    Order,
}

impl Matching {
    /// Whether it is the usual way.
    pub fn is_by_name(&self) -> bool {
        *self == Matching::Name
    }
}

/// Weights under a network's own names.
#[derive(Clone, Debug)]
pub struct Fitted {
    /// The weights.
    pub weights: Weights,
    /// What was done to the names.
    pub notes: Vec<String>,
    /// The mean and deviation of a normalisation layer that the file holds beside the network's tensors.
    pub normalisation: Option<Normalisation>,
}

/// Wrappers that put their name before every tensor's.
const PREFIXES: &[&str] = &["module.", "model.", "_orig_mod.", "backbone.", "net.", "network.", "basic_net.", "0.", "1."];
/// Parts of names that stand for the same layer in different repositories: there, here.
const ALIASES: &[(&str, &str)] = &[("shortcut", "downsample"), ("linear", "fc")];
/// Last parts of the names of a normalisation layer's mean and deviation.
const MEANS: &[&str] = &["mean", "mu", "_mean"];
const DEVIATIONS: &[&str] = &["std", "sigma", "_std"];

/// Puts the tensors of a file under the names in `wanted` (name and sides, in PyTorch's order). `channels` is that of the images; messages
/// open with `from`.
///
/// # Errors
/// Every missing, extra or misshapen tensor, by name and both shapes, at once.
pub fn fit(checkpoint: Checkpoint, wanted: &[(String, Vec<usize>)], matching: Matching, channels: usize, from: &str) -> Result<Fitted> {
    let Checkpoint { tensors, unread, mut notes, .. } = checkpoint;
    let known: HashSet<&str> = wanted.iter().map(|(name, _)| name.as_str()).collect();
    // Batch norm's counters are read by training alone; of equal names the last one counts.
    let mut found: Vec<Named> = Vec::with_capacity(tensors.len());
    let mut places: HashMap<String, usize> = HashMap::new();
    for tensor in tensors {
        if tensor.name.rsplit('.').next() == Some("num_batches_tracked") && !known.contains(tensor.name.as_str()) {
            continue;
        }
        match places.get(&tensor.name) {
            Some(&place) => found[place] = tensor,
            None => {
                places.insert(tensor.name.clone(), found.len());
                found.push(tensor);
            }
        }
    }
    let normalisation = take_normalisation(&mut found, &known, channels);
    if matching == Matching::Order {
        let weights = by_order(found, wanted, from)?;
        notes.push("the tensors in the order of the file, whatever their names".into());
        return Ok(Fitted { weights, notes, normalisation });
    }
    if let Some(prefix) = prefix(&found, &known) {
        notes.push(format!("the names without \"{prefix}\""));
        for tensor in &mut found {
            if let Some(rest) = tensor.name.strip_prefix(&prefix) {
                tensor.name = rest.into();
            }
        }
    }
    notes.extend(alias(&mut found, &known));
    let errors = mismatches(&found, wanted, &unread);
    if let Some(error) = misfits(from, "", errors) {
        let in_order = found.len() == wanted.len() && found.iter().zip(wanted).all(|(tensor, (_, shape))| tensor.shape == *shape);
        let help = if in_order {
            "the shapes agree one to one in the order of the file: if it is the same network under other names, add match = \"order\""
        } else {
            "check the architecture, its options, and the images' shape and classes; `gauntlet model FILE` lists a file's tensors"
        };
        return Err(error.help(help));
    }
    let weights = Weights(found.into_iter().map(|tensor| (tensor.name, (tensor.shape, tensor.values))).collect());
    Ok(Fitted { weights, notes, normalisation })
}

fn by_order(found: Vec<Named>, wanted: &[(String, Vec<usize>)], from: &str) -> Result<Weights> {
    let mut errors = Vec::new();
    for (index, (tensor, (name, shape))) in found.iter().zip(wanted).enumerate().filter(|(_, (tensor, (_, shape)))| tensor.shape != *shape)
    {
        let Named { name: there, shape: given, .. } = tensor;
        errors.push(Error::input(format!("tensor {index} of the file is \"{there}\" {given:?}, the model wants \"{name}\" {shape:?}")));
    }
    if found.len() != wanted.len() {
        let message = format!("the file has {} tensors, the model {}", found.len(), wanted.len());
        errors.push(Error::input(message));
    }
    if let Some(error) = misfits(from, " in the order of the file", errors) {
        return Err(error.help("check the architecture and its options, or rename the tensors and leave out match = \"order\""));
    }
    let named = found.into_iter().zip(wanted).map(|(tensor, (name, _))| (name.clone(), (tensor.shape, tensor.values)));
    Ok(Weights(named.collect()))
}

/// The prefix without which the most names fit, if that is more than fit with it.
fn prefix(found: &[Named], known: &HashSet<&str>) -> Option<String> {
    let mut candidates: BTreeSet<&str> = BTreeSet::new();
    for Named { name, .. } in found {
        let mut end = 0;
        while let Some(part) = PREFIXES.iter().find(|part| name[end..].starts_with(**part)) {
            end += part.len();
            candidates.insert(&name[..end]);
        }
    }
    let fitting =
        |prefix: &str| found.iter().filter(|tensor| tensor.name.strip_prefix(prefix).is_some_and(|name| known.contains(name))).count();
    let plain = fitting("");
    // Of equal counts the shortest prefix, which comes first.
    let counts = candidates.into_iter().map(|prefix| (fitting(prefix), prefix)).filter(|(count, _)| *count > plain);
    let best =
        counts.fold(None, |best: Option<(usize, &str)>, next| if best.is_none_or(|best| next.0 > best.0) { Some(next) } else { best });
    best.map(|(_, prefix)| prefix.to_string())
}

/// Renames what is known here under another usual name.
fn alias(found: &mut [Named], known: &HashSet<&str>) -> Option<String> {
    let there: HashSet<String> = found.iter().map(|tensor| tensor.name.clone()).collect();
    let mut renamed = BTreeSet::new();
    for tensor in found.iter_mut().filter(|tensor| !known.contains(tensor.name.as_str())) {
        for (from, to) in ALIASES {
            let name: Vec<&str> = tensor.name.split('.').map(|part| if part == *from { *to } else { part }).collect();
            let name = name.join(".");
            if known.contains(name.as_str()) && !there.contains(&name) {
                tensor.name = name;
                renamed.insert(format!("\"{from}\" as \"{to}\""));
                break;
            }
        }
    }
    if renamed.is_empty() { None } else { Some(format!("the names with {}", renamed.into_iter().collect::<Vec<_>>().join(", "))) }
}

/// Takes a normalisation layer's mean and deviation out of what was found: one value a channel each, under usual names.
fn take_normalisation(found: &mut Vec<Named>, known: &HashSet<&str>, channels: usize) -> Option<Normalisation> {
    let named = |tensor: &Named, names: &[&str]| {
        let last = tensor.name.rsplit('.').next().unwrap_or(&tensor.name);
        names.contains(&last) && !known.contains(tensor.name.as_str()) && tensor.values.len() == channels
    };
    let mean = found.iter().position(|tensor| named(tensor, MEANS))?;
    let deviation = found.iter().position(|tensor| named(tensor, DEVIATIONS))?;
    let values = |at: usize| found[at].values.iter().map(|&value| f64::from(value)).collect();
    let normalisation = Normalisation { mean: values(mean), std: values(deviation) };
    let (first, second) = (mean.max(deviation), mean.min(deviation));
    found.remove(first);
    found.remove(second);
    Some(normalisation)
}

/// What does not fit, as one error that names the file once.
pub(in crate::model) fn misfits(from: &str, how: &str, mut errors: Vec<Error>) -> Option<Error> {
    match errors.len() {
        1 => errors.pop().map(|error| error.about(from)),
        _ => Error::many(format!("{from} does not fit the model{how}"), errors),
    }
}

fn mismatches(found: &[Named], wanted: &[(String, Vec<usize>)], unread: &[(String, String)]) -> Vec<Error> {
    let there: BTreeMap<&str, &Named> = found.iter().map(|tensor| (tensor.name.as_str(), tensor)).collect();
    let known: HashSet<&str> = wanted.iter().map(|(name, _)| name.as_str()).collect();
    let extra: Vec<&Named> = found.iter().filter(|tensor| !known.contains(tensor.name.as_str())).collect();
    // Names are compared letter by letter, which a file of very many would make slow.
    let comparable = if extra.len() <= MOST_LISTED { extra.as_slice() } else { &[] };
    let mut errors = Vec::new();
    for (name, shape) in wanted {
        match there.get(name.as_str()) {
            Some(tensor) if tensor.shape == *shape => {}
            Some(Named { shape: given, .. }) => {
                errors.push(Error::input(format!("tensor \"{name}\" is {given:?}, the model wants {shape:?}")));
            }
            None => {
                let error = Error::input(format!("tensor \"{name}\" {shape:?} is missing"));
                let type_ = unread.iter().find(|(other, _)| other.ends_with(name.as_str())).map(|(_, class)| class);
                let alike = || comparable.iter().filter(|tensor| tensor.shape == *shape).map(|tensor| tensor.name.as_str());
                let near = || nearest(name, alike()).or_else(|| alike().next().filter(|_| alike().count() == 1));
                errors.push(match (type_, near()) {
                    (Some(class), _) => error.help(format!("the file holds it as {class}, which is not read: save it as plain floats")),
                    (None, Some(near)) => error.help(format!("the file has \"{near}\" of this shape")),
                    (None, None) => error,
                });
            }
        }
    }
    for Named { name, shape, .. } in extra.iter().take(MOST_LISTED) {
        errors.push(Error::input(format!("tensor \"{name}\" {shape:?} is not part of the model")));
    }
    if extra.len() > MOST_LISTED {
        let more = extra.len() - MOST_LISTED;
        errors.push(Error::input(format!("{more} more tensors are not part of the model")));
    }
    errors
}
