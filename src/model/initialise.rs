//! Initial weights from the model's seed: the same numbers on every device, whatever ran before.

use super::Weights;
use crate::graph::{Graph, Op, Parameter, Source};
use crate::kernel::random::{philox, unit};

/// Draws every weight and bias uniformly from +-1 / sqrt(fan-in), the default of PyTorch's convolutions and dense layers
/// (He et al. 2015 with a = sqrt(5)). Norms start as the identity with mean 0 and variance 1, slopes at 1/4, other vectors at 0. A
/// tensor's numbers are keyed by `seed` and its name, so that adding a layer leaves the others alone.
pub fn initialise(graph: &Graph, seed: u64) -> Weights {
    let weights = graph.parameters.iter().enumerate().map(|(at, parameter)| {
        let count = parameter.shape.iter().product();
        let numbers = match start(graph, at, parameter) {
            Start::All(number) => vec![number; count],
            Start::FanIn(fan_in) => {
                let bound = 1.0 / (fan_in as f32).sqrt();
                let key = tensor_key(seed, &parameter.name);
                let words = (0..count.div_ceil(4) as u32).flat_map(|block| philox([block, 0, 0, 0], key));
                words.take(count).map(|word| bound * (2.0 * unit(word) - 1.0)).collect()
            }
        };
        (parameter.name.clone(), (parameter.shape.clone(), numbers))
    });
    Weights(weights.collect())
}

/// How a tensor starts.
enum Start {
    All(f32),
    FanIn(usize),
}

/// By the first node that reads the tensor.
fn start(graph: &Graph, at: usize, parameter: &Parameter) -> Start {
    let readers = graph.nodes.iter().filter_map(|node| {
        let input = node.inputs.iter().position(|source| *source == Source::Parameter(at))?;
        Some((node, input))
    });
    let fan_in = |shape: &[usize]| shape[1..].iter().product::<usize>().max(1);
    for (node, input) in readers {
        match (&node.op, input) {
            (Op::BatchNorm { .. }, 1 | 4) | (Op::LayerNorm { .. } | Op::GroupNorm { .. }, 1) => return Start::All(1.0),
            (Op::BatchNorm { .. } | Op::LayerNorm { .. } | Op::GroupNorm { .. }, _) => return Start::All(0.0),
            (Op::Prelu, 1) => return Start::All(0.25),
            (Op::Conv { .. } | Op::Linear, 1) => return Start::FanIn(fan_in(&parameter.shape)),
            (Op::Conv { .. } | Op::Linear, 2) => {
                if let Source::Parameter(weight) = node.inputs[1] {
                    return Start::FanIn(fan_in(&graph.parameters[weight].shape));
                }
            }
            (Op::MatMul, 1) => return Start::FanIn(parameter.shape[parameter.shape.len() - 2]),
            _ => {}
        }
    }
    if parameter.shape.len() < 2 { Start::All(0.0) } else { Start::FanIn(fan_in(&parameter.shape)) }
}

fn tensor_key(seed: u64, name: &str) -> [u32; 2] {
    let mut hasher = blake3::Hasher::new_derive_key("gauntlet initial weights");
    hasher.update(&seed.to_le_bytes());
    hasher.update(name.as_bytes());
    let bytes = hasher.finalize();
    let word = |at: usize| u32::from_le_bytes(bytes.as_bytes()[at..at + 4].try_into().expect("four bytes"));
    [word(0), word(4)]
}
