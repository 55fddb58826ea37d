//! The same numbers as other implementations on real models: clean and robust accuracies of the reference folder, measured with Foolbox
//! and with AutoAttack's authors' own code. Few examples or few epsilons of each, so that it takes seconds.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use super::reference::reference;

promises! {
    fgsm_breaks_the_very_examples_that_foolbox_breaks,
    pgd_judged_at_its_last_iterate_is_within_a_point_of_foolbox,
    autoattack_leaves_what_the_original_leaves,
}

/// A model's run: what was attacked, and what is expected to be called what.
struct Case {
    model: &'static str,
    data: &'static str,
    examples: usize,
    norm: &'static str,
    epsilons: &'static str,
    attack: &'static str,
    /// The attack's name in the reference.
    named: &'static str,
}

const FGSM: &str = "kind = \"fgsm\"";
const PGD: &str = "kind = \"pgd\"\nsteps = 40\nstop = \"last\"";
const AUTOATTACK: &str = "kind = \"autoattack\"";

fn case(model: &'static str, data: &'static str, examples: usize, norm: &'static str, epsilons: &'static str) -> Case {
    Case { model, data, examples, norm, epsilons, attack: FGSM, named: "FGSM" }
}

/// Runs the case and gives, an epsilon each, our and their clean and robust accuracy.
fn both(case: &Case, folder: &Path) -> Vec<[f64; 4]> {
    let place = TempDir::new().unwrap();
    let Case { model, data, examples, norm, epsilons, attack, named } = case;
    let at = folder.display();
    let suite = format!(
        "title = \"{model}\"\n[data]\nsource = \"npz\"\npath = \"{at}/data/{data}.npz\"\nexamples = {examples}\n\
         [[threat]]\nnorm = \"{norm}\"\nepsilons = {epsilons}\nsweep = \"exhaustive\"\n\
         [[defence]]\nname = \"it\"\nmodel = {{ onnx = \"{at}/models/{model}.onnx\" }}\n[[attack]]\n{attack}\n"
    );
    fs::write(place.path().join("suite.toml"), suite).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_gauntlet"));
    command.args(["run", "suite.toml", "--device", "cpu", "--quiet", "--out", "out"]).current_dir(place.path());
    let output = command.output().unwrap();
    // A check may well say no of a single attack.
    assert!(matches!(output.status.code(), Some(0 | 1)), "{}", String::from_utf8_lossy(&output.stderr));
    let results: Value = serde_json::from_slice(&fs::read(place.path().join("out/results.json")).unwrap()).unwrap();
    let expected: Value = serde_json::from_slice(&fs::read(folder.join("expected.json")).unwrap()).unwrap();
    let number = |value: &Value, name: &str| value[name].as_f64().unwrap_or(f64::NAN);
    let cells = results["cells"].as_array().unwrap();
    let pair = |cell: &Value| {
        let same = |row: &&Value| {
            row["model"] == **model
                && row["attack"] == **named
                && row["norm"] == **norm
                && row["examples"] == *examples
                && (number(row, "epsilon") - number(cell, "epsilon")).abs() < 1e-6
        };
        let row = expected.as_array().unwrap().iter().find(same).unwrap_or_else(|| panic!("no reference for {cell}"));
        let of = |value: &Value| [number(value, "clean_accuracy"), number(value, "robust_accuracy")];
        let ([clean, robust], [their_clean, their_robust]) = (of(cell), of(row));
        [clean, their_clean, robust, their_robust]
    };
    cells.iter().map(pair).collect()
}

/// Asserts that all cells' robust accuracies are at most so far above and below the reference, or one example.
fn within(cases: &[Case], above: f64, below: f64) {
    let Some(folder) = reference() else { return };
    for case in cases {
        let one = 1.0 / case.examples as f64;
        // The reference has four digits.
        let rounding = 1e-4;
        for [clean, their_clean, robust, their_robust] in both(case, &folder) {
            let place = format!("{} {} {}", case.model, case.named, case.norm);
            assert!((clean - their_clean).abs() <= one + rounding, "{place}: clean {clean}, theirs {their_clean}");
            assert!(robust - their_robust <= above.max(one) + rounding, "{place}: robust {robust}, theirs {their_robust}");
            assert!(their_robust - robust <= below.max(one) + rounding, "{place}: robust {robust}, theirs {their_robust}");
        }
    }
}

fn fgsm_breaks_the_very_examples_that_foolbox_breaks() {
    let cases = [
        case("mnist-cnn-pgd", "mnist-1000", 1000, "linf", "[0.1, 0.2, 0.3]"),
        case("fashion-cnn-certified", "fashion-1000", 1000, "l2", "[1, 2]"),
        case("cifar10-resnet2b-pgd", "cifar10-300", 300, "linf", "[\"2/255\", \"4/255\", \"8/255\"]"),
    ];
    within(&cases, 0.0, 0.0);
}

fn pgd_judged_at_its_last_iterate_is_within_a_point_of_foolbox() {
    let pgd = |case: Case| Case { attack: PGD, named: "PGD40", ..case };
    let cases = [
        pgd(case("cifar10-resnet2b-pgd", "cifar10-300", 300, "linf", "[\"4/255\"]")),
        pgd(case("fashion-cnn-certified", "fashion-1000", 1000, "linf", "[0.2]")),
    ];
    within(&cases, 0.01, 0.01);
}

fn autoattack_leaves_what_the_original_leaves() {
    let autoattack = |case: Case| Case { attack: AUTOATTACK, named: "AA-standard", ..case };
    let cases = [
        autoattack(case("fashion-cnn-certified", "fashion-1000", 256, "linf", "[0.3]")),
        autoattack(case("mnist-cnn-pgd", "mnist-1000", 128, "l1", "[10]")),
    ];
    within(&cases, 0.002, 0.01);
}
