//! `--set key=value`: edits of a suite's text that keep its comments.

use toml_edit::{DocumentMut, InlineTable, Item, RawString, TableLike, Value};

use crate::error::Error;
use crate::suite::reader::suggestion;

/// Tables that may be made where they are missing; `*` stands for any element of a list.
const OPTIONAL: [&[&str]; 4] = [&["data"], &["data", "train"], &["defence", "*", "model"], &["defence", "*", "train"]];

/// The text with every override applied that can be, and the mistakes in the others. Text that is not TOML comes back as it is: its
/// reader says what is wrong with it.
pub(super) fn apply(text: &str, overrides: &[String]) -> (String, Vec<Error>) {
    if overrides.is_empty() {
        return (text.to_string(), Vec::new());
    }
    let Ok(mut document) = text.parse::<DocumentMut>() else { return (text.to_string(), Vec::new()) };
    let mistakes = overrides.iter().filter_map(|argument| set(&mut document, argument).err()).collect();
    (document.to_string(), mistakes)
}

fn set(document: &mut DocumentMut, argument: &str) -> Result<(), Error> {
    const EXAMPLES: &str = "write --set key=value, such as seed=3, attack.pgd.steps=20 or threat.linf.epsilons=[0,0.1]";
    let mistake = |message: String, help: &str| Error::input(format!("--set {argument}: {message}")).help(help);
    let Some((path, value)) = argument.split_once('=') else {
        return Err(mistake("there is no `=`".to_string(), EXAMPLES));
    };
    let keys = segments(path.trim());
    let Some((leaf, parents)) = keys.split_last().filter(|_| keys.iter().all(|key| !key.is_empty())) else {
        return Err(mistake(format!("{path:?} is not a dotted path"), EXAMPLES));
    };
    let mut table: &mut dyn TableLike = document.as_table_mut();
    let mut place = "the suite".to_string();
    let mut walked: Vec<&str> = Vec::new();
    let mut parents = parents.iter();
    while let Some(key) = parents.next() {
        walked.push(key);
        if !table.contains_key(key) {
            if !OPTIONAL.contains(&walked.as_slice()) {
                let there: Vec<&str> = table.iter().map(|(name, _)| name).collect();
                let help = format!("{}{place} has {}", suggestion(key, &there), quoted(&there));
                return Err(mistake(format!("{place} has no {key:?}"), &help));
            }
            table.insert(key, Item::Value(Value::InlineTable(InlineTable::new())));
        }
        let Some(item) = table.get_mut(key) else {
            return Err(mistake(format!("{place} has no {key:?}"), EXAMPLES));
        };
        place = walked.join(".");
        if item.is_array_of_tables() || item.is_array() {
            walked.push("*");
            let labels = labels(item);
            let there = quoted(&labels.iter().map(String::as_str).collect::<Vec<_>>());
            let Some(wanted) = parents.next() else {
                return Err(mistake(format!("`{place}` is a list"), &format!("name an element and a field of it; `{place}` has {there}")));
            };
            let Some(index) = labels.iter().position(|label| label == wanted).or_else(|| wanted.parse().ok()) else {
                return Err(mistake(format!("`{place}` has no element {wanted:?}"), &format!("it has {there}, also by position from 0")));
            };
            let Some(element) = element(item, index) else {
                return Err(mistake(
                    format!("`{place}` has no table at position {wanted}"),
                    &format!("it has {there}, by name or by position from 0"),
                ));
            };
            table = element;
            place = format!("{place}.{wanted}");
        } else {
            let kind = item.type_name();
            table = item.as_table_like_mut().ok_or_else(|| mistake(format!("`{place}` is no table but {kind}"), EXAMPLES))?;
        }
    }
    let value = value.trim();
    write(table, leaf, value.parse().unwrap_or_else(|_| Value::from(value)));
    Ok(())
}

/// Sets a field and keeps the spaces and the comment around an old value.
pub(super) fn write(table: &mut dyn TableLike, key: &str, mut value: Value) {
    if let Some(Item::Value(old)) = table.get_mut(key) {
        *value.decor_mut() = old.decor().clone();
        *old = value;
        return;
    }
    // Within { } the space behind the last value belongs behind the new one.
    if let Some((_, Item::Value(last))) = table.iter_mut().last()
        && let Some(space) = last.decor().suffix().and_then(RawString::as_str).filter(|text| text.trim().is_empty()).map(str::to_string)
    {
        last.decor_mut().set_suffix("");
        value.decor_mut().set_prefix(" ");
        value.decor_mut().set_suffix(space);
    }
    table.insert(key, Item::Value(value));
}

/// The keys of a dotted path; quotes keep a dot within a key.
fn segments(path: &str) -> Vec<String> {
    let mut keys = vec![String::new()];
    let mut quote = None;
    for letter in path.chars() {
        match (letter, quote) {
            ('"' | '\'', None) => quote = Some(letter),
            (_, Some(open)) if letter == open => quote = None,
            ('.', None) => keys.push(String::new()),
            _ => keys.last_mut().expect("there is one from the start").push(letter),
        }
    }
    keys.iter().map(|key| key.trim().to_string()).collect()
}

/// What the elements of a list are called by: name, kind or norm; nothing where there is none of these.
fn labels(item: &Item) -> Vec<String> {
    let label = |table: &dyn TableLike| {
        let text = ["name", "kind", "norm"].iter().find_map(|key| table.get(key).and_then(Item::as_str));
        text.unwrap_or_default().to_string()
    };
    match item {
        Item::ArrayOfTables(tables) => tables.iter().map(|table| label(table)).collect(),
        Item::Value(Value::Array(values)) => {
            values.iter().map(|value| value.as_inline_table().map_or(String::new(), |table| label(table))).collect()
        }
        _ => Vec::new(),
    }
}

/// The table at a place of a list of them.
pub(super) fn element(item: &mut Item, index: usize) -> Option<&mut dyn TableLike> {
    match item {
        Item::ArrayOfTables(tables) => tables.get_mut(index).map(|table| table as _),
        Item::Value(Value::Array(values)) => values.get_mut(index).and_then(Value::as_inline_table_mut).map(|table| table as _),
        _ => None,
    }
}

fn quoted(names: &[&str]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    if quoted.is_empty() { "nothing".to_string() } else { quoted.join(", ") }
}
