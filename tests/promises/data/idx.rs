//! IDX files, whole, spelt in every way, and broken in every place.

use std::fs;

use gauntlet::Result;
use gauntlet::data::{Dataset, load};
use gauntlet::options::Value;

use super::{ask, gzip, says, text, told};

promises! {
    idx_files_are_read_plain_packed_and_under_either_spelling,
    an_idx_folder_without_its_files_says_what_was_looked_for,
    broken_idx_files_are_refused_with_file_and_reason,
    an_idx_file_that_declares_more_than_it_can_hold_is_refused_before_it_is_read,
    idx_files_cut_anywhere_are_refused,
}

fn idx(magic: u32, sizes: &[u32], values: &[u8]) -> Vec<u8> {
    let words = [magic].into_iter().chain(sizes.iter().copied());
    words.flat_map(u32::to_be_bytes).chain(values.iter().copied()).collect()
}

const IMAGE_FILE: &str = "t10k-images-idx3-ubyte";
const LABEL_FILE: &str = "t10k-labels-idx1-ubyte";

fn three_images() -> Vec<u8> {
    idx(0x803, &[3, 2, 2], &[0, 51, 102, 153, 204, 255, 1, 2, 3, 4, 5, 6])
}

fn three_labels() -> Vec<u8> {
    idx(0x801, &[3], &[7, 0, 9])
}

fn read_idx(files: &[(&str, &[u8])], split: &str, options: &[(&str, Value)]) -> Result<Dataset> {
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in files {
        fs::write(folder.path().join(name), bytes).unwrap();
    }
    let mut request = ask(split, &[&[("path", text("."))], options].concat());
    request.base = folder.path().into();
    load("idx", &request)
}

fn read_pair(images: &[u8], labels: &[u8]) -> Result<Dataset> {
    read_idx(&[(IMAGE_FILE, images), (LABEL_FILE, labels)], "test", &[])
}

fn idx_files_are_read_plain_packed_and_under_either_spelling() {
    let plain = read_pair(&three_images(), &three_labels()).unwrap();
    assert_eq!(
        (plain.shape, plain.classes, plain.ids.as_slice(), plain.labels.as_slice()),
        ([1, 2, 2], 10, &[0, 1, 2][..], &[7, 0, 9][..])
    );
    assert_eq!(plain.image(0), [0.0, 0.2, 0.4, 0.6]);
    assert_eq!(plain.image(1)[..2], [0.8, 1.0]);
    let (images, labels) = (gzip(&three_images()), gzip(&three_labels()));
    for (image_file, label_file, images, labels, split) in [
        ("t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz", &images, &labels, "test"),
        ("t10k-images.idx3-ubyte", "t10k-labels.idx1-ubyte.gz", &three_images(), &labels, "test"),
        ("train-images.idx3-ubyte.gz", "train-labels-idx1-ubyte", &images, &three_labels(), "train"),
    ] {
        let read = read_idx(&[(image_file, images), (label_file, labels)], split, &[]).unwrap();
        assert_eq!(read.hash, plain.hash, "{image_file}");
    }
}

fn an_idx_folder_without_its_files_says_what_was_looked_for() {
    says(load("idx", &ask("test", &[])), &["needs `path`"]);
    says(
        load("idx", &ask("test", &[("path", text("/no/such/folder"))])),
        &["/no/such/folder", "does not exist", IMAGE_FILE, LABEL_FILE, "--set data.path=DIR"],
    );
    let nothing = read_idx(&[], "test", &[]).unwrap_err();
    assert_eq!(nothing.all().len(), 1, "one message for both files: {nothing:?}");
    says(Err(nothing), &["lacks", IMAGE_FILE, "t10k-images.idx3-ubyte.gz", LABEL_FILE, "--set data.path=DIR"]);
    let labels = told(read_idx(&[(IMAGE_FILE, &three_images())], "test", &[]));
    assert!(labels.contains("lacks t10k-labels-idx1-ubyte, or") && !labels.contains("lacks t10k-images"), "{labels}");
    says(read_idx(&[(IMAGE_FILE, &three_images())], "train", &[]), &["train-images-idx3-ubyte", "train-labels-idx1-ubyte"]);
}

fn broken_idx_files_are_refused_with_file_and_reason() {
    let (images, labels) = (three_images(), three_labels());
    says(read_pair(&labels, &images), &[IMAGE_FILE, "0x00000801", "swapped"]);
    says(read_pair(&gzip(&images), &labels), &[IMAGE_FILE, "gzip", ".gz"]);
    says(read_pair(&idx(0xd03, &[3, 2, 2], &[0; 12]), &labels), &["0x00000d03", "unsigned bytes"]);
    says(read_pair(&idx(0x803, &[2, 2, 2], &[0; 8]), &labels), &["counts disagree", "2 images", "3 labels"]);
    says(read_pair(&images, &idx(0x801, &[3], &[7, 10, 9])), &[LABEL_FILE, "example 1", "label 10", "0 to 9"]);
    says(read_pair(&[images.clone(), vec![0]].concat(), &labels), &[IMAGE_FILE, "holds more"]);
    says(read_pair(&images, &[labels.clone(), vec![0]].concat()), &[LABEL_FILE, "holds more"]);
    says(read_pair(&idx(0x803, &[0, 28, 28], &[]), &idx(0x801, &[0], &[])), &["0 images"]);
    let packed = [("t10k-images-idx3-ubyte.gz", images.as_slice()), (LABEL_FILE, &labels)];
    says(read_idx(&packed, "test", &[]), &["ubyte.gz", "cannot be read", "gzip"]);
}

fn an_idx_file_that_declares_more_than_it_can_hold_is_refused_before_it_is_read() {
    let most = u32::MAX;
    says(read_pair(&idx(0x803, &[most, most, most], &[0; 12]), &three_labels()), &["truncated", "can hold"]);
    says(read_pair(&three_images(), &idx(0x801, &[most], &[0; 3])), &["truncated", "4294967295 labels"]);
    let packed = gzip(&idx(0x803, &[60_000, 2800, 2800], &[0; 12]));
    says(read_idx(&[("t10k-images-idx3-ubyte.gz", &packed), (LABEL_FILE, &three_labels())], "test", &[]), &["truncated", "can hold"]);
    // A stream that unpacks to far more than its header declares is left after one byte too many.
    let bomb = gzip(&[three_images(), vec![0; 1 << 22]].concat());
    says(read_idx(&[("t10k-images-idx3-ubyte.gz", &bomb), (LABEL_FILE, &three_labels())], "test", &[]), &["holds more"]);
}

fn idx_files_cut_anywhere_are_refused() {
    let (images, labels) = (three_images(), three_labels());
    for end in 0..images.len() {
        says(read_pair(&images[..end], &labels), &[IMAGE_FILE, "truncated"]);
    }
    for end in 0..labels.len() {
        says(read_pair(&images, &labels[..end]), &[LABEL_FILE, "truncated"]);
    }
    let packed = gzip(&images);
    for end in 0..packed.len() {
        let files = [("t10k-images-idx3-ubyte.gz", &packed[..end]), (LABEL_FILE, &labels)];
        says(read_idx(&files, "test", &[]), &["t10k-images-idx3-ubyte.gz"]);
    }
}
