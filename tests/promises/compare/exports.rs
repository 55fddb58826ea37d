//! What other programs are given is what the run holds.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::path::Path;

use gauntlet::evaluate::record::Specimen;
use gauntlet::report::gather::gather;
use gauntlet::report::robustbench::{self, About};
use gauntlet::report::{exports, npz};
use gauntlet::store::{Broken, Identity, KeptPoint, Mode, Store};
use serde_json::{Value, json};
use zip::ZipArchive;

use super::fixture::{EPSILONS, Fate, Run, expect_error, gauntlet, key, make};
use crate::reference::npz_array;

promises! {
    kept_points_replace_themselves_and_go_with_their_series,
    a_run_that_was_begun_without_keeps_no_points,
    kept_points_are_exported_to_the_bit,
    without_kept_points_an_export_says_how_to_get_them,
    robustbench_entries_have_its_fields_and_say_what_was_measured,
    robustbench_entries_take_autoattacks_number_where_there_is_one,
    what_a_run_folder_holds_is_written_again,
    options_of_another_format_are_refused,
}

fn fate(_defence: &str, attack: &str, example: u32) -> Option<Fate> {
    Some(match (attack, example) {
        (_, 0) => Fate::Misclassified,
        ("pgd" | "autoattack", 1) | ("autoattack", 3) => Fate::Early,
        ("pgd" | "autoattack", 2) => Fate::Late,
        _ => Fate::Robust,
    })
}

const PGD: &str = "kind = \"pgd\"";
const AUTOATTACK: &str = "kind = \"autoattack\"";

fn run(attacks: &[&'static str]) -> Run {
    Run { hash: "ab12", examples: 8, defences: vec!["plain"], attacks: attacks.to_vec(), from: 0, fate }
}

fn point(epsilon: f64, example: u32, value: f32) -> KeptPoint {
    let broken = Broken { epsilon, example, prediction: 2, distance: value / 3.0 };
    KeptPoint { broken, adversarial: (0..4).map(|at| value + at as f32 / 7.0).collect() }
}

fn keeping(folder: &Path) -> Store {
    let identity = Identity { suite_hash: "5eed".into(), title: "Digits".into(), seed: 7, version: "0.1.0".into(), parts: BTreeMap::new() };
    Store::open(folder, &identity, Mode::Continue).unwrap().keep_examples().unwrap();
    make(folder, &run(&[PGD]))
}

fn kept_points_replace_themselves_and_go_with_their_series() {
    let folder = tempfile::tempdir().unwrap();
    let store = keeping(folder.path());
    assert!(store.keeps_examples().unwrap());
    store.keep_examples().unwrap();
    let pgd = key("plain", "pgd");
    assert_eq!(store.kept(&pgd).unwrap(), []);
    let (small, large) = (EPSILONS[1], EPSILONS[2]);
    store.put_kept(&pgd, &[101, 102], &[point(large, 102, 0.5), point(large, 101, 0.3), point(small, 101, 0.1)]).unwrap();
    store.put_kept(&pgd, &[101, 103], &[point(small, 101, f32::MIN_POSITIVE)]).unwrap();
    drop(store);
    let store = make(folder.path(), &run(&[PGD]));
    let expected = [point(small, 101, f32::MIN_POSITIVE), point(large, 102, 0.5)];
    let found = store.kept(&pgd).unwrap();
    assert_eq!(found, expected.each_ref().map(|point| point.broken), "what example 101 left at the larger epsilon is gone");
    for (broken, expected) in found.iter().zip(&expected) {
        assert_eq!(store.kept_pixels(&pgd, broken).unwrap(), expected.adversarial);
    }
    assert_eq!(store.kept(&key("plain", "fgsm")).unwrap(), []);
    store.clear_series(&pgd).unwrap();
    assert_eq!(store.kept(&pgd).unwrap(), []);
}

fn a_run_that_was_begun_without_keeps_no_points() {
    let folder = tempfile::tempdir().unwrap();
    let store = make(folder.path(), &run(&[PGD]));
    assert!(!store.keeps_examples().unwrap());
    expect_error(store.keep_examples(), &["--keep-examples", "begun without", "--fresh"]);
    store.clear_series(&key("plain", "pgd")).unwrap();
    store.keep_examples().expect("nothing is lost of a run without outcomes");
}

fn kept_points_are_exported_to_the_bit() {
    let folder = tempfile::tempdir().unwrap();
    let store = keeping(folder.path());
    let points = [point(EPSILONS[1], 101, 0.1), point(EPSILONS[2], 101, 1.0 / 3.0), point(EPSILONS[2], 102, f32::MIN_POSITIVE / 2.0)];
    store.put_kept(&key("plain", "pgd"), &[101, 102], &points).unwrap();
    drop(store);
    let run = folder.path().to_str().unwrap();
    let output = gauntlet(&["export", run, "--format", "npz"]);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let file = folder.path().join("adversarial/plain-pgd-linf.npz");
    assert_eq!(String::from_utf8(output.stdout).unwrap().trim(), file.to_str().unwrap());
    let (shape, pixels) = npz_array::<f32>(&file, "x_adv");
    assert_eq!(shape, [3, 1, 2, 2]);
    let bits = |pixels: Vec<f32>| pixels.into_iter().map(f32::to_bits).collect::<Vec<_>>();
    assert_eq!(bits(pixels), bits(points.iter().flat_map(|point| point.adversarial.clone()).collect()));
    assert_eq!(npz_array::<i64>(&file, "ids"), (vec![3], vec![101, 101, 102]));
    assert_eq!(npz_array::<i64>(&file, "labels").1, [101 % 3, 101 % 3, 102 % 3]);
    assert_eq!(npz_array::<i64>(&file, "predictions").1, [2, 2, 2]);
    assert_eq!(npz_array::<f64>(&file, "epsilon").1, [EPSILONS[1], EPSILONS[2], EPSILONS[2]]);
    assert_eq!(npz_array::<f32>(&file, "distance").1, points.map(|point| point.broken.distance));
    let names: BTreeSet<String> =
        ZipArchive::new(File::open(&file).unwrap()).unwrap().file_names().map(|name| name.unwrap().into_owned()).collect();
    assert_eq!(names, ["distance.npy", "epsilon.npy", "ids.npy", "labels.npy", "predictions.npy", "x_adv.npy"].map(str::to_owned).into());
}

fn without_kept_points_an_export_says_how_to_get_them() {
    let folder = tempfile::tempdir().unwrap();
    let store = make(folder.path(), &run(&[PGD]));
    let out = folder.path().join("points");
    fs::create_dir(&out).unwrap();
    expect_error(npz::write(&out, &store, &gather(&store).unwrap(), false), &["--keep-examples", "--fresh", "--gallery"]);
    expect_error(npz::write(&out, &store, &gather(&store).unwrap(), true), &["holds no adversarial example"]);
    let adversarial = vec![0.25, 0.5, 0.75, 1.0];
    let specimen = Specimen {
        series: key("plain", "pgd"),
        epsilon: EPSILONS[1],
        example: 101,
        label: 2,
        prediction: 1,
        distance: 0.03,
        shape: [1, 2, 2],
        original: vec![0.0; 4],
        adversarial: adversarial.clone(),
    };
    store.put_specimens(&[specimen]).unwrap();
    let files = npz::write(&out, &store, &gather(&store).unwrap(), true).unwrap();
    assert_eq!(files, [out.join("plain-pgd-linf.npz")]);
    assert_eq!(npz_array::<f32>(&files[0], "x_adv"), (vec![1, 1, 2, 2], adversarial));
    assert_eq!(npz_array::<i64>(&files[0], "predictions").1, [1]);
}

fn entry(file: &Path) -> Value {
    serde_json::from_slice(&fs::read(file).unwrap()).unwrap()
}

fn robustbench_entries_have_its_fields_and_say_what_was_measured() {
    let folder = tempfile::tempdir().unwrap();
    drop(make(folder.path(), &run(&[PGD])));
    let out = folder.path().join("entries");
    let options = ["--link", "https://example.org", "--dataset", "digits", "--additional-data", "false", "--reported", "61.5"];
    let (run, out_text) = (folder.path().to_str().unwrap(), out.to_str().unwrap());
    let output = gauntlet(&[&["export", run, "--format", "robustbench", "--out", out_text], &options[..]].concat());
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let files: BTreeSet<_> = fs::read_dir(&out).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    assert_eq!(files, ["plain-linf-0.1.json", "plain-linf-8-255.json"].map(str::to_owned).into());
    let found = entry(&out.join("plain-linf-8-255.json"));
    let footnote =
        "Measured by gauntlet 0.1.0 on 8 examples of digits, test. No AutoAttack was run: the worst case over pgd leaves 75.00 %.";
    let expected = json!({
        "link": "https://example.org",
        "name": "plain",
        "authors": null,
        "additional_data": false,
        "number_forward_passes": 1,
        "dataset": "digits",
        "venue": null,
        "architecture": "small-cnn",
        "eps": "8/255",
        "clean_acc": "87.50",
        "reported": "61.50",
        "autoattack_acc": null,
        "footnote": footnote,
        "unreliable": false,
    });
    assert_eq!(found, expected);
    let order: Vec<&String> = found.as_object().unwrap().keys().collect();
    assert_eq!(order, expected.as_object().unwrap().keys().collect::<Vec<_>>(), "as RobustBench orders them");
    assert!(entry(&out.join("plain-linf-0.1.json"))["footnote"].as_str().unwrap().ends_with("leaves 62.50 %."));
}

fn robustbench_entries_take_autoattacks_number_where_there_is_one() {
    let folder = tempfile::tempdir().unwrap();
    let other = "kind = \"autoattack\"\nname = \"rand\"\nversion = \"rand\"";
    let mut store = make(&folder.path().join("a"), &run(&[other, PGD, AUTOATTACK]));
    let write = |store: &Store| {
        let files = robustbench::write(folder.path(), &gather(store).unwrap(), &About::default()).unwrap();
        entry(&files[0])
    };
    let found = write(&store);
    assert_eq!((&found["autoattack_acc"], &found["unreliable"]), (&json!("62.50"), &json!(false)));
    assert_eq!(found["footnote"], "Measured by gauntlet 0.1.0 on 8 examples of digits, test.");
    store = make(&folder.path().join("b"), &run(&[other, PGD]));
    let found = write(&store);
    assert_eq!(found["autoattack_acc"], "87.50", "the entry's number, not the worst case");
    assert!(found["footnote"].as_str().unwrap().ends_with("AutoAttack, version rand."), "{found}");
    let failing = |_: &str, _: &str, example: u32| Some(if example == 4 { Fate::Failing } else { Fate::Robust });
    store = make(&folder.path().join("c"), &Run { fate: failing, ..run(&[AUTOATTACK]) });
    let files = robustbench::write(folder.path(), &gather(&store).unwrap(), &About::default()).unwrap();
    let found = entry(&files[1]);
    assert!(found["unreliable"] == true && found["footnote"].as_str().unwrap().contains("1 rows failed"), "{found}");
    let unfinished = |_: &str, _: &str, example: u32| (example != 4).then_some(Fate::Robust);
    store = make(&folder.path().join("d"), &Run { fate: unfinished, ..run(&[AUTOATTACK]) });
    expect_error(robustbench::write(folder.path(), &gather(&store).unwrap(), &About::default()), &["no finished worst case"]);
}

fn what_a_run_folder_holds_is_written_again() {
    let folder = tempfile::tempdir().unwrap();
    let store = make(&folder.path().join("run"), &run(&[PGD]));
    let gathered = gather(&store).unwrap();
    let expected = |name: &str| folder.path().join(name);
    exports::write_csv(&expected("a.csv"), &gathered.results).unwrap();
    exports::write_json(&expected("a.json"), &gathered.results).unwrap();
    exports::write_parquet(&expected("a.parquet"), gathered.rows(&store)).unwrap();
    let run = store.folder().to_str().unwrap();
    for format in ["csv", "json", "parquet"] {
        let out = folder.path().join(format!("b.{format}"));
        let output = gauntlet(&["export", run, "--format", format, "--out", out.to_str().unwrap(), "--quiet"]);
        assert_eq!((output.status.code(), output.stdout.len()), (Some(0), 0), "{}", String::from_utf8_lossy(&output.stderr));
    }
    for ending in ["csv", "json", "parquet"] {
        assert_eq!(fs::read(expected(&format!("a.{ending}"))).unwrap(), fs::read(expected(&format!("b.{ending}"))).unwrap());
    }
    assert_eq!(gauntlet(&["export", run, "--format", "csv", "--quiet"]).status.code(), Some(0));
    assert!(store.folder().join("results.csv").is_file(), "without --out it lies in the run's folder");
}

fn options_of_another_format_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    drop(make(folder.path(), &run(&[PGD])));
    let run = folder.path().to_str().unwrap();
    let output = gauntlet(&["export", run, "--format", "csv", "--gallery", "--venue", "ICLR 2018"]);
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2));
    assert!(text.contains("--gallery") && text.contains("--venue") && text.contains("robustbench"), "{text}");
    assert!(!folder.path().join("results.csv").exists());
    let nobody = gauntlet(&["export", folder.path().join("none").to_str().unwrap(), "--format", "csv"]);
    assert_eq!(nobody.status.code(), Some(2));
    let misspelt = gauntlet(&["export", run, "--format", "robustbench", "--reported", "615"]);
    assert_eq!(misspelt.status.code(), Some(2));
}
