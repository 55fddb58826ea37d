//! Augmentation on the host: what an example looks like in an epoch depends on the model's seed, the example and the epoch alone.

use statrs::distribution::{Beta, ContinuousCDF};

use crate::kernel::random::{philox, unit};
use crate::options::Options;

/// Sets these draws apart from the order of the batches and from the training attack's.
const STREAM: u32 = 0x6175_676d;

/// What is done to a training image, and to pairs of them.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Augmentation {
    /// Zeros around the image that a crop chooses its window from; 0: no crop.
    padding: usize,
    flip: bool,
    /// Side of a square of zeros; 0: none.
    cutout: usize,
    /// Alpha of the Beta distribution of mixup; 0: none.
    pub mixup: f64,
}

impl Augmentation {
    pub(super) fn new(options: &Options) -> Self {
        let size = |name| options.integer(name).and_then(|size| usize::try_from(size).ok()).unwrap_or(0);
        let kind = options.text("augment").unwrap_or("none");
        Self {
            padding: if kind.contains("crop") { size("padding") } else { 0 },
            flip: kind.contains("flip"),
            cutout: size("cutout"),
            mixup: options.number("mixup").unwrap_or(0.0),
        }
    }

    /// An image [channels, height, width] as an epoch sees it.
    pub(super) fn image(&self, image: &[f32], shape: [usize; 3], key: [u32; 2], epoch: u32, example: u32) -> Vec<f32> {
        if self.padding == 0 && !self.flip && self.cutout == 0 {
            return image.to_vec();
        }
        let words = philox([0, epoch, 0, example], [key[0] ^ STREAM, key[1]]);
        let more = philox([1, epoch, 0, example], [key[0] ^ STREAM, key[1]]);
        let [_, height, width] = shape;
        let (down, across) = (below(words[0], 2 * self.padding + 1), below(words[1], 2 * self.padding + 1));
        let flipped = self.flip && words[2] >> 31 == 1;
        let (middle_row, middle_column) = (below(more[0], height), below(more[1], width));
        let reach = |middle: usize| (middle.saturating_sub(self.cutout / 2), middle + self.cutout.div_ceil(2));
        let (rows, columns) = (reach(middle_row), reach(middle_column));
        let mut seen = Vec::with_capacity(image.len());
        for plane in image.chunks(height * width) {
            for row in 0..height {
                for column in 0..width {
                    let hidden = (rows.0..rows.1).contains(&row) && (columns.0..columns.1).contains(&column);
                    let from = if flipped { width - 1 - column } else { column };
                    let inside = |at: usize, shift: usize, side: usize| (at + shift).checked_sub(self.padding).filter(|&at| at < side);
                    let found = inside(row, down, height).zip(inside(from, across, width)).filter(|_| !hidden);
                    seen.push(found.map_or(0.0, |(row, column)| plane[row * width + column]));
                }
            }
        }
        seen
    }

    /// The share of the first of each pair that mixup keeps in a batch, at least a half.
    pub(super) fn mix(&self, key: [u32; 2], epoch: u32, first: u32) -> f32 {
        let word = philox([2, epoch, 0, first], [key[0] ^ STREAM, key[1]])[0];
        let share = Beta::new(self.mixup, self.mixup).map_or(1.0, |beta| beta.inverse_cdf(f64::from(unit(word)).clamp(1e-6, 1.0 - 1e-6)));
        share.max(1.0 - share) as f32
    }
}

fn below(word: u32, count: usize) -> usize {
    ((u64::from(word) * count as u64) >> 32) as usize
}
