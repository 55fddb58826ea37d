//! Randomised smoothing: exact bounds, the closed form on a linear classifier, abstention, seeds.

use burn::tensor::Device;
use gauntlet::certify::smoothing::radius;
use gauntlet::certify::{CERTIFIERS, Certificate, Certifier, Example, Setting, Subject};
use gauntlet::engine::oracle::Oracle;
use gauntlet::evaluate::interval::clopper_pearson_lower;
use gauntlet::graph::Graph;
use gauntlet::model::{Classifier, Weights};
use gauntlet::suite::{WrapperSpec, parse_options};
use gauntlet::threat::Norm;

promises! {
    the_bound_of_a_share_is_the_exact_one,
    radii_are_those_of_the_paper,
    a_linear_classifier_is_certified_up_to_its_distance_and_no_further,
    near_the_boundary_nothing_is_said,
    votes_depend_on_the_seed_and_not_on_the_batch,
    a_wrapper_that_is_not_smoothing_is_refused,
}

/// SciPy's beta.ppf(alpha, k, n - k + 1).
fn the_bound_of_a_share_is_the_exact_one() {
    let known = [
        (99, 100, 0.999, 0.9113731112960424),
        (60, 100, 0.95, 0.5129758202538943),
        (990, 1000, 0.999, 0.9760361871553114),
        (50_100, 100_000, 0.999, 0.496108985583011),
        (1, 10, 0.95, 0.005116196891823701),
        (100_000, 100_000, 0.999, 0.9999309248330094),
    ];
    for (votes, samples, confidence, expected) in known {
        let found = clopper_pearson_lower(votes, samples, confidence);
        assert!((found - expected).abs() < 1e-7, "{votes} of {samples}: {found}, not {expected}");
    }
    assert_eq!(clopper_pearson_lower(0, 10, 0.999), 0.0);
}

/// Cohen et al. 2019: with n = 100,000 and alpha = 0.001 no radius exceeds about 3.8 sigma.
fn radii_are_those_of_the_paper() {
    let most = radius(100_000, 100_000, 0.001, 0.5).unwrap();
    assert!((most - 0.5 * 3.811).abs() < 0.001, "{most}");
    assert_eq!(radius(500, 1000, 0.001, 0.5), None);
    assert_eq!(radius(540, 1000, 0.001, 0.5), None);
    assert!(radius(560, 1000, 0.001, 0.5).is_some());
}

/// Two logits, w x + b and 0; the boundary's distance from x is |w x + b| / |w|.
fn plane(bias: f32) -> (Graph, Weights) {
    let (graph, mut weights) = super::network("linear", "", [1, 2, 4]);
    let graph = Graph { classes: 4, ..graph };
    let row = [0.6f32, 0.0, -0.8, 0.0, 0.0, 0.0, 0.0, 0.0];
    let mut rows = vec![0.0; 32];
    rows[..8].copy_from_slice(&row);
    weights.0.insert("dense.weight".into(), (vec![4, 8], rows));
    weights.0.insert("dense.bias".into(), (vec![4], vec![bias, 0.0, -9.0, -9.0]));
    (graph, weights)
}

fn certify(bias: f32, options: &str, slots: usize, key: [u32; 2]) -> Certificate {
    let (graph, weights) = plane(bias);
    let row = CERTIFIERS.iter().find(|row| row.entry.name == "smoothing").unwrap();
    let device = Device::flex();
    let base = Oracle::new(Classifier::from_graph(graph.clone(), &weights, &device).unwrap(), device);
    let subject = Subject { graph: &graph, weights: &weights, stack: &[] };
    let options = parse_options(&row.entry, options).unwrap();
    let certifier: Box<dyn Certifier> = (row.build)(&subject, &options, &Setting { base, slots, key }).unwrap();
    let example = Example { id: 4, image: &[0.5; 8], label: 0 };
    certifier.certify(&[example], Norm::L2, &[]).unwrap()[0]
}

fn a_linear_classifier_is_certified_up_to_its_distance_and_no_further() {
    // w x = -0.1, |w| = 1: with bias 0.4 the boundary is 0.3 away.
    for sigma in [0.2, 0.4] {
        let found = certify(0.4, &format!("sigma = {sigma}\nsamples = 20000"), 500, [1, 2]);
        let radius = found.radius.unwrap();
        assert!(radius <= 0.3 && radius > 0.28, "sigma {sigma}: {radius}");
    }
}

fn near_the_boundary_nothing_is_said() {
    let found = certify(0.1, "samples = 1000", 100, [1, 2]);
    assert!(found.abstained && found.radius.is_none(), "{found:?}");
    // On the other side the class is certain, and the wrong one.
    let found = certify(-0.4, "samples = 1000", 100, [1, 2]);
    assert!(!found.abstained && found.radius.is_none(), "{found:?}");
}

fn votes_depend_on_the_seed_and_not_on_the_batch() {
    let once = certify(0.3, "samples = 700", 64, [1, 2]);
    assert_eq!(once, certify(0.3, "samples = 700", 64, [1, 2]));
    assert_eq!(once, certify(0.3, "samples = 700", 33, [1, 2]));
    assert_ne!(once, certify(0.3, "samples = 700", 64, [1, 3]));
}

fn a_wrapper_that_is_not_smoothing_is_refused() {
    let (graph, weights) = plane(0.0);
    for row in CERTIFIERS {
        let stack = [WrapperSpec { kind: "bit-depth".into(), options: Default::default() }];
        let error = (row.handles)(&Subject { graph: &graph, weights: &weights, stack: &stack }).unwrap_err();
        assert!(error.to_string().contains("bit-depth"), "{error}");
        let bare = Subject { graph: &graph, weights: &weights, stack: &[] };
        assert!((row.handles)(&bare).is_ok(), "{}", row.entry.name);
    }
}
