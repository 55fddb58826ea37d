//! NumPy archives in every layout and type, and archives that lie.

use std::fs;
use std::io::Write;

use flate2::Compression;
use gauntlet::Result;
use gauntlet::data::{Dataset, load};
use gauntlet::options::Value;
use proptest::prelude::*;

use super::{ask, says, text, told};

promises! {
    every_layout_order_type_and_packing_of_an_archive_gives_the_same_set,
    labels_of_any_integer_type_and_keys_of_any_usual_name_are_read,
    a_range_keeps_ids_and_classes_and_may_not_leave_the_data,
    arrays_that_are_no_images_or_labels_are_refused_with_the_way_out,
    pixels_in_0_to_255_are_told_to_be_divided,
    files_that_are_no_archive_are_refused_with_the_way_out,
    archives_cut_anywhere_are_refused,
    a_damaged_byte_anywhere_is_an_error_or_leaves_the_data_as_they_were,
    headers_that_declare_more_than_is_there_are_refused_before_memory_is_taken,
    no_header_text_makes_the_reader_panic,
}

fn npy(descr: &str, fortran: bool, shape: &str, data: &[u8]) -> Vec<u8> {
    let fortran = if fortran { "True" } else { "False" };
    npy_with_header(&format!("{{'descr': '{descr}', 'fortran_order': {fortran}, 'shape': {shape}, }}\n"), data)
}

fn npy_with_header(header: &str, data: &[u8]) -> Vec<u8> {
    [b"\x93NUMPY\x01\x00", &(header.len() as u16).to_le_bytes()[..], header.as_bytes(), data].concat()
}

/// A zip archive by the letter (APPNOTE 4.3), so that its sizes can lie: `declared` replaces the true unpacked size.
fn zip(members: &[(&str, Vec<u8>)], packed: bool, declared: Option<u32>) -> Vec<u8> {
    let (mut file, mut directory) = (Vec::new(), Vec::new());
    for (name, bytes) in members {
        let mut crc = flate2::Crc::new();
        crc.update(bytes);
        let body = if packed {
            let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), Compression::default());
            encoder.write_all(bytes).unwrap();
            encoder.finish().unwrap()
        } else {
            bytes.clone()
        };
        let mut common = vec![20, 0, 0, 0, if packed { 8 } else { 0 }, 0, 0, 0, 0x21, 0];
        common.extend(crc.sum().to_le_bytes());
        common.extend((body.len() as u32).to_le_bytes());
        common.extend(declared.unwrap_or(bytes.len() as u32).to_le_bytes());
        common.extend((name.len() as u16).to_le_bytes());
        common.extend([0, 0]);
        directory.extend(b"PK\x01\x02\x14\x00");
        directory.extend(&common);
        directory.extend([0; 10]);
        directory.extend((file.len() as u32).to_le_bytes());
        directory.extend(name.as_bytes());
        file.extend(b"PK\x03\x04");
        file.extend(&common);
        file.extend(name.as_bytes());
        file.extend(body);
    }
    let start = file.len() as u32;
    let count = (members.len() as u16).to_le_bytes();
    let end = [b"PK\x05\x06\0\0\0\0", &count[..], &count, &(directory.len() as u32).to_le_bytes(), &start.to_le_bytes(), &[0, 0]].concat();
    [file, directory, end].concat()
}

fn read_npz(bytes: &[u8], split: &str, options: &[(&str, Value)]) -> Result<Dataset> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("set.npz");
    fs::write(&path, bytes).unwrap();
    load("npz", &ask(split, &[&[("path", text(path))], options].concat()))
}

fn read_arrays(images: Vec<u8>, labels: Vec<u8>, options: &[(&str, Value)]) -> Result<Dataset> {
    read_npz(&zip(&[("images.npy", images), ("labels.npy", labels)], true, None), "all", options)
}

fn labels_of(labels: &[i64]) -> Vec<u8> {
    npy("<i8", false, &format!("({},)", labels.len()), &labels.iter().flat_map(|label| label.to_le_bytes()).collect::<Vec<u8>>())
}

/// Two images of 3 channels, 2 rows and 5 columns, as (example, channel, row, column) -> value.
fn pixel([n, c, y, x]: [usize; 4]) -> u8 {
    (n * 101 + c * 31 + y * 7 + x) as u8
}

const SIZE: [usize; 4] = [2, 3, 2, 5];

/// The values with the axes in the order `axes`, the last one fastest; the first one fastest in Fortran's order.
fn laid_out(axes: [usize; 4], fortran: bool) -> Vec<u8> {
    let order: Vec<usize> = if fortran { axes.into_iter().rev().collect() } else { axes.to_vec() };
    let total: usize = SIZE.iter().product();
    let index = |mut flat: usize| {
        let mut index = [0; 4];
        for &axis in order.iter().rev() {
            index[axis] = flat % SIZE[axis];
            flat /= SIZE[axis];
        }
        index
    };
    (0..total).map(|flat| pixel(index(flat))).collect()
}

fn every_layout_order_type_and_packing_of_an_archive_gives_the_same_set() {
    let expected: Vec<f32> = laid_out([0, 1, 2, 3], false).iter().map(|&value| f32::from(value) / 255.0).collect();
    let (channels_last, channels_second) = ([0, 2, 3, 1], [0, 1, 2, 3]);
    let mut hashes = Vec::new();
    for (axes, shape, layout) in [
        (channels_last, "(2, 2, 5, 3)", "auto"),
        (channels_last, "(2, 2, 5, 3)", "nhwc"),
        (channels_second, "(2, 3, 2, 5)", "auto"),
        (channels_second, "(2, 3, 2, 5)", "nchw"),
    ] {
        for (fortran, packed) in [(false, true), (true, true), (false, false)] {
            let bytes = laid_out(axes, fortran);
            let floats = || bytes.iter().map(|&value| f32::from(value) / 255.0);
            let images = [
                npy("|u1", fortran, shape, &bytes),
                npy("<f4", fortran, shape, &floats().flat_map(f32::to_le_bytes).collect::<Vec<u8>>()),
                npy(">f4", fortran, shape, &floats().flat_map(f32::to_be_bytes).collect::<Vec<u8>>()),
                npy("<f8", fortran, shape, &floats().flat_map(|value| f64::from(value).to_le_bytes()).collect::<Vec<u8>>()),
            ];
            for images in images {
                let archive = zip(&[("images.npy", images), ("labels.npy", labels_of(&[4, 1]))], packed, None);
                let read = read_npz(&archive, "all", &[("layout", Value::Text(layout.into()))]).unwrap();
                assert_eq!((read.shape, read.classes, read.labels.as_slice()), ([3, 2, 5], 5, &[4, 1][..]));
                assert_eq!(read.images(), expected, "{shape} {layout} fortran {fortran}");
                hashes.push(read.hash);
            }
        }
    }
    assert_eq!(hashes.len(), 48);
    assert!(hashes.iter().all(|hash| *hash == hashes[0]));
}

fn labels_of_any_integer_type_and_keys_of_any_usual_name_are_read() {
    let images = npy("|u1", false, "(2, 1, 2)", &[0, 255, 51, 102]);
    for (descr, bytes) in [
        ("|i1", vec![1, 0]),
        ("|u1", vec![1, 0]),
        ("<i2", vec![1, 0, 0, 0]),
        (">u2", vec![0, 1, 0, 0]),
        ("<u4", vec![1, 0, 0, 0, 0, 0, 0, 0]),
        (">i8", vec![0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]),
    ] {
        let read = read_arrays(images.clone(), npy(descr, false, "(2,)", &bytes), &[]).unwrap();
        assert_eq!((read.shape, read.labels.as_slice(), read.image(1).as_slice()), ([1, 1, 2], &[1, 0][..], &[0.2, 0.4][..]), "{descr}");
    }
    assert_eq!(read_arrays(images.clone(), npy("|u1", false, "(2, 1)", &[1, 0]), &[]).unwrap().labels, [1, 0]);
    for (image_key, label_key) in [("x_test", "y_test"), ("x", "y"), ("X", "labels"), ("data", "y")] {
        let members = [(format!("{image_key}.npy"), images.clone()), (format!("{label_key}.npy"), labels_of(&[1, 0]))];
        let members: Vec<(&str, Vec<u8>)> = members.iter().map(|(name, bytes)| (name.as_str(), bytes.clone())).collect();
        assert_eq!(read_npz(&zip(&members, true, None), "all", &[]).unwrap().len(), 2, "{image_key}");
    }
    let members =
        [("x_test.npy", images.clone()), ("y_test.npy", labels_of(&[1, 0])), ("x_train.npy", images), ("y_train.npy", labels_of(&[0, 1]))];
    let archive = zip(&members, true, None);
    let keys = [("images", Value::Text("x_train".into())), ("labels", Value::Text("y_train".into()))];
    assert_eq!(read_npz(&archive, "all", &keys).unwrap().labels, [0, 1]);
    says(read_npz(&archive, "all", &[("images", Value::Text("x_val".into()))]), &["no array `x_val`", "x_test, x_train, y_test, y_train"]);
}

fn a_range_keeps_ids_and_classes_and_may_not_leave_the_data() {
    let archive =
        zip(&[("images.npy", npy("|u1", false, "(5, 1, 1)", &[0, 1, 2, 3, 4])), ("labels.npy", labels_of(&[0, 1, 6, 0, 1]))], true, None);
    let read = read_npz(&archive, "3..", &[]).unwrap();
    assert_eq!((read.ids.as_slice(), read.labels.as_slice(), read.classes), (&[3, 4][..], &[0, 1][..], 7));
    assert_eq!(read.name, "set.npz, 3..");
    assert_eq!(read_npz(&archive, "1..3", &[]).unwrap().ids, [1, 2]);
    says(read_npz(&archive, "2..6", &[]), &["2..6", "5 examples", "0 to 4"]);
    says(read_npz(&archive, "5..", &[]), &["5 examples"]);
    says(read_npz(&archive, "all", &[("classes", Value::Integer(4))]), &["example 2", "label 6", "0 to 3"]);
    assert_eq!(read_npz(&archive, "all", &[("classes", Value::Integer(9))]).unwrap().classes, 9);
}

fn arrays_that_are_no_images_or_labels_are_refused_with_the_way_out() {
    let (images, labels) = (npy("|u1", false, "(2, 1, 2)", &[0; 4]), labels_of(&[1, 0]));
    let floats =
        |values: [f32; 4]| npy("<f4", false, "(2, 1, 2)", &values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>());
    let with_images = |images: Vec<u8>| read_arrays(images, labels.clone(), &[]);
    let with_labels = |labels: Vec<u8>| read_arrays(images.clone(), labels, &[]);
    says(with_images(floats([0.0, 0.5, 0.25, 64.0])), &["set.npz", "example 1", "64", "images / 255"]);
    says(with_images(floats([0.0, 0.5, f32::NAN, 1.0])), &["example 1", "NaN"]);
    says(with_images(npy("<f2", false, "(2, 1, 2)", &[0; 8])), &["array `images`", "float32"]);
    says(with_images(npy("<i8", false, "(2, 1, 2)", &[0; 32])), &["uint8"]);
    says(with_images(npy("|b1", false, "(2, 1, 2)", &[0; 4])), &["|b1"]);
    says(with_images(npy("|O", false, "(2, 1, 2)", &[0; 4])), &["Python objects"]);
    says(with_images(npy("|u1", false, "(2, 4)", &[0; 8])), &["2 axes", "reshape"]);
    says(with_images(npy("|u1", false, "()", &[0])), &["0 axes"]);
    says(with_images(npy("|u1", false, "(2, 3, 5, 3)", &[0; 90])), &["layout = \"nhwc\""]);
    says(with_images(npy("|u1", false, "(2, 5, 5, 2)", &[0; 100])), &["layout = \"nchw\""]);
    says(with_images(npy("|u1", false, "(2, 0, 2)", &[])), &["no pixels"]);
    says(read_arrays(npy("|u1", false, "(0, 1, 2)", &[]), labels_of(&[]), &[]), &["no examples"]);
    says(with_labels(labels_of(&[1, 0, 1])), &["counts disagree", "2 images", "3 labels"]);
    says(with_labels(labels_of(&[1, -1])), &["example 1", "label -1"]);
    says(with_labels(labels_of(&[0, 70_000])), &["70000", "`classes`"]);
    says(with_labels(labels_of(&[0, 0])), &["two classes"]);
    says(with_labels(npy("<f4", false, "(2,)", &[0; 8])), &["astype('int64')"]);
    says(with_labels(npy("|u1", false, "(2, 3)", &[0; 6])), &["argmax"]);
}

fn pixels_in_0_to_255_are_told_to_be_divided() {
    let images = |descr: &str, values: [f64; 4]| {
        let bytes: Vec<u8> = match descr {
            "<f4" => values.iter().flat_map(|value| (*value as f32).to_le_bytes()).collect(),
            "<f8" => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
            _ => values.iter().flat_map(|value| (*value as i64).to_le_bytes()).collect(),
        };
        read_arrays(npy(descr, false, "(2, 1, 2)", &bytes), labels_of(&[1, 0]), &[])
    };
    for descr in ["<f4", "<f8"] {
        says(images(descr, [0.0, 17.0, 254.0, 3.0]), &["the value 17", "divide them by 255", "uint8"]);
        says(images(descr, [-0.4, 17.0, 255.3, 3.0]), &["divide them by 255"]);
        let normalised = told(images(descr, [-2.1, 0.5, 2.6, 0.0]));
        assert!(normalised.contains("normalis") && !normalised.contains("by 255"), "{normalised}");
    }
    says(images("<i8", [0.0, 17.0, 254.0, 3.0]), &["(images / 255)", "astype('uint8')"]);
}

fn files_that_are_no_archive_are_refused_with_the_way_out() {
    says(load("npz", &ask("all", &[])), &["needs `path`"]);
    says(load("npz", &ask("all", &[("path", text("/no/such.npz"))])), &["/no/such.npz", "check `path`"]);
    says(load("npz", &ask("all", &[("path", text(std::env::temp_dir()))])), &["not a file"]);
    says(read_npz(b"", "all", &[]), &["not an npz archive"]);
    says(read_npz(&labels_of(&[1, 0]), "all", &[]), &["np.savez"]);
    says(read_npz(&zip(&[], false, None), "all", &[]), &["no array `images`", "none"]);
    says(read_npz(&zip(&[("images.npy", b"text".to_vec())], false, None), "all", &[]), &["array `images`", "magic"]);
}

fn small_archive(packed: bool) -> Vec<u8> {
    let images = npy("|u1", false, "(2, 1, 2)", &[0, 255, 51, 102]);
    zip(&[("images.npy", images), ("labels.npy", labels_of(&[1, 0]))], packed, None)
}

fn archives_cut_anywhere_are_refused() {
    for packed in [false, true] {
        let archive = small_archive(packed);
        assert_eq!(read_npz(&archive, "all", &[]).unwrap().len(), 2);
        for end in 0..archive.len() {
            says(read_npz(&archive[..end], "all", &[]), &["set.npz"]);
        }
    }
}

fn a_damaged_byte_anywhere_is_an_error_or_leaves_the_data_as_they_were() {
    for packed in [false, true] {
        let archive = small_archive(packed);
        let intact = read_npz(&archive, "all", &[]).unwrap().hash;
        for at in 0..archive.len() {
            for change in [0x01, 0x80, 0xff] {
                let mut damaged = archive.clone();
                damaged[at] ^= change;
                if let Ok(read) = read_npz(&damaged, "all", &[]) {
                    assert_eq!(read.hash, intact, "byte {at} ^ {change:#x} changed the data unnoticed");
                }
            }
        }
    }
}

fn headers_that_declare_more_than_is_there_are_refused_before_memory_is_taken() {
    let with_header = |header: &str| read_arrays(npy_with_header(header, &[0; 4]), labels_of(&[1, 0]), &[]);
    let shaped = |shape: &str| with_header(&format!("{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}}}"));
    says(shaped("(2, 1, 3)"), &["does not agree with 4 bytes"]);
    says(shaped("(2, 1, 1)"), &["does not agree with 4 bytes"]);
    says(shaped("(1000000000, 1000, 1000)"), &["does not agree"]);
    says(shaped("(0, 9999999999, 9999999999)"), &["more elements"]);
    says(shaped("(99999999999999999999, 1, 1)"), &["more elements"]);
    says(shaped("(-2, 1, 2)"), &["array `images`"]);
    says(shaped("'wide'"), &["array `images`"]);
    says(shaped(&"(".repeat(4000)), &["nests too deeply"]);
    says(with_header(&"{'|]]', (2, ".repeat(30)), &["nests too deeply"]);
    says(with_header(""), &["array `images`"]);
    says(with_header("{'descr': '|u1'}"), &["array `images`"]);
    says(with_header("{'descr': [('a', '|u1')], 'fortran_order': False, 'shape': (2, 1, 2)}"), &["records"]);
    says(read_arrays(b"\x93NUMPY\x02\x00\xff\xff\xff\xff{}".to_vec(), labels_of(&[1, 0]), &[]), &["header does not fit"]);
    says(read_arrays(b"\x93NUMPY\x01\x00".to_vec(), labels_of(&[1, 0]), &[]), &["header does not fit"]);
    let images = npy("|u1", false, "(2, 1, 2)", &[0; 4]);
    for declared in [0, 10, 70_000, u32::MAX - 1] {
        let lying = zip(&[("images.npy", images.clone()), ("labels.npy", labels_of(&[1, 0]))], true, Some(declared));
        says(read_npz(&lying, "all", &[]), &["set.npz", "declares"]);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    fn no_header_text_makes_the_reader_panic(text in r#"[{}()\[\]'",:\\ 0-9a-zA-Z<>|.+jLxu-]{0,120}"#) {
        let _ = read_arrays(npy_with_header(&text, &[0; 4]), labels_of(&[1, 0]), &[]);
        let around = format!("{{'descr': '|u1', 'fortran_order': False, 'shape': {text}}}");
        let _ = read_arrays(npy_with_header(&around, &[0; 4]), labels_of(&[1, 0]), &[]);
    }
}
