//! `[data]` and `[data.train]`.

use std::path::Path;

use crate::data::Split;
use crate::options::{Entry, Options};
use crate::suite::check::options;
use crate::suite::model::relative_to;
use crate::suite::reader::{Field, Fields, Reader, list};
use crate::suite::resolve::named;
use crate::suite::spec::{Catalogue, DataSpec, SourceEntry};

/// What messages call the training examples' table.
const TRAIN: &str = "[data.train]";

/// Stands in where `[data]` cannot be read.
pub(super) fn nothing() -> DataSpec {
    DataSpec { source: String::new(), options: Options::default(), split: None, examples: None }
}

/// The examples to attack, and those to train on where they come from elsewhere.
pub(super) fn data(reader: &mut Reader, field: &Field, base: &Path, catalogue: &Catalogue) -> (DataSpec, Option<DataSpec>) {
    const EXAMPLE: &str = "{ source = \"digits\" }";
    let Some(mut fields) = field.fields(reader, "[data]", EXAMPLE) else { return (nothing(), None) };
    let train = fields.take("train").and_then(|field| field.fields(reader, TRAIN, EXAMPLE));
    let span = train.as_ref().map(|fields| fields.span.clone());
    let before = reader.count();
    let train = train.map(|fields| examples(reader, fields, base, catalogue));
    let data = examples(reader, fields, base, catalogue);
    // What could not be read says nothing of what it would have shared.
    if reader.count() == before
        && let (Some(train), Some(span)) = (&train, span)
        && let Some((first, end)) = shared(&data, train, catalogue)
    {
        let end = end.map_or(String::new(), |end| end.to_string());
        let message = format!("[data] and [data.train] share the examples {first}..{end} of the same {}", data.source);
        reader.mistake(span, message, "give ranges that do not meet: a model looks better on what it was trained on than it is");
    }
    (data, train)
}

/// The positions that are both attacked and trained on, up to and without the second; `None` where there are none, sources or options
/// differ, or the source has splits of its own.
fn shared(data: &DataSpec, train: &DataSpec, catalogue: &Catalogue) -> Option<(usize, Option<usize>)> {
    let same = data.source == train.source && data.options == train.options;
    if !same || !catalogue.source(&data.source)?.splits.is_empty() {
        return None;
    }
    let ((first, end), (other_first, other_end)) = (positions(data)?, positions(train)?);
    let first = first.max(other_first);
    let end = [end, other_end].into_iter().flatten().min();
    end.is_none_or(|end| first < end).then_some((first, end))
}

/// The positions of a source's examples that are meant.
fn positions(spec: &DataSpec) -> Option<(usize, Option<usize>)> {
    let (first, end) = match spec.split.as_deref().map_or(Ok(Split::All), str::parse).ok()? {
        Split::All => (0, None),
        Split::Range(first, end) => (first, end),
        Split::Named(_) => return None,
    };
    let limit = spec.examples.map(|examples| first.saturating_add(examples));
    Some((first, [end, limit].into_iter().flatten().min()))
}

pub(super) fn examples(reader: &mut Reader, mut fields: Fields, base: &Path, catalogue: &Catalogue) -> DataSpec {
    let entries: Vec<Entry> = catalogue.sources.iter().map(|source| source.entry).collect();
    let known = named(reader, &mut fields, "source", "source", &entries).and_then(|entry| catalogue.source(entry.name));
    let split = fields.take("split").and_then(|field| match known {
        Some(source) => split(reader, &field, source),
        None => reader.text(&field, "text in double quotes").map(str::to_string),
    });
    let limit = fields.take("examples").and_then(|field| reader.integer(&field, 1, i64::MAX));
    let Some(source) = known else { return DataSpec { split, ..nothing() } };
    let options = options(reader, &mut fields, &source.entry);
    existing_path(reader, &mut fields, &source.entry, &options, base);
    fields.finish(reader);
    let examples = limit.map(|limit| usize::try_from(limit).unwrap_or(usize::MAX));
    DataSpec { source: source.entry.name.to_string(), options, split, examples }
}

/// A split that the source comes with, or a range of positions where it comes with none.
fn split(reader: &mut Reader, field: &Field, source: &SourceEntry) -> Option<String> {
    if !source.splits.is_empty() {
        return reader.choice(field, "split", source.splits).map(str::to_string);
    }
    let expected = format!("\"all\", or a range of positions such as \"0..1000\", because {} has no splits", list(&[source.entry.name]));
    let text = reader.text(field, &expected)?;
    match text.parse::<Split>() {
        Ok(split @ (Split::All | Split::Range(..))) => Some(split.to_string()),
        Ok(Split::Named(_)) | Err(_) => {
            reader.mismatch(field, &expected);
            None
        }
    }
}

/// A source's `path` must be given and must exist.
fn existing_path(reader: &mut Reader, fields: &mut Fields, entry: &Entry, options: &Options, base: &Path) {
    let Some(spec) = entry.options.iter().find(|spec| spec.name == "path") else { return };
    match (options.text(spec.name), spec.default) {
        (Some(path), _) => {
            let full = base.join(path);
            if !full.exists() {
                let span = fields.take("path").map_or(fields.span.clone(), |field| field.span);
                let message = format!("`path` of {} does not exist: {}", fields.place, full.display());
                let table = if fields.place == TRAIN { "data.train" } else { "data" };
                let what = if spec.help.starts_with("folder") { "DIR" } else { "FILE" };
                let help = format!("it is the {}; {}; --set {table}.path={what} names another", spec.help, relative_to(base));
                reader.mistake(span, message, help);
            }
        }
        // Neither given nor mistaken: a given one of another kind was noted already.
        (None, None) if fields.take("path").is_none() => {
            let message = format!("{} has no `path`, which the source {:?} needs", fields.place, entry.name);
            reader.mistake(fields.span.clone(), message, format!("add path = \"...\": {}", spec.help));
        }
        _ => {}
    }
}
