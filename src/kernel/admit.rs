//! Admission of examples into slots: `out[i] = source[index[i]]` where `0 <= index[i] < N`, and `target[i]` elsewhere.
//!
//! It gathers rows too, with `target` of any content and an index for every row.

use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{Backend, Dispatch, Flex, backend_extension};
use burn::tensor::{DType, Int, Tensor};
use burn_wgpu::{CubeBackend, CubeTensor};
use bytemuck::{Pod, Zeroable};

use super::launch::launch;
use super::twin::{self, CpuTensor};
use super::{Element, Kernel, door, fields, input, output, sample};

/// The row of [`KERNELS`](super::KERNELS).
pub const KERNEL: Kernel = Kernel {
    name: "admit",
    summary: "puts examples into slots, or gathers rows",
    shader: include_str!("../../shaders/admit.wgsl"),
    workgroup: 256,
    per_row: false,
    bindings: &[
        input("slots", Element::Float),
        input("source", Element::Float),
        input("index", Element::Word),
        output("out_slots", Element::Float),
    ],
    parameters: fields!(Parameters { rows, columns, source_rows }),
    parameters_size: size_of::<Parameters>(),
    variants: &["plain"],
    sample: |shape, device| {
        let source_rows = shape.rows / 2 + 3;
        let source = sample::Shape { rows: source_rows, ..shape };
        vec![sample::unit(shape, 1, device), sample::unit(source, 2, device), sample::indices(shape.rows, source_rows, device)]
    },
    run: |_, values| {
        let [slots, source, index] = sample::take(values);
        vec![admit(slots.floats(), source.floats(), index.words()).into()]
    },
};

/// Parameters of the shader.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
pub struct Parameters {
    /// B.
    pub rows: u32,
    /// D.
    pub columns: u32,
    /// N.
    pub source_rows: u32,
}

/// Puts row `index[i]` of `source` [N, D] into row i of `slots` [B, D]; where `index` \[B\] is negative, or N or more, the row stays.
///
/// # Panics
/// Where shapes or element types do not fit.
pub fn admit(slots: Tensor<2>, source: Tensor<2>, index: Tensor<1, Int>) -> Tensor<2> {
    let [rows, columns] = slots.dims();
    door::floats(KERNEL.name, "slots", &slots, [rows, columns]);
    door::floats(KERNEL.name, "source", &source, [source.dims()[0], columns]);
    door::words(KERNEL.name, "index", &index, rows);
    Tensor::from_dispatch(<Dispatch as Admit>::admit(slots.into_dispatch(), source.into_dispatch(), index.into_dispatch()))
}

/// [`admit`] on the backends' own tensors.
#[backend_extension(Cube, Flex, Fusion)]
pub trait Admit: Backend {
    /// See [`admit`].
    #[fusion(dtype = slots, shape = slots)]
    fn admit(slots: FloatTensor<Self>, source: FloatTensor<Self>, index: IntTensor<Self>) -> FloatTensor<Self>;
}

impl Admit for CubeBackend {
    fn admit(slots: CubeTensor, source: CubeTensor, index: CubeTensor) -> CubeTensor {
        let shape = slots.meta.shape().clone();
        let parameters = Parameters { rows: shape[0] as u32, columns: shape[1] as u32, source_rows: source.meta.shape()[0] as u32 };
        let [out] = launch(&KERNEL, vec![slots, source, index], [(shape, DType::F32)], &parameters);
        out
    }
}

impl Admit for Flex {
    fn admit(slots: CpuTensor, source: CpuTensor, index: CpuTensor) -> CpuTensor {
        let (source, index) = (twin::dense::<f32>(source), twin::dense::<i32>(index));
        let examples = source.storage::<f32>();
        let index = index.storage::<i32>();
        twin::update_rows(slots, 1, |slot, row| {
            let chosen = usize::try_from(index[slot]).ok().and_then(|example| examples.chunks_exact(row.len()).nth(example));
            if let Some(example) = chosen {
                row.copy_from_slice(example);
            }
        })
    }
}
