//! A step of APGD under linf or l2 (Croce and Hein 2020, equations 2 and 3): with P the projection on the ball of epsilon around the
//! origin and then on [0, 1], a = 0.75 (1 at the first step) and x_old the point before,
//! `z = P(x + size direction)`, `x' = P(x + a (z - x) + (1 - a) (x - x_old))`.
//!
//! The direction is the gradient's sign, or the gradient over its Euclidean length; the size is `step_size / 2^reductions`.

use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{Backend, Dispatch, Flex, backend_extension};
use burn::tensor::{DType, Int, Tensor};
use burn_wgpu::{CubeBackend, CubeTensor};
use bytemuck::{Pod, Zeroable};

use super::apgd::{self, FIRST, MOVE, Notes};
use super::launch::launch;
use super::row::{NOTES_WORDS, ROW_WORDS, Row};
use super::twin::{self, CpuTensor, NORMAL, clip, largest_bits};
use super::{Element, Kernel, door, fields, input, output, sample};
use crate::threat::Norm;

/// The row of [`KERNELS`](super::KERNELS).
pub const KERNEL: Kernel = Kernel {
    name: "apgd_step",
    summary: "APGD's step with momentum under linf or l2 (Croce and Hein 2020)",
    shader: include_str!("../../shaders/apgd_step.wgsl"),
    workgroup: 256,
    per_row: true,
    bindings: &[
        input("x", Element::Float),
        input("previous", Element::Float),
        input("origin", Element::Float),
        input("gradient", Element::Float),
        input("notes", Element::Word),
        input("rows", Element::Row),
        output("out_x", Element::Float),
    ],
    parameters: fields!(Parameters { rows, columns, euclidean }),
    parameters_size: size_of::<Parameters>(),
    variants: &["linf", "l2"],
    sample: |shape, device| {
        let points = [sample::near(shape, 1, device), sample::near(shape, 2, device), sample::unit(shape, 1, device)];
        let rest = [sample::gradient(shape, 3, device), apgd::sample(shape, device), sample::slots(shape, device).0];
        points.into_iter().chain(rest).collect()
    },
    run: |variant, values| {
        let [x, previous, origin, gradient, notes, rows] = sample::take(values);
        let points = [x.floats(), previous.floats(), origin.floats()];
        vec![apgd_step(points, gradient.floats(), notes.words(), rows.words(), [Norm::Linf, Norm::L2][variant]).into()]
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
    /// 0: linf; 1: l2.
    pub euclidean: u32,
}

/// The next point of every row, from `points` (x, the one before and the origin, all [B, D]) and the `gradient` [B, D] at x, which must
/// be finite where the `notes` [B * NOTES_WORDS] say that the row moves; other rows keep x. Under l2 a gradient of zero gives no
/// direction, and one whose largest magnitude is subnormal counts as zero.
///
/// # Panics
/// Where shapes or element types do not fit, and under other norms.
pub fn apgd_step(points: [Tensor<2>; 3], gradient: Tensor<2>, notes: Tensor<1, Int>, rows: Tensor<1, Int>, norm: Norm) -> Tensor<2> {
    let shape = points[0].dims();
    for (name, tensor) in ["x", "previous", "origin"].into_iter().zip(&points) {
        door::floats(KERNEL.name, name, tensor, shape);
    }
    door::floats(KERNEL.name, "gradient", &gradient, shape);
    door::words(KERNEL.name, "notes", &notes, shape[0] * NOTES_WORDS);
    door::words(KERNEL.name, "rows", &rows, shape[0] * ROW_WORDS);
    assert!(matches!(norm, Norm::Linf | Norm::L2), "apgd_step: no steps for the norm {}", norm.name());
    let [x, previous, origin] = points.map(Tensor::into_dispatch);
    Tensor::from_dispatch(<Dispatch as ApgdStep>::apgd_step(
        x,
        previous,
        origin,
        gradient.into_dispatch(),
        notes.into_dispatch(),
        rows.into_dispatch(),
        norm == Norm::L2,
    ))
}

/// [`apgd_step`] on the backends' own tensors.
#[backend_extension(Cube, Flex, Fusion)]
pub trait ApgdStep: Backend {
    /// See [`apgd_step`].
    #[fusion(dtype = x, shape = x)]
    fn apgd_step(
        x: FloatTensor<Self>,
        previous: FloatTensor<Self>,
        origin: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        notes: IntTensor<Self>,
        rows: IntTensor<Self>,
        euclidean: bool,
    ) -> FloatTensor<Self>;
}

impl ApgdStep for CubeBackend {
    fn apgd_step(
        x: CubeTensor,
        previous: CubeTensor,
        origin: CubeTensor,
        gradient: CubeTensor,
        notes: CubeTensor,
        rows: CubeTensor,
        euclidean: bool,
    ) -> CubeTensor {
        let shape = x.meta.shape().clone();
        let parameters = Parameters { rows: shape[0] as u32, columns: shape[1] as u32, euclidean: euclidean.into() };
        let [out] = launch(&KERNEL, vec![x, previous, origin, gradient, notes, rows], [(shape, DType::F32)], &parameters);
        out
    }
}

impl ApgdStep for Flex {
    fn apgd_step(
        x: CpuTensor,
        previous: CpuTensor,
        origin: CpuTensor,
        gradient: CpuTensor,
        notes: CpuTensor,
        rows: CpuTensor,
        euclidean: bool,
    ) -> CpuTensor {
        let [previous, origin, gradient] = [previous, origin, gradient].map(twin::dense::<f32>);
        let [previous, origin, gradient]: [&[f32]; 3] = [&previous, &origin, &gradient].map(|tensor| tensor.storage());
        let (notes, rows) = (twin::dense::<i32>(notes), twin::dense::<i32>(rows));
        let (notes, rows): (&[Notes], &[Row]) = (twin::records(&notes), twin::records(&rows));
        twin::update_rows(x, 3, |slot, x| {
            let (notes, row) = (&notes[slot], &rows[slot]);
            if notes.actions & MOVE == 0 {
                return;
            }
            let part = slot * x.len()..(slot + 1) * x.len();
            let (origin, gradient) = (&origin[part.clone()], &gradient[part.clone()]);
            let size = row.step_size * halvings(notes.reductions);
            // The point before the first step is another row's: any finite one does.
            let (along, previous) = if notes.actions & FIRST != 0 { (1.0, origin) } else { (0.75, &previous[part]) };
            let step = Step { previous, origin, gradient, size, epsilon: row.epsilon, along };
            if euclidean { step.in_sphere(x) } else { step.in_cube(x) }
        })
    }
}

/// 2^-count; a hundred halvings are as good as any more.
fn halvings(count: u32) -> f32 {
    0.5f32.powi(count.min(100) as i32)
}

struct Step<'a> {
    previous: &'a [f32],
    origin: &'a [f32],
    gradient: &'a [f32],
    size: f32,
    epsilon: f32,
    along: f32,
}

/// The sign's bit.
const SIGN: u32 = 0x8000_0000;

impl Step<'_> {
    fn in_cube(&self, x: &mut [f32]) {
        let Step { size, epsilon, along, .. } = *self;
        let rest = 1.0 - along;
        for (((x, previous), origin), gradient) in x.iter_mut().zip(self.previous).zip(self.origin).zip(self.gradient) {
            let signed = f32::from_bits(size.to_bits() ^ (gradient.to_bits() & SIGN));
            let moved = *x + if *gradient == 0.0 { 0.0 } else { signed };
            let inside = |point: f32| clip(clip(point, origin - epsilon, origin + epsilon), 0.0, 1.0);
            *x = inside(*x + along * (inside(moved) - *x) + rest * (*x - previous));
        }
    }

    fn in_sphere(&self, x: &mut [f32]) {
        let Step { origin, gradient, epsilon, along, .. } = *self;
        let largest = largest_bits(gradient);
        let norm = if largest >= NORMAL { twin::sum(gradient, |value| value * value).sqrt() } else { f64::INFINITY };
        let mut z = x.to_vec();
        twin::blend(&mut z, 1.0, gradient, f64::from(self.size) / norm);
        let scale = inward(&z, origin, epsilon);
        for (((x, z), previous), origin) in x.iter_mut().zip(&z).zip(self.previous).zip(origin) {
            let inside = clip(scaled(*z, *origin, scale), 0.0, 1.0);
            *x = *x + along * (inside - *x) + (1.0 - along) * (*x - previous);
        }
        let scale = inward(x, origin, epsilon);
        for (x, origin) in x.iter_mut().zip(origin) {
            *x = clip(scaled(*x, *origin, scale), 0.0, 1.0);
        }
    }
}

/// What brings a point's difference from its origin to the ball's radius; 1 within the ball.
fn inward(x: &[f32], origin: &[f32], epsilon: f32) -> f32 {
    let length = twin::sum_differences(x, origin, |difference| difference * difference).sqrt() as f32;
    if length > epsilon { epsilon / length } else { 1.0 }
}

fn scaled(point: f32, origin: f32, scale: f32) -> f32 {
    if scale < 1.0 { origin + (point - origin) * scale } else { point }
}
