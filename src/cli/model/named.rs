//! What a command line says of a model: a file, and what the file's weights are for.

use std::path::Path;

use super::is_onnx;
use crate::model::{MODELS, ONNX};
use crate::{Error, Result};

/// Refuses a file, an architecture and fields that were taken for one another, or do not go together; all mistakes at once.
pub fn check(file: &Path, architecture: Option<&str>, fields: Option<&str>) -> Result<()> {
    let errors = [of_file(file), fields.map_or(Ok(()), of_fields), together(file, architecture, fields)];
    Error::many("the model cannot be told", errors.into_iter().filter_map(Result::err).collect()).map_or(Ok(()), Err)
}

fn is_architecture(text: &str) -> bool {
    MODELS.iter().any(|row| row.entry.name == text)
}

fn of_file(file: &Path) -> Result<()> {
    if file.is_file() {
        return Ok(());
    }
    let text = file.display().to_string();
    let help = if is_architecture(&text) {
        format!("here goes the file with the weights; the architecture is told by --architecture {text}")
    } else if text.contains('=') {
        "here goes the model's file; what a suite says of a model besides it is told by --model-fields".into()
    } else {
        "give the path of an ONNX file, or of weights (.pt, .pth, .safetensors); relative paths start from the folder that you are in"
            .into()
    };
    Err(Error::input(format!("there is no model file {text}")).help(help))
}

fn of_fields(fields: &str) -> Result<()> {
    const EXAMPLE: &str = "write fields as in a suite, such as --model-fields 'architecture = \"resnet20\", width = 8'";
    let message = format!("--model-fields {fields}");
    if is_architecture(fields.trim()) {
        return Err(Error::input(format!("{message}: no fields, but the name of an architecture")).help(format!(
            "say --architecture {}, or --model-fields 'architecture = {:?}'",
            fields.trim(),
            fields.trim()
        )));
    }
    if Path::new(fields).is_file() {
        return Err(Error::input(format!("{message}: no fields, but a file"))
            .help(format!("the model's file is told by itself (--model FILE of `attack`, FILE of `model`); {EXAMPLE}")));
    }
    let Ok(table) = format!("model = {{ {fields} }}").parse::<toml::Table>() else {
        return Err(Error::input(format!("{message}: not valid TOML")).help(EXAMPLE));
    };
    let told_twice = ["weights", ONNX.name].into_iter().find(|name| table["model"].get(name).is_some());
    told_twice.map_or(Ok(()), |name| {
        Err(Error::input(format!("{message}: `{name}` names a file, and the command line names the model's file already"))
            .help(format!("leave `{name}` out of the fields")))
    })
}

fn together(file: &Path, architecture: Option<&str>, fields: Option<&str>) -> Result<()> {
    match (is_onnx(file), architecture, fields) {
        (true, Some(name), _) => Err(Error::input(format!("--architecture {name}: {} is an ONNX file, which holds its own network", file.display()))
            .help("leave --architecture out")),
        (false, None, None) if file.is_file() => {
            Err(Error::input(format!("{} holds weights, which do not say what network they are for", file.display())).help(
                "add --architecture NAME (`gauntlet list models` names them), or --model-fields with what a suite says of the model between { }",
            ))
        }
        _ => Ok(()),
    }
}
