//! A compiled network gives the logits and the gradients of Burn's autodiff, whatever the batch, and to the bit the same in each.

use std::collections::BTreeSet;

use burn::tensor::{Device, Tensor, TensorData};
use gauntlet::frozen::{Level, Plan};
use gauntlet::graph::{Builder, Conv, Graph, Unary, freeze};
use gauntlet::model::{Blueprint, Classifier, MODELS, initialise};
use gauntlet::onnx::{self, Declared};
use gauntlet::options::Options;

use crate::graph::{Kind, cases, numbers};
use crate::reference::reference;

#[path = "frozen/on_adapter.rs"]
mod on_adapter;

promises![
    [on_adapter]
    every_operation_agrees_or_is_named,
    convolutions_of_all_shapes_agree,
    every_architecture_agrees,
    every_reference_model_agrees,
    every_set_of_instructions_agrees,
    a_disturbed_weight_is_noticed,
    the_batch_changes_no_bit,
    rows_that_nobody_asks_for_change_no_bit,
    a_row_without_a_slope_has_no_gradient,
    the_number_of_threads_changes_no_bit,
    threads_that_share_a_block_change_no_bit,
    tiles_are_where_they_pay,
    a_nan_stays_in_its_row,
];

/// What plans may lack, by the operation's name.
const LACKING: &[&str] = &[
    "MatMul",
    "Where",
    "Linear",
    "ReduceMax",
    "ReduceMin",
    "ReduceProduct",
    "ReduceL1",
    "ReduceL2",
    "ReduceSumSquare",
    "ReduceLogSum",
    "ReduceLogSumExp",
];

/// How far a number may be off, over the largest of them.
const NEAR: f32 = 1e-4;

fn classifier(graph: &Graph) -> Classifier {
    Classifier::from_graph(graph.clone(), &initialise(graph, 3), &Device::flex()).unwrap().frozen(&Device::flex()).unwrap()
}

fn tensor(numbers: Vec<f32>, columns: usize) -> Tensor<2> {
    let rows = numbers.len() / columns;
    Tensor::from_data(TensorData::new(numbers, [rows, columns]), &Device::flex())
}

fn floats(tensor: Tensor<2>) -> Vec<f32> {
    tensor.into_data().try_to_vec().unwrap()
}

/// Rows in [0, 1], and what is asked of their logits.
fn question(classifier: &Classifier, rows: usize) -> (Tensor<2>, Tensor<2>) {
    let inputs = numbers(rows * classifier.features(), 0.3, Kind::Any).into_iter().map(|number| number / 3.0 + 0.5).collect();
    let asked = numbers(rows * classifier.classes, 1.1, Kind::Any);
    (tensor(inputs, classifier.features()), tensor(asked, classifier.classes))
}

/// Logits and gradients by Burn.
fn by_burn(classifier: &Classifier, inputs: &Tensor<2>, asked: &Tensor<2>) -> [Vec<f32>; 2] {
    let inputs = inputs.clone().autodiff().require_grad();
    let logits = classifier.logits(inputs.clone());
    if !logits.is_tracked() {
        return [floats(logits.inner()), vec![0.0; inputs.shape().num_elements()]];
    }
    let mut gradients = (logits.clone() * Tensor::from_inner(asked.clone())).sum().backward();
    let gradient = inputs.grad_remove(&mut gradients).unwrap_or_else(|| inputs.inner().zeros_like());
    [floats(logits.inner()), floats(gradient)]
}

/// Logits and gradients by the plan.
fn by_plan(classifier: &Classifier, inputs: &Tensor<2>, asked: &Tensor<2>) -> [Vec<f32>; 2] {
    let all: Vec<usize> = (0..inputs.dims()[0]).collect();
    by_plan_of(classifier, inputs, asked, &all)
}

/// As [`by_plan`], of some rows alone.
fn by_plan_of(classifier: &Classifier, inputs: &Tensor<2>, asked: &Tensor<2>, rows: &[usize]) -> [Vec<f32>; 2] {
    let (logits, mut tape) = classifier.forward(inputs, rows).expect("the network has a plan");
    let gradient = classifier.gradient(&mut tape, asked.clone());
    [floats(logits), floats(gradient)]
}

/// How many rows are further off than [`NEAR`].
fn rows_off(found: &[f32], wanted: &[f32], columns: usize) -> usize {
    assert_eq!(found.len(), wanted.len());
    let largest = wanted.iter().fold(0.0f32, |most, number| most.max(number.abs()));
    let off = |(a, b): (&f32, &f32)| (a - b).is_nan() || (a - b).abs() > NEAR * largest;
    found.chunks(columns).zip(wanted.chunks(columns)).filter(|(found, wanted)| found.iter().zip(*wanted).any(off)).count()
}

/// A rectifier whose input is 0 within rounding may go either way, and so may the gradients behind it: `loose` rows may differ there.
fn agrees(name: &str, classifier: &Classifier, rows: usize, loose: usize) {
    let (inputs, asked) = question(classifier, rows);
    let ([logits, gradient], [burn_logits, burn_gradient]) = (by_plan(classifier, &inputs, &asked), by_burn(classifier, &inputs, &asked));
    assert_eq!(rows_off(&logits, &burn_logits, classifier.classes), 0, "{name}: logits");
    let off = rows_off(&gradient, &burn_gradient, classifier.features());
    assert!(off <= loose, "{name}: the gradients of {off} rows of {rows} are off");
    assert_eq!(floats(classifier.logits(inputs)), logits, "{name}: with and without a tape");
}

fn every_operation_agrees_or_is_named() {
    let device = Device::flex();
    let mut lacking = BTreeSet::new();
    let mut wrong = Vec::new();
    for case in cases() {
        let network = case.network(&device);
        let (graph, weights) = freeze(network.graph(), &network.weights()).unwrap();
        match Plan::compile(&graph, &weights).unwrap() {
            Err(missing) => lacking.extend(missing),
            Ok(_) => {
                let (shape, classes) = (graph.input, graph.classes);
                let classifier = Classifier { network, shape, classes, plan: None, gpu: None }.frozen(&device).unwrap();
                let images = case.images(&device);
                let rows = images.dims()[0];
                let inputs: Tensor<2> = images.reshape([rows, classifier.features()]);
                let asked = tensor((0..rows * classes).map(|at| (at as f32).cos()).collect(), classes);
                let found = by_plan(&classifier, &inputs, &asked);
                let logits = floats(classifier.network.forward(case.images(&device)));
                if rows_off(&found[0], &logits, classes) > 0 {
                    wrong.push(format!("{}: logits {:?}, not {logits:?}", case.name, found[0]));
                }
                // Burn has no gradient of what has none.
                if case.smooth {
                    let [_, wanted] = by_burn(&classifier, &inputs, &asked);
                    if rows_off(&found[1], &wanted, classifier.features()) > 0 {
                        wrong.push(format!("{}: gradient {:?}, not {wanted:?}", case.name, found[1]));
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let known: BTreeSet<String> = LACKING.iter().map(|name| (*name).into()).collect();
    assert!(lacking.is_subset(&known), "lacking: {lacking:?}");
}

/// Images and convolutions of them.
fn shapes() -> Vec<(&'static str, [usize; 3], Conv)> {
    let plain = Conv::new(5, [3, 3]);
    vec![
        ("odd", [3, 7, 11], Conv { padding: [1; 4], ..plain }),
        ("no padding", [2, 9, 6], plain),
        ("uneven padding", [3, 6, 7], Conv { padding: [2, 0, 1, 3], ..plain }),
        ("wide padding", [2, 5, 5], Conv { padding: [4; 4], ..plain }),
        ("stride 2", [3, 9, 8], Conv { stride: [2, 2], padding: [1; 4], ..plain }),
        ("strides 3 and 1", [3, 10, 5], Conv { stride: [3, 1], ..plain }),
        ("stride beyond the kernel", [3, 9, 11], Conv { kernel: [1, 1], stride: [2, 3], ..plain }),
        ("dilation", [2, 11, 9], Conv { dilation: [2, 3], padding: [2, 3, 2, 3], ..plain }),
        ("dilation and stride", [2, 11, 12], Conv { dilation: [3, 2], stride: [2, 2], padding: [1; 4], ..plain }),
        ("groups", [6, 7, 7], Conv { to: 9, groups: 3, padding: [1; 4], ..plain }),
        ("depthwise", [5, 8, 6], Conv { to: 5, groups: 5, padding: [1; 4], bias: false, ..plain }),
        ("even kernel", [3, 8, 8], Conv { kernel: [4, 2], stride: [2, 2], padding: [1; 4], ..plain }),
        ("one column", [4, 9, 1], Conv { to: 19, kernel: [3, 1], ..plain }),
        ("the whole image", [3, 5, 6], Conv { to: 21, kernel: [5, 6], ..plain }),
        ("many channels", [17, 6, 13], Conv { to: 13, padding: [1; 4], ..plain }),
        ("tiles", [16, 8, 12], Conv { to: 16, padding: [1; 4], bias: false, ..plain }),
        ("tiles that hang over", [17, 9, 7], Conv { to: 23, padding: [1; 4], ..plain }),
        ("tiles without padding", [16, 6, 11], Conv { to: 19, ..plain }),
        ("tiles under uneven padding", [18, 10, 6], Conv { to: 16, padding: [2, 0, 1, 3], ..plain }),
        ("tiles under wide padding", [16, 5, 5], Conv { to: 16, padding: [4; 4], ..plain }),
        ("small tiles", [16, 2, 2], Conv { to: 17, padding: [1; 4], ..plain }),
        ("groups of as many channels", [32, 8, 8], Conv { to: 32, groups: 2, padding: [1; 4], ..plain }),
        ("dilation between as many channels", [16, 9, 8], Conv { to: 16, dilation: [2, 2], padding: [2; 4], ..plain }),
        ("small tiles, since the weights are many", [342, 4, 4], Conv { to: 342, padding: [1; 4], ..plain }),
    ]
}

fn convolved(shape: [usize; 3], conv: Conv) -> Graph {
    let mut net = Builder::new(shape, 10);
    let first = net.conv("first", net.input(), conv).unwrap();
    let mut x = net.unary(first, Unary::Relu).unwrap();
    // A second convolution, so that the gradient of the first one's result has a border.
    x = net.conv("second", x, Conv { padding: [1; 4], kernel: [1, 1], ..Conv::new(3, [1, 1]) }).unwrap();
    x = net.flatten(x).unwrap();
    let logits = net.linear("dense", x, 10, true).unwrap();
    net.finish(logits).unwrap()
}

fn convolutions_of_all_shapes_agree() {
    for (name, shape, conv) in shapes() {
        agrees(name, &classifier(&convolved(shape, conv)), 18, 0);
    }
}

fn every_architecture_agrees() {
    for row in MODELS {
        let shape = if row.entry.name == "lenet5" { [1, 28, 28] } else { [3, 32, 32] };
        let mut options = Options::default();
        if row.entry.options.iter().any(|option| option.name == "width") {
            options.0.insert("width".into(), gauntlet::options::Value::Integer(if row.entry.name.starts_with("wide") { 1 } else { 4 }));
        }
        let graph = gauntlet::model::build(row.entry.name, &Blueprint { options: &options, shape, classes: 10 }).unwrap();
        agrees(row.entry.name, &classifier(&graph), 3, 1);
    }
}

fn every_reference_model_agrees() {
    let Some(folder) = reference() else { return };
    let mut files: Vec<_> = std::fs::read_dir(folder.join("models")).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "onnx"));
    assert!(!files.is_empty());
    for path in files {
        let model = onnx::read(&path, &Declared::default()).unwrap();
        let classifier = Classifier::from_graph(model.graph, &model.weights, &Device::flex()).unwrap().frozen(&Device::flex()).unwrap();
        agrees(&path.display().to_string(), &classifier, 24, 2);
    }
}

/// A convolution, a pool, a sum, another convolution, a dense layer.
fn network() -> Graph {
    let mut net = Builder::new([2, 12, 12], 10);
    let conv = Conv { padding: [1; 4], ..Conv::new(16, [3, 3]) };
    let first = net.conv("first", net.input(), conv).unwrap();
    let first = net.unary(first, Unary::Relu).unwrap();
    let pooled = net.max_pool(first, [3, 3], [2, 2], [1; 4]).unwrap();
    let second = net.conv("second", pooled, conv).unwrap();
    let sum = net.add(second, pooled).unwrap();
    let sum = net.unary(sum, Unary::Silu).unwrap();
    let flat = net.flatten(sum).unwrap();
    let logits = net.linear("dense", flat, 10, true).unwrap();
    net.finish(logits).unwrap()
}

fn every_set_of_instructions_agrees() {
    for graph in [network(), long()] {
        let classifier = classifier(&graph);
        let (inputs, asked) = question(&classifier, 20);
        let wanted = by_burn(&classifier, &inputs, &asked);
        for &level in Level::available() {
            let plan = Some(std::sync::Arc::new(plan(&graph).at(level)));
            let [logits, gradient] = by_plan(&Classifier { plan, ..classifier.clone() }, &inputs, &asked);
            assert_eq!(rows_off(&logits, &wanted[0], graph.classes), 0, "{level:?}: logits");
            assert_eq!(rows_off(&gradient, &wanted[1], classifier.features()), 0, "{level:?}: gradients");
        }
    }
}

fn a_disturbed_weight_is_noticed() {
    let graph = network();
    let classifier = classifier(&graph);
    let (inputs, asked) = question(&classifier, 5);
    let wanted = by_burn(&classifier, &inputs, &asked);
    let (frozen, mut weights) = freeze(&graph, &initialise(&graph, 3)).unwrap();
    weights.0.get_mut("second.weight").unwrap().1[7] += 0.05;
    let plan = Some(std::sync::Arc::new(Plan::compile(&frozen, &weights).unwrap().unwrap()));
    let disturbed = by_plan(&Classifier { plan, ..classifier.clone() }, &inputs, &asked);
    assert!(rows_off(&disturbed[0], &wanted[0], 10) > 0, "logits");
    assert!(rows_off(&disturbed[1], &wanted[1], classifier.features()) > 0, "gradients");
}

fn the_batch_changes_no_bit() {
    let classifier = classifier(&network());
    let (inputs, asked) = question(&classifier, 33);
    let [logits, gradient] = by_plan(&classifier, &inputs, &asked);
    for rows in [1, 7, 16, 32] {
        let cut = |tensor: &Tensor<2>, columns: usize| tensor.clone().slice([33 - rows..33, 0..columns]);
        let [own, own_gradient] = by_plan(&classifier, &cut(&inputs, classifier.features()), &cut(&asked, 10));
        assert_eq!(own, logits[(33 - rows) * 10..], "{rows} rows");
        assert_eq!(own_gradient, gradient[(33 - rows) * classifier.features()..], "{rows} rows");
    }
}

fn rows_that_nobody_asks_for_change_no_bit() {
    let classifier = classifier(&network());
    let (inputs, asked) = question(&classifier, 50);
    let whole = by_plan(&classifier, &inputs, &asked);
    let some: Vec<usize> = (0..50).filter(|row| row % 3 == 1 || *row > 40).collect();
    for rows in [&some[..], &[], &[49]] {
        let part = by_plan_of(&classifier, &inputs, &asked, rows);
        for (columns, (part, whole)) in [10, classifier.features()].into_iter().zip(part.iter().zip(&whole)) {
            for row in 0..50 {
                let of = |matrix: &[f32]| matrix[row * columns..(row + 1) * columns].to_vec();
                let wanted = if rows.contains(&row) { of(whole) } else { vec![0.0; columns] };
                assert_eq!(of(part), wanted, "row {row} of {rows:?}");
            }
        }
    }
}

fn a_row_without_a_slope_has_no_gradient() {
    let classifier = classifier(&network());
    let features = classifier.features();
    let (inputs, asked) = question(&classifier, 33);
    let whole = by_plan(&classifier, &inputs, &asked);
    // All of the second block, and of the first one row, whose way back would meet what is not finite.
    let flat = |row: usize| row == 3 || (16..32).contains(&row);
    let (mut images, mut slopes) = (floats(inputs), floats(asked));
    images[3 * features] = f32::INFINITY;
    (0..33).filter(|&row| flat(row)).for_each(|row| slopes[row * 10..(row + 1) * 10].fill(0.0));
    let [_, gradient] = by_plan(&classifier, &tensor(images, features), &tensor(slopes, 10));
    for row in 0..33 {
        let of = row * features..(row + 1) * features;
        let wanted = if flat(row) { vec![0.0; features] } else { whole[1][of.clone()].to_vec() };
        assert_eq!(gradient[of], wanted, "row {row}");
    }
}

fn the_number_of_threads_changes_no_bit() {
    let classifier = classifier(&network());
    let (inputs, asked) = question(&classifier, 50);
    let with = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| by_plan(&classifier, &inputs, &asked))
    };
    assert_eq!(with(1), with(3));
}

/// Convolutions in tiles of both sizes, plain ones, scales, sums and a dense layer, each long enough to be shared.
fn long() -> Graph {
    let mut net = Builder::new([16, 34, 34], 100);
    let tiles = net.conv("tiles", net.input(), Conv { padding: [1; 4], ..Conv::new(32, [3, 3]) }).unwrap();
    let tiles = net.unary(tiles, Unary::Relu).unwrap();
    // Two readers that are no convolutions, so that gradients are added and gated.
    let scaled = net.batch_norm("scaled", tiles).unwrap();
    let curved = net.unary(tiles, Unary::Silu).unwrap();
    let mut x = net.add(scaled, curved).unwrap();
    for (name, conv) in [
        ("plain", Conv { padding: [1; 4], stride: [2, 2], ..Conv::new(48, [3, 3]) }),
        ("more", Conv { stride: [4, 4], ..Conv::new(450, [3, 3]) }),
        ("small tiles", Conv { padding: [1; 4], ..Conv::new(450, [3, 3]) }),
    ] {
        x = net.conv(name, x, conv).unwrap();
        x = net.unary(x, Unary::Relu).unwrap();
    }
    x = net.flatten(x).unwrap();
    let logits = net.linear("dense", x, 100, true).unwrap();
    net.finish(logits).unwrap()
}

fn plan(graph: &Graph) -> Plan {
    let (frozen, weights) = freeze(graph, &initialise(graph, 3)).unwrap();
    Plan::compile(&frozen, &weights).unwrap().unwrap()
}

fn tiles_are_where_they_pay() {
    let tiled = |graph: &Graph| {
        let shown = format!("{:?}", plan(graph));
        ["Some(Two)", "Some(Four)"].map(|form| shown.matches(&format!("form: {form}")).count())
    };
    assert_eq!(tiled(&long()), [2, 2]);
    // Forward and back.
    let of = |name: &str| shapes().into_iter().find(|case| case.0 == name).map(|(_, shape, conv)| tiled(&convolved(shape, conv))).unwrap();
    assert_eq!(["tiles", "small tiles", "many channels"].map(of), [[0, 2], [2, 0], [0, 0]]);
    assert_eq!(["stride 2", "groups of as many channels", "dilation between as many channels"].map(of), [[0, 0]; 3]);
}

fn threads_that_share_a_block_change_no_bit() {
    let classifier = classifier(&long());
    let (inputs, asked) = question(&classifier, 11);
    let with = |threads: usize, rows: usize| {
        let cut = |tensor: &Tensor<2>| tensor.clone().slice([11 - rows..11, 0..tensor.dims()[1]]);
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| by_plan(&classifier, &cut(&inputs), &cut(&asked)))
    };
    let alone = with(1, 11);
    let wanted = by_burn(&classifier, &inputs, &asked);
    assert_eq!((rows_off(&alone[0], &wanted[0], 100), rows_off(&alone[1], &wanted[1], classifier.features())), (0, 0));
    for threads in [2, 3, 7, 40] {
        assert_eq!(with(threads, 11), alone, "{threads} threads");
    }
    // Half a block, in narrower registers.
    let [logits, gradient] = with(3, 5);
    assert_eq!((&logits[..], &gradient[..]), (&alone[0][6 * 100..], &alone[1][6 * classifier.features()..]));
}

fn a_nan_stays_in_its_row() {
    let classifier = classifier(&network());
    let (inputs, asked) = question(&classifier, 4);
    let whole = by_plan(&classifier, &inputs, &asked);
    let mut poisoned = floats(inputs);
    poisoned[classifier.features() + 5] = f32::NAN;
    let [logits, gradient] = by_plan(&classifier, &tensor(poisoned, classifier.features()), &asked);
    for row in 0..4 {
        assert_eq!(logits[row * 10..][..10].iter().all(|logit| logit.is_finite()), row != 1, "row {row}");
        if row != 1 {
            let features = row * classifier.features()..(row + 1) * classifier.features();
            assert_eq!(gradient[features.clone()], whole[1][features]);
        }
    }
}
