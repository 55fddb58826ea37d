//! What the engine found, example by example: the raw material of every number in a report.

use serde::{Deserialize, Serialize};

use crate::threat::Norm;

/// What became of an example at one epsilon under one attack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// The judge found the attack's point inside the threat and decided wrongly.
    Broken,
    /// No adversarial example was found.
    Survived,
    /// A NaN, an infinity or the attack's own panic: final, shown, never robust.
    Failed,
}

/// How a verdict came about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Settled {
    /// The attack ran at this epsilon.
    Attack,
    /// A break at another epsilon lies within this one.
    Distance,
    /// It survived a larger epsilon, so this one was not run.
    Inferred,
    /// The clean decision settles it: the example is misclassified, or epsilon is 0.
    Clean,
}

/// One example at one epsilon of one series.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// What became of it.
    pub verdict: Verdict,
    /// How that came about.
    pub settled: Settled,
    /// Distance of the adversarial example in the threat's norm; set exactly where `verdict` is `Broken` and the example was
    /// classified rightly at first (0 where the clean decision is already wrong).
    pub distance: Option<f32>,
    /// Forward passes of this example booked on this epsilon.
    pub forwards: u32,
    /// Backward passes booked likewise.
    pub backwards: u32,
}

/// A series: one attack under one norm against one defence, over the norm's epsilons.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SeriesKey {
    /// The defence's name.
    pub defence: String,
    /// The attack entry's name.
    pub attack: String,
    /// The norm.
    pub norm: Norm,
}

/// One example's outcomes over a series, in the order of its epsilons (ascending).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ExampleOutcomes {
    /// The example's stable id.
    pub example: u32,
    /// One outcome an epsilon.
    pub outcomes: Vec<Outcome>,
}

/// An inferred survival that was run after all.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Audited {
    /// The example's stable id.
    pub example: u32,
    /// The epsilon that was run.
    pub epsilon: f64,
    /// What was found.
    pub verdict: Verdict,
    /// Forward passes spent; never booked on cells.
    pub forwards: u32,
    /// Backward passes spent.
    pub backwards: u32,
}

/// An adversarial example kept for the gallery.
#[derive(Clone, Debug, PartialEq)]
pub struct Specimen {
    /// The series that made it.
    pub series: SeriesKey,
    /// Epsilon of the attack.
    pub epsilon: f64,
    /// The example's stable id.
    pub example: u32,
    /// Its class.
    pub label: u32,
    /// What the defence says of the adversarial example.
    pub prediction: u32,
    /// Distance in the series' norm.
    pub distance: f32,
    /// Channels, height, width.
    pub shape: [usize; 3],
    /// The original, [channels, height, width], in [0, 1].
    pub original: Vec<f32>,
    /// The adversarial example, likewise.
    pub adversarial: Vec<f32>,
}

/// What an epoch of training came to, measured on its own batches as they were met.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Epoch {
    /// From 1.
    pub epoch: usize,
    /// Mean of what training descends.
    pub loss: f64,
    /// Share of clean examples classified rightly before the step; where that takes a pass of its own, of some 8,000 of them.
    pub clean_accuracy: f64,
    /// Share of the training attack's examples classified rightly before the step, or of those that interval training certifies; absent
    /// where training had none.
    pub robust_accuracy: Option<f64>,
    /// Accuracies at the epoch's end on training examples kept apart, where there are any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validation: Option<Validation>,
    /// Share of the epoch's first batch that stands against PGD at the epoch's end, where the method looks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checked_accuracy: Option<f64>,
    /// What ended the training here, where something did before its time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event: Option<Event>,
}

/// Accuracies on training examples that a network does not learn from.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Validation {
    /// Share classified rightly.
    pub clean_accuracy: f64,
    /// Share classified rightly also where PGD-10 ends, or under the noise that the method trains on; absent where it has neither.
    pub robust_accuracy: Option<f64>,
}

impl Validation {
    /// What epochs are compared by: the robust accuracy, else the clean one.
    pub fn score(&self) -> f64 {
        self.robust_accuracy.unwrap_or(self.clean_accuracy)
    }
}

/// What ends a training before its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Event {
    /// Accuracy against PGD fell at once while the training attack's did not (Wong et al. 2020): the best weights are kept.
    CatastrophicOverfitting,
    /// The validation has not got better for as many epochs as `patience` says: the best weights are kept.
    NoLongerBetter,
}

impl Event {
    /// In words, for the line of its epoch.
    pub fn words(self) -> &'static str {
        match self {
            Event::CatastrophicOverfitting => "catastrophic overfitting: stopped, the best epoch's weights are kept",
            Event::NoLongerBetter => "no longer better on the validation split: stopped, the best weights are kept",
        }
    }
}
