//! Checks of a flawed evaluation: whether the robustness that was found is the defence's, or the attacks' own failure.
//!
//! [`CHECKS`] is the table: a check is one function and one row. Each looks at one defence, a [`Subject`]: its gradients and outputs on
//! the probes, the first rightly classified examples; short attacks of its own on them; and what the suite's attacks found. What a check
//! costs is booked in [`Found::forwards`] alone. A defence that attacks do not know on purpose (`adaptive = false`) shows what such an
//! evaluation comes to: that attacks are too weak is [`EXPECTED`] of it. The checks follow AutoAttack's flags (Croce and Hein 2020), the
//! checklist of Carlini et al. 2019 ("On Evaluating Adversarial Robustness"), and the indicators of Pintor et al. 2022 ("Indicators of
//! Attack Failure").

mod assault;
mod beats;
mod certificates;
mod converged;
mod curves;
mod distant;
mod gradients;
mod input;
mod outputs;
mod remedy;
mod stored;
mod subject;

use serde::{Deserialize, Serialize};

use super::results::Check;
use crate::Result;
use crate::suite::schedule::check_interrupt;

pub use remedy::{Addition, Remedy, Wish, additions};
pub use subject::{Attacked, Certified, Family, PROBES, Subject, Trust};

/// What a check says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It cannot tell; the detail says what is missing.
    Skip,
    /// Nothing to hold against the evaluation.
    Pass,
    /// Something to look at.
    Warn,
    /// The evaluation's numbers do not mean what they seem to.
    Fail,
}

impl Verdict {
    /// The name in results.
    pub fn name(self) -> &'static str {
        match self {
            Verdict::Skip => "skip",
            Verdict::Pass => "pass",
            Verdict::Warn => "warn",
            Verdict::Fail => "fail",
        }
    }
}

/// What a check found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Found {
    /// The verdict.
    pub verdict: Verdict,
    /// The reason, with numbers, and what to do.
    pub detail: String,
    /// Forward passes that the check cost.
    pub forwards: u64,
    /// What the engine can do about it.
    pub remedy: Option<Remedy>,
    /// What was seen, without what to do, where it speaks against the attacks alone: of a defence that they do not know, that is expected.
    pub weakness: Option<String>,
}

/// What the details of a check begin with whose failure or warning is that attacks are too weak, on a defence that they do not know.
pub const EXPECTED: &str = "expected, since attacks do not know this defence: ";

impl Found {
    fn new(verdict: Verdict, detail: impl Into<String>) -> Self {
        Self { verdict, detail: detail.into(), forwards: 0, remedy: None, weakness: None }
    }

    /// A failure of the attacks, not of the numbers: what was seen, and what to do.
    fn too_weak(seen: String, advice: &str) -> Self {
        Self { weakness: Some(seen.clone()), ..Self::new(Verdict::Fail, format!("{seen}; {advice}")) }
    }

    /// As it is told of a defence that attacks do not know.
    fn of_unknown(self) -> Self {
        match self.weakness {
            Some(seen) if matches!(self.verdict, Verdict::Fail | Verdict::Warn) => {
                Self { verdict: Verdict::Warn, detail: format!("{EXPECTED}{seen}"), remedy: None, weakness: None, ..self }
            }
            _ => self,
        }
    }

    fn cost(self, forwards: u64) -> Self {
        Self { forwards, ..self }
    }

    fn remedy(self, remedy: Remedy) -> Self {
        Self { remedy: Some(remedy), ..self }
    }
}

/// A row of [`CHECKS`].
pub struct CheckRow {
    /// The name in results.
    pub name: &'static str,
    /// One line: what it looks for, with its source.
    pub summary: &'static str,
    /// Whether it looks at the defence alone, without any attack.
    pub alone: bool,
    /// Looks.
    pub run: fn(&Subject) -> Result<Found>,
}

/// Every check, those that look at the defence first, then those that look at what was found.
pub const CHECKS: &[CheckRow] = &[
    CheckRow {
        name: "zero-gradients",
        summary: "input gradients that are exactly zero (AutoAttack's flag; Pintor et al. 2022, unavailable gradients)",
        alone: true,
        run: gradients::zero,
    },
    CheckRow {
        name: "non-finite-gradients",
        summary: "input gradients with a NaN or an infinity",
        alone: true,
        run: gradients::non_finite,
    },
    CheckRow {
        name: "random-output",
        summary: "outputs that vary, without gradients averaged over it (AutoAttack's flag; Athalye et al. 2018)",
        alone: true,
        run: outputs::random,
    },
    CheckRow {
        name: "softmax-output",
        summary: "probabilities in place of logits (AutoAttack's flag)",
        alone: true,
        run: outputs::softmax,
    },
    CheckRow { name: "batch-invariance", summary: "outputs that depend on the other inputs of a batch", alone: true, run: outputs::batch },
    CheckRow {
        name: "unstable-predictions",
        summary: "a loss that jumps within 8/255 (Pintor et al. 2022, unstable predictions)",
        alone: true,
        run: outputs::unstable,
    },
    CheckRow {
        name: "large-epsilon",
        summary: "more than chance is left under l-infinity 0.5 (Carlini et al. 2019)",
        alone: false,
        run: distant::large_epsilon,
    },
    CheckRow {
        name: "unconstrained",
        summary: "examples survive where any image may take their place (Carlini et al. 2019; Pintor et al. 2022)",
        alone: false,
        run: distant::unconstrained,
    },
    CheckRow { name: "input-grid", summary: "data on few levels, saturated, or within a part of the range", alone: true, run: input::grid },
    CheckRow { name: "rejections", summary: "clean examples that the defence rejects", alone: true, run: input::rejections },
    CheckRow {
        name: "score-beats-white-box",
        summary: "queries alone break more than gradients (AutoAttack's flag; Carlini et al. 2019)",
        alone: false,
        run: beats::score,
    },
    CheckRow {
        name: "noise-beats-gradient",
        summary: "noise breaks what gradients leave standing (Carlini et al. 2019)",
        alone: false,
        run: beats::noise,
    },
    CheckRow {
        name: "one-step-beats-many",
        summary: "one step breaks what many leave standing (Carlini et al. 2019)",
        alone: false,
        run: beats::one_step,
    },
    CheckRow {
        name: "not-converged",
        summary: "more steps or restarts break more (Carlini et al. 2019; Pintor et al. 2022, incomplete optimisation)",
        alone: false,
        run: converged::run,
    },
    CheckRow {
        name: "monotone",
        summary: "robust accuracy that rises with epsilon (Carlini et al. 2019)",
        alone: false,
        run: curves::monotone,
    },
    CheckRow {
        name: "descending-audit",
        summary: "inferred survivals that did not survive when they were run",
        alone: false,
        run: curves::audit,
    },
    CheckRow {
        name: "eight-bit",
        summary: "adversarial examples that are lost, or accepted, once saved with 8 bits",
        alone: false,
        run: stored::eight_bit,
    },
    CheckRow {
        name: "certificate-violated",
        summary: "examples that an attack broke within their certified radius: the certificate or the attack is wrong",
        alone: false,
        run: certificates::violated,
    },
    CheckRow { name: "failed-rows", summary: "rows that met a NaN, an infinity or a panic", alone: false, run: curves::failed },
];

/// A check's outcome with its remedy, as a run keeps it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Checked {
    /// As results have it.
    pub check: Check,
    /// What the engine can do about it.
    pub remedy: Option<Remedy>,
}

/// Runs every check on a defence.
///
/// # Errors
/// A device that stops answering; a user's interrupt.
pub fn run(subject: &Subject) -> Result<Vec<Checked>> {
    run_where(subject, |_| true)
}

/// Runs the checks that look at a defence alone.
///
/// # Errors
/// As [`run`].
pub fn run_alone(subject: &Subject) -> Result<Vec<Checked>> {
    run_where(subject, |row| row.alone)
}

fn run_where(subject: &Subject, wanted: impl Fn(&CheckRow) -> bool) -> Result<Vec<Checked>> {
    let run = |row: &CheckRow| {
        check_interrupt()?;
        let found = (row.run)(subject)?;
        let found = if subject.oracle.is_adaptive() { found } else { found.of_unknown() };
        let Found { verdict, detail, forwards, remedy, .. } = found;
        let check = Check { defence: subject.defence.into(), check: row.name.into(), verdict: verdict.name().into(), detail, forwards };
        Ok(Checked { check, remedy })
    };
    CHECKS.iter().filter(|row| wanted(row)).map(run).collect()
}
