//! One recipe trained with several seeds: its mean accuracy, and how far the seeds lie apart.

use statrs::distribution::{ContinuousCDF, StudentsT};

use super::interval::{CONFIDENCE, wilson};

/// Training seeds that a statement about a recipe needs; with fewer it is one about these weights.
pub const SEEDS_NEEDED: usize = 3;

/// A share over the seeds of a recipe.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    /// How many seeds.
    pub seeds: usize,
    /// Mean over the seeds.
    pub mean: f64,
    /// The smallest.
    pub low: f64,
    /// The largest.
    pub high: f64,
    /// Sample standard deviation (n - 1); 0 for one seed.
    pub deviation: f64,
    /// 95 % interval of the mean, over the choice of examples and of seeds.
    pub ci95: [f64; 2],
}

/// The shares that one recipe's seeds keep of the same `examples`; `None` without a share.
///
/// The interval puts together Wilson's of the mean, for the choice of examples, and Student's t over the seeds (k - 1 degrees of freedom),
/// for the choice of seeds, by squaring and adding the distances from the mean on either side (Zou and Donner, "Construction of confidence
/// limits about effect measures: a general approach", Statistics in Medicine 27, 2008). For one seed it is Wilson's. Within [0, 1].
pub fn spread(shares: &[f64], examples: usize) -> Option<Spread> {
    let seeds = shares.len();
    let count = seeds as f64;
    if seeds == 0 {
        return None;
    }
    let mean = shares.iter().sum::<f64>() / count;
    let squares: f64 = shares.iter().map(|share| (share - mean).powi(2)).sum();
    let deviation = if seeds > 1 { (squares / (count - 1.0)).sqrt() } else { 0.0 };
    let successes = (mean * examples as f64).round().clamp(0.0, examples as f64) as usize;
    let [below, above] = wilson(successes, examples, CONFIDENCE);
    let reach = if seeds > 1 {
        let student = StudentsT::new(0.0, 1.0, count - 1.0).expect("there is a degree of freedom");
        student.inverse_cdf((1.0 + CONFIDENCE) / 2.0) * deviation / count.sqrt()
    } else {
        0.0
    };
    let ci95 = if reach > 0.0 {
        [(mean - (mean - below).hypot(reach)).max(0.0), (mean + (above - mean).hypot(reach)).min(1.0)]
    } else {
        [below, above]
    };
    let (low, high) = shares.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), &share| (low.min(share), high.max(share)));
    Some(Spread { seeds, mean, low, high, deviation, ci95 })
}
