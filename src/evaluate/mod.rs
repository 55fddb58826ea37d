//! From outcomes to numbers: accuracies with intervals, worst cases, costs, checks.

pub mod accuracy;
pub mod audit;
pub mod cost;
pub mod interval;
pub mod record;
pub mod results;
