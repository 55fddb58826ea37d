//! Rounding: what keeps a bound sound although numbers are rounded, those of the bound and those of the network that it bounds.
//!
//! The networks are run in f32 and bounded in f64. A sum of n products that is computed in any order, with or without fused
//! multiply-add, is off by at most `gamma(n)` times the sum of the products' sizes (Higham, "Accuracy and Stability of Numerical
//! Algorithms", 2002, section 3.1). So a layer that computes y = W x + b from inputs whose sizes are at most m gives
//! `|computed - exact| <= gamma32 (|W| m + |b|)`, and the bound's own sums are off by `gamma64` of the same. Both are added to every
//! bound. This holds for multiplication and addition as IEEE 754 has them; convolutions by Winograd's or Fourier's transform and products
//! in formats shorter than f32 are outside of it, and the engine uses neither. Exponentials and their kin, which no standard rounds,
//! are taken to be right to 2^-16 of the larger of 1 and their size.

/// Half a unit in the last place of 1, f32.
const UNIT_32: f64 = 5.960_464_477_539_063e-8;

/// Half a unit in the last place of 1, f64.
const UNIT_64: f64 = 1.110_223_024_625_156_5e-16;

/// More products than a sum may have.
pub(super) const MOST_TERMS: usize = 1 << 22;

/// Covers the roundings of the slacks themselves, each of which is a sum of fewer than [`MOST_TERMS`] positive numbers.
pub(super) const OUTWARD: f64 = 1.0 + 1e-8;

/// How far functions that no standard rounds are trusted.
pub(super) const TRANSCENDENTAL: f64 = 1.0 / 65_536.0;

/// Covers numbers too small to be normal, which devices may take for 0: for each product 2^-126 times a weight below 2^20.
const SMALLEST: f64 = 1.3e-32;

/// How the network that is bounded computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arithmetic {
    /// As every device of this engine does: what is certified holds for what is attacked.
    F32,
    /// Without rounding, as most of the literature has it: for comparisons.
    Real,
}

impl Arithmetic {
    /// A bound of the relative error of a sum of `terms` products as the network computes it.
    pub(super) fn gamma(self, terms: usize) -> f64 {
        match self {
            Self::F32 => gamma(terms, UNIT_32),
            Self::Real => 0.0,
        }
    }

    /// A bound of the absolute error of such a sum that is left where numbers are too small to be normal.
    pub(super) fn smallest(self, terms: usize) -> f64 {
        if self == Self::F32 { SMALLEST * terms as f64 } else { 0.0 }
    }
}

/// As [`Arithmetic::gamma`] for the bound's own sums.
pub(super) fn gamma64(terms: usize) -> f64 {
    gamma(terms, UNIT_64)
}

fn gamma(terms: usize, unit: f64) -> f64 {
    let share = terms as f64 * unit;
    share / (1.0 - share) * OUTWARD
}

/// A lower bound in the making: a sum, and what it may be off by.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Lower {
    value: f64,
    slack: f64,
}

impl Lower {
    /// Adds a term that is off by at most `slack`.
    pub(super) fn add(&mut self, term: f64, slack: f64) {
        self.value += term;
        self.slack += slack + 2.0 * UNIT_64 * self.value.abs();
    }

    /// The bound; minus infinity where a number overflowed.
    pub(super) fn bound(self) -> f64 {
        let bound = self.value - self.slack * OUTWARD;
        if bound.is_finite() { bound.next_down() } else { f64::NEG_INFINITY }
    }
}
