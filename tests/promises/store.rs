//! Promise: what was committed stays, whatever happens to the process, the disk or the folder; and the message says what to do.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use gauntlet::error::Kind;
use gauntlet::evaluate::cost::Cost;
use gauntlet::evaluate::record::{Audited, ExampleOutcomes, Outcome, SeriesKey, Settled, Specimen, Verdict};
use gauntlet::evaluate::results::DeviceInfo;
use gauntlet::store::{DefenceRecord, FILE, Identity, Mode, Store, device_kind, write_atomic, write_atomic_with};
use gauntlet::threat::Norm;

#[path = "store/faults.rs"]
mod faults;

promises! {
    [faults]
    committed_chunks_are_there_to_the_bit_when_the_store_is_opened_again,
    an_example_that_is_committed_twice_replaces_itself,
    outcomes_of_another_kind_of_device_do_not_count_as_finished,
    facts_defences_trainings_and_specimens_come_back_as_they_were,
    an_audit_outlives_the_series_that_it_condemns_and_no_other_change,
    several_threads_commit_to_one_store,
    a_second_store_in_one_process_is_refused_until_the_first_is_dropped,
    another_suite_is_refused_and_fresh_replaces_it,
    fresh_removes_the_runs_own_files_and_no_others,
    a_folder_of_somebody_elses_files_is_left_alone,
    resuming_nothing_and_reading_no_run_say_so,
    a_damaged_store_is_told_from_a_whole_one_and_left_as_it_is,
    rows_that_make_no_sense_are_damage_and_never_outcomes,
    a_store_of_a_newer_schema_is_refused,
    a_file_is_replaced_whole_or_not_at_all,
}

const CHUNK: u32 = 7;

fn identity() -> Identity {
    Identity { suite_hash: "5eed".into(), title: "Digits".into(), seed: u64::MAX, version: "0.1.0".into(), parts: BTreeMap::new() }
}

fn device(slots: usize) -> DeviceInfo {
    let text = |text: &str| text.to_owned();
    let (name, backend, compiler, precision) = (text("a processor"), text("cpu"), text("native"), text("f32"));
    DeviceInfo { name, backend, driver: String::new(), compiler, precision, slots }
}

fn pgd() -> SeriesKey {
    SeriesKey { defence: "undefended".into(), attack: "pgd".into(), norm: Norm::Linf }
}

fn cost(seconds: f64) -> Cost {
    Cost { seconds, device_forwards: 256, device_backwards: 128, active: 200, capacity: 256, fed_active: 96, fed_capacity: 100 }
}

/// What the engine would find of an example: every verdict, every way to settle it, awkward numbers.
fn found(example: u32) -> ExampleOutcomes {
    let verdicts = [Verdict::Broken, Verdict::Survived, Verdict::Failed];
    let settled = [Settled::Attack, Settled::Distance, Settled::Inferred, Settled::Clean];
    let distances = [None, Some(f32::from_bits(example)), Some(-0.0), Some(f32::NAN), Some(f32::MIN_POSITIVE / 2.0)];
    let outcome = |i: u32| Outcome {
        verdict: verdicts[((example + i) % 3) as usize],
        settled: settled[((example + i) % 4) as usize],
        distance: distances[((example + i) % 5) as usize],
        forwards: u32::MAX - example,
        backwards: example * 31 + i,
    };
    ExampleOutcomes { example, outcomes: (0..8).map(outcome).collect() }
}

/// Chunk `number`, of `CHUNK` examples.
fn chunk(number: u32) -> Vec<ExampleOutcomes> {
    (number * CHUNK..(number + 1) * CHUNK).map(found).collect()
}

/// As text, so that NaN equals itself and -0 differs from 0.
fn exact(outcomes: &[ExampleOutcomes]) -> String {
    format!(
        "{:?}",
        outcomes.iter().map(|o| (o, o.outcomes.iter().map(|o| o.distance.map(f32::to_bits)).collect::<Vec<_>>())).collect::<Vec<_>>()
    )
}

fn open(folder: &Path, mode: Mode) -> gauntlet::Result<Store> {
    Store::open(folder, &identity(), mode)
}

fn run_folder() -> (tempfile::TempDir, PathBuf) {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path().join("runs/digits");
    (temporary, folder)
}

/// The error with its way out, which must name every one of `parts`.
#[track_caller]
fn expect_error<T>(result: gauntlet::Result<T>, kind: Kind, parts: &[&str]) {
    let error = result.err().expect("this must be refused");
    let text = format!("{error:?}");
    assert_eq!(error.kind(), kind, "{text}");
    for part in parts {
        assert!(text.contains(part), "{part:?} is missing in: {text}");
    }
}

fn committed_chunks_are_there_to_the_bit_when_the_store_is_opened_again() {
    let (_temporary, folder) = run_folder();
    let store = open(&folder, Mode::Continue).unwrap();
    store.commit_chunk(&pgd(), &device(64), &chunk(1), &cost(1.5)).unwrap();
    store.commit_chunk(&pgd(), &device(64), &chunk(0), &cost(0.5)).unwrap();
    drop(store);
    let store = open(&folder, Mode::Resume).unwrap();
    let expected: Vec<_> = (0..2).flat_map(chunk).collect();
    assert_eq!(exact(&store.outcomes(&pgd()).unwrap()), exact(&expected));
    let finished = store.finished_examples(&pgd(), &device_kind(&device(64))).unwrap();
    assert_eq!(finished, (0..2 * CHUNK).collect::<BTreeSet<_>>());
    assert_eq!(
        store.timing().unwrap().series,
        [(
            pgd(),
            Cost {
                seconds: 2.0,
                device_forwards: 512,
                device_backwards: 256,
                active: 400,
                capacity: 512,
                fed_active: 192,
                fed_capacity: 200
            }
        )]
    );
    assert_eq!(store.identity(), &identity());
}

fn an_example_that_is_committed_twice_replaces_itself() {
    let (_temporary, folder) = run_folder();
    let store = open(&folder, Mode::Continue).unwrap();
    store.commit_chunk(&pgd(), &device(64), &[ExampleOutcomes { example: 3, outcomes: found(9).outcomes }], &cost(1.0)).unwrap();
    store.commit_chunk(&pgd(), &device(64), &chunk(0), &cost(1.0)).unwrap();
    store.commit_chunk(&pgd(), &device(64), &chunk(0), &cost(1.0)).unwrap();
    assert_eq!(exact(&store.outcomes(&pgd()).unwrap()), exact(&chunk(0)));
}

fn outcomes_of_another_kind_of_device_do_not_count_as_finished() {
    let (_temporary, folder) = run_folder();
    let store = open(&folder, Mode::Continue).unwrap();
    store.commit_chunk(&pgd(), &device(64), &chunk(0), &cost(1.0)).unwrap();
    store.commit_chunk(&pgd(), &device(128), &chunk(1), &cost(1.0)).unwrap();
    let finished = |slots| store.finished_examples(&pgd(), &device_kind(&device(slots))).unwrap();
    assert_eq!(finished(64), (0..CHUNK).collect::<BTreeSet<_>>());
    assert_eq!(finished(32), BTreeSet::new());
    assert_eq!(store.devices().unwrap().len(), 2);
    store.commit_chunk(&pgd(), &device(128), &chunk(0), &cost(1.0)).unwrap();
    assert_eq!(finished(64), BTreeSet::new());
    assert_eq!(store.devices().unwrap(), [device(128)]);
    let rows = store.outcomes_by_device(&pgd()).unwrap();
    assert!(rows.len() == 14 && rows.iter().all(|(from, _)| *from == Arc::new(device(128))));
}

fn facts_defences_trainings_and_specimens_come_back_as_they_were() {
    let (_temporary, folder) = run_folder();
    let defence = DefenceRecord {
        name: "undefended".into(),
        info: r#"{"clean_accuracy":0.1}"#.into(),
        predictions: vec![0, 9, u32::MAX],
        failed: vec![false, true, false],
        rejected: vec![false, true, true],
        forwards: u64::MAX,
    };
    let specimen = |attack: &str, epsilon, example| Specimen {
        series: SeriesKey { attack: attack.into(), ..pgd() },
        epsilon,
        example,
        label: 1,
        prediction: 2,
        distance: 0.1,
        shape: [1, 1, 2],
        original: vec![0.0, 1.0],
        adversarial: vec![0.1, f32::from_bits(0x3f7f_ffff)],
    };
    let store = open(&folder, Mode::Continue).unwrap();
    store.put_fact("plan", "[1]").unwrap();
    store.put_fact("plan", "[2]").unwrap();
    store.put_training("undefended", "{}").unwrap();
    store.put_defence(&defence).unwrap();
    store.put_specimens(&[specimen("pgd", 0.2, 1), specimen("pgd", 0.1, 5), specimen("fgsm", 0.2, 7), specimen("pgd", 0.1, 4)]).unwrap();
    store.add_timing(1.25).unwrap();
    store.add_timing(0.25).unwrap();
    drop(store);
    let store = Store::read(&folder).unwrap();
    assert_eq!(store.fact("plan").unwrap().as_deref(), Some("[2]"));
    assert_eq!(store.fact("suite").unwrap(), None);
    assert_eq!(store.training("undefended").unwrap().as_deref(), Some("{}"));
    assert_eq!(store.defence("undefended").unwrap(), Some(defence));
    assert_eq!(store.defence("other").unwrap(), None);
    let expected = [specimen("fgsm", 0.2, 7), specimen("pgd", 0.1, 4), specimen("pgd", 0.1, 5), specimen("pgd", 0.2, 1)];
    assert_eq!(store.specimens().unwrap(), expected);
    assert_eq!(store.timing().unwrap().seconds, 1.5);
}

fn an_audit_outlives_the_series_that_it_condemns_and_no_other_change() {
    let (_temporary, folder) = run_folder();
    let store = open(&folder, Mode::Continue).unwrap();
    let audited = |example, epsilon| Audited { example, epsilon, verdict: Verdict::Broken, forwards: 40, backwards: 39 };
    assert_eq!(store.audits(&pgd()).unwrap(), None);
    store.commit_audit(&pgd(), &[], &cost(0.0)).unwrap();
    assert_eq!(store.audits(&pgd()).unwrap(), Some(vec![]), "an empty audit is one");
    store.commit_chunk(&pgd(), &device(64), &chunk(0), &cost(1.0)).unwrap();
    assert_eq!(store.audits(&pgd()).unwrap(), None, "new outcomes make an audit stale");
    store.commit_audit(&pgd(), &[audited(2, 0.2), audited(2, 0.1), audited(1, 0.3)], &cost(1.0)).unwrap();
    assert!(!store.is_exhaustive(&pgd()).unwrap());
    store.clear_series(&pgd()).unwrap();
    assert!(store.is_exhaustive(&pgd()).unwrap());
    assert_eq!(store.outcomes(&pgd()).unwrap(), []);
    store.commit_chunk(&pgd(), &device(64), &chunk(0), &cost(1.0)).unwrap();
    assert_eq!(store.audits(&pgd()).unwrap(), Some(vec![audited(1, 0.3), audited(2, 0.1), audited(2, 0.2)]));
    assert_eq!(store.timing().unwrap().series[0].1.seconds, 3.0, "what was spent stays spent");
}

fn several_threads_commit_to_one_store() {
    let (_temporary, folder) = run_folder();
    let store = open(&folder, Mode::Continue).unwrap();
    std::thread::scope(|scope| {
        for worker in 0..4 {
            let store = &store;
            scope.spawn(move || (0..5).for_each(|i| store.commit_chunk(&pgd(), &device(64), &chunk(worker * 5 + i), &cost(1.0)).unwrap()));
        }
    });
    let expected: Vec<_> = (0..20).flat_map(chunk).collect();
    assert_eq!(exact(&store.outcomes(&pgd()).unwrap()), exact(&expected));
    assert_eq!(store.timing().unwrap().series[0].1.capacity, 20 * 256);
}

fn a_second_store_in_one_process_is_refused_until_the_first_is_dropped() {
    let (_temporary, folder) = run_folder();
    let first = open(&folder, Mode::Continue).unwrap();
    expect_error(open(&folder, Mode::Continue), Kind::Store, &["in use", &std::process::id().to_string()]);
    drop(first);
    open(&folder, Mode::Continue).unwrap();
}

fn another_suite_is_refused_and_fresh_replaces_it() {
    let (_temporary, folder) = run_folder();
    open(&folder, Mode::Continue).unwrap().commit_chunk(&pgd(), &device(64), &chunk(0), &cost(1.0)).unwrap();
    let other = Identity { suite_hash: "0ther".into(), title: "Fashion".into(), seed: 3, ..identity() };
    for mode in [Mode::Continue, Mode::Resume] {
        expect_error(Store::open(&folder, &other, mode), Kind::Input, &["runs/digits", "\"Digits\"", "\"Fashion\"", "--fresh", "--out"]);
    }
    let edited = Identity { suite_hash: "0ther".into(), ..identity() };
    expect_error(Store::open(&folder, &edited, Mode::Continue), Kind::Input, &["also called \"Digits\"", "differ", "--fresh"]);
    let newer = Identity { version: "0.2.0".into(), ..identity() };
    expect_error(Store::open(&folder, &newer, Mode::Continue), Kind::Input, &["gauntlet 0.1.0", "gauntlet 0.2.0", "--fresh"]);
    assert_eq!(open(&folder, Mode::Continue).unwrap().outcomes(&pgd()).unwrap().len(), 7, "a refusal changes nothing");
    let store = Store::open(&folder, &other, Mode::Fresh).unwrap();
    assert_eq!((store.outcomes(&pgd()).unwrap(), store.identity()), (vec![], &other));
}

fn fresh_removes_the_runs_own_files_and_no_others() {
    let (_temporary, folder) = run_folder();
    drop(open(&folder, Mode::Continue).unwrap());
    fs::create_dir(folder.join("plots")).unwrap();
    let own = ["results.json", "report.html", "log.jsonl", "plots/curve.svg", "plots/curve.png", ".results.json.12-0.tmp"];
    let others = ["notes.txt", "plots/mine.txt", ".results.json.tmp"];
    own.iter().chain(&others).for_each(|name| fs::write(folder.join(name), "x").unwrap());
    drop(open(&folder, Mode::Fresh).unwrap());
    assert!(own.iter().all(|name| !folder.join(name).exists()));
    assert!(others.iter().all(|name| folder.join(name).exists()));
}

fn a_folder_of_somebody_elses_files_is_left_alone() {
    let (_temporary, folder) = run_folder();
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("thesis.tex"), "x").unwrap();
    expect_error(open(&folder, Mode::Fresh), Kind::Input, &["no run to replace", "thesis.tex", "--out"]);
    fs::write(folder.join("results.json"), "x").unwrap();
    expect_error(open(&folder, Mode::Continue), Kind::Input, &["results.json", "overwrite", "--out"]);
    let names: BTreeSet<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["results.json", "thesis.tex"].map(Into::into).into());
    fs::remove_file(folder.join("results.json")).unwrap();
    let foreign = rusqlite::Connection::open(folder.join(FILE)).unwrap();
    foreign.execute_batch("CREATE TABLE theirs (x)").unwrap();
    for mode in [Mode::Continue, Mode::Fresh] {
        expect_error(open(&folder, mode), Kind::Input, &["another program", "--out"]);
    }
}

fn resuming_nothing_and_reading_no_run_say_so() {
    let (temporary, folder) = run_folder();
    expect_error(open(&folder, Mode::Resume), Kind::Input, &["--resume", "runs/digits", "no run"]);
    expect_error(Store::read(&folder), Kind::Input, &["runs/digits"]);
    assert!(!folder.exists(), "a refusal makes no folder");
    expect_error(Store::read(temporary.path()), Kind::Input, &["not the folder of a run"]);
    let file = temporary.path().join("file");
    fs::write(&file, "").unwrap();
    expect_error(Store::read(&file), Kind::Input, &["is a file"]);
    // A process that was killed before its first commit leaves an empty file.
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join(FILE), "").unwrap();
    expect_error(Store::read(&folder), Kind::Input, &["not the folder of a run"]);
    expect_error(open(&folder, Mode::Resume), Kind::Input, &["--resume"]);
    open(&folder, Mode::Continue).unwrap();
}

fn a_damaged_store_is_told_from_a_whole_one_and_left_as_it_is() {
    let (_temporary, folder) = run_folder();
    let store = open(&folder, Mode::Continue).unwrap();
    (0..200).for_each(|number| store.commit_chunk(&pgd(), &device(64), &chunk(number), &cost(1.0)).unwrap());
    drop(store);
    let path = folder.join(FILE);
    let whole = fs::read(&path).unwrap();
    let truncated = whole[..whole.len() / 2].to_vec();
    let cut = whole[..100].to_vec();
    let mut overwritten = whole.clone();
    let last = overwritten.len() - 4096;
    overwritten[last..].fill(0x55);
    for bytes in [truncated, cut, overwritten, b"this is no database at all".repeat(50)] {
        fs::write(&path, &bytes).unwrap();
        for result in [open(&folder, Mode::Continue), open(&folder, Mode::Resume), Store::read(&folder)] {
            expect_error(result, Kind::Store, &["store.sqlite", "damaged", "copy", "--fresh"]);
        }
        assert_eq!(fs::read(&path).unwrap(), bytes);
    }
    fs::write(&path, &whole).unwrap();
    assert_eq!(open(&folder, Mode::Continue).unwrap().outcomes(&pgd()).unwrap().len(), 1400);
    fs::write(&path, "garbage").unwrap();
    assert_eq!(open(&folder, Mode::Fresh).unwrap().outcomes(&pgd()).unwrap(), []);
}

fn rows_that_make_no_sense_are_damage_and_never_outcomes() {
    let (_temporary, folder) = run_folder();
    open(&folder, Mode::Continue).unwrap().commit_chunk(&pgd(), &device(64), &chunk(0), &cost(1.0)).unwrap();
    for sql in
        ["UPDATE outcome SET outcomes = x'0300000000000000000000000000'", "UPDATE outcome SET outcomes = x'03000000000000000000000000'"]
    {
        rusqlite::Connection::open(folder.join(FILE)).unwrap().execute_batch(sql).unwrap();
        expect_error(Store::read(&folder).unwrap().outcomes(&pgd()), Kind::Store, &["store.sqlite", "damaged", "--fresh"]);
    }
}

fn a_store_of_a_newer_schema_is_refused() {
    let (_temporary, folder) = run_folder();
    drop(open(&folder, Mode::Continue).unwrap());
    rusqlite::Connection::open(folder.join(FILE)).unwrap().pragma_update(None, "user_version", 99).unwrap();
    for result in [open(&folder, Mode::Continue), Store::read(&folder)] {
        expect_error(result, Kind::Store, &["schema 99", "newer gauntlet"]);
    }
}

fn a_file_is_replaced_whole_or_not_at_all() {
    let temporary = tempfile::tempdir().unwrap();
    let path = temporary.path().join("results.json");
    write_atomic(&path, b"old").unwrap();
    let failed = write_atomic_with(&path, |file| {
        std::io::Write::write_all(file, b"half of the new").unwrap();
        Err(gauntlet::Error::data("the rest cannot be had"))
    });
    expect_error(failed, Kind::Data, &["the rest"]);
    assert_eq!(fs::read(&path).unwrap(), b"old");
    write_atomic(&path, b"new").unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"new");
    assert_eq!(fs::read_dir(temporary.path()).unwrap().count(), 1, "no temporary file stays");
}
