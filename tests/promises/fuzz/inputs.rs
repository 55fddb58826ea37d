//! The inputs of each target: sound files, and what is done to them.

use std::path::Path;

use gauntlet::onnx::OPERATORS;
use gauntlet::suite::catalogue::catalogue;

use super::archive::{Entry, entries, gzip, written};
use super::chance::{Chance, damage};
use super::{pickle, protobuf, text};

/// Files as a target reads them: names and contents.
pub type Input = Vec<(&'static str, Vec<u8>)>;

/// Makes the input of a seed.
pub type Maker = Box<dyn Fn(&mut Chance) -> Input>;

/// The files of a folder of the repository whose names end in `end`, by name.
fn files(folder: &str, end: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let found = std::fs::read_dir(&folder).expect("a folder of the repository").map(|entry| entry.expect("an entry").path());
    let mut found: Vec<_> = found.filter(|path| path.to_string_lossy().ends_with(end)).collect();
    found.sort();
    let read: Vec<_> = found.iter().map(|path| std::fs::read(path).expect("a file of the repository")).collect();
    assert!(!read.is_empty(), "no {end} in {}", folder.display());
    read
}

pub fn onnx() -> Maker {
    let seeds = files("tests/fixtures/onnx", ".onnx");
    let words: Vec<&str> = OPERATORS.iter().map(|operator| operator.name).chain(["", "x", "axis", "perm", "ai.onnx.ml"]).collect();
    Box::new(move |chance| {
        let (seed, other) = (chance.of(&seeds), chance.of(&seeds));
        let mut bytes = if chance.one_in(4) { seed.clone() } else { protobuf::edited(chance, seed, other, &words) };
        if chance.one_in(3) {
            damage(chance, &mut bytes, other);
        }
        vec![("model.onnx", bytes)]
    })
}

pub fn torch() -> Maker {
    let (archives, streams): (Vec<_>, Vec<_>) = files("tests/fixtures/torch", ".pt").into_iter().partition(|file| file.starts_with(b"PK"));
    let archives: Vec<Vec<Entry>> = archives.iter().map(|archive| entries(archive)).collect();
    Box::new(move |chance| {
        let mut bytes = if chance.one_in(2) {
            let (seed, other) = (chance.of(&streams), chance.of(&streams));
            if chance.one_in(8) { seed.clone() } else { pickle::edited(chance, seed, other) }
        } else {
            let (mut members, others) = (chance.of(&archives).clone(), chance.of(&archives));
            let other = chance.of(others).1.clone();
            let at = if chance.one_in(4) { chance.below(members.len()) } else { 0 };
            let (name, content) = &mut members[at];
            match chance.below(8) {
                0 => damage(chance, content, &other),
                1 => *name = text::edited(chance, name, &others[0].0, &["data.pkl", "data/0", "/", "byteorder", "constants.pkl"]),
                _ if name.ends_with(".pkl") => *content = pickle::edited(chance, content, &other),
                _ => damage(chance, content, &other),
            }
            written(chance, &members)
        };
        if chance.one_in(6) {
            damage(chance, &mut bytes, &streams[0]);
        }
        vec![("model.pt", bytes)]
    })
}

pub fn safetensors() -> Maker {
    let header = |text: &str, data: usize| (text.to_owned(), vec![0x3f; data]);
    let seeds = [
        header(
            r#"{"0.weight":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},"0.bias":{"dtype":"F32","shape":[2],"data_offsets":[24,32]}}"#,
            32,
        ),
        header(
            r#"{"__metadata__":{"format":"pt","weights_blake3":"00"},"a":{"dtype":"BF16","shape":[3],"data_offsets":[0,6]},"b":{"dtype":"I64","shape":[],"data_offsets":[6,14]},"c":{"dtype":"F16","shape":[0,4],"data_offsets":[14,14]}}"#,
            14,
        ),
        header(
            r#"{"x":{"dtype":"F64","shape":[2],"data_offsets":[0,16]},"y":{"dtype":"F8_E4M3","shape":[4],"data_offsets":[16,20]},"z":{"dtype":"BOOL","shape":[2,1],"data_offsets":[20,22]}}"#,
            22,
        ),
    ];
    let words = ["dtype", "shape", "data_offsets", "__metadata__", "weights_blake3", "I8", "F4", "24", "32", "[0,24]", "{}", "[]"];
    Box::new(move |chance| {
        let ((mut json, mut data), other) = (chance.of(&seeds).clone(), chance.of(&seeds));
        if !chance.one_in(8) {
            json = text::edited(chance, &json, &other.0, &words);
        }
        if chance.one_in(4) {
            damage(chance, &mut data, other.0.as_bytes());
        }
        let length = if chance.one_in(16) { chance.edge() } else { json.len() as u64 };
        let mut bytes = [&length.to_le_bytes(), json.as_bytes(), &data].concat();
        if chance.one_in(6) {
            damage(chance, &mut bytes, other.0.as_bytes());
        }
        vec![("model.safetensors", bytes)]
    })
}

pub fn npz() -> Maker {
    let array = |descr: &str, fortran: &str, shape: &str, data: &[u8]| {
        (format!("{{'descr': '{descr}', 'fortran_order': {fortran}, 'shape': {shape}, }}\n"), data.to_vec())
    };
    // Numbers so small that any bytes are within [0, 1].
    let small = [0, 1].repeat(24);
    let images = [
        array("|u1", "False", "(2, 1, 2)", &small[..4]),
        array("<f4", "True", "(2, 2, 1, 3)", &small),
        array(">f8", "False", "(2, 3, 1, 1)", &small),
    ];
    let labels = [
        array("<i8", "False", "(2,)", &[[1, 0, 0, 0, 0, 0, 0, 0], [0; 8]].concat()),
        array("|u1", "False", "(2, 1)", &[0, 1]),
        array(">u2", "True", "(2,)", &[0, 2, 0, 1]),
    ];
    Box::new(move |chance| {
        let mut members = Vec::new();
        for (key, arrays) in [("images", &images), ("labels", &labels)] {
            let ((mut header, mut data), other) = (chance.of(arrays).clone(), chance.of(&images));
            if chance.one_in(2) {
                header = text::edited(chance, &header, &other.0, &["descr", "shape", "fortran_order", "(2,)", "(2, 1, 2)"]);
            }
            if chance.one_in(4) {
                damage(chance, &mut data, other.0.as_bytes());
            }
            let length = if chance.one_in(16) { chance.edge() as u16 } else { header.len() as u16 };
            let name = if chance.one_in(16) { text::edited(chance, key, "x", &["x_test", "y", ".npy", "/"]) } else { key.to_owned() };
            let mut bytes = [b"\x93NUMPY\x01\x00", &length.to_le_bytes()[..], header.as_bytes(), &data].concat();
            if chance.one_in(8) {
                damage(chance, &mut bytes, &other.1);
            }
            members.push((name + ".npy", bytes));
        }
        let mut bytes = written(chance, &members);
        if chance.one_in(6) {
            damage(chance, &mut bytes, b"PK\x01\x02PK\x05\x06");
        }
        vec![("set.npz", bytes)]
    })
}

pub fn idx() -> Maker {
    let words = |list: &[u32], values: &[u8]| [list.iter().flat_map(|word| word.to_be_bytes()).collect(), values.to_vec()].concat();
    let images: Vec<u8> = words(&[0x803, 3, 2, 2], &[0, 51, 102, 153, 204, 255, 1, 2, 3, 4, 5, 6]);
    let labels: Vec<u8> = words(&[0x801, 3], &[7, 0, 9]);
    Box::new(move |chance| {
        let packed = chance.one_in(2);
        let names = if packed {
            ["t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"]
        } else {
            ["t10k-images-idx3-ubyte", "t10k-labels.idx1-ubyte"]
        };
        let mut files = Vec::new();
        for (name, seed, other) in [(names[0], &images, &labels), (names[1], &labels, &images)] {
            let mut bytes = seed.clone();
            if chance.one_in(2) {
                // The magic number and the sizes.
                let at = 4 * chance.below(4);
                let edge = chance.edge() as u32;
                bytes.splice(at.min(bytes.len())..(at + 4).min(bytes.len()), edge.to_be_bytes());
            }
            if chance.one_in(2) {
                damage(chance, &mut bytes, other);
            }
            if packed {
                bytes = gzip(&bytes);
                if chance.one_in(4) {
                    damage(chance, &mut bytes, &[]);
                }
            }
            files.push((name, bytes));
        }
        files
    })
}

/// The suite, and what `--set` is given.
pub fn suite() -> Maker {
    let seeds: Vec<String> = files("suites", ".toml").into_iter().map(|file| String::from_utf8(file).expect("UTF-8")).collect();
    let catalogue = catalogue();
    let entries = catalogue.models.iter().chain(&catalogue.trainers).chain(catalogue.wrappers.iter().map(|wrapper| &wrapper.entry));
    let entries = entries.chain(catalogue.sources.iter().map(|source| &source.entry));
    let entries = entries.chain(catalogue.attacks.iter().map(|attack| &attack.entry));
    let entries = entries.chain(catalogue.certifiers.iter().map(|certifier| &certifier.entry));
    let words: Vec<&str> = entries
        .flat_map(|entry| entry.options.iter().map(|option| option.name).chain([entry.name]))
        .chain(["layers", "onnx", "weights", "normalize", "match", "stack", "kind", "seed", "train", "model", "examples", "split", "norm"])
        .collect();
    let paths = ["seed", "attack", "pgd", "0", "defence", "model", "train", "epsilons", "title", "="];
    Box::new(move |chance| {
        let (seed, other) = (chance.of(&seeds), chance.of(&seeds));
        let mut bytes = if chance.one_in(8) { seed.clone() } else { text::edited(chance, seed, other, &words) }.into_bytes();
        if chance.one_in(8) {
            damage(chance, &mut bytes, other.as_bytes());
        }
        let mut files = vec![("suite.toml", bytes)];
        if chance.one_in(3) {
            files.push((
                "set",
                text::edited(chance, "attack.pgd.steps=20", "defence.0.model={ architecture = \"mlp\" }", &paths).into_bytes(),
            ));
        }
        files
    })
}
