//! Convolutions and dense layers.

use super::super::array::Array;
use super::super::call::Call;
use super::super::dim::{self, fixed};
use super::super::moves;
use super::super::value::{Live, Value};
use super::super::writer::Writer;
use super::pair::both;
use super::window::{Window, slide};
use crate::graph::{Binary, Dim, Op};
use crate::{Error, Result};

pub(super) fn conv(writer: &mut Writer, call: &Call) -> Result<Vec<Value>> {
    let x = call.live(0, writer)?;
    let weight = call.value(1)?;
    let mut sides = weight.sides();
    if sides.len() != x.sides.len() || sides.len() < 3 {
        return Err(Error::input(format!("a weight {} for {}", dim::list(&sides), dim::list(&x.sides))));
    }
    let kernel: Vec<i64> = sides[2..].iter().map(|side| if side.per_example == 0 { side.fixed } else { 0 }).collect();
    if call.ints("kernel_shape")?.is_some_and(|stated| stated != kernel) {
        return Err(Error::input(format!("kernel_shape differs from the weight's sides {}", dim::list(&sides))));
    }
    let window = Window::read(call, &x, &kernel)?;
    if sides.len() == 3 {
        sides.insert(2, fixed(1));
    }
    let weight = moves::reshape(writer, call.name, weight, &sides)?;
    let weight = writer.weight(&weight, call.name)?;
    let bias = call.optional(2).map(|bias| writer.weight(bias, call.name)).transpose()?;
    let groups = usize::try_from(call.int("group", 1)?).map_err(|_| Error::input("a negative number of groups"))?;
    let op = Op::Conv { stride: window.stride, padding: window.padding, dilation: window.dilation, groups };
    let rest: Vec<&Live> = std::iter::once(&weight).chain(&bias).collect();
    slide(writer, call, op, &x, &rest)
}

/// alpha A B + beta C, A and B turned where the file says so.
pub(super) fn gemm(writer: &mut Writer, call: &Call) -> Result<Vec<Value>> {
    let (alpha, beta) = (call.float("alpha", 1.0)?, call.float("beta", 1.0)?);
    let mut a = call.value(0)?.clone();
    let b = call.value(1)?;
    if a.rank() != 2 || b.rank() != 2 {
        return Err(Error::input(format!("{} times {}: two matrices are wanted", dim::list(&a.sides()), dim::list(&b.sides()))));
    }
    if call.flag("transA")? {
        a = moves::transpose(writer, call.name, &a, &[1, 0])?;
    }
    let turned = call.flag("transB")?;
    let bias = match call.optional(2) {
        Some(bias) => Some(scaled(writer, call.name, bias, beta)?),
        None => None,
    };
    if matches!(b, Value::Live(_)) {
        let b = if turned { moves::transpose(writer, call.name, b, &[1, 0])? } else { b.clone() };
        let [left, right] = [writer.live(&a, call.name)?, writer.live(&b, call.name)?];
        let product = writer.emit(call.name, Op::MatMul, &[&left, &right])?.into();
        let product = scaled(writer, call.name, &product, alpha)?;
        return Ok(vec![match bias {
            Some(bias) => both(writer, call.name, &product, &bias, Binary::Add)?,
            None => product,
        }]);
    }
    let weight = scaled(writer, call.name, b, alpha)?;
    let weight = if turned { weight } else { moves::transpose(writer, call.name, &weight, &[1, 0])? };
    let product = Value::from(dense(writer, call.name, &a, &weight)?);
    match bias {
        Some(bias) => {
            let bias = spread(writer, call.name, bias, &weight)?;
            super::pair::add(writer, &Call { inputs: vec![Some(product), Some(bias)], ..*call })
        }
        None => Ok(vec![product]),
    }
}

/// A bias of one number for all outputs, as one a output.
fn spread(writer: &mut Writer, name: &str, bias: Value, weight: &Value) -> Result<Value> {
    match &bias {
        Value::Floats { array, .. } if array.values.len() == 1 && array.sides.len() <= 2 => {
            let single = moves::reshape(writer, name, &bias, &[fixed(1)])?;
            moves::expand(writer, name, &single, &weight.sides()[..1])
        }
        _ => Ok(bias),
    }
}

/// A value times a number.
fn scaled(writer: &mut Writer, name: &str, value: &Value, scale: f32) -> Result<Value> {
    if scale == 1.0 {
        return Ok(value.clone());
    }
    if let Value::Floats { array, origin } = value {
        return Ok(Value::Floats { array: array.map(&writer.budget, |x| Ok(x * scale))?.into(), origin: origin.clone() });
    }
    both(writer, name, value, &Value::floats(Array::line(vec![scale])), Binary::Multiply)
}

/// x [.., in] times a weight [out, in].
fn dense(writer: &mut Writer, name: &str, x: &Value, weight: &Value) -> Result<Live> {
    let x = writer.live(x, name)?;
    let weight = writer.weight(weight, name)?;
    writer.emit(name, Op::Linear, &[&x, &weight])
}

/// A matrix product as NumPy's; with a constant matrix on the right it is a dense layer.
pub(super) fn matmul(writer: &mut Writer, call: &Call) -> Result<Vec<Value>> {
    let (a, b) = (call.value(0)?, call.value(1)?);
    let (left, right) = (a.sides(), b.sides());
    if left.is_empty() || right.is_empty() {
        return Err(Error::input("a matrix product with a single number"));
    }
    // A vector is a row on the left and a column on the right; its axis goes again.
    let row = [&[fixed(1)], &left[..]].concat();
    let column = [&right[..], &[fixed(1)]].concat();
    let a = if left.len() == 1 { moves::reshape(writer, call.name, a, &row)? } else { a.clone() };
    let b = if right.len() == 1 { moves::reshape(writer, call.name, b, &column)? } else { b.clone() };
    let product = if b.rank() == 2 && !matches!(b, Value::Live(_)) {
        let weight = moves::transpose(writer, call.name, &Value::Floats { array: writer.floats(&b)?, origin: origin(&b) }, &[1, 0])?;
        dense(writer, call.name, &a, &weight)?
    } else {
        let [a, b] = [writer.live(&a, call.name)?, writer.weight(&b, call.name)?];
        writer.emit(call.name, Op::MatMul, &[&a, &b])?
    };
    let mut to: Vec<Dim> = product.sides.clone();
    if left.len() == 1 {
        to.remove(to.len() - 2);
    }
    if right.len() == 1 {
        to.pop();
    }
    Ok(vec![moves::reshape(writer, call.name, &product.into(), &to)?])
}

fn origin(value: &Value) -> Option<std::rc::Rc<str>> {
    if let Value::Floats { origin, .. } = value { origin.clone() } else { None }
}
