//! Constants: arrays of numbers in row-major order, and how they are picked apart and put together.

use std::cell::Cell;

use crate::{Error, Result};

/// How many floats' worth of constants a file may still make while it is read: a few bytes can ask for terabytes.
pub(super) struct Budget(Cell<u64>);

/// Constants beyond what the file itself holds, in floats: 64 MiB.
pub(super) const ALLOWANCE: u64 = 1 << 24;

/// The most axes of a value.
pub(super) const MOST_AXES: usize = 8;

impl Budget {
    pub fn new(elements: u64) -> Self {
        Self(Cell::new(elements))
    }

    /// Books an array of these sides before it is made, by how large its elements are; how many there are.
    pub fn of<T>(&self, sides: &[usize]) -> Result<usize> {
        (1..size_of::<T>().div_ceil(size_of::<f32>())).try_for_each(|_| self.book(sides).map(drop))?;
        self.book(sides)
    }

    /// Books as many floats as these sides hold; how many that is.
    pub fn book(&self, sides: &[usize]) -> Result<usize> {
        // Sides of 0 count as 1, so that an array of nothing has no huge sides either.
        let filled: Vec<usize> = sides.iter().map(|side| (*side).max(1)).collect();
        let booked = product(&filled).filter(|count| *count as u64 <= self.0.get()).ok_or_else(|| {
            Error::input(format!("a constant of {} elements is too large", sides_text(sides)))
                .help("the file is damaged, or makes huge constants while it runs")
        })?;
        self.0.set(self.0.get() - booked as u64);
        Ok(if sides.contains(&0) { 0 } else { booked })
    }
}

/// A product of sides, where it can be counted.
pub(super) fn product(sides: &[usize]) -> Option<usize> {
    sides.iter().try_fold(1_usize, |product, side| product.checked_mul(*side))
}

fn sides_text(sides: &[usize]) -> String {
    let sides: Vec<String> = sides.iter().take(MOST_AXES).map(usize::to_string).collect();
    format!("[{}]", sides.join(", "))
}

/// Numbers of one kind.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Array<T> {
    pub sides: Vec<usize>,
    pub values: Vec<T>,
}

impl<T: Copy> Array<T> {
    pub fn scalar(value: T) -> Self {
        Self { sides: Vec::new(), values: vec![value] }
    }

    pub fn line(values: Vec<T>) -> Self {
        Self { sides: vec![values.len()], values }
    }

    /// The same numbers under other sides, whose product must be theirs.
    pub fn reshape(&self, sides: &[usize], budget: &Budget) -> Result<Self> {
        if product(sides) != Some(self.values.len()) {
            return Err(Error::input(format!("{} elements do not fill {}", self.values.len(), sides_text(sides))));
        }
        budget.of::<T>(sides)?;
        Ok(Self { sides: sides.to_vec(), values: self.values.clone() })
    }

    pub fn map<U>(&self, budget: &Budget, f: impl FnMut(T) -> Result<U>) -> Result<Array<U>> {
        budget.of::<U>(&self.sides)?;
        Ok(Array { sides: self.sides.clone(), values: self.values.iter().copied().map(f).collect::<Result<_>>()? })
    }

    fn strides(&self) -> Vec<usize> {
        let mut strides = vec![1; self.sides.len()];
        for axis in (1..self.sides.len()).rev() {
            strides[axis - 1] = strides[axis] * self.sides[axis];
        }
        strides
    }

    /// Elements by their index along each axis.
    fn pick(&self, sides: &[usize], strides: &[usize], budget: &Budget) -> Result<Self> {
        let count = budget.of::<T>(sides)?;
        let mut values = Vec::with_capacity(count);
        let mut index = vec![0; sides.len()];
        let mut offset = 0;
        for _ in 0..count {
            values.push(self.values[offset]);
            for axis in (0..sides.len()).rev() {
                index[axis] += 1;
                offset += strides[axis];
                if index[axis] < sides[axis] {
                    break;
                }
                offset -= strides[axis] * sides[axis];
                index[axis] = 0;
            }
        }
        Ok(Self { sides: sides.to_vec(), values })
    }

    /// Axis i of the result is axis `axes[i]` of this.
    pub fn transpose(&self, axes: &[usize], budget: &Budget) -> Result<Self> {
        let strides = self.strides();
        let sides: Vec<usize> = axes.iter().map(|axis| self.sides[*axis]).collect();
        self.pick(&sides, &axes.iter().map(|axis| strides[*axis]).collect::<Vec<_>>(), budget)
    }

    /// Broadcast to `sides`, which [`broadcast`] gave.
    pub fn expand(&self, sides: &[usize], budget: &Budget) -> Result<Self> {
        let missing = sides.len() - self.sides.len();
        let own = self.strides();
        let strides: Vec<usize> =
            (0..sides.len()).map(|axis| if axis < missing || self.sides[axis - missing] == 1 { 0 } else { own[axis - missing] }).collect();
        self.pick(sides, &strides, budget)
    }

    /// Elements of an axis by index, each within the side; `shape` takes the axis's place.
    pub fn gather(&self, axis: usize, indices: &[usize], shape: &[usize], budget: &Budget) -> Result<Self> {
        let inner: usize = self.sides[axis + 1..].iter().product();
        let outer: usize = self.sides[..axis].iter().product();
        let sides = [&self.sides[..axis], shape, &self.sides[axis + 1..]].concat();
        let mut values = Vec::with_capacity(budget.of::<T>(&sides)?);
        for block in 0..outer {
            for index in indices {
                let start = (block * self.sides[axis] + index) * inner;
                values.extend_from_slice(&self.values[start..start + inner]);
            }
        }
        Ok(Self { sides, values })
    }

    /// Arrays that differ along `axis` alone, one after the other.
    pub fn concat(parts: &[&Self], axis: usize, budget: &Budget) -> Result<Self> {
        let mut sides = parts[0].sides.clone();
        sides[axis] = parts.iter().map(|part| part.sides[axis]).sum();
        let mut values = Vec::with_capacity(budget.of::<T>(&sides)?);
        let outer: usize = sides[..axis].iter().product();
        for block in 0..outer {
            for part in parts {
                let length: usize = part.sides[axis..].iter().product();
                values.extend_from_slice(&part.values[block * length..(block + 1) * length]);
            }
        }
        Ok(Self { sides, values })
    }

    /// Pairs of two arrays, broadcast as NumPy does.
    pub fn zip<U: Copy, V>(&self, other: &Array<U>, budget: &Budget, mut f: impl FnMut(T, U) -> Result<V>) -> Result<Array<V>> {
        let sides = broadcast(&self.sides, &other.sides)?;
        let (left, right) = (self.expand(&sides, budget)?, other.expand(&sides, budget)?);
        let values = left.values.into_iter().zip(right.values).map(|(a, b)| f(a, b)).collect::<Result<_>>()?;
        Ok(Array { sides, values })
    }
}

/// The sides that two arrays broadcast to.
pub(super) fn broadcast(left: &[usize], right: &[usize]) -> Result<Vec<usize>> {
    let axes = left.len().max(right.len());
    let side = |sides: &[usize], axis: usize| (axis + sides.len()).checked_sub(axes).map_or(1, |axis| sides[axis]);
    (0..axes)
        .map(|axis| match (side(left, axis), side(right, axis)) {
            (a, b) if a == b || b == 1 => Ok(a),
            (1, b) => Ok(b),
            _ => Err(Error::input(format!("{} and {} do not broadcast", sides_text(left), sides_text(right)))),
        })
        .collect()
}
