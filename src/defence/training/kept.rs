//! What a training that was cut off goes on from: one file an epoch, whole at any moment, beside the cache of weights.

use std::collections::BTreeMap;
use std::path::Path;

use burn::tensor::{Device, Tensor, TensorData};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::model::{self, Weights};
use crate::store::write_atomic;
use crate::{Error, Result};

/// Values by name: JSON, and tensors.
pub(crate) struct Kept {
    words: BTreeMap<String, String>,
    tensors: Weights,
    device: Device,
}

impl Kept {
    /// Nothing yet; tensors that are read go to `device`.
    pub(super) fn new(device: &Device) -> Self {
        Self { words: BTreeMap::new(), tensors: Weights::default(), device: device.clone() }
    }

    /// What a file holds; nothing where there is none, or none that can be read: the training then begins anew, to the same end.
    pub(super) fn read(path: &Path, device: &Device) -> Option<Self> {
        let (tensors, words) = model::read(path).ok()?;
        Some(Self { words, tensors, device: device.clone() })
    }

    pub(super) fn write(self, path: &Path) -> Result<()> {
        write_atomic(path, &model::write(&self.tensors, self.words)?)
    }

    /// Where tensors that are read go.
    pub(crate) fn device(&self) -> &Device {
        &self.device
    }

    pub(crate) fn put(&mut self, name: &str, value: &impl Serialize) {
        self.words.insert(name.into(), serde_json::to_string(value).expect("what is kept is plain JSON"));
    }

    pub(crate) fn get<T: DeserializeOwned>(&self, name: &str) -> Result<T> {
        let text = self.words.get(name).map_or("", String::as_str);
        serde_json::from_str(text).map_err(|error| {
            Error::store(format!("an interrupted training cannot go on: \"{name}\" cannot be read: {error}"))
                .help("remove the .part.safetensors files from the folder of the weights: the training then begins anew")
        })
    }

    /// Flat tensors, in their order.
    pub(crate) fn put_tensors(&mut self, name: &str, tensors: &[Tensor<1>]) -> Result<()> {
        for (at, tensor) in tensors.iter().enumerate() {
            let numbers =
                tensor.clone().try_into_data().map_err(|error| lost(&error))?.try_to_vec::<f32>().map_err(|error| lost(&error))?;
            self.tensors.0.insert(format!("{name}.{at}"), (vec![numbers.len()], numbers));
        }
        Ok(())
    }

    pub(crate) fn tensors(&self, name: &str) -> Vec<Tensor<1>> {
        let numbers = (0..).map_while(|at| self.tensors.0.get(&format!("{name}.{at}")));
        numbers.map(|(shape, numbers)| Tensor::from_data(TensorData::new(numbers.clone(), shape.clone()), &self.device)).collect()
    }

    pub(crate) fn put_weights(&mut self, name: &str, weights: &Weights) {
        let tensors = weights.0.iter().map(|(own, value)| (format!("{name}/{own}"), value.clone()));
        self.tensors.0.extend(tensors);
    }

    /// Weights under a name; empty where there are none.
    pub(crate) fn weights(&self, name: &str) -> Weights {
        let prefix = format!("{name}/");
        let own = self.tensors.0.iter().filter_map(|(full, value)| Some((full.strip_prefix(&prefix)?.to_owned(), value.clone())));
        Weights(own.collect())
    }
}

fn lost(error: &dyn std::fmt::Debug) -> Error {
    Error::device(format!("the device stopped answering: {error:?}"))
        .help("run the same command again: the training goes on from its last epoch")
}
