//! From a suite's text to a [`Suite`], or to every mistake in it.

use std::ops::Range;
use std::path::Path;

use toml::de::{DeTable, DeValue};

use crate::attack::SURROGATE;
use crate::engine::precision::Precision;
use crate::error::{Error, Result};
use crate::options::Entry;
use crate::suite::certificates;
use crate::suite::check::syntax;
use crate::suite::data;
use crate::suite::entries;
use crate::suite::overrides;
use crate::suite::reader::{Field, Fields, Reader, list, suggested, suggestion};
use crate::suite::spec::{AttackSpec, Catalogue, DataSpec, DefenceSpec, Suite};
use crate::suite::threats;

/// Reads a suite file, with `overrides` (`key=value`) applied.
///
/// # Errors
/// A file that cannot be read; every mistake in it and in the overrides, with its place and a way out.
pub fn read(path: &Path, overrides: &[String], catalogue: &Catalogue) -> Result<Suite> {
    let name = path.display().to_string();
    let bytes = std::fs::read(path).map_err(|error| {
        Error::input(format!("cannot read the suite {name}: {error}"))
            .help("give the path of a suite's TOML file, such as suites/quick.toml")
    })?;
    let text = String::from_utf8(bytes).map_err(|error| {
        let line = 1 + error.as_bytes()[..error.utf8_error().valid_up_to()].iter().filter(|byte| **byte == b'\n').count();
        Error::input(format!("the suite {name} is not UTF-8 text: line {line}")).help("save the file as UTF-8")
    })?;
    let base = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    parse(&name, &text, base, overrides, catalogue)
}

/// Reads a suite's text. `name` is what messages call it, `base` the folder that relative paths start from; an override is a dotted
/// path and a TOML value (`attack.pgd.steps=20`), elements of lists being chosen by name or position.
///
/// # Errors
/// Every mistake in the text and in the overrides, with its place and a way out.
pub fn parse(name: &str, text: &str, base: &Path, overrides: &[String], catalogue: &Catalogue) -> Result<Suite> {
    let (text, mut mistakes) = overrides::apply(text, overrides);
    let shown = if overrides.is_empty() { name.to_string() } else { format!("{name} with --set {}", overrides.join(" --set ")) };
    let mut reader = Reader::new(&shown, &text);
    let suite = match DeTable::parse(&text) {
        Ok(table) => {
            let root = Fields::new(table.get_ref(), table.span(), "the suite");
            Some(suite(&mut reader, root, base, &text, catalogue))
        }
        Err(error) => {
            syntax(&mut reader, &error);
            None
        }
    };
    mistakes.extend(reader.into_mistakes());
    let whole = format!("the suite {name} has {} mistakes; nothing was run", mistakes.len());
    match (Error::many(whole, mistakes), suite) {
        (Some(error), _) => Err(error),
        (None, Some(suite)) => Ok(suite),
        (None, None) => Err(Error::input(format!("the suite {name} is not valid TOML"))),
    }
}

fn suite(reader: &mut Reader, mut root: Fields, base: &Path, text: &str, catalogue: &Catalogue) -> Suite {
    let title = root
        .require(reader, "title", "start the file with a line such as title = \"What is asked, in a line\"")
        .and_then(|field| filled(reader, &field, "what the suite is about, in a line"))
        .unwrap_or_default();
    let seed = seed(reader, &mut root);
    let precision = precision(reader, &mut root);
    let (data, train_data) = match root.require(reader, "data", "add a table such as [data] with source = \"digits\"") {
        Some(field) => data::data(reader, &field, base, catalogue),
        None => (data::nothing(), None),
    };
    let threats = tables(reader, &mut root, "threat", "norm = \"linf\" and epsilons = [0, 0.1]");
    let wanted = threats.len();
    let threats = threats::threats(reader, threats);
    let defences = tables(reader, &mut root, "defence", "name, model = { architecture = \"...\" } and train = { method = \"...\" }");
    let defences = entries::defences(reader, defences, base, catalogue);
    let attacks = tables(reader, &mut root, "attack", "kind = \"pgd\"");
    // A threat whose norm cannot be read may be the one that an attack works under.
    let judged = if threats.len() == wanted { threats.as_slice() } else { &[] };
    let attacks = entries::attacks(reader, attacks, judged, catalogue);
    surrogates(reader, &attacks, &defences);
    let attacks = attacks.into_iter().map(|(attack, _)| attack).collect();
    let certificates = if root.has("certificate") { tables(reader, &mut root, "certificate", "kind = \"interval\"") } else { Vec::new() };
    let certificates = certificates::certificates(reader, certificates, judged, &catalogue.certifiers);
    trainable(reader, &data, train_data.as_ref(), &defences, catalogue);
    root.take("certificate");
    root.finish(reader);
    let defences = defences.into_iter().map(|(defence, _)| defence).collect();
    Suite {
        title,
        seed,
        precision,
        data,
        train_data,
        threats,
        defences,
        attacks,
        certificates,
        text: text.to_string(),
        base: base.to_path_buf(),
    }
}

/// In which precision attacks search; single where the suite does not say.
fn precision(reader: &mut Reader, root: &mut Fields) -> Precision {
    let names = Precision::ALL.map(Precision::name);
    let chosen = root.take("precision").and_then(|field| reader.choice(&field, "precision", &names));
    Precision::ALL.into_iter().find(|precision| Some(precision.name()) == chosen).unwrap_or_default()
}

/// The entries of a list of tables; at least one.
fn tables<'t>(reader: &mut Reader, root: &mut Fields<'t>, name: &'static str, example: &str) -> Vec<Fields<'t>> {
    let help = format!("each {name} is a table of its own: [[{name}]] with {example}");
    let Some(field) = root.require(reader, name, &help) else { return Vec::new() };
    let DeValue::Array(array) = field.value else {
        let message = format!("`{name}` is not a list of tables");
        reader.mistake(field.span, message, format!("write [[{name}]], with double brackets, above each {name}"));
        return Vec::new();
    };
    if array.is_empty() {
        reader.mistake(field.span, format!("the suite has no {name}"), help);
    }
    let mut found = Vec::new();
    for (index, value) in array.iter().enumerate() {
        let place = format!("{name} {}", index + 1);
        found.extend(Field::new(place.clone(), value).fields(reader, &place, &format!("{{ {example} }}")));
    }
    found
}

/// What an attack crafts on is a defence of the suite.
fn surrogates(reader: &mut Reader, attacks: &[(AttackSpec, Range<usize>)], defences: &[(DefenceSpec, Range<usize>)]) {
    let names: Vec<&str> = defences.iter().map(|(defence, _)| defence.name.as_str()).collect();
    for (attack, span) in attacks {
        let Some(name) = attack.options.text(SURROGATE).filter(|name| !names.contains(name)) else { continue };
        let message = format!("the surrogate {name:?} of attack `{}` is no defence of the suite", attack.name);
        reader.mistake(span.clone(), message, format!("{}name one of {}", suggestion(name, &names), list(&names)));
    }
}

/// Training needs examples of its own: a source's train split, or `[data.train]`.
fn trainable(
    reader: &mut Reader,
    data: &DataSpec,
    train_data: Option<&DataSpec>,
    defences: &[(DefenceSpec, Range<usize>)],
    catalogue: &Catalogue,
) {
    let Some(source) = catalogue.source(&data.source) else { return };
    if train_data.is_some() || source.splits.contains(&"train") {
        return;
    }
    if let Some((defence, span)) = defences.iter().find(|(defence, _)| defence.wants_training_examples()) {
        let message =
            format!("defence `{}` needs training examples, but the source {:?} has no split \"train\"", defence.name, data.source);
        reader.mistake(span.clone(), message, "say with [data.train] (source, split, ...) where training examples come from");
    }
}

/// Text with something in it.
pub(super) fn filled(reader: &mut Reader, field: &Field, expected: &str) -> Option<String> {
    let text = reader.text(field, &format!("text in double quotes: {expected}"))?;
    if text.trim().is_empty() {
        reader.mistake(field.span.clone(), format!("{} is empty", field.name), format!("it takes {expected}"));
        return None;
    }
    Some(text.to_string())
}

/// A seed; 0 where there is none.
pub(super) fn seed(reader: &mut Reader, fields: &mut Fields) -> u64 {
    let seed = fields.take("seed").and_then(|field| reader.integer(&field, 0, i64::MAX));
    seed.map_or(0, i64::unsigned_abs)
}

/// The entry that a field names. `what` completes "unknown ...". Where there is none, the table's other fields cannot be judged.
pub(super) fn named<'k>(reader: &mut Reader, fields: &mut Fields, name: &'static str, what: &str, known: &'k [Entry]) -> Option<&'k Entry> {
    let names: Vec<&str> = known.iter().map(|entry| entry.name).collect();
    let help = format!("name one of {}", list(&names));
    let field = fields.require(reader, name, &help)?;
    let text = reader.text(&field, &format!("one of {}", list(&names)))?;
    let entry = known.iter().find(|entry| entry.name == text);
    if entry.is_none() {
        reader.mistake(field.span, format!("unknown {what} {text:?} in {}", fields.place), format!("{}{help}", suggested(text, known)));
    }
    entry
}
