//! Sides of values, linear in the number of examples N.

use std::fmt;

use super::Dim;

impl Dim {
    /// N itself.
    pub const EXAMPLES: Self = Self { per_example: 1, fixed: 0 };

    /// The side where it does not depend on N.
    pub fn size(self) -> Option<usize> {
        if self.per_example == 0 { usize::try_from(self.fixed).ok() } else { None }
    }

    /// The side with that many examples; 0 where it would be negative or too large to count.
    pub fn at(self, examples: usize) -> usize {
        let examples = i64::try_from(examples).ok();
        let side = examples.and_then(|examples| self.per_example.checked_mul(examples)).and_then(|side| side.checked_add(self.fixed));
        side.and_then(|side| usize::try_from(side).ok()).unwrap_or(0)
    }

    /// The sum; `None` where it overflows.
    pub fn plus(self, other: Self) -> Option<Self> {
        Some(Self { per_example: self.per_example.checked_add(other.per_example)?, fixed: self.fixed.checked_add(other.fixed)? })
    }

    /// The product; `None` where it overflows or would hold N twice.
    pub fn times(self, other: Self) -> Option<Self> {
        let (many, one) = if other.per_example == 0 { (self, other) } else { (other, self) };
        if one.per_example != 0 {
            return None;
        }
        Some(Self { per_example: many.per_example.checked_mul(one.fixed)?, fixed: many.fixed.checked_mul(one.fixed)? })
    }

    /// Whether the side is at least 1 for every N from 1 on.
    pub fn is_positive(self) -> bool {
        self.per_example >= 0 && self.per_example.checked_add(self.fixed).is_some_and(|least| least >= 1)
    }
}

impl From<usize> for Dim {
    fn from(side: usize) -> Self {
        Self { per_example: 0, fixed: i64::try_from(side).unwrap_or(i64::MAX) }
    }
}

impl fmt::Display for Dim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.per_example, self.fixed) {
            (0, fixed) => write!(f, "{fixed}"),
            (1, 0) => write!(f, "N"),
            (per_example, 0) => write!(f, "{per_example} N"),
            (1, fixed) => write!(f, "N + {fixed}"),
            (per_example, fixed) => write!(f, "{per_example} N + {fixed}"),
        }
    }
}

/// Sides as text: `[N, 3, 32, 32]`.
pub(super) fn text(sides: &[Dim]) -> String {
    let sides: Vec<String> = sides.iter().map(Dim::to_string).collect();
    format!("[{}]", sides.join(", "))
}

/// How many elements there are; `None` where that overflows or is not linear in N.
pub(super) fn elements(sides: &[Dim]) -> Option<Dim> {
    sides.iter().try_fold(Dim::from(1), |product, &side| product.times(side))
}

/// Sides broadcast as NumPy does; `None` where they do not fit.
pub(super) fn broadcast(a: &[Dim], b: &[Dim]) -> Option<Vec<Dim>> {
    let rank = a.len().max(b.len());
    let side = |sides: &[Dim], at: usize| (at + sides.len()).checked_sub(rank).map_or(Dim::from(1), |at| sides[at]);
    let both = |at| match (side(a, at), side(b, at)) {
        (a, b) if a == b || b == Dim::from(1) => Some(a),
        (a, b) if a == Dim::from(1) => Some(b),
        _ => None,
    };
    (0..rank).map(both).collect()
}
