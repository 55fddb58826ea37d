//! Every architecture of the zoo has the tensors of the original definition, in its order, and gives its logits.

use burn::tensor::Device;
use gauntlet::graph::Graph;
use gauntlet::model::{Blueprint, Classifier, Weights, build};
use serde::Deserialize;

use super::{close, designed, fixture, logits, model};

promises! {
    names_and_shapes_are_those_of_the_original_definitions,
    logits_are_those_of_the_original_definitions,
    names_of_other_repositories_are_understood,
}

/// What PyTorch says of a network, made with torchvision and the original repositories' definitions.
#[derive(Deserialize)]
struct Row {
    architecture: String,
    options: String,
    shape: [usize; 3],
    classes: usize,
    tensors: usize,
    first: String,
    last: String,
    hash: String,
    /// Of the first ten classes and two images, for weights drawn as [`drawn`] does.
    logits: Option<Vec<f32>>,
}

fn rows() -> Vec<Row> {
    serde_json::from_slice(&std::fs::read(fixture("zoo.json")).unwrap()).unwrap()
}

fn graph(row: &Row) -> Graph {
    let text = format!("architecture = '{}'{}{}", row.architecture, if row.options.is_empty() { "" } else { ", " }, row.options);
    let options = model(&text).unwrap_or_else(|error| panic!("{text}: {error:?}")).options;
    build(&row.architecture, &Blueprint { options: &options, shape: row.shape, classes: row.classes })
        .unwrap_or_else(|error| panic!("{text}: {error:?}"))
}

fn names_and_shapes_are_those_of_the_original_definitions() {
    for row in &rows() {
        let lines: Vec<String> = graph(row)
            .parameters
            .iter()
            .map(|parameter| {
                let sides: Vec<String> = parameter.shape.iter().map(usize::to_string).collect();
                format!("{} {}", parameter.name, sides.join("x"))
            })
            .collect();
        let what = format!("{} {}", row.architecture, row.options);
        assert_eq!((lines.len(), &lines[0], lines.last()), (row.tensors, &row.first, Some(&row.last)), "{what}");
        assert_eq!(format!("{:016x}", fnv64(&lines.join("\n"))), row.hash, "{what}: {lines:#?}");
    }
}

fn logits_are_those_of_the_original_definitions() {
    let mut checked = 0;
    for row in rows() {
        let Some(expected) = &row.logits else { continue };
        let what = format!("{} {}", row.architecture, row.options);
        let graph = graph(&row);
        let weights = drawn(&graph);
        let classifier = Classifier::from_graph(graph, &weights, &Device::flex()).unwrap();
        let images: Vec<f32> = unit("images", 2 * classifier.features()).collect();
        let scale = expected.iter().fold(1.0f32, |largest, logit| largest.max(logit.abs()));
        close(&logits(&classifier, &images), expected, 1e-4 * scale, &what);
        let frozen = classifier.frozen(&Device::flex()).unwrap();
        close(&logits(&frozen, &images), expected, 1e-4 * scale, &what);
        checked += 1;
    }
    assert!(checked >= 9, "{checked}");
}

fn names_of_other_repositories_are_understood() {
    let graph = designed("architecture = 'resnet18', width = 2", [3, 32, 32], 10).unwrap().graph;
    let weights = drawn(&graph);
    let there: Vec<_> =
        weights.0.iter().map(|(name, tensor)| (name.replace("downsample", "shortcut").replace("fc.", "linear."), tensor)).collect();
    assert!(there.iter().any(|(name, _)| name == "linear.bias") && there.iter().any(|(name, _)| name == "layer2.0.shortcut.1.running_var"));
    let there = Weights(there.into_iter().map(|(name, tensor)| (format!("module.{name}"), tensor.clone())).collect());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.safetensors");
    std::fs::write(&path, gauntlet::model::write(&there, Default::default()).unwrap()).unwrap();
    let design = designed(&format!("architecture = 'resnet18', width = 2, weights = '{}'", path.display()), [3, 32, 32], 10).unwrap();
    assert_eq!(design.weights, weights);
    assert!(
        design.notes.iter().any(|note| note.contains("module.")) && design.notes.iter().any(|note| note.contains("downsample")),
        "{:?}",
        design.notes
    );
}

/// Weights from their names alone: FNV-1a of the name, mixed with the position, as a fraction of its range.
fn drawn(graph: &Graph) -> Weights {
    let tensors = graph.parameters.iter().map(|parameter| {
        let count = parameter.shape.iter().product();
        let name = &parameter.name;
        let fan_in: usize = parameter.shape.iter().skip(1).product();
        let values = unit64(name, count).map(|unit| {
            let value = if parameter.shape.len() > 1 {
                (2.0 * unit - 1.0) * (6.0 / fan_in as f64).sqrt()
            } else if name.ends_with("running_var") {
                0.5 + unit
            } else if name.ends_with("weight") {
                0.75 + 0.5 * unit
            } else {
                0.2 * (unit - 0.5)
            };
            value as f32
        });
        (name.clone(), (parameter.shape.clone(), values.collect()))
    });
    Weights(tensors.collect())
}

fn unit(name: &str, count: usize) -> impl Iterator<Item = f32> {
    unit64(name, count).map(|unit| unit as f32)
}

fn unit64(name: &str, count: usize) -> impl Iterator<Item = f64> {
    let start = name.bytes().fold(0x811c_9dc5u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    (0..count as u32).map(move |at| {
        let mut word = start.wrapping_add(at.wrapping_mul(0x9e37_79b9));
        word ^= word >> 16;
        word = word.wrapping_mul(0x85eb_ca6b);
        word ^= word >> 13;
        word = word.wrapping_mul(0xc2b2_ae35);
        word ^= word >> 16;
        f64::from(word) / 4_294_967_296.0
    })
}

fn fnv64(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}
