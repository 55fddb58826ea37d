//! The shared reference folder: real data, models and what other implementations say of them. Tests that want it run without it, loudly.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use npyz::{Deserialize, NpyFile};
use zip::ZipArchive;

/// The folder named by `GAUNTLET_REFERENCE`, else `shared/reference` beside the checkout; `None`, with a line that says so, where
/// neither is there.
pub fn reference() -> Option<PathBuf> {
    let beside = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/reference");
    let folder = std::env::var_os("GAUNTLET_REFERENCE").map_or(beside, PathBuf::from);
    if folder.is_dir() {
        return Some(folder);
    }
    // Straight to the terminal: the test runner swallows what a passing test prints through `eprintln!`.
    let _ = writeln!(std::io::stderr(), "\nNOT CHECKED: no reference data in {} (set GAUNTLET_REFERENCE)\n", folder.display());
    None
}

/// Shape and values of an array of a NumPy archive.
#[track_caller]
pub fn npz_array<T: Deserialize>(archive: &Path, name: &str) -> (Vec<u64>, Vec<T>) {
    let mut entries = ZipArchive::new(File::open(archive).unwrap()).unwrap();
    let entry = entries.by_name(&format!("{name}.npy")).unwrap_or_else(|error| panic!("{}, {name}: {error}", archive.display()));
    let array = NpyFile::new(entry).unwrap();
    (array.shape().to_vec(), array.into_vec().unwrap())
}
