//! What transforms of images share: flat rows as images, and one side resampled by a matrix.

use burn::tensor::{Device, Tensor, TensorData};

/// Multiplies every column of each image by `down` [.., height', height] and every row by `across` [.., width', width]; rows of images
/// [rows, channels x height x width] of `shape` (channels, height, width).
pub(super) fn resampled(inputs: Tensor<2>, [channels, height, width]: [usize; 3], down: Tensor<4>, across: Tensor<4>) -> Tensor<2> {
    let [rows, features] = inputs.dims();
    let images = inputs.reshape([rows, channels, height, width]);
    down.matmul(images).matmul(across.swap_dims(2, 3)).reshape([rows, features])
}

/// One matrix [1, 1, to, from] for all rows, row-major.
pub(super) fn matrix(values: Vec<f32>, to: usize, from: usize, device: &Device) -> Tensor<4> {
    Tensor::from_data(TensorData::new(values, [1, 1, to, from]), device)
}

pub(super) use crate::kernel::median::mirrored;
