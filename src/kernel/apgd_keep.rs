//! APGD's best point, or the gradient there (Croce and Hein 2020, algorithm 1): `best' = point` where the notes say [`KEEP`];
//! `point' = best` where they say [`JUMP`] without it.

use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{Backend, Dispatch, Flex, backend_extension};
use burn::tensor::{DType, Int, Tensor};
use burn_wgpu::{CubeBackend, CubeTensor};
use bytemuck::{Pod, Zeroable};

use super::apgd::{self, JUMP, KEEP, Notes};
use super::launch::launch;
use super::row::NOTES_WORDS;
use super::twin::{self, CpuTensor};
use super::{Element, Kernel, door, fields, input, output, sample};

/// The row of [`KERNELS`](super::KERNELS).
pub const KERNEL: Kernel = Kernel {
    name: "apgd_keep",
    summary: "keeps APGD's best point or its gradient, or goes back to it (Croce and Hein 2020)",
    shader: include_str!("../../shaders/apgd_keep.wgsl"),
    workgroup: 256,
    per_row: false,
    bindings: &[
        input("point", Element::Float),
        input("best", Element::Float),
        input("notes", Element::Word),
        output("out_point", Element::Float),
        output("out_best", Element::Float),
    ],
    parameters: fields!(Parameters { rows, columns }),
    parameters_size: size_of::<Parameters>(),
    variants: &["plain"],
    sample: |shape, device| vec![sample::unit(shape, 1, device), sample::unit(shape, 2, device), apgd::sample(shape, device)],
    run: |_, values| {
        let [point, best, notes] = sample::take(values);
        let (point, best) = apgd_keep(point.floats(), best.floats(), notes.words());
        vec![point.into(), best.into()]
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
}

/// `point` and `best` [B, D] after what `notes` [B * NOTES_WORDS] ask for: the point becomes the best, or the best becomes the point.
///
/// # Panics
/// Where shapes or element types do not fit.
pub fn apgd_keep(point: Tensor<2>, best: Tensor<2>, notes: Tensor<1, Int>) -> (Tensor<2>, Tensor<2>) {
    let shape = point.dims();
    door::floats(KERNEL.name, "point", &point, shape);
    door::floats(KERNEL.name, "best", &best, shape);
    door::words(KERNEL.name, "notes", &notes, shape[0] * NOTES_WORDS);
    let (point, best) = <Dispatch as ApgdKeep>::apgd_keep(point.into_dispatch(), best.into_dispatch(), notes.into_dispatch());
    (Tensor::from_dispatch(point), Tensor::from_dispatch(best))
}

/// [`apgd_keep`] on the backends' own tensors.
#[backend_extension(Cube, Flex, Fusion)]
pub trait ApgdKeep: Backend {
    /// See [`apgd_keep`].
    #[fusion(meta = |point, best, _notes| (point.clone(), best.clone()))]
    fn apgd_keep(point: FloatTensor<Self>, best: FloatTensor<Self>, notes: IntTensor<Self>) -> (FloatTensor<Self>, FloatTensor<Self>);
}

impl ApgdKeep for CubeBackend {
    fn apgd_keep(point: CubeTensor, best: CubeTensor, notes: CubeTensor) -> (CubeTensor, CubeTensor) {
        let shape = point.meta.shape().clone();
        let parameters = Parameters { rows: shape[0] as u32, columns: shape[1] as u32 };
        let outputs = [(shape.clone(), DType::F32), (shape, DType::F32)];
        let [point, best] = launch(&KERNEL, vec![point, best, notes], outputs, &parameters);
        (point, best)
    }
}

impl ApgdKeep for Flex {
    fn apgd_keep(point: CpuTensor, best: CpuTensor, notes: CpuTensor) -> (CpuTensor, CpuTensor) {
        let notes = twin::dense::<i32>(notes);
        let notes: &[Notes] = twin::records(&notes);
        let point = twin::dense::<f32>(point);
        let best = {
            let point: &[f32] = point.storage();
            twin::update_rows(best, 1, |slot, best| {
                if notes[slot].actions & KEEP != 0 {
                    best.copy_from_slice(&point[slot * best.len()..][..best.len()]);
                }
            })
        };
        let values: &[f32] = best.storage();
        let point = twin::update_rows(point, 1, |slot, point| {
            if notes[slot].actions & (KEEP | JUMP) == JUMP {
                point.copy_from_slice(&values[slot * point.len()..][..point.len()]);
            }
        });
        (point, best)
    }
}
