//! Weights in safetensors files, in PyTorch's layout: a dense weight is [out, in].

use std::collections::BTreeMap;
use std::path::Path;

use burn::tensor::Device;
use safetensors::serialize;
use safetensors::tensor::{Dtype, TensorView};

use super::Network;
use super::weights::misfits;
use crate::graph::Graph;
use crate::{Error, Result};

/// Named tensors: shape and row-major values.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Weights(pub BTreeMap<String, (Vec<usize>, Vec<f32>)>);

impl Weights {
    /// The weights of a network.
    pub fn of(network: &Network) -> Self {
        network.weights()
    }

    /// Hash of names, shapes and values (blake3, hexadecimal).
    pub fn hash(&self) -> String {
        let mut hasher = blake3::Hasher::new_derive_key("gauntlet weights");
        for (name, (shape, values)) in &self.0 {
            hasher.update(name.as_bytes());
            hasher.update(&[0]);
            for side in shape {
                hasher.update(&(*side as u64).to_le_bytes());
            }
            hasher.update(bytemuck::cast_slice(values));
        }
        hasher.finalize().to_hex().to_string()
    }

    /// How many numbers there are.
    pub fn parameters(&self) -> usize {
        self.0.values().map(|(_, values)| values.len()).sum()
    }

    /// Whether every number is finite.
    pub fn is_finite(&self) -> bool {
        self.0.values().all(|(_, values)| values.iter().all(|value| value.is_finite()))
    }
}

/// The bytes of a safetensors file with these weights, a few words about them, and their hash among those.
///
/// # Errors
/// The weights cannot be laid out in the format.
pub fn write(weights: &Weights, mut about: BTreeMap<String, String>) -> Result<Vec<u8>> {
    about.insert(super::weights::HASH.into(), weights.hash());
    let views = weights.0.iter().map(|(name, (shape, values))| {
        let view = TensorView::new(Dtype::F32, shape.clone(), bytemuck::cast_slice(values));
        view.map(|view| (name.clone(), view))
    });
    let views = views.collect::<Result<Vec<_>, _>>().map_err(|error| Error::store(format!("weights cannot be written: {error}")))?;
    serialize(views, Some(about.into_iter().collect())).map_err(|error| Error::store(format!("weights cannot be written: {error}")))
}

/// Reads a checkpoint: its weights and the words about them.
///
/// # Errors
/// As [`weights::read`](super::weights::read).
pub fn read(path: &Path) -> Result<(Weights, BTreeMap<String, String>)> {
    let found = super::weights::read(path)?;
    Ok((found.weights(), found.about))
}

/// Whether weights are those of a graph: the same names and shapes.
///
/// # Errors
/// Every missing, extra or misshapen tensor, by name and both shapes, at once, in words that start with `from`.
pub fn fit(graph: &Graph, weights: &Weights, from: &str) -> Result<()> {
    let mut errors = Vec::new();
    let wanted: BTreeMap<&String, &Vec<usize>> = graph.parameters.iter().map(|parameter| (&parameter.name, &parameter.shape)).collect();
    for (name, shape) in &wanted {
        match weights.0.get(*name) {
            None => errors.push(Error::input(format!("tensor \"{name}\" {shape:?} is missing"))),
            Some((found, _)) if found != *shape => {
                errors.push(Error::input(format!("tensor \"{name}\" is {found:?}, the model wants {shape:?}")));
            }
            Some((_, numbers)) if numbers.len() != shape.iter().product::<usize>() => {
                errors.push(Error::input(format!("tensor \"{name}\" {shape:?} has {} numbers", numbers.len())));
            }
            Some(_) => {}
        }
    }
    for (name, (shape, _)) in &weights.0 {
        if !wanted.contains_key(name) {
            errors.push(Error::input(format!("tensor \"{name}\" {shape:?} is not part of the model")));
        }
    }
    match misfits(from, "", errors) {
        Some(error) => Err(error.help("check the architecture, its options, and the images' shape and classes")),
        None => Ok(()),
    }
}

/// Puts weights into a network of the same architecture.
///
/// # Errors
/// As [`fit`].
pub fn load(network: Network, weights: &Weights, from: &str, device: &Device) -> Result<Network> {
    network.with_weights(weights, from, device)
}
