//! Named options with ranges and defaults: one description serves the suite's reader, `gauntlet list`, the defaults and the hashes.
//!
//! Every table of the engine (attacks, trainers, models, data sources) describes its options with [`OptionSpec`]; the suite's reader
//! checks values against it and hands the resolved [`Options`] on, with every default filled in.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The values that an option takes.
#[derive(Clone, Copy, Debug)]
pub enum Accepts {
    /// Whole numbers within the bounds, both included.
    Integer(i64, i64),
    /// Numbers within the bounds, both included.
    Number(f64, f64),
    /// A distance in input units (whole range 1) within the bounds: a number or text such as "8/255".
    Distance(f64, f64),
    /// Height and width within the bounds, both included: `[3, 5]`, or one whole number for both.
    Sides(i64, i64),
    /// `true` or `false`.
    Flag,
    /// One of the names.
    Choice(&'static [&'static str]),
    /// A list of the names, each once.
    Names(&'static [&'static str]),
    /// Free text, such as a path or a key.
    Text,
}

/// One option: its name, what it takes, its default, and what it means.
#[derive(Clone, Copy, Debug)]
pub struct OptionSpec {
    /// The name in the suite.
    pub name: &'static str,
    /// The values that it takes.
    pub accepts: Accepts,
    /// The default as TOML text (`40`, `0.9`, `"ce"`); `None`: absent unless given.
    pub default: Option<&'static str>,
    /// One line: meaning and unit.
    pub help: &'static str,
}

/// A resolved value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Value {
    /// `true` or `false`.
    Flag(bool),
    /// A whole number.
    Integer(i64),
    /// A number; distances too.
    Number(f64),
    /// Height and width, where they differ.
    Sides([i64; 2]),
    /// Text or a choice.
    Text(String),
    /// A list of names.
    Names(Vec<String>),
}

/// Resolved options by name, in alphabetical order, so that equal options have equal text and equal hashes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Options(pub BTreeMap<String, Value>);

impl Options {
    /// The whole number `name`, where it is set.
    pub fn integer(&self, name: &str) -> Option<i64> {
        match self.0.get(name)? {
            Value::Integer(value) => Some(*value),
            _ => None,
        }
    }

    /// The number `name`, where it is set.
    pub fn number(&self, name: &str) -> Option<f64> {
        match self.0.get(name)? {
            Value::Number(value) => Some(*value),
            Value::Integer(value) => Some(*value as f64),
            _ => None,
        }
    }

    /// Height and width of `name`, where it is set.
    pub fn sides(&self, name: &str) -> Option<[i64; 2]> {
        match self.0.get(name)? {
            Value::Sides(sides) => Some(*sides),
            Value::Integer(side) => Some([*side; 2]),
            _ => None,
        }
    }

    /// The flag `name`, where it is set.
    pub fn flag(&self, name: &str) -> Option<bool> {
        match self.0.get(name)? {
            Value::Flag(value) => Some(*value),
            _ => None,
        }
    }

    /// The text `name`, where it is set.
    pub fn text(&self, name: &str) -> Option<&str> {
        match self.0.get(name)? {
            Value::Text(value) => Some(value),
            _ => None,
        }
    }

    /// The names of `name`, where they are set.
    pub fn names(&self, name: &str) -> Option<&[String]> {
        match self.0.get(name)? {
            Value::Names(names) => Some(names),
            _ => None,
        }
    }

    /// Equal options give equal text, whatever order they were written in.
    pub fn canonical(&self) -> String {
        serde_json::to_string(self).expect("options are plain JSON values")
    }
}

/// A row of one of the engine's tables, as lists, help and the suite's reader see it.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// The name in the suite.
    pub name: &'static str,
    /// One line: what it does, with its source.
    pub summary: &'static str,
    /// The options that it takes.
    pub options: &'static [OptionSpec],
}
