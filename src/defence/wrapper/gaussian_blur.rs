//! Gaussian blur, channel by channel: `scipy.ndimage.gaussian_filter` with its defaults, that is a kernel cut at 4 standard deviations
//! and images mirrored with their edges repeated. Differentiable.

use burn::tensor::{Device, Tensor};

use super::images::{matrix, mirrored, resampled};
use super::{Backward, FREE, Wrapper, WrapperRow};
use crate::engine::draw::Draw;
use crate::options::{Accepts, Entry, OptionSpec};

/// Standard deviations at which the kernel is cut.
const CUT: f64 = 4.0;

pub(super) const ROW: WrapperRow = WrapperRow {
    entry: Entry {
        name: "gaussian-blur",
        summary: "blurs images",
        options: &[OptionSpec {
            name: "sigma",
            accepts: Accepts::Number(0.05, 50.0),
            default: Some("1.0"),
            help: "standard deviation, pixels",
        }],
    },
    backward: Backward::Exact,
    check: FREE,
    build: |options| Box::new(GaussianBlur { sigma: options.number("sigma").unwrap_or(1.0) }),
};

struct GaussianBlur {
    sigma: f64,
}

impl GaussianBlur {
    /// The matrix [1, 1, side, side] that blurs one side of an image.
    fn along(&self, side: usize, device: &Device) -> Tensor<4> {
        let reach = (CUT * self.sigma + 0.5) as i64;
        let weight = |distance: i64| (-0.5 * (distance as f64 / self.sigma).powi(2)).exp();
        let total: f64 = (-reach..=reach).map(weight).sum();
        let mut values = vec![0.0f64; side * side];
        for (at, row) in values.chunks_exact_mut(side).enumerate() {
            for distance in -reach..=reach {
                row[mirrored(at as i64 + distance, side)] += weight(distance) / total;
            }
        }
        matrix(values.into_iter().map(|value| value as f32).collect(), side, side, device)
    }
}

impl Wrapper for GaussianBlur {
    fn inputs(&self, inputs: Tensor<2>, shape: [usize; 3], _draw: &Draw) -> Tensor<2> {
        let device = inputs.device();
        resampled(inputs, shape, self.along(shape[1], &device), self.along(shape[2], &device))
    }

    fn pull(&self, inputs: Tensor<2>, gradient: Tensor<2>, shape: [usize; 3], _draw: &Draw) -> Tensor<2> {
        let device = inputs.device();
        let [down, across] = [shape[1], shape[2]].map(|side| self.along(side, &device).swap_dims(2, 3));
        resampled(gradient, shape, down, across)
    }
}
