//! Pooling, and reductions over axes.

use super::super::array::Array;
use super::super::call::{Call, axes};
use super::super::dim::{self, compare, fixed};
use super::super::moves;
use super::super::value::Value;
use super::super::writer::Writer;
use super::window::{Window, slide};
use crate::graph::{Dim, Op, Reduction};
use crate::{Error, Result};

pub(super) fn max_pool(writer: &mut Writer, call: &Call) -> Result<Vec<Value>> {
    let x = call.live(0, writer)?;
    let Window { kernel, stride, padding, dilation } = Window::of_pool(call, &x)?;
    slide(writer, call, Op::MaxPool { kernel, stride, padding, dilation, ceil: call.flag("ceil_mode")? }, &x, &[])
}

pub(super) fn average_pool(writer: &mut Writer, call: &Call) -> Result<Vec<Value>> {
    let x = call.live(0, writer)?;
    let Window { kernel, stride, padding, dilation } = Window::of_pool(call, &x)?;
    if dilation != [1, 1] {
        return Err(
            Error::input("an average over windows with gaps").help("export with dilation 1, or as a convolution with equal weights")
        );
    }
    let count_padding = call.flag("count_include_pad")?;
    slide(writer, call, Op::AveragePool { kernel, stride, padding, count_padding, ceil: call.flag("ceil_mode")? }, &x, &[])
}

/// One number a channel.
pub(super) fn global(writer: &mut Writer, call: &Call, kind: Reduction) -> Result<Vec<Value>> {
    let x = call.live(0, writer)?;
    if x.sides.len() < 3 {
        return Err(Error::input(format!("{} has no pixels", dim::list(&x.sides))));
    }
    Ok(vec![writer.emit(call.name, Op::Reduce { kind, axes: (2..x.sides.len()).collect(), keep: true }, &[&x])?.into()])
}

/// Over axes, which are an input from opset `since` on.
pub(super) fn reduce(writer: &mut Writer, call: &Call, kind: Reduction, since: i64) -> Result<Vec<Value>> {
    let x = call.value(0)?;
    let listed = call.list("axes", 1, since)?.filter(|list| !list.is_empty());
    let over = match listed {
        Some(list) => axes(&list, x.rank())?,
        None if call.flag("noop_with_empty_axes")? => return Ok(vec![x.clone()]),
        None => (0..x.rank()).collect(),
    };
    let keep = call.int("keepdims", 1)? != 0;
    if let Value::Whole(array) = x
        && let Some(joint) = joint(kind)
        && over.len() == array.sides.len()
        && let Some((first, rest)) = array.values.split_first()
    {
        writer.budget.book(&array.sides)?;
        let all = rest.iter().try_fold(*first, |all, value| joint(all, *value))?;
        let sides = if keep { vec![fixed(1); over.len()] } else { Vec::new() };
        let single = Value::whole(Array::scalar(all));
        return Ok(vec![moves::reshape(writer, call.name, &single, &sides)?]);
    }
    let x = writer.live(x, call.name)?;
    if over.iter().any(|axis| x.sides[*axis].per_example != 0) {
        return Err(
            Error::input("it reduces over the examples of a batch").help("export the model so that every example is treated by itself")
        );
    }
    Ok(vec![writer.emit(call.name, Op::Reduce { kind, axes: over, keep }, &[&x])?.into()])
}

/// How two whole numbers become one.
fn joint(kind: Reduction) -> Option<fn(Dim, Dim) -> Result<Dim>> {
    Some(match kind {
        Reduction::Sum => dim::add,
        Reduction::Product => dim::multiply,
        Reduction::Max => |a, b| Ok(if compare(a, b)?.is_ge() { a } else { b }),
        Reduction::Min => |a, b| Ok(if compare(a, b)?.is_le() { a } else { b }),
        _ => return None,
    })
}
