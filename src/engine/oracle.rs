//! The only door from an attack to a defence: logits, and gradients of a loss of the logits.

use burn::tensor::{Device, Int, Tensor};

use crate::kernel::words;
use crate::model::Classifier;
use crate::{Error, Result};

/// A defence on one device, as attacks see it. Inputs are flat, [rows, features], in [0, 1]; logits are [rows, classes].
pub struct Oracle {
    classifier: Classifier,
    device: Device,
}

impl Oracle {
    /// An oracle for a classifier whose weights live on `device`, without autodiff: gradients are taken to the input alone.
    pub fn new(classifier: Classifier, device: Device) -> Self {
        Self { classifier, device }
    }

    /// The device that answers.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Features of an input.
    pub fn features(&self) -> usize {
        self.classifier.features()
    }

    /// How many classes there are.
    pub fn classes(&self) -> usize {
        self.classifier.classes
    }

    /// Channels, height and width of an input.
    pub fn shape(&self) -> [usize; 3] {
        self.classifier.shape
    }

    /// Logits of the inputs.
    pub fn logits(&self, inputs: Tensor<2>) -> Tensor<2> {
        self.classifier.logits(inputs)
    }

    /// The gradient [rows, features], with respect to the inputs, of the loss whose gradient with respect to the logits
    /// `loss_gradient` gives. A row's gradient is zero where that of its logits is.
    pub fn gradient(&self, inputs: Tensor<2>, loss_gradient: impl FnOnce(Tensor<2>) -> Tensor<2>) -> Tensor<2> {
        let inputs = inputs.autodiff().require_grad();
        let logits = self.classifier.logits(inputs.clone());
        let weights = loss_gradient(logits.clone().inner());
        let mut gradients = (logits * Tensor::from_inner(weights)).sum().backward();
        inputs.grad_remove(&mut gradients).expect("the logits depend on the inputs")
    }
}

/// Reads 32-bit words back as what they were.
pub(crate) fn read_words<T: bytemuck::Pod>(tensor: Tensor<1, Int>) -> Result<Vec<T>> {
    let data = tensor.try_into_data().map_err(|error| lost(&error))?;
    Ok(words::records(&data))
}

/// Reads a matrix back, row-major.
pub(crate) fn read_matrix(tensor: Tensor<2>) -> Result<Vec<f32>> {
    let data = tensor.try_into_data().map_err(|error| lost(&error))?;
    data.try_to_vec().map_err(|error| lost(&error))
}

fn lost(error: &dyn std::fmt::Debug) -> Error {
    Error::device(format!("the device stopped answering: {error:?}"))
        .help("what was done is kept: run the same command again, with --device cpu or a smaller --memory if it happens again")
}
