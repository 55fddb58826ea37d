//! A step of APGD under l1 (Croce and Hein 2021, "Mind the box", algorithm 2): along the signs of the `active` largest magnitudes of the
//! gradient (and of those equal to the smallest of them), each moved by size / count, then projected on the ball and the box as by
//! [`l1_project`](super::l1_project()).
//!
//! The size is `step_size / 1.5^reductions`, a tenth of it at least; both it and the radius are times the stages that are left.

use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{Backend, Dispatch, Flex, backend_extension};
use burn::tensor::{DType, Int, Tensor};
use burn_wgpu::{CubeBackend, CubeTensor};
use bytemuck::{Pod, Zeroable};

use super::apgd::{self, MOVE, Notes, SHRINK};
use super::l1_project::project_row;
use super::launch::launch;
use super::row::{NOTES_WORDS, ROW_WORDS, Row};
use super::twin::{self, CpuTensor};
use super::{Element, Kernel, door, fields, input, output, sample};

/// The row of [`KERNELS`](super::KERNELS).
pub const KERNEL: Kernel = Kernel {
    name: "apgd_l1_step",
    summary: "APGD's sparse step under l1 with its projection (Croce and Hein 2021)",
    shader: include_str!("../../shaders/apgd_l1_step.wgsl"),
    workgroup: 256,
    per_row: true,
    bindings: &[
        input("x", Element::Float),
        input("origin", Element::Float),
        input("gradient", Element::Float),
        input("notes", Element::Word),
        input("rows", Element::Row),
        output("out_x", Element::Float),
        output("out_notes", Element::Word),
    ],
    parameters: fields!(Parameters { rows, columns, stages }),
    parameters_size: size_of::<Parameters>(),
    variants: &["one stage", "three stages"],
    sample: |shape, device| {
        let points = [sample::near(shape, 1, device), sample::unit(shape, 1, device)];
        let rest = [sample::gradient(shape, 3, device), apgd::sample(shape, device), sample::slots(shape, device).0];
        points.into_iter().chain(rest).collect()
    },
    run: |variant, values| {
        let [x, origin, gradient, notes, rows] = sample::take(values);
        let (gradient, stages) = (gradient.floats(), [1, 3][variant]);
        let (x, notes) = apgd_l1_step(x.floats(), origin.floats(), gradient, notes.words(), rows.words(), stages);
        vec![x.into(), notes.into()]
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
    /// Stages of a row: 1 or 3.
    pub stages: u32,
}

/// The next point of every row and its notes, which count the elements that differ from the origin: from `x`, `origin` and the
/// `gradient` at x, all [B, D]. The gradient must be finite where the `notes` [B * NOTES_WORDS] say that the row moves. A row that
/// shrinks is projected alone; rows that do neither keep x. An element whose gradient is zero does not move.
///
/// # Panics
/// Where shapes or element types do not fit.
pub fn apgd_l1_step(
    x: Tensor<2>,
    origin: Tensor<2>,
    gradient: Tensor<2>,
    notes: Tensor<1, Int>,
    rows: Tensor<1, Int>,
    stages: u32,
) -> (Tensor<2>, Tensor<1, Int>) {
    let shape = x.dims();
    for (name, tensor) in [("x", &x), ("origin", &origin), ("gradient", &gradient)] {
        door::floats(KERNEL.name, name, tensor, shape);
    }
    door::words(KERNEL.name, "notes", &notes, shape[0] * NOTES_WORDS);
    door::words(KERNEL.name, "rows", &rows, shape[0] * ROW_WORDS);
    let (x, notes) = <Dispatch as ApgdL1Step>::apgd_l1_step(
        x.into_dispatch(),
        origin.into_dispatch(),
        gradient.into_dispatch(),
        notes.into_dispatch(),
        rows.into_dispatch(),
        stages,
    );
    (Tensor::from_dispatch(x), Tensor::from_dispatch(notes))
}

/// [`apgd_l1_step`] on the backends' own tensors.
#[backend_extension(Cube, Flex, Fusion)]
pub trait ApgdL1Step: Backend {
    /// See [`apgd_l1_step`].
    #[fusion(meta = |x, _origin, _gradient, notes, _rows, _stages| (x.clone(), notes.clone()))]
    fn apgd_l1_step(
        x: FloatTensor<Self>,
        origin: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        notes: IntTensor<Self>,
        rows: IntTensor<Self>,
        stages: u32,
    ) -> (FloatTensor<Self>, IntTensor<Self>);
}

impl ApgdL1Step for CubeBackend {
    fn apgd_l1_step(
        x: CubeTensor,
        origin: CubeTensor,
        gradient: CubeTensor,
        notes: CubeTensor,
        rows: CubeTensor,
        stages: u32,
    ) -> (CubeTensor, CubeTensor) {
        let shape = x.meta.shape().clone();
        let parameters = Parameters { rows: shape[0] as u32, columns: shape[1] as u32, stages };
        let outputs = [(shape, DType::F32), (notes.meta.shape().clone(), DType::I32)];
        let [x, notes] = launch(&KERNEL, vec![x, origin, gradient, notes, rows], outputs, &parameters);
        (x, notes)
    }
}

impl ApgdL1Step for Flex {
    fn apgd_l1_step(
        x: CpuTensor,
        origin: CpuTensor,
        gradient: CpuTensor,
        notes: CpuTensor,
        rows: CpuTensor,
        stages: u32,
    ) -> (CpuTensor, CpuTensor) {
        let (origin, gradient, rows) = (twin::dense::<f32>(origin), twin::dense::<f32>(gradient), twin::dense::<i32>(rows));
        let (origin, gradient, rows): (&[f32], &[f32], &[Row]) = (origin.storage(), gradient.storage(), twin::records(&rows));
        let mut notes = twin::dense::<i32>(notes);
        let x = twin::update(x, 24, twin::records_mut(&mut notes), |slot, x, notes: &mut Notes| {
            if notes.actions & (MOVE | SHRINK) == 0 {
                return;
            }
            let part = slot * x.len()..(slot + 1) * x.len();
            let origin = &origin[part.clone()];
            let left = stages.max(notes.stage + 1) - notes.stage;
            if notes.actions & MOVE != 0 {
                sparse_step(x, &gradient[part], notes.active, step_size(rows[slot].step_size * left as f32, notes.reductions));
            }
            project_row(x, origin, rows[slot].epsilon * left as f32);
            notes.nonzeros = x.iter().zip(origin).map(|(x, origin)| u32::from(x != origin)).sum();
        });
        (x, notes)
    }
}

/// Divided by 1.5 so many times, and a tenth at least.
fn step_size(first: f32, reductions: u32) -> f32 {
    (0..reductions.min(6)).fold(first, |size, _| (size / 1.5).max(first * 0.1))
}

/// Moves the elements with the `active` largest magnitudes of the gradient, `size` in all.
fn sparse_step(x: &mut [f32], gradient: &[f32], active: u32, size: f32) {
    let magnitude = |value: &f32| value.to_bits() & 0x7FFF_FFFF;
    let mut order: Vec<u32> = gradient.iter().map(magnitude).collect();
    let at = order.len() - (active as usize).clamp(1, order.len());
    // Zero is no direction.
    let least = (*order.select_nth_unstable(at).1).max(1);
    let count = gradient.iter().filter(|value| magnitude(value) >= least).count();
    let step = size / count.max(1) as f32;
    for (x, gradient) in x.iter_mut().zip(gradient) {
        if magnitude(gradient) >= least {
            *x += step.copysign(*gradient);
        }
    }
}
