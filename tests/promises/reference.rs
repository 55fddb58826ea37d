//! The shared reference folder: real data, models and what other implementations say of them. Tests that want it run without it, loudly.

use std::io::Write;
use std::path::PathBuf;

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
