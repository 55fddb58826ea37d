//! Where APGD's rows start (Croce and Hein 2020 and 2021): `t / |t| epsilon` away from the origin, clipped to [0, 1], with
//!
//! - linf: t uniform in [-1, 1), |t| its largest magnitude;
//! - l2: t standard normal, |t| its Euclidean length;
//!
//! and under l1 at the projection of `origin + t`, t standard normal, on the box and the ball of stages * epsilon. (With larger radii
//! first, the authors' code projects twice, the first time as if the point were the perturbation; here it is projected once.)
//!
//! The random counter is (element / 4, 0, restart, example).

use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{Backend, Dispatch, Flex, backend_extension};
use burn::tensor::{DType, Int, Tensor};
use burn_wgpu::{CubeBackend, CubeTensor};
use bytemuck::{Pod, Zeroable};

use super::apgd::{self, L1, LINF, Notes};
use super::l1_project::project_row;
use super::launch::launch;
use super::random::{normals, philox, unit};
use super::row::{NOTES_WORDS, Row, State};
use super::twin::{self, CpuTensor, NOT_FINITE, clip, largest_bits};
use super::{Element, Kernel, door, fields, input, output, sample};
use crate::threat::Norm;

/// The row of [`KERNELS`](super::KERNELS).
pub const KERNEL: Kernel = Kernel {
    name: "apgd_start",
    summary: "APGD's random starts (Croce and Hein 2020, 2021; Philox, Salmon et al. 2011)",
    shader: include_str!("../../shaders/apgd_start.wgsl"),
    workgroup: 256,
    per_row: true,
    bindings: &[
        input("x", Element::Float),
        input("origin", Element::Float),
        input("notes", Element::Word),
        input("rows", Element::Row),
        input("state", Element::State),
        output("out_x", Element::Float),
        output("out_notes", Element::Word),
    ],
    parameters: fields!(Parameters { rows, columns, norm, stages }),
    parameters_size: size_of::<Parameters>(),
    variants: &["linf", "l2", "l1", "l1, larger radii first"],
    sample: |shape, device| {
        let (rows, state) = sample::slots(shape, device);
        vec![sample::near(shape, 1, device), sample::unit(shape, 1, device), apgd::sample(shape, device), rows, state]
    },
    run: |variant, values| {
        let [x, origin, notes, rows, state] = sample::take(values);
        let (norm, stages) = [(Norm::Linf, 1), (Norm::L2, 1), (Norm::L1, 1), (Norm::L1, 3)][variant];
        let (x, notes) = apgd_start(x.floats(), origin.floats(), notes.words(), rows.words(), state.words(), (norm, stages));
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
    /// 0: linf; 1: l2; 2: l1.
    pub norm: u32,
    /// Stages of a row: 1 or 3; read under l1.
    pub stages: u32,
}

/// The points and notes that rows start with, in place of `x` [B, D] and `notes` [B * NOTES_WORDS] where a row is fresh, under the norm
/// and with the stages of `kind`. A fresh row whose `origin` [B, D] is not finite starts there.
///
/// # Panics
/// Where shapes or element types do not fit, and for the norm l0.
pub fn apgd_start(
    x: Tensor<2>,
    origin: Tensor<2>,
    notes: Tensor<1, Int>,
    rows: Tensor<1, Int>,
    state: Tensor<1, Int>,
    kind: (Norm, u32),
) -> (Tensor<2>, Tensor<1, Int>) {
    let shape = x.dims();
    door::floats(KERNEL.name, "x", &x, shape);
    door::floats(KERNEL.name, "origin", &origin, shape);
    door::words(KERNEL.name, "notes", &notes, shape[0] * NOTES_WORDS);
    door::slots(KERNEL.name, &rows, &state, shape[0]);
    let (x, notes) = <Dispatch as ApgdStart>::apgd_start(
        x.into_dispatch(),
        origin.into_dispatch(),
        notes.into_dispatch(),
        rows.into_dispatch(),
        state.into_dispatch(),
        apgd::number(kind.0),
        kind.1,
    );
    (Tensor::from_dispatch(x), Tensor::from_dispatch(notes))
}

/// [`apgd_start`] on the backends' own tensors.
#[backend_extension(Cube, Flex, Fusion)]
pub trait ApgdStart: Backend {
    /// See [`apgd_start`].
    #[fusion(meta = |x, _origin, notes, _rows, _state, _norm, _stages| (x.clone(), notes.clone()))]
    fn apgd_start(
        x: FloatTensor<Self>,
        origin: FloatTensor<Self>,
        notes: IntTensor<Self>,
        rows: IntTensor<Self>,
        state: IntTensor<Self>,
        norm: u32,
        stages: u32,
    ) -> (FloatTensor<Self>, IntTensor<Self>);
}

impl ApgdStart for CubeBackend {
    fn apgd_start(
        x: CubeTensor,
        origin: CubeTensor,
        notes: CubeTensor,
        rows: CubeTensor,
        state: CubeTensor,
        norm: u32,
        stages: u32,
    ) -> (CubeTensor, CubeTensor) {
        let shape = x.meta.shape().clone();
        let parameters = Parameters { rows: shape[0] as u32, columns: shape[1] as u32, norm, stages };
        let outputs = [(shape, DType::F32), (notes.meta.shape().clone(), DType::I32)];
        let [x, notes] = launch(&KERNEL, vec![x, origin, notes, rows, state], outputs, &parameters);
        (x, notes)
    }
}

impl ApgdStart for Flex {
    fn apgd_start(
        x: CpuTensor,
        origin: CpuTensor,
        notes: CpuTensor,
        rows: CpuTensor,
        state: CpuTensor,
        norm: u32,
        stages: u32,
    ) -> (CpuTensor, CpuTensor) {
        let (origin, rows, state) = (twin::dense::<f32>(origin), twin::dense::<i32>(rows), twin::dense::<i32>(state));
        let (origin, rows, states): (&[f32], &[Row], &[State]) = (origin.storage(), twin::records(&rows), twin::records(&state));
        let mut notes = twin::dense::<i32>(notes);
        let x = twin::update(x, 16, twin::records_mut(&mut notes), |slot, x, notes: &mut Notes| {
            let row = &rows[slot];
            if !states[slot].is_fresh(row) {
                return;
            }
            let origin = &origin[slot * x.len()..][..x.len()];
            if largest_bits(origin) >= NOT_FINITE {
                x.copy_from_slice(origin);
            } else {
                start(x, origin, row, norm, stages);
            }
            let nonzeros = x.iter().zip(origin).map(|(x, origin)| u32::from(x != origin)).sum();
            *notes = Notes { nonzeros, ..Notes::default() };
        });
        (x, notes)
    }
}

fn start(x: &mut [f32], origin: &[f32], row: &Row, norm: u32, stages: u32) {
    draw(x, row, norm != LINF);
    if norm == L1 {
        x.iter_mut().zip(origin).for_each(|(x, origin)| *x += origin);
        project_row(x, origin, row.epsilon * stages as f32);
        return;
    }
    let length = if norm == LINF { f32::from_bits(largest_bits(x) as u32) } else { twin::sum(x, |value| value * value).sqrt() as f32 };
    let scale = row.epsilon / length.max(1e-12);
    x.iter_mut().zip(origin).for_each(|(x, origin)| *x = clip(origin + scale * *x, 0.0, 1.0));
}

/// Standard normal numbers, or uniform ones in [-1, 1).
fn draw(x: &mut [f32], row: &Row, normal: bool) {
    for (block, x) in x.chunks_mut(4).enumerate() {
        let words = philox([block as u32, 0, row.restart, row.example], row.key);
        let drawn = if normal { normals(words) } else { words.map(|word| 2.0 * unit(word) - 1.0) };
        x.copy_from_slice(&drawn[..x.len()]);
    }
}
