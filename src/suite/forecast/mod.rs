//! How long a suite will take on the devices at hand, before it runs.
//!
//! A forecast is arithmetic on two things. Speeds: seconds of a step of each attack on each defence and device, of a step of training, of
//! a certificate, of a plot; a short calibration measures them on this machine (`calibrate`, `speeds`, `track`, `lessons`), and needs no trained
//! weights for it. Counts: the steps that each example takes. Where a defence's weights are there already, the suite's own attack is
//! asked on a few examples (`probe`); where they are still to be trained, an assumption stands in ([`guess`]). The counts then go through
//! the slots as the engine fills them ([`batch`]), chain by chain ([`toil`]).
//!
//! The bounds of what was asked are those of the sample; of what was assumed, that every row breaks at its first step, and that none does.

pub mod batch;
mod calibrate;
pub mod checks;
pub mod guess;
mod lessons;
pub mod pace;
mod probe;
pub mod series;
mod speeds;
pub mod toil;
mod track;
pub mod training;

use std::ops::Add;

use serde::Serialize;

use crate::evaluate::results::DeviceInfo;
use crate::threat::Norm;

pub use calibrate::forecast;
pub use pace::{Hand, Pace};
pub use toil::{Boundary, Errand, Scheme, Stint, Toil};

/// Seconds, and between which they lie.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Span {
    /// At least.
    pub low: f64,
    /// Most likely.
    pub guess: f64,
    /// At most.
    pub high: f64,
}

impl Span {
    /// A guess between bounds; measured speeds may lead beyond them by a hair.
    pub(crate) fn around(guess: f64, low: f64, high: f64) -> Self {
        Self { low: low.min(guess), guess, high: high.max(guess) }
    }
}

impl Add for Span {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { low: self.low + other.low, guess: self.guess + other.guess, high: self.high + other.high }
    }
}

/// A piece of a run.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "what", rename_all = "kebab-case")]
pub enum Kind {
    /// Reading the suite and its data, opening the devices.
    Start,
    /// A training.
    Training {
        /// The defence, or a member of one.
        defence: String,
    },
    /// What a defence says without an attack, and how fast it says so.
    Clean {
        /// The defence.
        defence: String,
    },
    /// A series, its first look and its audit included.
    Series {
        /// The defence.
        defence: String,
        /// The attack entry.
        attack: String,
        /// The norm.
        norm: Norm,
    },
    /// A certificate.
    Certificate {
        /// The defence.
        defence: String,
        /// The certificate entry.
        certificate: String,
        /// The norm.
        norm: Norm,
    },
    /// The checks of a defence.
    Checks {
        /// The defence.
        defence: String,
    },
    /// Plots, tables and page.
    Report,
}

/// What a piece's seconds rest on, besides the measured speeds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Basis {
    /// Counts that are known.
    Measured,
    /// The attack itself, on so many examples.
    Probed {
        /// How many.
        examples: usize,
    },
    /// An assumption on how many examples break.
    Assumed,
}

/// A piece of a run and its seconds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Item {
    /// Which.
    #[serde(flatten)]
    pub kind: Kind,
    /// Its seconds.
    pub seconds: Span,
    /// What they rest on.
    pub basis: Basis,
}

impl Item {
    fn exactly(kind: Kind, seconds: f64) -> Self {
        Self { kind, seconds: Span { low: seconds, guess: seconds, high: seconds }, basis: Basis::Measured }
    }
}

/// How long a suite will take.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Forecast {
    /// The pieces, in the order in which they run.
    pub items: Vec<Item>,
    /// Their sum.
    pub all: Span,
    /// Devices, and batches that run side by side on each.
    pub devices: Vec<(DeviceInfo, usize)>,
    /// Seconds that the calibration took.
    pub calibration: f64,
}

impl Forecast {
    /// The sum of the pieces.
    pub fn new(items: Vec<Item>, devices: Vec<(DeviceInfo, usize)>, calibration: f64) -> Self {
        let all = items.iter().fold(Span::default(), |sum, item| sum + item.seconds);
        Self { items, all, devices, calibration }
    }
}
