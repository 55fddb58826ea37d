//! Parts of values, and values put together.

use super::super::array::{Array, product};
use super::super::call::{Call, axes, axis, unknown};
use super::super::dim::{compare, fixed, multiply, number};
use super::super::moves;
use super::super::value::Value;
use super::super::writer::Writer;
use crate::graph::{Dim, Op, PadMode};
use crate::{Error, Result};

fn across_examples() -> Error {
    Error::input("it picks among the examples of a batch").help("export the model so that every example is treated by itself")
}

pub(super) fn slice(writer: &mut Writer, call: &Call) -> Result<Vec<Value>> {
    let mut x = call.value(0)?.clone();
    let missing = || Error::input("it has no starts and ends");
    let (starts, ends) = (call.whole(1)?.ok_or_else(missing)?, call.whole(2)?.ok_or_else(missing)?);
    let count = starts.values.len();
    let along = call.numbers(3)?.unwrap_or_else(|| (0..count as i64).collect());
    let steps = call.numbers(4)?.unwrap_or_else(|| vec![1; count]);
    if ends.values.len() != count || along.len() != count || steps.len() != count {
        return Err(Error::input("starts, ends, axes and steps differ in length"));
    }
    axes(&along, x.rank())?;
    for (at, step) in steps.into_iter().enumerate() {
        let along = axis(along[at], x.rank())?;
        let (start, end) = (starts.values[at], ends.values[at]);
        let Some(side) = x.sides()[along].size() else {
            let all =
                step == 1 && start == fixed(0) && (end == x.sides()[along] || number(end).is_some_and(|end| end >= i64::from(i32::MAX)));
            if all { continue } else { return Err(across_examples()) }
        };
        let (Some(start), Some(end)) = (number(start), number(end)) else {
            return Err(Error::input(format!("elements {start} to {end} of a side of {side}")));
        };
        x = moves::slice(writer, call.name, &x, along, within(side as i64, start, end, step)?)?;
    }
    Ok(vec![x])
}

/// A slice's start and end, counted from the front and kept within the side.
fn within(side: i64, start: i64, end: i64, step: i64) -> Result<[i64; 3]> {
    let front = |at: i64| if at < 0 { at + side } else { at };
    match step.signum() {
        0 => Err(Error::input("a step of 0")),
        1 => Ok([front(start).clamp(0, side), front(end).clamp(0, side), step]),
        _ => Ok([front(start).clamp(0, (side - 1).max(0)), front(end).clamp(-1, (side - 1).max(-1)), step]),
    }
}

pub(super) fn gather(writer: &mut Writer, call: &Call) -> Result<Vec<Value>> {
    let x = call.value(0)?;
    let along = axis(call.int("axis", 0)?, x.rank())?;
    let side = x.sides()[along].size().ok_or_else(across_examples)?;
    let array = call.whole(1)?.ok_or_else(|| Error::input("it has no indices"))?;
    writer.budget.book(&array.sides)?;
    let index = |at: &Dim| {
        let front = number(*at).map(|at| if at < 0 { at + side as i64 } else { at });
        let front = front.and_then(|at| usize::try_from(at).ok()).filter(|at| *at < side);
        front.ok_or_else(|| Error::input(format!("element {at} of a side of {side}")))
    };
    let (indices, shape) = (array.values.iter().map(index).collect::<Result<Vec<_>>>()?, array.sides.clone());
    Ok(vec![moves::gather(writer, call.name, x, along, indices, shape)?])
}

pub(super) fn split(writer: &mut Writer, call: &Call) -> Result<Vec<Value>> {
    let x = call.value(0)?;
    let along = axis(call.int("axis", 0)?, x.rank())?;
    let side = x.sides()[along].size().ok_or_else(across_examples)?;
    let parts = call.int("num_outputs", call.node.outputs.len() as i64)?;
    let sizes = match call.list("split", 1, 13)? {
        Some(sizes) => sizes,
        None if parts != call.node.outputs.len() as i64
            || parts < 1
            || parts > side as i64
            || (call.opset < 18 && side as i64 % parts != 0) =>
        {
            return Err(Error::input(format!("a side of {side} in {parts} parts")));
        }
        None => {
            let part = (side as i64 + parts - 1) / parts;
            (0..parts).map(|at| part.min(side as i64 - at * part)).collect()
        }
    };
    let total = sizes.iter().try_fold(0_i64, |total, size| if *size < 0 { None } else { total.checked_add(*size) });
    if total != Some(side as i64) || sizes.len() != call.node.outputs.len() {
        return Err(Error::input(format!("parts {:?} of a side of {side}", &sizes[..sizes.len().min(8)])));
    }
    let mut start = 0;
    let part = |size: &i64| {
        start += size;
        moves::slice(writer, call.name, x, along, [start - size, start, 1])
    };
    sizes.iter().map(part).collect()
}

pub(super) fn concat(writer: &mut Writer, call: &Call) -> Result<Vec<Value>> {
    let mut values = call.inputs.iter().flatten().cloned().collect::<Vec<_>>();
    let rank = values.first().ok_or_else(|| Error::input("it has no inputs"))?.rank();
    let along = axis(call.int("axis", 0)?, rank)?;
    // A file for a batch of one example joins constants to examples: they are the same for every example.
    let open = values.iter().any(|value| value.sides().first() == Some(&Dim::EXAMPLES));
    if writer.batch == Some(1) && open && along > 0 {
        for value in &mut values {
            let mut sides = value.sides();
            if sides.first() == Some(&fixed(1)) {
                sides[0] = Dim::EXAMPLES;
                *value = moves::expand(writer, call.name, value, &sides)?;
            }
        }
    }
    Ok(vec![moves::concat(writer, call.name, &values, along)?])
}

/// Copies along an axis: a side of 1 before it, broadcast, and both joined.
pub(super) fn tile(writer: &mut Writer, call: &Call) -> Result<Vec<Value>> {
    let mut x = call.value(0)?.clone();
    let copies = call.numbers(1)?.unwrap_or_default();
    if copies.len() != x.rank() || copies.iter().any(|copies| *copies < 1) {
        return Err(Error::input(format!("copies {:?} of a value with {} axes", &copies[..copies.len().min(8)], x.rank())));
    }
    for (along, copies) in copies.into_iter().enumerate().filter(|(_, copies)| *copies > 1) {
        let mut sides = x.sides();
        if sides[along].per_example != 0 {
            return Err(across_examples());
        }
        let joined = multiply(sides[along], fixed(copies))?;
        sides.insert(along, fixed(1));
        x = moves::reshape(writer, call.name, &x, &sides)?;
        sides[along] = fixed(copies);
        x = moves::expand(writer, call.name, &x, &sides)?;
        sides.remove(along);
        sides[along] = joined;
        x = moves::reshape(writer, call.name, &x, &sides)?;
    }
    Ok(vec![x])
}

pub(super) fn pad(writer: &mut Writer, call: &Call) -> Result<Vec<Value>> {
    let x = call.live(0, writer)?;
    let rank = x.sides.len();
    let widths = call.numbers(1)?.ok_or_else(|| Error::input("it has no pads"))?;
    let along = match call.numbers(3)? {
        Some(list) => {
            axes(&list, rank)?;
            list.iter().map(|at| axis(*at, rank)).collect::<Result<_>>()?
        }
        None => (0..rank).collect::<Vec<_>>(),
    };
    if widths.len() != 2 * along.len() {
        return Err(Error::input(format!("{} pads for {} axes", widths.len(), along.len())));
    }
    let mut pads = vec![[0; 2]; rank];
    for (at, axis) in along.iter().enumerate() {
        pads[*axis] = [widths[at], widths[at + along.len()]];
    }
    let mode = match call.text("mode", "constant")?.as_str() {
        "constant" => PadMode::Constant(call.scalar(2)?.unwrap_or(0.0)),
        "reflect" => PadMode::Reflect,
        "edge" => PadMode::Edge,
        other => return Err(unknown("mode", other, "constant, reflect, edge")),
    };
    if pads.iter().all(|pad| *pad == [0; 2]) {
        return Ok(vec![x.into()]);
    }
    if x.sides.iter().zip(&pads).any(|(side, pad)| side.per_example != 0 && *pad != [0; 2]) {
        return Err(across_examples());
    }
    Ok(vec![writer.emit(call.name, Op::Pad { pads, mode }, &[&x])?.into()])
}

/// Where a constant is not 0: an index a row, an axis a line.
pub(super) fn non_zero(writer: &mut Writer, call: &Call) -> Result<Vec<Value>> {
    if let Some(sides) = call.value(0)?.known_sides() {
        writer.budget.book(sides)?;
    }
    let (sides, truths): (&[usize], Vec<bool>) = match call.value(0)? {
        Value::Floats { array, .. } => (&array.sides, array.values.iter().map(|x| *x != 0.0).collect()),
        Value::Whole(array) => {
            let truths = array.values.iter().map(|x| Ok(compare(*x, fixed(0))?.is_ne())).collect::<Result<_>>()?;
            (&array.sides, truths)
        }
        Value::Live(_) => {
            return Err(Error::input("which elements are not 0 depends on the images")
                .help("select by multiplying with a mask, or torch.where(mask, a, b)"));
        }
    };
    let found: Vec<usize> = (0..truths.len()).filter(|at| truths[*at]).collect();
    let count = writer.budget.of::<Dim>(&[sides.len(), found.len()])?;
    let mut values = Vec::with_capacity(count);
    for along in 0..sides.len() {
        let inner = product(&sides[along + 1..]).unwrap_or(1).max(1);
        values.extend(found.iter().map(|at| fixed((at / inner % sides[along]) as i64)));
    }
    Ok(vec![Value::whole(Array { sides: vec![sides.len(), found.len()], values })])
}
