//! How the learning rate rises and falls.

/// A schedule over all steps of a training.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Schedule {
    Constant,
    Cosine,
    Linear,
    Step,
    Cyclic,
    OneCycle,
}

/// Where the cycle of Wong et al. 2020 is highest, as their code has it.
const CYCLE_TOP: f64 = 0.4;

/// PyTorch's OneCycleLR: where it is highest, where it starts, and where it ends below its start.
const ONE_CYCLE_TOP: f64 = 0.3;
const ONE_CYCLE_START: f64 = 1.0 / 25.0;
const ONE_CYCLE_END: f64 = ONE_CYCLE_START / 1e4;

impl Schedule {
    pub(super) fn named(name: Option<&str>) -> Self {
        match name {
            Some("cosine") => Schedule::Cosine,
            Some("linear") => Schedule::Linear,
            Some("step") => Schedule::Step,
            Some("cyclic") => Schedule::Cyclic,
            Some("one-cycle") => Schedule::OneCycle,
            _ => Schedule::Constant,
        }
    }

    /// The factor on the largest rate at `step` of `steps`; over the first `warmup` of them a factor that rises from 0 is on top.
    pub(super) fn factor(self, step: usize, steps: usize, warmup: f64) -> f64 {
        let done = step as f64 / steps.max(1) as f64;
        let warm = if done < warmup { (step + 1) as f64 / (warmup * steps as f64).max(1.0) } else { 1.0 };
        let cosine = |from: f64, to: f64, done: f64| to + (from - to) * 0.5 * (1.0 + (std::f64::consts::PI * done).cos());
        let factor = match self {
            Schedule::Constant => 1.0,
            Schedule::Cosine => 0.5 * (1.0 + (std::f64::consts::PI * done).cos()),
            Schedule::Linear => 1.0 - done,
            Schedule::Step if done < 0.5 => 1.0,
            Schedule::Step if done < 0.75 => 0.1,
            Schedule::Step => 0.01,
            // As that code, which reads the rate after the step's number has been raised.
            Schedule::Cyclic => {
                let done = (step + 1) as f64 / steps.max(1) as f64;
                (done / CYCLE_TOP).min((1.0 - done) / (1.0 - CYCLE_TOP))
            }
            Schedule::OneCycle if done < ONE_CYCLE_TOP => cosine(ONE_CYCLE_START, 1.0, done / ONE_CYCLE_TOP),
            Schedule::OneCycle => cosine(1.0, ONE_CYCLE_END, (done - ONE_CYCLE_TOP) / (1.0 - ONE_CYCLE_TOP)),
        };
        warm.min(1.0) * factor
    }
}
