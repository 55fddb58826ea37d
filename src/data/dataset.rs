//! Labelled images, checked once, at the door.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use super::pixels::{Maker, Pixels};
use crate::error::{Error, Result};

/// Labelled images.
#[derive(Clone, Debug)]
pub struct Dataset {
    /// The source and split as text, for reports ("digits, test").
    pub name: String,
    /// Channels, height and width of an image.
    pub shape: [usize; 3],
    /// How many classes there are; labels are below it.
    pub classes: usize,
    /// Stable ids, one an example: the position in the source's own order before any limit, so that a limit or a range keeps them.
    pub ids: Vec<u32>,
    pixels: Pixels,
    /// Classes, one an example.
    pub labels: Vec<u32>,
    /// Hash of shape, ids, pixels (of images that are made: of what they are made from) and labels (blake3, hexadecimal).
    pub hash: String,
}

impl Dataset {
    /// Checks the parts, with pixels in [0, 1], row-major [examples, channels, height, width], and hashes them.
    ///
    /// # Errors
    /// No examples, an empty image, fewer than two classes, counts that disagree, an id used twice, a label that is no class, and a
    /// value that is not finite or outside [0, 1]; the last two name the first example that has it.
    pub fn new(
        name: impl Into<String>,
        shape: [usize; 3],
        classes: usize,
        ids: Vec<u32>,
        images: Vec<f32>,
        labels: Vec<u32>,
    ) -> Result<Self> {
        let name = name.into();
        let place = name.clone();
        Self::read_from(&place, name, shape, classes, ids, Pixels::Floats(images), labels)
    }

    /// As [`Dataset::new`], with messages that open with the file or folder `place`.
    pub(super) fn read_from(
        place: &str,
        name: String,
        shape: [usize; 3],
        classes: usize,
        ids: Vec<u32>,
        pixels: Pixels,
        labels: Vec<u32>,
    ) -> Result<Self> {
        check_counts(place, shape, classes, &ids, pixels.len(), labels.len())?;
        let values = match &pixels {
            Pixels::Floats(values) => check_values(place, shape, &ids, values),
            Pixels::Bytes(_) | Pixels::Made { .. } => None,
        };
        let errors = [check_ids(place, &ids), check_labels(place, classes, &ids, &labels), values];
        if let Some(error) = Error::many(format!("{place}: the data are not usable"), errors.into_iter().flatten().collect()) {
            return Err(error);
        }
        let hash = hash(shape, &ids, &pixels, &labels);
        Ok(Self { name, shape, classes, ids, pixels, labels, hash })
    }

    /// A set whose images `maker` makes from their position in the source, each time anew. `recipe` stands for all pixels in the hash.
    pub(super) fn made(
        name: String,
        shape: [usize; 3],
        classes: usize,
        positions: std::ops::Range<usize>,
        labels: Vec<u32>,
        recipe: String,
        maker: Arc<Maker>,
    ) -> Result<Self> {
        let pixels = Pixels::Made { maker, first: positions.start, recipe };
        let ids = positions.map(|position| position as u32).collect();
        Self::read_from(&name.clone(), name, shape, classes, ids, pixels, labels)
    }

    /// How many examples there are.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there are none, as after `limit(0)`.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// Values an image: channels x height x width.
    pub fn features(&self) -> usize {
        self.shape.iter().product()
    }

    /// Image `i`, [channels, height, width]; `i` is a position in this set, below [`Dataset::len`], not an id.
    pub fn image(&self, i: usize) -> Vec<f32> {
        self.pixels.image(i, self.features())
    }

    /// How many of the examples have an image that another set has too; `None` where images of either are made when they are asked for.
    pub fn shared_with(&self, other: &Self) -> Option<usize> {
        if self.shape != other.shape || [self, other].iter().any(|data| matches!(data.pixels, Pixels::Made { .. })) {
            return None;
        }
        let keys = |data: &Self| -> Vec<u64> {
            (0..data.len())
                .map(|at| {
                    let mut hasher = DefaultHasher::new();
                    bytemuck::cast_slice::<f32, u8>(&data.image(at)).hash(&mut hasher);
                    hasher.finish()
                })
                .collect()
        };
        let others: HashSet<u64> = keys(other).into_iter().collect();
        Some(keys(self).iter().filter(|key| others.contains(key)).count())
    }

    /// All images at once, [examples, channels, height, width]: four bytes a value.
    pub fn images(&self) -> Vec<f32> {
        match &self.pixels {
            Pixels::Floats(values) => values.clone(),
            Pixels::Bytes(_) | Pixels::Made { .. } => (0..self.len()).flat_map(|at| self.image(at)).collect(),
        }
    }

    /// Bytes of memory that the pixels take; none where they are made when they are asked for.
    pub fn bytes(&self) -> usize {
        self.pixels.bytes()
    }

    /// The first `n` examples with their ids; the whole set where it has no more than `n`.
    #[must_use]
    pub fn limit(mut self, n: usize) -> Self {
        if n < self.len() {
            self.pixels.truncate(n * self.features());
            self.ids.truncate(n);
            self.labels.truncate(n);
            self.hash = hash(self.shape, &self.ids, &self.pixels, &self.labels);
        }
        self
    }
}

fn check_counts(place: &str, shape: [usize; 3], classes: usize, ids: &[u32], values: Option<usize>, labels: usize) -> Result<()> {
    let [channels, height, width] = shape;
    let features = channels.checked_mul(height).and_then(|area| area.checked_mul(width)).unwrap_or(usize::MAX);
    if features == 0 {
        return Err(Error::input(format!("{place}: images of {channels} x {height} x {width} hold no pixels")));
    }
    if labels == 0 {
        return Err(Error::input(format!("{place}: there are no examples")));
    }
    if classes < 2 {
        return Err(Error::input(format!("{place}: {classes} class leaves nothing to tell apart"))
            .help("give at least two classes (option `classes`)"));
    }
    let values = values.or_else(|| labels.checked_mul(features)).unwrap_or(usize::MAX);
    if ids.len() != labels || labels.checked_mul(features) != Some(values) {
        return Err(Error::input(format!(
            "{place}: the counts disagree: {labels} labels, {} ids and {values} values, which is {} images of {channels} x {height} x {width}",
            ids.len(),
            values as f64 / features as f64
        ))
        .help("give one label and one id for every image"));
    }
    Ok(())
}

fn check_ids(place: &str, ids: &[u32]) -> Option<Error> {
    let mut sorted = ids.to_vec();
    sorted.sort_unstable();
    let twice = sorted.windows(2).find(|pair| pair[0] == pair[1])?[0];
    Some(Error::input(format!("{place}: the id {twice} is used twice")).help("number the examples by their position in the source"))
}

fn check_labels(place: &str, classes: usize, ids: &[u32], labels: &[u32]) -> Option<Error> {
    let wrong = |label: &&u32| **label as usize >= classes;
    let first = labels.iter().position(|label| wrong(&label))?;
    let count = labels.iter().filter(wrong).count();
    Some(
        Error::input(format!(
            "{place}: example {} has the label {}, but there are {classes} classes, 0 to {} ({count} of {} labels are out of range)",
            ids[first],
            labels[first],
            classes - 1,
            labels.len()
        ))
        .help("number the classes from 0, or raise the option `classes`"),
    )
}

fn check_values(place: &str, shape: [usize; 3], ids: &[u32], images: &[f32]) -> Option<Error> {
    let fits = |value: &f32| (0.0..=1.0).contains(value);
    let first = images.iter().position(|value| !fits(value))?;
    let count = images.iter().filter(|value| !fits(value)).count();
    let [_, height, width] = shape;
    let features = shape.iter().product::<usize>();
    let (example, pixel) = (first / features, first % features);
    let (channel, row, column) = (pixel / (height * width), pixel / width % height, pixel % width);
    Some(
        Error::input(format!(
            "{place}: example {} has the value {} at channel {channel}, row {row}, column {column}, outside [0, 1] ({count} of {} values are)",
            ids[example],
            images[first],
            images.len()
        ))
        .help(how_to_scale(images)),
    )
}

/// What to do with images outside [0, 1], guessed from their range.
fn how_to_scale(images: &[f32]) -> String {
    let unusable = images.iter().filter(|value| !value.is_finite()).count();
    if unusable > 0 {
        return format!("{unusable} values are NaN or infinite: repair or leave out the examples that hold them");
    }
    let (low, high) = images.iter().fold((f32::INFINITY, f32::NEG_INFINITY), |(low, high), &value| (low.min(value), high.max(value)));
    // Resizing in floats leaves the range of 8 bits by a little.
    let bytes = low >= -1.0 && high <= 256.0 && high > 20.0;
    let way = if bytes {
        "divide them by 255 (`(images / 255).clip(0, 1)`), or store them as uint8; an ONNX network that wants pixels in \
         0..255 says so itself, with range = \"0..255\" in its `model`"
    } else if low >= 0.0 && high <= 255.0 {
        "divide them by their full scale (`images / 255` for 8-bit images, or store them as uint8)"
    } else if low >= -1.0 && high <= 1.0 {
        "shift them with `(images + 1) / 2`"
    } else {
        "undo the normalisation with `images * std + mean`; a model that wants normalised inputs normalises inside"
    };
    format!("the values span [{low}, {high}]: {way}")
}

fn hash(shape: [usize; 3], ids: &[u32], pixels: &Pixels, labels: &[u32]) -> String {
    let mut hasher = blake3::Hasher::new();
    for size in shape.into_iter().chain([labels.len()]) {
        hasher.update(&(size as u64).to_le_bytes());
    }
    let mut words = |values: &mut dyn Iterator<Item = [u8; 4]>| {
        let mut buffer = Vec::with_capacity(1 << 16);
        for word in values {
            buffer.extend_from_slice(&word);
            if buffer.len() == 1 << 16 {
                hasher.update(&buffer);
                buffer.clear();
            }
        }
        hasher.update(&buffer);
    };
    words(&mut ids.iter().map(|id| id.to_le_bytes()));
    match pixels {
        Pixels::Floats(values) => words(&mut values.iter().map(|value| value.to_le_bytes())),
        // The same as of the floats that they stand for.
        Pixels::Bytes(values) => words(&mut values.iter().map(|&value| (f32::from(value) / 255.0).to_le_bytes())),
        Pixels::Made { recipe, .. } => words(&mut recipe.bytes().map(|byte| [byte, 0, 0, 0])),
    }
    words(&mut labels.iter().map(|label| label.to_le_bytes()));
    hasher.finalize().to_hex().to_string()
}
