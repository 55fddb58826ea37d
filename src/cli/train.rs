//! `gauntlet train`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::Args;

use super::progress::Lines;
use super::{DeviceArguments, SuiteArguments};
use crate::defence::{Workshop, prepare};
use crate::suite::DefenceSpec;
use crate::suite::run::{Observer, WEIGHTS, both};
use crate::suite::schedule::check_interrupt;
use crate::{Error, Result, device, model, store};

/// Options of `train`.
#[derive(Clone, Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    suite: SuiteArguments,
    #[command(flatten)]
    device: DeviceArguments,
    /// Train only the defence of this name, with all its seeds
    #[arg(long, value_name = "NAME")]
    defence: Option<String>,
    /// Where the weights go, a file each, named after the defence
    #[arg(long, default_value = "weights", value_name = "DIR")]
    out: PathBuf,
    /// Where `run` finds them again, and what was trained before
    #[arg(long, value_name = "DIR", default_value = WEIGHTS)]
    weights: PathBuf,
    /// Print nothing but errors
    #[arg(long)]
    quiet: bool,
}

/// Trains defences and writes their weights.
///
/// # Errors
/// Mistakes of the suite; a training that fails; a folder that cannot be written.
pub fn run(arguments: &Arguments) -> Result<()> {
    let (resolved, ()) = both(arguments.suite.resolve(), store::check_folder(&arguments.out))?;
    let names: Vec<&str> = resolved.suite.defences.iter().map(|defence| defence.name.as_str()).collect();
    if let Some(name) = &arguments.defence
        && !resolved.suite.defences.iter().any(|defence| is(defence, name))
    {
        return Err(Error::input(format!("--defence {name}: the suite has no such defence")).help(format!("it has {}", names.join(", "))));
    }
    let wanted = |spec: &DefenceSpec| arguments.defence.as_ref().is_none_or(|name| is(spec, name));
    apart(resolved.suite.defences.iter().filter(|spec| wanted(spec)))?;
    let choices = device::parse(&arguments.device.device)?.resolve()?;
    let handle = device::open(choices[0])?;
    let workshop =
        Workshop { cache: &arguments.weights, device: &handle.device, device_name: &handle.info.name, data: resolved.train.as_ref() };
    let lines = Lines::new(arguments.quiet);
    let chosen = resolved.suite.defences.iter().zip(&resolved.designs).filter(|(spec, _)| wanted(spec));
    for (spec, design) in chosen.flat_map(|(spec, designs)| spec.members().into_iter().zip(designs)) {
        let prepared = prepare(&spec, design, &workshop, &mut |progress| {
            lines.training(&spec.name, &progress);
            check_interrupt()
        })?;
        store::make_folder(&arguments.out)?;
        let path = arguments.out.join(format!("{}.safetensors", file_name(&spec.name)));
        let about = [("gauntlet".to_owned(), env!("CARGO_PKG_VERSION").to_owned()), ("defence".into(), spec.name.clone())];
        store::write_atomic(&path, &model::write(&prepared.weights, about.into())?)?;
        lines.note(&format!(
            "{}: {} ({} parameters, {})",
            spec.name,
            path.display(),
            prepared.weights.parameters(),
            prepared.weights.hash()
        ));
    }
    lines.finish();
    Ok(())
}

/// Refuses defences whose weights would be written to one file.
fn apart<'a>(chosen: impl Iterator<Item = &'a DefenceSpec>) -> Result<()> {
    let mut files: BTreeMap<String, String> = BTreeMap::new();
    let mut mistakes = Vec::new();
    for member in chosen.flat_map(DefenceSpec::members) {
        let file = file_name(&member.name);
        if let Some(other) = files.insert(file.clone(), member.name.clone()) {
            let message = format!("defences \"{other}\" and \"{}\" would both be written to {file}.safetensors", member.name);
            mistakes.push(
                Error::input(message).help("rename one of them, or train them one at a time with --defence, in folders of their own"),
            );
        }
    }
    Error::many("names of defences are too much alike", mistakes).map_or(Ok(()), Err)
}

/// Whether a defence is the one of this name, or one of its seeds.
fn is(spec: &DefenceSpec, name: &str) -> bool {
    spec.name == name || spec.recipe.as_deref() == Some(name)
}

/// A defence's name as a file's: letters, digits, dots, dashes and underscores stay.
fn file_name(name: &str) -> String {
    name.chars().map(|c| if c.is_alphanumeric() || ".-_".contains(c) { c } else { '_' }).collect()
}
