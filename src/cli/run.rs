//! `gauntlet run`.

use std::path::PathBuf;

use clap::Args;

use super::progress::Lines;
use super::{DeviceArguments, SuiteArguments, report, summary};
use crate::Result;
use crate::store::Mode;
use crate::suite::run::{self, Ending, RunRequest};

/// Options of `run`.
#[derive(Clone, Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    suite: SuiteArguments,
    #[command(flatten)]
    device: DeviceArguments,
    /// The run's folder; by default runs/NAME, after the suite's file
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Where trained weights are kept and found
    #[arg(long, value_name = "DIR", default_value = run::WEIGHTS)]
    weights: PathBuf,
    /// Insist that there is a run to continue
    #[arg(long, conflicts_with = "fresh")]
    resume: bool,
    /// Replace what the folder holds of a former run
    #[arg(long)]
    fresh: bool,
    /// Keep every adversarial example, for `gauntlet export --format npz`
    #[arg(long)]
    keep_examples: bool,
    /// Go on with what another kind of device has found
    #[arg(long)]
    mix_devices: bool,
    /// Add the attacks that failed checks ask for, and say which: averaged gradients, more steps and restarts, another loss, `square`
    #[arg(long)]
    harden: bool,
    /// Leave out the checks of the evaluation; the report says so, and the run without this option makes up for them
    #[arg(long, conflicts_with = "harden")]
    no_checks: bool,
    /// Print nothing but errors
    #[arg(long)]
    quiet: bool,
    /// Print results.json when done, and nothing else
    #[arg(long)]
    json: bool,
}

/// Runs the suite and writes its report. Exit code 1 where a row failed or a check says no.
///
/// # Errors
/// As [`run::run`] and the report do.
pub fn run(arguments: &Arguments) -> Result<u8> {
    let mode = match arguments {
        Arguments { fresh: true, .. } => Mode::Fresh,
        Arguments { resume: true, .. } => Mode::Resume,
        _ => Mode::Continue,
    };
    let request = RunRequest {
        suite: arguments.suite.suite.clone(),
        out: arguments.out.clone(),
        device: arguments.device.device.clone(),
        memory: arguments.device.bytes()?,
        slots: arguments.device.slots.map(|slots| slots as usize),
        weights: arguments.weights.clone(),
        overrides: arguments.suite.overrides(),
        limit: arguments.suite.limit.map(|limit| limit as usize),
        mode,
        keep_examples: arguments.keep_examples,
        mix_devices: arguments.mix_devices,
        harden: arguments.harden,
        checks: !arguments.no_checks,
    };
    let lines = Lines::new(arguments.quiet || arguments.json);
    let (store, ending) = run::run(&request, &lines)?;
    lines.finish();
    let results = report::write(&store)?;
    if arguments.json {
        super::say(&report::as_json(&results))?;
    } else if !arguments.quiet {
        let done = if ending == Ending::Done { "Nothing to do: every cell was there already.\n" } else { "" };
        super::say(&format!("{done}{}", summary::as_text(&results, store.folder())))?;
    }
    Ok(report::exit_code(&results))
}
