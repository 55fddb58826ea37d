//! The UCI optical digits, embedded: 1,797 images of 8x8 with 10 classes (licence and origin in `assets/README.md`).

use std::io::Read;

use super::{Dataset, Request, Source};
use crate::error::{Error, Result};
use crate::options::Entry;

/// The row of the table.
pub(super) const SOURCE: Source = Source {
    entry: Entry {
        name: "digits",
        summary: "1,797 handwritten digits of 8x8, embedded (Alpaydin and Kaynak, UCI Machine Learning Repository 1998, CC BY 4.0)",
        options: &[],
    },
    splits: &["train", "test", "all"],
    load,
};

const PACKED: &[u8] = include_bytes!("assets/digits.bin.deflate");
const EXAMPLES: usize = 1797;
const TEST: usize = 360;
const FEATURES: usize = 64;
/// Pixels count the set dots of a 4x4 block.
const FULL_SCALE: f32 = 16.0;

fn load(request: &Request) -> Result<Dataset> {
    let mut bytes = Vec::with_capacity(EXAMPLES * (1 + FEATURES));
    flate2::read::DeflateDecoder::new(PACKED)
        .read_to_end(&mut bytes)
        .map_err(|error| Error::data(format!("the embedded digits cannot be unpacked: {error}")))?;
    if bytes.len() != EXAMPLES * (1 + FEATURES) {
        return Err(Error::data(format!("the embedded digits hold {} bytes, not {}", bytes.len(), EXAMPLES * (1 + FEATURES))));
    }
    let (labels, pixels) = bytes.split_at(EXAMPLES);

    let split = request.split.to_string();
    let in_test = in_test(labels);
    let chosen: Vec<usize> = (0..EXAMPLES)
        .filter(|&i| match split.as_str() {
            "train" => !in_test[i],
            "test" => in_test[i],
            _ => true,
        })
        .collect();
    let name = format!("digits, {split}");
    let chosen = &chosen[request.positions(chosen.len(), &name)?];
    let images =
        chosen.iter().flat_map(|&i| &pixels[i * FEATURES..(i + 1) * FEATURES]).map(|&pixel| f32::from(pixel) / FULL_SCALE).collect();
    let ids = chosen.iter().map(|&i| i as u32).collect();
    Dataset::new(name, [1, 8, 8], 10, ids, images, chosen.iter().map(|&i| u32::from(labels[i])).collect())
}

/// The fixed stratified split. With the examples sorted by class and then by position, number s of them (from 0) is in the test set
/// where floor((s + 1) 360 / 1797) exceeds floor(s 360 / 1797): 360 examples, evenly spread over every class and, as the file runs
/// from writer to writer, over the writers.
fn in_test(labels: &[u8]) -> Vec<bool> {
    let mut order: Vec<usize> = (0..labels.len()).collect();
    order.sort_by_key(|&i| (labels[i], i));
    let mut test = vec![false; labels.len()];
    for (s, i) in order.into_iter().enumerate() {
        test[i] = (s + 1) * TEST / labels.len() > s * TEST / labels.len();
    }
    test
}
