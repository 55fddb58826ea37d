//! Records of 32-bit words on a device: how [`Row`](super::row::Row)s, [`State`](super::row::State)s and indices travel.

use burn::tensor::{DType, Device, Int, Tensor, TensorData};
use bytemuck::Pod;

/// Puts records on a device as one `i32` tensor [records * words].
///
/// The dtype is named because a device's own integers may be 64 bits wide.
///
/// # Panics
/// Where a record's size is no multiple of 4 bytes.
pub fn upload<T: Pod>(records: &[T], device: &Device) -> Tensor<1, Int> {
    let words: Vec<i32> = bytemuck::pod_collect_to_vec(records);
    let length = words.len();
    Tensor::from_data(TensorData::new(words, [length]), (device, DType::I32))
}

/// Reads records back from a tensor that [`upload`] or a kernel made. Waits for the device.
///
/// # Panics
/// Where the tensor is not `i32` or holds no whole number of records.
pub fn download<T: Pod>(tensor: Tensor<1, Int>) -> Vec<T> {
    records(&tensor.into_data())
}

/// The records in the data of such a tensor.
///
/// # Panics
/// As [`download`] does.
pub fn records<T: Pod>(data: &TensorData) -> Vec<T> {
    let words: &[i32] = data.as_slice().expect("records travel as i32 words");
    bytemuck::pod_collect_to_vec(words)
}
