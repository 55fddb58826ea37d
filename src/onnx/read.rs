//! From a file's messages to a graph.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;

use prost::Message;

use super::array::{ALLOWANCE, Budget};
use super::call::Call;
use super::functions::{Step, inlined, version};
use super::input::{self, Entrance};
use super::order::{MOST_ERRORS, label, name, needed, producers};
use super::value::{Value, clip, within};
use super::wire::{Model, Tensor, ValueInfo};
use super::writer::Writer;
use super::{Declared, Imported, ModelFacts, limits, ops, output, tensor};
use crate::{Error, Result};

/// Protobuf's own limit.
pub(super) const LARGEST_FILE: u64 = 1 << 31;

/// Versions of ONNX's operators that are read.
const OPSETS: std::ops::RangeInclusive<i64> = 11..=22;

/// Nodes of a missing operator that are named.
const MOST_NAMES: usize = 20;

const DAMAGED: &str = "it may be damaged, or not an ONNX file at all: export it again";

/// A file's messages.
pub(super) fn decode(bytes: &[u8]) -> Result<Model> {
    limits::check(bytes)?;
    let model = Model::decode(bytes).map_err(|error| Error::input(format!("not an ONNX file: {error}")).help(DAMAGED))?;
    if model.graph.is_none() {
        return Err(Error::input("not an ONNX file: there is no graph in it").help(DAMAGED));
    }
    Ok(model)
}

/// An error with the file's name before it.
pub(super) fn placed(place: &str, error: Error) -> Error {
    let all: Vec<Error> = error.all().into_iter().cloned().collect();
    if all.len() < 2 {
        return within(place, &error);
    }
    Error::many(format!("{place}: {}", error.message()), all).unwrap_or(error)
}

pub(super) fn import(model: Model, base: Option<&Path>, declared: &Declared) -> Result<Imported> {
    let size = model.encoded_len() as u64;
    let graph = model.graph.ok_or_else(|| Error::input("there is no graph in the file").help(DAMAGED))?;
    let opset = version(&model.opsets);
    let steps = inlined(graph.nodes, &model.functions, opset)?;
    let mut constants: HashMap<String, Tensor> = HashMap::with_capacity(graph.initialisers.len());
    for tensor in graph.initialisers {
        if constants.contains_key(&tensor.name) {
            return Err(Error::input(format!("constant \"{}\" is there twice", clip(&tensor.name))).help(DAMAGED));
        }
        constants.insert(tensor.name.clone(), tensor);
    }
    // Files of old versions list constants among the inputs.
    let inputs: Vec<ValueInfo> = graph.inputs.into_iter().filter(|input| !constants.contains_key(&input.name)).collect();
    let open: HashSet<&str> = inputs.iter().map(|input| input.name.as_str()).collect();
    if open.len() < inputs.len() {
        return Err(Error::input("two inputs have the same name").help(DAMAGED));
    }
    let known = |name: &str| open.contains(name) || constants.contains_key(name);
    let producers = producers(&steps, known)?;
    let outputs = output::candidates(&graph.outputs, declared)?;
    let order = needed(&steps, &producers, known, &outputs)?;
    refuse_missing(&steps, &order, opset)?;

    let read: HashSet<&str> =
        order.iter().flat_map(|at| &steps[*at].node.inputs).map(String::as_str).chain(outputs.iter().copied()).collect();
    let images: Vec<&ValueInfo> = inputs.iter().filter(|input| read.contains(input.name.as_str())).collect();
    let [image] = images[..] else {
        let names: Vec<String> = images.iter().take(MOST_NAMES).map(|input| format!("\"{}\"", clip(&input.name))).collect();
        let found = if names.is_empty() { "no input".to_owned() } else { format!("{} inputs ({})", images.len(), names.join(", ")) };
        return Err(
            Error::input(format!("the output is made of {found}, not of images alone")).help("export a model with one input, the images")
        );
    };
    let entrance = Entrance::find(image, &input::Readers::new(&steps, &order, &constants), declared)?;

    let mut writer = Writer::new(entrance.shape, Budget::new(ALLOWANCE.saturating_add(size.saturating_mul(2))));
    let images = entrance.write(&mut writer, declared)?;
    let facts = ModelFacts {
        producer: clip(format!("{} {}", model.producer, model.producer_version).trim()),
        opset,
        input: entrance.text(image),
        output: String::new(),
        operators: counted(&steps, &order),
    };
    let mut values: HashMap<&str, Value> = HashMap::from([(image.name.as_str(), images)]);
    let mut errors = Vec::new();
    let mut broken: HashSet<&str> = HashSet::new();
    for at in &order {
        let step = &steps[*at];
        match translate(step, &mut values, &constants, &broken, base, &mut writer) {
            Ok(true) => {}
            Ok(false) => broken.extend(step.node.outputs.iter().map(String::as_str)),
            Err(error) => {
                broken.extend(step.node.outputs.iter().map(String::as_str));
                errors.push(within(&format!("node {}", label(step)), &error));
                if errors.len() == MOST_ERRORS {
                    break;
                }
            }
        }
    }
    if let Some(error) = Error::many("nodes that cannot be read", errors) {
        return Err(error);
    }
    let made: Vec<(&str, Value)> = outputs.iter().filter_map(|name| values.get(name).map(|value| (*name, value.clone()))).collect();
    drop(values);
    let (output, logits) = output::choose(&mut writer, made, declared)?;
    let classes = logits.sides[1].size().unwrap_or(0);
    let notes = std::mem::take(&mut writer.notes);
    let (graph, weights) = writer.finish(logits.source, entrance.shape, classes)?;
    Ok(Imported { graph, weights, notes, about: ModelFacts { output, ..facts } })
}

/// Writes one node; `false` where it reads what could not be made.
fn translate<'a>(
    step: &'a Step,
    values: &mut HashMap<&'a str, Value>,
    constants: &HashMap<String, Tensor>,
    broken: &HashSet<&str>,
    base: Option<&Path>,
    writer: &mut Writer,
) -> Result<bool> {
    let node = &step.node;
    if node.inputs.iter().any(|name| broken.contains(name.as_str())) {
        return Ok(false);
    }
    let operator = ops::find(&node.domain, &node.op).ok_or_else(|| Error::input("the operator is not read"))?;
    let mut inputs = Vec::with_capacity(node.inputs.len());
    for name in &node.inputs {
        if name.is_empty() {
            inputs.push(None);
            continue;
        }
        if !values.contains_key(name.as_str())
            && let Some(tensor) = constants.get(name)
        {
            let value = match tensor::decode(tensor, base)? {
                Value::Floats { array, .. } => Value::Floats { array, origin: Some(name.as_str().into()) },
                other => other,
            };
            values.insert(name, value);
        }
        let value = values.get(name.as_str()).cloned();
        inputs.push(Some(value.ok_or_else(|| Error::input(format!("it reads \"{}\", an output that is not made", clip(name))))?));
    }
    let results = (operator.translate)(writer, &Call { node, name: name(step), inputs, opset: step.opset })?;
    for (name, value) in node.outputs.iter().skip(operator.unmade).zip(results) {
        values.insert(name, value);
    }
    Ok(true)
}

/// Names every operator that is not read, and opsets out of range, at once.
fn refuse_missing(steps: &[Step], order: &[usize], opset: i64) -> Result<()> {
    let mut errors = Vec::new();
    let opsets: std::collections::BTreeSet<i64> =
        order.iter().map(|at| steps[*at].opset).chain([opset]).filter(|opset| !OPSETS.contains(opset)).collect();
    for opset in opsets.into_iter().take(MOST_NAMES) {
        let (first, last) = (OPSETS.start(), OPSETS.end());
        errors.push(
            Error::input(format!("opset {opset} is not read, {first} to {last} are"))
                .help("export with opset_version=17, or convert the file with onnx.version_converter"),
        );
    }
    let mut missing: BTreeMap<(&str, &str), (usize, Vec<String>)> = BTreeMap::new();
    for step in order.iter().map(|at| &steps[*at]).filter(|step| ops::find(&step.node.domain, &step.node.op).is_none()) {
        let (count, names) = missing.entry((&step.node.domain, &step.node.op)).or_default();
        *count += 1;
        if names.len() < MOST_NAMES {
            names.push(format!("\"{}\"", clip(name(step))));
        }
    }
    for ((domain, op), (count, names)) in missing.into_iter().take(MOST_ERRORS) {
        let full = if domain.is_empty() { clip(op) } else { clip(&format!("{domain}.{op}")) };
        let more = if count > names.len() { format!(" and {} more", count - names.len()) } else { String::new() };
        let nodes = if count == 1 { "node" } else { "nodes" };
        errors
            .push(Error::input(format!("operator {full} is not read: {nodes} {}{more}", names.join(", "))).help(ops::way_out(domain, op)));
    }
    match Error::many("the model uses what is not read", errors) {
        Some(error) => Err(error),
        None => Ok(()),
    }
}

fn counted(steps: &[Step], order: &[usize]) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for at in order {
        *counts.entry(steps[*at].node.op.clone()).or_default() += 1;
    }
    counts
}
