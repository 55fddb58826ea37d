//! `[[defence]]` and `[[attack]]`.

use std::collections::BTreeSet;
use std::ops::Range;
use std::path::Path;

use toml::de::DeValue;

use crate::attack::step::{STEP, too_long};
use crate::defence::TRAINERS;
use crate::engine::base::Combine;
use crate::options::{Entry, Options};
use crate::suite::check::options;
use crate::suite::model::model;
use crate::suite::reader::{Field, Fields, Reader, list};
use crate::suite::resolve::{filled, named};
use crate::suite::spec::{
    AttackEntry, AttackSpec, Catalogue, DefenceSpec, EnsembleSpec, MemberSpec, ModelSpec, TrainSpec, WrapperEntry, WrapperSpec,
};
use crate::threat::Threat;

/// The defences with the place of each.
pub(super) fn defences(reader: &mut Reader, tables: Vec<Fields>, base: &Path, catalogue: &Catalogue) -> Vec<(DefenceSpec, Range<usize>)> {
    const NAME: &str = "the defence's name in results, such as \"undefended\"";
    let mut defences: Vec<(DefenceSpec, Range<usize>)> = Vec::new();
    for mut fields in tables {
        let field = fields.require(reader, "name", &format!("add name = {NAME}"));
        let name = field.as_ref().and_then(|field| filled(reader, field, NAME));
        if let (Some(field), Some(name)) = (field, &name) {
            fields.place = format!("defence `{name}`");
            if defences.iter().any(|(defence, _)| defence.name == *name || defence.recipe.as_ref() == Some(name)) {
                reader.mistake(field.span, format!("a second defence with the name {name:?}"), "give each defence a name of its own");
            }
        }
        let place = fields.place.clone();
        let seeds = fields.take("seeds").map(|field| (seeds(reader, &field), field));
        let seeded = !fields.has("models") && fields.take("model").is_some_and(|field| field.value.get("seed").is_some());
        let ensemble = fields.has("models").then(|| ensemble(reader, &mut fields, base, catalogue)).flatten();
        let (model, train, ensemble) = match ensemble {
            Some((MemberSpec { model, train }, ensemble)) => (Some(model), train, Some(ensemble)),
            None if fields.has("models") => (None, None, None),
            None => {
                fields.refuse(reader, "combine", "only the members of an ensemble, models = [{ .. }, { .. }], are combined: remove it");
                let (model, train) = member(reader, &mut fields, base, catalogue);
                (model, train, None)
            }
        };
        if let Some((_, seeds)) = &seeds {
            // By what was written: a `train` that cannot be read was told of already.
            let (wrong, help) = if fields.has("models") {
                ("both `seeds` and `models`", "each member of an ensemble has a seed of its own: remove `seeds`")
            } else if !fields.has("train") {
                ("`seeds`, but no `train`", "seeds are what it is trained with: add train = { .. }, or remove them")
            } else if seeded {
                ("both `seeds` and a `seed` of its model", "each of `seeds` becomes the model's seed: remove the other")
            } else {
                ("", "")
            };
            if !wrong.is_empty() {
                reader.mistake(seeds.span.clone(), format!("{place} has {wrong}"), help);
            }
        }
        let stack = fields.take("stack").map_or(Vec::new(), |field| stack(reader, &field, &place, &catalogue.wrappers));
        let adaptive = fields.take("adaptive").is_none_or(|field| flag(reader, &field));
        let span = fields.span.clone();
        fields.finish(reader);
        let model = model.unwrap_or_else(|| ModelSpec::new("", Options::default()));
        let spec = DefenceSpec { name: name.unwrap_or_default(), recipe: None, model, train, ensemble, stack, adaptive };
        match seeds {
            Some((seeds, _)) => defences.extend(seeds.into_iter().map(|seed| (spec.with_seed(seed), span.clone()))),
            None => defences.push((spec, span)),
        }
    }
    let mut names = BTreeSet::new();
    for (defence, span) in &defences {
        let clash = !names.insert(&defence.name) && !defence.name.is_empty();
        // Two of one name as written were told of above.
        if clash && defences.iter().any(|(other, _)| other.name == defence.name && other.recipe != defence.recipe) {
            let message = format!("a second defence with the name {:?}", defence.name);
            reader.mistake(span.clone(), message, "NAME#SEED is what a defence with `seeds` is called, one a seed: rename this one");
        }
    }
    defences
}

fn flag(reader: &mut Reader, field: &Field) -> bool {
    if let DeValue::Boolean(flag) = field.value {
        return *flag;
    }
    reader.mismatch(field, "true or false, without quotes");
    true
}

/// The `model` and the `train` of a table.
fn member(reader: &mut Reader, fields: &mut Fields, base: &Path, catalogue: &Catalogue) -> (Option<ModelSpec>, Option<TrainSpec>) {
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
    (model, train)
}

/// The `models` and the `combine` of a defence; the defence's own `train` is that of members without one.
fn ensemble(reader: &mut Reader, fields: &mut Fields, base: &Path, catalogue: &Catalogue) -> Option<(MemberSpec, EnsembleSpec)> {
    const FORM: &str = "a list of two models or more, such as [{ architecture = \"mlp\", seed = 1 }, { architecture = \"mlp\", seed = 2 }]";
    let place = fields.place.clone();
    let names = Combine::ALL.map(Combine::name);
    let help = format!("say how the members answer together: one of {}", list(&names));
    let chosen = fields.require(reader, "combine", &help).and_then(|field| reader.choice(&field, "way to combine", &names));
    let combine = Combine::ALL.into_iter().find(|combine| Some(combine.name()) == chosen);
    fields.refuse(reader, "model", "a defence has `model` or `models`: keep one of them");
    let shared = fields.take("train").and_then(|field| {
        let table = field.fields(reader, &format!("the training of {place}"), "{ method = \"standard\" }")?;
        train(reader, table, &catalogue.trainers)
    });
    let field = fields.take("models")?;
    let array = match field.value {
        DeValue::Array(array) if array.len() >= 2 => array,
        _ => {
            reader.mismatch(&field, FORM);
            return None;
        }
    };
    let mut members = Vec::new();
    for (index, value) in array.iter().enumerate() {
        let element = Field::new(format!("member {} of {place}", index + 1), value);
        let Some(mut table) = element.fields(reader, &element.name, "{ architecture = \"...\" }") else { continue };
        let own = table.take("train").and_then(|field| {
            let table = field.fields(reader, &format!("the training of {}", element.name), "{ method = \"standard\" }")?;
            train(reader, table, &catalogue.trainers)
        });
        let weighted = table.has("weights") || table.has("onnx");
        let train = own.or_else(|| if weighted { None } else { shared.clone() });
        if train.is_none() && !weighted {
            let message = format!("{} is an untrained model: it has neither `train` nor weights", element.name);
            reader.mistake(
                element.span.clone(),
                message,
                "add train = { method = \"standard\" } to it, or to the defence for all its members",
            );
        }
        members.extend(model(reader, table, base, &catalogue.models).map(|model| MemberSpec { model, train }));
    }
    let mut members = members.into_iter();
    let first = members.next()?;
    Some((first, EnsembleSpec { others: members.collect(), combine: combine? }))
}

/// The seeds that a defence is trained with: whole numbers, each once.
fn seeds(reader: &mut Reader, field: &Field) -> Vec<u64> {
    let mut seeds = Vec::new();
    match field.value {
        DeValue::Array(array) if !array.is_empty() => {
            for (index, value) in array.iter().enumerate() {
                let element = Field::new(format!("element {} of {}", index + 1, field.name), value);
                let Some(seed) = reader.integer(&element, 0, i64::MAX).map(i64::unsigned_abs) else { continue };
                if seeds.contains(&seed) {
                    reader.mistake(element.span, format!("{} has {seed} twice", field.name), "give each seed once");
                } else {
                    seeds.push(seed);
                }
            }
        }
        _ => reader.mismatch(field, "a list of whole numbers, 0 or more, such as [1, 2, 3]"),
    }
    seeds
}

/// The wrappers of a defence, outermost first.
fn stack(reader: &mut Reader, field: &Field, place: &str, known: &[WrapperEntry]) -> Vec<WrapperSpec> {
    const FORM: &str = "a list of wrappers, outermost first, such as [{ kind = \"bit-depth\", bits = 4 }]";
    let DeValue::Array(array) = field.value else {
        reader.mismatch(field, FORM);
        return Vec::new();
    };
    let entries: Vec<Entry> = known.iter().map(|wrapper| wrapper.entry).collect();
    let mut wrappers = Vec::new();
    for (index, value) in array.iter().enumerate() {
        let element = Field::new(format!("wrapper {} of {place}", index + 1), value);
        let Some(mut fields) = element.fields(reader, &element.name, "{ kind = \"...\" }") else { continue };
        if let Some(entry) = named(reader, &mut fields, "kind", "wrapper", &entries) {
            let (before, span) = (reader.count(), fields.span.clone());
            let options = options(reader, &mut fields, entry);
            let sound = reader.count() == before;
            fields.finish(reader);
            let check = known.iter().find(|wrapper| wrapper.entry.name == entry.name).and_then(|wrapper| wrapper.check);
            if let (true, Some(Err(message))) = (sound, check.map(|check| check(&options))) {
                reader.mistake(span, format!("{}: {message}", element.name), "change or remove one of the options that disagree");
            }
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

/// The attacks that can be read, with the place of each; a name twice is a mistake, and so is an attack that works under none of the threats.
/// Columns of the reports that are no attack's.
const RESERVED: [&str; 4] = ["clean", "worst case", "worst-case", "certified"];

pub(super) fn attacks(
    reader: &mut Reader,
    tables: Vec<Fields>,
    threats: &[Threat],
    catalogue: &Catalogue,
) -> Vec<(AttackSpec, Range<usize>)> {
    let entries: Vec<Entry> = catalogue.attacks.iter().map(|attack| attack.entry).collect();
    let mut attacks: Vec<(AttackSpec, Range<usize>)> = Vec::new();
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
        if RESERVED.contains(&name.to_lowercase().as_str()) {
            reader.mistake(
                span.clone(),
                format!("an attack with the name {name:?}"),
                "reports call something else so: choose another name",
            );
        }
        if attacks.iter().any(|(attack, _)| attack.name == name) {
            let help = format!("tell them apart: add name = \"{name}-2\" to this one");
            reader.mistake(span, format!("a second attack with the name {name:?}"), help);
        }
        let place = fields.span.clone();
        let options = attack_options(reader, fields, entry, threats);
        attacks.push((AttackSpec { name, kind, options }, place));
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
    for threat in threats.iter().filter(|threat| entry.norms.contains(&threat.norm)) {
        if let Some([message, way]) = too_long(&options, threat.norm) {
            let at = fields.take(STEP.name).map_or(span.clone(), |field| field.span);
            reader.mistake(at, format!("{place}: {message}"), way);
        }
    }
    fields.finish(reader);
    if let (true, Some(check)) = (sound, entry.check)
        && let Err(message) = check(&options)
    {
        reader.mistake(span, format!("{place}: {message}"), "change or remove one of the options that disagree");
    }
    options
}
