//! `gauntlet report`, and what `run` writes at its end.

use std::path::PathBuf;

use clap::Args;

use super::summary::as_text;
use crate::Result;
use crate::evaluate::results::Results;
use crate::report::{self, Inputs, exports, gather};
use crate::store::{Store, write_atomic};
use crate::suite::resolved::Layout;

/// Options of `report`.
#[derive(Clone, Debug, Args)]
pub struct Arguments {
    /// The run's folder
    run: PathBuf,
    /// Print results.json, and nothing else
    #[arg(long)]
    json: bool,
    /// Print nothing but errors
    #[arg(long)]
    quiet: bool,
}

/// Makes a run's report again from its store.
///
/// # Errors
/// A folder that holds no run, or cannot be written.
pub fn run(arguments: &Arguments) -> Result<u8> {
    let store = Store::read(&arguments.run)?;
    let results = write(&store)?;
    if arguments.json {
        super::say(&as_json(&results))?;
    } else if !arguments.quiet {
        super::say(&as_text(&results, &arguments.run))?;
    }
    Ok(exit_code(&results))
}

/// Writes every file of a run's folder but the store.
///
/// # Errors
/// A store that cannot be read, or a folder that cannot be written.
pub fn write(store: &Store) -> Result<Results> {
    let folder = store.folder();
    let gathered = gather::gather(store)?;
    let Layout { suite, here, .. } = &gathered.layout;
    write_atomic(&folder.join("suite.toml"), here.as_ref().unwrap_or(suite).as_bytes())?;
    exports::write_json(&folder.join("results.json"), &gathered.results)?;
    exports::write_csv(&folder.join("results.csv"), &gathered.results)?;
    exports::write_certified(folder, &gathered.results)?;
    exports::write_parquet(&folder.join("examples.parquet"), gathered.rows(store))?;
    let inputs = Inputs { results: &gathered.results, specimens: &gathered.specimens, training: &gathered.training, suite_toml: suite };
    report::write(&inputs, folder)?;
    Ok(gathered.results)
}

/// 1 where a row failed or a check says no, else 0.
pub fn exit_code(results: &Results) -> u8 {
    let failed = results.cells.iter().any(|cell| cell.failed > 0);
    u8::from(failed || results.checks.iter().any(|check| check.verdict == "fail"))
}

/// `results.json` as text.
pub fn as_json(results: &Results) -> String {
    serde_json::to_string_pretty(results).expect("results are plain JSON")
}
