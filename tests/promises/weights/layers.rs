//! Stacks of layers and the other fields of a suite's model: each kind does what PyTorch's layer does, and mistakes are told with their place.

use burn::tensor::Device;
use gauntlet::model::layers::LAYERS;
use gauntlet::model::{Classifier, Weights, load_model};
use miette::Diagnostic;
use serde::Deserialize;

use super::{close, designed, fixture, logits, model, words};

promises! {
    every_kind_of_layer_gives_what_pytorch_gives,
    tensors_are_named_as_in_a_sequential_unless_a_layer_has_a_name,
    mistakes_in_layers_are_all_reported_with_their_places,
    a_stack_that_does_not_fit_names_the_layer,
    a_model_comes_from_one_place,
    a_model_s_fields_are_part_of_its_identity,
}

/// A stack and what PyTorch says of it.
#[derive(Deserialize)]
struct Case {
    layers: String,
    shape: [usize; 3],
    /// In the order of the graph's parameters, row-major.
    weights: Vec<f32>,
    images: Vec<f32>,
    logits: Vec<f32>,
}

fn every_kind_of_layer_gives_what_pytorch_gives() {
    let cases: Vec<Case> = serde_json::from_slice(&std::fs::read(fixture("layers.json")).unwrap()).unwrap();
    for case in &cases {
        let text = format!("layers = {}", case.layers);
        let count = case.images.len() / case.shape.iter().product::<usize>();
        let design = designed(&text, case.shape, case.logits.len() / count).unwrap_or_else(|error| panic!("{text}: {error:?}"));
        let mut values = case.weights.iter().copied();
        let tensors = design.graph.parameters.iter().map(|parameter| {
            let numbers: Vec<f32> = values.by_ref().take(parameter.shape.iter().product()).collect();
            (parameter.name.clone(), (parameter.shape.clone(), numbers))
        });
        let weights = Weights(tensors.collect());
        assert_eq!(values.next(), None, "{text} has other weights");
        let classifier = Classifier::from_graph(design.graph, &weights, &Device::flex()).unwrap();
        close(&logits(&classifier, &case.images), &case.logits, 2e-5, &text);
    }
    let all: String = cases.iter().map(|case| case.layers.as_str()).collect();
    for row in LAYERS {
        assert!(all.contains(&format!("\"{}\"", row.entry.name)), "{} is not compared with PyTorch", row.entry.name);
    }
}

fn tensors_are_named_as_in_a_sequential_unless_a_layer_has_a_name() {
    let text = "layers = [{ kind = 'conv', out = 2, kernel = [1, 3], padding = [0, 1], bias = false }, { kind = 'batch-norm', name = 'bn1' }, \
        { kind = 'relu' }, { kind = 'global-average-pool' }, { kind = 'flatten' }, { kind = 'dense', out = 4, name = 'head.fc' }]";
    let design = designed(text, [3, 5, 5], 4).unwrap();
    let names: Vec<&str> = design.graph.parameters.iter().map(|parameter| parameter.name.as_str()).collect();
    assert_eq!(names, ["0.weight", "bn1.weight", "bn1.bias", "bn1.running_mean", "bn1.running_var", "head.fc.weight", "head.fc.bias"]);
    assert_eq!(design.graph.parameters[0].shape, [2, 3, 1, 3]);
    // Equal seeds give equal first weights, others give others.
    let first = |seed: u64| designed(&format!("{text}, seed = {seed}"), [3, 5, 5], 4).unwrap().weights;
    assert_eq!(first(1), first(1));
    assert_ne!(first(1), first(2));
}

fn mistakes_in_layers_are_all_reported_with_their_places() {
    let text = "layers = [{ kind = 'convv', out = 2 }, { kind = 'conv', out = 0, kernel = [3, 3, 3], strid = 1 }, { kind = 'dense' }, \
        { kind = 'relu', name = '4' }, { kind = 'tanh' }, 'flatten', { kind = 'gelu', approximate = 'exact' }, { out = 3 }]";
    let error = model(text).expect_err("mistakes");
    let found: Vec<(String, String)> = error
        .all()
        .iter()
        .map(|error| {
            let label = error.labels().and_then(|mut labels| labels.next()).expect("a place");
            let span = error.source_code().expect("a source").read_span(label.inner(), 0, 0).expect("a span");
            (String::from_utf8_lossy(&span.data()[..label.len()]).into_owned(), error.message().to_string())
        })
        .collect();
    let expected = [
        ("'convv'", "unknown layer"),
        ("0", "`out` of layer 1 (conv)"),
        ("[3, 3, 3]", "`kernel` of layer 1 (conv)"),
        ("strid", "unknown field `strid`"),
        ("{ kind = 'dense' }", "has no `out`"),
        ("{ kind = 'tanh' }", "a second layer with the name \"4\""),
        ("'flatten'", "layer 5"),
        ("'exact'", "approximate"),
        ("{ out = 3 }", "no `kind`"),
    ];
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    for ((place, message), (wanted_place, part)) in found.iter().zip(expected) {
        assert!(place == wanted_place && message.contains(part), "{found:#?}");
    }
    assert!(words(&error).contains("did you mean \"conv\"") && words(&error).contains("did you mean `stride`"), "{error:?}");
}

fn a_stack_that_does_not_fit_names_the_layer() {
    let fails = |text: &str| words(&designed(text, [1, 8, 8], 10).expect_err(text));
    let dense = fails("layers = [{ kind = 'conv', out = 2, kernel = 3 }, { kind = 'dense', out = 10 }]");
    assert!(dense.contains("\"1\" (dense)") && dense.contains("flatten"), "{dense}");
    let large =
        fails("layers = [{ kind = 'conv', out = 2, kernel = 9, name = 'first' }, { kind = 'flatten' }, { kind = 'dense', out = 10 }]");
    assert!(large.contains("\"first\""), "{large}");
    let classes = fails("layers = [{ kind = 'flatten' }, { kind = 'dense', out = 9 }]");
    assert!(classes.contains("[N, 9]") && classes.contains("[N, 10]"), "{classes}");
    let channels = fails("layers = [{ kind = 'flatten' }, { kind = 'dense', out = 10 }], normalize = { mean = [0.5, 0.5], std = [1, 1] }");
    assert!(channels.contains("2 means") && channels.contains("1 channels"), "{channels}");
}

fn a_model_comes_from_one_place() {
    let fails = |text: &str| words(&model(text).expect_err(text));
    assert!(fails("architecture = 'mlp', layers = [{ kind = 'relu' }]").contains("both `architecture` and `layers`"));
    let none = fails("seed = 1");
    assert!(none.contains("no `architecture`, `onnx` or `layers`") && none.contains("lenet5"), "{none}");
    assert!(fails("onnx = 'nowhere.onnx'").contains("there is no file"));
    assert!(fails("onnx = 'archive.pt', weights = 'archive.pt'").contains("holds its own weights"));
    assert!(fails("architecture = 'mlp', match = 'names'").contains("did you mean \"name\""));
    assert!(fails("layers = []").contains("a list such as"));
    let caffe = fails("architecture = 'mlp', normalize = { mean = [103.9, 116.8, 123.7], std = [1, 1, 1] }");
    assert!(caffe.contains("divide those for 0..255 by 255"), "{caffe}");
    assert!(fails("architecture = 'mlp', normalize = { mean = [0.5] }").contains("no `std`"));
    assert!(fails("architecture = 'mlp', normalize = { mean = [0.5, 0.4], std = 0.2 }").contains("2 means and 1 deviations"));
    assert!(fails("architecture = 'mlp', normalize = { mean = 0.5, std = 0 }").contains("above 0"));
}

fn a_model_s_fields_are_part_of_its_identity() {
    let json = |text: &str| serde_json::to_string(&model(text).unwrap()).unwrap();
    // What is left out stays out, so that the identity of a run that uses none of it is what it was.
    assert_eq!(json("architecture = 'linear', seed = 2"), r#"{"architecture":"linear","seed":2,"options":{},"weights":null}"#);
    let texts = [
        "layers = [{ kind = 'flatten' }, { kind = 'dense', out = 10 }]",
        "layers = [{ kind = 'flatten' }, { kind = 'dense', out = 11 }]",
        "layers = [{ kind = 'flatten' }, { kind = 'dense', out = 10, name = 'fc' }]",
        "layers = [{ kind = 'flatten' }, { kind = 'dense', out = 10 }], normalize = { mean = 0.5, std = 0.5 }",
        "layers = [{ kind = 'flatten' }, { kind = 'dense', out = 10 }], match = 'order'",
        "onnx = 'archive.pt'",
        "onnx = 'archive.pt', layout = 'nhwc'",
    ];
    let distinct: std::collections::BTreeSet<String> = texts.iter().map(|text| json(text)).collect();
    assert_eq!(distinct.len(), texts.len());
    // A side that is given twice is the same as one given once.
    assert_eq!(json("layers = [{ kind = 'max-pool', kernel = [2, 2] }]"), json("layers = [{ kind = 'max-pool', kernel = 2 }]"));
    assert!(load_model(&model("onnx = 'archive.pt'").unwrap(), &fixture(""), [1, 4, 4], 3, &Device::flex()).is_err());
}
