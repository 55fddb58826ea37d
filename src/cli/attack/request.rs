//! What `gauntlet attack` is asked for, checked before the model is read.

use super::Arguments;
use crate::attack::step::too_long;
use crate::attack::{ATTACKS, AttackRow, SURROGATE};
use crate::cli::model;
use crate::options::{Entry, Options};
use crate::report::text::distance;
use crate::suite::{parse_options, suggested};
use crate::threat::{Norm, epsilon};
use crate::{Error, Result, device, store};

/// A request without a mistake that shows before the model and the image are read.
pub struct Request {
    pub norm: Norm,
    pub radius: f64,
    pub row: &'static AttackRow,
    pub options: Options,
    pub device: device::Choice,
}

impl Request {
    /// Reads the options, or names every mistake in them.
    pub fn new(arguments: &Arguments) -> Result<Self> {
        let mut errors = Vec::new();
        let norm = kept(norm(&arguments.norm), &mut errors);
        let radius = kept(radius(&arguments.epsilon, norm), &mut errors);
        let row = kept(row(&arguments.attack), &mut errors);
        let options = row.and_then(|row| kept(options(row, &arguments.set), &mut errors));
        if let (Some(norm), Some(row)) = (norm, row)
            && !row.norms.contains(&norm)
        {
            let names: Vec<&str> = row.norms.iter().map(|norm| norm.name()).collect();
            let message = format!("--norm {}: {} does not work under it", norm.name(), row.entry.name);
            errors.push(Error::input(message).help(format!("name one of {}", names.join(", "))));
        }
        if let (Some(norm), Some(options)) = (norm, &options)
            && let Some([message, way]) = too_long(options, norm)
        {
            errors.push(Error::input(format!("--set: {message}")).help(way));
        }
        let device = device::parse(&arguments.device).and_then(|selection| selection.resolve());
        let device = kept(device, &mut errors).and_then(|choices| choices.first().copied());
        kept(model::named::check(&arguments.model, arguments.architecture.as_deref(), arguments.model_fields.as_deref()), &mut errors);
        kept(out(arguments), &mut errors);
        match (Error::many("the attack cannot be carried out", errors), norm, radius, row, options, device) {
            (None, Some(norm), Some(radius), Some(row), Some(options), Some(device)) => Ok(Self { norm, radius, row, options, device }),
            (Some(error), ..) => Err(error),
            (None, ..) => Err(Error::device("no device is there to run on")),
        }
    }

    /// Refuses a ball that is larger than all images of so many values.
    pub fn check_reach(&self, values: usize) -> Result<()> {
        let most = self.norm.diameter(values);
        if self.radius <= most {
            return Ok(());
        }
        let (norm, radius, most) = (self.norm.name(), distance(self.radius), distance(most));
        Err(Error::input(format!("--epsilon {radius}: images of {values} values in [0, 1] are {most} apart under {norm} at most"))
            .help("give a smaller radius, in units of the whole range of a pixel: divide one for pixels in 0..255 by 255"))
    }
}

fn kept<T>(found: Result<T>, errors: &mut Vec<Error>) -> Option<T> {
    found.map_err(|error| errors.extend(error.all().into_iter().cloned())).ok()
}

/// The norm of that name.
pub fn norm(name: &str) -> Result<Norm> {
    Norm::ALL.into_iter().find(|norm| norm.name() == name).ok_or_else(|| {
        let names: Vec<&str> = Norm::ALL.iter().map(|norm| norm.name()).collect();
        Error::input(format!("--norm {name}: no such norm")).help(format!("name one of {}", names.join(", ")))
    })
}

fn radius(text: &str, norm: Option<Norm>) -> Result<f64> {
    let radius = epsilon::parse(text)?;
    if radius <= 0.0 {
        return Err(Error::input(format!("--epsilon {text}: the ball has no room")).help("give a radius above 0, such as 8/255"));
    }
    if norm == Some(Norm::Linf) && radius > 1.0 {
        let levels = epsilon::in_levels(radius).map_or(String::new(), |way| format!(": {way}"));
        return Err(Error::input(format!("--epsilon {text}: the whole range of a pixel is 1 under linf"))
            .help(format!("give a radius up to 1, such as 8/255{levels}")));
    }
    Ok(radius)
}

fn row(kind: &str) -> Result<&'static AttackRow> {
    ATTACKS.iter().find(|row| row.entry.name == kind).ok_or_else(|| {
        let entries: Vec<Entry> = ATTACKS.iter().map(|row| row.entry).collect();
        let names: Vec<&str> = entries.iter().map(|entry| entry.name).collect();
        Error::input(format!("--attack {kind}: no such attack")).help(format!("{}known: {}", suggested(kind, &entries), names.join(", ")))
    })
}

fn options(row: &AttackRow, set: &[String]) -> Result<Options> {
    if row.entry.options.iter().any(|option| option.name == SURROGATE) {
        return Err(Error::input(format!("--attack {} crafts on another defence, and here is one alone", row.entry.name))
            .help("use it in a suite, or take pgd"));
    }
    let set: Vec<String> = set.iter().map(|set| assignment(set)).collect();
    let options = parse_options(&row.entry, &set.join("\n"))?;
    (row.check)(&options).map_err(|message| Error::input(format!("--set: {message}")))?;
    Ok(options)
}

/// An option as TOML; a value that is none, such as a word without quotes, is taken as text.
fn assignment(set: &str) -> String {
    match set.split_once('=') {
        Some((name, value)) if value.trim().parse::<toml_edit::Value>().is_err() => {
            format!("{name} = {}", toml::Value::String(value.trim().into()))
        }
        _ => set.to_owned(),
    }
}

fn out(arguments: &Arguments) -> Result<()> {
    if arguments.out.extension().is_none_or(|ending| !ending.eq_ignore_ascii_case("png")) {
        return Err(Error::input(format!("--out {}: not a .png", arguments.out.display()))
            .help("PNG keeps every pixel; other formats would undo the attack"));
    }
    store::check_file(&arguments.out)
}
