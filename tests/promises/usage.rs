//! Requests that cannot be carried out, and those that leave nothing behind.

use std::fs;

use super::{Bench, SUITE};

promises! {
    a_place_that_cannot_be_written_is_bad_input_before_anything_runs,
    radii_beyond_the_images_are_refused,
    a_model_its_architecture_and_its_fields_are_told_apart,
    what_only_reads_a_run_leaves_no_files_beside_its_store,
    a_group_of_seeds_is_compared_by_its_name,
    everything_that_can_be_listed_is_named_by_the_help,
    missing_data_are_told_with_the_files_that_are_wanted,
}

fn a_place_that_cannot_be_written_is_bad_input_before_anything_runs() {
    let bench = Bench::new(&SUITE.replace("\"fgsm\"", "\"fsgm\""));
    fs::write(bench.root.join("file"), "").unwrap();
    // With every other mistake, and without a trace.
    for out in ["file", "file/run"] {
        let said = ends(&bench.run_to(out, &[]), 2);
        assert!(said.contains("cannot write file") && said.contains("fsgm") && said.contains("--out"), "{said}");
    }
    fs::write(bench.root.join("suite.toml"), SUITE).unwrap();
    let said = ends(&bench.run(&["train", "suite.toml", "--device", "cpu", "--out", "file/weights"]), 2);
    assert!(said.contains("cannot write file/weights") && !said.contains("epoch"), "{said}");
    let said = ends(&bench.run(&["train", "suite.toml", "--device", "cpu", "--out", "made", "--weights", "file/kept"]), 2);
    assert!(said.contains("cannot write file/kept") && said.contains("--weights") && !said.contains("epoch"), "{said}");
    assert!(!bench.root.join("runs").exists(), "nothing was trained");
    ends(&bench.run_to("out", &["--limit", "10", "--set", "defence.plain.train.epochs=1"]), 0);
    for arguments in [
        &["export", "out", "--format", "csv", "--out", "file/x.csv"][..],
        &["export", "out", "--format", "csv", "--out", "nowhere/x.csv"],
        &["export", "out", "--format", "npz", "--out", "file/x"],
        &["compare", "out", "out", "--out", "nowhere/x.csv"],
    ] {
        let said = ends(&bench.run(arguments), 2);
        assert!(said.contains("cannot write") && said.contains("--out"), "{arguments:?}: {said}");
    }
}

/// What a command says, on one line.
#[track_caller]
fn ends(output: &std::process::Output, code: i32) -> String {
    super::ends(output, code).split_whitespace().filter(|word| *word != "│").collect::<Vec<_>>().join(" ").replace("- ", "-")
}

/// A digit as a file, and the weights of a linear network that was hardly trained.
fn with_a_model() -> Bench {
    let linear = SUITE.replace("\"mlp\", seed = 1, hidden = 32, layers = 1", "\"linear\", seed = 1").replace("epochs = 15", "epochs = 2");
    let bench = Bench::new(&linear);
    ends(&bench.run(&["train", "suite.toml", "--device", "cpu", "--out", "weights"]), 0);
    let request = gauntlet::data::Request { split: "test".parse().unwrap(), ..Default::default() };
    let digits = gauntlet::data::load("digits", &request).unwrap();
    gauntlet::data::picture::write(&bench.root.join("digit.png"), &digits.image(0), digits.shape).unwrap();
    bench
}

const WEIGHTS: &str = "weights/plain.safetensors";

fn radii_beyond_the_images_are_refused() {
    let bench = with_a_model();
    let attack = |norm: &str, epsilon: &str| {
        let model = ["attack", "digit.png", "--model", WEIGHTS, "--architecture", "linear", "--attack", "pgd", "--device", "cpu"];
        bench.run(&[&model[..], &["--norm", norm, "--epsilon", epsilon, "--out", "x.png"]].concat())
    };
    let said = ends(&attack("linf", "3"), 2);
    assert!(said.contains("--epsilon 3") && said.contains("3/255"), "{said}");
    let said = ends(&attack("l2", "8.1"), 2);
    assert!(said.contains("--epsilon 8.1") && said.contains("8 apart under l2"), "{said}");
    assert!(attack("l2", "8").status.code().is_some_and(|code| code < 2), "the whole box is no mistake");
    let suite = fs::read_to_string(bench.root.join("suite.toml")).unwrap();
    let far = suite.replace("norm = \"linf\"\nepsilons = [0, 0.05, 0.1, 0.2]", "norm = \"l2\"\nepsilons = [0, 7, 9, 2000]");
    fs::write(bench.root.join("far.toml"), far).unwrap();
    let said = ends(&bench.run(&["plan", "far.toml"]), 2);
    assert!(said.contains("9, 2000") && said.contains("8 apart at most"), "{said}");
}

fn a_model_its_architecture_and_its_fields_are_told_apart() {
    let bench = with_a_model();
    let attack = |model: &[&str]| {
        let rest = ["--attack", "pgd", "--epsilon", "0.3", "--out", "x.png", "--device", "cpu"];
        bench.run(&[&["attack", "digit.png"], model, &rest[..]].concat())
    };
    let fields = "architecture = \"linear\"";
    for (model, told) in [
        (&["--model", WEIGHTS][..], "--architecture NAME"),
        (&["--model", "linear"], "--architecture linear"),
        (&["--model", fields], "--model-fields"),
        (&["--model", WEIGHTS, "--model-fields", "linear"], "--architecture linear"),
        (&["--model", WEIGHTS, "--model-fields", WEIGHTS], "no fields, but a file"),
        (&["--model", WEIGHTS, "--model-fields", "architecture = linear"], "not valid TOML"),
        (&["--model", WEIGHTS, "--model-fields", "architecture = \"linear\", weights = \"w.pt\""], "leave `weights` out"),
    ] {
        let said = ends(&attack(model), 2);
        assert!(said.contains(told), "{model:?}: {told:?} is missing in {said}");
    }
    // One request, all of its mistakes.
    let said = ends(&bench.run(&["attack", "digit.png", "--model", "w.pt", "--attack", "pdg", "--epsilon", "3", "--out", "x.jpg"]), 2);
    for part in ["w.pt", "\"pgd\"", "3/255", "x.jpg"] {
        assert!(said.contains(part), "{part} is missing in {said}");
    }
    assert!(attack(&["--model", WEIGHTS, "--model-fields", fields]).status.code().is_some_and(|code| code < 2));
    // `model` takes the same options, and its former one.
    for option in ["--model-fields", "--model"] {
        let said = ends(&bench.run(&["model", WEIGHTS, option, fields, "--shape", "1,8,8"]), 0);
        assert!(said.contains("logits of 10 classes"), "{said}");
    }
}

fn what_only_reads_a_run_leaves_no_files_beside_its_store() {
    let bench = Bench::new(SUITE);
    ends(&bench.run_to("out", &["--limit", "10", "--set", "defence.plain.train.epochs=1"]), 0);
    for arguments in [&["export", "out", "--format", "csv"][..], &["report", "out"], &["compare", "out", "out"]] {
        ends(&bench.run(arguments), 0);
        for beside in ["store.sqlite-shm", "store.sqlite-wal", "store.sqlite-journal"] {
            assert!(!bench.root.join("out").join(beside).exists(), "{arguments:?} leaves {beside}");
        }
    }
}

fn a_group_of_seeds_is_compared_by_its_name() {
    let seeded = SUITE.replace("seed = 1, hidden = 32, layers = 1 }", "hidden = 8, layers = 1 }\nseeds = [1, 2]");
    let bench = Bench::new(&seeded.replace("epochs = 15", "epochs = 1"));
    ends(&bench.run_to("a", &["--limit", "20"]), 0);
    ends(&bench.run_to("b", &["--limit", "20"]), 0);
    let compared = |more: &[&str]| -> serde_json::Value {
        let output = bench.run(&[&["compare", "a", "b", "--json"], more].concat());
        ends(&output, 0);
        serde_json::from_slice(&output.stdout).unwrap()
    };
    let pairs = |comparison: &serde_json::Value| comparison["pairs"].as_array().unwrap().clone();
    let (all, group) = (compared(&[]), compared(&["--defence", "plain"]));
    assert_eq!(pairs(&group), pairs(&all), "by its name and without one, the same comparisons with the same corrections");
    let one = compared(&["--defence", "plain#1", "--with", "plain"]);
    assert_eq!(pairs(&one).len(), pairs(&all).len());
    assert!(pairs(&one).iter().all(|pair| pair["defences"][0] == "plain#1"), "{one}");
    let said = ends(&bench.run(&["compare", "a", "b", "--defence", "plane"]), 2);
    assert!(said.contains("plain#1, plain#2"), "{said}");
}

fn everything_that_can_be_listed_is_named_by_the_help() {
    let bench = Bench::new(SUITE);
    let help = ends(&bench.run(&["list", "--help"]), 0).to_lowercase();
    let about = help.split("usage:").next().unwrap().to_owned();
    let values = help.split("possible values: ").nth(1).and_then(|rest| rest.split(']').next()).unwrap();
    for what in values.split(',').map(str::trim) {
        assert!(about.contains(what), "{what} is missing in {about}");
        assert!(!ends(&bench.run(&["list", what]), 0).is_empty(), "{what}");
    }
    assert!(ends(&bench.run(&["list", "certificates"]), 0).contains("CROWN"));
}

fn missing_data_are_told_with_the_files_that_are_wanted() {
    let bench = Bench::new(&SUITE.replace("source = \"digits\"", "source = \"idx\"\npath = \"fashion\""));
    for made in [false, true] {
        let said = ends(&bench.run_to("out", &[]), 2);
        for part in [
            "fashion",
            "train-images-idx3-ubyte",
            "train-labels-idx1-ubyte",
            "t10k-images-idx3-ubyte",
            "t10k-labels-idx1-ubyte",
            ".gz",
            "--set data.path=DIR",
        ] {
            assert!(said.contains(part), "{part} is missing in {said}");
        }
        if !made {
            fs::create_dir(bench.root.join("fashion")).unwrap();
        }
    }
}
