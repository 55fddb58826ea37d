//! The attack entries of a suite, read again from the text that a run keeps.

use std::fmt;

use toml::{Table, Value};

use crate::{Error, Result};

/// An `[[attack]]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Its name in results.
    pub name: String,
    /// The attack.
    pub kind: String,
    /// Its options as they were written.
    pub options: Table,
}

impl Entry {
    /// An option's text, where it is one.
    pub fn text(&self, option: &str) -> Option<&str> {
        self.options.get(option).and_then(Value::as_str)
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.kind)?;
        if self.options.is_empty() {
            return Ok(());
        }
        let options: Vec<String> = self.options.iter().map(|(name, value)| format!("{name} = {value}")).collect();
        write!(f, " {{ {} }}", options.join(", "))
    }
}

/// The attack entries of a suite, in its order.
///
/// # Errors
/// The store's kind: text that is no suite, which no run keeps.
pub fn attacks(suite: &str) -> Result<Vec<Entry>> {
    let damaged = |why: &str| Error::store(format!("the run's suite cannot be read: {why}")).help("run the suite again with --fresh");
    let table: Table = suite.parse().map_err(|error: toml::de::Error| damaged(error.message()))?;
    let Some(entries) = table.get("attack") else { return Ok(Vec::new()) };
    let entries = entries.as_array().ok_or_else(|| damaged("its attacks are no list"))?;
    let entry = |entry: &Value| {
        let mut options = entry.as_table()?.clone();
        let mut take = |field: &str| options.remove(field).and_then(|value| value.as_str().map(str::to_owned));
        let kind = take("kind")?;
        Some(Entry { name: take("name").unwrap_or_else(|| kind.clone()), kind, options })
    };
    entries.iter().map(|value| entry(value).ok_or_else(|| damaged("an attack has no kind"))).collect()
}
