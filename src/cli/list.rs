//! `gauntlet list`.

use clap::{Args, ValueEnum};

use crate::Result;
use crate::attack::ATTACKS;
use crate::data::SOURCES;
use crate::defence::TRAINERS;
use crate::kernel::KERNELS;
use crate::model::MODELS;
use crate::options::{Accepts, Entry};
use crate::threat::Norm;

/// Options of `list`.
#[derive(Clone, Debug, Args)]
pub struct Arguments {
    /// What to list
    what: What,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum What {
    Attacks,
    Models,
    Trainers,
    Sources,
    Kernels,
    Norms,
}

/// Prints a table of the engine with its options.
///
/// # Errors
/// None so far.
pub fn run(arguments: &Arguments) -> Result<()> {
    match arguments.what {
        What::Attacks => ATTACKS.iter().for_each(|row| {
            let norms: Vec<&str> = row.norms.iter().map(|norm| norm.name()).collect();
            print(&row.entry, &format!(" [{}]", norms.join(", ")));
        }),
        What::Models => MODELS.iter().for_each(|row| print(&row.entry, "")),
        What::Trainers => TRAINERS.iter().for_each(|row| print(&row.entry, "")),
        What::Sources => SOURCES.iter().for_each(|source| {
            let splits = if source.splits.is_empty() { "ranges".into() } else { source.splits.join(", ") };
            print(&source.entry, &format!(" [splits: {splits}]"));
        }),
        What::Kernels => KERNELS.iter().for_each(|kernel| println!("{:16} {}", kernel.name, kernel.summary)),
        What::Norms => Norm::ALL.iter().for_each(|norm| println!("{}", norm.name())),
    }
    Ok(())
}

fn print(entry: &Entry, more: &str) {
    println!("{}{more}\n    {}", entry.name, entry.summary);
    for option in entry.options {
        let default = option.default.map_or(String::new(), |default| format!(", default {default}"));
        println!("    {:16} {}{default}\n    {:16}   {}", option.name, accepts(option.accepts), "", option.help);
    }
    println!();
}

fn accepts(accepts: Accepts) -> String {
    let bounds = |low: String, high: Option<String>| match high {
        Some(high) => format!("{low} to {high}"),
        None => format!("{low} or more"),
    };
    match accepts {
        Accepts::Integer(low, high) => format!("whole number, {}", bounds(low.to_string(), (high != i64::MAX).then(|| high.to_string()))),
        Accepts::Number(low, high) => format!("number, {}", bounds(low.to_string(), (high < f64::MAX).then(|| high.to_string()))),
        Accepts::Distance(low, high) => {
            format!("distance such as 0.1 or \"8/255\", {}", bounds(low.to_string(), (high < f64::MAX).then(|| high.to_string())))
        }
        Accepts::Flag => "true or false".into(),
        Accepts::Choice(names) => format!("one of {}", names.join(", ")),
        Accepts::Text => "text".into(),
    }
}
