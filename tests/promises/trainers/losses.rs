//! Losses and their gradients against values of the authors' code in PyTorch 2.15 (double precision).

use gauntlet::defence::{loss, perturbation};
use gauntlet::graph::{Builder, Graph, Unary, interval};
use gauntlet::model::Network;

use super::*;

promises! {
    trades_and_mart_are_those_of_their_authors,
    the_weight_perturbation_is_that_of_its_authors,
    interval_margins_and_their_gradients_are_pytorchs,
    interval_margins_hold_at_every_point_of_the_box,
    a_network_without_intervals_is_refused_by_its_nodes,
}

const CLEAN: [f32; 12] = [2.0, -1.0, 0.5, 0.1, 0.2, -0.3, -1.5, 0.3, 1.2, 0.0, 3.0, -2.0];
const ADVERSARIAL: [f32; 12] = [0.5, 1.0, 0.2, -0.2, 0.4, 0.1, 0.3, 0.1, -0.6, 1.0, 0.5, 0.8];

fn labels(labels: &[i32]) -> Tensor<1, Int> {
    Tensor::from_data(labels, &Device::flex())
}

fn matrix(numbers: &[f32], columns: usize) -> Tensor<2> {
    Tensor::<1>::from_data(numbers, &Device::flex()).reshape([numbers.len() / columns, columns])
}

fn numbers<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_to_vec().unwrap()
}

fn close(found: &[f32], wanted: &[f64]) {
    assert_eq!(found.len(), wanted.len());
    for (found, wanted) in found.iter().zip(wanted) {
        assert!((f64::from(*found) - wanted).abs() < 2e-6 * (1.0 + wanted.abs()), "{found} is not {wanted}");
    }
}

/// A loss of clean and adversarial logits, and its gradients with respect to both.
fn with_gradients(of: impl Fn(Tensor<2>, Tensor<2>, Tensor<1, Int>) -> Tensor<1>) -> (f32, [Vec<f32>; 2]) {
    let [clean, adversarial] = [CLEAN, ADVERSARIAL].map(|logits| matrix(&logits, 3).autodiff().require_grad());
    let loss = of(clean.clone(), adversarial.clone(), labels(&[0, 1, 2, 1]));
    let mut gradients = loss.backward();
    let value = numbers(loss.inner())[0];
    (value, [clean, adversarial].map(|logits| numbers(logits.grad_remove(&mut gradients).unwrap())))
}

fn trades_and_mart_are_those_of_their_authors() {
    let (value, [clean, adversarial]) = with_gradients(|clean, adversarial, labels| {
        loss::cross_entropy(clean.clone(), labels) + loss::divergence(clean, adversarial) * 6.0
    });
    close(&[value], &[4.166657834808944]);
    close(
        &clean,
        &[
            0.3555882, -0.1751905, -0.1803977, 0.2890414, -0.2292019, -0.0598395, -0.193424, -0.3425384, 0.5359624, -0.2215697, 0.268775,
            -0.0472053,
        ],
    );
    close(
        &adversarial,
        &[
            -0.7358576, 0.6709529, 0.0649046, -0.1809032, 0.0578437, 0.1230595, 0.6056649, 0.1380745, -0.7437394, 0.5478049, -1.0446155,
            0.4968106,
        ],
    );
    let (value, [clean, adversarial]) = with_gradients(|clean, adversarial, labels| {
        let fitted = loss::cross_entropy(adversarial.clone(), labels.clone());
        let boosted = loss::boosted(adversarial.clone(), labels.clone(), fitted);
        boosted + loss::misclassification_aware(clean, adversarial, labels) * 6.0
    });
    close(&[value], &[2.500357256735269]);
    close(
        &clean,
        &[
            -0.0719798, -0.0105225, 0.0825023, 0.1282212, -0.0615574, -0.0666638, -0.0330542, 0.0660858, -0.0330317, 0.063265, -0.0709057,
            0.0076407,
        ],
    );
    close(
        &adversarial,
        &[
            -0.4038545, 0.387038, 0.0168165, -0.0776039, -0.1582195, 0.2358234, 0.4193718, 0.0613132, -0.480685, 0.2354539, -0.2872255,
            0.0517716,
        ],
    );
    // Soft targets that are hard are labels.
    let hard = loss::one_hot(labels(&[0, 1, 2, 1]), 3);
    let (soft, _) = with_gradients(|clean, adversarial, _| {
        loss::soft_cross_entropy(adversarial, hard.clone()) + loss::soft_cross_entropy(clean, hard.clone()) * 0.0
    });
    close(&[soft], &[1.2837288699976401]);
}

fn the_weight_perturbation_is_that_of_its_authors() {
    let weight = [0.5, -1.0, 2.0, 0.25, -0.75, 1.5];
    let flat = Tensor::<1>::from_data(weight.as_slice(), &Device::flex());
    let tracked = matrix(&weight, 2).autodiff().require_grad();
    let bias = matrix(&[0.1, -0.2, 0.3], 3).autodiff();
    let inputs = matrix(&[0.2, 0.9, 0.7, 0.4], 2).autodiff();
    let logits = |weight: Tensor<2>| inputs.clone().matmul(weight.transpose()) + bias.clone();
    let loss = |weight: Tensor<2>| loss::cross_entropy(logits(weight), labels(&[1, 2]));
    let mut gradients = loss(tracked.clone()).backward();
    let gradient = tracked.grad_remove(&mut gradients).unwrap().reshape([6]);
    let change = perturbation(flat.clone(), gradient, 0.01);
    close(
        &numbers(change.clone()),
        &[
            0.005094719110066686,
            0.0051835778794494325,
            0.009964951873028772,
            -0.01708567837269203,
            -0.015059670983095456,
            0.011902100493243228,
        ],
    );
    close(&numbers(loss((flat + change.clone()).reshape([3, 2]).autodiff()).inner()), &[1.4575471144709322]);
    // Where there is nowhere to go, nothing moves.
    assert_eq!(numbers(perturbation(change.clone(), change.zeros_like(), 0.01)), [0.0; 6]);
}

/// Two inputs, three hidden units, two logits.
fn two_layers() -> (Graph, Weights) {
    let mut net = Builder::new([2, 1, 1], 2);
    let flat = net.flatten(net.input()).unwrap();
    let hidden = net.linear("one", flat, 3, true).unwrap();
    let hidden = net.unary(hidden, Unary::Relu).unwrap();
    let logits = net.linear("two", hidden, 2, true).unwrap();
    let graph = net.finish(logits).unwrap();
    let tensors: [(&str, Vec<usize>, Vec<f32>); 4] = [
        ("one.weight", vec![3, 2], vec![0.5, -1.0, 1.5, 0.25, -0.75, 1.0]),
        ("one.bias", vec![3], vec![0.1, -0.2, 0.05]),
        ("two.weight", vec![2, 3], vec![1.0, -0.5, 0.25, -0.75, 0.5, 1.0]),
        ("two.bias", vec![2], vec![0.2, -0.1]),
    ];
    (graph, Weights(tensors.into_iter().map(|(name, shape, numbers)| (name.to_owned(), (shape, numbers))).collect()))
}

fn interval_margins_and_their_gradients_are_pytorchs() {
    use burn::module::Module;
    let (graph, weights) = two_layers();
    let network = Network::new(graph, &weights, "the test", &Device::flex()).unwrap();
    let learner = network.to_device(&Device::flex().autodiff()).train();
    let x = matrix(&[0.2, 0.9, 0.7, 0.4], 2);
    let [lower, upper] = [-0.1f32, 0.1].map(|change| (x.clone() + change).clamp(0.0, 1.0).reshape([2, 2, 1, 1]).autodiff());
    let margins = learner.worst_margins(lower, upper, labels(&[1, 0]).autodiff());
    close(&numbers(margins.clone().inner()), &[-0.31875, 0.0, 0.0, 0.9]);
    let loss = loss::cross_entropy(margins, labels(&[1, 0]));
    let mut gradients = loss.backward();
    close(&numbers(loss.inner()), &[0.8937864235030817]);
    let found: Vec<Vec<f32>> = learner.gradients(&mut gradients).into_iter().map(|gradient| numbers(gradient.unwrap())).collect();
    // Dense weights are kept as [in, out].
    close(&found[0], &[0.0, 0.2633307804200272, 0.11260334167318367, 0.0, 0.009345210616456504, 0.007008907962342367]);
    close(&found[1], &[0.0, 0.1449845450127589, 0.10873840875956914]);
    close(&found[2], &[0.0, 0.0, -0.3683355642816032, 0.3683355642816032, 0.09600890380608917, -0.09600890380608917]);
    close(&found[3], &[-0.1449845450127589, 0.1449845450127589]);
}

/// Networks with every operation that intervals are taken through.
const NETWORKS: [&str; 4] = [
    SMALL,
    "{ architecture = \"resnet20\", width = 4 }",
    "{ layers = [{ kind = \"conv\", out = 4, kernel = 3 }, { kind = \"batch-norm\" }, { kind = \"leaky-relu\" }, { kind = \"max-pool\", kernel = 2 }, \
     { kind = \"flatten\" }, { kind = \"dropout\" }, { kind = \"dense\", out = 10 }, { kind = \"tanh\" }] }",
    "{ layers = [{ kind = \"average-pool\", kernel = 2 }, { kind = \"conv\", out = 4, kernel = 3, stride = 2 }, { kind = \"elu\" }, \
     { kind = \"global-average-pool\" }, { kind = \"flatten\" }, { kind = \"dense\", out = 10 }], normalize = { mean = [0.3], std = [0.2] } }",
];

fn interval_margins_hold_at_every_point_of_the_box() {
    let test = digits("test").limit(16);
    let inputs = gauntlet::engine::drive::send(&test, &Device::flex());
    let classes: Vec<i32> = test.labels.iter().map(|&label| label as i32).collect();
    for table in NETWORKS {
        let classifier = network(table, 3);
        interval::check(classifier.network.graph()).unwrap();
        let oracle = Oracle::new(classifier.clone(), Device::flex());
        let end = |change: f32| (inputs.clone() + change).clamp(0.0, 1.0);
        let images = |inputs: Tensor<2>| inputs.reshape([16, 1, 8, 8]);
        let worst = numbers(classifier.network.worst_margins(images(end(-0.05)), images(end(0.05)), labels(&classes)));
        for draw in 0..20u32 {
            let share = |at: usize| ((at as u32).wrapping_mul(2_654_435_761).wrapping_add(draw.wrapping_mul(40_503)) >> 16 & 1) as f32;
            let corners: Vec<f32> = (0..16 * 64).map(share).collect();
            let corners = matrix(&corners, 64);
            let points = end(-0.05) * corners.clone() + end(0.05) * (corners.neg() + 1.0);
            let logits = numbers(oracle.logits(points, &Draw::none(16)));
            for (row, (logits, worst)) in logits.chunks(10).zip(worst.chunks(10)).enumerate() {
                let own = logits[test.labels[row] as usize];
                for (logit, worst) in logits.iter().zip(worst) {
                    assert!(logit - own <= worst + 1e-4, "{table}: {logit} - {own} is above {worst}");
                }
            }
        }
        // A box of one point has the margins of that point.
        let point = numbers(classifier.network.worst_margins(images(inputs.clone()), images(inputs.clone()), labels(&classes)));
        let logits = numbers(oracle.logits(inputs.clone(), &Draw::none(16)));
        for (row, (logits, margins)) in logits.chunks(10).zip(point.chunks(10)).enumerate() {
            let wanted: Vec<f64> = logits.iter().map(|logit| f64::from(logit - logits[test.labels[row] as usize])).collect();
            assert!(margins.iter().zip(&wanted).all(|(found, wanted)| (f64::from(*found) - wanted).abs() < 1e-4), "{table}");
        }
    }
}

fn a_network_without_intervals_is_refused_by_its_nodes() {
    let table = "{ layers = [{ kind = \"flatten\" }, { kind = \"dense\", out = 16 }, { kind = \"gelu\" }, { kind = \"layer-norm\" }, \
                 { kind = \"dense\", out = 10 }] }";
    let graph = network(table, 1).network.graph().clone();
    let row = TRAINERS.iter().find(|row| row.entry.name == "ibp").unwrap();
    let text = format!("{:?}", row.fits(&graph).unwrap_err());
    assert!(text.contains("\"2\" (Gelu)") && text.contains("\"3\" (LayerNorm)"), "{text}");
    assert!(TRAINERS.iter().filter(|row| row.entry.name != "ibp").all(|row| row.fits(&graph).is_ok()));
}
