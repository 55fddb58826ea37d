//! Seconds on a clock as costs: how far apart two must lie to count as different.

use super::super::view::View;
use super::Line;
use crate::evaluate::results::DefenceTiming;

/// The factor within which two timings are never told apart: each was taken once, on a machine that may have had other work.
pub const LEAST: f64 = 1.25;

/// A factor between timings, and where it comes from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Slack {
    /// Timings within this factor of each other count as equal.
    pub factor: f64,
    /// Whether it is how far the seeds of one recipe lie apart, which do the same work.
    pub measured: bool,
}

impl Slack {
    /// The largest factor between the seeds of one recipe, and [`LEAST`] where that is smaller or there are none.
    pub fn of(view: &View, lines: &[Line], seconds: fn(&DefenceTiming) -> Option<f64>) -> Self {
        let apart = |line: &Line| {
            let seconds = line.seconds(view, seconds)?;
            let (low, high) = seconds.iter().fold((f64::INFINITY, 0.0f64), |(low, high), &next| (low.min(next), high.max(next)));
            (low > 0.0).then_some(high / low)
        };
        let measured = lines.iter().filter_map(apart).fold(1.0, f64::max);
        Self { factor: measured.max(LEAST), measured: measured > LEAST }
    }

    /// How timings were counted.
    pub fn words(&self) -> String {
        let why = if self.measured { ": so far apart lie the seeds of one recipe, which do the same work" } else { "" };
        format!("Seconds of the clock: two within a factor of {:.2} of each other count as equal (level whiskers touch){why}.", self.factor)
    }
}
