//! ONNX files give the numbers that onnxruntime gives, or say why not.

#[path = "onnx/file.rs"]
pub mod file;
#[path = "onnx/refused.rs"]
pub mod refused;

use std::path::{Path, PathBuf};

use burn::tensor::{Device, Tensor, TensorData};
use gauntlet::model::Classifier;
use gauntlet::onnx::{Declared, Imported, OPERATORS, Range, read, read_bytes};
use serde_json::Value;

use super::reference::{npz_array, reference};

promises! {
    [refused]
    models_of_every_exporter_give_the_logits_of_onnxruntime,
    every_operator_gives_the_numbers_of_onnxruntime,
    every_operator_of_the_table_is_tested,
    reference_models_give_the_logits_of_pytorch,
    upsample_repeats_pixels,
    weights_keep_their_names_and_only_weights_are_trained,
    what_was_recognised_is_told,
}

pub(super) fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/onnx").join(name)
}

fn json(name: &str) -> Value {
    serde_json::from_slice(&std::fs::read(fixture(name)).unwrap()).unwrap()
}

fn numbers(list: &Value) -> Vec<f32> {
    list.as_array().unwrap().iter().map(|x| x.as_f64().unwrap() as f32).collect()
}

fn shape(list: &Value) -> [usize; 3] {
    let sides: Vec<usize> = list.as_array().unwrap().iter().map(|side| side.as_u64().unwrap() as usize).collect();
    sides.try_into().unwrap()
}

fn from_base64(text: &str) -> Vec<u8> {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let letters: Vec<u32> = text.bytes().filter_map(|byte| LETTERS.iter().position(|letter| *letter == byte)).map(|at| at as u32).collect();
    let quartet = |four: &[u32]| {
        let bits = four.iter().fold(0, |bits, letter| bits << 6 | letter) << (6 * (4 - four.len()));
        bits.to_be_bytes()[1..four.len()].to_vec()
    };
    letters.chunks(4).flat_map(quartet).collect()
}

fn floats(text: &str) -> Vec<f32> {
    from_base64(text).as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
}

/// Logits of images [rows, shape], row after row.
fn logits(model: Imported, images: &[f32]) -> Vec<f32> {
    let device = Device::flex();
    let [channels, height, width] = model.graph.input;
    let rows = images.len() / (channels * height * width);
    let classifier = Classifier::from_graph(model.graph, &model.weights, &device).unwrap();
    let images = Tensor::<4>::from_data(TensorData::new(images.to_vec(), [rows, channels, height, width]), &device);
    classifier.network.forward(images).into_data().try_to_vec().unwrap()
}

/// Rows of probabilities.
fn softmax(logits: &[f32], classes: usize) -> Vec<f32> {
    let row = |row: &[f32]| {
        let largest = row.iter().copied().fold(f32::MIN, f32::max);
        let powers: Vec<f32> = row.iter().map(|x| (x - largest).exp()).collect();
        let sum: f32 = powers.iter().sum();
        powers.into_iter().map(|power| power / sum).collect::<Vec<_>>()
    };
    logits.chunks(classes).flat_map(row).collect()
}

fn farthest(found: &[f32], wanted: &[f32]) -> f32 {
    assert_eq!(found.len(), wanted.len());
    found
        .iter()
        .zip(wanted)
        .map(|(a, b)| (a - b).abs() / b.abs().max(1.0))
        .fold(0.0, |far, gap| if gap.is_nan() { f32::INFINITY } else { far.max(gap) })
}

fn declared(model: &Value) -> Declared {
    let range = model["declared"].get("range").map(|_| Range::Bytes);
    Declared { shape: Some(shape(&model["shape"])), range, ..Declared::default() }
}

fn models_of_every_exporter_give_the_logits_of_onnxruntime() {
    let models = json("models.json");
    let models = models.as_object().unwrap();
    let mut faults = Vec::new();
    for (name, model) in models {
        let imported = match read(&fixture(&format!("{name}.onnx")), &declared(model)) {
            Ok(imported) => imported,
            Err(error) => {
                faults.push(format!("{name}: {error:?}"));
                continue;
            }
        };
        let wanted = numbers(&model["logits"]);
        let classes = imported.graph.classes;
        let cut = imported.notes.iter().any(|note| note.contains("log-softmax"));
        let mut found = logits(imported, &numbers(&model["images"]));
        if model["probabilities"].as_bool().unwrap() {
            found = softmax(&found, classes);
        } else if cut {
            found = softmax(&found, classes).into_iter().map(f32::ln).collect();
        }
        // Half-precision weights act in single precision here and in half precision there.
        let tolerance = if name == "half-precision" { 5e-3 } else { 1e-4 };
        let gap = farthest(&found, &wanted);
        if gap > tolerance {
            faults.push(format!("{name}: {gap} apart: {found:?} for {wanted:?}"));
        }
    }
    assert!(models.len() >= 25, "{}", models.len());
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

fn every_operator_gives_the_numbers_of_onnxruntime() {
    let file = json("operators.json");
    let images = floats(file["images"].as_str().unwrap());
    let cases = file["cases"].as_array().unwrap();
    let mut faults = Vec::new();
    for case in cases {
        let name = format!("opset {}: {}", case["opset"], case["nodes"].as_str().unwrap());
        let declared = Declared { shape: Some(shape(&file["sides"])), ..Declared::default() };
        match read_bytes(&from_base64(case["model"].as_str().unwrap()), None, &declared) {
            Err(error) => faults.push(format!("{name}: {error:?}")),
            Ok(model) => {
                // Before opset 13 a softmax may be over all features, which makes it one at the end.
                let (cut, classes) = (model.notes.iter().any(|note| note.contains("cut off")), model.graph.classes);
                let found = logits(model, &images);
                let found = if cut { softmax(&found, classes) } else { found };
                let gap = farthest(&found, &floats(case["out"].as_str().unwrap()));
                if gap > 1e-4 {
                    faults.push(format!("{name}: {gap} apart"));
                }
            }
        }
    }
    assert!(cases.len() > 190);
    assert!(faults.is_empty(), "{} of {} operators:\n{}", faults.len(), cases.len(), faults.join("\n"));
}

fn every_operator_of_the_table_is_tested() {
    let cases = json("operators.json");
    let mut used: Vec<String> = Vec::new();
    for case in cases["cases"].as_array().unwrap() {
        for node in case["nodes"].as_str().unwrap().split("; ") {
            used.extend(node.split(" = ").nth(1).map(|call| call.split([' ', '<', '(']).next().unwrap().to_owned()));
        }
    }
    for name in json("models.json").as_object().unwrap().keys() {
        let model = read(&fixture(&format!("{name}.onnx")), &declared(&json("models.json")[name])).unwrap();
        used.extend(model.about.operators.into_keys());
    }
    // Upsample left ONNX at opset 10, so that onnxruntime does not run it: it has a test of its own.
    used.push("Upsample".into());
    let untested: Vec<&str> =
        OPERATORS.iter().map(|operator| operator.name).filter(|name| !used.iter().any(|other| other == name)).collect();
    assert!(untested.is_empty(), "{untested:?}");
    let mut names: Vec<(&str, &str)> = OPERATORS.iter().map(|operator| (operator.domain, operator.name)).collect();
    names.sort_unstable();
    assert_eq!(names.len(), OPERATORS.len());
    assert!(names.windows(2).all(|pair| pair[0] != pair[1]));
}

fn reference_models_give_the_logits_of_pytorch() {
    let Some(folder) = reference() else { return };
    let mut count = 0;
    for entry in std::fs::read_dir(folder.join("models")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "onnx") {
            continue;
        }
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let model = read(&path, &Declared::default()).unwrap();
        assert_eq!(model.notes, [""; 0], "{name}");
        let archive = folder.join(format!("logits/{name}.npz"));
        let (_, images) = npz_array::<u8>(&archive, "images");
        let (_, wanted) = npz_array::<f32>(&archive, "logits");
        let images: Vec<f32> = images.into_iter().map(|byte| f32::from(byte) / 255.0).collect();
        let found = logits(model, &images);
        let gap = found.iter().zip(&wanted).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(found.len() == wanted.len() && gap < 1e-4, "{name}: {gap}");
        count += 1;
    }
    assert_eq!(count, 7);
}

fn upsample_repeats_pixels() {
    let scales: Vec<u8> = [1.0_f32, 1.0, 2.0, 2.0].iter().flat_map(|scale| scale.to_le_bytes()).collect();
    let nodes = [file::node("Upsample", &["x", "s"], &["u"], &[]), file::node("Flatten", &["u"], &["y"], &[])];
    let model = read_bytes(&file::model(&nodes, &[file::tensor("s", 1, &[4], &scales)]), None, &Declared::default()).unwrap();
    let wanted = [0.1, 0.1, 0.2, 0.2, 0.1, 0.1, 0.2, 0.2, 0.3, 0.3, 0.4, 0.4, 0.3, 0.3, 0.4, 0.4];
    assert_eq!(logits(model, &[0.1, 0.2, 0.3, 0.4]), wanted);
}

fn weights_keep_their_names_and_only_weights_are_trained() {
    let model = read(&fixture("script-option-a-17.onnx"), &Declared::default()).unwrap();
    let parameters = &model.graph.parameters;
    let trained: Vec<(&str, &[usize])> = parameters.iter().filter(|p| p.trained).map(|p| (p.name.as_str(), &p.shape[..])).collect();
    let wanted: [(&str, &[usize]); 4] =
        [("conv.weight", &[6, 3, 3, 3]), ("conv.bias", &[6]), ("head.weight", &[4, 96]), ("head.bias", &[4])];
    assert_eq!(trained, wanted);
    let model = read(&fixture("script-residual-17.onnx"), &Declared::default()).unwrap();
    let mean = model.graph.parameters.iter().find(|parameter| parameter.name == "mean").unwrap();
    assert!(!mean.trained && mean.shape == [1, 3, 1, 1]);
    assert!(model.graph.parameters.iter().all(|parameter| model.weights.0[&parameter.name].0 == parameter.shape));
    assert_eq!(model.graph.parameters.len(), model.weights.0.len());
}

fn what_was_recognised_is_told() {
    for (name, words) in [
        ("script-softmax-12", "softmax at the end is cut off"),
        ("script-fixed-batch-13", "fixes the batch to 1"),
        ("keras-convolutional", "[N, height, width, channels]"),
        ("sklearn-mlp", "flattened"),
        ("sklearn-mlp-binary", "sigmoid of two classes"),
        ("half-precision", "half precision"),
        ("keras-rescaling", "multiplied by 255"),
    ] {
        let model = &json("models.json")[name];
        let imported = read(&fixture(&format!("{name}.onnx")), &declared(model)).unwrap();
        assert!(imported.notes.iter().any(|note| note.contains(words)), "{name}: {:?}", imported.notes);
    }
}
