//! Functions of two or more elements.

use std::cmp::Ordering;

use super::super::array::Array;
use super::super::call::Call;
use super::super::dim::{self, compare, fixed};
use super::super::moves;
use super::super::value::{Live, Value};
use super::super::writer::Writer;
use crate::graph::{Binary, Dim, Op, Unary};
use crate::{Error, Result};

/// Two values, broadcast.
pub(super) fn binary(writer: &mut Writer, call: &Call, function: Binary) -> Result<Vec<Value>> {
    let (a, b) = (call.value(0)?, call.value(1)?);
    Ok(vec![both(writer, call.name, a, b, function)?])
}

/// Any number of values, two at a time.
pub(super) fn fold(writer: &mut Writer, call: &Call, function: Binary) -> Result<Vec<Value>> {
    let mut values = call.inputs.iter().flatten();
    let first = values.next().ok_or_else(|| Error::input("it has no inputs"))?.clone();
    let all = values.try_fold(first, |all, value| both(writer, call.name, &all, value, function))?;
    Ok(vec![all])
}

pub(super) fn mean(writer: &mut Writer, call: &Call) -> Result<Vec<Value>> {
    let sum = fold(writer, call, Binary::Add)?.remove(0);
    let count = Value::floats(Array::line(vec![call.inputs.len() as f32]));
    Ok(vec![both(writer, call.name, &sum, &count, Binary::Divide)?])
}

/// Where exactly one of two masks is set.
pub(super) fn xor(writer: &mut Writer, call: &Call) -> Result<Vec<Value>> {
    let same = both(writer, call.name, call.value(0)?, call.value(1)?, Binary::Equal)?;
    super::element::unary(writer, &Call { inputs: vec![Some(same)], ..*call }, Unary::Not)
}

/// The remainder: of known numbers alone.
pub(super) fn remainder(writer: &mut Writer, call: &Call) -> Result<Vec<Value>> {
    let truncated = call.flag("fmod")?;
    match (call.value(0)?, call.value(1)?) {
        (Value::Whole(a), Value::Whole(b)) => Ok(vec![Value::whole(a.zip(b, &writer.budget, |a, b| dim::remainder(a, b, truncated))?)]),
        (Value::Live(_), _) | (_, Value::Live(_)) => {
            Err(Error::input("the remainder of what depends on the images has no useful gradient")
                .help("leave it out of the exported part"))
        }
        (a, b) => {
            let (a, b) = (writer.floats(a)?, writer.floats(b)?);
            Ok(vec![Value::floats(a.zip(&b, &writer.budget, |a, b| Ok(a % b))?)])
        }
    }
}

/// A function of two values, worked out at once where both are known.
pub(super) fn both(writer: &mut Writer, name: &str, a: &Value, b: &Value, function: Binary) -> Result<Value> {
    match (a, b) {
        (Value::Whole(left), Value::Whole(right)) if function != Binary::Power => {
            Ok(Value::whole(left.zip(right, &writer.budget, |a, b| on_whole(function, a, b))?))
        }
        (Value::Live(_), _) | (_, Value::Live(_)) => {
            let (left, right) = (writer.live(a, name)?, writer.live(b, name)?);
            Ok(Live { mask: is_comparison(function), ..writer.emit(name, Op::Binary(function), &[&left, &right])? }.into())
        }
        _ => {
            let (left, right) = (writer.floats(a)?, writer.floats(b)?);
            let result = left.zip(&right, &writer.budget, |a, b| Ok(on_floats(function, a, b)))?;
            if is_comparison(function) {
                return Ok(Value::whole(result.map(&writer.budget, |x| Ok(fixed(x as i64)))?));
            }
            Ok(Value::floats(result))
        }
    }
}

fn is_comparison(function: Binary) -> bool {
    use Binary::{And, Equal, Greater, GreaterOrEqual, Less, LessOrEqual, Or};
    matches!(function, Equal | Less | LessOrEqual | Greater | GreaterOrEqual | And | Or)
}

fn on_whole(function: Binary, a: Dim, b: Dim) -> Result<Dim> {
    let truth = |holds: fn(Ordering) -> bool| Ok(Value::truth(holds(compare(a, b)?)));
    let set = |x: Dim| Ok::<bool, Error>(compare(x, fixed(0))?.is_ne());
    match function {
        Binary::Add => dim::add(a, b),
        Binary::Subtract => dim::subtract(a, b),
        Binary::Multiply => dim::multiply(a, b),
        Binary::Divide => dim::divide(a, b),
        Binary::Minimum => Ok(if compare(a, b)?.is_le() { a } else { b }),
        Binary::Maximum => Ok(if compare(a, b)?.is_ge() { a } else { b }),
        Binary::Equal => truth(Ordering::is_eq),
        Binary::Less => truth(Ordering::is_lt),
        Binary::LessOrEqual => truth(Ordering::is_le),
        Binary::Greater => truth(Ordering::is_gt),
        Binary::GreaterOrEqual => truth(Ordering::is_ge),
        Binary::And => Ok(Value::truth(set(a)? && set(b)?)),
        Binary::Or => Ok(Value::truth(set(a)? || set(b)?)),
        Binary::Power => Err(Error::input("a power of whole numbers")),
    }
}

fn on_floats(function: Binary, a: f32, b: f32) -> f32 {
    match function {
        Binary::Add => a + b,
        Binary::Subtract => a - b,
        Binary::Multiply => a * b,
        Binary::Divide => a / b,
        Binary::Power => a.powf(b),
        Binary::Minimum => a.min(b),
        Binary::Maximum => a.max(b),
        Binary::Equal => f32::from(a == b),
        Binary::Less => f32::from(a < b),
        Binary::LessOrEqual => f32::from(a <= b),
        Binary::Greater => f32::from(a > b),
        Binary::GreaterOrEqual => f32::from(a >= b),
        Binary::And => f32::from(a != 0.0 && b != 0.0),
        Binary::Or => f32::from(a != 0.0 || b != 0.0),
    }
}

/// Sums; a constant added to a dense layer is its bias.
pub(super) fn add(writer: &mut Writer, call: &Call) -> Result<Vec<Value>> {
    let (a, b) = (call.value(0)?, call.value(1)?);
    for (layer, bias) in [(a, b), (b, a)] {
        let (Value::Live(x), Value::Floats { array, .. }) = (layer, bias) else { continue };
        let Some(node) = writer.node(x).filter(|node| node.op == Op::Linear && node.inputs.len() == 2) else { continue };
        let [input, weight] = [node.inputs[0], node.inputs[1]].map(|source| writer.input(source));
        let width = weight.sides[0].size().unwrap_or(0);
        let ends_in_width = array.sides.last() == Some(&width) && array.values.len() == width && array.sides.len() <= x.sides.len();
        if ends_in_width {
            let bias = moves::reshape(writer, call.name, bias, &[fixed(width as i64)])?;
            let bias = writer.weight(&bias, call.name)?;
            return Ok(vec![writer.emit(call.name, Op::Linear, &[&input, &weight, &bias])?.into()]);
        }
    }
    binary(writer, call, Binary::Add)
}

pub(super) fn power(writer: &mut Writer, call: &Call) -> Result<Vec<Value>> {
    binary(writer, call, Binary::Power)
}

/// a where a mask is set, else b.
pub(super) fn choose(writer: &mut Writer, call: &Call) -> Result<Vec<Value>> {
    let (mask, a, b) = (call.value(0)?, call.value(1)?, call.value(2)?);
    let Value::Whole(known) = mask else {
        let [mask, a, b] = [writer.live(mask, call.name)?, writer.live(a, call.name)?, writer.live(b, call.name)?];
        return Ok(vec![Live { mask: a.mask && b.mask, ..writer.emit(call.name, Op::Where, &[&mask, &a, &b])? }.into()]);
    };
    let known = known.map(&writer.budget, |x| Ok(compare(x, fixed(0))?.is_ne()))?;
    if let (Value::Whole(a), Value::Whole(b)) = (a, b) {
        let pairs = a.zip(b, &writer.budget, |a, b| Ok((a, b)))?;
        return Ok(vec![Value::whole(known.zip(&pairs, &writer.budget, |first, (a, b)| Ok(if first { a } else { b }))?)]);
    }
    if matches!(a, Value::Live(_)) || matches!(b, Value::Live(_)) {
        let [mask, a, b] = [writer.live(mask, call.name)?, writer.live(a, call.name)?, writer.live(b, call.name)?];
        return Ok(vec![writer.emit(call.name, Op::Where, &[&mask, &a, &b])?.into()]);
    }
    let pairs = writer.floats(a)?.zip(&*writer.floats(b)?, &writer.budget, |a, b| Ok((a, b)))?;
    Ok(vec![Value::floats(known.zip(&pairs, &writer.budget, |first, (a, b)| Ok(if first { a } else { b }))?)])
}

pub(super) fn prelu(writer: &mut Writer, call: &Call) -> Result<Vec<Value>> {
    let x = call.live(0, writer)?;
    let slope = writer.weight(call.value(1)?, call.name)?;
    Ok(vec![writer.emit(call.name, Op::Prelu, &[&x, &slope])?.into()])
}
