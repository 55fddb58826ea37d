//! Checks as a run's user meets them: in the terminal, in results.json, in the report, in the exit code, and with `--harden`.

use super::*;

promises! {
    a_run_prints_what_speaks_against_it_and_a_fail_is_exit_code_1,
    a_control_that_attacks_do_not_know_fails_no_run,
    checks_left_out_are_said_and_made_up_for,
    hardening_adds_what_the_checks_ask_for_and_says_so,
    the_quick_suite_fails_no_check,
    a_masked_gradient_is_seen_from_pgd_with_square_or_noise_beside_it,
}

/// Defensive distillation, whose softmax saturates: cross-entropy has no gradient, and attacks know everything about it.
const SUITE: &str = r#"
title = "A defence that hides its gradient"

[data]
source = "digits"
examples = 24

[[threat]]
norm = "linf"
epsilons = [0, 0.1]

[[defence]]
name = "distilled"
model = { architecture = "mlp", seed = 1, hidden = 32 }
train = { method = "distillation", temperature = 100, epochs = 40, learning_rate = 0.01 }

[[attack]]
kind = "pgd"
steps = 5
"#;

/// The same suite about a random defence, attacked as if it were not there.
fn control() -> String {
    let distilled = r#"train = { method = "distillation", temperature = 100, epochs = 40, learning_rate = 0.01 }"#;
    let resized =
        "train = { method = \"standard\", epochs = 15 }\nstack = [{ kind = \"random-resize\", smallest = 0.9 }]\nadaptive = false";
    assert!(SUITE.contains(distilled));
    SUITE.replace(distilled, resized)
}

fn run(root: &Path, arguments: &[&str], code: i32) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_gauntlet")).args(arguments).current_dir(root).output().unwrap();
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "{text}");
    text
}

fn results(root: &Path) -> Value {
    serde_json::from_slice(&fs::read(root.join("out/results.json")).unwrap()).unwrap()
}

fn check<'a>(results: &'a Value, name: &str) -> &'a Value {
    results["checks"].as_array().unwrap().iter().find(|check| check["check"] == name).unwrap()
}

fn suite(text: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("suite.toml"), text).unwrap();
    folder
}

const RUN: [&str; 6] = ["run", "suite.toml", "--device", "cpu", "--out", "out"];

fn a_run_prints_what_speaks_against_it_and_a_fail_is_exit_code_1() {
    let folder = suite(SUITE);
    let said = run(folder.path(), &RUN, 1);
    let first = results(folder.path());
    assert_eq!(first["checks"].as_array().unwrap().len(), CHECKS.len());
    assert_eq!(check(&first, "zero-gradients")["verdict"], "fail");
    assert!(first.get("hardened").is_none());
    let count = |verdict: &str| first["checks"].as_array().unwrap().iter().filter(|check| check["verdict"] == verdict).count();
    let counts = ["fail", "warn", "pass", "skip"].map(|verdict| format!("{} {verdict}", count(verdict))).join(", ");
    for part in [&format!("checks: {counts}; all of them"), "report.html#checks", "FAIL  zero-gradients", "loss = \"margin\""] {
        assert!(said.contains(part), "{part} is missing in {said}");
    }
    assert!(!said.contains("PASS") && !said.contains("SKIP"), "{said}");
    assert!(said.lines().all(|line| line.chars().count() <= 120), "{said}");
    let table = said.split("what all attacks together leave").nth(1).expect("a table of the defences at the end");
    assert!(table.lines().nth(2).is_some_and(|row| row.starts_with("distilled (checks fail)")), "{table}");
    let page = fs::read_to_string(folder.path().join("out/report.html")).unwrap();
    for row in CHECKS {
        assert!(page.contains(row.name), "{} is in the report", row.name);
    }
    // Costs of the checks are theirs alone.
    let cost = |results: &Value| results["cells"].as_array().unwrap().iter().map(|cell| cell["forwards"].as_u64().unwrap()).sum::<u64>();
    assert!(check(&first, "unstable-predictions")["forwards"].as_u64().unwrap() > 0 && cost(&first) <= 24 * 6);
    let again = run(folder.path(), &RUN, 1);
    assert!(again.contains("Nothing to do") && again.contains("FAIL  zero-gradients"), "{again}");
    assert_eq!(results(folder.path())["checks"], first["checks"]);
}

fn a_control_that_attacks_do_not_know_fails_no_run() {
    let folder = suite(&control());
    let said = run(folder.path(), &RUN, 0);
    let found = results(folder.path());
    let random = check(&found, "random-output");
    assert_eq!(random["verdict"], "warn");
    let detail = random["detail"].as_str().unwrap();
    assert!(detail.starts_with(checks::EXPECTED) && !detail.contains("eot"), "no remedy that it is not to have: {detail}");
    assert!(said.contains("as expected of a control that attacks do not know") && said.contains("random-output"), "{said}");
    assert!(!said.contains("FAIL") && !said.contains("checks fail"), "{said}");
    // Nothing is added for it either.
    let harden = [&RUN[..], &["--harden"]].concat();
    assert!(!run(folder.path(), &harden, 0).contains("random-output on"));
}

fn checks_left_out_are_said_and_made_up_for() {
    let folder = suite(SUITE);
    let without = [&RUN[..], &["--no-checks"]].concat();
    let said = run(folder.path(), &without, 0);
    assert!(said.contains("checks of distilled: none were run (--no-checks)"), "{said}");
    let unchecked = results(folder.path());
    assert_eq!((&unchecked["complete"], unchecked["checks"].as_array().unwrap().len()), (&Value::Bool(true), 0));
    let page = fs::read_to_string(folder.path().join("out/report.html")).unwrap();
    assert!(page.contains("No checks were run"));
    assert!(run(folder.path(), &without, 0).contains("Nothing to do"));
    // Asked for later, they are run, and the attacks are not run again.
    let said = run(folder.path(), &RUN, 1);
    assert!(said.contains("FAIL  zero-gradients") && !said.contains("Nothing to do"), "{said}");
    let checked = results(folder.path());
    assert_eq!(checked["checks"].as_array().unwrap().len(), CHECKS.len());
    assert_eq!(checked["cells"], unchecked["cells"]);
    // Once there, they stay.
    assert!(run(folder.path(), &without, 1).contains("FAIL  zero-gradients"));
}

fn hardening_adds_what_the_checks_ask_for_and_says_so() {
    let folder = suite(SUITE);
    run(folder.path(), &RUN, 1);
    let harden = [&RUN[..], &["--harden"]].concat();
    let output = Command::new(env!("CARGO_BIN_EXE_gauntlet")).args(&harden).current_dir(folder.path()).output().unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let hardened = results(folder.path());
    assert_eq!(hardened["complete"], true, "{said}");
    let entries: Vec<&str> = hardened["hardened"].as_array().unwrap().iter().map(|entry| entry["name"].as_str().unwrap()).collect();
    assert!(entries.contains(&"pgd-hardened") && entries.contains(&"square-hardened"), "{entries:?}");
    assert!(said.contains("--harden adds pgd-hardened") && said.contains("for zero-gradients on distilled"), "{said}");
    assert!(hardened["cells"].as_array().unwrap().iter().any(|cell| cell["attack"] == "pgd-hardened" && cell["epsilon"] == 0.1));
    assert_eq!(check(&hardened, "zero-gradients")["verdict"], "warn", "the checks were run again: {said}");
    assert_ne!(check(&hardened, "score-beats-white-box")["verdict"], "skip");
    let page = fs::read_to_string(folder.path().join("out/report.html")).unwrap();
    assert!(page.contains("Added by <code>--harden</code>: <strong>pgd-hardened</strong>"));
    let suite = fs::read_to_string(folder.path().join("out/suite.toml")).unwrap();
    assert!(suite.contains("name = \"pgd-hardened\""), "{suite}");
    // A run that goes on has them without asking.
    let code = output.status.code().unwrap();
    assert!(run(folder.path(), &RUN, code).contains("Nothing to do"));
    assert_eq!(results(folder.path()), hardened);
    assert!(run(folder.path(), &harden, code).contains("Nothing to do"));
}

fn the_quick_suite_fails_no_check() {
    let folder = tempfile::tempdir().unwrap();
    let quick = Path::new(env!("CARGO_MANIFEST_DIR")).join("suites/quick.toml");
    fs::copy(quick, folder.path().join("suite.toml")).unwrap();
    let fewer = ["--limit", "100", "--set", "threat.linf.epsilons=[0, 0.1, 0.2]", "--set", "defence.pgd-trained.train.epochs=8"];
    let said = run(folder.path(), &[&RUN[..], &fewer].concat(), 0);
    assert_eq!(said.matches("0 fail,").count(), 3, "a note a defence, and all together: {said}");
}

/// A real network, trained under l-infinity, whose gradients lead nowhere under l2: PGD leaves 83 % at 2.0, AutoAttack 4 %.
fn a_masked_gradient_is_seen_from_pgd_with_square_or_noise_beside_it() {
    let Some(reference) = crate::reference::reference() else { return };
    for beside in ["kind = \"square\"\nqueries = 1000", "kind = \"noise\"\ndraws = 10"] {
        let folder = tempfile::tempdir().unwrap();
        let (model, data) = (reference.join("models/mnist-cnn-pgd.onnx"), reference.join("data/mnist-1000.npz"));
        let suite = format!(
            "title = \"masked\"\n[data]\nsource = \"npz\"\npath = {data:?}\nexamples = 80\n[[threat]]\nnorm = \"l2\"\nepsilons = [2.0]\n\
             [[defence]]\nname = \"masked\"\nmodel = {{ onnx = {model:?} }}\n[[attack]]\nkind = \"pgd\"\nsteps = 40\n[[attack]]\n{beside}\n"
        );
        fs::write(folder.path().join("suite.toml"), suite).unwrap();
        let said = run(folder.path(), &RUN, 1);
        let found = results(folder.path());
        assert_eq!(check(&found, "score-beats-white-box")["verdict"], "fail", "{said}");
    }
}
