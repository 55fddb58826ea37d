//! Requests that cannot be carried out, and those that leave nothing behind.

use std::fs;

use super::{Bench, SUITE};

promises! {
    a_place_that_cannot_be_written_is_bad_input_before_anything_runs,
    radii_beyond_the_images_are_refused,
    a_model_its_architecture_and_its_fields_are_told_apart,
    an_image_whose_colours_a_model_does_not_take_is_told_of,
    what_only_reads_a_run_leaves_no_files_beside_its_store,
    a_group_of_seeds_is_compared_by_its_name,
    everything_that_can_be_listed_is_named_by_the_help,
    missing_data_are_told_with_the_files_that_are_wanted,
    a_run_whose_model_was_replaced_is_refused_finished_or_not,
    what_a_detector_rejects_without_an_attack_is_not_right_anywhere,
    defences_whose_weights_would_share_a_file_are_not_trained,
    an_audit_that_a_stop_left_without_its_consequence_is_acted_on,
    what_a_run_cost_is_kept_when_it_is_killed,
    an_onnx_file_that_seems_to_take_other_pixels_is_asked_about,
    what_was_trained_on_is_not_attacked,
    a_training_radius_in_levels_of_8_bits_is_asked_about,
    a_step_in_levels_of_8_bits_is_asked_about,
    an_attack_has_no_name_of_the_reports_own,
    an_attack_that_leaves_what_is_provably_breakable_is_too_weak,
    damaged_weights_that_were_kept_say_how_to_get_others,
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

fn an_image_whose_colours_a_model_does_not_take_is_told_of() {
    let bench = Bench::new(SUITE);
    let grey: Vec<f32> = (0..64).map(|at| f32::from(u8::from(at % 3 == 0))).collect();
    gauntlet::data::picture::write(&bench.root.join("grey.png"), &grey, [1, 8, 8]).unwrap();
    gauntlet::data::picture::write(&bench.root.join("colour.png"), &grey.repeat(3), [3, 8, 8]).unwrap();
    for (model, channels, other, told) in [
        ("script-softmax-12.onnx", 1, "colour.png", "the image is made grey"),
        ("dynamo-option-a-21.onnx", 3, "grey.png", "all are the image's grey"),
    ] {
        let model = format!("{}/tests/fixtures/onnx/{model}", env!("CARGO_MANIFEST_DIR"));
        for image in ["grey.png", "colour.png"] {
            let end =
                bench.run(&["attack", image, "--model", &model, "--attack", "pgd", "--epsilon", "1", "--device", "cpu", "--out", "x.png"]);
            let said = ends(&end, 0);
            assert_eq!(said.contains(told), image == other, "{image}, {channels} channels: {said}");
            assert_eq!(said.contains("the model takes"), image == other, "{image}, {channels} channels: {said}");
            assert_eq!(gauntlet::data::picture::shape(&bench.root.join("x.png")).unwrap(), [channels, 8, 8], "{image}");
        }
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
    // A seed that only one run has is no pair, and passes no gate.
    ends(&bench.run_to("fewer", &["--limit", "20", "--set", "defence.plain.seeds=[1]"]), 0);
    let gated = |a: &str, b: &str| bench.run(&["compare", a, b, "--defence", "plain", "--gate", "99"]);
    ends(&gated("a", "b"), 0);
    let said = ends(&gated("a", "fewer"), 1);
    assert!(said.contains("only in A: plain#2") && said.contains("B has nothing to hold against it"), "{said}");
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

fn a_run_whose_model_was_replaced_is_refused_finished_or_not() {
    let bench = with_a_model();
    let given = SUITE.replace("\"mlp\", seed = 1, hidden = 32, layers = 1", &format!("\"linear\", weights = \"{WEIGHTS}\""));
    let given: String = given.lines().filter(|line| !line.starts_with("train")).map(|line| format!("{line}\n")).collect();
    fs::write(bench.root.join("suite.toml"), &given).unwrap();
    let run = |code| ends(&bench.run_to("out", &["--limit", "20"]), code);
    run(0);
    assert!(run(0).contains("Nothing to do"));
    let before = bench.results("out");
    let first = fs::read(bench.root.join(WEIGHTS)).unwrap();
    // The same defence, trained for longer.
    let linear = SUITE.replace("\"mlp\", seed = 1, hidden = 32, layers = 1", "\"linear\", seed = 1").replace("epochs = 15", "epochs = 3");
    fs::write(bench.root.join("other.toml"), linear).unwrap();
    ends(&bench.run(&["train", "other.toml", "--device", "cpu", "--out", "weights"]), 0);
    assert_ne!(fs::read(bench.root.join(WEIGHTS)).unwrap(), first);
    let said = run(2);
    assert!(said.contains("defence \"plain\": its model is another one") && said.contains("--fresh"), "{said}");
    assert_eq!(bench.results("out"), before, "nothing was written");
    fs::write(bench.root.join(WEIGHTS), first).unwrap();
    assert!(run(0).contains("Nothing to do"));
}

fn what_a_detector_rejects_without_an_attack_is_not_right_anywhere() {
    let bench = Bench::new(&SUITE.replace("epochs = 15 }", "epochs = 2 }\nstack = [{ kind = \"grid-detector\" }]"));
    // The detector takes multiples of 1/255 alone, and most digits have other values.
    bench.run_to("out", &["--limit", "40", "--no-checks"]);
    let results = bench.results("out");
    let clean = &results["defences"][0]["clean_accuracy"];
    assert!(clean.as_f64().unwrap() < 0.5, "{clean}");
    for cell in results["cells"].as_array().unwrap() {
        assert_eq!(&cell["clean_accuracy"], clean);
        assert!(cell["robust_accuracy"].as_f64() <= clean.as_f64());
    }
    let output = bench.run(&["compare", "out", "out", "--json"]);
    let comparison: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(&comparison["pairs"][0]["robust_accuracy"][0], clean, "{comparison}");
}

fn defences_whose_weights_would_share_a_file_are_not_trained() {
    let (head, defence) = SUITE.split_once("[[defence]]").unwrap();
    let (defence, tail) = defence.split_once("[[attack]]").unwrap();
    let [one, other] = ["plain a", "plain_a"].map(|name| format!("[[defence]]{}", defence.replace("\"plain\"", &format!("{name:?}"))));
    let bench = Bench::new(&format!("{head}{one}{other}[[attack]]{tail}"));
    let said = ends(&bench.run(&["train", "suite.toml", "--device", "cpu", "--out", "weights"]), 2);
    assert!(said.contains("\"plain a\" and \"plain_a\" would both be written to plain_a.safetensors"), "{said}");
    assert!(!bench.root.join("weights").exists());
    let fast = ["--defence", "plain a", "--set", "defence.plain_a.train.epochs=1"];
    ends(&bench.run(&[&["train", "suite.toml", "--device", "cpu", "--out", "weights"], &fast[..]].concat()), 0);
}

fn an_audit_that_a_stop_left_without_its_consequence_is_acted_on() {
    let bench = Bench::new(SUITE);
    ends(&bench.run_to("out", &["--no-checks"]), 0);
    let forwards = |results: &serde_json::Value| results["cells"][4]["forwards"].as_u64().unwrap();
    let before = bench.results("out");
    assert!(before["cells"].as_array().unwrap().iter().any(|cell| cell["inferred"].as_u64().unwrap() > 0), "{before}");
    // As if all that was audited had broken, and the run had been killed right then.
    let store = rusqlite::Connection::open(bench.root.join("out/store.sqlite")).unwrap();
    assert!(store.execute("UPDATE audit SET verdict = 0", []).unwrap() > 0);
    store.execute("DELETE FROM fact WHERE key = 'complete'", []).unwrap();
    drop(store);
    let said = ends(&bench.run_to("out", &["--no-checks"]), 0);
    assert!(said.contains("every epsilon is run by itself"), "{said}");
    let after = bench.results("out");
    assert!(after["cells"].as_array().unwrap().iter().all(|cell| cell["inferred"] == 0), "{after}");
    assert!(forwards(&after) >= forwards(&before));
}

fn what_a_run_cost_is_kept_when_it_is_killed() {
    let bench = Bench::new(&SUITE.replace("steps = 20", "steps = 400"));
    ends(&bench.run(&["train", "suite.toml", "--device", "cpu", "--out", "weights"]), 0);
    let mut child =
        bench.command(&["run", "suite.toml", "--device", "cpu", "--out", "out", "--slots", "8", "--no-checks"]).spawn().unwrap();
    let store = bench.root.join("out/store.sqlite");
    let finished = |sql: &str| -> Option<i64> { rusqlite::Connection::open(&store).ok()?.query_row(sql, [], |row| row.get(0)).ok() };
    let of_pgd = "FROM series WHERE attack = 'pgd'";
    let rows = format!("SELECT count(*) FROM outcome WHERE series = (SELECT id {of_pgd})");
    let begun = std::time::Instant::now();
    while finished(&rows).is_none_or(|count| count < 30) && child.try_wait().unwrap().is_none() {
        assert!(begun.elapsed().as_secs() < 120, "no rows");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(finished(&format!("SELECT device_backwards {of_pgd}")).unwrap() > 0, "what the finished chunks cost is there");
}

fn an_onnx_file_that_seems_to_take_other_pixels_is_asked_about() {
    let bench = Bench::new(SUITE);
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/onnx/keras-rescaling.onnx");
    let model = |fields: &[&str]| bench.run(&[&["model", file, "--device", "cpu", "--json"], fields].concat());
    let said = ends(&model(&[]), 2);
    assert!(said.contains("seems to take pixels of 0 to 255") && said.contains("range = \"0..255\""), "{said}");
    for range in ["0..1", "0..255"] {
        ends(&model(&["--model-fields", &format!("range = {range:?}")]), 0);
    }
}

fn what_was_trained_on_is_not_attacked() {
    let bench = Bench::new(SUITE);
    let attacked = |split: &str| bench.run(&["plan", "suite.toml", "--set", &format!("data.split={split:?}")]);
    ends(&attacked("test"), 0);
    for split in ["train", "all"] {
        let said = ends(&attacked(split), 2);
        assert!(said.contains("are among the training examples (digits, train)"), "{split}: {said}");
    }
}

fn a_training_radius_in_levels_of_8_bits_is_asked_about() {
    let trained = |train: &str| Bench::new(&SUITE.replace("method = \"standard\"", train)).run(&["plan", "suite.toml"]);
    let said = ends(&trained("method = \"pgd\", epsilon = 8"), 2);
    assert!(said.contains("`epsilon` is 8 under linf") && said.contains("8/255"), "{said}");
    let said = ends(&trained("method = \"pgd\", epsilon = \"8/255\", step = 2"), 2);
    assert!(said.contains("`step` is 2 under linf") && said.contains("2/255"), "{said}");
    ends(&trained("method = \"pgd\", epsilon = \"8/255\", step = \"2/255\""), 0);
    ends(&trained("method = \"pgd\", norm = \"l2\", epsilon = 2"), 0);
}

fn a_step_in_levels_of_8_bits_is_asked_about() {
    let stepping = |suite: &str, step: &str| {
        let attack = format!("steps = 20\nstep = {step}");
        Bench::new(&suite.replace("steps = 20", &attack)).run(&["plan", "suite.toml"])
    };
    let said = ends(&stepping(SUITE, "2"), 2);
    assert!(
        said.contains("attack `pgd`: `step` is 2 under linf") && said.contains("\"2/255\"") && said.contains("suite.toml:24"),
        "{said}"
    );
    ends(&stepping(SUITE, "\"2/255\""), 0);
    ends(&stepping(&SUITE.replace("\"linf\"", "\"l2\""), "2"), 0);
}

fn an_attack_has_no_name_of_the_reports_own() {
    for name in ["Worst case", "clean"] {
        let bench = Bench::new(&SUITE.replace("kind = \"fgsm\"", &format!("kind = \"fgsm\"\nname = {name:?}")));
        let said = ends(&bench.run(&["plan", "suite.toml"]), 2);
        assert!(said.contains(&format!("an attack with the name {name:?}")), "{said}");
    }
}

fn an_attack_that_leaves_what_is_provably_breakable_is_too_weak() {
    let linear = SUITE
        .replace("\"mlp\", seed = 1, hidden = 32, layers = 1", "\"linear\", seed = 1")
        .replace("norm = \"linf\"\nepsilons = [0, 0.05, 0.1, 0.2]", "norm = \"l2\"\nepsilons = [0, 0.25, 0.5]");
    let check = |attack: &str| -> serde_json::Value {
        let bench = Bench::new(&linear.replace("kind = \"pgd\"\nsteps = 20", attack).replace("kind = \"fgsm\"", "kind = \"noise\""));
        bench.run_to("out", &["--limit", "60", "--set", "defence.plain.train.epochs=5"]);
        let results = bench.results("out");
        let checks = results["checks"].as_array().unwrap();
        checks.iter().find(|check| check["check"] == "not-converged").unwrap().clone()
    };
    // One short step leaves much that the closed form says can be broken.
    let certificate = "\n\n[[certificate]]\nkind = \"exact\"";
    let weak = check(&format!("kind = \"pgd\"\nsteps = 1\nstep = 0.05\nrandom_start = false{certificate}"));
    assert!(weak["verdict"] == "fail" && weak["detail"].as_str().unwrap().contains("exact proves that they can be broken"), "{weak}");
    let strong = check(&format!("kind = \"autoattack\"{certificate}"));
    assert!(!strong["detail"].as_str().unwrap().contains("proves"), "{strong}");
}

fn damaged_weights_that_were_kept_say_how_to_get_others() {
    let bench = Bench::new(SUITE);
    let run = |code| ends(&bench.run_to("out", &["--limit", "10", "--weights", "kept", "--fresh"]), code);
    run(0);
    let kept = fs::read_dir(bench.root.join("kept")).unwrap().next().unwrap().unwrap().path();
    let bytes = fs::read(&kept).unwrap();
    fs::write(&kept, &bytes[..bytes.len() / 2]).unwrap();
    let said = super::ends(&bench.run_to("out", &["--limit", "10", "--weights", "kept", "--fresh"]), 2);
    let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(said.contains("defence \"plain\"") && said.contains("delete") && said.contains("trained again"), "{said}");
    fs::remove_file(kept).unwrap();
    run(0);
}
