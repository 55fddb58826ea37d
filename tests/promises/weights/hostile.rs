//! Files that are damaged, or made to harm whoever loads them: each is refused in words, quickly, within its own size of memory.

use std::io::{Cursor, Write};

use gauntlet::model::weights::read_bytes;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use super::{RAMP, designed, fixture, words};

promises! {
    hostile_pickles_are_refused_and_nothing_is_run,
    pickles_that_want_much_memory_or_time_get_neither,
    tensors_that_reach_beyond_their_numbers_are_refused,
    damaged_archives_and_foreign_files_are_named_for_what_they_are,
    no_cut_and_no_flipped_byte_makes_the_reader_panic,
    what_is_not_read_is_named_where_it_is_missed,
}

/// Opcodes and operands, one after the other.
pub fn code(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

pub fn text(text: &str) -> Vec<u8> {
    code(&[b"X", &(text.len() as u32).to_le_bytes(), text.as_bytes()])
}

pub fn number(number: i64) -> Vec<u8> {
    code(&[b"\x8a\x08", &number.to_le_bytes()])
}

pub fn tuple(parts: &[Vec<u8>]) -> Vec<u8> {
    code(&[b"(", &parts.concat(), b"t"])
}

/// The tensor of a storage of `count` floats under `key`.
pub fn tensor(class: &str, key: &str, count: i64, offset: i64, shape: &[i64], strides: &[i64]) -> Vec<u8> {
    let class = format!("ctorch\n{class}\n").into_bytes();
    let storage = code(&[&tuple(&[text("storage"), class, text(key), text("cpu"), number(count)]), b"Q"]);
    let sides = |sides: &[i64]| tuple(&sides.iter().map(|&side| number(side)).collect::<Vec<_>>());
    let arguments = tuple(&[storage, number(offset), sides(shape), sides(strides), b"\x89".to_vec(), b"}".to_vec()]);
    code(&[b"ctorch._utils\n_rebuild_tensor_v2\n", &arguments, b"R"])
}

pub fn dict(entries: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let entries: Vec<u8> = entries.iter().flat_map(|(key, value)| [text(key), value.clone()].concat()).collect();
    code(&[b"}(", &entries, b"u"])
}

/// A stream, as PyTorch wrote before 1.6, of this object and these storages of floats.
pub fn stream(object: &[u8], storages: &[(&str, &[f32])]) -> Vec<u8> {
    let header = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.\x80\x02}X\r\x00\x00\x00little_endian\x88s.\x80\x02";
    let keys: Vec<u8> = storages.iter().flat_map(|(key, _)| text(key)).collect();
    let mut bytes = code(&[header, object, b".\x80\x02](", &keys, b"e."]);
    for (_, values) in storages {
        bytes.extend((values.len() as i64).to_le_bytes());
        bytes.extend(values.iter().flat_map(|value| value.to_le_bytes()));
    }
    bytes
}

/// A zip archive of these entries.
pub fn archive(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in entries {
        zip.start_file(*name, SimpleFileOptions::default()).unwrap();
        zip.write_all(content).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

#[track_caller]
fn refused(what: &str, bytes: &[u8], because: &str) {
    let error = read_bytes(bytes, "x.pt").map(|found| found.tensors.len()).expect_err(what);
    assert_eq!(error.exit_code(), 2);
    let said = words(&error);
    assert!(said.contains(because), "{what}: {because:?} is not in {said}");
}

/// A tensor [2, 2] of the storage [`FOUR`].
pub fn sound() -> Vec<u8> {
    tensor("FloatStorage", "0", 4, 0, &[2, 2], &[2, 1])
}

pub const FOUR: (&str, &[f32]) = ("0", &[1.0, 2.0, 3.0, 4.0]);

fn hostile_pickles_are_refused_and_nothing_is_run() {
    let good = read_bytes(&stream(&dict(&[("w", sound())]), &[FOUR]), "x.pt").unwrap();
    assert_eq!((good.tensors[0].shape.as_slice(), good.tensors[0].values.as_slice()), (&[2, 2][..], FOUR.1));

    let folder = tempfile::tempdir().unwrap();
    let trace = folder.path().join("trace");
    let command = tuple(&[text(&format!("touch {}", trace.display()))]);
    let calls: [(&str, Vec<u8>); 6] = [
        ("posix.system", code(&[b"cposix\nsystem\n", &command, b"R"])),
        ("os.system", code(&[&text("os"), &text("system"), b"\x93", &command, b"R"])),
        ("subprocess.Popen", code(&[b"csubprocess\nPopen\n", &command, b"R"])),
        ("builtins.eval", code(&[b"cbuiltins\neval\n", &command, b"R"])),
        ("__builtin__.exec", code(&[b"c__builtin__\nexec\n", &command, b"R"])),
        ("runpy._run_code", code(&[b"crunpy\n_run_code\n", &command, b"\x81"])),
    ];
    for (name, call) in calls {
        // As the whole file, beside the weights, and as a weight.
        for object in [call.clone(), dict(&[("state_dict", dict(&[("w", sound())])), ("extra", call.clone())]), dict(&[("w", call)])] {
            refused(name, &stream(&object, &[FOUR]), name);
            refused(name, &archive(&[("x/data.pkl", &code(&[b"\x80\x02", &object, b"."])), ("x/data/0", &[0; 16])]), name);
        }
    }
    assert!(!trace.exists(), "a pickle was run");
    // Names that are not known stay closed; a file of them alone has no weights.
    refused("a class", &stream(b"c__main__\nNet\n)\x81}b", &[]), "__main__.Net");
}

fn pickles_that_want_much_memory_or_time_get_neither() {
    let deep = 500_000;
    refused("deep lists", &stream(&[b"]".repeat(deep), b"a".repeat(deep - 1)].concat(), &[]), "no state dict");
    refused("deep tuples", &stream(&[b")".to_vec(), b"\x85".repeat(deep)].concat(), &[]), "no state dict");
    refused("a list of itself", &stream(b"]q\x00h\x00a", &[]), "no state dict");
    // Each list holds the one before it ten times.
    let mut laughs = b"]q\x00(\x88e".to_vec();
    for level in 1..60u8 {
        laughs.extend([b"]q", &[level][..], b"(", &[b'h', level - 1].repeat(10), b"e"].concat());
    }
    refused("a billion laughs", &stream(&laughs, &[]), "no state dict");
    // Modules that name each other twice, and one that names itself.
    let module = |children: &[u8]| {
        let modules = code(&[b"}(", children, b"u"]);
        let tables = dict(&[("_parameters", b"}".to_vec()), ("_buffers", b"}".to_vec()), ("_modules", modules)]);
        code(&[b"c__main__\nNet\n)\x81", &tables, b"b"])
    };
    let mut twice = code(&[&module(b""), b"q\x000"]);
    for level in 1..60u8 {
        let child = [b'h', level - 1];
        twice.extend(code(&[&module(&code(&[&text("a"), &child, &text("b"), &child])), b"q", &[level], b"0"]));
    }
    refused("doubling modules", &stream(&code(&[&twice, b"h\x3b"]), &[]), "modules");
    let own = code(&[
        b"c__main__\nNet\n)\x81q\x00",
        &dict(&[("_parameters", b"}".to_vec()), ("_buffers", b"}".to_vec()), ("_modules", dict(&[("a", b"h\x00".to_vec())]))]),
        b"b",
    ]);
    refused("a module within itself", &stream(&own, &[]), "deep");
    refused("many values", &stream(&b"N".repeat(5_000_000), &[]), "values");
    let huge = code(&[b"\x8d", &u64::MAX.to_le_bytes(), b"x"]);
    refused("a long text", &stream(&huge, &[]), "too early");
    refused("a long whole number", &stream(&code(&[b"\x8b", &i32::MAX.to_le_bytes()]), &[]), "too early");
    let named = tensor("FloatStorage", "0", 4, 0, &[1; 17], &[1; 17]);
    refused("many axes", &stream(&dict(&[("w", named)]), &[FOUR]), "17 axes");
    let name = "n".repeat(5000);
    refused("a long name", &stream(&dict(&[(&name, sound())]), &[FOUR]), "name");
    // One number repeated, and one storage under many names.
    let repeated = tensor("FloatStorage", "0", 4, 0, &[1 << 20, 1 << 12], &[0, 0]);
    refused("a repeated number", &stream(&dict(&[("w", repeated)]), &[FOUR]), "many times");
    let many: Vec<f32> = vec![0.0; 100_000];
    let entries: Vec<(String, Vec<u8>)> =
        (0..1000).map(|at| (at.to_string(), tensor("FloatStorage", "0", 100_000, 0, &[100_000], &[1]))).collect();
    let entries: Vec<(&str, Vec<u8>)> = entries.iter().map(|(name, tensor)| (name.as_str(), tensor.clone())).collect();
    refused("a shared storage", &stream(&dict(&entries), &[("0", &many)]), "many times");
    let object = code(&[b"\x80\x02", &dict(&[("w", tensor("FloatStorage", "0", 5_000_000, 0, &[4], &[1]))]), b"."]);
    refused("a zip bomb", &archive(&[("x/data.pkl", &object), ("x/data/0", &vec![0; 20_000_000])]), "too many");
}

fn tensors_that_reach_beyond_their_numbers_are_refused() {
    let cases: [(&str, Vec<u8>, &str); 9] = [
        ("a row too many", tensor("FloatStorage", "0", 4, 0, &[3, 2], &[2, 1]), "beyond the 4 numbers"),
        ("an offset", tensor("FloatStorage", "0", 4, 1, &[2, 2], &[2, 1]), "beyond"),
        ("a stride", tensor("FloatStorage", "0", 4, 0, &[2, 2], &[3, 1]), "beyond"),
        ("a side below 0", tensor("FloatStorage", "0", 4, 0, &[-1], &[1]), "size of -1"),
        ("sides that overflow", tensor("FloatStorage", "0", 4, 0, &[1 << 40, 1 << 40], &[1, 1]), "beyond"),
        ("strides that overflow", tensor("FloatStorage", "0", 4, i64::MAX, &[2, 2], &[i64::MAX, i64::MAX]), "beyond"),
        ("fewer strides", tensor("FloatStorage", "0", 4, 0, &[2, 2], &[1]), "disagrees"),
        ("more than the file has", tensor("FloatStorage", "0", 400, 0, &[20, 20], &[20, 1]), "truncated"),
        ("complex numbers", tensor("ComplexFloatStorage", "0", 4, 0, &[2], &[1]), "ComplexFloatStorage"),
    ];
    for (what, tensor, because) in cases {
        refused(what, &stream(&dict(&[("w", tensor)]), &[FOUR]), because);
    }
    // An axis of length 1 may have any stride.
    let odd = tensor("FloatStorage", "0", 4, 1, &[1, 3], &[i64::MAX, 1]);
    assert_eq!(read_bytes(&stream(&dict(&[("w", odd)]), &[FOUR]), "x").unwrap().tensors[0].values, [2.0, 3.0, 4.0]);
    let empty = tensor("FloatStorage", "0", 4, 4, &[0, 1 << 40, 1 << 40], &[1, 1, 1]);
    assert!(read_bytes(&stream(&dict(&[("w", empty)]), &[FOUR]), "x").unwrap().tensors[0].values.is_empty());
}

fn damaged_archives_and_foreign_files_are_named_for_what_they_are() {
    let object = code(&[b"\x80\x02", &dict(&[("w", sound())]), b"."]);
    let numbers: Vec<u8> = FOUR.1.iter().flat_map(|value| value.to_le_bytes()).collect();
    let good = archive(&[("x/data.pkl", &object), ("x/byteorder", b"little"), ("x/data/0", &numbers)]);
    assert_eq!(read_bytes(&good, "x").unwrap().tensors[0].values, FOUR.1);
    let mut damaged = good.clone();
    let at = damaged.windows(4).position(|bytes| bytes == 3.0f32.to_le_bytes()).unwrap_or(good.len() / 2);
    damaged[at] ^= 0x40;
    let cases: Vec<(&str, Vec<u8>, &str)> = vec![
        ("nothing", Vec::new(), "empty"),
        ("half an archive", good[..good.len() / 2].to_vec(), "truncated"),
        ("no pickle", archive(&[("x/data/0", &numbers)]), "without a data.pkl"),
        ("no storage", archive(&[("x/data.pkl", &object)]), "data/0"),
        ("a short storage", archive(&[("x/data.pkl", &object), ("x/data/0", &numbers[..12])]), "truncated"),
        ("big-endian", archive(&[("x/data.pkl", &object), ("x/byteorder", b"big"), ("x/data/0", &numbers)]), "big-endian"),
        ("TorchScript", archive(&[("x/data.pkl", &object), ("x/constants.pkl", b""), ("x/data/0", &numbers)]), "TorchScript"),
        ("a plain pickle", b"\x80\x04]\x94.".to_vec(), "did not write"),
        ("an old protocol", stream(b"\x80\x01N", &[]), "protocol 1"),
        ("an unknown opcode", stream(b"\xff", &[]), "0xff"),
        ("an empty stack", stream(b"0", &[]), "runs empty"),
        ("a mark below", stream(b"N(0", &[]), "runs empty"),
        ("no mark", stream(b"e", &[]), "not opened"),
        ("an entry that was not kept", stream(b"h\x07", &[]), "entry 7"),
        ("a key without a value", stream(b"}(Nu", &[]), "without a value"),
        ("items of a number", stream(b"K\x01NNs", &[]), "no dictionary"),
        ("no tensors", stream(&dict(&[("epoch", number(3))]), &[]), "\"epoch\""),
        ("a storage that nobody names", stream(&dict(&[("w", sound())]), &[FOUR, ("1", &[0.0])]), "no tensor names"),
        ("Keras", b"\x89HDF\r\n\x1a\n and so on".to_vec(), "onnx"),
        ("ONNX", b"\x08\x07\x12\x07pytorch".to_vec(), "onnx"),
        ("text", b"these are no weights".to_vec(), "neither"),
        ("a header of safetensors beyond the file", [&u64::MAX.to_le_bytes()[..], b"{}"].concat(), "neither"),
        ("a broken header", [&8u64.to_le_bytes()[..], b"{\"a\":1} "].concat(), "safetensors"),
    ];
    for (what, bytes, because) in cases {
        refused(what, &bytes, because);
    }
    assert!(read_bytes(&damaged, "x").is_err() || at == good.len() / 2, "a changed number was not noticed");
}

fn no_cut_and_no_flipped_byte_makes_the_reader_panic() {
    for file in ["archive.pt", "stream.pt", "module.pt", "protocol5-stream.pt"] {
        let whole = std::fs::read(fixture(file)).unwrap();
        assert!(read_bytes(&whole, file).is_ok());
        // At some hundreds of places, which hit every part of each file.
        let step = whole.len() / 700 + 1;
        for end in (0..whole.len()).step_by(step) {
            assert!(read_bytes(&whole[..end], file).is_err(), "{file} cut at {end}");
        }
        let mut changed = whole.clone();
        for at in (0..whole.len()).step_by(step) {
            for flip in [0x01, 0x80, 0xff] {
                changed[at] ^= flip;
                let _ = read_bytes(&changed, file);
                changed[at] = whole[at];
            }
        }
    }
}

fn what_is_not_read_is_named_where_it_is_missed() {
    let quantised = code(&[b"ctorch._utils\n_rebuild_qtensor\n", &tuple(&[number(1)]), b"R"]);
    let bytes = stream(&dict(&[("0.bias", tensor("FloatStorage", "0", 4, 0, &[2], &[1])), ("0.weight", quantised)]), &[FOUR]);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("quantised.pt");
    std::fs::write(&path, bytes).unwrap();
    let error = designed(&format!("{RAMP}, weights = '{}'", path.display()), [1, 4, 4], 3).expect_err("tensors are missing");
    let said = words(&error);
    assert!(said.contains("_rebuild_qtensor") && said.contains("\"0.weight\" [2, 1, 3, 3] is missing"), "{said}");
}
