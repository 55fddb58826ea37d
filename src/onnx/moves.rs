//! Moving elements about, of constants at once and of the network's values by a node.

use std::rc::Rc;

use super::array::{Array, MOST_AXES};
use super::dim::{self, fixed};
use super::value::{Live, Value};
use super::writer::Writer;
use crate::graph::{Dim, Op};
use crate::{Error, Result};

/// A constant of either kind, changed. The numbers are still those of the initialiser that they were.
macro_rules! known {
    ($value:expr, $array:ident => $changed:expr) => {
        match $value {
            Value::Floats { array: $array, origin } => Value::Floats { array: Rc::new($changed), origin: origin.clone() },
            Value::Whole($array) => Value::Whole(Rc::new($changed)),
            Value::Live(live) => Value::Live(live.clone()),
        }
    };
}

/// The result of a node that only moves elements: a mask stays one.
fn moved(writer: &mut Writer, name: &str, op: Op, x: &Live) -> Result<Value> {
    Ok(Live { mask: x.mask, ..writer.emit(name, op, &[x])? }.into())
}

/// Sides without N in them, for constants.
fn plain(sides: &[Dim]) -> Result<Vec<usize>> {
    if sides.len() > 2 * MOST_AXES {
        return Err(Error::input(format!("a constant of {} axes", sides.len())));
    }
    sides.iter().map(|side| side.size().ok_or_else(|| Error::input(format!("a constant cannot have sides {}", dim::list(sides))))).collect()
}

/// The elements in the same order under other sides.
pub(super) fn reshape(writer: &mut Writer, name: &str, value: &Value, to: &[Dim]) -> Result<Value> {
    if value.sides() == to {
        return Ok(value.clone());
    }
    if let Value::Live(x) = value {
        let before = writer.node(x).filter(|node| matches!(node.op, Op::Reshape { .. })).map(|node| node.inputs[0]);
        let from = before.map_or_else(|| x.clone(), |source| Live { mask: x.mask, ..writer.input(source) });
        if from.sides == to {
            return Ok(from.into());
        }
        return moved(writer, name, Op::Reshape { to: to.into() }, &from);
    }
    let sides = plain(to)?;
    Ok(known!(value, array => array.reshape(&sides, &writer.budget)?))
}

/// Axis i of the result is axis `axes[i]` of the value.
pub(super) fn transpose(writer: &mut Writer, name: &str, value: &Value, axes: &[usize]) -> Result<Value> {
    if axes.iter().copied().eq(0..axes.len()) {
        return Ok(value.clone());
    }
    if let Value::Live(x) = value {
        let before = writer.node(x).and_then(|node| match &node.op {
            Op::Transpose { axes: first } => Some((node.inputs[0], first.clone())),
            _ => None,
        });
        if let Some((source, first)) = before {
            let from = Live { mask: x.mask, ..writer.input(source) };
            let joined: Vec<usize> = axes.iter().map(|axis| first[*axis]).collect();
            return match joined.iter().copied().eq(0..joined.len()) {
                true => Ok(from.into()),
                false => moved(writer, name, Op::Transpose { axes: joined }, &from),
            };
        }
        return moved(writer, name, Op::Transpose { axes: axes.into() }, x);
    }
    Ok(known!(value, array => array.transpose(axes, &writer.budget)?))
}

/// Broadcast to sides that the value's own broadcast to.
pub(super) fn expand(writer: &mut Writer, name: &str, value: &Value, to: &[Dim]) -> Result<Value> {
    if value.sides() == to {
        return Ok(value.clone());
    }
    if matches!(value, Value::Live(_)) || to.iter().any(|side| side.per_example != 0) {
        let x = writer.live(value, name)?;
        return moved(writer, name, Op::Expand { to: to.into() }, &x);
    }
    let sides = plain(to)?;
    Ok(known!(value, array => array.expand(&sides, &writer.budget)?))
}

/// The sides that two values broadcast to.
pub(super) fn broadcast(a: &[Dim], b: &[Dim]) -> Result<Vec<Dim>> {
    let axes = a.len().max(b.len());
    let side = |sides: &[Dim], axis: usize| (axis + sides.len()).checked_sub(axes).map_or(fixed(1), |axis| sides[axis]);
    let joint = |axis| match (side(a, axis), side(b, axis)) {
        (a, b) if a == b || b == fixed(1) => Ok(a),
        (one, b) if one == fixed(1) => Ok(b),
        _ => Err(Error::input(format!("{} and {} do not broadcast", dim::list(a), dim::list(b)))),
    };
    (0..axes).map(joint).collect()
}

/// Elements of an axis by index, each within the side; `shape` takes the axis's place.
pub(super) fn gather(writer: &mut Writer, name: &str, value: &Value, axis: usize, indices: Vec<usize>, shape: Vec<usize>) -> Result<Value> {
    match value {
        Value::Live(x) => moved(writer, name, Op::Gather { axis, indices, shape }, x),
        Value::Floats { array, .. } => Ok(Value::floats(array.gather(axis, &indices, &shape, &writer.budget)?)),
        Value::Whole(array) => Ok(Value::whole(array.gather(axis, &indices, &shape, &writer.budget)?)),
    }
}

/// Elements start, start + step, .. before end along an axis.
pub(super) fn slice(writer: &mut Writer, name: &str, value: &Value, axis: usize, [start, end, step]: [i64; 3]) -> Result<Value> {
    let side = value.sides()[axis];
    if step == 1 && start == 0 && fixed(end) == side {
        return Ok(value.clone());
    }
    if let Value::Live(x) = value {
        return moved(writer, name, Op::Slice { axis, start, end, step }, x);
    }
    let mut indices = Vec::new();
    let mut at = start;
    while (step > 0 && at < end) || (step < 0 && at > end) {
        indices.push(at as usize);
        at = at.saturating_add(step);
    }
    let shape = vec![indices.len()];
    gather(writer, name, value, axis, indices, shape)
}

/// Values one after the other along an axis; their other sides must be equal.
pub(super) fn concat(writer: &mut Writer, name: &str, values: &[Value], axis: usize) -> Result<Value> {
    if values.iter().any(|value| matches!(value, Value::Live(_))) {
        let parts = values.iter().map(|value| writer.live(value, name)).collect::<Result<Vec<_>>>()?;
        let mask = parts.iter().all(|part| part.mask);
        return Ok(Live { mask, ..writer.emit(name, Op::Concat { axis }, &parts.iter().collect::<Vec<_>>())? }.into());
    }
    let sides: Vec<&[usize]> = values.iter().filter_map(Value::known_sides).collect();
    let fits = |other: &&[usize]| other.len() == sides[0].len() && (0..other.len()).all(|at| at == axis || other[at] == sides[0][at]);
    if sides.is_empty() || !sides.iter().all(fits) || axis >= sides[0].len() {
        return Err(Error::input("the values' sides differ elsewhere than along the axis"));
    }
    let whole: Option<Vec<&Array<Dim>>> =
        values.iter().map(|value| if let Value::Whole(array) = value { Some(&**array) } else { None }).collect();
    if let Some(parts) = whole {
        return Ok(Value::whole(Array::concat(&parts, axis, &writer.budget)?));
    }
    let parts = values.iter().map(|value| writer.floats(value)).collect::<Result<Vec<_>>>()?;
    Ok(Value::floats(Array::concat(&parts.iter().map(|part| &**part).collect::<Vec<_>>(), axis, &writer.budget)?))
}
