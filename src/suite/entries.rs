//! `[[threat]]`, `[[defence]]` and `[[attack]]`.

use std::ops::Range;
use std::path::Path;

use toml::de::DeValue;

use crate::defence::TRAINERS;
use crate::options::{Entry, Options};
use crate::suite::check::{distance, options};
use crate::suite::model::model;
use crate::suite::reader::{Field, Fields, Reader, list};
use crate::suite::resolve::{filled, named};
use crate::suite::spec::{AttackEntry, AttackSpec, Catalogue, DefenceSpec, ModelSpec, TrainSpec, WrapperSpec};
use crate::threat::{Norm, Sweep, Threat};

/// The threats that can be read; a norm twice is a mistake.
pub(super) fn threats(reader: &mut Reader, tables: Vec<Fields>) -> Vec<Threat> {
    let mut threats: Vec<Threat> = Vec::new();
    for mut fields in tables {
        let norms: Vec<&str> = Norm::ALL.iter().map(|norm| norm.name()).collect();
        let field = fields.require(reader, "norm", &format!("add norm = one of {}", list(&norms)));
        let span = field.as_ref().map(|field| field.span.clone());
        let chosen = field.and_then(|field| reader.choice(&field, "norm", &norms));
        let norm = Norm::ALL.into_iter().find(|norm| Some(norm.name()) == chosen);
        let epsilons = fields.require(reader, "epsilons", EPSILONS).map_or(Vec::new(), |field| epsilons(reader, &field, norm));
        let sweep = fields.take("sweep").and_then(|field| reader.choice(&field, "sweep", &["descending", "exhaustive"]));
        let sweep = if sweep == Some("exhaustive") { Sweep::Exhaustive } else { Sweep::Descending };
        fields.finish(reader);
        let (Some(norm), Some(span)) = (norm, span) else { continue };
        if threats.iter().any(|threat| threat.norm == norm) {
            let message = format!("a second threat with the norm {:?}", norm.name());
            reader.mistake(span, message, "give each norm one [[threat]] with all its epsilons");
        }
        threats.push(Threat { norm, epsilons, sweep });
    }
    threats
}

const EPSILONS: &str = "list the radii: epsilons = [0, 0.1, \"8/255\"]";

/// The radii, ascending, each once.
fn epsilons(reader: &mut Reader, field: &Field, norm: Option<Norm>) -> Vec<f64> {
    let DeValue::Array(array) = field.value else {
        reader.mismatch(field, "a list of distances such as [0, 0.1, \"8/255\"]");
        return Vec::new();
    };
    if array.is_empty() {
        reader.mistake(field.span.clone(), format!("{} is empty", field.name), EPSILONS);
    }
    let largest = if norm == Some(Norm::Linf) { 1.0 } else { f64::INFINITY };
    let mut values = Vec::new();
    for (index, value) in array.iter().enumerate() {
        let element = Field::new(format!("element {} of {}", index + 1, field.name), value);
        values.extend(distance(reader, &element, 0.0, largest));
    }
    values.sort_by(f64::total_cmp);
    values.dedup();
    values
}

/// The defences with the place of each.
pub(super) fn defences(reader: &mut Reader, tables: Vec<Fields>, base: &Path, catalogue: &Catalogue) -> Vec<(DefenceSpec, Range<usize>)> {
    const NAME: &str = "the defence's name in results, such as \"undefended\"";
    let mut defences: Vec<(DefenceSpec, Range<usize>)> = Vec::new();
    for mut fields in tables {
        let field = fields.require(reader, "name", &format!("add name = {NAME}"));
        let name = field.as_ref().and_then(|field| filled(reader, field, NAME));
        if let (Some(field), Some(name)) = (field, &name) {
            fields.place = format!("defence `{name}`");
            if defences.iter().any(|(defence, _)| defence.name == *name) {
                reader.mistake(field.span, format!("a second defence with the name {name:?}"), "give each defence a name of its own");
            }
        }
        let place = fields.place.clone();
        let given = fields.take("train");
        let field = fields.require(reader, "model", "add model = { architecture = \"...\" }, { onnx = \"...\" } or { layers = [..] }");
        let weighted = field.as_ref().is_some_and(|field| ["weights", "onnx"].iter().any(|name| field.value.get(name).is_some()));
        if given.is_none() && !weighted {
            let message = format!("{place} is an untrained model: it has neither `train` nor weights");
            let help = "add train = { method = \"standard\" }, or weights = \"...\" to its model";
            reader.mistake(fields.span.clone(), message, help);
        }
        let model = field.and_then(|field| {
            let table = field.fields(reader, &format!("the model of {place}"), "{ architecture = \"...\" }")?;
            model(reader, table, base, &catalogue.models)
        });
        let train = given.and_then(|field| {
            let table = field.fields(reader, &format!("the training of {place}"), "{ method = \"standard\" }")?;
            train(reader, table, &catalogue.trainers)
        });
        let stack = fields.take("stack").map_or(Vec::new(), |field| stack(reader, &field, &place, &catalogue.wrappers));
        let span = fields.span.clone();
        fields.finish(reader);
        let nothing = || ModelSpec::new("", Options::default());
        defences.push((DefenceSpec { name: name.unwrap_or_default(), model: model.unwrap_or_else(nothing), train, stack }, span));
    }
    defences
}

/// The wrappers of a defence, outermost first.
fn stack(reader: &mut Reader, field: &Field, place: &str, known: &[Entry]) -> Vec<WrapperSpec> {
    const FORM: &str = "a list of wrappers, outermost first, such as [{ kind = \"bit-depth\", bits = 4 }]";
    let DeValue::Array(array) = field.value else {
        reader.mismatch(field, FORM);
        return Vec::new();
    };
    let mut wrappers = Vec::new();
    for (index, value) in array.iter().enumerate() {
        let element = Field::new(format!("wrapper {} of {place}", index + 1), value);
        let Some(mut fields) = element.fields(reader, &element.name, "{ kind = \"...\" }") else { continue };
        if let Some(entry) = named(reader, &mut fields, "kind", "wrapper", known) {
            let options = options(reader, &mut fields, entry);
            fields.finish(reader);
            wrappers.push(WrapperSpec { kind: entry.name.to_string(), options });
        }
    }
    wrappers
}

fn train(reader: &mut Reader, mut fields: Fields, known: &[Entry]) -> Option<TrainSpec> {
    let entry = named(reader, &mut fields, "method", "training method", known)?;
    let (span, place, before) = (fields.span.clone(), fields.place.clone(), reader.count());
    let options = options(reader, &mut fields, entry);
    let sound = reader.count() == before;
    fields.finish(reader);
    let row = TRAINERS.iter().find(|row| row.entry.name == entry.name).filter(|_| sound);
    if let Some(Err(message)) = row.map(|row| row.check(&options)) {
        reader.mistake(span, format!("{place}: {message}"), "change or remove one of the options that disagree");
    }
    Some(TrainSpec { method: entry.name.to_string(), options })
}

/// The attacks that can be read; a name twice is a mistake, and so is an attack that works under none of the threats.
pub(super) fn attacks(reader: &mut Reader, tables: Vec<Fields>, threats: &[Threat], catalogue: &Catalogue) -> Vec<AttackSpec> {
    let entries: Vec<Entry> = catalogue.attacks.iter().map(|attack| attack.entry).collect();
    let mut attacks: Vec<AttackSpec> = Vec::new();
    for mut fields in tables {
        let given = fields.take("name");
        let span = given.as_ref().map_or(fields.span.clone(), |field| field.span.clone());
        let name = given.and_then(|field| filled(reader, &field, "the attack's name in results"));
        if let Some(name) = &name {
            fields.place = format!("attack `{name}`");
        }
        let entry = named(reader, &mut fields, "kind", "attack", &entries).and_then(|entry| catalogue.attack(entry.name));
        let Some(entry) = entry else { continue };
        let kind = entry.entry.name.to_string();
        let name = name.unwrap_or_else(|| kind.clone());
        fields.place = format!("attack `{name}`");
        if attacks.iter().any(|attack| attack.name == name) {
            let help = format!("tell them apart: add name = \"{name}-2\" to this one");
            reader.mistake(span, format!("a second attack with the name {name:?}"), help);
        }
        let options = attack_options(reader, fields, entry, threats);
        attacks.push(AttackSpec { name, kind, options });
    }
    attacks
}

fn attack_options(reader: &mut Reader, mut fields: Fields, entry: &AttackEntry, threats: &[Threat]) -> Options {
    let span = fields.span.clone();
    let place = fields.place.clone();
    if !threats.is_empty() && !threats.iter().any(|threat| entry.norms.contains(&threat.norm)) {
        let norms: Vec<&str> = entry.norms.iter().map(|norm| norm.name()).collect();
        let help =
            format!("{} works under {}: add a [[threat]] with one of these norms, or remove the attack", entry.entry.name, list(&norms));
        reader.mistake(span.clone(), format!("{place} works under none of the suite's norms"), help);
    }
    let before = reader.count();
    let options = options(reader, &mut fields, &entry.entry);
    let sound = reader.count() == before;
    fields.finish(reader);
    if let (true, Some(check)) = (sound, entry.check)
        && let Err(message) = check(&options)
    {
        reader.mistake(span, format!("{place}: {message}"), "change or remove one of the options that disagree");
    }
    options
}
