//! The plan for GPUs gives the logits and the gradients of Burn's autodiff and of the processor's plan.

use std::collections::BTreeSet;

use burn::tensor::{Device, Tensor};
use gauntlet::frozen::gpu;
use gauntlet::graph::{Builder, Conv, Graph, Unary, freeze};
use gauntlet::kernel::poison_outputs;
use gauntlet::model::{Blueprint, Classifier, initialise};
use gauntlet::onnx::{self, Declared};
use gauntlet::options::{Options, Value};

use super::{by_burn, by_plan, classifier, convolved, floats, question, rows_off, shapes, tensor};
use crate::Promise;
use crate::adapter;
use crate::graph::cases;
use crate::reference::reference;

pub fn tests() -> Vec<Promise> {
    let on_gpu = |name, run| Promise { name, needs_adapter: true, run };
    vec![
        on_gpu("on an adapter the plan agrees with that of the processor on every operation, or names it", every_operation),
        on_gpu("on an adapter the plan agrees with autodiff on convolutions of all shapes", convolutions),
        on_gpu("on an adapter the plan agrees with autodiff on architectures", architectures),
        on_gpu("on an adapter a disturbed weight of the plan is noticed", a_disturbed_weight_is_noticed),
        on_gpu("on an adapter the batch changes no bit of a row of the plan", the_batch_changes_no_bit),
        on_gpu("on an adapter ways forward of the plan wait for their ways back side by side", side_by_side),
        on_gpu("on an adapter a NaN stays in its row of the plan", a_nan_stays_in_its_row),
        on_gpu("on an adapter the plan agrees with autodiff on every reference model", reference_models),
    ]
}

/// The same classifier, attacked on the adapter. Memory holds NaN before it is written.
fn on_adapter(classifier: &Classifier) -> Classifier {
    poison_outputs(true);
    let classifier = Classifier { plan: None, ..classifier.clone() }.compiled_for_gpu().unwrap();
    assert!(classifier.gpu.is_some(), "the network has a plan");
    classifier
}

fn there(tensor: &Tensor<2>) -> Tensor<2> {
    tensor.clone().to_device(&adapter::device())
}

fn by_gpu(classifier: &Classifier, inputs: &Tensor<2>, asked: &Tensor<2>) -> [Vec<f32>; 2] {
    by_plan(classifier, &there(inputs), &there(asked))
}

/// Largest differences of logits and gradients over the largest of them.
fn differences(found: &[Vec<f32>; 2], wanted: &[Vec<f32>; 2]) -> [f32; 2] {
    std::array::from_fn(|which| {
        let largest = wanted[which].iter().fold(0.0f32, |most, number| most.max(number.abs()));
        let off = found[which].iter().zip(&wanted[which]).map(|(a, b)| (a - b).abs());
        off.fold(0.0f32, |most, off| if off > most || off.is_nan() { off } else { most }) / largest
    })
}

/// As [`super::agrees`], on the adapter.
fn agrees(name: &str, here: &Classifier, rows: usize, loose: usize) -> [f32; 2] {
    let (inputs, asked) = question(here, rows);
    let found = by_gpu(&on_adapter(here), &inputs, &asked);
    for (other, wanted) in [("autodiff", by_burn(here, &inputs, &asked)), ("the processor", by_plan(here, &inputs, &asked))] {
        assert_eq!(rows_off(&found[0], &wanted[0], here.classes), 0, "{name}: logits beside {other}");
        let off = rows_off(&found[1], &wanted[1], here.features());
        assert!(off <= loose, "{name}: the gradients of {off} rows of {rows} are off beside {other}");
    }
    differences(&found, &by_burn(here, &inputs, &asked))
}

/// What plans for GPUs lack beyond what the processor's lack.
const LACKING: &[&str] = &[
    "LayerNorm or GroupNorm",
    "Prelu",
    "Add",
    "Subtract",
    "Multiply",
    "Divide",
    "Power",
    "Minimum",
    "Maximum",
    "Equal",
    "Less",
    "LessOrEqual",
    "Greater",
    "GreaterOrEqual",
    "And",
    "Or",
];

fn every_operation() {
    let device = Device::flex();
    let (mut held, mut lacking) = (0, BTreeSet::new());
    for case in cases() {
        let network = case.network(&device);
        let (graph, weights) = freeze(network.graph(), &network.weights()).unwrap();
        let (shape, classes) = (graph.input, graph.classes);
        let here = Classifier { network, shape, classes, plan: None, gpu: None }.frozen(&device).unwrap();
        if here.plan.is_none() {
            continue;
        }
        if let Err(missing) = gpu::Plan::compile(&graph, &weights).unwrap() {
            lacking.extend(missing);
            continue;
        }
        let images = case.images(&device);
        let rows = images.dims()[0];
        let inputs: Tensor<2> = images.reshape([rows, here.features()]);
        let asked = tensor((0..rows * classes).map(|at| (at as f32).cos()).collect(), classes);
        let (found, wanted) = (by_gpu(&on_adapter(&here), &inputs, &asked), by_plan(&here, &inputs, &asked));
        assert_eq!(rows_off(&found[0], &wanted[0], classes), 0, "{}: logits {:?}, not {:?}", case.name, found[0], wanted[0]);
        let off = rows_off(&found[1], &wanted[1], here.features());
        assert_eq!(off, 0, "{}: gradient {:?}, not {:?}", case.name, found[1], wanted[1]);
        held += 1;
    }
    lacking.retain(|name| !LACKING.contains(&name.as_str()));
    assert!(lacking.is_empty(), "lacking: {lacking:?}");
    assert!(held > 50, "{held} operations alone were tried");
}

fn convolutions() {
    for (name, shape, conv) in shapes() {
        agrees(name, &classifier(&convolved(shape, conv)), 5, 0);
    }
}

fn architectures() {
    let named = [
        ("small-cnn", [1, 12, 12], None),
        ("lenet5", [1, 28, 28], None),
        ("resnet20", [3, 12, 12], None),
        ("preact-resnet18", [3, 16, 16], Some(4)),
        ("vgg16-bn", [3, 32, 32], Some(4)),
    ];
    for (name, shape, width) in named {
        let mut options = Options::default();
        options.0.extend(width.map(|width| ("width".into(), Value::Integer(width))));
        let graph = gauntlet::model::build(name, &Blueprint { options: &options, shape, classes: 10 }).unwrap();
        agrees(name, &classifier(&graph), 3, 0);
    }
}

/// A convolution, overlapping windows, a sum, an average, another convolution and a dense layer.
fn network() -> Graph {
    let mut net = Builder::new([2, 9, 9], 10);
    let conv = Conv { padding: [1; 4], ..Conv::new(8, [3, 3]) };
    let first = net.conv("first", net.input(), conv).unwrap();
    let first = net.unary(first, Unary::Relu).unwrap();
    let pooled = net.max_pool(first, [3, 3], [2, 2], [1; 4]).unwrap();
    let second = net.conv("second", pooled, conv).unwrap();
    let sum = net.add(second, pooled).unwrap();
    let sum = net.unary(sum, Unary::Relu).unwrap();
    let flat = net.flatten(sum).unwrap();
    let logits = net.linear("dense", flat, 10, true).unwrap();
    net.finish(logits).unwrap()
}

fn a_disturbed_weight_is_noticed() {
    let graph = network();
    let mut weights = initialise(&graph, 3);
    let same = classifier(&graph);
    weights.0.get_mut("second.weight").unwrap().1[7] += 0.05;
    let other = Classifier::from_graph(graph, &weights, &Device::flex()).unwrap().frozen(&Device::flex()).unwrap();
    let (inputs, asked) = question(&same, 5);
    let (found, wanted) = (by_gpu(&on_adapter(&other), &inputs, &asked), by_burn(&same, &inputs, &asked));
    assert!(rows_off(&found[0], &wanted[0], 10) > 0, "logits");
    assert!(rows_off(&found[1], &wanted[1], same.features()) > 0, "gradients");
}

fn the_batch_changes_no_bit() {
    let here = classifier(&network());
    let gpu = on_adapter(&here);
    let (inputs, asked) = question(&here, 70);
    let [logits, gradient] = by_gpu(&gpu, &inputs, &asked);
    for rows in [1, 33] {
        let cut = |tensor: &Tensor<2>, columns: usize| tensor.clone().slice([70 - rows..70, 0..columns]);
        let [own, own_gradient] = by_gpu(&gpu, &cut(&inputs, here.features()), &cut(&asked, 10));
        assert_eq!(own, logits[(70 - rows) * 10..], "{rows} rows");
        assert_eq!(own_gradient, gradient[(70 - rows) * here.features()..], "{rows} rows");
        assert_eq!(floats(gpu.logits(there(&cut(&inputs, here.features())))), own, "{rows} rows without a tape");
    }
}

fn side_by_side() {
    let here = classifier(&network());
    let gpu = on_adapter(&here);
    let (inputs, asked) = question(&here, 4);
    let halves = [inputs.clone(), inputs * 0.5];
    let wanted = halves.clone().map(|inputs| by_gpu(&gpu, &inputs, &asked)[1].clone());
    let tapes = halves.map(|inputs| gpu.forward(&there(&inputs), &[0, 1, 2, 3]).unwrap().1);
    // The second way back first, and one of them twice.
    let [mut first, mut second] = tapes;
    let back = |tape: &mut _| floats(gpu.gradient(tape, there(&asked)));
    assert_eq!(back(&mut second), wanted[1]);
    assert_eq!(back(&mut first), wanted[0]);
    assert_eq!(back(&mut second), wanted[1]);
    assert_ne!(wanted[0], wanted[1]);
}

fn a_nan_stays_in_its_row() {
    let here = classifier(&network());
    let gpu = on_adapter(&here);
    let (inputs, asked) = question(&here, 4);
    let whole = by_gpu(&gpu, &inputs, &asked);
    for poison in [f32::NAN, -f32::NAN, f32::INFINITY] {
        let mut poisoned = floats(inputs.clone());
        poisoned[here.features() + 5] = poison;
        let [logits, gradient] = by_gpu(&gpu, &tensor(poisoned, here.features()), &asked);
        for row in 0..4 {
            assert_eq!(logits[row * 10..][..10].iter().all(|logit| logit.is_finite()), row != 1, "{poison}: row {row}");
            if row != 1 {
                let features = row * here.features()..(row + 1) * here.features();
                assert_eq!(logits[row * 10..][..10], whole[0][row * 10..][..10], "{poison}: row {row}");
                assert_eq!(gradient[features.clone()], whole[1][features], "{poison}: row {row}");
            }
        }
        let mut poisoned = floats(asked.clone());
        poisoned[2 * 10 + 3] = poison;
        let [_, gradient] = by_gpu(&gpu, &inputs, &tensor(poisoned, 10));
        for row in 0..4 {
            let features = row * here.features()..(row + 1) * here.features();
            assert_eq!(gradient[features.clone()].iter().all(|number| number.is_finite()), row != 2, "{poison}: gradient of row {row}");
        }
    }
}

fn reference_models() {
    let Some(folder) = reference() else { return };
    let mut files: Vec<_> = std::fs::read_dir(folder.join("models")).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "onnx"));
    for path in files {
        let model = onnx::read(&path, &Declared::default()).unwrap();
        let here = Classifier::from_graph(model.graph, &model.weights, &Device::flex()).unwrap().frozen(&Device::flex()).unwrap();
        let [logits, gradients] = agrees(&path.display().to_string(), &here, 4, 1);
        println!("{}: largest difference of a logit {logits:.1e}, of a gradient {gradients:.1e}", path.display());
    }
}
