//! Whole networks: shapes, counts, freezing, training.

use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};
use gauntlet::graph::{Builder, Conv, Dim, Graph, Op, Source, Unary, freeze};
use gauntlet::model::{Network, Weights, fit, initialise};

use super::{Kind, numbers, read, weigh};

promises! {
    a_shape_that_does_not_fit_names_the_node_and_the_sides,
    sides_that_would_overflow_are_refused,
    counts_of_a_network_are_those_worked_out_by_hand,
    freezing_changes_no_logit,
    freezing_folds_what_it_can_and_drops_what_nothing_reads,
    a_batch_moves_running_statistics_and_gradients_as_in_pytorch,
    weights_go_to_the_device_and_back_unchanged,
    weights_that_do_not_fit_are_told_all_at_once,
}

fn a_shape_that_does_not_fit_names_the_node_and_the_sides() {
    let mut net = Builder::new([3, 8, 8], 10);
    let wide = Conv { groups: 2, ..Conv::new(4, [3, 3]) };
    let error = net.conv("stem", Source::Input, wide).unwrap_err().to_string();
    assert!(error.contains("\"stem\"") && error.contains("Conv") && error.contains("[N, 3, 8, 8]"), "{error}");
    let flat = net.flatten(Source::Input).unwrap();
    let ops = [
        Op::Conv { stride: [0, 1], padding: [0; 4], dilation: [1, 1], groups: 1 },
        Op::MatMul,
        Op::Reshape { to: vec![Dim::EXAMPLES, 191.into()] },
        Op::Slice { axis: 1, start: 0, end: 193, step: 1 },
        Op::Slice { axis: 0, start: 0, end: 1, step: 1 },
        Op::Transpose { axes: vec![0, 0] },
        Op::Gather { axis: 1, indices: vec![192], shape: vec![1] },
        Op::Softmax { axis: 2 },
        Op::Concat { axis: 2 },
        Op::MaxPool { kernel: [2, 2], stride: [2, 2], padding: [0; 4], dilation: [1, 1], ceil: false },
        Op::Resize {
            to: [2, 2],
            scale: [1.0, 1.0],
            mode: gauntlet::graph::ResizeMode::Linear,
            coordinates: gauntlet::graph::Coordinates::HalfPixel,
        },
    ];
    for op in ops {
        let name = op.name();
        let error = net.node("the middle", op, &[flat]).unwrap_err().to_string();
        assert!(error.contains("\"the middle\"") && error.contains(&name) && error.contains("[N, 192]"), "{error}");
    }
    let error = net.finish(flat).unwrap_err().to_string();
    assert!(error.contains("[N, 192]") && error.contains("[N, 10]"), "{error}");
}

fn sides_that_would_overflow_are_refused() {
    let huge = usize::MAX;
    let mut net = Builder::new([1, 4, 4], 2);
    let pool = |kernel, stride, padding| Op::MaxPool { kernel, stride, padding, dilation: [huge, huge], ceil: true };
    assert!(net.node("pool", pool([huge, 2], [1, 1], [0; 4]), &[Source::Input]).is_err());
    assert!(net.node("pool", pool([2, 2], [huge, huge], [huge; 4]), &[Source::Input]).is_err());
    let pad = Op::Pad { pads: vec![[i64::MAX, 1]; 4], mode: gauntlet::graph::PadMode::Reflect };
    assert!(net.node("pad", pad, &[Source::Input]).is_err());
    let far = Dim { per_example: i64::MAX, fixed: i64::MAX };
    assert!(net.node("reshape", Op::Reshape { to: vec![far, far] }, &[Source::Input]).is_err());
    assert!(net.node("expand", Op::Expand { to: vec![Dim::EXAMPLES, huge.into(), 4.into(), 4.into()] }, &[Source::Input]).is_err());
    assert!(net.node("slice", Op::Slice { axis: 2, start: i64::MIN, end: i64::MAX, step: i64::MIN }, &[Source::Input]).is_err());
    assert!(net.node("gather", Op::Gather { axis: 2, indices: vec![], shape: vec![0, huge, huge] }, &[Source::Input]).is_err());
}

fn counts_of_a_network_are_those_worked_out_by_hand() {
    let mut net = Builder::new([3, 8, 8], 10);
    let x = net.conv("conv", Source::Input, Conv { padding: [1; 4], ..Conv::new(4, [3, 3]) }).unwrap();
    let x = net.unary(x, Unary::Relu).unwrap();
    let x = net.flatten(x).unwrap();
    let logits = net.linear("dense", x, 10, false).unwrap();
    let graph = net.finish(logits).unwrap();
    assert_eq!(graph.parameter_count(), 4 * 27 + 4 + 10 * 256);
    assert_eq!(graph.flops().unwrap(), 256 * 2 * 27 + 256 + 10 * 2 * 256);
    assert_eq!(graph.activations().unwrap(), 256 + 10);
}

/// A network with every kind of convolution, batch norm in every place, and a path around.
fn varied(seed: u64) -> (Graph, Weights) {
    let mut net = Builder::new([4, 9, 9], 5);
    let stem = Conv { padding: [1, 0, 2, 1], stride: [1, 2], bias: seed.is_multiple_of(2), ..Conv::new(8, [3, 3]) };
    let before = net.batch_norm("before", Source::Input).unwrap();
    let x = net.conv("stem", before, stem).unwrap();
    let x = net.batch_norm("norm1", x).unwrap();
    let x = net.unary(x, Unary::Silu).unwrap();
    let grouped = Conv { groups: 4, dilation: [2, 1], padding: [2, 1, 2, 1], bias: false, ..Conv::new(8, [3, 3]) };
    let y = net.conv("grouped", x, grouped).unwrap();
    let y = net.batch_norm("norm2", y).unwrap();
    let read_twice = net.conv("twice", y, Conv::new(8, [1, 1])).unwrap();
    let normed = net.batch_norm("norm3", read_twice).unwrap();
    let around = net.add(normed, x).unwrap();
    let joined = net.add(around, read_twice).unwrap();
    let scale = net.parameter("scale", &[8, 1, 1], false);
    let scale = net.unary(scale, Unary::Sigmoid).unwrap();
    let scaled = net.node("scaled", Op::Binary(gauntlet::graph::Binary::Multiply), &[joined, scale]).unwrap();
    let pooled = net.adaptive_average_pool(scaled, [2, 2]).unwrap();
    let flat = net.flatten(pooled).unwrap();
    let hidden = net.linear("hidden", flat, 6, true).unwrap();
    let hidden = net.batch_norm("norm4", hidden).unwrap();
    net.linear("nothing reads it", hidden, 3, true).unwrap();
    let logits = net.linear("output", hidden, 5, true).unwrap();
    let graph = net.finish(logits).unwrap();
    let mut weights = initialise(&graph, seed);
    for (at, (name, (_, values))) in weights.0.iter_mut().enumerate() {
        if name.contains("norm") || name.starts_with("before") || name == "scale" {
            let kind = if name.ends_with("running_var") { Kind::Positive } else { Kind::Any };
            *values = numbers(values.len(), seed as f64 + at as f64, kind);
        }
    }
    (graph, weights)
}

fn images(shape: [usize; 4], device: &Device) -> Tensor<4> {
    Tensor::from_data(TensorData::new(numbers(shape.iter().product(), 0.3, Kind::Any), shape), device)
}

fn freezing_changes_no_logit() {
    let device = Device::flex();
    for seed in 0..6 {
        let (graph, weights) = varied(seed);
        let network = Network::new(graph, &weights, "varied", &device).unwrap();
        let (before, after) = (network.forward(images([3, 4, 9, 9], &device)), network.frozen(&device).unwrap());
        let (before, after) = (read(before), read(after.forward(images([3, 4, 9, 9], &device))));
        for (before, after) in before.iter().zip(&after) {
            assert!((before - after).abs() <= 1e-5 * (1.0 + before.abs()), "seed {seed}: {before} became {after}");
        }
    }
}

fn freezing_folds_what_it_can_and_drops_what_nothing_reads() {
    let (graph, weights) = varied(1);
    let (frozen, frozen_weights) = freeze(&graph, &weights).unwrap();
    assert!(frozen.nodes.iter().all(|node| !matches!(node.op, Op::BatchNorm { .. })));
    // The one before all and the one whose convolution is read twice become two nodes each; sigmoid of a parameter and the dead layer go.
    assert_eq!(frozen.nodes.len(), graph.nodes.len() - 5 + 2 * 2 - 2);
    assert!(frozen.parameters.iter().all(|parameter| !parameter.trained && !parameter.name.starts_with("nothing")));
    fit(&frozen, &frozen_weights, "frozen").unwrap();
    let again = freeze(&frozen, &frozen_weights).unwrap();
    assert_eq!(again.0.nodes.len(), frozen.nodes.len());
    assert_eq!(again.1.hash(), frozen_weights.hash());
}

/// The values are those of `torch.nn.BatchNorm2d(2)` in training on the same numbers.
fn a_batch_moves_running_statistics_and_gradients_as_in_pytorch() {
    let mut net = Builder::new([2, 2, 2], 8);
    let x = net.batch_norm("norm", Source::Input).unwrap();
    let logits = net.flatten(x).unwrap();
    let graph = net.finish(logits).unwrap();
    let kinds = [("weight", Kind::Any), ("bias", Kind::Any), ("running_mean", Kind::Any), ("running_var", Kind::Positive)];
    let start = kinds.iter().enumerate().map(|(at, (name, kind))| (format!("norm.{name}"), (vec![2], numbers(2, 1.0 + at as f64, *kind))));
    let device = Device::flex().autodiff();
    let network = Network::new(graph, &Weights(start.collect()), "norm", &device).unwrap().train();
    let images = images([3, 2, 2, 2], &Device::flex()).autodiff().require_grad();
    let (logits, moved) = network.forward_training(images.clone());
    let near = |found: &[f64], wanted: &[f64]| {
        assert!(found.iter().zip(wanted).all(|(found, wanted)| (found - wanted).abs() < 1e-5), "{found:?}, not {wanted:?}");
    };
    near(&read(logits.clone().inner())[..3], &[1.188_248_8, 2.352_952_2, 2.673_368_2]);
    let weights: Vec<f32> = (0..24).map(|at| (at as f64).cos() as f32).collect();
    let weights = Tensor::<2>::from_data(TensorData::new(weights, [3, 8]), &Device::flex());
    let gradients = (logits * Tensor::from_inner(weights)).sum().backward();
    near(&read(images.grad(&gradients).unwrap())[..3], &[1.615_719, 0.732_810_2, -0.690_513_1]);
    let optimised = burn::optim::GradientsParams::from_grads(gradients, &network);
    assert_eq!(optimised.len(), 2, "scale and bias have gradients, the statistics none");
    let after = network.moved(moved).valid().weights();
    let number = |name: &str| after.0[name].1.iter().map(|&number| f64::from(number)).collect::<Vec<f64>>();
    near(&number("norm.running_mean"), &[0.247_193_66, -0.744_561_3]);
    near(&number("norm.running_var"), &[1.557_604_9, 1.907_318_8]);
    near(&number("norm.weight"), &numbers(2, 1.0, Kind::Any).into_iter().map(f64::from).collect::<Vec<_>>());
}

fn weights_go_to_the_device_and_back_unchanged() {
    let (graph, weights) = varied(3);
    let network = Network::new(graph, &weights, "varied", &Device::flex()).unwrap();
    assert_eq!(network.weights(), weights);
    let learner = Device::flex().autodiff();
    let trained = network.clone().to_device(&learner).train();
    assert_eq!(trained.valid().weights().hash(), weights.hash());
    let logits = read(network.forward(images([2, 4, 9, 9], &Device::flex())));
    assert!(weigh(&logits).is_finite() && logits.iter().any(|logit| *logit != logits[0]));
}

fn weights_that_do_not_fit_are_told_all_at_once() {
    let (graph, mut weights) = varied(0);
    weights.0.remove("norm1.bias");
    weights.0.insert("fc.weight".into(), (vec![1], vec![0.0]));
    weights.0.insert("scale".into(), (vec![4], vec![0.0; 4]));
    let error = format!("{:?}", Network::new(graph, &weights, "the file", &Device::flex()).unwrap_err());
    for name in ["norm1.bias", "fc.weight", "scale"] {
        assert!(error.contains(name), "{error}");
    }
}
