//! Training batches.

use burn::tensor::{Device, Int, Tensor, TensorData};

use super::loss;
use super::recipe::Recipe;
use crate::data::Dataset;
use crate::kernel::random::philox;

/// A training batch on the device.
pub(crate) struct Batch {
    /// What the network or the training attack starts from [rows, features].
    pub inputs: Tensor<2>,
    /// The inputs before mixup, where there is one.
    pub unmixed: Option<Tensor<2>>,
    pub labels: Vec<u32>,
    /// Labels [rows].
    pub classes: Tensor<1, Int>,
    /// Probabilities [rows, classes] in place of the labels, where mixup or label smoothing make them so.
    pub targets: Option<Tensor<2>>,
    /// The probabilities of mixup alone: what a training attack leads away from.
    pub mixed: Option<Tensor<2>>,
    /// Stable ids of the examples.
    pub examples: Vec<u32>,
}

impl Batch {
    /// Examples as an epoch of a recipe sees them.
    pub(super) fn gather(data: &Dataset, chosen: &[u32], recipe: &Recipe, key: [u32; 2], epoch: u32, device: &Device) -> Self {
        let augmentation = &recipe.augmentation;
        let image = |at: usize| augmentation.image(&data.image(at), data.shape, key, epoch, data.ids[at]);
        let mut batch = Self::with(data, chosen, image, device);
        if augmentation.mixup > 0.0 && chosen.len() > 1 {
            let share = augmentation.mix(key, epoch, batch.examples[0]);
            // Each example with the next in the batch's order, which is itself random.
            let next: Vec<i32> = (0..chosen.len()).map(|row| ((row + 1) % chosen.len()) as i32).collect();
            let next = Tensor::<1, Int>::from_data(TensorData::from(next.as_slice()), device);
            let mix = |own: Tensor<2>| own.clone() * share + own.select(0, next.clone()) * (1.0 - share);
            let mixed = mix(loss::one_hot(batch.classes.clone(), data.classes));
            let inputs = mix(batch.inputs.clone());
            batch.unmixed = Some(std::mem::replace(&mut batch.inputs, inputs));
            batch.mixed = Some(mixed);
        }
        if recipe.smoothing > 0.0 || batch.mixed.is_some() {
            let hard = batch.mixed.clone().unwrap_or_else(|| loss::one_hot(batch.classes.clone(), data.classes));
            batch.targets = Some(hard * (1.0 - recipe.smoothing) + recipe.smoothing / data.classes as f32);
        }
        batch
    }

    /// Examples as they are.
    pub(super) fn plain(data: &Dataset, chosen: &[u32], device: &Device) -> Self {
        Self::with(data, chosen, |at| data.image(at), device)
    }

    fn with(data: &Dataset, chosen: &[u32], image: impl Fn(usize) -> Vec<f32>, device: &Device) -> Self {
        let pixels: Vec<f32> = chosen.iter().flat_map(|&at| image(at as usize)).collect();
        let labels: Vec<u32> = chosen.iter().map(|&at| data.labels[at as usize]).collect();
        let classes: Vec<i32> = labels.iter().map(|&label| label as i32).collect();
        Self {
            inputs: Tensor::from_data(TensorData::new(pixels, [chosen.len(), data.features()]), device),
            unmixed: None,
            classes: Tensor::from_data(TensorData::new(classes, [chosen.len()]), device),
            labels,
            targets: None,
            mixed: None,
            examples: chosen.iter().map(|&at| data.ids[at as usize]).collect(),
        }
    }
}

/// The order in which an epoch meets the examples (Fisher and Yates' shuffle).
pub(super) fn order(mut examples: Vec<u32>, key: [u32; 2], epoch: u32) -> Vec<u32> {
    for last in (1..examples.len()).rev() {
        let word = philox([last as u32, epoch, 0, u32::MAX], key)[0];
        examples.swap(last, ((u64::from(word) * (last as u64 + 1)) >> 32) as usize);
    }
    examples
}

/// Key of the random stream of a training.
pub(super) fn stream(seed: u64) -> [u32; 2] {
    let mut hasher = blake3::Hasher::new_derive_key("gauntlet random stream of a training");
    hasher.update(&seed.to_le_bytes());
    let hash = hasher.finalize();
    let word = |at: usize| u32::from_le_bytes(hash.as_bytes()[at..at + 4].try_into().expect("four bytes"));
    [word(0), word(4)]
}
