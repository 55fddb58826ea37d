//! The examples as a device reaches them.

use burn::tensor::Tensor;

use crate::kernel;
use crate::kernel::words::upload;

/// Examples that a device can put into its slots.
pub trait Examples: Send + Sync {
    /// Puts the example at `positions[i]` into row i of `target` [slots, features]; where a position is negative the row stays.
    fn put(&self, target: Tensor<2>, positions: &[i32]) -> Tensor<2>;

    /// Hears which positions will be asked for soon.
    fn expect(&self, _positions: &[usize]) {}
}

/// All examples on the device, [examples, features].
impl Examples for Tensor<2> {
    fn put(&self, target: Tensor<2>, positions: &[i32]) -> Tensor<2> {
        let index = upload(positions, &target.device());
        kernel::admit(target, self.clone(), index)
    }
}
