//! Malformed model files of every format: each is refused in words that name the file and what is wrong with it, and none takes much memory.

use std::collections::HashSet;
use std::panic::catch_unwind;

use gauntlet::error::Kind;
use gauntlet::model::weights;
use gauntlet::onnx::{self, Declared};

use crate::fuzz::memory::peak_of;
use crate::onnx::file::{field, model, node, number as number_field, value, whole, with};
use crate::onnx::refused;
use crate::weights::hostile::{FOUR, archive, code, dict, number, sound, stream, tensor, text, tuple};

promises! {
    fifty_malformed_model_files_are_refused_with_their_fault_and_their_name,
}

/// A file's name, what is wrong with it, its bytes, and a part of what is said.
type Case = (&'static str, &'static str, Vec<u8>, &'static str);

fn fifty_malformed_model_files_are_refused_with_their_fault_and_their_name() {
    let onnx = refused::malformed().into_iter().map(|(fault, bytes)| ("m.onnx", fault, bytes, ""));
    let cases: Vec<Case> = onnx.chain(greedy()).chain(streams()).chain(archives()).chain(safetensors()).collect();
    let folder = tempfile::tempdir().unwrap();
    let mut wrong = Vec::new();
    for (name, fault, bytes, part) in &cases {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        let (result, peak) = peak_of(|| {
            catch_unwind(|| match *name {
                "m.onnx" => onnx::read(&path, &Declared::default()).map(drop),
                _ => weights::read(&path).map(drop),
            })
        });
        let most = (64 << 20) + 40 * bytes.len();
        wrong.extend(match result {
            Err(_) => Some(format!("{name}, {fault}: a panic")),
            Ok(Ok(())) => Some(format!("{name}, {fault}: it was read")),
            Ok(Err(error)) if error.kind() != Kind::Input || !error.message().contains(name) || !format!("{error:?}").contains(part) => {
                Some(format!("{name}, {fault}: {part:?} or the name is not in {error:?}"))
            }
            Ok(Err(_)) if peak > most => Some(format!("{name}, {fault}: {peak} bytes of memory for {}", bytes.len())),
            Ok(Err(_)) => None,
        });
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let distinct: HashSet<(&str, &[u8])> = cases.iter().map(|(name, _, bytes, _)| (*name, bytes.as_slice())).collect();
    assert_eq!(distinct.len(), cases.len(), "a file is there twice");
    assert!(cases.len() >= 50, "{} malformed files", cases.len());
}

/// ONNX files of a few bytes that ask for much memory.
fn greedy() -> Vec<Case> {
    let constant = [node("ConstantOfShape", &["s"], &["c"], &[]), node("Add", &["x", "c"], &["y"], &[])];
    // Each function calls the next one four times.
    let call = |at: usize, from: &str, to: &str| [node(&format!("f{at}"), &[from], &[to], &[]), field(7, "own")].concat();
    let function = |at: usize| {
        let names = ["a", "p", "q", "r", "b"];
        let body: Vec<u8> = names.windows(2).flat_map(|ends| field(7, call(at + 1, ends[0], ends[1]))).collect();
        [field(1, format!("f{at}")), field(4, "a"), field(5, "b"), body, field(9, number_field(2, 17)), field(10, "own")].concat()
    };
    let functions: Vec<Vec<u8>> = (0..15).map(function).collect();
    let growing = with(&[call(0, "x", "y")], &[], &[value("x", 1, &[0, 1, 2, 2])], &[value("y", 1, &[0, 3])], 17, &functions);
    vec![
        ("m.onnx", "a constant of a gigabyte", model(&constant, &[whole("s", &[1 << 28])]), "too large"),
        ("m.onnx", "functions that become a billion nodes", growing, "without bound"),
    ]
}

fn one(tensor: Vec<u8>) -> Vec<u8> {
    stream(&dict(&[("w", tensor)]), &[FOUR])
}

/// What `torch.save` wrote before 1.6.
fn streams() -> Vec<Case> {
    let good = one(sound());
    let call = |global: &[u8]| code(&[global, &tuple(&[text("true")]), b"R"]);
    let changed = |from: &[u8], to: &[u8]| {
        let at = good.windows(from.len()).position(|part| part == from).expect("a part of the header");
        [&good[..at], to, &good[at + from.len()..]].concat()
    };
    let own = code(&[
        b"c__main__\nNet\n)\x81q\x00",
        &dict(&[("_parameters", b"}".to_vec()), ("_buffers", b"}".to_vec()), ("_modules", dict(&[("a", b"h\x00".to_vec())]))]),
        b"b",
    ]);
    let cases: Vec<(&str, Vec<u8>, &str)> = vec![
        ("empty", Vec::new(), "empty"),
        ("cut in the header", good[..20].to_vec(), "too early"),
        ("cut in the names", good[..good.len() / 2].to_vec(), "too early"),
        ("cut in the numbers", good[..good.len() - 1].to_vec(), "ends within its storage"),
        ("another magic number", changed(b"\x8a\nl\xfc", b"\x8a\nl\xfd"), "did not write"),
        ("another version", changed(b"M\xe9\x03", b"M\xe8\x03"), "version"),
        ("big-endian", changed(b"\x88s", b"\x89s"), "big-endian"),
        ("storages that are no list", changed(b"](", b"}("), ""),
        (
            "a storage of no end",
            stream(&dict(&[("w", tensor("FloatStorage", "0", i64::MAX, 0, &[i64::MAX], &[1]))]), &[FOUR]),
            "many times",
        ),
        ("huge sides", one(tensor("FloatStorage", "0", 4, 0, &[1 << 40, 1 << 40], &[1, 1])), "beyond"),
        ("a number repeated without end", one(tensor("FloatStorage", "0", 4, 0, &[1 << 33], &[0])), "many times"),
        ("a negative side", one(tensor("FloatStorage", "0", 4, 0, &[-2, -2], &[2, 1])), "size of -2"),
        ("a negative stride", one(tensor("FloatStorage", "0", 4, 3, &[2, 2], &[-2, -1])), "size of -2"),
        ("more sides than strides", one(tensor("FloatStorage", "0", 4, 0, &[2, 2], &[2])), "disagrees"),
        ("a storage of text", one(tensor("StringStorage", "0", 4, 0, &[2, 2], &[2, 1])), "StringStorage"),
        (
            "a tensor of a number",
            one(code(&[b"ctorch._utils\n_rebuild_tensor_v2\n", &tuple(&[number(1), number(0), tuple(&[]), tuple(&[])]), b"R"])),
            "no storage",
        ),
        ("a storage without its key", one(code(&[&tuple(&[text("storage")]), b"Q"])), "not described"),
        ("no tensors", stream(&dict(&[("epoch", number(3)), ("best", text("0.9"))]), &[]), "epoch"),
        ("a list that holds itself", stream(b"]q\x00h\x00a", &[]), "no state dict"),
        ("a dictionary that holds itself", stream(&code(&[b"}q\x00", &text("state_dict"), b"h\x00s"]), &[]), ""),
        ("a module that holds itself", stream(&own, &[]), "deep"),
        ("tuples without end", stream(&[b")".to_vec(), b"\x85".repeat(200_000)].concat(), &[]), "no state dict"),
        ("a text longer than the file", stream(&code(&[b"\x8d", &u64::MAX.to_le_bytes(), b"x"]), &[]), "too early"),
        ("a frame longer than the file", stream(&code(&[b"\x95", &u64::MAX.to_le_bytes(), b"N"]), &[]), ""),
        ("an opcode that is none", stream(b"\xfe", &[]), "0xfe"),
        ("a list that was not opened", stream(b"Ne", &[]), "not opened"),
        ("a key without a value", stream(b"}(Nu", &[]), "without a value"),
        ("a name that is no text", stream(b"NN\x93", &[]), "no text"),
        ("posix.system", one(call(b"cposix\nsystem\n")), "posix.system"),
        ("builtins.exec", one(call(b"cbuiltins\nexec\n")), "builtins.exec"),
        (
            "subprocess.run by a name put together",
            one(code(&[&text("subprocess"), &text("run"), b"\x93", &tuple(&[text("true")]), b"R"])),
            "subprocess.run",
        ),
        ("importlib under NEWOBJ", one(code(&[b"cimportlib\nimport_module\n", &tuple(&[text("os")]), b"\x81"])), "importlib.import_module"),
    ];
    cases.into_iter().map(|(fault, bytes, part)| ("m.pth", fault, bytes, part)).collect()
}

/// What `torch.save` writes now.
fn archives() -> Vec<Case> {
    let object = code(&[b"\x80\x02", &dict(&[("w", sound())]), b"."]);
    let hostile = code(&[b"\x80\x02cos\nsystem\n", &tuple(&[text("true")]), b"R."]);
    let numbers: Vec<u8> = FOUR.1.iter().flat_map(|value| value.to_le_bytes()).collect();
    let good = archive(&[("x/data.pkl", &object), ("x/data/0", &numbers)]);
    let zeros = vec![0; 8 << 20];
    let large = code(&[b"\x80\x02", &dict(&[("w", tensor("FloatStorage", "0", 2 << 20, 0, &[2 << 20], &[1]))]), b"."]);
    let cases: Vec<(&str, Vec<u8>, &str)> = vec![
        ("cut in half", good[..good.len() / 2].to_vec(), "truncated"),
        ("no directory", good[..good.len() - 22].to_vec(), "truncated"),
        ("no pickle", archive(&[("x/data/0", &numbers)]), "without a data.pkl"),
        ("an empty pickle", archive(&[("x/data.pkl", b""), ("x/data/0", &numbers)]), "too early"),
        ("no numbers", archive(&[("x/data.pkl", &object)]), "data/0"),
        ("too few numbers", archive(&[("x/data.pkl", &object), ("x/data/0", &numbers[..8])]), "truncated"),
        ("big-endian", archive(&[("x/data.pkl", &object), ("x/byteorder", b"big"), ("x/data/0", &numbers)]), "big-endian"),
        ("TorchScript", archive(&[("x/data.pkl", &object), ("x/constants.pkl", b"N."), ("x/data/0", &numbers)]), "TorchScript"),
        ("a bomb", archive(&[("x/data.pkl", &large), ("x/data/0", &zeros)]), "many times"),
        ("a bomb for a pickle", archive(&[("x/data.pkl", &zeros)]), "too many"),
        ("os.system", archive(&[("x/data.pkl", &hostile)]), "os.system"),
    ];
    cases.into_iter().map(|(fault, bytes, part)| ("m.pt", fault, bytes, part)).collect()
}

fn safetensors() -> Vec<Case> {
    let file = |header: &str| [&(header.len() as u64).to_le_bytes(), header.as_bytes(), &[0; 16]].concat();
    let entry = |shape: &str, offsets: &str| file(&format!(r#"{{"w":{{"dtype":"F32","shape":{shape},"data_offsets":{offsets}}}}}"#));
    let good = entry("[2,2]", "[0,16]");
    assert!(weights::read_bytes(&good, "good").is_ok());
    let cases: Vec<(&str, Vec<u8>, &str)> = vec![
        ("cut in the numbers", good[..good.len() - 1].to_vec(), "safetensors"),
        ("cut in the header", good[..20].to_vec(), "neither"),
        ("a header without end", [&u64::MAX.to_le_bytes()[..], &good[8..]].concat(), "neither"),
        ("a header that is no JSON", file("{\"w\":oops}"), "safetensors"),
        ("an unknown type", file(r#"{"w":{"dtype":"F7","shape":[4],"data_offsets":[0,16]}}"#), "F7"),
        ("sides in words", entry("\"four\"", "[0,16]"), "safetensors"),
        ("a negative side", entry("[-4]", "[0,16]"), "safetensors"),
        ("huge sides", entry("[4294967296,4294967296,4294967296]", "[0,16]"), "safetensors"),
        ("more sides than numbers", entry("[2,3]", "[0,16]"), "safetensors"),
        ("offsets the wrong way round", entry("[4]", "[16,0]"), "safetensors"),
        ("offsets beyond the file", entry("[4]", "[16,32]"), "safetensors"),
        ("numbers that nobody names", entry("[2]", "[0,8]"), "safetensors"),
        ("nested without end", file(&"{\"w\":".repeat(100_000)), "safetensors"),
        (
            "another hash",
            file(r#"{"__metadata__":{"weights_blake3":"00"},"w":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}}"#),
            "damaged",
        ),
        ("HDF5", b"\x89HDF\r\n\x1a\n\0\0".to_vec(), "Keras"),
        ("ONNX", b"\x08\x08\x12\x07pytorch".to_vec(), "onnx"),
        ("text", b"weights = 3\n".to_vec(), "neither"),
    ];
    cases.into_iter().map(|(fault, bytes, part)| ("m.safetensors", fault, bytes, part)).collect()
}
