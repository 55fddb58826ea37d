//! Option values checked against their descriptions.

use std::path::Path;

use toml::de::{DeTable, DeValue};

use crate::error::{Error, Result};
use crate::options::{Accepts, Entry, OptionSpec, Options, Value};
use crate::suite::data::examples;
use crate::suite::model::model;
use crate::suite::reader::{Field, Fields, Reader, list};
use crate::suite::spec::{Catalogue, DataSpec, ModelSpec};
use crate::threat::epsilon;

/// Reads TOML text such as `steps = 20` as the options of `entry`, every default filled in. Empty text gives the defaults.
///
/// # Errors
/// Text that is not TOML, unknown names and impossible values, all at once.
pub fn parse_options(entry: &Entry, text: &str) -> Result<Options> {
    let mut reader = Reader::new("options", text);
    let mut resolved = Options::default();
    match DeTable::parse(text) {
        Ok(table) => {
            let mut fields = Fields::new(table.get_ref(), table.span(), &format!("`{}`", entry.name));
            resolved = options(&mut reader, &mut fields, entry);
            fields.finish(&mut reader);
        }
        Err(error) => syntax(&mut reader, &error),
    }
    match Error::many(format!("the options of `{}` have mistakes", entry.name), reader.into_mistakes()) {
        Some(error) => Err(error),
        None => Ok(resolved),
    }
}

/// Reads the inline table of a suite's `model`, such as `{ architecture = "mlp" }`.
///
/// # Errors
/// As [`parse`](super::parse) does.
pub fn parse_model(text: &str, base: &Path, catalogue: &Catalogue) -> Result<ModelSpec> {
    parse_table("the model", text, |reader, fields| model(reader, fields, base, &catalogue.models))
}

/// Reads the fields of a suite's `[data]` as an inline table, such as `{ source = "digits" }`.
///
/// # Errors
/// As [`parse`](super::parse) does.
pub fn parse_data(text: &str, base: &Path, catalogue: &Catalogue) -> Result<DataSpec> {
    parse_table("the data", text, |reader, fields| Some(examples(reader, fields, base, catalogue)))
}

fn parse_table<T>(place: &str, text: &str, read: impl FnOnce(&mut Reader, Fields) -> Option<T>) -> Result<T> {
    let mut reader = Reader::new(place, text);
    let mut found = None;
    match DeValue::parse(text) {
        Ok(value) => {
            let field = Field::new(place.to_string(), &value);
            found = field.fields(&mut reader, place, "{ .. }").and_then(|fields| read(&mut reader, fields));
        }
        Err(error) => syntax(&mut reader, &error),
    }
    match (Error::many(format!("{place} has mistakes"), reader.into_mistakes()), found) {
        (Some(error), _) => Err(error),
        (None, Some(found)) => Ok(found),
        (None, None) => Err(Error::input(format!("{place} cannot be read"))),
    }
}

/// Notes where a text stops being TOML.
pub(super) fn syntax(reader: &mut Reader, error: &toml::de::Error) {
    let message = format!("not valid TOML: {}", error.message().trim());
    reader.mistake(
        error.span().unwrap_or_default(),
        message,
        "text stands in double quotes, lists in [ ], tables in { } or under a [header]; nothing else was checked yet",
    );
}

/// Takes every option of `entry` from a table.
pub(super) fn options(reader: &mut Reader, fields: &mut Fields, entry: &Entry) -> Options {
    let mut options = Options::default();
    for spec in entry.options {
        let value = match fields.take(spec.name) {
            Some(field) => value(reader, spec, &field),
            None => default(reader, spec, &fields.place),
        };
        if let Some(value) = value {
            options.0.insert(spec.name.to_string(), value);
        }
    }
    options
}

fn default(reader: &mut Reader, spec: &OptionSpec, place: &str) -> Option<Value> {
    let text = spec.default?;
    let name = format!("the default of `{}` in {place}", spec.name);
    match DeValue::parse(text) {
        Ok(parsed) => value(reader, spec, &Field { name, value: parsed.get_ref(), span: 0..0 }),
        Err(_) => {
            reader.mistake(0..0, format!("{name} is no TOML value: {text}"), "this is a mistake in gauntlet itself: please report it");
            None
        }
    }
}

/// One value as `spec` takes it; a mistake and `None` where it does not.
fn value(reader: &mut Reader, spec: &OptionSpec, field: &Field) -> Option<Value> {
    match spec.accepts {
        Accepts::Integer(low, high) => reader.integer(field, low, high).map(Value::Integer),
        Accepts::Number(low, high) => {
            let number = field.number().filter(|number| number.is_finite() && (low..=high).contains(number));
            if number.is_none() {
                reader.mismatch(field, &format!("a number{}", range(low, high)));
            }
            number.map(Value::Number)
        }
        Accepts::Distance(low, high) => distance(reader, field, low, high).map(Value::Number),
        Accepts::Sides(low, high) => sides(reader, field, low, high),
        Accepts::Flag => match field.value {
            DeValue::Boolean(flag) => Some(Value::Flag(*flag)),
            _ => {
                reader.mismatch(field, "true or false, without quotes");
                None
            }
        },
        Accepts::Choice(known) => reader.choice(field, "value", known).map(|name| Value::Text(name.to_string())),
        Accepts::Names(known) => names(reader, field, known).map(Value::Names),
        Accepts::Text => reader.text(field, "text in double quotes").map(|text| Value::Text(text.to_string())),
    }
}

/// Height and width within the bounds; equal ones as one whole number, however they were written.
fn sides(reader: &mut Reader, field: &Field, low: i64, high: i64) -> Option<Value> {
    let whole = |field: &Field| match field.value {
        DeValue::Integer(integer) => i64::from_str_radix(integer.as_str(), integer.radix()).ok().filter(|side| (low..=high).contains(side)),
        _ => None,
    };
    let found = match field.value {
        DeValue::Array(array) if array.len() == 2 => {
            let side = |at: usize| whole(&Field::new(String::new(), &array[at]));
            side(0).zip(side(1)).map(|(height, width)| if height == width { Value::Integer(height) } else { Value::Sides([height, width]) })
        }
        _ => whole(field).map(Value::Integer),
    };
    if found.is_none() {
        reader.mismatch(field, &format!("a whole number from {low} to {high}, or [height, width]"));
    }
    found
}

/// A list of known names, each once.
fn names(reader: &mut Reader, field: &Field, known: &[&str]) -> Option<Vec<String>> {
    let DeValue::Array(array) = field.value else {
        reader.mismatch(field, &format!("a list of {}", list(known)));
        return None;
    };
    let mut names: Vec<String> = Vec::new();
    let before = reader.count();
    for (index, value) in array.iter().enumerate() {
        let element = Field::new(format!("element {} of {}", index + 1, field.name), value);
        let Some(name) = reader.choice(&element, "value", known) else { continue };
        if names.iter().any(|other| other == name) {
            reader.mistake(element.span, format!("{} is {name:?} a second time", element.name), "name each once");
        }
        names.push(name.to_string());
    }
    (reader.count() == before).then_some(names)
}

/// A finite distance within the bounds, written as a number or as text such as "8/255".
pub(super) fn distance(reader: &mut Reader, field: &Field, low: f64, high: f64) -> Option<f64> {
    let number = match field.value {
        DeValue::String(text) => epsilon::parse(text).ok(),
        _ => field.number(),
    };
    // Adding 0 turns -0 into 0.
    let number = number.filter(|number| number.is_finite() && (low..=high).contains(number)).map(|number| number + 0.0);
    if number.is_none() {
        reader.mismatch(field, &format!("a distance{} as a number or as text such as \"8/255\"", range(low, high)));
    }
    number
}

/// Bounds in words; the smallest positive numbers as a lower bound mean "above 0".
fn range(low: f64, high: f64) -> String {
    let above_zero = low > 0.0 && low <= f64::MIN_POSITIVE;
    let bounded_below = low > f64::MIN;
    let bounded_above = high < f64::MAX;
    match (bounded_below, bounded_above) {
        (true, true) if above_zero => format!(" above 0, at most {high}"),
        (true, false) if above_zero => " above 0".to_string(),
        (true, true) => format!(" from {low} to {high}"),
        (true, false) => format!(", {low} or more"),
        (false, true) => format!(", {high} or less"),
        (false, false) => String::new(),
    }
}
