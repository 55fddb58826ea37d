//! Small runs with known outcomes, made through the store.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use gauntlet::evaluate::cost::Cost;
use gauntlet::evaluate::record::{ExampleOutcomes, Outcome, SeriesKey, Settled, Verdict};
use gauntlet::evaluate::results::{DataInfo, DefenceInfo, DeviceInfo};
use gauntlet::store::{DefenceRecord, Identity, Mode, Store};
use gauntlet::suite::resolved::Layout;
use gauntlet::threat::{Norm, Sweep, Threat};

pub const EPSILONS: [f64; 3] = [0.0, 8.0 / 255.0, 0.1];
/// The first example's id; the others follow.
pub const FIRST: u32 = 100;

/// What becomes of an example.
#[derive(Clone, Copy, PartialEq)]
pub enum Fate {
    Robust,
    /// Broken at the largest epsilon alone.
    Late,
    /// Broken at both.
    Early,
    Misclassified,
    /// Failed at the largest epsilon.
    Failing,
}

/// A run: its suite's attacks, and what becomes of example `i` of a defence under an attack; `None` where the series is unfinished.
pub struct Run {
    pub hash: &'static str,
    pub examples: u32,
    pub defences: Vec<&'static str>,
    pub attacks: Vec<&'static str>,
    /// Place of the first epsilon that it has.
    pub from: usize,
    pub fate: fn(&str, &str, u32) -> Option<Fate>,
}

pub fn key(defence: &str, attack: &str) -> SeriesKey {
    SeriesKey { defence: defence.into(), attack: attack.into(), norm: Norm::Linf }
}

fn outcomes(fate: Fate) -> Vec<Outcome> {
    let outcome = |verdict, settled, distance| Outcome { verdict, settled, distance, forwards: 3, backwards: 2 };
    let survived = outcome(Verdict::Survived, Settled::Attack, None);
    let clean = outcome(Verdict::Survived, Settled::Clean, None);
    let broken = |distance| outcome(Verdict::Broken, Settled::Attack, Some(distance));
    match fate {
        Fate::Robust => vec![clean, survived, survived],
        Fate::Late => vec![clean, survived, broken(0.09)],
        Fate::Early => vec![clean, broken(0.03), broken(0.03)],
        Fate::Misclassified => vec![outcome(Verdict::Broken, Settled::Clean, Some(0.0)); 3],
        Fate::Failing => vec![clean, survived, outcome(Verdict::Failed, Settled::Attack, None)],
    }
}

/// The name of an entry of a suite such as `kind = "pgd"\nname = "long"`.
fn name(entry: &str) -> &str {
    let field = |field: &str| entry.lines().find_map(|line| line.strip_prefix(field)?.trim_matches([' ', '=', '"']).into());
    field("name").or_else(|| field("kind")).unwrap()
}

/// Makes the run in `folder`, finished in so far as its fates are known.
pub fn make(folder: &Path, run: &Run) -> Store {
    let identity = Identity { suite_hash: "5eed".into(), title: "Digits".into(), seed: 7, version: "0.1.0".into(), parts: BTreeMap::new() };
    let store = Store::open(folder, &identity, Mode::Continue).unwrap();
    let ids: Vec<u32> = (FIRST..FIRST + run.examples).collect();
    let labels: Vec<u32> = ids.iter().map(|id| id % 3).collect();
    let names: Vec<&str> = run.attacks.iter().map(|entry| name(entry)).collect();
    let series: Vec<SeriesKey> = run.defences.iter().flat_map(|defence| names.iter().map(|attack| key(defence, attack))).collect();
    let layout = Layout {
        suite: run.attacks.iter().map(|entry| format!("[[attack]]\n{entry}\n")).collect(),
        here: None,
        data: DataInfo { name: "digits, test".into(), examples: ids.len(), classes: 3, shape: [1, 2, 2], hash: run.hash.into() },
        ids: ids.clone(),
        labels: labels.clone(),
        defences: run.defences.iter().map(|&defence| defence.to_owned()).collect(),
        threats: vec![Threat { norm: Norm::Linf, epsilons: EPSILONS[run.from..].to_vec(), sweep: Sweep::Exhaustive }],
        planned: series.len() * EPSILONS[run.from..].len(),
        series,
        unknown: Vec::new(),
        members: Vec::new(),
        certificates: Vec::new(),
        refused: Vec::new(),
    };
    store.put_fact("layout", &serde_json::to_string(&layout).unwrap()).unwrap();
    let text = |text: &str| text.to_owned();
    let (device, backend, compiler, precision) = (text("a processor"), text("cpu"), text("native"), text("f32"));
    let device = DeviceInfo { name: device, backend, driver: String::new(), compiler, precision, slots: 8 };
    let mut complete = true;
    for defence in &run.defences {
        let wrong = |example: u32| names.iter().any(|attack| (run.fate)(defence, attack, example) == Some(Fate::Misclassified));
        let predictions: Vec<u32> = labels.iter().zip(0..).map(|(label, i)| if wrong(i) { label + 1 } else { *label }).collect();
        let right = predictions.iter().zip(&labels).filter(|(prediction, label)| prediction == label).count();
        let info = DefenceInfo {
            name: (*defence).into(),
            architecture: "small-cnn".into(),
            training: "pgd".into(),
            parameters: 1234,
            weights: "ab12".into(),
            adaptive: true,
            clean_accuracy: right as f64 / ids.len() as f64,
            ci95: [0.0, 1.0],
            ..DefenceInfo::default()
        };
        let record = DefenceRecord {
            name: (*defence).into(),
            info: serde_json::to_string(&info).unwrap(),
            failed: vec![false; ids.len()],
            rejected: vec![false; ids.len()],
            forwards: ids.len() as u64,
            predictions,
        };
        store.put_defence(&record).unwrap();
        for attack in &names {
            let outcomes = |i| {
                let outcomes = outcomes((run.fate)(defence, attack, i)?).split_off(run.from);
                Some(ExampleOutcomes { example: FIRST + i, outcomes })
            };
            let found: Vec<ExampleOutcomes> = (0..run.examples).filter_map(outcomes).collect();
            complete &= found.len() == ids.len();
            store.commit_chunk(&key(defence, attack), &device, &found, &Cost::default()).unwrap();
        }
    }
    if complete {
        store.put_fact("complete", "true").unwrap();
    }
    store
}

/// Two runs' folders, the lock on them released.
pub fn two(a: &Run, b: &Run) -> (tempfile::TempDir, [PathBuf; 2]) {
    let temporary = tempfile::tempdir().unwrap();
    let folders = ["a", "b"].map(|name| temporary.path().join(name));
    drop(make(&folders[0], a));
    drop(make(&folders[1], b));
    (temporary, folders)
}

/// Runs the program.
pub fn gauntlet(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_gauntlet")).args(arguments).stdin(Stdio::null()).output().unwrap()
}

/// The error with its way out, which must name every one of `parts`.
#[track_caller]
pub fn expect_error<T>(result: gauntlet::Result<T>, parts: &[&str]) {
    let text = format!("{:?}", result.err().expect("this must be refused"));
    for part in parts {
        assert!(text.contains(part), "{part:?} is missing in: {text}");
    }
}
