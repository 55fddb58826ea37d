//! Walks a parsed TOML table and collects mistakes instead of stopping at the first.
//!
//! Where a value is wrong, the mistake is noted and `None` returned; the caller goes on with a neutral value, because nothing is handed
//! out once there is a mistake.

use std::ops::Range;
use std::sync::Arc;

use miette::NamedSource;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::error::Error;
use crate::nearest::nearest;
use crate::options::Entry;

/// A text and the mistakes found in it.
pub(super) struct Reader {
    source: Arc<NamedSource<String>>,
    mistakes: Vec<(usize, Error)>,
}

impl Reader {
    pub(super) fn new(name: &str, text: &str) -> Self {
        Self { source: Arc::new(NamedSource::new(name, text.to_string())), mistakes: Vec::new() }
    }

    /// Notes a mistake at bytes `span`, with its way out.
    pub(super) fn mistake(&mut self, span: Range<usize>, message: impl Into<String>, help: impl Into<String>) {
        let error = Error::input(message).help(help).at(&self.source, span.clone());
        self.mistakes.push((span.start, error));
    }

    /// The mistakes in the order of the text.
    pub(super) fn into_mistakes(mut self) -> Vec<Error> {
        self.mistakes.sort_by_key(|(start, _)| *start);
        self.mistakes.into_iter().map(|(_, error)| error).collect()
    }

    /// How many mistakes there are so far.
    pub(super) fn count(&self) -> usize {
        self.mistakes.len()
    }

    /// Notes that a value is not what its field takes.
    pub(super) fn mismatch(&mut self, field: &Field, expected: &str) {
        self.mistake(field.span.clone(), format!("{} is {}", field.name, found(field.value)), format!("it takes {expected}"));
    }

    /// The text of a field.
    pub(super) fn text<'t>(&mut self, field: &Field<'t>, expected: &str) -> Option<&'t str> {
        if let DeValue::String(text) = field.value {
            return Some(text);
        }
        self.mismatch(field, expected);
        None
    }

    /// A whole number within the bounds, both included.
    pub(super) fn integer(&mut self, field: &Field, low: i64, high: i64) -> Option<i64> {
        let value = match field.value {
            DeValue::Integer(integer) => i64::from_str_radix(integer.as_str(), integer.radix()).ok(),
            _ => None,
        };
        let value = value.filter(|value| (low..=high).contains(value));
        if value.is_none() {
            let bounds = match (low, high) {
                (i64::MIN, i64::MAX) => String::new(),
                (_, i64::MAX) => format!(", {low} or more"),
                (i64::MIN, _) => format!(", {high} or less"),
                _ => format!(" from {low} to {high}"),
            };
            self.mismatch(field, &format!("a whole number{bounds}"));
        }
        value
    }

    /// One of the names. `what` completes "unknown ...".
    pub(super) fn choice<'k>(&mut self, field: &Field, what: &str, known: &[&'k str]) -> Option<&'k str> {
        let quoted = list(known);
        let text = self.text(field, &format!("one of {quoted}"))?;
        let choice = known.iter().find(|name| **name == text).copied();
        if choice.is_none() {
            let message = format!("unknown {what} {text:?} as {}", field.name);
            self.mistake(field.span.clone(), message, format!("{}it takes one of {quoted}", suggestion(text, known)));
        }
        choice
    }
}

/// A value with its place and the name that messages call it by.
pub(super) struct Field<'t> {
    pub(super) name: String,
    pub(super) value: &'t DeValue<'t>,
    pub(super) span: Range<usize>,
}

impl<'t> Field<'t> {
    pub(super) fn new(name: String, value: &'t Spanned<DeValue<'t>>) -> Self {
        Self { name, value: value.get_ref(), span: value.span() }
    }

    /// The number that the field holds, finite or not, whole or not; `None` for anything else.
    pub(super) fn number(&self) -> Option<f64> {
        match self.value {
            DeValue::Integer(integer) => i64::from_str_radix(integer.as_str(), integer.radix()).ok().map(|value| value as f64),
            DeValue::Float(float) => float.as_str().parse().ok(),
            _ => None,
        }
    }

    /// The fields of a table.
    pub(super) fn fields(&self, reader: &mut Reader, place: &str, example: &str) -> Option<Fields<'t>> {
        if let DeValue::Table(table) = self.value {
            return Some(Fields::new(table, self.span.clone(), place));
        }
        reader.mismatch(self, &format!("a table, such as {example}"));
        None
    }
}

/// A table whose fields are taken one by one; what is left over is unknown.
pub(super) struct Fields<'t> {
    table: &'t DeTable<'t>,
    /// Bytes of the table's header, or of the whole table where it is an inline one.
    pub(super) span: Range<usize>,
    /// What messages call the table.
    pub(super) place: String,
    asked: Vec<&'static str>,
    refused: Vec<&'static str>,
}

impl<'t> Fields<'t> {
    pub(super) fn new(table: &'t DeTable<'t>, span: Range<usize>, place: &str) -> Self {
        Self { table, span, place: place.to_string(), asked: Vec::new(), refused: Vec::new() }
    }

    /// The field of that name, which is known from now on.
    pub(super) fn take(&mut self, name: &'static str) -> Option<Field<'t>> {
        if !self.asked.contains(&name) {
            self.asked.push(name);
        }
        let value = self.table.get(name)?;
        Some(Field::new(format!("`{name}` of {}", self.place), value))
    }

    /// The field of that name; a mistake where there is none.
    pub(super) fn require(&mut self, reader: &mut Reader, name: &'static str, help: &str) -> Option<Field<'t>> {
        let field = self.take(name);
        if field.is_none() {
            reader.mistake(self.span.clone(), format!("{} has no `{name}`", self.place), help);
        }
        field
    }

    /// Notes a mistake with a way out of its own where the field is there; lists of known fields do not name it.
    pub(super) fn refuse(&mut self, reader: &mut Reader, name: &'static str, help: &str) {
        self.refused.push(name);
        if let Some((key, _)) = self.table.get_key_value(name) {
            reader.mistake(key.span(), format!("unknown field `{name}` in {}", self.place), help);
        }
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.table.contains_key(name)
    }

    pub(super) fn is_list(&self, name: &str) -> bool {
        self.table.get(name).is_some_and(|value| matches!(value.get_ref(), DeValue::Array(_)))
    }

    /// Notes every field that nobody asked for.
    pub(super) fn finish(self, reader: &mut Reader) {
        for key in self.table.keys() {
            let name: &str = key.get_ref();
            if !self.asked.contains(&name) && !self.refused.contains(&name) {
                let known: Vec<String> = self.asked.iter().map(|name| format!("`{name}`")).collect();
                let near = nearest(name, self.asked.iter().copied()).map_or(String::new(), |near| format!("did you mean `{near}`? "));
                let help = format!("{near}{} takes {}", self.place, known.join(", "));
                reader.mistake(key.span(), format!("unknown field `{name}` in {}", self.place), help);
            }
        }
    }
}

/// The names in quotes, comma-separated.
pub(super) fn list(names: &[&str]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("{name:?}")).collect();
    quoted.join(", ")
}

/// "did you mean ...? ", or nothing.
pub(super) fn suggestion(name: &str, known: &[&str]) -> String {
    nearest(name, known.iter().copied()).map_or(String::new(), |near| format!("did you mean {near:?}? "))
}

/// "did you mean ...? " of a table's rows, by their names or by what their summaries call them, as CROWN is called; or nothing.
pub(crate) fn suggested(name: &str, known: &[Entry]) -> String {
    const SHORTEST: usize = 4;
    let names: Vec<&str> = known.iter().map(|entry| entry.name).collect();
    let by_name = suggestion(name, &names);
    if !by_name.is_empty() {
        return by_name;
    }
    let words = |entry: &Entry| {
        let words = entry.summary.split(|letter: char| !letter.is_alphanumeric() && letter != '-');
        words.filter(|word| word.len() >= SHORTEST && word.chars().any(char::is_uppercase)).collect::<Vec<_>>()
    };
    let near = nearest(name, known.iter().flat_map(words));
    let found = near.and_then(|word| Some((known.iter().find(|entry| words(entry).contains(&word))?, word)));
    found.map_or(String::new(), |(entry, word)| format!("did you mean {:?} ({word})? ", entry.name))
}

/// A number or a text as it was written.
pub(super) fn written(value: &DeValue) -> String {
    match value {
        DeValue::String(text) => format!("{text:?}"),
        DeValue::Integer(integer) => integer.to_string(),
        DeValue::Float(float) => float.to_string(),
        _ => found(value),
    }
}

/// A value as a message shows it.
fn found(value: &DeValue) -> String {
    match value {
        DeValue::String(text) => format!("the text {text:?}"),
        DeValue::Integer(integer) => format!("the whole number {integer}"),
        DeValue::Float(float) => format!("the number {float}"),
        DeValue::Boolean(flag) => format!("{flag}"),
        DeValue::Datetime(date) => format!("the date {date}"),
        DeValue::Array(_) => "a list".to_string(),
        DeValue::Table(_) => "a table".to_string(),
    }
}
