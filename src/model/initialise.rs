//! Initial weights from the model's seed: the same numbers on every device, whatever ran before.

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Device, Tensor, TensorData};

use super::Network;
use crate::kernel::random::{philox, unit};

/// Draws every weight and bias uniformly from +-1 / sqrt(fan-in), the default of PyTorch's convolutions and dense layers
/// (He et al. 2015 with a = sqrt(5)). A tensor's numbers are keyed by `seed` and its path, so that adding a layer leaves the others alone.
pub fn initialise(network: Network, seed: u64, device: &Device) -> Network {
    network.map(&mut Draw { seed, path: Vec::new(), fan_in: 1, device: device.clone() })
}

struct Draw {
    seed: u64,
    path: Vec<String>,
    fan_in: usize,
    device: Device,
}

impl ModuleMapper for Draw {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let shape = param.lazy_shape();
        let dims: Vec<usize> = shape.iter().copied().collect();
        // A bias follows its weight and shares its fan-in.
        match dims[..] {
            [input, _] => self.fan_in = input,
            [_, input, height, width] => self.fan_in = input * height * width,
            _ => {}
        }
        let bound = 1.0 / (self.fan_in as f32).sqrt();
        let key = tensor_key(self.seed, &self.path.join("."));
        let count: usize = dims.iter().product();
        let values: Vec<f32> = (0..count.div_ceil(4) as u32)
            .flat_map(|block| philox([block, 0, 0, 0], key))
            .take(count)
            .map(|word| bound * (2.0 * unit(word) - 1.0))
            .collect();
        let device = self.device.clone();
        let (id, _, mapper) = param.consume();
        Param::from_mapped_value(id, Tensor::from_data(TensorData::new(values, dims), &device), mapper)
    }
}

fn tensor_key(seed: u64, path: &str) -> [u32; 2] {
    let mut hasher = blake3::Hasher::new_derive_key("gauntlet initial weights");
    hasher.update(&seed.to_le_bytes());
    hasher.update(path.as_bytes());
    let bytes = hasher.finalize();
    let word = |at: usize| u32::from_le_bytes(bytes.as_bytes()[at..at + 4].try_into().expect("four bytes"));
    [word(0), word(4)]
}
