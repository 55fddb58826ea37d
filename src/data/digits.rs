//! The UCI optical digits, embedded: 1,797 images of 8x8 with 10 classes (licence and origin in `assets/README.md`).

use std::io::Read;

use super::{Dataset, Request, Source};
use crate::error::{Error, Result};
use crate::options::{Accepts, Entry, OptionSpec};

/// The row of the table.
pub(super) const SOURCE: Source = Source {
    entry: Entry {
        name: "digits",
        summary: "1,797 handwritten digits of 8x8, embedded (Alpaydin and Kaynak, UCI Machine Learning Repository 1998, CC BY 4.0)",
        options: &[OptionSpec {
            name: "scale",
            accepts: Accepts::Integer(1, 16),
            default: Some("1"),
            help: "pixels a side that each of the 8x8 becomes: larger images of the same digits",
        }],
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
    let scale = request.options.integer("scale").and_then(|scale| usize::try_from(scale).ok()).unwrap_or(1);
    let side = 8 * scale;
    let image = |&i: &usize| {
        let pixels = &pixels[i * FEATURES..(i + 1) * FEATURES];
        (0..side * side).map(move |at| f32::from(pixels[at / side / scale * 8 + at % side / scale]) / FULL_SCALE)
    };
    let images = chosen.iter().flat_map(image).collect();
    let ids = chosen.iter().map(|&i| i as u32).collect();
    let name = if scale > 1 { format!("{name}, {side}x{side}") } else { name };
    Dataset::new(name, [1, side, side], 10, ids, images, chosen.iter().map(|&i| u32::from(labels[i])).collect())
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
