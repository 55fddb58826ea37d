//! Thresholds of detectors, set so that a share of clean training images is rejected.

use burn::tensor::{Tensor, TensorData};

use super::{Wrapper, stack};
use crate::Result;
use crate::data::Dataset;
use crate::engine::base::Base;
use crate::engine::draw::{Draw, DrawRow};
use crate::engine::oracle::{Oracle, read_matrix};
use crate::suite::WrapperSpec;

/// Training images that a threshold is set on, the first ones, and how many at a time.
const IMAGES: usize = 2000;
const BATCH: usize = 64;

/// What the scores of a stack's detectors are lowered by, a layer each; `None` where nothing is to be set.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Thresholds(Vec<Option<f32>>);

impl Thresholds {
    /// The stack with its thresholds set.
    pub fn set(&self, layers: Vec<Box<dyn Wrapper>>) -> Vec<Box<dyn Wrapper>> {
        let offsets = self.0.iter().copied().chain(std::iter::repeat(None));
        let set = |(layer, offset): (Box<dyn Wrapper>, Option<f32>)| match offset.and_then(|offset| layer.lowered(offset)) {
            Some(lowered) => lowered,
            None => layer,
        };
        layers.into_iter().zip(offsets).map(set).collect()
    }

    /// The thresholds that were set.
    pub fn values(&self) -> impl Iterator<Item = f32> {
        self.0.iter().copied().flatten()
    }
}

/// Sets the thresholds of a stack around `base`, which lives on `oracle`'s device, by the scores of training images: the smallest
/// that rejects no more than each detector's share of them. A detector is measured without the others.
///
/// # Errors
/// A device that stops answering.
pub fn calibrate(specs: &[WrapperSpec], base: &Base, data: &Dataset, device: &burn::tensor::Device) -> Result<Thresholds> {
    let mut thresholds = Vec::new();
    for at in 0..specs.len() {
        // Other detectors change neither inputs nor logits.
        let layers = stack(specs, true).into_iter().enumerate().filter(|(other, layer)| *other == at || !layer.rejects());
        let layers: Vec<Box<dyn Wrapper>> = layers.map(|(_, layer)| layer).collect();
        let Some(share) = layers.iter().find_map(|layer| layer.false_alarms()) else {
            thresholds.push(None);
            continue;
        };
        let scores = scores(&Oracle::of(base.clone(), device.clone()).behind(layers.into()), data)?;
        thresholds.push(Some(quantile(scores, share)));
    }
    Ok(Thresholds(thresholds))
}

fn scores(oracle: &Oracle, data: &Dataset) -> Result<Vec<f32>> {
    let mut scores = Vec::new();
    for first in (0..data.len().min(IMAGES)).step_by(BATCH) {
        let last = (first + BATCH).min(data.len().min(IMAGES));
        let pixels: Vec<f32> = (first..last).flat_map(|at| data.image(at)).collect();
        let images = Tensor::from_data(TensorData::new(pixels, [last - first, data.features()]), oracle.device());
        let draw = Draw::of(data.ids[first..last].iter().map(|&example| Some(DrawRow { example, ..DrawRow::default() })).collect());
        if let Some(score) = oracle.answer(images, &draw).score {
            scores.extend(read_matrix(score)?);
        }
    }
    Ok(scores)
}

/// The value that at most `share` of the values lie above.
fn quantile(mut values: Vec<f32>, share: f64) -> f32 {
    values.sort_by(f32::total_cmp);
    let above = (share * values.len() as f64).floor() as usize;
    let at = values.len().saturating_sub(1 + above);
    values.get(at).copied().unwrap_or(0.0)
}
