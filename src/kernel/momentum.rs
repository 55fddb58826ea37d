//! Accumulated gradients of the momentum attacks: `m' = decay m + g / |g|_1`, with m = 0 at a row's first gradient (Dong et al. 2018,
//! "Boosting adversarial attacks with momentum", equation 6).

use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{Backend, Dispatch, Flex, backend_extension};
use burn::tensor::{DType, Int, Tensor};
use burn_wgpu::{CubeBackend, CubeTensor};
use bytemuck::{Pod, Zeroable};

use super::launch::launch;
use super::row::{Row, State};
use super::twin::{self, CpuTensor, NORMAL, NOT_FINITE, largest_bits};
use super::{Element, Kernel, door, fields, input, output, sample};

/// The row of [`KERNELS`](super::KERNELS).
pub const KERNEL: Kernel = Kernel {
    name: "momentum",
    summary: "accumulates gradients of l1 norm 1 (Dong et al. 2018, equation 6)",
    shader: include_str!("../../shaders/momentum.wgsl"),
    workgroup: 256,
    per_row: true,
    bindings: &[
        input("m", Element::Float),
        input("gradient", Element::Float),
        input("rows", Element::Row),
        input("state", Element::State),
        output("out_m", Element::Float),
        output("out_state", Element::State),
    ],
    parameters: fields!(Parameters { rows, columns }),
    parameters_size: size_of::<Parameters>(),
    variants: &["plain"],
    sample: |shape, device| {
        let (rows, state) = sample::slots(shape, device);
        vec![sample::unit(shape, 1, device), sample::gradient(shape, 2, device), rows, state]
    },
    run: |_, values| {
        let [m, gradient, rows, state] = sample::take(values);
        let (m, state) = momentum(m.floats(), gradient.floats(), rows.words(), state.words());
        vec![m.into(), state.into()]
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

/// The momentum `m` [B, D] of every running row with its `gradient` [B, D] added; all others keep theirs. At the row's first gradient
/// (`state.step` 1) the old momentum is another row's and counts as 0. A zero gradient adds nothing, and one whose largest magnitude
/// is subnormal counts as zero. The momentum has no unit; its l1 norm is at most 1 / (1 - decay).
///
/// Where a running row's gradient is not finite, the row keeps `m` and its state says that it failed.
///
/// # Panics
/// Where shapes or element types do not fit.
pub fn momentum(m: Tensor<2>, gradient: Tensor<2>, rows: Tensor<1, Int>, state: Tensor<1, Int>) -> (Tensor<2>, Tensor<1, Int>) {
    let shape = m.dims();
    door::floats(KERNEL.name, "m", &m, shape);
    door::floats(KERNEL.name, "gradient", &gradient, shape);
    door::slots(KERNEL.name, &rows, &state, shape[0]);
    let (m, state) =
        <Dispatch as Momentum>::momentum(m.into_dispatch(), gradient.into_dispatch(), rows.into_dispatch(), state.into_dispatch());
    (Tensor::from_dispatch(m), Tensor::from_dispatch(state))
}

/// [`momentum`] on the backends' own tensors.
#[backend_extension(Cube, Flex, Fusion)]
pub trait Momentum: Backend {
    /// See [`momentum`].
    #[fusion(meta = |m, _gradient, _rows, state| (m.clone(), state.clone()))]
    fn momentum(
        m: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        rows: IntTensor<Self>,
        state: IntTensor<Self>,
    ) -> (FloatTensor<Self>, IntTensor<Self>);
}

impl Momentum for CubeBackend {
    fn momentum(m: CubeTensor, gradient: CubeTensor, rows: CubeTensor, state: CubeTensor) -> (CubeTensor, CubeTensor) {
        let shape = m.meta.shape().clone();
        let parameters = Parameters { rows: shape[0] as u32, columns: shape[1] as u32 };
        let outputs = [(shape, DType::F32), (state.meta.shape().clone(), DType::I32)];
        let [m, state] = launch(&KERNEL, vec![m, gradient, rows, state], outputs, &parameters);
        (m, state)
    }
}

impl Momentum for Flex {
    fn momentum(m: CpuTensor, gradient: CpuTensor, rows: CpuTensor, state: CpuTensor) -> (CpuTensor, CpuTensor) {
        let (gradient, rows) = (twin::dense::<f32>(gradient), twin::dense::<i32>(rows));
        let (gradient, rows): (&[f32], &[Row]) = (gradient.storage(), twin::records(&rows));
        let mut state = twin::dense::<i32>(state);
        let m = twin::update(m, 2, twin::records_mut(&mut state), |slot, m, state: &mut State| {
            let row = &rows[slot];
            let gradient = &gradient[slot * m.len()..][..m.len()];
            if !state.is_running(row) {
                return;
            }
            let largest = largest_bits(gradient);
            if largest >= NOT_FINITE {
                *state = state.failed(row);
                return;
            }
            if state.step == 1 {
                m.fill(0.0);
            }
            let norm = twin::sum(gradient, f64::abs);
            twin::blend(m, row.decay, gradient, if largest >= NORMAL { 1.0 / norm } else { 0.0 });
        });
        (m, state)
    }
}
