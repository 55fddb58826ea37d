//! How far each row is from its origin, in every norm: `[l0, l1, l2, linf]` of `x - origin`.

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Dispatch, Flex, backend_extension};
use burn::tensor::{DType, Shape, Tensor};
use burn_wgpu::{CubeBackend, CubeTensor};
use bytemuck::{Pod, Zeroable};

use super::launch::launch;
use super::twin::{self, CpuTensor};
use super::{Element, Kernel, door, fields, input, output, sample};

/// The row of [`KERNELS`](super::KERNELS).
pub const KERNEL: Kernel = Kernel {
    name: "distances",
    summary: "l0, l1, l2 and linf distance of each row from its origin, in one pass",
    shader: include_str!("../../shaders/distances.wgsl"),
    workgroup: 256,
    per_row: true,
    bindings: &[input("x", Element::Float), input("origin", Element::Float), output("out_distances", Element::Float)],
    parameters: fields!(Parameters { rows, columns }),
    parameters_size: size_of::<Parameters>(),
    variants: &["plain"],
    sample: |shape, device| vec![sample::near(shape, 1, device), sample::unit(shape, 1, device)],
    run: |_, values| {
        let [x, origin] = sample::take(values);
        vec![distances(x.floats(), origin.floats()).into()]
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

/// Columns of the result.
const NORMS: usize = 4;

/// Distances of the rows of `x` [B, D] from those of `origin` [B, D]: [B, 4], the number of elements that differ, the sum of the
/// magnitudes, the Euclidean length, and the largest magnitude. Differences are of the order of 1 (inputs are within [0, 1]).
///
/// # Panics
/// Where shapes or element types do not fit.
pub fn distances(x: Tensor<2>, origin: Tensor<2>) -> Tensor<2> {
    let shape = x.dims();
    door::floats(KERNEL.name, "x", &x, shape);
    door::floats(KERNEL.name, "origin", &origin, shape);
    Tensor::from_dispatch(<Dispatch as Distances>::distances(x.into_dispatch(), origin.into_dispatch()))
}

/// [`distances`] on the backends' own tensors.
#[backend_extension(Cube, Flex, Fusion)]
pub trait Distances: Backend {
    /// See [`distances`].
    #[fusion(dtype = x, shape = Shape::new([x[0], 4]))]
    fn distances(x: FloatTensor<Self>, origin: FloatTensor<Self>) -> FloatTensor<Self>;
}

impl Distances for CubeBackend {
    fn distances(x: CubeTensor, origin: CubeTensor) -> CubeTensor {
        let (rows, columns) = (x.meta.shape()[0], x.meta.shape()[1]);
        let parameters = Parameters { rows: rows as u32, columns: columns as u32 };
        let [out] = launch(&KERNEL, vec![x, origin], [(Shape::new([rows, NORMS]), DType::F32)], &parameters);
        out
    }
}

impl Distances for Flex {
    fn distances(x: CpuTensor, origin: CpuTensor) -> CpuTensor {
        let (rows, columns) = (x.layout().shape()[0], x.layout().shape()[1]);
        let (x, origin) = (twin::dense::<f32>(x), twin::dense::<f32>(origin));
        let (x, origin): (&[f32], &[f32]) = (x.storage(), origin.storage());
        twin::from_rows(rows, NORMS, columns, |row, out| {
            let (x, origin) = (&x[row * columns..][..columns], &origin[row * columns..][..columns]);
            out[0] = x.iter().zip(origin).map(|(x, origin)| u32::from(x != origin)).sum::<u32>() as f32;
            out[1] = twin::sum_differences(x, origin, f32::abs) as f32;
            out[2] = twin::sum_differences(x, origin, |difference| difference * difference).sqrt() as f32;
            out[3] = largest(x, origin);
        })
    }
}

fn largest(x: &[f32], origin: &[f32]) -> f32 {
    // Bits of magnitudes order as the magnitudes do, and their maximum runs in vector registers.
    let bits = x.iter().zip(origin).map(|(x, origin)| (x - origin).abs().to_bits() as i32);
    f32::from_bits(bits.fold(0, i32::max) as u32)
}
