//! Certificates as users run them: a suite's entries, what stands in results, and attacks that contradict none.

use super::*;

promises! {
    a_suite_certifies_what_it_can_and_no_attack_contradicts_it,
    mistakes_in_a_certificate_are_named,
    on_reference_models_no_attack_breaks_what_is_certain,
}

const SUITE: &str = r#"
title = "Certain and broken"
[data]
source = "digits"
examples = 30
[[threat]]
norm = "linf"
epsilons = [0, 0.02, 0.05, 0.1]
[[threat]]
norm = "l2"
epsilons = [0, 0.1, 0.3]
[[defence]]
name = "affine"
model = { architecture = "linear", seed = 1 }
train = { method = "standard", epochs = 10 }
[[defence]]
name = "trained"
model = { architecture = "small-cnn", seed = 1, channels = 4, hidden = 16 }
train = { method = "pgd", epsilon = 0.1, steps = 3, epochs = 6 }
[[attack]]
kind = "pgd"
steps = 40
[[attack]]
kind = "autoattack"
[[certificate]]
kind = "exact"
[[certificate]]
kind = "interval"
[[certificate]]
kind = "linear"
[[certificate]]
kind = "smoothing"
samples = 500
"#;

fn gauntlet(folder: &TempDir, suite: &str, more: &[&str]) -> (i32, String, Value) {
    fs::write(folder.path().join("suite.toml"), suite).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_gauntlet"));
    let output =
        command.args(["run", "suite.toml", "--device", "cpu", "--out", "out"]).args(more).current_dir(folder.path()).output().unwrap();
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let results = fs::read(folder.path().join("out/results.json")).map_or(Value::Null, |bytes| serde_json::from_slice(&bytes).unwrap());
    (output.status.code().unwrap_or(-1), text, results)
}

fn certified(results: &Value, defence: &str, certificate: &str, norm: &str) -> Vec<f64> {
    let entries = results["certified"].as_array().unwrap().iter();
    let of = entries.filter(|entry| entry["defence"] == defence && entry["certificate"] == certificate && entry["norm"] == norm);
    of.map(|entry| entry["certified_accuracy"].as_f64().unwrap()).collect()
}

/// What no attack broke, by epsilon.
fn standing(results: &Value, defence: &str, norm: &str) -> Vec<f64> {
    let entries = results["worst_case"].as_array().unwrap().iter();
    let of = entries.filter(|entry| entry["defence"] == defence && entry["norm"] == norm);
    of.map(|entry| entry["robust_accuracy"].as_f64().unwrap()).collect()
}

fn alarm<'a>(results: &'a Value, defence: &str) -> &'a Value {
    let mut checks = results["checks"].as_array().unwrap().iter();
    checks.find(|check| check["check"] == "certificate-violated" && check["defence"] == defence).unwrap()
}

fn a_suite_certifies_what_it_can_and_no_attack_contradicts_it() {
    let folder = TempDir::new().unwrap();
    let (_, text, results) = gauntlet(&folder, SUITE, &[]);
    assert_eq!(results["complete"], true, "{text}");
    for defence in ["affine", "trained"] {
        let stands = standing(&results, defence, "linf");
        for certificate in ["interval", "linear"] {
            let certain = certified(&results, defence, certificate, "linf");
            assert_eq!(certain.len(), 4, "{text}");
            assert!(certain.iter().zip(&stands).all(|(certain, stands)| certain <= stands), "{certain:?} {stands:?}");
            assert!(certain.windows(2).all(|pair| pair[0] >= pair[1]) && certain[0] > 0.5, "{certain:?}");
        }
        assert_eq!(alarm(&results, defence)["verdict"], "pass", "{text}");
        assert_eq!(certified(&results, defence, "smoothing", "l2").len(), 3);
    }
    // On an affine map AutoAttack finds what the closed form says is there.
    let (certain, stands) = (certified(&results, "affine", "exact", "linf"), standing(&results, "affine", "linf"));
    assert!(certain.iter().zip(&stands).all(|(certain, stands)| (stands - certain).abs() < 0.04), "{certain:?} {stands:?}");
    let refused = results["uncertified"].as_array().unwrap();
    assert!(refused.len() == 1 && refused[0]["defence"] == "trained" && refused[0]["certificate"] == "exact", "{refused:?}");
    for file in ["certified.csv", "plots/certified-linf-trained.svg", "plots/certified-l2-affine.png"] {
        assert!(folder.path().join("out").join(file).is_file(), "{file}");
    }
    let page = fs::read_to_string(folder.path().join("out/report.html")).unwrap();
    assert!(page.contains("Certified accuracy") && page.contains("is not certifiable by exact"));
    assert!(text.contains("certified accuracy, %, under linf"), "{text}");
    // A second run has nothing to do.
    let (_, again, same) = gauntlet(&folder, SUITE, &[]);
    assert!(again.contains("Nothing to do"), "{again}");
    assert_eq!(same["certified"], results["certified"]);
}

fn mistakes_in_a_certificate_are_named() {
    let folder = TempDir::new().unwrap();
    let wrong = SUITE.replace("kind = \"interval\"", "kind = \"intervals\"").replace("samples = 500", "samples = 0\nnoise = 3");
    let (code, text, _) = gauntlet(&folder, &wrong, &[]);
    assert_eq!(code, 2, "{text}");
    for part in ["did you mean \"interval\"", "samples", "unknown field `noise`"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let alone = SUITE.replace("[[threat]]\nnorm = \"l2\"\nepsilons = [0, 0.1, 0.3]\n", "");
    let (code, text, _) = gauntlet(&folder, &alone, &[]);
    assert!(code == 2 && text.contains("none of the suite's norms"), "{text}");
}

/// 100 images each.
fn on_reference_models_no_attack_breaks_what_is_certain() {
    let Some(at) = reference() else { return };
    for (model, data, epsilons) in [
        ("mnist-cnn-pgd", "mnist-1000", "[0.01, 0.05, 0.1]"),
        ("fashion-cnn-certified", "fashion-1000", "[0.02, 0.1, 0.15]"),
        ("cifar10-cnn-pgd", "cifar10-300", "[0, \"1/255\", \"2/255\"]"),
    ] {
        let folder = TempDir::new().unwrap();
        let at = at.display();
        let suite = format!(
            "title = \"{model}\"\n[data]\nsource = \"npz\"\npath = \"{at}/data/{data}.npz\"\nexamples = 40\n\
             [[threat]]\nnorm = \"linf\"\nepsilons = {epsilons}\n[[defence]]\nname = \"it\"\nmodel = {{ onnx = \"{at}/models/{model}.onnx\" }}\n\
             [[attack]]\nkind = \"pgd\"\nsteps = 40\n[[attack]]\nkind = \"square\"\nqueries = 100\n\
             [[certificate]]\nkind = \"interval\"\n[[certificate]]\nkind = \"linear\"\n"
        );
        let (_, text, results) = gauntlet(&folder, &suite, &[]);
        assert_eq!(alarm(&results, "it")["verdict"], "pass", "{text}");
        let (certain, stands) = (certified(&results, "it", "linear", "linf"), standing(&results, "it", "linf"));
        assert!(certain[0] > 0.4 && certain.iter().zip(&stands).all(|(certain, stands)| certain <= stands), "{certain:?} {stands:?}");
    }
}
