//! A run's folder: what in it is the run's own, and when to keep hands off.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use super::{FILE, fault, files, lock};
use crate::error::{Error, Result};

/// What a run, or an export of it, writes beside its store, and makes again from it.
const OUTPUTS: [&str; 9] = [
    "results.json",
    "results.csv",
    "certified.csv",
    "examples.parquet",
    "report.html",
    "suite.toml",
    "defences.csv",
    "defences.tex",
    "defences.md",
];
/// The log of a run.
const LOG: &str = "log.jsonl";
/// The folders of its plots and exports; of the files in them, those that end so are the run's.
const FOLDERS: [(&str, &[&str]); 3] = [("plots", &["svg", "png"]), ("robustbench", &["json"]), ("adversarial", &["npz"])];
/// What SQLite keeps beside the store, and the store itself, last: as long as it is there the folder is known to hold a run.
const STORE: [&str; 4] = ["store.sqlite-journal", "store.sqlite-shm", "store.sqlite-wal", FILE];

/// Makes a folder with all above it.
///
/// # Errors
/// The store's kind, where it cannot be made.
pub fn make(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).map_err(|error| fault::io("make the folder", folder, &error))
}

/// Removes the run's own files.
pub fn remove_run(folder: &Path) -> Result<()> {
    for (name, endings) in FOLDERS {
        let inner = folder.join(name);
        if inner.is_dir() {
            let own = |path: &&PathBuf| ends_in(path, endings) || files::is_temporary(path);
            entries(&inner)?.iter().filter(own).try_for_each(|path| remove(path))?;
            // Only where nothing else is in it.
            let _ = fs::remove_dir(&inner);
        }
    }
    entries(folder)?.iter().filter(|path| files::is_temporary(path)).try_for_each(|path| remove(path))?;
    // SQLite would take a log of the old store for one of the new.
    OUTPUTS.iter().chain([&LOG]).chain(&STORE).try_for_each(|name| remove(&folder.join(name)))
}

/// Refuses to begin anew in a folder that holds things and no run.
pub fn refuse_unless_empty(folder: &Path) -> Result<()> {
    if !folder.is_dir() {
        return Ok(());
    }
    let begun = [lock::FILE, LOG];
    let strangers = entries(folder)?.into_iter().filter(|path| !begun.iter().any(|name| path.file_name() == Some(OsStr::new(name))));
    match strangers.map(|path| path.display().to_string()).next() {
        None => Ok(()),
        Some(one) => Err(Error::input(format!("{} holds no run to replace, but other files, such as {one}", folder.display()))
            .help("name an empty or a new folder with --out")),
    }
}

/// Refuses to begin where files stand that the run would overwrite.
pub fn refuse_to_overwrite(folder: &Path) -> Result<()> {
    let standing = OUTPUTS.iter().find(|name| folder.join(name).exists());
    standing.map_or(Ok(()), |name| {
        Err(Error::input(format!("{} holds {name} but no {FILE}: a run would overwrite it", folder.display()))
            .help("name another folder with --out, or move the file away"))
    })
}

/// The error of a folder to read that holds no run.
pub fn no_run(folder: &Path) -> Error {
    let name = folder.display();
    let message = match fs::metadata(folder) {
        Err(error) => format!("cannot read the run {name}: {error}"),
        Ok(found) if !found.is_dir() => format!("{name} is a file, not the folder of a run"),
        Ok(_) => format!("{name} is not the folder of a run: it has no {FILE}, or an empty one"),
    };
    Error::input(message).help("name a folder that `gauntlet run` made, such as runs/quick")
}

/// The error of a resumption without a run.
pub fn nothing_to_resume(folder: &Path) -> Error {
    Error::input(format!("--resume: {} holds no run to go on with", folder.display()))
        .help("check --out, or leave --resume away to begin a run there")
}

fn ends_in(path: &Path, endings: &[&str]) -> bool {
    path.extension().is_some_and(|extension| endings.iter().any(|ending| extension == *ending))
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let read = || fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<std::io::Result<Vec<_>>>();
    let mut paths = read().map_err(|error| fault::io("read", folder, &error))?;
    paths.sort();
    Ok(paths)
}

fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(fault::io("remove", path, &error)),
        _ => Ok(()),
    }
}
