//! A defence's `model`: an architecture, an ONNX file or a stack of layers, and where its weights come from.

use std::path::{Path, PathBuf};

use toml::de::DeValue;

use crate::model::layers::{LAYERS, LayerSpec};
use crate::model::{Matching, Normalisation, ONNX};
use crate::options::{Entry, Options};
use crate::suite::check::options;
use crate::suite::reader::{Field, Fields, Reader, list};
use crate::suite::resolve::{filled, named, seed};
use crate::suite::spec::ModelSpec;

/// Where a network comes from: a model has exactly one of these.
const SOURCES: [&str; 3] = ["architecture", "onnx", "layers"];

/// Reads the table of a model.
pub(super) fn model(reader: &mut Reader, mut fields: Fields, base: &Path, known: &[Entry]) -> Option<ModelSpec> {
    // A number of layers is an architecture's own option.
    let counted = fields.has("architecture") && !fields.is_list("layers");
    let given: Vec<&str> = SOURCES.into_iter().filter(|name| fields.has(name) && !(counted && *name == "layers")).collect();
    let place = fields.place.clone();
    if let [first, second, ..] = given[..] {
        let message = format!("{place} has both `{first}` and `{second}`");
        reader.mistake(fields.span.clone(), message, format!("a network comes from one of {}: keep one", list(&SOURCES)));
        return None;
    }
    let seed = seed(reader, &mut fields);
    let normalize = fields.take("normalize").and_then(|field| normalize(reader, &field));
    let (architecture, onnx, layers, options) = match given.first() {
        Some(&"onnx") => {
            let onnx = fields.take("onnx").and_then(|field| file(reader, &field, base, "the path of an ONNX file"));
            (ONNX.name, onnx, Vec::new(), options(reader, &mut fields, &ONNX))
        }
        Some(&"layers") => {
            let layers = fields.take("layers").map_or(Vec::new(), |field| layers(reader, &field, &place));
            ("layers", None, layers, Options::default())
        }
        Some(_) => {
            let entry = named(reader, &mut fields, "architecture", "architecture", known)?;
            (entry.name, None, Vec::new(), options(reader, &mut fields, entry))
        }
        None => {
            let names: Vec<&str> = known.iter().map(|entry| entry.name).collect();
            let help = format!("name one of {}, or give onnx = \"x.onnx\" or layers = [..]", list(&names));
            reader.mistake(fields.span.clone(), format!("{place} has no `architecture`, `onnx` or `layers`"), help);
            return None;
        }
    };
    if options.text("range") == Some("0..255") && normalize.is_some() {
        let message = format!("{place} has both range = \"0..255\" and `normalize`, which scale the inputs twice");
        reader.mistake(fields.span.clone(), message, "keep one: `normalize` is in units of inputs in [0, 1]");
    }
    let mut weights = None;
    let mut matching = Matching::default();
    if given.first() == Some(&ONNX.name) {
        // A file of a graph holds its weights.
        for name in ["weights", "match"] {
            fields.refuse(reader, name, "an ONNX file holds its own weights: remove it");
        }
    } else {
        weights = fields.take("weights").and_then(|field| file(reader, &field, base, "the path of a checkpoint"));
        let order = fields.take("match").and_then(|field| reader.choice(&field, "way to match tensors", &["name", "order"]));
        if order == Some("order") {
            matching = Matching::Order;
        }
    }
    fields.finish(reader);
    Some(ModelSpec { architecture: architecture.to_string(), seed, options, weights, onnx, layers, normalize, matching })
}

/// Where relative paths start.
pub(super) fn relative_to(base: &Path) -> &'static str {
    if base.as_os_str().is_empty() {
        "relative paths start from the folder that you are in"
    } else {
        "relative paths start from the suite's folder"
    }
}

/// A file that exists; its path as written.
fn file(reader: &mut Reader, field: &Field, base: &Path, what: &str) -> Option<PathBuf> {
    let path = PathBuf::from(filled(reader, field, what)?);
    let full = base.join(&path);
    if !full.is_file() {
        let message = format!("{}: there is no file {}", field.name, full.display());
        reader.mistake(field.span.clone(), message, relative_to(base));
    }
    Some(path)
}

/// Mean and deviation, a number a channel each.
fn normalize(reader: &mut Reader, field: &Field) -> Option<Normalisation> {
    const EXAMPLE: &str = "{ mean = [0.49, 0.48, 0.45], std = [0.25, 0.24, 0.26] }";
    let mut fields = field.fields(reader, &field.name, EXAMPLE)?;
    let mut numbers = |reader: &mut Reader, name: &'static str, least: f64| {
        let field = fields.require(reader, name, &format!("write normalize = {EXAMPLE}, a number a channel"))?;
        channels(reader, &field, least)
    };
    let mean = numbers(reader, "mean", -10.0);
    let std = numbers(reader, "std", f64::MIN_POSITIVE);
    let span = fields.span.clone();
    let place = fields.place.clone();
    fields.finish(reader);
    let (mean, std) = mean.zip(std)?;
    if mean.len() != std.len() {
        let message = format!("{place} has {} means and {} deviations", mean.len(), std.len());
        reader.mistake(span, message, "give a number a channel of each, or one for all channels");
        return None;
    }
    Some(Normalisation { mean, std })
}

/// A list of numbers in units of [0, 1] inputs, or one for all channels.
fn channels(reader: &mut Reader, field: &Field, least: f64) -> Option<Vec<f64>> {
    const MOST: f64 = 10.0;
    let number = |field: &Field| field.number().filter(|number| (least..=MOST).contains(number));
    let found = match field.value {
        DeValue::Array(array) if !array.is_empty() => array.iter().map(|value| number(&Field::new(String::new(), value))).collect(),
        _ => number(field).map(|number| vec![number]),
    };
    if found.is_none() {
        let least = if least > 0.0 { "above 0".to_string() } else { format!("from {least}") };
        let expected = format!("a list of numbers {least}, at most {MOST}, in units of inputs in [0, 1]: divide those for 0..255 by 255");
        reader.mismatch(field, &expected);
    }
    found
}

/// The entries of a stack; every mistake in them is noted.
fn layers(reader: &mut Reader, field: &Field, place: &str) -> Vec<LayerSpec> {
    const FORM: &str = "a list such as [{ kind = \"conv\", out = 16, kernel = 3 }, { kind = \"relu\" }, { kind = \"flatten\" }, { kind = \"dense\", out = 10 }]";
    let entries: Vec<Entry> = LAYERS.iter().map(|row| row.entry).collect();
    let array = match field.value {
        DeValue::Array(array) if !array.is_empty() => array,
        _ => {
            reader.mismatch(field, FORM);
            return Vec::new();
        }
    };
    let mut layers: Vec<LayerSpec> = Vec::new();
    for (index, value) in array.iter().enumerate() {
        let element = Field::new(format!("layer {index} of {place}"), value);
        let Some(mut fields) = element.fields(reader, &element.name, "{ kind = \"relu\" }") else { continue };
        let given = fields.take("name");
        let span = given.as_ref().map_or(fields.span.clone(), |field| field.span.clone());
        let name =
            given.and_then(|field| filled(reader, &field, "what its tensors' names begin with")).unwrap_or_else(|| index.to_string());
        if layers.iter().any(|layer| layer.name == name) {
            let help = "tensors are named after their layer: give each a name of its own";
            reader.mistake(span, format!("a second layer with the name {name:?} in {place}"), help);
        }
        let Some(entry) = named(reader, &mut fields, "kind", "layer", &entries) else { continue };
        fields.place = format!("layer {index} ({}) of {place}", entry.name);
        let row = LAYERS.iter().find(|row| row.entry.name == entry.name);
        for option in row.map_or(&[][..], |row| row.required) {
            let help = entry.options.iter().find(|spec| spec.name == *option).map_or(String::new(), |spec| format!(": {}", spec.help));
            fields.require(reader, option, &format!("add {option} = ..{help}"));
        }
        let options = options(reader, &mut fields, entry);
        fields.finish(reader);
        layers.push(LayerSpec { kind: entry.name.to_string(), name, options });
    }
    layers
}
