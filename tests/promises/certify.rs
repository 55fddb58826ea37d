//! Certificates: bounds that equal the closed form where there is one, hold at every point that is tried, are no looser than another
//! implementation's, and are contradicted by no attack.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use burn::tensor::{Device, Tensor, TensorData};
use gauntlet::certify::rounding::Arithmetic;
use gauntlet::certify::{Method, Net, Region, margins};
use gauntlet::graph::{Binary, Builder, Conv, Graph, Op, PadMode, Source, Unary};
use gauntlet::kernel::random::{philox, unit};
use gauntlet::model::{self, Blueprint, MODELS, Network, Weights, initialise};
use gauntlet::suite::{ModelSpec, parse_options};
use gauntlet::threat::Norm;
use serde_json::Value;
use tempfile::TempDir;

use crate::reference::reference;

#[path = "certify/smoothing.rs"]
mod smoothing;
#[path = "certify/suites.rs"]
mod suites;

promises! {
    [smoothing, suites]
    on_an_affine_map_bounds_are_the_closed_form_under_every_norm,
    the_box_cuts_a_ball_off_and_nothing_within_is_lower,
    a_net_of_two_layers_is_bounded_as_by_hand,
    no_point_of_a_region_is_below_its_bound,
    a_wider_region_is_never_bounded_more_tightly_by_intervals,
    what_has_no_bound_is_named,
    bounds_are_no_looser_than_those_of_auto_lirpa,
}

const LINEAR: Method = Method::Linear { tightened: true };
const CHEAP: Method = Method::Linear { tightened: false };

fn network(architecture: &str, options: &str, shape: [usize; 3]) -> (Graph, Weights) {
    let row = MODELS.iter().find(|row| row.entry.name == architecture).unwrap();
    let options = parse_options(&row.entry, options).unwrap();
    let graph = model::build(architecture, &Blueprint { options: &options, shape, classes: 4 }).unwrap();
    let weights = initialise(&graph, 7);
    (graph, weights)
}

fn uniform(stream: u32, at: usize) -> f32 {
    unit(philox([at as u32, stream, 0, 0], [3, 5])[0])
}

fn image(stream: u32, features: usize, low: f32, high: f32) -> Vec<f32> {
    (0..features).map(|at| low + (high - low) * uniform(stream, at)).collect()
}

/// Weight rows and bias of the `linear` model, in f64.
fn affine(weights: &Weights) -> (Vec<Vec<f64>>, Vec<f64>) {
    let (shape, numbers) = &weights.0["dense.weight"];
    let rows = numbers.chunks(shape[1]).map(|row| row.iter().map(|&number| f64::from(number)).collect()).collect();
    (rows, weights.0["dense.bias"].1.iter().map(|&number| f64::from(number)).collect())
}

/// W[0] - W[other] and the margin at an image.
fn difference(weights: &Weights, other: usize, image: &[f32]) -> (Vec<f64>, f64) {
    let (rows, bias) = affine(weights);
    let row: Vec<f64> = rows[0].iter().zip(&rows[other]).map(|(a, b)| a - b).collect();
    let margin = row.iter().zip(image).map(|(w, &x)| w * f64::from(x)).sum::<f64>() + bias[0] - bias[other];
    (row, margin)
}

fn on_an_affine_map_bounds_are_the_closed_form_under_every_norm() {
    let (graph, weights) = network("linear", "", [1, 4, 5]);
    let net = Net::new(&graph, &weights).unwrap();
    assert!(net.is_affine());
    // So far from 0 and 1 that no ball is cut off.
    let image = image(1, 20, 0.4, 0.6);
    for (norm, radius) in [(Norm::Linf, 0.05), (Norm::L2, 0.3), (Norm::L1, 0.35)] {
        let region = Region::new(&image, norm, radius);
        let real = margins(&net, &region, 0, CHEAP, Arithmetic::Real, false);
        let single = margins(&net, &region, 0, CHEAP, Arithmetic::F32, false);
        for other in 1..4 {
            let (row, margin) = difference(&weights, other, &image);
            let dual = match norm {
                Norm::Linf => row.iter().map(|w| w.abs()).sum::<f64>(),
                Norm::L2 => row.iter().map(|w| w * w).sum::<f64>().sqrt(),
                _ => row.iter().map(|w| w.abs()).fold(0.0, f64::max),
            };
            let exact = margin - radius * dual;
            let (found, rounded) = (real[other - 1], single[other - 1]);
            assert!(found <= exact && found > exact - 1e-7, "{norm:?}: {found} is not {exact}");
            assert!(rounded < found && rounded > exact - 1e-4, "{norm:?}: {rounded} is not a little below {exact}");
        }
        if norm == Norm::Linf {
            let boxes = margins(&net, &region, 0, Method::Interval, Arithmetic::Real, false);
            assert!(boxes.iter().zip(&real).all(|(a, b)| (a - b).abs() < 1e-9), "one layer has nothing to lose: {boxes:?} {real:?}");
        }
    }
    // Two elements, each wherever it likes.
    let found = margins(&net, &Region::new(&image, Norm::L0, 2.0), 0, CHEAP, Arithmetic::Real, false);
    for other in 1..4 {
        let (row, margin) = difference(&weights, other, &image);
        let mut falls: Vec<f64> =
            row.iter().zip(&image).map(|(w, &x)| if *w > 0.0 { w * f64::from(x) } else { -w * (1.0 - f64::from(x)) }).collect();
        falls.sort_by(|a, b| b.total_cmp(a));
        assert!((found[other - 1] - (margin - falls[0] - falls[1])).abs() < 1e-9);
    }
}

fn the_box_cuts_a_ball_off_and_nothing_within_is_lower() {
    let (graph, weights) = network("linear", "", [1, 4, 5]);
    let net = Net::new(&graph, &weights).unwrap();
    let image = image(2, 20, 0.0, 1.0);
    for (norm, radius) in [(Norm::Linf, 0.3), (Norm::L2, 0.9), (Norm::L2, 100.0), (Norm::L1, 2.5), (Norm::L1, 100.0)] {
        let bound = margins(&net, &Region::new(&image, norm, radius), 0, CHEAP, Arithmetic::Real, false)[0];
        let (row, margin) = difference(&weights, 1, &image);
        let room = |at: usize| f64::from(if row[at] > 0.0 { image[at] } else { 1.0 - image[at] });
        // Points of the form that the optimum has: as steep as a threshold allows, each element as far as it may.
        let mut lowest = f64::INFINITY;
        for step in 0..14_000 {
            let scale = 0.002 * 1.001f64.powi(step);
            let mut moves: Vec<(f64, f64)> = match norm {
                Norm::Linf => (0..20).map(|at| (row[at].abs(), room(at).min(radius))).collect(),
                Norm::L2 => (0..20).map(|at| (row[at].abs(), (row[at].abs() * scale).min(room(at)))).collect(),
                _ => (0..20).map(|at| (row[at].abs(), room(at))).collect(),
            };
            if norm == Norm::L1 {
                moves.sort_by(|(a, _), (b, _)| b.total_cmp(a));
                let mut left = radius;
                for (_, step) in &mut moves {
                    *step = step.min(left);
                    left -= *step;
                }
            }
            let length = moves.iter().map(|(_, step)| step * step).sum::<f64>().sqrt();
            if norm != Norm::L2 || length <= radius {
                lowest = lowest.min(margin - moves.iter().map(|(w, step)| w * step).sum::<f64>());
            }
        }
        assert!(bound <= lowest && lowest - bound < 0.005, "{norm:?} {radius}: the bound {bound}, a point {lowest}");
    }
}

/// x -> relu(W1 x) -> W2, by hand.
fn by_hand() -> Net {
    let mut net = Builder::new([1, 1, 2], 2);
    let flat = net.flatten(Source::Input).unwrap();
    let hidden = net.linear("one", flat, 2, false).unwrap();
    let hidden = net.unary(hidden, Unary::Relu).unwrap();
    let logits = net.linear("two", hidden, 2, false).unwrap();
    let graph = net.finish(logits).unwrap();
    let mut weights = Weights::default();
    weights.0.insert("one.weight".into(), (vec![2, 2], vec![1.0, 1.0, 1.0, -1.0]));
    weights.0.insert("two.weight".into(), (vec![2, 2], vec![1.0, 1.0, 0.0, 2.0]));
    Net::new(&graph, &weights).unwrap()
}

fn a_net_of_two_layers_is_bounded_as_by_hand() {
    // x = (0.5, 0.5), epsilon 0.1: before the rectifiers x1 + x2 lies in [0.8, 1.2], x1 - x2 in [-0.2, 0.2]. The margin is their
    // difference behind the rectifiers, h1 - h2. Boxes: 0.8 - 0.2. Lines: h2 <= (x1 - x2 + 0.2) / 2, so the margin is at least
    // x1 / 2 + 3 x2 / 2 - 0.1 >= 0.7. The truth is 0.8, at (0.4, 0.4).
    let net = by_hand();
    let region = Region::new(&[0.5, 0.5], Norm::Linf, 0.1);
    for (method, expected) in [(Method::Interval, 0.6), (CHEAP, 0.7), (LINEAR, 0.7)] {
        for (arithmetic, tolerance) in [(Arithmetic::Real, 1e-12), (Arithmetic::F32, 1e-5)] {
            let found = margins(&net, &region, 0, method, arithmetic, false);
            assert!(found[0] <= expected && found[0] > expected - tolerance, "{method:?} {arithmetic:?}: {found:?}, not {expected}");
        }
    }
    // The image's own corner: at (0, 1) the box reaches from (0, 0.9) to (0.1, 1), x1 - x2 is below 0, and nothing is lost.
    let corner = Region::new(&[0.0, 1.0], Norm::Linf, 0.1);
    for method in [Method::Interval, LINEAR] {
        let found = margins(&net, &corner, 0, method, Arithmetic::Real, false);
        assert!((found[0] - 0.9).abs() < 1e-12, "{method:?}: {found:?}");
    }
}

/// A network with every kind of step that has a bound.
fn of_everything() -> (Graph, Weights) {
    let mut net = Builder::new([2, 6, 6], 4);
    let scaled = net.normalise(Source::Input, &[0.4, 0.5], &[0.3, 0.2]).unwrap();
    let x = net.conv("conv1", scaled, Conv { padding: [1; 4], ..Conv::new(4, [3, 3]) }).unwrap();
    let x = net.batch_norm("bn", x).unwrap();
    let left = net.unary(x, Unary::Relu).unwrap();
    let right = net.unary(x, Unary::LeakyRelu { slope: 0.1 }).unwrap();
    let y = net.conv("conv2", left, Conv { padding: [1; 4], groups: 2, dilation: [1, 1], ..Conv::new(4, [3, 3]) }).unwrap();
    let y = net.add(y, right).unwrap();
    let y = net.unary(y, Unary::Relu).unwrap();
    let pooled = net.max_pool(y, [3, 3], [2, 2], [1; 4]).unwrap();
    let mean = net.average_pool(y, [2, 2], [2, 2], [0; 4]).unwrap();
    let both = net.concat(&[pooled, mean], 1).unwrap();
    let clipped = net.unary(both, Unary::Clip { min: 0.1, max: 0.8 }).unwrap();
    let padded = net.node("pad", Op::Pad { pads: vec![[0, 0], [0, 0], [1, 0], [0, 1]], mode: PadMode::Constant(0.3) }, &[clipped]).unwrap();
    let turned = net.node("turn", Op::Transpose { axes: vec![0, 1, 3, 2] }, &[padded]).unwrap();
    let shift = net.parameter("shift", &[1, 8, 1, 1], false);
    let shifted = net.node("less", Op::Binary(Binary::Subtract), &[turned, shift]).unwrap();
    let wide = net.conv("conv3", shifted, Conv { dilation: [2, 1], stride: [1, 2], ..Conv::new(6, [2, 2]) }).unwrap();
    let bent = net.unary(wide, Unary::Tanh).unwrap();
    let small = net.adaptive_average_pool(bent, [2, 1]).unwrap();
    let flat = net.flatten(small).unwrap();
    let hidden = net.linear("hidden", flat, 9, true).unwrap();
    let hidden = net.unary(hidden, Unary::Abs).unwrap();
    let logits = net.linear("out", hidden, 4, true).unwrap();
    let graph = net.finish(logits).unwrap();
    let mut weights = initialise(&graph, 11);
    for (at, (shape, numbers)) in weights.0.values_mut().enumerate() {
        let spread = if shape.len() == 1 { 0.2 } else { 1.0 };
        for (place, number) in numbers.iter_mut().enumerate() {
            *number += spread * 0.4 * (uniform(40 + at as u32, place) - 0.3);
        }
    }
    (graph, weights)
}

fn no_point_of_a_region_is_below_its_bound() {
    let nets = [
        ("everything", of_everything(), LINEAR),
        ("mlp", network("mlp", "hidden = 24\nlayers = 3", [1, 5, 5]), LINEAR),
        ("small-cnn", network("small-cnn", "channels = 3\nhidden = 10", [1, 7, 6]), LINEAR),
        ("resnet20", network("resnet20", "", [3, 8, 8]), CHEAP),
    ];
    for (name, (graph, weights), linear) in nets {
        let device = Device::flex();
        let shape = graph.input;
        let features: usize = shape.iter().product();
        let net = Net::new(&graph, &weights).unwrap();
        let run = Network::new(graph, &weights, "the weights", &device).unwrap().frozen(&device).unwrap();
        let logits = |points: Vec<f32>| -> Vec<f32> {
            let count = points.len() / features;
            let points = Tensor::<4>::from_data(TensorData::new(points, [count, shape[0], shape[1], shape[2]]), &device);
            run.forward(points).into_data().try_to_vec().unwrap()
        };
        for (trial, radius) in [(0, 0.0), (1, 0.01), (2, 0.1), (3, 0.6)] {
            let image = image(60 + trial, features, 0.0, 1.0);
            let region = Region::new(&image, Norm::Linf, radius);
            // A corner or a point within: corners are where extremes lie.
            let point = |number: usize| {
                let element = |(at, &x): (usize, &f32)| {
                    let share = uniform(100 + trial * 300 + number as u32, at);
                    let share = if number.is_multiple_of(3) { share } else { share.round() };
                    (x + (2.0 * share - 1.0) * radius as f32).clamp(0.0, 1.0)
                };
                image.iter().enumerate().map(element).collect::<Vec<f32>>()
            };
            let points: Vec<f32> = (0..200).flat_map(point).chain(image.iter().copied()).collect();
            let found = logits(points);
            for (method, arithmetic) in [(Method::Interval, Arithmetic::F32), (CHEAP, Arithmetic::F32), (linear, Arithmetic::F32)] {
                let bounds = margins(&net, &region, 1, method, arithmetic, false);
                for row in found.chunks(4) {
                    for (bound, other) in bounds.iter().zip([0, 2, 3]) {
                        let margin = f64::from(row[1]) - f64::from(row[other]);
                        assert!(margin >= *bound, "{name}, {method:?}, radius {radius}: a point has {margin}, below {bound}");
                    }
                }
                let own = &found[200 * 4..];
                // At a point rounding alone is left; through twenty layers without training even that grows without bound.
                for (bound, other) in bounds.iter().zip([0, 2, 3]).filter(|_| radius == 0.0 && name != "resnet20") {
                    let margin = f64::from(own[1]) - f64::from(own[other]);
                    assert!(margin - bound < 0.02 * (1.0 + margin.abs()), "{name}, {method:?}: {bound} is far below {margin} at a point");
                }
            }
        }
    }
}

fn a_wider_region_is_never_bounded_more_tightly_by_intervals() {
    let (graph, weights) = of_everything();
    let net = Net::new(&graph, &weights).unwrap();
    let image = image(5, 72, 0.0, 1.0);
    let at = |radius: f64, method| margins(&net, &Region::new(&image, Norm::Linf, radius), 1, method, Arithmetic::F32, false);
    let radii = [0.0, 0.003, 0.01, 0.03, 0.1, 0.3];
    for pair in radii.windows(2) {
        let (narrow, wide) = (at(pair[0], Method::Interval), at(pair[1], Method::Interval));
        assert!(narrow.iter().zip(&wide).all(|(narrow, wide)| narrow >= wide), "{narrow:?} {wide:?}");
        // Linear bounds are kept where interval bounds are not better.
        assert!(at(pair[0], LINEAR).iter().zip(&narrow).all(|(linear, interval)| linear >= interval));
    }
}

fn what_has_no_bound_is_named() {
    let mut net = Builder::new([1, 2, 2], 2);
    let flat = net.flatten(Source::Input).unwrap();
    let logits = net.linear("dense", flat, 2, true).unwrap();
    let soft = net.node("the end", Op::Softmax { axis: 1 }, &[logits]).unwrap();
    let graph = net.finish(soft).unwrap();
    let error = Net::new(&graph, &initialise(&graph, 1)).unwrap_err().to_string();
    assert!(error.contains("Softmax") && error.contains("the end"), "{error}");
}

/// auto_LiRPA's bounds on 32 images of each model: `tests/fixtures/certify/lirpa.py` made them.
fn bounds_are_no_looser_than_those_of_auto_lirpa() {
    let Some(folder) = reference() else { return };
    let theirs: Value = serde_json::from_str(include_str!("../fixtures/certify/lirpa.json")).unwrap();
    assert_eq!(theirs["models"].as_object().unwrap().len(), 3);
    for (name, case) in theirs["models"].as_object().unwrap() {
        let images = crate::certify::images(&folder.join(format!("data/{}.npz", case["data"].as_str().unwrap())), 32);
        let spec = ModelSpec { onnx: Some(PathBuf::from(format!("models/{name}.onnx"))), ..ModelSpec::new("onnx", Default::default()) };
        let design = model::source::design(&spec, &folder, images.shape, 10).unwrap();
        let net = Net::new(&design.graph, &design.weights).unwrap();
        let epsilon = case["epsilon"].as_f64().unwrap();
        let numbers = |method: &str, at: usize| -> Vec<f64> { serde_json::from_value(case[method][at].clone()).unwrap() };
        let (mut ours_better, mut all) = (0, 0);
        for at in 0..images.len() {
            let region = Region::new(&images.image(at), Norm::Linf, epsilon);
            let label = images.labels[at];
            // They do not round outwards, and so are compared with the bounds of exact arithmetic.
            for (ours, theirs) in
                margins(&net, &region, label, Method::Interval, Arithmetic::Real, false).iter().zip(numbers("interval", at))
            {
                assert!(*ours >= theirs - 1e-5 * (1.0 + theirs.abs()), "{name}, image {at}: interval {ours}, auto_LiRPA {theirs}");
            }
            for (ours, theirs) in margins(&net, &region, label, LINEAR, Arithmetic::Real, false).iter().zip(numbers("linear", at)) {
                assert!(*ours >= theirs - 0.02 * (1.0 + theirs.abs()), "{name}, image {at}: linear {ours}, CROWN of auto_LiRPA {theirs}");
                (ours_better, all) = (ours_better + usize::from(*ours >= theirs - 1e-6), all + 1);
            }
            // What rounding costs.
            let [real, single] =
                [Arithmetic::Real, Arithmetic::F32].map(|arithmetic| margins(&net, &region, label, LINEAR, arithmetic, false));
            assert!(
                real.iter().zip(&single).all(|(real, single)| single < real && real - single < 0.05 * (1.0 + real.abs())),
                "{real:?} {single:?}"
            );
        }
        assert!(ours_better * 10 >= all * 9, "{name}: {ours_better} of {all} linear bounds are as tight as theirs");
    }
}

fn images(path: &std::path::Path, count: usize) -> gauntlet::data::Dataset {
    let text = format!("{{ source = \"npz\", path = {:?}, examples = {count} }}", path.display().to_string());
    let catalogue = gauntlet::suite::catalogue::catalogue();
    let spec = gauntlet::suite::parse_data(&text, std::path::Path::new(""), &catalogue).unwrap();
    let request = gauntlet::data::Request { options: spec.options, examples: Some(count), ..Default::default() };
    gauntlet::data::load("npz", &request).unwrap()
}
