//! Which output holds the logits, and what stands between it and them.

use super::Declared;
use super::array::Array;
use super::dim::{self, fixed};
use super::moves;
use super::tensor::is_float;
use super::value::{Live, Value, clip};
use super::wire::ValueInfo;
use super::writer::Writer;
use crate::graph::{Binary, Dim, Op, Unary};
use crate::{Error, Result};

/// The outputs that may hold logits by what the file says of them: floats, [N, classes] if there is such a one.
pub(super) fn candidates<'a>(outputs: &'a [ValueInfo], declared: &Declared) -> Result<Vec<&'a str>> {
    let rank = |output: &ValueInfo| output.sides().map(|sides| sides.len());
    let classes = |output: &ValueInfo| output.sides().and_then(|sides| sides.get(1).copied().flatten());
    let mut likely: Vec<&ValueInfo> = outputs.iter().filter(|output| output.element() == 0 || is_float(output.element())).collect();
    let mut keep = |fits: &dyn Fn(&ValueInfo) -> bool| {
        if likely.iter().any(|output| fits(output)) {
            likely.retain(|output| fits(output));
        }
    };
    keep(&|output| is_float(output.element()));
    keep(&|output| rank(output) == Some(2));
    if let Some(declared) = declared.classes {
        keep(&|output| classes(output) == Some(declared as i64));
    }
    if likely.is_empty() {
        let names: Vec<String> = outputs.iter().take(8).map(|output| format!("\"{}\"", clip(&output.name))).collect();
        let names = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        return Err(Error::input(format!("no output holds floats (outputs: {names})"))
            .help("export the model with its logits [N, classes] as output"));
    }
    Ok(likely.into_iter().map(|output| output.name.as_str()).collect())
}

/// The output's name, and the logits [N, classes].
pub(super) fn choose(writer: &mut Writer, outputs: Vec<(&str, Value)>, declared: &Declared) -> Result<(String, Live)> {
    let mut found: Vec<(&str, Live)> = Vec::new();
    let mut faults = Vec::new();
    for (name, value) in outputs {
        match logits(writer, &value, declared) {
            Ok(live) => {
                if !found.iter().any(|(_, other)| other.source == live.source) {
                    found.push((name, live));
                }
            }
            Err(error) => faults.push(super::value::within(&format!("output \"{}\"", clip(name)), &error)),
        }
    }
    match &found[..] {
        [(name, live)] => Ok((clip(name), live.clone())),
        [] => Err(Error::many("no output holds logits", faults).unwrap_or_else(|| Error::input("the model has no output"))),
        several => {
            let names: Vec<String> = several.iter().take(8).map(|(name, _)| format!("\"{}\"", clip(name))).collect();
            Err(Error::input(format!("outputs {} could each be the logits", names.join(", ")))
                .help("export the model with the logits as its only output"))
        }
    }
}

fn logits(writer: &mut Writer, value: &Value, declared: &Declared) -> Result<Live> {
    let Value::Live(x) = value else {
        return Err(Error::input("it does not depend on the images").help("export the model with its logits as output"));
    };
    let x = flat(writer, x)?;
    let x = before_softmax(writer, x)?;
    let classes = match x.sides[..] {
        [Dim::EXAMPLES, classes] => classes.size(),
        _ => None,
    };
    let Some(classes) = classes else {
        let mut error = Error::input(format!("it is {}, not logits [N, classes]", dim::list(&x.sides)));
        error = match writer.batch {
            Some(batch) => {
                error.help(format!("the file fixes the batch to {batch} and relies on it: export with a dynamic batch dimension"))
            }
            None => error.help("export the model so that its output is one row of logits for each image"),
        };
        return Err(error);
    };
    if classes < 2 {
        return Err(
            Error::input("it is one number an image").help("export two outputs, one a class: torch.cat([-z / 2, z / 2], 1) for a logit z")
        );
    }
    if declared.classes.is_some_and(|declared| declared != classes) {
        let declared = declared.classes.unwrap_or_default();
        let help = match classes > declared {
            true => format!(
                "take the model made for these data; where not every class is among their labels, say classes = {classes} in [data]"
            ),
            false => "take the model made for these data".to_owned(),
        };
        return Err(Error::input(format!("it has {classes} classes, the data have {declared}")).help(help));
    }
    Ok(x)
}

/// [N, classes, 1, 1] as [N, classes].
fn flat(writer: &mut Writer, x: &Live) -> Result<Live> {
    if x.sides.len() <= 2 || x.sides[2..].iter().any(|side| *side != fixed(1)) {
        return Ok(x.clone());
    }
    let flat = moves::reshape(writer, "logits", &x.clone().into(), &x.sides[..2])?;
    writer.live(&flat, "logits")
}

/// What a softmax at the end was made of: its own logits, whose softmax is the same.
fn before_softmax(writer: &mut Writer, x: Live) -> Result<Live> {
    let cut = |writer: &mut Writer, what: &str| {
        writer.note(format!("the {what} at the end is cut off: attacks read the logits before it"));
    };
    let Some(node) = writer.node(&x) else { return Ok(x) };
    let inputs: Vec<Live> = node.inputs.iter().map(|source| writer.input(*source)).collect();
    match (&node.op, &inputs[..]) {
        (Op::Softmax { axis: 1 }, [inner]) => {
            cut(writer, "softmax");
            Ok(inner.clone())
        }
        (Op::LogSoftmax { axis: 1 }, [inner]) => {
            cut(writer, "log-softmax");
            Ok(inner.clone())
        }
        (Op::Unary(Unary::Log), [inner]) if writer.node(inner).is_some_and(|node| matches!(node.op, Op::Softmax { axis: 1 })) => {
            before_softmax(writer, inner.clone())
        }
        (Op::Reshape { .. }, [inner]) if inner.sides.len() > 2 && inner.sides[..2] == x.sides[..] => {
            let before = before_softmax(writer, inner.clone())?;
            if before.source == inner.source { Ok(x) } else { flat(writer, &before) }
        }
        (Op::Concat { axis: 1 }, [first, second]) => match two_sided(writer, first, second) {
            Some(logit) => {
                cut(writer, "sigmoid of two classes");
                let halves = writer.live(&Value::floats(Array { sides: vec![1, 2], values: vec![-0.5, 0.5] }), "logits")?;
                writer.emit("logits", Op::Binary(Binary::Multiply), &[&logit, &halves])
            }
            None => Ok(x),
        },
        (Op::Unary(Unary::Sigmoid), _) => {
            writer.note("the output is a sigmoid a class and is read as logits: export without it for a sound evaluation");
            Ok(x)
        }
        _ => Ok(x),
    }
}

/// The logit z [N, 1] where two columns are 1 - sigmoid(z) and sigmoid(z).
fn two_sided(writer: &Writer, first: &Live, second: &Live) -> Option<Live> {
    let rest = writer.node(first).filter(|node| node.op == Op::Binary(Binary::Subtract))?;
    let one = writer.numbers(rest.inputs[0])?.values == [1.0];
    let sigmoid = writer.node(second).filter(|node| node.op == Op::Unary(Unary::Sigmoid))?;
    (one && rest.inputs[1] == second.source && second.sides[..] == [Dim::EXAMPLES, fixed(1)]).then(|| writer.input(sigmoid.inputs[0]))
}
