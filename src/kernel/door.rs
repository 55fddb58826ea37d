//! Shapes and element types, checked before a kernel runs: a wrong one is a mistake of the caller, told with both values.

use burn::tensor::{DType, Int, Tensor};

use super::row::{ROW_WORDS, STATE_WORDS};

/// A float tensor of the expected shape.
pub(crate) fn floats(kernel: &str, name: &str, tensor: &Tensor<2>, shape: [usize; 2]) {
    assert_eq!(tensor.dims(), shape, "{kernel}: {name} has another shape than expected");
    assert_eq!(tensor.dtype(), DType::F32, "{kernel}: {name} has another element type than expected");
    assert!(shape[0] > 0 && shape[1] > 0, "{kernel}: {name} is empty: {shape:?}");
    assert!(shape[0].saturating_mul(shape[1]) < u32::MAX as usize, "{kernel}: {name} has too many elements to index: {shape:?}");
}

/// A tensor of words of the expected length.
pub(crate) fn words(kernel: &str, name: &str, tensor: &Tensor<1, Int>, length: usize) {
    assert_eq!(tensor.dims(), [length], "{kernel}: {name} has another length than expected");
    assert_eq!(tensor.dtype(), DType::I32, "{kernel}: {name} has another element type than expected");
}

/// Rows and states of `slots` slots.
pub(crate) fn slots(kernel: &str, rows: &Tensor<1, Int>, state: &Tensor<1, Int>, slots: usize) {
    words(kernel, "rows", rows, slots * ROW_WORDS);
    words(kernel, "state", state, slots * STATE_WORDS);
}

/// A margin needs another class.
pub(crate) fn classes(kernel: &str, classes: usize) {
    assert!(classes >= 2, "{kernel}: logits of {classes} class; there must be at least 2");
}
