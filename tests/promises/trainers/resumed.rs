//! A training that is cut off goes on from its last whole epoch, to the weights that it would have had.

use std::cell::Cell;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::*;

promises! {
    every_method_goes_on_to_the_same_weights,
    a_killed_training_goes_on_to_the_same_weights,
    a_damaged_file_means_beginning_anew,
}

/// A network with batch norm and dropout, whose statistics and draws have to be the same too.
const TABLE: &str = "{ layers = [{ kind = \"conv\", out = 4, kernel = 3 }, { kind = \"batch-norm\" }, { kind = \"relu\" }, { kind = \"flatten\" }, \
                     { kind = \"dropout\", rate = 0.2 }, { kind = \"dense\", out = 10 }] }";

/// Trains, cut off after every `steps` steps, until it is done; how often it was cut off.
fn cut_off(trainee: &Trainee, file: &Path, steps: usize) -> (Trained, usize) {
    for cuts in 0..100 {
        let left = Cell::new(steps);
        let mut progress = |_: Progress| match left.replace(left.get().saturating_sub(1)) {
            0 => Err(Error::input("cut off")),
            _ => Ok(()),
        };
        match train_kept(trainee, Some(file), &mut progress) {
            Err(error) if error.message().contains("cut off") => {}
            ended => return (ended, cuts),
        }
    }
    panic!("it makes no headway");
}

fn every_method_goes_on_to_the_same_weights() {
    let data = digits("train").limit(192);
    let more = [
        (
            "standard",
            "optimizer = \"sgd\"\nnesterov = true\naugment = \"crop-flip\"\npadding = 1\ncutout = 2\nmixup = 0.5\nschedule = \"one-cycle\"",
        ),
        ("standard", "optimizer = \"adamw\"\nweight_decay = 0.1\naverage = \"ema\"\nvalidation = 0.25\nlabel_smoothing = 0.1"),
        ("pgd", "steps = 2\nawp = 0.01\naverage = \"swa\"\naverage_from = 0.3\nvalidation = 0.25\nclip = 1.0\nwarmup = 0.2"),
    ];
    let plain = TRAINERS.iter().map(|row| (row.entry.name, if row.entry.name == "free" { "replays = 2" } else { "" }));
    for (method, own) in plain.chain(more) {
        let epochs = if method == "free" { 8 } else { 4 };
        let text = format!("epochs = {epochs}\nbatch = 32\nlearning_rate = 0.01\n{own}");
        with_trainee(method, &text, network(TABLE, 1), &data, |trainee| {
            let whole = train(trainee, &mut |_| Ok(())).unwrap();
            let folder = tempfile::tempdir().unwrap();
            let (pieces, cuts) = cut_off(trainee, &folder.path().join("part.safetensors"), 17);
            let pieces = pieces.unwrap();
            assert!(cuts > 0, "{method}: never cut off");
            assert_eq!(hash(&pieces), hash(&whole), "{method} ({own})");
            assert_eq!(pieces.1.len(), whole.1.len());
            assert!(pieces.1.iter().zip(&whole.1).all(|(a, b)| (a.loss - b.loss).abs() < 1e-12), "{method}");
        });
    }
}

const SUITE: &str = r#"
title = "A training"
seed = 0

[data]
source = "digits"
examples = 20

[[threat]]
norm = "linf"
epsilons = [0.1]

[[defence]]
name = "trained"
model = { architecture = "small-cnn", seed = 1, channels = 8, hidden = 32 }
train = { method = "pgd", epochs = 6, steps = 3, average = "ema" }

[[attack]]
kind = "fgsm"
"#;

fn a_killed_training_goes_on_to_the_same_weights() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    fs::write(root.join("suite.toml"), SUITE).unwrap();
    let command = |weights: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gauntlet"));
        command.current_dir(root).args(["train", "suite.toml", "--device", "cpu", "--out", "files", "--weights", weights]);
        command
    };
    let said = |weights: &str| {
        let output = command(weights).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
    };
    let hash = |said: &str| said.lines().find(|line| line.contains("parameters")).unwrap().to_owned();
    let whole = said("whole");
    assert!(whole.contains("epoch 1:"), "{whole}");
    let names = |weights: &str| -> Vec<String> {
        let entries = fs::read_dir(root.join(weights)).into_iter().flatten().flatten();
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
    };
    let mut child = command("cut").stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let begun = Instant::now();
    while !names("cut").iter().any(|name| name.ends_with(".part.safetensors") && !name.starts_with('.')) {
        assert!(begun.elapsed() < Duration::from_secs(120) && child.try_wait().unwrap().is_none(), "no epoch was kept before the end");
        std::thread::sleep(Duration::from_millis(2));
    }
    // SIGKILL, or what the system has in its place.
    child.kill().unwrap();
    child.wait().unwrap();
    let rest = said("cut");
    assert!(!rest.contains("epoch 1:"), "it began anew: {rest}");
    assert_eq!(hash(&rest), hash(&whole));
    assert_eq!(names("cut").iter().filter(|name| name.contains(".part.")).count(), 0, "nothing is left behind");
}

fn a_damaged_file_means_beginning_anew() {
    let data = digits("train").limit(96);
    with_trainee("standard", "epochs = 2", network(SMALL, 1), &data, |trainee| {
        let whole = train(trainee, &mut |_| Ok(())).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("part.safetensors");
        fs::write(&file, b"not a checkpoint").unwrap();
        assert_eq!(hash(&train_kept(trainee, Some(&file), &mut |_| Ok(())).unwrap()), hash(&whole));
    });
}
