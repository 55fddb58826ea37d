//! Two accuracies on the same examples: what flipped, whether that may be chance, and how far the difference may lie from the true one.

use serde::{Deserialize, Serialize};
use statrs::distribution::{Binomial, ContinuousCDF, DiscreteCDF, Normal};

/// The examples of a comparison by where they were decided rightly, and stayed so: in the first, A, in the second, B.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// In both.
    pub both: usize,
    /// In A alone: lost from A to B.
    pub only_a: usize,
    /// In B alone: gained from A to B.
    pub only_b: usize,
    /// In neither.
    pub neither: usize,
}

impl Counts {
    /// Counts pairs of (robust in A, robust in B).
    pub fn of(pairs: impl IntoIterator<Item = (bool, bool)>) -> Self {
        let mut counts = Self::default();
        for pair in pairs {
            *match pair {
                (true, true) => &mut counts.both,
                (true, false) => &mut counts.only_a,
                (false, true) => &mut counts.only_b,
                (false, false) => &mut counts.neither,
            } += 1;
        }
        counts
    }

    /// How many examples there are.
    pub fn examples(&self) -> usize {
        self.both + self.only_a + self.only_b + self.neither
    }

    /// The share of A and that of B; 0 without any example.
    pub fn accuracies(&self) -> [f64; 2] {
        [self.both + self.only_a, self.both + self.only_b].map(|count| count as f64 / self.examples().max(1) as f64)
    }

    /// The share of B less that of A, in [-1, 1].
    pub fn difference(&self) -> f64 {
        (self.only_b as f64 - self.only_a as f64) / self.examples().max(1) as f64
    }

    fn swapped(&self) -> Self {
        Self { only_a: self.only_b, only_b: self.only_a, ..*self }
    }
}

/// McNemar's exact test of equal shares, two-sided (McNemar, "Note on the sampling error of the difference between correlated proportions or
/// percentages", Psychometrika 12, 1947): the flips of one direction are binomial with 1/2 among all flips. 1 where nothing flipped.
pub fn mcnemar(counts: &Counts) -> f64 {
    let flips = (counts.only_a + counts.only_b) as u64;
    let fewer = counts.only_a.min(counts.only_b) as u64;
    let chance = Binomial::new(0.5, flips).expect("a half is a probability");
    (2.0 * chance.cdf(fewer)).min(1.0)
}

/// Two-sided interval of [`Counts::difference`]: all differences that the score test for paired shares does not refuse (Tango, "Equivalence
/// test and confidence interval for the difference in proportions for the paired-sample design", Statistics in Medicine 17, 1998).
/// Unlike an interval from the two shares' own it keeps a width where nothing flipped.
///
/// `confidence` lies in (0, 1). Within [-1, 1]; without any example it is [-1, 1].
///
/// # Panics
/// Where `confidence` is outside (0, 1).
pub fn difference_interval(counts: &Counts, confidence: f64) -> [f64; 2] {
    let z = quantile((1.0 + confidence) / 2.0);
    [-largest_loss(counts, z), largest_loss(&counts.swapped(), z)]
}

/// One-sided upper bound of the loss, the share of A less that of B, from the same test; 1 without any example.
///
/// # Panics
/// Where `confidence` is outside (0, 1).
pub fn loss_upper(counts: &Counts, confidence: f64) -> f64 {
    largest_loss(counts, quantile(confidence))
}

/// The fewest examples with which [`loss_upper`] is below `margin` if none of them flips: it is z²/(n + z²) then.
///
/// # Panics
/// Where `confidence` or `margin` is outside (0, 1).
pub fn examples_needed(margin: f64, confidence: f64) -> usize {
    assert!(margin > 0.0 && margin < 1.0, "a margin of {margin} is outside (0, 1)");
    let z2 = quantile(confidence).powi(2);
    (z2 * (1.0 - margin) / margin).floor() as usize + 1
}

/// Adjusted p values in the order of `values` (Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of
/// Statistics 6, 1979): all comparisons below a level at once err with at most that probability, however they hang together.
pub fn holm(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[a].total_cmp(&values[b]));
    let mut adjusted = vec![0.0; values.len()];
    let mut largest: f64 = 0.0;
    for (rank, &at) in order.iter().enumerate() {
        largest = largest.max(values[at] * (values.len() - rank) as f64).min(1.0);
        adjusted[at] = largest;
    }
    adjusted
}

fn quantile(confidence: f64) -> f64 {
    assert!(confidence > 0.0 && confidence < 1.0, "a confidence of {confidence} is outside (0, 1)");
    Normal::standard().inverse_cdf(confidence)
}

/// The largest loss whose score is not below -z; the score falls as the loss grows.
fn largest_loss(counts: &Counts, z: f64) -> f64 {
    if counts.examples() == 0 || score(counts, 1.0) >= -z {
        return 1.0;
    }
    let (mut held, mut refused) = (-counts.difference(), 1.0);
    for _ in 0..64 {
        let middle = f64::midpoint(held, refused);
        *if score(counts, middle) >= -z { &mut held } else { &mut refused } = middle;
    }
    f64::midpoint(held, refused)
}

/// Tango's score of a loss (his equation 6): with the share of gains at its likeliest value, given the loss.
fn score(counts: &Counts, loss: f64) -> f64 {
    let [n, lost, gained] = [counts.examples(), counts.only_a, counts.only_b].map(|count| count as f64);
    let a = 2.0 * n;
    let b = (2.0 * n - lost + gained) * loss - lost - gained;
    let c = -gained * loss * (1.0 - loss);
    let gains = ((b * b - 4.0 * a * c).max(0.0).sqrt() - b) / (2.0 * a);
    let above = lost - gained - n * loss;
    let variance = n * (2.0 * gains + loss * (1.0 - loss));
    if above == 0.0 { 0.0 } else { above / variance.max(0.0).sqrt() }
}
