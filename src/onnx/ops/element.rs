//! Functions of one element, and casts.

use super::super::array::Array;
use super::super::call::{Call, unknown};
use super::super::dim::{self, compare, fixed};
use super::super::tensor::{element_name, is_float, is_whole};
use super::super::value::{Live, Value};
use super::super::writer::Writer;
use crate::graph::{Binary, Op, Unary};
use crate::{Error, Result};

/// One function of every element of a value.
pub(super) fn unary(writer: &mut Writer, call: &Call, function: Unary) -> Result<Vec<Value>> {
    let value = call.value(0)?;
    Ok(vec![match value {
        Value::Floats { array, .. } => match on_number(function) {
            Some(f) => Value::floats(array.map(&writer.budget, |x| Ok(f(x)))?),
            None => live(writer, call, value, function)?,
        },
        Value::Whole(array) => match function {
            Unary::Not => Value::whole(array.map(&writer.budget, |x| Ok(Value::truth(compare(x, fixed(0))?.is_eq())))?),
            Unary::Negate => Value::whole(array.map(&writer.budget, |x| dim::subtract(fixed(0), x))?),
            Unary::Abs => {
                Value::whole(array.map(&writer.budget, |x| if compare(x, fixed(0))?.is_lt() { dim::subtract(fixed(0), x) } else { Ok(x) })?)
            }
            Unary::Sign => Value::whole(array.map(&writer.budget, |x| Ok(fixed(compare(x, fixed(0))? as i64)))?),
            Unary::Floor | Unary::Ceil | Unary::Round => value.clone(),
            _ => {
                let floats = Value::floats((*writer.floats(value)?).clone());
                return unary(writer, &Call { inputs: vec![Some(floats)], ..*call }, function);
            }
        },
        Value::Live(_) => live(writer, call, value, function)?,
    }])
}

fn live(writer: &mut Writer, call: &Call, value: &Value, function: Unary) -> Result<Value> {
    let x = writer.live(value, call.name)?;
    let mask = function == Unary::Not;
    Ok(Live { mask, ..writer.emit(call.name, Op::Unary(function), &[&x])? }.into())
}

/// The functions that shape arithmetic and weights computed from others use.
fn on_number(function: Unary) -> Option<fn(f32) -> f32> {
    Some(match function {
        Unary::Negate => |x| -x,
        Unary::Abs => f32::abs,
        Unary::Sqrt => f32::sqrt,
        Unary::Exp => f32::exp,
        Unary::Log => f32::ln,
        Unary::Reciprocal => f32::recip,
        Unary::Floor => f32::floor,
        Unary::Ceil => f32::ceil,
        Unary::Round => f32::round_ties_even,
        Unary::Not => |x| f32::from(x == 0.0),
        _ => return None,
    })
}

pub(super) fn leaky_relu(call: &Call) -> Result<Unary> {
    Ok(Unary::LeakyRelu { slope: call.float("alpha", 0.01)? })
}

pub(super) fn elu(call: &Call) -> Result<Unary> {
    Ok(Unary::Elu { alpha: call.float("alpha", 1.0)? })
}

pub(super) fn celu(call: &Call) -> Result<Unary> {
    Ok(Unary::Celu { alpha: call.float("alpha", 1.0)? })
}

pub(super) fn hard_sigmoid(call: &Call) -> Result<Unary> {
    Ok(Unary::HardSigmoid { alpha: call.float("alpha", 0.2)?, beta: call.float("beta", 0.5)? })
}

pub(super) fn gelu(call: &Call) -> Result<Unary> {
    match call.text("approximate", "none")?.as_str() {
        "none" => Ok(Unary::Gelu { tanh: false }),
        "tanh" => Ok(Unary::Gelu { tanh: true }),
        other => Err(unknown("approximate", other, "none, tanh")),
    }
}

/// gamma (x where positive, else alpha (e^x - 1)).
pub(super) fn selu(writer: &mut Writer, call: &Call) -> Result<Vec<Value>> {
    const ALPHA: f32 = 1.673_263_2;
    const GAMMA: f32 = 1.050_701;
    let (alpha, gamma) = (call.float("alpha", ALPHA)?, call.float("gamma", GAMMA)?);
    if (alpha - ALPHA).abs() < 1e-6 && (gamma - GAMMA).abs() < 1e-6 {
        return unary(writer, call, Unary::Selu);
    }
    let x = call.live(0, writer)?;
    let bent = writer.emit(call.name, Op::Unary(Unary::Elu { alpha }), &[&x])?;
    let gamma = writer.live(&Value::floats(Array::line(vec![gamma])), call.name)?;
    Ok(vec![writer.emit(call.name, Op::Binary(Binary::Multiply), &[&bent, &gamma])?.into()])
}

/// x where it is above alpha, else 0.
pub(super) fn thresholded_relu(writer: &mut Writer, call: &Call) -> Result<Vec<Value>> {
    let x = call.live(0, writer)?;
    let alpha = writer.live(&Value::floats(Array::line(vec![call.float("alpha", 1.0)?])), call.name)?;
    let above = writer.emit(call.name, Op::Binary(Binary::Greater), &[&x, &alpha])?;
    let zero = writer.live(&Value::floats(Array::line(vec![0.0])), call.name)?;
    Ok(vec![writer.emit(call.name, Op::Where, &[&above, &x, &zero])?.into()])
}

/// x + bias below -lambd, x - bias above lambd, else 0.
pub(super) fn shrink(writer: &mut Writer, call: &Call) -> Result<Vec<Value>> {
    let x = call.live(0, writer)?;
    let (bias, edge) = (call.float("bias", 0.0)?, call.float("lambd", 0.5)?);
    let [zero, plus, minus, low, high] =
        [0.0, bias, -bias, -edge, edge].map(|value| writer.live(&Value::floats(Array::line(vec![value])), call.name));
    let up = writer.emit(call.name, Op::Binary(Binary::Add), &[&x, &plus?])?;
    let down = writer.emit(call.name, Op::Binary(Binary::Add), &[&x, &minus?])?;
    let [below, above] = [
        writer.emit(call.name, Op::Binary(Binary::Less), &[&x, &low?])?,
        writer.emit(call.name, Op::Binary(Binary::Greater), &[&x, &high?])?,
    ];
    let outside = writer.emit(call.name, Op::Where, &[&above, &down, &zero?])?;
    Ok(vec![writer.emit(call.name, Op::Where, &[&below, &up, &outside])?.into()])
}

pub(super) fn clip(writer: &mut Writer, call: &Call) -> Result<Vec<Value>> {
    let min = call.scalar(1)?.unwrap_or(f32::NEG_INFINITY);
    let max = call.scalar(2)?.unwrap_or(f32::INFINITY);
    match call.value(0)? {
        Value::Floats { array, .. } if min <= max => Ok(vec![Value::floats(array.map(&writer.budget, |x| Ok(x.clamp(min, max)))?)]),
        value if min == f32::NEG_INFINITY && max == f32::INFINITY => Ok(vec![value.clone()]),
        _ => unary(writer, call, Unary::Clip { min, max }),
    }
}

pub(super) fn cast(writer: &mut Writer, call: &Call) -> Result<Vec<Value>> {
    let to = i32::try_from(call.int("to", 0)?).unwrap_or(0);
    Ok(vec![cast_to(writer, call, to)?])
}

/// Cast to the type of another value.
pub(super) fn cast_like(writer: &mut Writer, call: &Call) -> Result<Vec<Value>> {
    const FLOAT: i32 = 1;
    const INT64: i32 = 7;
    let to = if matches!(call.value(1)?, Value::Whole(_)) { INT64 } else { FLOAT };
    Ok(vec![cast_to(writer, call, to)?])
}

fn cast_to(writer: &mut Writer, call: &Call, to: i32) -> Result<Value> {
    const BOOL: i32 = 9;
    const HALVES: [i32; 2] = [10, 16];
    if !is_float(to) && !is_whole(to) {
        return Err(Error::input(format!("a cast to {}", element_name(to))).help("export the float32 model"));
    }
    let value = call.value(0)?;
    if HALVES.contains(&to) && matches!(value, Value::Live(_)) {
        writer.note("half precision in the file is computed in single precision");
    }
    Ok(match value {
        Value::Live(x) if to == BOOL && !x.mask => {
            let zero = writer.emit(call.name, Op::Unary(Unary::Not), &[x])?;
            Live { mask: true, ..writer.emit(call.name, Op::Unary(Unary::Not), &[&zero])? }.into()
        }
        Value::Live(x) if is_whole(to) && !x.mask => writer.emit(call.name, Op::Unary(Unary::Truncate), &[x])?.into(),
        Value::Floats { array, .. } if to == BOOL => Value::whole(array.map(&writer.budget, |x| Ok(Value::truth(x != 0.0)))?),
        Value::Floats { array, .. } if is_whole(to) => Value::whole(array.map(&writer.budget, |x| Ok(fixed(x as i64)))?),
        Value::Whole(array) if to == BOOL => Value::whole(array.map(&writer.budget, |x| Ok(Value::truth(compare(x, fixed(0))?.is_ne())))?),
        // A shape that N is in stays one: exporters cast shapes to floats and back.
        Value::Whole(array) if is_float(to) && array.values.iter().all(|x| x.per_example == 0) => {
            Value::floats((*writer.floats(value)?).clone())
        }
        other => other.clone(),
    })
}
