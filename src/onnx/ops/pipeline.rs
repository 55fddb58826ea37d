//! What scikit-learn's pipelines are written with (domain `ai.onnx.ml`).

use super::super::array::Array;
use super::super::call::{Call, unknown};
use super::super::dim;
use super::super::value::Value;
use super::super::writer::Writer;
use super::norm::by_norm;
use super::pair::both;
use crate::graph::{Binary, Op, Reduction, Unary};
use crate::{Error, Result};

/// (x - offset) scale.
pub(super) fn scaler(writer: &mut Writer, call: &Call) -> Result<Vec<Value>> {
    let [offset, scale] = [call.floats("offset")?.unwrap_or_else(|| vec![0.0]), call.floats("scale")?.unwrap_or_else(|| vec![1.0])];
    let centred = both(writer, call.name, call.value(0)?, &Value::floats(Array::line(offset)), Binary::Subtract)?;
    Ok(vec![both(writer, call.name, &centred, &Value::floats(Array::line(scale)), Binary::Multiply)?])
}

/// Each row divided by a norm of it. A softmax's rows have the l1 norm 1.
pub(super) fn normalizer(writer: &mut Writer, call: &Call) -> Result<Vec<Value>> {
    let x = call.live(0, writer)?;
    if x.sides.len() != 2 {
        return Err(Error::input(format!("{} is not [N, features]", dim::list(&x.sides))));
    }
    let kind = match call.text("norm", "MAX")?.as_str() {
        "L1" if writer.node(&x).is_some_and(|node| matches!(node.op, Op::Softmax { axis: 1 })) => return Ok(vec![x.into()]),
        "L1" => Reduction::L1,
        "L2" => Reduction::L2,
        "MAX" => Reduction::Max,
        other => return Err(unknown("norm", other, "L1, L2, MAX")),
    };
    Ok(vec![by_norm(writer, call.name, &x, kind, 1)?])
}

/// One dense layer; its labels, the first output, are not made.
pub(super) fn linear_classifier(writer: &mut Writer, call: &Call) -> Result<Vec<Value>> {
    let x = call.live(0, writer)?;
    let features =
        x.sides.last().and_then(|side| side.size()).filter(|side| *side > 0).ok_or_else(|| Error::input("it has no features"))?;
    let coefficients = call.floats("coefficients")?.unwrap_or_default();
    let classes = coefficients.len() / features;
    if classes < 2 || coefficients.len() != classes * features {
        return Err(Error::input(format!("{} coefficients for {features} features", coefficients.len()))
            .help("two classes or more are wanted, one row of coefficients each"));
    }
    let bias = call.floats("intercepts")?.unwrap_or_else(|| vec![0.0; classes]);
    let named = |part: &str, sides: Vec<usize>, values| Value::Floats {
        array: Array { sides, values }.into(),
        origin: Some(format!("{}.{part}", call.name).into()),
    };
    let weight = writer.weight(&named("coefficients", vec![classes, features], coefficients), call.name)?;
    let bias = writer.weight(&named("intercepts", vec![bias.len()], bias), call.name)?;
    let scores = writer.emit(call.name, Op::Linear, &[&x, &weight, &bias])?;
    let scores = match call.text("post_transform", "NONE")?.as_str() {
        "NONE" => scores,
        "SOFTMAX" => writer.emit(call.name, Op::Softmax { axis: 1 }, &[&scores])?,
        "LOGISTIC" => writer.emit(call.name, Op::Unary(Unary::Sigmoid), &[&scores])?,
        other => return Err(unknown("post_transform", other, "NONE, SOFTMAX, LOGISTIC")),
    };
    Ok(vec![scores.into()])
}
