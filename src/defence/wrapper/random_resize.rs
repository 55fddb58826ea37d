//! Random resizing and padding (Xie et al. 2018, "Mitigating Adversarial Effects Through Randomization"): an image is shrunk by a random
//! factor, bilinearly, and placed at random on black of its former size. Differentiable.

use burn::tensor::{Device, Tensor, TensorData};

use super::images::resampled;
use super::{Backward, FREE, Wrapper, WrapperRow};
use crate::engine::draw::Draw;
use crate::options::{Accepts, Entry, OptionSpec};

pub(super) const ROW: WrapperRow = WrapperRow {
    entry: Entry {
        name: "random-resize",
        summary: "shrinks by a random factor and pads at random (Xie et al. 2018)",
        options: &[OptionSpec {
            name: "smallest",
            accepts: Accepts::Number(0.1, 1.0),
            default: Some("0.8"),
            help: "the smallest factor; the largest is 1",
        }],
    },
    backward: Backward::Exact,
    check: FREE,
    build: |options| Box::new(RandomResize { smallest: options.number("smallest").unwrap_or(0.8) as f32 }),
};

struct RandomResize {
    smallest: f32,
}

/// Elements of the draw.
const FACTOR: u32 = 0;
const PLACE: [u32; 2] = [1, 2];

impl RandomResize {
    /// Matrices [rows, 1, side, side] that resample one side of each row's image.
    fn resampling(&self, draw: &Draw, side: usize, place: u32, device: &Device) -> Tensor<4> {
        let rows = draw.rows.len();
        let mut matrices = vec![0.0f32; rows * side * side];
        for (row, matrix) in matrices.chunks_exact_mut(side * side).enumerate() {
            let factor = self.smallest + (1.0 - self.smallest) * draw.unit(row, FACTOR);
            let length = ((factor * side as f32).round() as usize).clamp(1, side);
            let first = ((side - length + 1) as f32 * draw.unit(row, place)) as usize;
            for at in 0..length {
                // Pixel centres, as in bilinear resizing with half-pixel coordinates.
                let source = ((at as f32 + 0.5) * side as f32 / length as f32 - 0.5).clamp(0.0, (side - 1) as f32);
                let (below, share) = (source.floor() as usize, source.fract());
                matrix[(first + at) * side + below] += 1.0 - share;
                matrix[(first + at) * side + (below + 1).min(side - 1)] += share;
            }
        }
        Tensor::from_data(TensorData::new(matrices, [rows, 1, side, side]), device)
    }
}

impl Wrapper for RandomResize {
    fn inputs(&self, inputs: Tensor<2>, shape: [usize; 3], draw: &Draw) -> Tensor<2> {
        let device = inputs.device();
        let [down, across] = [0, 1].map(|side| self.resampling(draw, shape[1 + side], PLACE[side], &device));
        resampled(inputs, shape, down, across)
    }

    fn pull(&self, inputs: Tensor<2>, gradient: Tensor<2>, shape: [usize; 3], draw: &Draw) -> Tensor<2> {
        let device = inputs.device();
        let [down, across] = [0, 1].map(|side| self.resampling(draw, shape[1 + side], PLACE[side], &device).swap_dims(2, 3));
        resampled(gradient, shape, down, across)
    }

    fn is_random(&self) -> bool {
        true
    }
}
