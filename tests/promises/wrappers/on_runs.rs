//! Wrappers and ensembles as a suite has them.

use std::fs;
use std::path::Path;
use std::process::Command;

use gauntlet::evaluate::results::Results;
use gauntlet::report::labels::labelled;
use serde_json::Value;

promises! {
    a_run_shows_what_is_only_apparent,
    mistakes_in_ensembles_and_stacks_come_all_at_once,
}

const SUITE: &str = r#"
title = "Filters and ensembles"

[data]
source = "digits"
examples = 24

[[threat]]
norm = "linf"
epsilons = [0, 0.15]

[[defence]]
name = "bits"
model = { architecture = "mlp", seed = 1, hidden = 32 }
train = { method = "standard", epochs = 8 }
stack = [{ kind = "bit-depth", bits = 2 }]

[[defence]]
name = "bits, unknown"
model = { architecture = "mlp", seed = 1, hidden = 32 }
train = { method = "standard", epochs = 8 }
stack = [{ kind = "bit-depth", bits = 2 }]
adaptive = false

[[defence]]
name = "three"
models = [
    { architecture = "mlp", seed = 1, hidden = 32 },
    { architecture = "mlp", seed = 2, hidden = 32 },
    { architecture = "linear", seed = 3, train = { method = "standard", epochs = 3 } },
]
train = { method = "standard", epochs = 8 }
combine = "vote"

[[defence]]
name = "guarded"
model = { architecture = "mlp", seed = 1, hidden = 32 }
train = { method = "standard", epochs = 8 }
stack = [{ kind = "squeeze-detector", bits = 2, false_positives = 0.1 }]

[[attack]]
kind = "pgd"
steps = 10

[[attack]]
kind = "transfer"
surrogate = "three"
steps = 10
"#;

fn run(root: &Path, suite: &str) -> (Option<i32>, String) {
    fs::write(root.join("suite.toml"), suite).unwrap();
    let arguments = ["run", "suite.toml", "--device", "cpu", "--out", "out", "--weights", "weights"];
    let output = Command::new(env!("CARGO_BIN_EXE_gauntlet")).args(arguments).current_dir(root).output().unwrap();
    (output.status.code(), format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr)))
}

fn a_run_shows_what_is_only_apparent() {
    let folder = tempfile::tempdir().unwrap();
    let (code, said) = run(folder.path(), SUITE);
    assert_eq!(code, Some(0), "what a naive evaluation hides is expected of the control: {said}");
    let results: Value = serde_json::from_slice(&fs::read(folder.path().join("out/results.json")).unwrap()).unwrap();
    let adaptive = |name: &str| {
        let defences = results["defences"].as_array().unwrap();
        defences.iter().find(|defence| defence["name"] == name).unwrap()["adaptive"].as_bool().unwrap()
    };
    assert!(adaptive("bits") && !adaptive("bits, unknown") && adaptive("three"));
    let accuracy = |defence: &str, attack: &str| {
        let of = |cell: &&Value| cell["defence"] == defence && cell["attack"] == attack && cell["epsilon"] == 0.15;
        results["cells"].as_array().unwrap().iter().find(of).unwrap()["robust_accuracy"].as_f64().unwrap()
    };
    assert!(accuracy("bits, unknown", "pgd") > accuracy("bits", "pgd") + 0.2, "{said}");
    let gains = results["apparent_gains"].as_array().unwrap();
    let gain = gains.iter().find(|gain| gain["epsilon"] == 0.15 && gain["attack"] == "pgd").unwrap();
    assert_eq!((&gain["defence"], &gain["unknown"]), (&"bits".into(), &"bits, unknown".into()));
    let both = gain["unknown_accuracy"].as_f64().unwrap() - gain["robust_accuracy"].as_f64().unwrap();
    assert!((gain["gain"].as_f64().unwrap() - both).abs() < 1e-9 && both > 0.2);
    // What crafts elsewhere is no different, and it is part of the worst case.
    let by = |attack: &str| gains.iter().find(|gain| gain["attack"] == attack).unwrap()["gain"].as_f64().unwrap();
    assert!(by("transfer") == 0.0 && by("worst case") <= both);
    // A transfer from the ensemble to itself is its own attack's last points; elsewhere it is weaker than the attack that knows.
    assert!(accuracy("bits", "transfer") >= accuracy("bits", "pgd") && accuracy("three", "transfer") < 1.0);
    let page = fs::read_to_string(folder.path().join("out/report.html")).unwrap();
    for text in [&said, &page] {
        assert!(text.contains("bits, unknown (attacks do not know it)") && text.to_lowercase().contains("only apparent"), "{said}");
    }
    // Whatever is looked up by a defence's name is found by the name that is shown.
    let whole: Results = serde_json::from_value(results.clone()).unwrap();
    let shown = labelled(&whole);
    let known = |name: &String| shown.defences.iter().any(|defence| defence.name == *name);
    assert!(!whole.groups.is_empty() && shown.groups.iter().all(|group| known(&group.recipe)));
    assert!(shown.timing.defences.len() == shown.defences.len() && shown.timing.defences.iter().all(|timing| known(&timing.defence)));
    assert!(shown.checks.iter().all(|check| known(&check.defence)) && shown.cells.iter().all(|cell| known(&cell.defence)));
    let csv = fs::read_to_string(folder.path().join("out/results.csv")).unwrap();
    for line in csv.lines().skip(1) {
        assert_eq!(line.ends_with(",false"), line.contains("bits, unknown"), "{line}");
    }
    assert!(said.contains("guarded: threshold") && said.contains("three [3]"), "{said}");
    let rejections =
        results["checks"].as_array().unwrap().iter().find(|check| check["defence"] == "guarded" && check["check"] == "rejections");
    assert!(rejections.unwrap()["detail"].as_str().unwrap().contains("of 24 clean examples are rejected"));
    // Members of the same recipe are trained once.
    assert_eq!(fs::read_dir(folder.path().join("weights")).unwrap().count(), 3, "{said}");
}

fn mistakes_in_ensembles_and_stacks_come_all_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let wrong = SUITE
        .replace("combine = \"vote\"", "combine = \"vot\"")
        .replace("bits = 2, false_positives = 0.1", "bits = 0, window = 0")
        .replace("surrogate = \"three\"", "surrogate = \"thre\"")
        .replace("adaptive = false", "adaptive = \"no\"")
        .replace("name = \"bits\"\n", "name = \"bits\"\ncombine = \"vote\"\n");
    let (code, said) = run(folder.path(), &wrong);
    assert_eq!(code, Some(2), "{said}");
    let joined = said.split_whitespace().collect::<Vec<_>>().join(" ");
    for part in ["\"vot\"", "both squeezers are off", "\"thre\"", "true or false", "`combine`"] {
        assert!(joined.contains(part), "{part} is missing in {said}");
    }
    assert!(!folder.path().join("out").exists());
}
