//! Weights in safetensors files, in PyTorch's layout: a dense weight is [out, in].

use std::collections::BTreeMap;
use std::path::Path;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Device, Tensor, TensorData};
use safetensors::tensor::{Dtype, TensorView};
use safetensors::{SafeTensors, serialize};

use super::Network;
use crate::{Error, Result};

/// Named tensors: shape and row-major values.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Weights(pub BTreeMap<String, (Vec<usize>, Vec<f32>)>);

impl Weights {
    /// The weights of a network.
    pub fn of(network: &Network) -> Self {
        let mut collect = Collect { path: Vec::new(), weights: Self::default() };
        network.visit(&mut collect);
        collect.weights
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

/// The word about the weights that holds their hash.
const HASH: &str = "weights_blake3";

/// The bytes of a safetensors file with these weights, a few words about them, and their hash among those.
///
/// # Errors
/// The weights cannot be laid out in the format.
pub fn write(weights: &Weights, mut about: BTreeMap<String, String>) -> Result<Vec<u8>> {
    about.insert(HASH.into(), weights.hash());
    let views = weights.0.iter().map(|(name, (shape, values))| {
        let view = TensorView::new(Dtype::F32, shape.clone(), bytemuck::cast_slice(values));
        view.map(|view| (name.clone(), view))
    });
    let views = views.collect::<Result<Vec<_>, _>>().map_err(|error| Error::store(format!("weights cannot be written: {error}")))?;
    serialize(views, Some(about.into_iter().collect())).map_err(|error| Error::store(format!("weights cannot be written: {error}")))
}

/// Reads a safetensors file: its weights and the words about them.
///
/// # Errors
/// A file that is missing, damaged (one that states its hash is checked against it), or holds anything but f32.
pub fn read(path: &Path) -> Result<(Weights, BTreeMap<String, String>)> {
    let bytes = std::fs::read(path)
        .map_err(|error| Error::input(format!("weights {}: {error}", path.display())).help("give the path of a .safetensors file"))?;
    let broken = |error: safetensors::SafeTensorError| {
        Error::input(format!("weights {}: not a safetensors file: {error}", path.display())).help("write it again with `gauntlet train`")
    };
    let (_, header) = SafeTensors::read_metadata(&bytes).map_err(broken)?;
    let mut about: BTreeMap<String, String> = header.metadata().clone().unwrap_or_default().into_iter().collect();
    let file = SafeTensors::deserialize(&bytes).map_err(broken)?;
    let mut weights = Weights::default();
    for (name, view) in file.tensors() {
        if view.dtype() != Dtype::F32 {
            let message = format!("weights {}: tensor \"{name}\" is {:?}, not F32", path.display(), view.dtype());
            return Err(Error::input(message).help("convert the checkpoint to float32"));
        }
        let values = view.data().chunks_exact(4).map(|word| f32::from_le_bytes([word[0], word[1], word[2], word[3]])).collect();
        weights.0.insert(name.to_owned(), (view.shape().to_vec(), values));
    }
    if let Some(hash) = about.remove(HASH)
        && hash != weights.hash()
    {
        let message = format!("weights {}: the file is damaged: its tensors do not have the hash that it states", path.display());
        return Err(Error::input(message).help("delete it and train again, or put a sound copy in its place"));
    }
    Ok((weights, about))
}

/// Puts weights into a network of the same architecture.
///
/// # Errors
/// Every missing, extra or misshapen tensor, by name and both shapes, at once.
pub fn load(network: Network, weights: &Weights, from: &str, device: &Device) -> Result<Network> {
    let wanted = Weights::of(&network);
    let mut errors = Vec::new();
    for (name, (shape, _)) in &wanted.0 {
        match weights.0.get(name) {
            None => errors.push(Error::input(format!("{from}: tensor \"{name}\" {shape:?} is missing"))),
            Some((found, _)) if found != shape => {
                errors.push(Error::input(format!("{from}: tensor \"{name}\" is {found:?}, the model wants {shape:?}")));
            }
            Some(_) => {}
        }
    }
    for (name, (shape, _)) in &weights.0 {
        if !wanted.0.contains_key(name) {
            errors.push(Error::input(format!("{from}: tensor \"{name}\" {shape:?} is not part of the model")));
        }
    }
    if let Some(error) = Error::many(format!("{from} does not fit the model"), errors) {
        return Err(error.help("check the architecture, its options, and the images' shape and classes"));
    }
    Ok(network.map(&mut Put { path: Vec::new(), weights, device: device.clone() }))
}

struct Collect {
    path: Vec<String>,
    weights: Weights,
}

impl ModuleVisitor for Collect {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let tensor = param.val().inner();
        let mut shape: Vec<usize> = tensor.dims().to_vec();
        let mut values: Vec<f32> = tensor.into_data().try_to_vec().expect("weights are f32");
        if let [input, output] = shape[..] {
            values = transposed(&values, input, output);
            shape.reverse();
        }
        self.weights.0.insert(tensor_name(&self.path), (shape, values));
    }
}

struct Put<'a> {
    path: Vec<String>,
    weights: &'a Weights,
    device: Device,
}

impl ModuleMapper for Put<'_> {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let (shape, values) = &self.weights.0[&tensor_name(&self.path)];
        let mut shape = shape.clone();
        let mut values = values.clone();
        if let [output, input] = shape[..] {
            values = transposed(&values, output, input);
            shape.reverse();
        }
        let (id, _, mapper) = param.consume();
        Param::from_mapped_value(id, Tensor::from_data(TensorData::new(values, shape), &self.device), mapper)
    }
}

/// The name of a tensor: its path without the name of the enum's variant, which comes first.
fn tensor_name(path: &[String]) -> String {
    path[path.len().min(1)..].join(".")
}

fn transposed(values: &[f32], rows: usize, columns: usize) -> Vec<f32> {
    (0..columns).flat_map(|column| (0..rows).map(move |row| values[row * columns + column])).collect()
}
