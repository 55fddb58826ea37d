//! `log.jsonl`: what happened during a run, an event a line.

use std::fs::OpenOptions;
use std::path::Path;
use std::sync::Mutex;

use crate::{Error, Result};

/// Sends events to `log.jsonl` in a run's folder, after what is there already. A process logs to the first folder that it names.
///
/// # Errors
/// The file cannot be opened.
pub fn to_file(folder: &Path) -> Result<()> {
    let path = folder.join("log.jsonl");
    let file = OpenOptions::new().create(true).append(true).open(&path).map_err(|error| {
        Error::store(format!("cannot write {}: {error}", path.display())).help("see whether the folder is writable and the disk full")
    })?;
    let subscriber =
        tracing_subscriber::fmt().json().flatten_event(true).with_max_level(tracing::Level::INFO).with_writer(Mutex::new(file)).finish();
    let filtered = tracing_subscriber::layer::SubscriberExt::with(
        subscriber,
        tracing_subscriber::filter::Targets::new().with_target("gauntlet", tracing::Level::INFO),
    );
    // A second run in one process keeps the first log.
    let _ = tracing::subscriber::set_global_default(filtered);
    Ok(())
}
