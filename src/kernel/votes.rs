//! Counting votes: the class of a row's largest logit, the first of several, gets one more (Cohen et al. 2019, algorithm 1).

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Dispatch, Flex, backend_extension};
use burn::tensor::{DType, Tensor};
use burn_wgpu::{CubeBackend, CubeTensor};
use bytemuck::{Pod, Zeroable};

use super::launch::launch;
use super::twin::{self, CpuTensor, NOT_FINITE, argmax, largest_bits};
use super::{Element, Kernel, door, fields, input, output, sample};

/// The row of [`KERNELS`](super::KERNELS).
pub const KERNEL: Kernel = Kernel {
    name: "votes",
    summary: "adds each row's vote to its counts (Cohen et al. 2019)",
    shader: include_str!("../../shaders/votes.wgsl"),
    workgroup: 64,
    per_row: true,
    bindings: &[input("logits", Element::Float), input("counts", Element::Float), output("out_counts", Element::Float)],
    parameters: fields!(Parameters { rows, classes }),
    parameters_size: size_of::<Parameters>(),
    variants: &["plain"],
    sample: |shape, device| vec![sample::logits(shape, 1, device), sample::unit(shape, 2, device)],
    run: |_, values| {
        let [logits, counts] = sample::take(values);
        vec![votes(logits.floats(), counts.floats()).into()]
    },
};

/// Parameters of the shader.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
pub struct Parameters {
    /// B.
    pub rows: u32,
    /// C.
    pub classes: u32,
}

/// `counts` [B, C] with one more for the class of each row's largest of `logits` [B, C]; a row with a logit that is not finite has no
/// vote.
///
/// # Panics
/// Where shapes or element types do not fit.
pub fn votes(logits: Tensor<2>, counts: Tensor<2>) -> Tensor<2> {
    let shape = logits.dims();
    door::floats(KERNEL.name, "logits", &logits, shape);
    door::floats(KERNEL.name, "counts", &counts, shape);
    Tensor::from_dispatch(<Dispatch as Votes>::votes(logits.into_dispatch(), counts.into_dispatch()))
}

/// [`votes`] on the backends' own tensors.
#[backend_extension(Cube, Flex, Fusion)]
pub trait Votes: Backend {
    /// See [`votes`].
    #[fusion(dtype = counts, shape = counts)]
    fn votes(logits: FloatTensor<Self>, counts: FloatTensor<Self>) -> FloatTensor<Self>;
}

impl Votes for CubeBackend {
    fn votes(logits: CubeTensor, counts: CubeTensor) -> CubeTensor {
        let shape = counts.meta.shape().clone();
        let parameters = Parameters { rows: shape[0] as u32, classes: shape[1] as u32 };
        let [out] = launch(&KERNEL, vec![logits, counts], [(shape, DType::F32)], &parameters);
        out
    }
}

impl Votes for Flex {
    fn votes(logits: CpuTensor, counts: CpuTensor) -> CpuTensor {
        let logits = twin::dense::<f32>(logits);
        let logits = logits.storage::<f32>();
        twin::update_rows(counts, 2, |slot, counts| {
            let logits = &logits[slot * counts.len()..][..counts.len()];
            if largest_bits(logits) < NOT_FINITE {
                counts[argmax(logits, None)] += 1.0;
            }
        })
    }
}
