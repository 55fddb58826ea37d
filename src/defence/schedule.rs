//! How the learning rate falls.

/// A schedule over all steps of a training.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Schedule {
    Constant,
    Cosine,
    Linear,
    Step,
}

impl Schedule {
    pub(super) fn named(name: Option<&str>) -> Self {
        match name {
            Some("cosine") => Schedule::Cosine,
            Some("linear") => Schedule::Linear,
            Some("step") => Schedule::Step,
            _ => Schedule::Constant,
        }
    }

    /// The factor on the first rate at `step` of `steps`.
    pub(super) fn factor(self, step: usize, steps: usize) -> f64 {
        let done = step as f64 / steps.max(1) as f64;
        match self {
            Schedule::Constant => 1.0,
            Schedule::Cosine => 0.5 * (1.0 + (std::f64::consts::PI * done).cos()),
            Schedule::Linear => 1.0 - done,
            Schedule::Step if done < 0.5 => 1.0,
            Schedule::Step if done < 0.75 => 0.1,
            Schedule::Step => 0.01,
        }
    }
}
