//! Whatever a file holds, its reader ends soon, within its size of memory, and with the data or with an error that names the file.
//!
//! Each test makes inputs out of sound files by edits that know the format: a fixed number of them, or as many as
//! `GAUNTLET_FUZZ_SECONDS` leaves time for. An input depends on its seed alone; `GAUNTLET_FUZZ_SEED` names the first. What fails is kept
//! in the build's folder for tests, its seed in its name; a seed that ended the whole program, or does not end, is found there in
//! `fuzz-<target>-<process>.seed`.

#[path = "fuzz/archive.rs"]
mod archive;
#[path = "fuzz/chance.rs"]
mod chance;
#[path = "fuzz/harness.rs"]
mod harness;
#[path = "fuzz/inputs.rs"]
mod inputs;
#[path = "fuzz/memory.rs"]
pub mod memory;
#[path = "fuzz/pickle.rs"]
mod pickle;
#[path = "fuzz/protobuf.rs"]
mod protobuf;
#[path = "fuzz/text.rs"]
mod text;

use std::path::Path;

use burn::tensor::{Device, Tensor};
use gauntlet::data::{Request, load};
use gauntlet::model::{Classifier, weights};
use gauntlet::onnx::{self, Declared, Imported};
use gauntlet::options::{Options, Value};
use gauntlet::suite::catalogue::catalogue;
use gauntlet::{Result, suite};

use harness::Target;

promises! {
    [harness]
    no_onnx_file_brings_its_reader_down,
    no_pickle_brings_its_reader_down,
    no_safetensors_file_brings_its_reader_down,
    no_numpy_archive_brings_its_reader_down,
    no_idx_file_brings_its_reader_down,
    no_suite_brings_its_reader_down,
    a_mistake_in_a_line_too_long_to_draw_is_told_by_its_file_and_line,
}

/// Bytes of memory for an input of any length, and for each byte of it.
const MEMORY: (usize, usize) = (64 << 20, 40);

fn no_onnx_file_brings_its_reader_down() {
    let read = |path: &Path, _: &[String]| Ok(unsound(onnx::read(path, &Declared::default())?));
    // A model may make as many constants as its reader allows any file.
    Target { name: "onnx", make: inputs::onnx(), inputs: 1000, read, memory: (256 << 20, MEMORY.1) }.run();
}

/// What is wrong with a model that was read: it runs, unless that is much work.
fn unsound(model: Imported) -> Option<String> {
    let wrong = model.weights.0.iter().find(|(_, (shape, values))| shape.iter().product::<usize>() != values.len());
    if let Some((name, (shape, values))) = wrong {
        return Some(format!("weight {name} {shape:?} has {} values", values.len()));
    }
    let ([channels, height, width], classes) = (model.graph.input, model.graph.classes);
    match (model.graph.flops(), model.graph.activations()) {
        (Err(error), _) | (_, Err(error)) => return Some(format!("its graph has no cost: {error:?}")),
        (Ok(flops), Ok(numbers)) if flops > 1 << 22 || numbers > 1 << 20 => return None,
        _ => {}
    }
    let device = Device::flex();
    match Classifier::from_graph(model.graph, &model.weights, &device) {
        Err(error) => Some(format!("its graph does not take its weights: {error:?}")),
        Ok(classifier) => {
            let logits = classifier.network.forward(Tensor::zeros([2, channels, height, width], &device)).dims();
            (logits != [2, classes]).then(|| format!("its logits are {logits:?}"))
        }
    }
}

fn checkpoint(path: &Path, _: &[String]) -> Result<Option<String>> {
    let found = weights::read(path)?;
    let wrong = found.tensors.iter().find(|tensor| tensor.shape.iter().product::<usize>() != tensor.values.len());
    Ok(wrong.map(|tensor| format!("tensor {} {:?} has {} values", tensor.name, tensor.shape, tensor.values.len())))
}

fn no_pickle_brings_its_reader_down() {
    Target { name: "pickle", inputs: 4000, make: inputs::torch(), read: checkpoint, memory: MEMORY }.run();
}

fn no_safetensors_file_brings_its_reader_down() {
    Target { name: "safetensors", inputs: 8000, make: inputs::safetensors(), read: checkpoint, memory: MEMORY }.run();
}

fn examples(source: &str, path: &Path, split: &str) -> Result<Option<String>> {
    let options = Options([("path".to_owned(), Value::Text(path.display().to_string()))].into());
    let found = load(source, &Request { options, split: split.parse()?, ..Request::default() })?;
    let count = found.labels.len();
    let sound = found.images().len() == count * found.shape.iter().product::<usize>()
        && found.images().iter().all(|pixel| (0.0..=1.0).contains(pixel))
        && found.labels.iter().all(|label| (*label as usize) < found.classes);
    Ok((!sound).then(|| format!("{count} examples of {:?} that are none", found.shape)))
}

fn no_numpy_archive_brings_its_reader_down() {
    Target { name: "npz", inputs: 3000, make: inputs::npz(), read: |path, _| examples("npz", path, "all"), memory: MEMORY }.run();
}

fn no_idx_file_brings_its_reader_down() {
    Target { name: "idx", inputs: 6000, make: inputs::idx(), read: |path, _| examples("idx", path, "test"), memory: MEMORY }.run();
}

fn no_suite_brings_its_reader_down() {
    let read = |path: &Path, overrides: &[String]| {
        let read = suite::read(path, overrides, &catalogue());
        // Its report is part of what must not panic: places in the text are drawn.
        if let Err(error) = &read {
            let drawn = format!("{:?}", miette::Report::new(error.clone()));
            if drawn.trim().is_empty() {
                return Ok(Some("an empty report".into()));
            }
        }
        read.map(|suite| (suite.attacks.is_empty() || suite.threats.is_empty()).then(|| "a suite without attacks or threats".into()))
    };
    Target { name: "suite", inputs: 2000, make: inputs::suite(), read, memory: MEMORY }.run();
}

fn a_mistake_in_a_line_too_long_to_draw_is_told_by_its_file_and_line() {
    for length in [10, 70_000] {
        let text = format!("title = 'x'\ndata = {{ source = 'digits', split = '{}', surce = 1 }}\n", "a".repeat(length));
        let error = suite::parse("long.toml", &text, Path::new("."), &[], &catalogue()).expect_err("a suite without attacks");
        let report = format!("{:?}", miette::Report::new(error));
        assert!(report.contains("unknown field `surce`"), "{report}");
        assert_eq!(report.contains("long.toml, line 2: "), length > 10, "{report}");
    }
}
