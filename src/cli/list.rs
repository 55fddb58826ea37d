//! `gauntlet list`.

use clap::{Args, ValueEnum};

use crate::Result;
use crate::attack::ATTACKS;
use crate::certify::CERTIFIERS;
use crate::data::SOURCES;
use crate::defence::{TRAINERS, TrainerRow, WRAPPERS};
use crate::evaluate::checks::CHECKS;
use crate::kernel::KERNELS;
use crate::model::MODELS;
use crate::model::layers::LAYERS;
use crate::onnx::OPERATORS;
use crate::options::{Accepts, Entry, OptionSpec};
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
    Layers,
    Trainers,
    Wrappers,
    Certificates,
    Sources,
    Checks,
    Operators,
    Kernels,
    Norms,
}

/// Prints a table of the engine with its options.
///
/// # Errors
/// An output that cannot be written.
pub fn run(arguments: &Arguments) -> Result<()> {
    let lines: Vec<String> = match arguments.what {
        What::Attacks => ATTACKS
            .iter()
            .map(|row| {
                let norms: Vec<&str> = row.norms.iter().map(|norm| norm.name()).collect();
                describe(&row.entry, &format!(" [{}]", norms.join(", ")))
            })
            .collect(),
        What::Models => MODELS.iter().map(|row| describe(&row.entry, "")).collect(),
        What::Wrappers => WRAPPERS.iter().map(|row| describe(&row.entry, &format!(" [backward: {}]", row.backward))).collect(),
        What::Certificates => CERTIFIERS
            .iter()
            .map(|row| {
                let norms: Vec<&str> = row.norms.iter().map(|norm| norm.name()).collect();
                describe(&row.entry, &format!(" [{}]", norms.join(", ")))
            })
            .collect(),
        What::Layers => LAYERS
            .iter()
            .map(|row| {
                let required = if row.required.is_empty() { String::new() } else { format!(" [must have: {}]", row.required.join(", ")) };
                describe(&row.entry, &required)
            })
            .collect(),
        What::Trainers => {
            let takes =
                |entry: &Entry, option: &OptionSpec| entry.options.iter().any(|own| (own.name, own.help) == (option.name, option.help));
            let of_all = |option: &&OptionSpec| TRAINERS.iter().all(|row| takes(&row.entry, option));
            let line = |row: &TrainerRow| written(row.entry.name, row.entry.summary, row.entry.options.iter().filter(|own| !of_all(own)));
            let shared = TRAINERS.iter().take(1).flat_map(|row| row.entry.options).filter(of_all);
            TRAINERS.iter().map(line).chain([written("all of them", "take these too", shared)]).collect()
        }
        What::Sources => SOURCES
            .iter()
            .map(|source| {
                let splits = if source.splits.is_empty() { "ranges such as 0..1000".into() } else { source.splits.join(", ") };
                describe(&source.entry, &format!(" [splits: {splits}]"))
            })
            .collect(),
        What::Checks => CHECKS.iter().map(|row| format!("{:22} {}", row.name, row.summary)).collect(),
        What::Operators => {
            OPERATORS.iter().map(|row| format!("{:30} {}", row.name, if row.domain.is_empty() { "ONNX" } else { row.domain })).collect()
        }
        What::Kernels => KERNELS.iter().map(|kernel| format!("{:16} {}", kernel.name, kernel.summary)).collect(),
        What::Norms => Norm::ALL.iter().map(|norm| format!("{:6} {}", norm.name(), norm.summary())).collect(),
    };
    super::say(&lines.join("\n"))
}

fn describe(entry: &Entry, more: &str) -> String {
    written(&format!("{}{more}", entry.name), entry.summary, entry.options)
}

fn written<'a>(name: &str, summary: &str, options: impl IntoIterator<Item = &'a OptionSpec>) -> String {
    let mut text = format!("{name}\n    {summary}\n");
    for option in options {
        let default = option.default.map_or(String::new(), |default| format!(", default {default}"));
        let kind = accepts(option.accepts);
        text.push_str(&format!("    {:16} {kind}{default}\n    {:16}   {}\n", option.name, "", option.help));
    }
    text
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
        Accepts::Sides(low, high) => format!("whole number or [height, width], {low} to {high}"),
        Accepts::Flag => "true or false".into(),
        Accepts::Choice(names) => format!("one of {}", names.join(", ")),
        Accepts::Names(names) => format!("list of {}", names.join(", ")),
        Accepts::Text => "text".into(),
    }
}
