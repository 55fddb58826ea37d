//! Which examples are asked for, and the checks that every source shares.

use std::fmt;
use std::ops::Range;
use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::Source;
use crate::error::{Error, Result};
use crate::options::{Accepts, OptionSpec, Options, Value};

/// Which part of a source: as text `all`, a split's name, or a range of positions such as `0..1000`, `100..` or `..50`, end excluded.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Split {
    /// Everything.
    #[default]
    All,
    /// A split that the source names.
    Named(String),
    /// Positions in the source's own order, from the first (from 0) up to and without the second; `None`: up to the end.
    Range(usize, Option<usize>),
}

impl FromStr for Split {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let text = text.trim();
        if text == "all" || text == ".." {
            return Ok(Self::All);
        }
        let wrong = || {
            Error::input(format!("`{text}` is no split"))
                .help("write a split's name, `all`, or a range of positions such as `0..1000`, `100..` or `..50`")
        };
        let Some((first, end)) = text.split_once("..") else {
            return if text.is_empty() { Err(wrong()) } else { Ok(Self::Named(text.into())) };
        };
        let position = |text: &str| text.trim().parse::<usize>().map_err(|_| wrong());
        let first = if first.trim().is_empty() { 0 } else { position(first)? };
        let end = if end.trim().is_empty() { None } else { Some(position(end)?) };
        if end.is_some_and(|end| end <= first) {
            return Err(
                Error::input(format!("the range `{text}` is empty")).help("a range runs up to and without its end, which is larger")
            );
        }
        Ok(Self::Range(first, end))
    }
}

impl TryFrom<String> for Split {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<Split> for String {
    fn from(split: Split) -> Self {
        split.to_string()
    }
}

impl fmt::Display for Split {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all"),
            Self::Named(name) => f.write_str(name),
            Self::Range(first, Some(end)) => write!(f, "{first}..{end}"),
            Self::Range(first, None) => write!(f, "{first}.."),
        }
    }
}

/// What is asked of a source.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// The source's own options.
    pub options: Options,
    /// Which part of it.
    pub split: Split,
    /// The first so many examples of that part; `None`: all.
    pub examples: Option<usize>,
    /// The folder that relative paths start from: the suite file's.
    pub base: PathBuf,
}

impl Request {
    /// The positions asked for out of `total`, with `what` as the data's name in messages; named splits count within themselves.
    pub(super) fn positions(&self, total: usize, what: &str) -> Result<Range<usize>> {
        let (first, end) = match &self.split {
            Split::All | Split::Named(_) => (0, total),
            Split::Range(first, end) => (*first, end.unwrap_or(total)),
        };
        if total == 0 {
            return Err(Error::input(format!("{what}: there are no examples")));
        }
        if end > total || first >= end {
            return Err(Error::input(format!("{what}: the range {} goes beyond the {total} examples", self.split))
                .help(format!("positions run from 0 to {}, as in `0..{total}`", total.saturating_sub(1))));
        }
        match self.examples {
            None => Ok(first..end),
            Some(wanted) if (1..=end - first).contains(&wanted) => Ok(first..first + wanted),
            Some(wanted) => Err(Error::input(format!("{what}: {wanted} examples are asked for, but {} has {}", self.split, end - first))
                .help(format!("give `examples` from 1 to {}, or leave it out for all", end - first))),
        }
    }

    /// The text option `name`; empty where it is absent.
    pub(super) fn text(&self, name: &str) -> &str {
        self.options.text(name).unwrap_or_default()
    }

    /// The whole number `name`, which is set and not negative after [`Request::resolve`]; 0 otherwise.
    pub(super) fn size(&self, name: &str) -> usize {
        self.options.integer(name).and_then(|value| usize::try_from(value).ok()).unwrap_or_default()
    }

    /// The option `path`, relative to the base.
    pub(super) fn path(&self, source: &str, holds: &str) -> Result<PathBuf> {
        match self.text("path") {
            "" => Err(Error::input(format!("the data source `{source}` needs `path`")).help(format!("give the path of {holds}"))),
            path => Ok(self.base.join(path)),
        }
    }

    /// This request with the source's defaults filled in, its split and options checked.
    pub(super) fn resolve(&self, source: &Source) -> Result<Self> {
        let name = source.entry.name;
        let mut errors = Vec::new();
        errors.extend(check_split(source, &self.split));
        let known: Vec<&str> = source.entry.options.iter().map(|spec| spec.name).collect();
        for (option, value) in &self.options.0 {
            match source.entry.options.iter().find(|spec| spec.name == option) {
                None if known.is_empty() => {
                    errors.push(Error::input(format!("the data source `{name}` has no options, so not `{option}`")))
                }
                None => {
                    errors.push(Error::input(format!("the data source `{name}` has no option `{option}`")).help(suggest(option, &known)))
                }
                Some(spec) => errors.extend(check_option(name, spec, value)),
            }
        }
        if let Some(error) = Error::many(format!("the data source `{name}` cannot be used as written"), errors) {
            return Err(error);
        }
        let mut resolved = self.clone();
        for spec in source.entry.options {
            // Every default is written as TOML that is JSON too.
            if let Some(value) = spec.default.and_then(|text| serde_json::from_str::<Value>(text).ok()) {
                resolved.options.0.entry(spec.name.into()).or_insert(value);
            }
        }
        Ok(resolved)
    }
}

fn check_split(source: &Source, split: &Split) -> Option<Error> {
    let name = source.entry.name;
    let text = split.to_string();
    let splits = source.splits;
    match split {
        _ if splits.contains(&text.as_str()) => None,
        Split::Named(_) if splits.is_empty() => Some(
            Error::input(format!("the data source `{name}` has no splits, so not `{text}`"))
                .help("give a range of positions such as `0..1000`, or `all`"),
        ),
        _ if splits.is_empty() => None,
        _ => Some(Error::input(format!("the data source `{name}` has no split `{text}`")).help(suggest(&text, splits))),
    }
}

fn check_option(source: &str, spec: &OptionSpec, value: &Value) -> Option<Error> {
    let (fits, wanted) = match (spec.accepts, value) {
        (Accepts::Integer(low, high), Value::Integer(value)) => ((low..=high).contains(value), format!("from {low} to {high}")),
        (Accepts::Integer(low, high), _) => (false, format!("a whole number from {low} to {high}")),
        (Accepts::Number(low, high) | Accepts::Distance(low, high), Value::Number(value)) => {
            ((low..=high).contains(value), format!("from {low} to {high}"))
        }
        (Accepts::Number(low, high) | Accepts::Distance(low, high), Value::Integer(value)) => {
            ((low..=high).contains(&(*value as f64)), format!("from {low} to {high}"))
        }
        (Accepts::Number(low, high) | Accepts::Distance(low, high), _) => (false, format!("a number from {low} to {high}")),
        (Accepts::Sides(low, high), Value::Integer(side)) => ((low..=high).contains(side), format!("from {low} to {high}")),
        (Accepts::Sides(low, high), Value::Sides(sides)) => {
            (sides.iter().all(|side| (low..=high).contains(side)), format!("from {low} to {high}"))
        }
        (Accepts::Sides(low, high), _) => (false, format!("a whole number from {low} to {high}, or [height, width]")),
        (Accepts::Flag, value) => (matches!(value, Value::Flag(_)), "true or false".into()),
        (Accepts::Choice(names), Value::Text(value)) => (names.contains(&value.as_str()), format!("one of {}", names.join(", "))),
        (Accepts::Choice(names), _) => (false, format!("one of {}", names.join(", "))),
        (Accepts::Names(known), Value::Names(names)) => {
            (names.iter().all(|name| known.contains(&name.as_str())), format!("a list of {}", known.join(", ")))
        }
        (Accepts::Names(known), _) => (false, format!("a list of {}", known.join(", "))),
        (Accepts::Text, value) => (matches!(value, Value::Text(_)), "text".into()),
    };
    let shown = serde_json::to_string(value).unwrap_or_default();
    (!fits).then(|| {
        Error::input(format!("data source `{source}`: `{}` is {shown}, which it does not take", spec.name)).help(format!("give {wanted}"))
    })
}

/// The known names, the nearest first in its own words where one is near.
pub(super) fn suggest(name: &str, known: &[&str]) -> String {
    let nearest = known.iter().max_by(|a, b| strsim::jaro_winkler(name, a).total_cmp(&strsim::jaro_winkler(name, b)));
    let all = known.join(", ");
    match nearest {
        Some(near) if strsim::jaro_winkler(name, near) > 0.7 => format!("did you mean `{near}`? There are: {all}"),
        _ => format!("there are: {all}"),
    }
}
