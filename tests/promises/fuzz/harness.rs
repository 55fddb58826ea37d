//! Feeds a reader with inputs, and tells what went wrong with which.

use std::collections::BTreeMap;
use std::io::{Seek, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use gauntlet::error::Kind;
use gauntlet::{Error, Result};
use miette::Diagnostic;

use super::chance::Chance;
use super::inputs::Maker;
use super::memory::peak_of;

promises! {
    the_peak_of_memory_is_counted,
    a_reader_that_fails_is_told_with_its_seed_and_its_input,
}

/// Failures that are told at once.
const MOST_FAILURES: usize = 8;
/// A reader works for milliseconds.
const SLOWEST: Duration = Duration::from_secs(5);

/// Reads a file, or a folder of files, with a suite's overrides; `Ok` says what is wrong with what was read, where something is.
pub type Reader = fn(&Path, &[String]) -> Result<Option<String>>;

/// A format, and what reads it.
pub struct Target {
    pub name: &'static str,
    pub make: Maker,
    /// How many inputs there are where no time is set: about two seconds' worth.
    pub inputs: u64,
    pub read: Reader,
    /// Bytes of memory for an input of any length, and for each byte of it.
    pub memory: (usize, usize),
}

impl Target {
    /// Reads inputs; panics with what went wrong.
    pub fn run(&self) {
        let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().unwrap_or_else(|_| panic!("{name}={text}")));
        let seconds = number("GAUNTLET_FUZZ_SECONDS").map(Duration::from_secs);
        let first = number("GAUNTLET_FUZZ_SEED").unwrap_or(0);
        let shared = Path::new("/dev/shm");
        let folder = if shared.is_dir() { tempfile::tempdir_in(shared) } else { tempfile::tempdir() }.expect("a folder");
        let marker = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("fuzz-{}-{}.seed", self.name, std::process::id()));
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
        if seconds.is_some() {
            println!(
                "fuzz {}: {runs} inputs in {:.0} s, {sound} read, {} kinds of answers, slowest {slowest:.3?}, {} KiB at most, {} failures",
                self.name,
                start.elapsed().as_secs_f64(),
                answers.len(),
                largest >> 10,
                failures.len()
            );
        }
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
        let start = worked();
        let (result, memory) = peak_of(|| catch_unwind(AssertUnwindSafe(|| (self.read)(&path, &overrides))));
        let time = worked().saturating_sub(start);
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
        let wrong = wrong.or_else(|| (time > SLOWEST).then(|| format!("it works for {time:.1?}")));
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

/// For how long this thread has worked, whatever else the machine does; where that is not told, zero, and no input is too slow.
fn worked() -> Duration {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    told.and_then(|told| told.split(' ').next()?.parse().ok()).map_or(Duration::ZERO, Duration::from_nanos)
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
    if error.kind() != Kind::Input {
        return Some(format!("an error of kind {:?}: {error:?}", error.kind()));
    }
    if error.all().iter().any(|error| error.message().trim().is_empty()) {
        return Some("an error without a message".into());
    }
    let clear = named(error) || error.all().into_iter().all(named);
    (!clear).then(|| format!("an error that does not name the file: {error:?}"))
}

/// Writes an input down.
fn keep(target: &str, seed: u64, name: &str, bytes: &[u8]) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("fuzz-{target}-{seed}-{name}"));
    std::fs::write(&path, bytes).expect("a file in the build's folder");
    path
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

fn a_reader_that_fails_is_told_with_its_seed_and_its_input() {
    let readers: [(Reader, &str); 5] = [
        // As a panic would, without its report.
        (|_, _| std::panic::resume_unwind(Box::new("out of range")), "it panics: out of range"),
        (|_, _| Err(Error::input("no")), "does not name the file"),
        (|path, _| Err(Error::data(path.display().to_string())), "kind Data"),
        (|_, _| Ok(std::hint::black_box(vec![0_u8; 100 << 20]).is_empty().then(String::new)), "bytes of memory"),
        (|_, _| Ok(Some("a weight is missing".into())), "a weight is missing"),
    ];
    let folder = tempfile::tempdir().expect("a folder");
    for (read, fault) in readers {
        let make: Maker = Box::new(|chance| vec![("file", chance.next().to_le_bytes().to_vec())]);
        let failure = Target { name: "none", make, inputs: 1, read, memory: (64 << 20, 40) }.one(7, folder.path()).err().expect(fault);
        assert!(failure.contains("seed 7 of none") && failure.contains(fault), "{failure}");
        let kept = Path::new(failure.rsplit("kept as ").next().expect("a path"));
        assert_eq!(std::fs::read(kept).expect("the input"), Chance::new(7).next().to_le_bytes());
        std::fs::remove_file(kept).expect("the input");
    }
}
