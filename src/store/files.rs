//! Files that are there whole or not at all.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use super::fault;
use crate::error::{Error, Kind, Result};

/// Writes a file so that at any moment its old or its new contents are there, whole: a temporary file in the same folder is written,
/// brought to the disk and renamed.
///
/// # Errors
/// The store's kind, where the folder cannot be written; the old file is left as it was.
pub fn write_atomic(path: &Path, bytes: &[u8]) -> Result<()> {
    write_atomic_with(path, |file| file.write_all(bytes).map_err(|error| fault::io("write", path, &error)))
}

/// As [`write_atomic`], with the contents made by `write` as it goes.
///
/// # Errors
/// As [`write_atomic`], and what `write` returns.
pub fn write_atomic_with(path: &Path, write: impl FnOnce(&mut BufWriter<File>) -> Result<()>) -> Result<()> {
    let temporary = beside(path).ok_or_else(|| Error::store(format!("{} names no file", path.display())))?;
    let written = (|| {
        let fault = |verb: &'static str| move |error: std::io::Error| fault::io(verb, path, &error);
        let mut file = BufWriter::new(File::create(&temporary).map_err(fault("write"))?);
        write(&mut file)?;
        let file = file.into_inner().map_err(|error| fault("write")(error.into_error()))?;
        file.sync_all().map_err(fault("write"))?;
        drop(file);
        fs::rename(&temporary, path).map_err(fault("replace"))
    })();
    if written.is_err() {
        // The error that matters is the first one.
        let _ = fs::remove_file(&temporary);
    }
    written
}

/// Refuses a file that could not be written, before there is anything to write.
///
/// # Errors
/// Bad input: the file is a folder, its folder is not there, or nothing can be written into it.
pub fn check_file(path: &Path) -> Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if path.is_dir() {
        return Err(Error::input(format!("cannot write {}: it is a folder", path.display())).help("name a file with --out"));
    }
    if !folder.exists() {
        let message = format!("cannot write {}: there is no folder {}", path.display(), folder.display());
        return Err(Error::input(message).help("make it, or name another file with --out"));
    }
    try_out(folder, path)
}

/// Refuses a folder that could not be made, or not be written to, before there is anything to write; makes none.
///
/// # Errors
/// Bad input: it, or what it is to be in, is a file or cannot be written to.
pub fn check_folder(folder: &Path) -> Result<()> {
    let is_there = |folder: &&Path| folder.as_os_str().is_empty() || folder.symlink_metadata().is_ok();
    let nearest = folder.ancestors().find(is_there).filter(|there| !there.as_os_str().is_empty());
    try_out(nearest.unwrap_or(Path::new(".")), folder)
}

/// Writes an empty file into a folder and removes it again.
fn try_out(folder: &Path, wanted: &Path) -> Result<()> {
    let probe = beside(&folder.join("probe")).ok_or_else(|| Error::input(format!("{} names no file", wanted.display())))?;
    let written = File::create(&probe).map(drop).and_then(|()| fs::remove_file(&probe));
    written.map_err(|error| {
        let refused = fault::io("write", wanted, &error).with_kind(Kind::Input);
        match error.kind() {
            io::ErrorKind::NotADirectory | io::ErrorKind::AlreadyExists => refused,
            _ => refused.help("make its folder writable, or name another one with --out"),
        }
    })
}

/// A name in the same folder that no other writer uses.
fn beside(path: &Path) -> Option<PathBuf> {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let name = path.file_name()?.to_string_lossy();
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    Some(path.with_file_name(format!(".{name}.{}-{count}.tmp", std::process::id())))
}

/// Whether a file is one that a writer was stopped in the midst of.
pub fn is_temporary(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let middle = name.strip_prefix('.').and_then(|rest| rest.strip_suffix(".tmp"));
    let numbers = middle.and_then(|rest| rest.rsplit_once('.')).and_then(|(_, numbers)| numbers.split_once('-'));
    numbers.is_some_and(|(pid, count)| pid.parse::<u32>().is_ok() && count.parse::<u64>().is_ok())
}
