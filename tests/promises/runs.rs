//! The program as users run it: a suite from its file to a report; stopped and continued; done twice; asked for the wrong thing.

#[path = "usage.rs"]
mod usage;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

promises! {
    [usage]
    a_run_leaves_every_file_and_honest_numbers,
    a_second_run_computes_nothing_and_finds_the_same,
    a_killed_run_goes_on_to_the_same_results,
    another_number_of_slots_changes_one_verdict_at_most,
    mistakes_are_reported_before_anything_runs,
    a_changed_suite_is_refused_and_fresh_replaces_it,
    the_suite_in_a_runs_folder_runs_again_from_there,
    the_shipped_suites_are_sound,
    lists_and_plans_are_printed,
    a_sweep_over_eight_epsilons_costs_less_than_two_of_them_and_draws_the_same_curve,
    one_image_goes_in_and_a_verified_one_comes_out,
}

const SUITE: &str = r#"
title = "A small suite"
seed = 3

[data]
source = "digits"
examples = 70

[[threat]]
norm = "linf"
epsilons = [0, 0.05, 0.1, 0.2]

[[defence]]
name = "plain"
model = { architecture = "mlp", seed = 1, hidden = 32, layers = 1 }
train = { method = "standard", epochs = 15 }

[[attack]]
kind = "fgsm"

[[attack]]
kind = "pgd"
steps = 20
"#;

struct Bench {
    _folder: TempDir,
    root: PathBuf,
}

impl Bench {
    fn new(suite: &str) -> Self {
        let folder = TempDir::new().unwrap();
        let root = folder.path().to_path_buf();
        fs::write(root.join("suite.toml"), suite).unwrap();
        Self { _folder: folder, root }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gauntlet"));
        command.args(arguments).current_dir(&self.root).stdin(Stdio::null());
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    fn run_to(&self, out: &str, more: &[&str]) -> Output {
        self.run(&[&["run", "suite.toml", "--device", "cpu", "--out", out], more].concat())
    }

    fn results(&self, out: &str) -> Value {
        serde_json::from_slice(&fs::read(self.root.join(out).join("results.json")).unwrap()).unwrap()
    }

    /// Everything but the timing.
    fn figures(&self, out: &str) -> Value {
        let mut results = self.results(out);
        results.as_object_mut().unwrap().remove("timing").unwrap();
        results
    }
}

fn ends(output: &Output, code: i32) -> String {
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "{text}");
    text
}

fn a_run_leaves_every_file_and_honest_numbers() {
    let bench = Bench::new(SUITE);
    ends(&bench.run_to("out", &[]), 0);
    for file in ["results.json", "results.csv", "examples.parquet", "store.sqlite", "report.html", "suite.toml", "log.jsonl"] {
        assert!(fs::metadata(bench.root.join("out").join(file)).is_ok_and(|file| file.len() > 0), "{file}");
    }
    assert!(fs::read_dir(bench.root.join("out/plots")).unwrap().count() >= 4);
    let results = bench.results("out");
    assert_eq!(results["complete"], true);
    assert_eq!(results["planned"], 8);
    let cells = results["cells"].as_array().unwrap();
    assert_eq!(cells.len(), 8);
    let clean = cells[0]["clean_accuracy"].as_f64().unwrap();
    assert!(clean > 0.8, "{clean}");
    for cell in cells {
        assert_eq!(cell["examples"], 70);
        assert_eq!(cell["failed"], 0);
        let robust = cell["robust_accuracy"].as_f64().unwrap();
        let interval: Vec<f64> = cell["ci95"].as_array().unwrap().iter().map(|bound| bound.as_f64().unwrap()).collect();
        assert!(interval[0] <= robust && robust <= interval[1] && robust <= clean);
        if cell["epsilon"] == 0.0 {
            assert_eq!((robust, cell["forwards"].as_u64()), (clean, Some(0)));
        }
    }
    let pgd = |epsilon: f64| {
        let is_it = |cell: &&Value| cell["attack"] == "pgd" && cell["epsilon"] == epsilon;
        cells.iter().find(is_it).unwrap()["robust_accuracy"].as_f64().unwrap()
    };
    assert!(pgd(0.2) < 0.2 && pgd(0.05) > pgd(0.2), "{} {}", pgd(0.05), pgd(0.2));
    let worst = results["worst_case"].as_array().unwrap();
    assert_eq!(worst.len(), 4);
    assert!(worst[3]["robust_accuracy"].as_f64().unwrap() <= pgd(0.2));
}

fn a_second_run_computes_nothing_and_finds_the_same() {
    let bench = Bench::new(SUITE);
    ends(&bench.run_to("out", &[]), 0);
    let first = bench.results("out");
    let said = ends(&bench.run_to("out", &[]), 0);
    assert!(said.contains("Nothing to do"), "{said}");
    assert_eq!(bench.results("out"), first, "not even the timing changes");
    ends(&bench.run_to("other", &[]), 0);
    assert_eq!(bench.figures("other"), bench.figures("out"), "the same suite elsewhere");
    fs::remove_file(bench.root.join("out/report.html")).unwrap();
    ends(&bench.run(&["report", "out"]), 0);
    assert!(bench.root.join("out/report.html").is_file());
    assert_eq!(bench.figures("other"), bench.figures("out"));
}

fn a_killed_run_goes_on_to_the_same_results() {
    let bench = Bench::new(SUITE);
    ends(&bench.run_to("whole", &[]), 0);
    let mut killed = 0;
    for delay in [40, 80, 120, 160, 200, 240, 280] {
        let mut child = bench
            .command(&["run", "suite.toml", "--device", "cpu", "--out", "cut", "--weights", "cut-weights"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_millis(delay));
        killed += usize::from(child.try_wait().unwrap().is_none());
        child.kill().unwrap();
        child.wait().unwrap();
    }
    assert!(killed > 0, "no run was killed in time");
    ends(&bench.run_to("cut", &["--weights", "cut-weights"]), 0);
    assert_eq!(bench.figures("cut"), bench.figures("whole"));
}

fn another_number_of_slots_changes_one_verdict_at_most() {
    let bench = Bench::new(SUITE);
    ends(&bench.run_to("wide", &["--slots", "32"]), 0);
    ends(&bench.run_to("narrow", &["--slots", "8"]), 0);
    let (wide, narrow) = (bench.results("wide"), bench.results("narrow"));
    for (a, b) in wide["cells"].as_array().unwrap().iter().zip(narrow["cells"].as_array().unwrap()) {
        let robust = |cell: &Value| cell["robust_accuracy"].as_f64().unwrap();
        assert!((robust(a) - robust(b)).abs() <= 0.0151, "one example of 70 at most: {a} {b}");
    }
}

fn mistakes_are_reported_before_anything_runs() {
    let bench = Bench::new(&SUITE.replace("kind = \"fgsm\"", "kind = \"fsgm\"").replace("steps = 20", "steps = -1\nsetps = 3"));
    let said = ends(&bench.run_to("out", &["--device", "cpu"]), 2);
    assert!(said.contains("cannot be used multiple times"), "{said}");
    let said = ends(&bench.run(&["run", "suite.toml", "--device", "gpo", "--out", "out"]), 2);
    for part in ["fsgm", "fgsm", "setps", "-1", "gpo"] {
        assert!(said.contains(part), "{part} is missing in {said}");
    }
    assert!(!bench.root.join("out").exists());
    let other = SUITE.replace("hidden = 32, layers = 1 }", "hidden = 32, layers = 1, weights = \"w.safetensors\" }");
    fs::write(bench.root.join("other.toml"), other).unwrap();
    fs::write(bench.root.join("w.safetensors"), "no weights").unwrap();
    let said = ends(&bench.run(&["run", "other.toml", "--device", "cpu", "--out", "out"]), 2);
    assert!(said.contains("w.safetensors"), "{said}");
    assert!(!bench.root.join("out").exists());
    fs::write(bench.root.join("suite.toml"), SUITE).unwrap();
    let said = ends(&bench.run_to("out", &["--precision", "half"]), 2);
    assert!(said.contains("\"half\"") && said.contains("mixed"), "{said}");
    let said = ends(&bench.run_to("out", &["--precision", "mixed"]), 2);
    assert!(said.contains("--precision f32") && !bench.root.join("out").exists(), "{said}");
    let said = ends(&bench.run_to("out", &["--memory", "4KiB"]), 2);
    assert!(said.contains("--memory 4.00 KiB is too little") && !bench.root.join("out").exists(), "{said}");
    let said = ends(&bench.run(&["run", "nowhere.toml"]), 2);
    assert!(said.contains("nowhere.toml"), "{said}");
    let said = ends(&bench.run(&["report", "nowhere"]), 2);
    assert!(said.contains("nowhere"), "{said}");
}

fn a_changed_suite_is_refused_and_fresh_replaces_it() {
    let bench = Bench::new(SUITE);
    ends(&bench.run_to("out", &["--limit", "20"]), 0);
    let said = ends(&bench.run_to("out", &["--limit", "30"]), 2);
    assert!(said.contains("but the data is another\n") && said.contains("--fresh"), "{said}");
    let said = ends(&bench.run_to("out", &["--limit", "20", "--set", "attack.pgd.steps=7", "--set", "attack.fgsm.name=\"one step\""]), 2);
    for part in ["attack \"one step\" is new", "attack \"pgd\" is another", "\"fgsm\" is gone"] {
        assert!(said.contains(part), "{part} is missing in {said}");
    }
    assert_eq!(bench.results("out")["data"]["examples"], 20);
    ends(&bench.run_to("out", &["--limit", "30", "--fresh"]), 0);
    assert_eq!(bench.results("out")["data"]["examples"], 30);
    ends(&bench.run_to("all", &["--limit", "1000"]), 0);
    assert_eq!(bench.results("all")["data"]["examples"], 70);
    let said = ends(&bench.run_to("nothing", &["--resume"]), 2);
    assert!(said.contains("nothing"), "{said}");
}

/// Weights and data lie beside the suite, and the run elsewhere.
fn the_suite_in_a_runs_folder_runs_again_from_there() {
    let bench = Bench::new(SUITE);
    ends(&bench.run(&["train", "suite.toml", "--out", "nets", "--device", "cpu"]), 0);
    let text = SUITE.replace("train = { method = \"standard\", epochs = 15 }", "");
    let text = text.replace("layers = 1 }", "layers = 1, weights = \"../../nets/./plain.safetensors\" } # as trained");
    fs::create_dir_all(bench.root.join("suites/mine")).unwrap();
    fs::write(bench.root.join("suites/mine/suite.toml"), &text).unwrap();
    let run = |suite: &str, out: &str| ends(&bench.run(&["run", suite, "--device", "cpu", "--out", out]), 0);
    run("suites/mine/suite.toml", "runs/of/mine");
    let kept = fs::read_to_string(bench.root.join("runs/of/mine/suite.toml")).unwrap();
    assert!(kept.contains("weights = \"../../../nets/plain.safetensors\" } # as trained"), "{kept}");
    let page = fs::read_to_string(bench.root.join("runs/of/mine/report.html")).unwrap();
    assert!(page.contains("../../nets/./plain.safetensors") && !page.contains("../../../nets"), "the page shows what was written");
    run("runs/of/mine/suite.toml", "again");
    let said = run("runs/of/mine/suite.toml", "runs/of/mine");
    assert!(said.contains("Nothing to do"), "the same run, whichever way its paths are written: {said}");
    let cells = |out: &str| bench.results(out)["cells"].clone();
    assert_eq!(cells("again"), cells("runs/of/mine"));
    ends(&bench.run(&["train", "suite.toml", "--out", "others", "--device", "cpu", "--set", "defence.plain.model.seed=2"]), 0);
    let other = "defence.plain.model.weights=\"../../../others/plain.safetensors\"";
    let said = ends(&bench.run(&["run", "runs/of/mine/suite.toml", "--device", "cpu", "--out", "runs/of/mine", "--set", other]), 2);
    assert!(said.contains("its model is another one"), "what a path leads to is compared: {said}");
}

fn the_shipped_suites_are_sound() {
    let suites = Path::new(env!("CARGO_MANIFEST_DIR")).join("suites");
    let catalogue = gauntlet::suite::catalogue::catalogue();
    let mut seen = 0;
    for entry in fs::read_dir(suites).unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("# "), "{} opens with what it is to show", path.display());
        // Users' files need not be there for the suite to be sound in all else.
        let folder = TempDir::new().unwrap();
        let base = folder.path().join("suites");
        fs::create_dir_all(folder.path().join("data/fashion-mnist")).unwrap();
        fs::create_dir_all(&base).unwrap();
        gauntlet::suite::parse(&path.display().to_string(), &text, &base, &[], &catalogue).unwrap();
        seen += 1;
    }
    assert!(seen >= 3);
}

fn lists_and_plans_are_printed() {
    let bench = Bench::new(SUITE);
    for what in ["attacks", "models", "trainers", "sources", "kernels", "norms"] {
        assert!(ends(&bench.run(&["list", what]), 0).lines().count() >= 4, "{what}");
    }
    let plan = ends(&bench.run(&["plan", "suite.toml"]), 0);
    for part in ["A small suite", "70 examples", "8 cells", "pgd"] {
        assert!(plan.contains(part), "{part} is missing in {plan}");
    }
    let plan: Value = serde_json::from_slice(&bench.run(&["plan", "suite.toml", "--json"]).stdout).unwrap();
    assert_eq!(plan["plan"]["cells"].as_array().unwrap().len(), 8);
    assert!(ends(&bench.run(&["devices"]), 0).contains("cpu"));
}

fn a_sweep_over_eight_epsilons_costs_less_than_two_of_them_and_draws_the_same_curve() {
    let quick = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("suites/quick.toml")).unwrap();
    let bench = Bench::new(&quick);
    let fewer = ["--limit", "120", "--set", "defence.pgd-trained.train.epochs=4", "--weights", "weights"];
    ends(&bench.run_to("descending", &fewer), 0);
    ends(&bench.run_to("exhaustive", &[&fewer[..], &["--set", "threat.linf.sweep=exhaustive"]].concat()), 0);
    let (descending, exhaustive) = (bench.results("descending"), bench.results("exhaustive"));
    let of = |results: &Value, defence: &str| -> Vec<(f64, u64)> {
        let cells = results["cells"].as_array().unwrap().iter();
        let cells = cells.filter(|cell| cell["attack"] == "pgd" && cell["defence"] == defence);
        let figures = |cell: &Value| {
            let cost = cell["forwards"].as_u64().unwrap() + cell["backwards"].as_u64().unwrap();
            (cell["robust_accuracy"].as_f64().unwrap(), cost)
        };
        cells.map(figures).collect()
    };
    for defence in ["undefended", "pgd-trained"] {
        let (down, each) = (of(&descending, defence), of(&exhaustive, defence));
        assert_eq!((down.len(), each.len()), (8, 8));
        for (a, b) in down.iter().zip(&each) {
            assert!((a.0 - b.0).abs() <= 1.0 / 120.0 + 1e-9, "{defence}: {down:?} {each:?}");
        }
        let sweep: u64 = down.iter().map(|(_, cost)| cost).sum();
        let dearest = each.iter().map(|(_, cost)| *cost).max().unwrap();
        assert!(sweep as f64 <= 1.8 * dearest as f64, "{defence}: {sweep} against {dearest}");
    }
}

fn one_image_goes_in_and_a_verified_one_comes_out() {
    let bench = Bench::new(SUITE);
    let trained = bench.run(&["train", "suite.toml", "--device", "cpu", "--out", "weights"]);
    assert_eq!(trained.status.code(), Some(0), "{}", String::from_utf8_lossy(&trained.stderr));
    let request = gauntlet::data::Request { split: "test".parse().unwrap(), ..Default::default() };
    let digits = gauntlet::data::load("digits", &request).unwrap();
    // As stored with 8 bits.
    let pixels: Vec<f32> = digits.image(0).iter().map(|value| (value * 255.0).round() / 255.0).collect();
    gauntlet::data::picture::write(&bench.root.join("digit.png"), &pixels, digits.shape).unwrap();
    let attack = |epsilon: &str, more: &[&str]| {
        let fixed =
            ["attack", "digit.png", "--model", "weights/plain.safetensors", "--device", "cpu", "--out", "adversarial.png", "--json"];
        let fields = ["--model-fields", "architecture = \"mlp\", hidden = 32, layers = 1", "--attack", "pgd", "--epsilon", epsilon];
        bench.run(&[&fixed[..], &fields[..], more].concat())
    };
    let output = attack("0.3", &[]);
    assert_eq!(output.status.code(), Some(0), "{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(found["verified"], true);
    assert_ne!(found["prediction"], found["label"]);
    let stored = gauntlet::data::picture::read(&bench.root.join("adversarial.png"), digits.shape).unwrap();
    let furthest = stored.iter().zip(&pixels).map(|(to, from)| (to - from).abs()).fold(0.0, f32::max);
    assert!(furthest <= 0.3 + 1e-6 && (f64::from(furthest) - found["distance"].as_f64().unwrap()).abs() < 1e-6);
    let output = attack("0.3", &["--set", "step = 2"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("for 2 of 255 levels"));
    // Nothing is found in a ball without room to move, and it says so by its code.
    let output = attack("1/255", &[]);
    assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stdout));
    for (more, part) in
        [(["--norm", "l3"], "no such norm"), (["--label", "12"], "tells 10 classes apart"), (["--set", "stepz = 3"], "did you mean")]
    {
        let output = attack("0.3", &more);
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{text}");
        assert!(text.contains(part), "{part}: {text}");
    }
}
