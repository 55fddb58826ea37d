//! Values out of nothing.

use super::super::array::Array;
use super::super::call::Call;
use super::super::dim::fixed;
use super::super::tensor;
use super::super::value::Value;
use super::super::writer::Writer;
use crate::graph::Dim;
use crate::{Error, Result};

pub(super) fn constant(_: &mut Writer, call: &Call) -> Result<Vec<Value>> {
    let [attribute] = &call.node.attributes[..] else { return Err(Error::input("it holds no constant, or several")) };
    let unread = || Error::input(format!("a constant of the kind \"{}\" is not read", super::super::value::clip(&attribute.name)));
    Ok(vec![match (attribute.name.as_str(), &attribute.tensor) {
        ("value", Some(tensor)) => tensor::decode(tensor, None)?,
        ("value_float", _) => Value::floats(Array::scalar(call.float("value_float", 0.0)?)),
        ("value_floats", _) => Value::floats(Array::line(attribute.floats.clone())),
        ("value_int", _) => Value::whole(Array::scalar(fixed(call.int("value_int", 0)?))),
        ("value_ints", _) => Value::whole(Array::line(attribute.ints.iter().map(|number| fixed(*number)).collect())),
        _ => return Err(unread().help("export with dense float and integer constants")),
    }])
}

pub(super) fn range(writer: &mut Writer, call: &Call) -> Result<Vec<Value>> {
    let whole = (0..3).all(|at| matches!(call.optional(at), Some(Value::Whole(_))));
    if whole {
        let [start, end, step] = [0, 1, 2].map(|at| call.numbers(at).map(|list| list.and_then(|list| list.first().copied())));
        let (Some(start), Some(end), Some(step)) = (start?, end?, step?) else { return Err(Error::input("an end of the range is empty")) };
        let span = if step > 0 { i128::from(end) - i128::from(start) } else { i128::from(start) - i128::from(end) };
        if step == 0 {
            return Err(Error::input("a step of 0"));
        }
        let stride = i128::from(step).abs();
        let count = usize::try_from((span.max(0) + stride - 1) / stride).map_err(|_| Error::input("the range is too long"))?;
        writer.budget.of::<Dim>(&[count])?;
        return Ok(vec![Value::whole(Array::line(
            (0..count as i128).map(|at| fixed((i128::from(start) + at * i128::from(step)) as i64)).collect(),
        ))]);
    }
    let missing = || Error::input("an end of the range is missing");
    let [start, end, step] =
        [call.scalar(0)?.ok_or_else(missing)?, call.scalar(1)?.ok_or_else(missing)?, call.scalar(2)?.ok_or_else(missing)?];
    let count = ((f64::from(end) - f64::from(start)) / f64::from(step)).ceil();
    if !count.is_finite() {
        return Err(Error::input(format!("a range from {start} to {end} in steps of {step}")));
    }
    let count = count.max(0.0) as usize;
    writer.budget.book(&[count])?;
    Ok(vec![Value::floats(Array::line((0..count).map(|at| start + at as f32 * step).collect()))])
}
