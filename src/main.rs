//! The command line of gauntlet.

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(gauntlet::cli::main())
}
