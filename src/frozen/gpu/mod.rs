//! A network whose weights no longer change, compiled for a GPU.
//!
//! The script of steps is that of the processor's plan; here a vector holds all images of a batch, rounded up to a multiple of 32, so
//! that neighbouring invocations work on neighbouring images. A step is a launch of one of the kernels `to_lanes`, `convolve`, `sweep`,
//! `sparse_rows`, `max_pool`, `max_pool_back`, `unary`, `softmax` and `from_lanes`. Launches are recorded once for a number of images: their parameters,
//! weights and tables are on the device, and their memory is given out before; a way forward or back puts them behind one another and
//! does nothing else. Burn's fusion sees two operations, the way forward and the way back.
//!
//! The plan holds convolutions, dense layers, batch norm, rectifiers, sums, scales, max pooling, and what comes to a sparse matrix:
//! average pooling, means and sums, pads, crops, transposed and joined values; functions of single elements, and softmax. Beyond what
//! every plan lacks it lacks functions of two values other than a sum behind a convolution, layer norm and group norm: they leave the
//! network to Burn, and [`Plan::compile`] names them.

mod memory;
mod record;
mod way;

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use burn::tensor::Tensor;

use super::convolution::{Target, Weight};
use super::emit::{Script, emit};
use super::layers::{Function, Kind, Layer};
use super::plan::place;
use super::read::read;
use crate::Result;
use crate::graph::{Graph, Op};
use crate::kernel::lanes::LANES;
use crate::kernel::unary;
use crate::model::Weights;
use memory::{ALIGNMENT, Memory, Owner};
use record::Resident;

/// Taps in vectors; weights as [group][output][input][tap], to be tiled when the number of images is known.
const GPU: Target = Target { vector: 1, pack: in_order, winograd: false };

fn in_order([groups, outputs, inputs, taps]: [usize; 4], _: bool, weight: Weight) -> Vec<f32> {
    let outputs = (0..groups).flat_map(|group| (0..outputs).map(move |output| (group, output)));
    let terms = outputs.flat_map(|(group, output)| (0..inputs * taps).map(move |term| (group, output, term)));
    terms.map(|(group, output, term)| weight(group, output, term / taps, term % taps)).collect()
}

/// A frozen network compiled for GPUs; it may run on several.
#[derive(Debug)]
pub struct Plan {
    script: Script,
    features: usize,
    classes: usize,
    /// By device: what has been put there.
    residents: Mutex<HashMap<cubecl::Device, Resident>>,
    /// Memory that nobody uses.
    free: Mutex<HashMap<Owner, Vec<Memory>>>,
}

/// What the way back needs of a way forward; its memory goes back to the plan when it is dropped.
#[derive(Clone, Debug)]
pub struct Tape(Arc<way::Held>);

impl Plan {
    /// Compiles a frozen graph; or names the operations, each once, that a plan cannot hold.
    ///
    /// # Errors
    /// A graph that does not fit together.
    pub fn compile(graph: &Graph, weights: &Weights) -> Result<std::result::Result<Self, BTreeSet<String>>> {
        let network = match read(graph, weights)? {
            Ok(network) => network,
            Err(missing) => return Ok(Err(missing)),
        };
        let missing: BTreeSet<String> = network.layers.iter().filter_map(lacking).collect();
        if !missing.is_empty() {
            return Ok(Err(missing));
        }
        let (features, classes) = (graph.input.iter().product(), graph.classes);
        let (residents, free) = Default::default();
        Ok(Ok(Self { script: emit(&network, GPU), features, classes, residents, free }))
    }

    /// Bytes that one image's way forward and back takes.
    pub fn bytes_per_image(&self) -> usize {
        let (_, bytes) = place(&self.script, LANES, ALIGNMENT, usize::MAX);
        bytes.iter().sum::<usize>().div_ceil(LANES)
    }

    /// Logits [rows, classes] of flat images [rows, features] on a GPU, and what [`Tape::gradient`] needs. Nothing waits for the device.
    pub fn forward(self: &Arc<Self>, images: Tensor<2>) -> (Tensor<2>, Tape) {
        let tape = Tape(Arc::new(way::Held::new(self.clone(), images.dims()[0])));
        (way::forward(images, tape.clone()), tape)
    }

    fn give(&self, memory: Memory) {
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        free.entry(memory.of.clone()).or_default().push(memory);
    }
}

impl Tape {
    /// The gradient [rows, features], with respect to the images, of the loss whose gradient with respect to the logits is `asked`
    /// [rows, classes]. Zeros where no logit depends on the images smoothly.
    pub fn gradient(&self, asked: Tensor<2>) -> Tensor<2> {
        let Held { plan, rows, .. } = &*self.0;
        match plan.script.answer {
            Some(_) => way::backward(asked, self.clone()),
            None => Tensor::zeros([*rows, plan.features], &asked.device()),
        }
    }
}

use way::Held;

/// The name of an operation that these plans lack.
fn lacking(layer: &Layer) -> Option<String> {
    let op = match &layer.kind {
        Kind::Unary(function) if unary::number(*function).is_some() => return None,
        Kind::Unary(function) => Op::Unary(*function).name(),
        Kind::Pair(pair) => match pair.function {
            Function::Binary(function) => Op::Binary(function).name(),
            Function::Prelu => Op::Prelu.name(),
        },
        Kind::Standardise { .. } => "LayerNorm or GroupNorm".into(),
        Kind::Convolution { .. } | Kind::Affine { .. } | Kind::Rows(_) | Kind::View | Kind::MaxPool(_) | Kind::Softmax { .. } => {
            return None;
        }
    };
    Some(op)
}
