//! Fixed sparse matrices: what all operations come to that move, drop, repeat, average or resize elements.

use super::lanes::{BLOCK, Lanes, Task};
use super::layout::Layout;
use crate::graph::PadMode;

/// A sparse matrix between the elements of two values, by rows: each is a sum of weights times elements.
#[derive(Clone, Debug, Default)]
pub(super) struct Rows {
    /// The element that a row gives.
    pub(super) to: Vec<u32>,
    /// Where a row's entries end; they begin where those of the row before end.
    pub(super) ends: Vec<u32>,
    /// Elements that are read.
    pub(super) from: Vec<u32>,
    pub(super) weights: Vec<f32>,
    /// Added to each row; or nothing.
    pub(super) shift: Vec<f32>,
}

impl Rows {
    fn push(&mut self, to: usize, entries: impl IntoIterator<Item = (usize, f32)>) {
        self.to.push(to as u32);
        for (from, weight) in entries {
            self.from.push(from as u32);
            self.weights.push(weight);
        }
        self.ends.push(self.from.len() as u32);
    }

    /// Row i has the i-th entries.
    pub(super) fn of(entries: Vec<Vec<(usize, f32)>>) -> Self {
        let mut rows = Self::default();
        entries.into_iter().enumerate().for_each(|(to, entries)| rows.push(to, entries));
        rows
    }

    /// Row i reads the element `from(i)` alone, or none.
    pub(super) fn picked(count: usize, from: impl Fn(usize) -> Option<usize>) -> Self {
        let mut rows = Self::default();
        (0..count).for_each(|to| rows.push(to, from(to).map(|from| (from, 1.0))));
        rows
    }

    /// The matrix that gives back, for gradients of the results, those of the `count` elements that are read.
    pub(super) fn transposed(&self, count: usize) -> Self {
        let mut entries: Vec<Vec<(usize, f32)>> = vec![Vec::new(); count];
        let mut begin = 0;
        for (&to, &end) in self.to.iter().zip(&self.ends) {
            for at in begin..end as usize {
                entries[self.from[at] as usize].push((to as usize, self.weights[at]));
            }
            begin = end as usize;
        }
        Self::of(entries)
    }

    /// With places in memory instead of elements.
    pub(super) fn placed(mut self, from: &Layout, to: &Layout) -> Self {
        self.from.iter_mut().for_each(|at| *at = from.position(*at as usize) as u32);
        self.to.iter_mut().for_each(|at| *at = to.position(*at as usize) as u32);
        self
    }
}

/// Index, within sides, of coordinates.
pub(super) fn index(sides: &[usize], at: &[usize]) -> usize {
    sides.iter().zip(at).fold(0, |index, (side, at)| index * side + at)
}

/// Coordinates, within sides, of an index.
pub(super) fn coordinates(sides: &[usize], mut index: usize) -> Vec<usize> {
    let mut at = vec![0; sides.len()];
    for (place, side) in at.iter_mut().zip(sides).rev() {
        *place = index % side;
        index /= side;
    }
    at
}

/// Every element of `to` from one of `from`, or none, by coordinates.
pub(super) fn moved(from: &[usize], to: &[usize], source: impl Fn(&[usize]) -> Option<Vec<usize>>) -> Rows {
    Rows::picked(to.iter().product(), |at| source(&coordinates(to, at)).map(|at| index(from, &at)))
}

/// Windows of a plane, each axis by itself: for every result, which elements along the axis it reads and how much of each.
pub(super) type Axis = Vec<Vec<(usize, f32)>>;

/// Planes [channels, rows, columns] that are summed by windows along both axes.
pub(super) fn separable([channels, rows, columns]: [usize; 3], down: &Axis, across: &Axis) -> Rows {
    let mut result = Rows::default();
    let windows = down.iter().flat_map(|down| across.iter().map(move |across| (down, across)));
    let windows: Vec<_> = windows.collect();
    for channel in 0..channels {
        for (window, (down, across)) in windows.iter().enumerate() {
            let entries = down.iter().flat_map(|&(row, weight)| {
                across.iter().map(move |&(column, other)| ((channel * rows + row) * columns + column, weight * other))
            });
            result.push(channel * windows.len() + window, entries);
        }
    }
    result
}

/// Where padding reads along an axis: position within the padded side, pads before, and the side; `None` outside under a constant.
pub(super) fn padded(at: usize, before: i64, side: usize, mode: PadMode) -> Option<usize> {
    let (at, last) = (at as i64 - before, side as i64 - 1);
    let at = match mode {
        PadMode::Constant(_) => at,
        PadMode::Edge => at.clamp(0, last),
        PadMode::Reflect if at < 0 => -at,
        PadMode::Reflect if at > last => 2 * last - at,
        PadMode::Reflect => at,
    };
    (0..=last).contains(&at).then_some(at as usize)
}

/// Rows over given memory.
pub(super) struct Sum<'a> {
    pub(super) rows: &'a Rows,
    pub(super) input: *const f32,
    pub(super) output: *mut f32,
}

impl Task for Sum<'_> {
    #[inline(always)]
    unsafe fn run<V: Lanes>(self) {
        let mut begin = 0;
        for (row, (&to, &end)) in self.rows.to.iter().zip(&self.rows.ends).enumerate() {
            let entries = begin..end as usize;
            begin = entries.end;
            let shift = self.rows.shift.get(row).copied().unwrap_or(0.0);
            for part in (0..BLOCK).step_by(V::WIDTH) {
                // SAFETY: the compiler of the plan placed every element inside the values.
                unsafe {
                    let mut sum = V::splat(shift);
                    for at in entries.clone() {
                        let seen = V::load(self.input.add(BLOCK * self.rows.from[at] as usize + part));
                        sum = seen.multiply_add(V::splat(self.rows.weights[at]), sum);
                    }
                    sum.store(self.output.add(BLOCK * to as usize + part));
                }
            }
        }
    }
}
