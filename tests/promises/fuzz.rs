//! Whatever a file holds, its reader ends soon, within its size of memory, and with the data or with an error that names the file.
//!
//! Each test makes inputs out of sound files by edits that know the format: a fixed number of them, or as many as
//! `GAUNTLET_FUZZ_SECONDS` leaves time for. An input depends on its seed alone; `GAUNTLET_FUZZ_SEED` names the first. What fails is kept
//! in the build's folder for tests, its seed in its name; a seed that ended the whole program is found there in `fuzz-<target>.seed`.

#[path = "fuzz/archive.rs"]
mod archive;
#[path = "fuzz/chance.rs"]
mod chance;
#[path = "fuzz/inputs.rs"]
mod inputs;
#[path = "fuzz/memory.rs"]
pub mod memory;
#[path = "fuzz/pickle.rs"]
mod pickle;
#[path = "fuzz/protobuf.rs"]
mod protobuf;
#[path = "fuzz/text.rs"]
mod text;

use std::collections::BTreeMap;
use std::io::{Seek, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use gauntlet::data::{Request, load};
use gauntlet::error::Kind;
use gauntlet::model::weights;
use gauntlet::onnx::{self, Declared};
use gauntlet::options::{Options, Value};
use gauntlet::suite::catalogue::catalogue;
use gauntlet::{Error, Result, suite};
use miette::Diagnostic;

use chance::Chance;
use inputs::Maker;
use memory::peak_of;

promises! {
    no_onnx_file_brings_its_reader_down,
    no_pickle_brings_its_reader_down,
    no_safetensors_file_brings_its_reader_down,
    no_numpy_archive_brings_its_reader_down,
    no_idx_file_brings_its_reader_down,
    no_suite_brings_its_reader_down,
    the_peak_of_memory_is_counted,
}

/// Bytes that an edit may let an input grow to.
const LONGEST: usize = 1 << 18;
/// Failures that are told at once.
const MOST_FAILURES: usize = 8;
/// A reader takes milliseconds; on a machine that has a lot else to do, some more.
const SLOWEST: Duration = Duration::from_secs(5);
/// Bytes of memory for an input of any length, and for each byte of it.
const MEMORY: (usize, usize) = (64 << 20, 40);

/// A format, and what reads it: `Ok` says what is wrong with what was read, where something is.
struct Target {
    name: &'static str,
    make: Maker,
    /// How many inputs there are where no time is set: about two seconds' worth.
    inputs: u64,
    read: fn(&Path, &[String]) -> Result<Option<String>>,
    memory: (usize, usize),
}

impl Target {
    fn run(&self) {
        let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().unwrap_or_else(|_| panic!("{name}={text}")));
        let seconds = number("GAUNTLET_FUZZ_SECONDS").map(Duration::from_secs);
        let first = number("GAUNTLET_FUZZ_SEED").unwrap_or(0);
        let shared = Path::new("/dev/shm");
        let folder = if shared.is_dir() { tempfile::tempdir_in(shared) } else { tempfile::tempdir() }.expect("a folder");
        let marker = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("fuzz-{}.seed", self.name));
        let mut marked = std::fs::File::create(&marker).expect("a file in the build's folder");
        let start = Instant::now();
        let (mut seed, mut sound, mut slowest, mut largest, mut failures) = (first, 0, Duration::ZERO, 0, Vec::new());
        let mut answers: BTreeMap<String, u64> = BTreeMap::new();
        while failures.len() < MOST_FAILURES && seconds.map_or(seed - first < self.inputs, |seconds| start.elapsed() < seconds) {
            marked.rewind().and_then(|()| write!(marked, "{seed:020}")).expect("a file in the build's folder");
            match self.one(seed, folder.path()) {
                Ok(tried) => {
                    sound += u64::from(tried.answer.is_none());
                    slowest = slowest.max(tried.time);
                    largest = largest.max(tried.memory);
                    *answers.entry(tried.answer.unwrap_or_default()).or_default() += 1;
                }
                Err(failure) => failures.push(failure),
            }
            seed += 1;
        }
        drop(marked);
        let runs = seed - first;
        println!(
            "fuzz {}: {runs} inputs in {:.0} s, {sound} read, {} kinds of answers, slowest {slowest:.3?}, {} KiB at most, {} failures",
            self.name,
            start.elapsed().as_secs_f64(),
            answers.len(),
            largest >> 10,
            failures.len()
        );
        assert!(failures.is_empty(), "{}", failures.join("\n"));
        let _ = std::fs::remove_file(marker);
        // Edits that spoil everything, or nothing, find nothing.
        assert!(sound > 0 && sound < runs, "of {runs} inputs {sound} were read");
    }

    /// Reads the input of a seed.
    fn one(&self, seed: u64, folder: &Path) -> Result<Tried, String> {
        let input = (self.make)(&mut Chance::new(seed));
        let mut overrides = Vec::new();
        let mut length = 0;
        for (name, bytes) in &input {
            length += bytes.len();
            match *name {
                "set" => overrides.push(String::from_utf8_lossy(bytes).into_owned()),
                name => std::fs::write(folder.join(name), bytes).expect("a file in memory"),
            }
        }
        let path = if input.len() > 1 && overrides.is_empty() { folder.to_owned() } else { folder.join(input[0].0) };
        let start = Instant::now();
        let (result, memory) = peak_of(|| catch_unwind(AssertUnwindSafe(|| (self.read)(&path, &overrides))));
        let time = start.elapsed();
        let answer = match &result {
            Ok(Ok(_)) => None,
            Ok(Err(error)) => Some(answer(error, folder)),
            Err(_) => None,
        };
        let wrong = match result {
            Err(panic) => {
                let text = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
                Some(format!("it panics: {}", text.unwrap_or("without a word")))
            }
            Ok(Ok(wrong)) => wrong,
            Ok(Err(error)) => unclear(&error, folder, &overrides),
        };
        let most = self.memory.0 + self.memory.1 * length;
        let wrong =
            wrong.or_else(|| (memory > most).then(|| format!("it takes {memory} bytes of memory for {length} of input, over {most}")));
        let wrong = wrong.or_else(|| (time > SLOWEST).then(|| format!("it takes {time:.1?}")));
        for (name, _) in &input {
            let _ = std::fs::remove_file(folder.join(name));
        }
        let Some(wrong) = wrong else { return Ok(Tried { answer, time, memory }) };
        let kept: Vec<String> = input.iter().map(|(name, bytes)| keep(self.name, seed, name, bytes).display().to_string()).collect();
        Err(format!("seed {seed} of {}: {wrong}; kept as {}", self.name, kept.join(", ")))
    }
}

/// What an input came to.
struct Tried {
    /// The part of the error's message that tells one kind from another; `None` where the input was read.
    answer: Option<String>,
    time: Duration,
    memory: usize,
}

/// The letters that an error's message opens with, behind the file's name.
fn answer(error: &Error, folder: &Path) -> String {
    let message = error.message().replace(&folder.display().to_string(), "");
    message.chars().filter(char::is_ascii_alphabetic).take(40).collect()
}

/// What is missing in an error, where something is.
fn unclear(error: &Error, folder: &Path, overrides: &[String]) -> Option<String> {
    let named = |error: &Error| {
        let place = folder.display().to_string();
        let source = error.source_code().and_then(|source| source.read_span(&(0, 0).into(), 0, 0).ok());
        // A mistake in `--set` is not one of the file.
        error.message().contains(&place)
            || source.is_some_and(|source| source.name().is_some_and(|name| name.contains(&place)))
            || !overrides.is_empty()
    };
    let all = error.all();
    let unnamed = all.iter().find(|error| !named(error));
    match unnamed {
        _ if error.kind() != Kind::Input => Some(format!("an error of kind {:?}: {error:?}", error.kind())),
        _ if error.message().trim().is_empty() => Some("an error without a message".into()),
        Some(unnamed) => Some(format!("an error that does not name the file: {unnamed:?}")),
        None => None,
    }
}

/// Writes an input down.
fn keep(target: &str, seed: u64, name: &str, bytes: &[u8]) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("fuzz-{target}-{seed}-{name}"));
    std::fs::write(&path, bytes).expect("a file in the build's folder");
    path
}

fn no_onnx_file_brings_its_reader_down() {
    let read = |path: &Path, _: &[String]| {
        let model = onnx::read(path, &Declared::default())?;
        let wrong = model.weights.0.iter().find(|(_, (shape, values))| shape.iter().product::<usize>() != values.len());
        Ok(wrong.map(|(name, (shape, values))| format!("weight {name} {shape:?} has {} values", values.len())))
    };
    // A model may make as many constants as its reader allows any file.
    Target { name: "onnx", inputs: 500, make: inputs::onnx(), read, memory: (512 << 20, MEMORY.1) }.run();
}

fn checkpoint(path: &Path, _: &[String]) -> Result<Option<String>> {
    let found = weights::read(path)?;
    let wrong = found.tensors.iter().find(|tensor| tensor.shape.iter().product::<usize>() != tensor.values.len());
    Ok(wrong.map(|tensor| format!("tensor {} {:?} has {} values", tensor.name, tensor.shape, tensor.values.len())))
}

fn no_pickle_brings_its_reader_down() {
    Target { name: "pickle", inputs: 4000, make: inputs::torch(), read: checkpoint, memory: MEMORY }.run();
}

fn no_safetensors_file_brings_its_reader_down() {
    Target { name: "safetensors", inputs: 8000, make: inputs::safetensors(), read: checkpoint, memory: MEMORY }.run();
}

fn examples(source: &str, path: &Path, split: &str) -> Result<Option<String>> {
    let options = Options([("path".to_owned(), Value::Text(path.display().to_string()))].into());
    let found = load(source, &Request { options, split: split.parse()?, ..Request::default() })?;
    let count = found.labels.len();
    let sound = found.images.len() == count * found.shape.iter().product::<usize>()
        && found.images.iter().all(|pixel| (0.0..=1.0).contains(pixel))
        && found.labels.iter().all(|label| (*label as usize) < found.classes);
    Ok((!sound).then(|| format!("{count} examples of {:?} that are none", found.shape)))
}

fn no_numpy_archive_brings_its_reader_down() {
    Target { name: "npz", inputs: 3000, make: inputs::npz(), read: |path, _| examples("npz", path, "all"), memory: MEMORY }.run();
}

fn no_idx_file_brings_its_reader_down() {
    Target { name: "idx", inputs: 4000, make: inputs::idx(), read: |path, _| examples("idx", path, "test"), memory: MEMORY }.run();
}

fn no_suite_brings_its_reader_down() {
    let read = |path: &Path, overrides: &[String]| {
        let read = suite::read(path, overrides, &catalogue());
        // Its report is part of what must not panic: places in the text are drawn.
        if let Err(error) = &read {
            let drawn = format!("{:?}", miette::Report::new(error.clone()));
            if drawn.trim().is_empty() {
                return Ok(Some("an empty report".into()));
            }
        }
        read.map(|suite| (suite.attacks.is_empty() || suite.threats.is_empty()).then(|| "a suite without attacks or threats".into()))
    };
    Target { name: "suite", inputs: 400, make: inputs::suite(), read, memory: MEMORY }.run();
}

fn the_peak_of_memory_is_counted() {
    let (kept, peak) = peak_of(|| {
        drop(vec![1_u8; 3 << 20]);
        vec![1_u8; 1 << 20]
    });
    assert!((3 << 20..4 << 20).contains(&peak), "{peak}");
    let ((), peak) = peak_of(|| drop(vec![0_u8; 2 << 20]));
    assert!((2 << 20..3 << 20).contains(&peak), "{} bytes kept, {peak}", kept.len());
}
