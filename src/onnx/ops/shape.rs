//! Sides: what they are, and other ones for the same elements.

use super::super::array::{Array, MOST_AXES};
use super::super::call::{Call, axes, axis, unknown};
use super::super::dim::{self, divide, fixed, multiply, product};
use super::super::moves;
use super::super::tensor;
use super::super::value::Value;
use super::super::writer::Writer;
use crate::graph::Dim;
use crate::{Error, Result};

const BATCH_NOTE: &str = "the file fixes the batch's size; shapes that start with it are read as any number of examples";

pub(super) fn identity(_: &mut Writer, call: &Call) -> Result<Vec<Value>> {
    Ok(vec![call.value(0)?.clone()])
}

pub(super) fn dropout(_: &mut Writer, call: &Call) -> Result<Vec<Value>> {
    let training = call.optional(2).is_some() && call.scalar(2)? != Some(0.0);
    if training {
        return Err(Error::input("it drops at random, as in training").help("call model.eval() before exporting"));
    }
    Ok(vec![call.value(0)?.clone()])
}

pub(super) fn shape(_: &mut Writer, call: &Call) -> Result<Vec<Value>> {
    let sides = call.value(0)?.sides();
    let rank = sides.len() as i64;
    let place = |at: i64| (if at < 0 { at.saturating_add(rank) } else { at }).clamp(0, rank) as usize;
    let (start, end) = (place(call.int("start", 0)?), place(call.int("end", rank)?));
    Ok(vec![Value::whole(Array::line(sides.get(start..end).unwrap_or_default().to_vec()))])
}

pub(super) fn size(_: &mut Writer, call: &Call) -> Result<Vec<Value>> {
    Ok(vec![Value::whole(Array::scalar(product(&call.value(0)?.sides())?))])
}

pub(super) fn reshape(writer: &mut Writer, call: &Call) -> Result<Vec<Value>> {
    let wanted = sides_of(call, 1)?;
    let x = call.value(0)?;
    let to = target(writer, &x.sides(), &wanted, call.flag("allowzero")?)?;
    Ok(vec![moves::reshape(writer, call.name, x, &to)?])
}

/// An input that lists sides.
fn sides_of(call: &Call, at: usize) -> Result<Vec<Dim>> {
    let sides = &call.whole(at)?.ok_or_else(|| Error::input("it has no shape"))?.values;
    if sides.len() > 2 * MOST_AXES {
        return Err(Error::input(format!("a shape of {} sides", sides.len())));
    }
    Ok(sides.clone())
}

/// What a Reshape's entries mean: 0 copies a side, -1 is what is left.
fn target(writer: &mut Writer, from: &[Dim], wanted: &[Dim], allow_zero: bool) -> Result<Vec<Dim>> {
    let copied = |(at, side): (usize, &Dim)| match *side == fixed(0) && !allow_zero {
        true => from.get(at).copied().ok_or_else(|| Error::input(format!("side {at} is to be copied, the value has {}", from.len()))),
        false => Ok(*side),
    };
    let to = wanted.iter().enumerate().map(copied).collect::<Result<Vec<Dim>>>()?;
    let total = product(from)?;
    if let (Some(batch), [first, ..]) = (writer.batch, &to[..])
        && total.per_example != 0
        && first.per_example == 0
        && first.fixed > 0
        && first.fixed % batch == 0
    {
        let mut open = to.clone();
        open[0] = Dim { per_example: first.fixed / batch, fixed: 0 };
        if let Ok(open) = filled(total, open) {
            writer.note(BATCH_NOTE);
            return Ok(open);
        }
    }
    filled(total, to).map_err(|_| {
        Error::input(format!("{} do not fill the shape {}", dim::list(from), dim::list(wanted))).help(
            "a shape that fixes the number of examples: export with x.flatten(1) or x.shape[0] in place of a number, and a dynamic batch",
        )
    })
}

fn filled(total: Dim, mut to: Vec<Dim>) -> Result<Vec<Dim>> {
    let open = to.iter().position(|side| *side == fixed(-1));
    if let Some(open) = open {
        to[open] = fixed(1);
        let rest = product(&to)?;
        to[open] = divide(total, rest)?;
    }
    if product(&to)? == total { Ok(to) } else { Err(Error::input("another number of elements")) }
}

pub(super) fn flatten(writer: &mut Writer, call: &Call) -> Result<Vec<Value>> {
    let x = call.value(0)?;
    let sides = x.sides();
    let at = call.int("axis", 1)?;
    let at = if at == sides.len() as i64 { sides.len() } else { axis(at, sides.len())? };
    let to = [product(&sides[..at])?, product(&sides[at..])?];
    Ok(vec![moves::reshape(writer, call.name, x, &to)?])
}

pub(super) fn squeeze(writer: &mut Writer, call: &Call) -> Result<Vec<Value>> {
    let x = call.value(0)?;
    let sides = x.sides();
    let gone = match call.list("axes", 1, 13)? {
        Some(list) => axes(&list, sides.len())?,
        None => (0..sides.len()).filter(|at| sides[*at] == fixed(1)).collect(),
    };
    if let Some(at) = gone.iter().find(|at| sides[**at] != fixed(1)) {
        return Err(Error::input(format!("axis {at} of {} cannot be squeezed away", dim::list(&sides))));
    }
    let to: Vec<Dim> = (0..sides.len()).filter(|at| gone.binary_search(at).is_err()).map(|at| sides[at]).collect();
    Ok(vec![moves::reshape(writer, call.name, x, &to)?])
}

pub(super) fn unsqueeze(writer: &mut Writer, call: &Call) -> Result<Vec<Value>> {
    let x = call.value(0)?;
    let list = call.list("axes", 1, 13)?.ok_or_else(|| Error::input("it has no axes"))?;
    let new = axes(&list, x.rank() + list.len())?;
    let mut rest = x.sides().into_iter();
    let to: Vec<Dim> =
        (0..x.rank() + new.len()).filter_map(|at| if new.binary_search(&at).is_ok() { Some(fixed(1)) } else { rest.next() }).collect();
    Ok(vec![moves::reshape(writer, call.name, x, &to)?])
}

pub(super) fn transpose(writer: &mut Writer, call: &Call) -> Result<Vec<Value>> {
    let x = call.value(0)?;
    let rank = x.rank();
    let order = match call.ints("perm")? {
        Some(list) if list.len() == rank => {
            axes(&list, rank)?;
            list.iter().map(|at| axis(*at, rank)).collect::<Result<_>>()?
        }
        Some(list) => return Err(Error::input(format!("perm has {} axes, the value {rank}", list.len()))),
        None => (0..rank).rev().collect::<Vec<_>>(),
    };
    Ok(vec![moves::transpose(writer, call.name, x, &order)?])
}

pub(super) fn expand(writer: &mut Writer, call: &Call) -> Result<Vec<Value>> {
    let x = call.value(0)?;
    let mut wanted = sides_of(call, 1)?;
    let sides = x.sides();
    if let (Some(batch), Some(first)) = (writer.batch, wanted.first_mut())
        && *first == fixed(batch)
        && (batch > 1 || sides.first() == Some(&Dim::EXAMPLES))
    {
        *first = Dim::EXAMPLES;
        writer.note(BATCH_NOTE);
    }
    let to = moves::broadcast(&sides, &wanted)?;
    Ok(vec![moves::expand(writer, call.name, x, &to)?])
}

pub(super) fn constant_of_shape(writer: &mut Writer, call: &Call) -> Result<Vec<Value>> {
    let sides = sides_of(call, 0)?;
    let value = match call.attribute("value").and_then(|attribute| attribute.tensor.as_ref()) {
        Some(tensor) => tensor::decode(tensor, None)?,
        None => Value::floats(Array::scalar(0.0)),
    };
    let single = moves::reshape(writer, call.name, &value, &[])?;
    Ok(vec![moves::expand(writer, call.name, &single, &sides)?])
}

/// Blocks of channels become squares of pixels.
pub(super) fn depth_to_space(writer: &mut Writer, call: &Call) -> Result<Vec<Value>> {
    let (x, [n, c, h, w], block) = blocks(call)?;
    let deep = divide(c, multiply(block, block)?)?;
    let mode = call.text("mode", "DCR")?;
    let (apart, order) = match mode.as_str() {
        "DCR" => ([n, block, block, deep, h, w], [0, 3, 4, 1, 5, 2]),
        "CRD" => ([n, deep, block, block, h, w], [0, 1, 4, 2, 5, 3]),
        other => return Err(unknown("mode", other, "DCR, CRD")),
    };
    let to = [n, deep, multiply(h, block)?, multiply(w, block)?];
    rearranged(writer, call, x, &apart, &order, &to)
}

/// Squares of pixels become blocks of channels.
pub(super) fn space_to_depth(writer: &mut Writer, call: &Call) -> Result<Vec<Value>> {
    let (x, [n, c, h, w], block) = blocks(call)?;
    let (rows, columns) = (divide(h, block)?, divide(w, block)?);
    let to = [n, multiply(c, multiply(block, block)?)?, rows, columns];
    rearranged(writer, call, x, &[n, c, rows, block, columns, block], &[0, 3, 5, 1, 2, 4], &to)
}

fn blocks<'a>(call: &'a Call) -> Result<(&'a Value, [Dim; 4], Dim)> {
    let x = call.value(0)?;
    let sides = <[Dim; 4]>::try_from(x.sides()).map_err(|sides| Error::input(format!("{} is not [N, C, H, W]", dim::list(&sides))))?;
    Ok((x, sides, fixed(call.int("blocksize", 0)?)))
}

fn rearranged(writer: &mut Writer, call: &Call, x: &Value, apart: &[Dim], order: &[usize], to: &[Dim]) -> Result<Vec<Value>> {
    let apart = moves::reshape(writer, call.name, x, apart)?;
    let turned = moves::transpose(writer, call.name, &apart, order)?;
    Ok(vec![moves::reshape(writer, call.name, &turned, to)?])
}
