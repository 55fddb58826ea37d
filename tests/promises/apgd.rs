//! APGD: projections, losses and schedules are those of the papers, and the attack reaches the optimum of a linear model.

#[path = "apgd/losses.rs"]
mod losses;
#[path = "apgd/optimum.rs"]
mod optimum;
#[path = "apgd/projection.rs"]
mod projection;
#[path = "apgd/schedule.rs"]
mod schedule;

promises! {
    [losses, optimum, projection, schedule]
}

use burn::tensor::{Device, Int, Tensor, TensorData};
use gauntlet::kernel::random::{philox, unit};
use gauntlet::kernel::words;

/// Uniform numbers in [0, 1) from a seed.
fn uniform(length: usize, seed: u32) -> Vec<f32> {
    (0..length.div_ceil(4)).flat_map(|block| philox([block as u32, seed, 7, 7], [3, 4]).map(unit)).take(length).collect()
}

fn matrix(values: &[f32], columns: usize) -> Tensor<2> {
    Tensor::from_data(TensorData::new(values.to_vec(), [values.len() / columns, columns]), &Device::flex())
}

fn read(tensor: Tensor<2>) -> Vec<f32> {
    tensor.into_data().try_to_vec().expect("floats")
}

fn upload<T: bytemuck::Pod>(records: &[T]) -> Tensor<1, Int> {
    words::upload(records, &Device::flex())
}
