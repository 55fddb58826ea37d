//! The commands: one file each, clap types and what they call.

pub mod attack;
pub mod checks;
pub mod compare;
pub mod devices;
pub mod export;
pub mod forecast;
pub mod list;
pub mod log;
pub mod model;
pub mod plan;
pub mod progress;
pub mod report;
pub mod run;
pub mod summary;
pub mod table;
pub mod train;

use clap::{Args, Parser, Subcommand};

use crate::suite::resolved::{Resolved, resolve};
use crate::{Error, Result};

/// A benchmark engine for adversarial robustness on any GPU.
#[derive(Debug, Parser)]
#[command(name = "gauntlet", version, max_term_width = 120)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs a suite, or what is left of it, and writes its plots, tables and report
    Run(run::Arguments),
    /// Checks a suite and prints what it would run and cost; runs nothing
    Plan(plan::Arguments),
    /// Lists the devices that --device can name
    Devices {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Lists the engine's tables: attacks, models, layers, trainers, wrappers, certificates, sources, checks, ONNX operators, kernels, norms
    List(list::Arguments),
    /// Trains the defences of a suite and writes their weights as safetensors files
    Train(train::Arguments),
    /// Makes the plots, tables and report of a run again from its store
    Report(report::Arguments),
    /// Compares two runs, or two defences, example by example; --gate makes it a test
    Compare(compare::Arguments),
    /// Writes a run's results or adversarial examples in other formats
    Export(export::Arguments),
    /// Describes a model's file: shapes, operators, cost, clean accuracy, checks
    Model(model::Arguments),
    /// Attacks one image and writes the adversarial one
    Attack(attack::Arguments),
}

/// What `run`, `plan` and `train` share: which suite, and what to change in it.
#[derive(Clone, Debug, Args)]
pub struct SuiteArguments {
    /// The suite's TOML file
    pub suite: std::path::PathBuf,
    /// Change a field of the suite, such as data.examples=100 or attack.pgd.steps=20; repeatable
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// The seed that drives the attacks, in place of the suite's
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// The precision that attacks search in, in place of the suite's: f32, or mixed where the device has half precision; verdicts are
    /// judged in f32 in any case
    #[arg(long, value_name = "PRECISION")]
    pub precision: Option<String>,
    /// Attack only the first N examples, where there are more
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub limit: Option<u32>,
}

impl SuiteArguments {
    /// Reads the suite, its data, and its checkpoints.
    ///
    /// # Errors
    /// As [`resolve`] does.
    pub fn resolve(&self) -> Result<Resolved> {
        resolve(&self.suite, &self.overrides(), self.limit.map(|limit| limit as usize))
    }

    /// Changes as `key=value`.
    pub fn overrides(&self) -> Vec<String> {
        let mut overrides = self.set.clone();
        overrides.extend(self.seed.map(|seed| format!("seed={seed}")));
        overrides.extend(self.precision.as_ref().map(|precision| format!("precision={precision:?}")));
        overrides
    }
}

/// Where things run.
#[derive(Clone, Debug, Args)]
pub struct DeviceArguments {
    /// auto, cpu, gpu:N, all, or a list such as cpu,gpu:0; auto takes every hardware GPU, or the CPU where there is none
    #[arg(long, default_value = "auto", value_name = "DEVICE")]
    pub device: String,
    /// Device memory to use at most, such as 2GiB
    #[arg(long, value_name = "SIZE")]
    pub memory: Option<String>,
    /// Rows attacked at once; results may differ in the last bit between slot counts
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=65_536))]
    pub slots: Option<u32>,
}

impl DeviceArguments {
    /// `--memory` in bytes.
    ///
    /// # Errors
    /// Text that is no size.
    pub fn bytes(&self) -> Result<Option<u64>> {
        self.memory.as_deref().map(crate::device::parse_size).transpose()
    }
}

/// Parses the command line, carries it out, prints what went wrong, and returns the exit code.
pub fn main() -> u8 {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // Printing help that nobody reads any more is no reason to fail.
            let _ = error.print();
            return if error.use_stderr() { 2 } else { 0 };
        }
    };
    quiet_drivers();
    keep_freed_memory();
    stop_on_interrupt();
    quiet_panics();
    let carried_out = std::panic::catch_unwind(|| carry_out(arguments.command));
    carried_out.unwrap_or_else(|panic| Err(bug(&*panic))).unwrap_or_else(|error| fail(&error))
}

fn carry_out(command: Command) -> Result<u8> {
    match command {
        Command::Run(arguments) => run::run(&arguments),
        Command::Plan(arguments) => plan::run(&arguments),
        Command::Devices { json } => devices::run(json).map(|()| 0),
        Command::List(arguments) => list::run(&arguments).map(|()| 0),
        Command::Train(arguments) => train::run(&arguments).map(|()| 0),
        Command::Report(arguments) => report::run(&arguments),
        Command::Compare(arguments) => compare::run(&arguments),
        Command::Export(arguments) => export::run(&arguments),
        Command::Model(arguments) => model::run(&arguments),
        Command::Attack(arguments) => attack::run(&arguments),
    }
}

/// Mesa's drivers complain where this is not set, as over ssh and in containers; they put nothing there that a run needs.
fn quiet_drivers() {
    const RUNTIME: &str = "XDG_RUNTIME_DIR";
    if cfg!(unix) && std::env::var_os(RUNTIME).is_none() {
        // SAFETY: the program has no other thread yet.
        unsafe { std::env::set_var(RUNTIME, std::env::temp_dir()) };
    }
}

/// Burn's CPU tensors come and go with every operation; by default glibc hands each large one back to the system and pays a page fault
/// for every page of the next. Measured: a tenth of the quick suite's time, and less memory at its peak.
fn keep_freed_memory() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        const LARGEST: libc::c_int = 32 << 20;
        // SAFETY: the program has no other thread yet, and the values are in the documented range.
        unsafe {
            libc::mallopt(libc::M_MMAP_THRESHOLD, LARGEST);
            libc::mallopt(libc::M_TRIM_THRESHOLD, 16 * LARGEST);
            libc::mallopt(libc::M_TOP_PAD, LARGEST);
        }
    }
}

/// Panics become errors where they are caught, with a message and a way out; what they would print comes on top only for who asks for
/// backtraces. Drivers' and Burn's own threads panic too.
fn quiet_panics() {
    if std::env::var_os("RUST_BACKTRACE").is_none() {
        std::panic::set_hook(Box::new(|panic| tracing::error!(%panic, "a panic")));
    }
}

fn bug(panic: &(dyn std::any::Any + Send)) -> Error {
    let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    Error::device(format!("gauntlet met a bug of its own: {}", text.unwrap_or("it gave no reason")))
        .help("what was done is kept; please report it, with what RUST_BACKTRACE=1 prints")
}

fn fail(error: &Error) -> u8 {
    // Nothing else sets a handler, and the default one would do too.
    let _ = miette::set_hook(Box::new(|_| Box::new(miette::MietteHandlerOpts::new().width(120).build())));
    tell(&format!("{:?}", miette::Report::new(error.clone())));
    error.exit_code()
}

/// Prints to the standard output; a reader that stopped early is no error.
///
/// # Errors
/// An output that cannot be written.
pub fn say(text: &str) -> Result<()> {
    use std::io::{ErrorKind, Write, stdout};
    match writeln!(stdout().lock(), "{}", text.trim_end()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Error::store(format!("the output cannot be written: {error}")).help("see where it goes, and whether the disk is full"))
        }
        _ => Ok(()),
    }
}

/// Prints a line to the standard error, where somebody still reads it.
pub fn tell(line: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}

/// The first interrupt, or request to end, lets what is under way be written down; the second ends the program at once.
fn stop_on_interrupt() {
    use std::sync::atomic::Ordering::SeqCst;
    // Without a handler an interrupt ends the program at once, which the store survives too.
    let _ = ctrlc::set_handler(|| {
        if crate::suite::schedule::INTERRUPTED.swap(true, SeqCst) {
            std::process::exit(3);
        }
        tell("stopping: what was done is kept (again to stop at once)");
    });
}
