//! The median of each pixel's window, and the pixel that it is, so that a gradient finds its way back ([`median_back`](super::median_back())).
//!
//! A window of k x k starts k / 2 above and to the left of its pixel, past the edge the image is mirrored with its edge repeated, and of
//! an even number of values the upper middle one is taken: `scipy.ndimage.median_filter`, which Xu et al. 2018 ("Feature Squeezing",
//! section III-B) squeeze with. Of equal values the first in the window's order counts as the smaller one.

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Dispatch, Flex, backend_extension};
use burn::tensor::{DType, Tensor};
use burn_wgpu::{CubeBackend, CubeTensor};
use bytemuck::{Pod, Zeroable};

use super::launch::launch;
use super::square::sample_shape;
use super::twin::{self, CpuTensor};
use super::{Element, Kernel, door, fields, input, output, sample};

/// The row of [`KERNELS`](super::KERNELS).
pub const KERNEL: Kernel = Kernel {
    name: "median",
    summary: "median of each pixel's window and the pixel that it is (Xu et al. 2018)",
    shader: include_str!("../../shaders/median.wgsl"),
    workgroup: 64,
    per_row: false,
    bindings: &[input("x", Element::Float), output("out_x", Element::Float), output("chosen", Element::Float)],
    parameters: fields!(Parameters { rows, channels, height, width, window }),
    parameters_size: size_of::<Parameters>(),
    variants: &["3 x 3", "2 x 2"],
    sample: |shape, device| vec![sample::near(shape, 1, device)],
    run: |variant, values| {
        let [x] = sample::take(values);
        let x = x.floats();
        let shape = sample_shape(x.dims()[1]);
        let (x, chosen) = median(x, shape, [3, 2][variant]);
        vec![x.into(), chosen.into()]
    },
};

/// Parameters of this shader and of [`median_back`](super::median_back())'s.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
pub struct Parameters {
    /// B.
    pub rows: u32,
    /// Channels of an image.
    pub channels: u32,
    /// Height of an image, pixels.
    pub height: u32,
    /// Width of an image, pixels.
    pub width: u32,
    /// Side of the window, pixels.
    pub window: u32,
}

impl Parameters {
    /// For so many rows of images of `shape`: channels, height, width.
    pub(super) fn new(rows: usize, [channels, height, width]: [usize; 3], window: usize) -> Self {
        let [channels, height, width, window] = [channels, height, width, window].map(|size| size as u32);
        Self { rows: rows as u32, channels, height, width, window }
    }
}

/// Features of an image whose places a float still tells apart.
pub(super) const MOST_FEATURES: usize = 1 << 24;

/// The medians of `x` [B, D], images of `shape` (channels, height, width; D their product, at most 2^24), over windows of side
/// `window`, 1 or more; and [B, D] the place in its row of the pixel that each of them is.
///
/// # Panics
/// Where shapes or element types do not fit.
pub fn median(x: Tensor<2>, shape: [usize; 3], window: usize) -> (Tensor<2>, Tensor<2>) {
    let dims = [x.dims()[0], shape.iter().product()];
    door::floats(KERNEL.name, "x", &x, dims);
    assert!(dims[1] <= MOST_FEATURES, "median: {} features, more than {MOST_FEATURES}", dims[1]);
    assert!(window > 0, "median: a window of no pixels");
    let (x, chosen) = <Dispatch as Median>::median(x.into_dispatch(), Parameters::new(dims[0], shape, window));
    (Tensor::from_dispatch(x), Tensor::from_dispatch(chosen))
}

/// [`median`] on the backends' own tensors.
#[backend_extension(Cube, Flex, Fusion)]
pub trait Median: Backend {
    /// See [`median`].
    #[fusion(meta = |x, _parameters| (x.clone(), x.clone()))]
    fn median(x: FloatTensor<Self>, parameters: Parameters) -> (FloatTensor<Self>, FloatTensor<Self>);
}

impl Median for CubeBackend {
    fn median(x: CubeTensor, parameters: Parameters) -> (CubeTensor, CubeTensor) {
        let shape = x.meta.shape().clone();
        let outputs = [(shape.clone(), DType::F32), (shape, DType::F32)];
        let [x, chosen] = launch(&KERNEL, vec![x], outputs, &parameters);
        (x, chosen)
    }
}

/// The pixel that stands for one past the edge.
pub(crate) fn mirrored(at: i64, side: usize) -> usize {
    let (side, period) = (side as i64, 2 * side as i64);
    let at = at.rem_euclid(period);
    (if at < side { at } else { period - 1 - at }) as usize
}

impl Median for Flex {
    fn median(x: CpuTensor, parameters: Parameters) -> (CpuTensor, CpuTensor) {
        let source = twin::dense::<f32>(x.clone());
        let source = source.storage::<f32>();
        let chosen = {
            let shape = x.layout().shape();
            let (rows, columns) = (shape[0], shape[1]);
            let work = columns * 8 * parameters.window.pow(2) as usize;
            twin::from_rows(rows, columns, work, |slot, chosen| choose(&source[slot * columns..][..columns], chosen, &parameters))
        };
        let places = chosen.storage::<f32>().to_vec();
        let x = twin::update_rows(x, 2, |slot, row| {
            let (from, places) = (&source[slot * row.len()..][..row.len()], &places[slot * row.len()..][..row.len()]);
            row.iter_mut().zip(places).for_each(|(value, place)| *value = from[*place as usize]);
        });
        (x, chosen)
    }
}

/// The place of each pixel's median; where a value of the window is not finite, the first such.
fn choose(x: &[f32], chosen: &mut [f32], parameters: &Parameters) {
    let [height, width, window] = [parameters.height, parameters.width, parameters.window].map(|size| size as usize);
    let around = |at: usize, side: usize| (0..window).map(move |step| mirrored((at + step) as i64 - (window / 2) as i64, side));
    let columns: Vec<usize> = (0..width).flat_map(|at| around(at, width)).collect();
    let mut seen: Vec<(f32, u32, usize)> = Vec::with_capacity(window * window);
    for (plane, chosen) in chosen.chunks_exact_mut(height * width).enumerate() {
        for (at, chosen) in chosen.iter_mut().enumerate() {
            seen.clear();
            for line in around(at / width, height) {
                for column in &columns[at % width * window..][..window] {
                    let place = (plane * height + line) * width + column;
                    seen.push((x[place], seen.len() as u32, place));
                }
            }
            let ill = seen.iter().find(|(value, ..)| !value.is_finite()).map(|(_, _, place)| *place);
            let rank = window * window / 2;
            let ordered = |a: &(f32, u32, usize), b: &(f32, u32, usize)| a.0.partial_cmp(&b.0).unwrap_or(a.1.cmp(&b.1)).then(a.1.cmp(&b.1));
            *chosen = ill.unwrap_or_else(|| seen.select_nth_unstable_by(rank, ordered).1.2) as f32;
        }
    }
}
