//! `gauntlet model`.

pub(super) mod named;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;

use crate::data::Dataset;
use crate::engine::drive::send;
use crate::engine::{clean, oracle::Oracle};
use crate::evaluate::checks::{self, Subject, Verdict};
use crate::evaluate::interval::wilson;
use crate::evaluate::results::Check;
use crate::graph::Graph;
use crate::model::source::{Design, design, imported};
use crate::model::weights::{self, Checkpoint};
use crate::model::{Classifier, ONNX};
use crate::suite::catalogue::catalogue;
use crate::suite::{ModelSpec, parse_data, parse_model, resolved};
use crate::{Error, Result, device};

/// Options of `model`.
#[derive(Clone, Debug, Args)]
pub struct Arguments {
    /// An ONNX file, or weights (.pt, .pth, .safetensors); weights alone are listed
    file: PathBuf,
    /// The architecture that the weights are for, with its defaults; `gauntlet list models` names them
    #[arg(long, value_name = "NAME", conflicts_with = "model_fields")]
    architecture: Option<String>,
    /// All that a suite says of the model between { } but its file, in place of --architecture, such as 'architecture = "resnet20", width = 8'
    #[arg(long, alias = "model", value_name = "TOML")]
    model_fields: Option<String>,
    /// Data for the clean accuracy: an .npz file, or what a suite writes below [data], such as 'source = "digits", examples = 100'
    #[arg(long, value_name = "TOML")]
    data: Option<String>,
    /// Channels, height and width of an image, where there are no data
    #[arg(long, value_name = "C,H,W", value_delimiter = ',')]
    shape: Vec<usize>,
    /// How many classes, where there are no data; the last tensor's first side unless given
    #[arg(long, value_name = "N")]
    classes: Option<usize>,
    /// Where to run: auto, cpu or gpu:N
    #[arg(long, default_value = "auto", value_name = "DEVICE")]
    device: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// What is printed of a network.
#[derive(Serialize)]
struct Facts {
    file: String,
    model: String,
    input: [usize; 3],
    classes: usize,
    parameters: usize,
    operators: BTreeMap<String, usize>,
    /// Of one image.
    flops: u64,
    /// Of one image, f32.
    activation_bytes: usize,
    notes: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    clean: Option<Clean>,
    /// Of the network alone; where there are data.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    checks: Vec<Check>,
}

/// Accuracy without an attack.
#[derive(Serialize)]
struct Clean {
    data: String,
    examples: usize,
    accuracy: f64,
    ci95: [f64; 2],
}

/// What is printed of weights alone.
#[derive(Serialize)]
struct Tensors<'a> {
    file: String,
    format: &'a str,
    parameters: usize,
    tensors: Vec<(&'a str, &'a [usize])>,
    unread: &'a [(String, String)],
    notes: &'a [String],
}

/// Images at a time.
const SLOTS: usize = 64;

/// Prints what a file of a model holds. The code is 1 where a check of it fails.
///
/// # Errors
/// A file that cannot be read; weights that do not fit the architecture; data that the network does not take.
pub fn run(arguments: &Arguments) -> Result<u8> {
    let is_onnx = is_onnx(&arguments.file);
    if !is_onnx && arguments.architecture.is_none() && arguments.model_fields.is_none() {
        return list(&weights::read(&arguments.file)?, arguments).map(|()| 0);
    }
    let spec = spec(&arguments.file, arguments.architecture.as_deref(), arguments.model_fields.as_deref())?;
    let data = arguments.data.as_deref().map(data).transpose()?;
    let Design { graph, weights, notes } = match (&data, is_onnx) {
        (None, true) => imported(&spec, Path::new(""), None)?,
        (Some(data), _) => design(&spec, Path::new(""), data.shape, data.classes)?,
        (None, false) => design(&spec, Path::new(""), shape(arguments)?, classes(&arguments.file, arguments.classes)?)?,
    };
    let mut facts = Facts {
        file: arguments.file.display().to_string(),
        model: spec.architecture.clone(),
        input: graph.input,
        classes: graph.classes,
        parameters: weights.parameters(),
        operators: operators(&graph),
        flops: graph.flops()?,
        activation_bytes: graph.activations()?.saturating_mul(size_of::<f32>()),
        notes,
        clean: None,
        checks: Vec::new(),
    };
    if let Some(data) = &data {
        let handle = device::open(device::parse(&arguments.device)?.resolve()?[0])?;
        let classifier = Classifier::from_graph(graph, &weights, &handle.device)?.frozen(&handle.device)?;
        try_out(&mut facts, &Oracle::new(classifier, handle.device.clone()), data)?;
    }
    let failed = facts.checks.iter().any(|check| check.verdict == Verdict::Fail.name());
    if arguments.json { print(&facts) } else { super::say(&describe(&facts)) }?;
    Ok(u8::from(failed))
}

/// The model as a suite would say it: a file, and an architecture's name or the suite's other fields.
pub(super) fn spec(file: &Path, architecture: Option<&str>, fields: Option<&str>) -> Result<ModelSpec> {
    named::check(file, architecture, fields)?;
    let field = if is_onnx(file) { ONNX.name } else { "weights" };
    let given = match (architecture, fields) {
        (Some(name), _) => format!("architecture = {}", toml::Value::String(name.into())),
        (None, Some(text)) => text.to_owned(),
        (None, None) => String::new(),
    };
    let separator = if given.trim().is_empty() { "" } else { ", " };
    let file = toml::Value::String(file.display().to_string());
    parse_model(&format!("{{ {given}{separator}{field} = {file} }}"), Path::new(""), &catalogue())
}

fn is_onnx(file: &Path) -> bool {
    file.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("onnx"))
}

fn data(text: &str) -> Result<Dataset> {
    let text = match text.ends_with(".npz") {
        true => format!("source = \"npz\", path = {}", toml::Value::String(text.into())),
        false => text.to_owned(),
    };
    let spec = parse_data(&format!("{{ {text} }}"), Path::new(""), &catalogue())?;
    resolved::load(&spec, None, Path::new(""))
}

fn shape(arguments: &Arguments) -> Result<[usize; 3]> {
    const HELP: &str = "give the images' channels, height and width, such as --shape 3,32,32, or --data";
    if arguments.shape.is_empty() {
        return Err(Error::input("weights do not say what images they are for").help(HELP));
    }
    let shape = <[usize; 3]>::try_from(arguments.shape.as_slice()).ok().filter(|shape| shape.iter().all(|side| *side > 0));
    shape.ok_or_else(|| Error::input(format!("--shape {:?} is not three sides, each above 0", arguments.shape)).help(HELP))
}

/// As many as asked, else as the last tensor of the file has rows.
pub(super) fn classes(file: &Path, asked: Option<usize>) -> Result<usize> {
    if let Some(classes) = asked {
        return Ok(classes);
    }
    let last = weights::read(file)?.tensors.into_iter().filter_map(|tensor| tensor.shape.first().copied()).next_back();
    last.ok_or_else(|| Error::input("the file does not say how many classes there are").help("give --classes N"))
}

fn operators(graph: &Graph) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for node in &graph.nodes {
        *counts.entry(node.op.name()).or_insert(0) += 1;
    }
    counts
}

/// Clean accuracy, and the checks that need no attack.
fn try_out(facts: &mut Facts, oracle: &Oracle, data: &Dataset) -> Result<()> {
    let pixels = send(data, oracle.device());
    let slots = SLOTS.min(data.len());
    let clean = clean::decide(oracle, data, &pixels, slots, 0)?;
    let right = clean.iter().zip(&data.labels).filter(|(clean, label)| clean.is_right(**label)).count();
    facts.clean = Some(Clean {
        data: data.name.clone(),
        examples: data.len(),
        accuracy: right as f64 / data.len() as f64,
        ci95: wilson(right, data.len(), 0.95),
    });
    let subject = Subject {
        defence: &facts.file,
        oracle,
        data,
        pixels: &pixels,
        clean: &clean,
        slots,
        cadence: 1,
        seed: 0,
        series: Vec::new(),
        certified: Vec::new(),
    };
    facts.checks = checks::run_alone(&subject)?.into_iter().map(|checked| checked.check).collect();
    Ok(())
}

fn describe(facts: &Facts) -> String {
    let operators: Vec<String> = facts.operators.iter().map(|(name, count)| format!("{count} {name}")).collect();
    let [channels, height, width] = facts.input;
    let mut lines = vec![
        format!("{} ({})", facts.file, facts.model),
        format!("  input        {channels} x {height} x {width} (channels, height, width), in [0, 1]"),
        format!("  output       logits of {} classes", facts.classes),
        format!("  parameters   {}", facts.parameters),
        format!("  operators    {}", operators.join(", ")),
        format!("  a forward    {:.3} million floating-point operations an image", facts.flops as f64 / 1e6),
        format!("  activations  {:.2} MiB an image", facts.activation_bytes as f64 / f64::from(1 << 20)),
    ];
    if let Some(Clean { data, examples, accuracy, ci95: [low, high] }) = &facts.clean {
        lines.push(format!(
            "  clean        {:.2} % of {examples} ({data}), 95 % interval {:.2} to {:.2}",
            100.0 * accuracy,
            100.0 * low,
            100.0 * high
        ));
    }
    lines.extend(super::checks::check_lines(&facts.checks.iter().collect::<Vec<_>>()));
    lines.extend(facts.notes.iter().map(|note| format!("  note         {note}")));
    lines.join("\n")
}

/// Prints the tensors of a file.
fn list(checkpoint: &Checkpoint, arguments: &Arguments) -> Result<()> {
    let Checkpoint { format, tensors, unread, notes, .. } = checkpoint;
    let listed = Tensors {
        file: arguments.file.display().to_string(),
        format,
        parameters: tensors.iter().map(|tensor| tensor.values.len()).sum(),
        tensors: tensors.iter().map(|tensor| (tensor.name.as_str(), tensor.shape.as_slice())).collect(),
        unread,
        notes,
    };
    if arguments.json {
        return print(&listed);
    }
    let mut lines = vec![format!("{} ({format}), {} numbers", listed.file, listed.parameters)];
    lines.extend(listed.tensors.iter().map(|(name, shape)| format!("  {name} {shape:?}")));
    lines.extend(unread.iter().map(|(name, class)| format!("  {name}: {class}, not read")));
    lines.extend(notes.iter().map(|note| format!("  note: {note}")));
    lines.push("  with --architecture NAME and --shape C,H,W or --data, the network itself is described".into());
    super::say(&lines.join("\n"))
}

fn print(facts: &impl Serialize) -> Result<()> {
    let text =
        serde_json::to_string_pretty(facts).map_err(|error| Error::store(format!("the facts cannot be written as JSON: {error}")))?;
    super::say(&text)
}
