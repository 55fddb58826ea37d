//! Whole numbers that are linear in the number of examples N >= 1: sides of values, and what graphs reckon from them.

use std::cmp::Ordering;

use crate::graph::Dim;
use crate::{Error, Result};

/// A number without N.
pub(super) fn fixed(number: i64) -> Dim {
    Dim { per_example: 0, fixed: number }
}

/// The sides of a constant.
pub(super) fn sides(sides: &[usize]) -> Vec<Dim> {
    sides.iter().map(|side| fixed(*side as i64)).collect()
}

/// The number, where N is not in it.
pub(super) fn number(dim: Dim) -> Option<i64> {
    (dim.per_example == 0).then_some(dim.fixed)
}

/// Such as `[N, 3, 32, 32]`.
pub(super) fn list(dims: &[Dim]) -> String {
    format!("[{}]", dims.iter().map(Dim::to_string).collect::<Vec<_>>().join(", "))
}

fn checked(per_example: Option<i64>, fixed: Option<i64>) -> Result<Dim> {
    match (per_example, fixed) {
        (Some(per_example), Some(fixed)) => Ok(Dim { per_example, fixed }),
        _ => Err(Error::input("a whole number leaves the range of 64 bits")),
    }
}

fn bent(a: Dim, sign: &str, b: Dim) -> Error {
    Error::input(format!("({a}) {sign} ({b}) cannot be worked out for every number of examples N"))
        .help("export the model for whole batches: no arithmetic on the batch dimension but copying it into a shape")
}

pub(super) fn add(a: Dim, b: Dim) -> Result<Dim> {
    checked(a.per_example.checked_add(b.per_example), a.fixed.checked_add(b.fixed))
}

pub(super) fn subtract(a: Dim, b: Dim) -> Result<Dim> {
    checked(a.per_example.checked_sub(b.per_example), a.fixed.checked_sub(b.fixed))
}

pub(super) fn multiply(a: Dim, b: Dim) -> Result<Dim> {
    match (number(a), number(b)) {
        (Some(scale), _) => checked(b.per_example.checked_mul(scale), b.fixed.checked_mul(scale)),
        (_, Some(scale)) => checked(a.per_example.checked_mul(scale), a.fixed.checked_mul(scale)),
        _ => Err(bent(a, "*", b)),
    }
}

/// Division that drops the remainder, towards zero as ONNX's Div of integers does.
pub(super) fn divide(a: Dim, b: Dim) -> Result<Dim> {
    if b.per_example == 0 {
        if b.fixed == 0 {
            return Err(Error::input("a whole number is divided by 0"));
        }
        if a.per_example == 0 || (a.per_example.checked_rem(b.fixed) == Some(0) && a.fixed.checked_rem(b.fixed) == Some(0)) {
            return checked(a.per_example.checked_div(b.fixed), a.fixed.checked_div(b.fixed));
        }
    } else if a.fixed == 0 && b.fixed == 0 && a.per_example.checked_rem(b.per_example) == Some(0) {
        return checked(Some(0), a.per_example.checked_div(b.per_example));
    }
    Err(bent(a, "/", b))
}

/// The remainder with the divisor's sign (`truncated`: with the dividend's).
pub(super) fn remainder(a: Dim, b: Dim, truncated: bool) -> Result<Dim> {
    let (Some(x), Some(y)) = (number(a), number(b)) else { return Err(bent(a, "mod", b)) };
    let rest = x.checked_rem(y).ok_or_else(|| Error::input("a whole number is divided by 0"))?;
    Ok(fixed(if !truncated && rest != 0 && (rest < 0) != (y < 0) { rest + y } else { rest }))
}

/// How two compare, where it is the same for every N >= 1.
pub(super) fn compare(a: Dim, b: Dim) -> Result<Ordering> {
    let gap = subtract(a, b)?;
    let least = gap.per_example.checked_add(gap.fixed).ok_or_else(|| bent(a, "<", b))?;
    match gap.per_example.signum() {
        0 => Ok(gap.fixed.cmp(&0)),
        1 if least > 0 => Ok(Ordering::Greater),
        -1 if least < 0 => Ok(Ordering::Less),
        _ => Err(bent(a, "<", b)),
    }
}

/// Product of sides: how many elements a value has.
pub(super) fn product(dims: &[Dim]) -> Result<Dim> {
    dims.iter().try_fold(fixed(1), |product, dim| multiply(product, *dim))
}
