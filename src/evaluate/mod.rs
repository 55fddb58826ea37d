//! From outcomes to numbers: accuracies with intervals, worst cases, costs, checks.

pub mod accuracy;
pub mod audit;
pub mod checks;
pub mod cost;
pub mod differences;
pub mod gains;
pub mod interval;
pub mod paired;
pub mod record;
pub mod results;
pub mod spread;
pub mod standing;
