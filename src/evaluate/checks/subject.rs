//! What the checks look at: one defence on one device, its probes, and what the suite's attacks found.

use burn::tensor::{Tensor, TensorData};
use bytemuck::Zeroable;

use crate::Result;
use crate::attack::{ATTACKS, AttackRow, Parts, Setting};
use crate::certify::Certificate;
use crate::data::Dataset;
use crate::engine::clean::CleanDecision;
use crate::engine::draw::{Draw, DrawRow};
use crate::engine::examples::Examples;
use crate::engine::oracle::{Oracle, read_matrix};
use crate::evaluate::record::{Audited, ExampleOutcomes, SeriesKey, Verdict};
use crate::kernel;
use crate::kernel::row::{Row, State};
use crate::kernel::words::upload;
use crate::options::Options;
use crate::threat::{Norm, Threat};

/// How many rightly classified examples are probed at most.
pub const PROBES: usize = 64;

/// What an attack goes by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// Gradients.
    Gradient,
    /// Logits alone, by search.
    Score,
    /// Draws without any search.
    Noise,
    /// Gradients of another defence.
    Transfer,
    /// Parts of several families, whose breaks are not told apart.
    Mixed,
}

/// One of the suite's attacks under a norm, and what it found.
#[derive(Clone, Debug)]
pub struct Attacked {
    /// The series.
    pub key: SeriesKey,
    /// The attack's kind.
    pub kind: String,
    /// Its options.
    pub options: Options,
    /// The threat.
    pub threat: Threat,
    /// What became of each example, by id.
    pub outcomes: Vec<ExampleOutcomes>,
    /// The audit of what was inferred, where there was one.
    pub audits: Option<Vec<Audited>>,
    /// Whether it was run again exhaustively.
    pub rerun: bool,
}

/// What a certificate is worth against the attacks on the same defence.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Trust {
    /// None may break it.
    Certain,
    /// Each example's certificate may be wrong with this probability.
    But(f64),
    /// It speaks of another classifier than the one that was attacked.
    Another,
}

/// What was certified of a defence under a norm.
#[derive(Clone, Debug)]
pub struct Certified {
    /// The certificate entry's name.
    pub name: String,
    /// The norm.
    pub norm: Norm,
    /// What it is worth.
    pub trust: Trust,
    /// Whether beyond a radius an adversarial example is certain too.
    pub exact: bool,
    /// One an example.
    pub certificates: Vec<Certificate>,
}

/// The attack of that kind.
pub(super) fn row(kind: &str) -> &'static AttackRow {
    ATTACKS.iter().find(|row| row.entry.name == kind).expect("the suite's reader knows the attacks")
}

impl Attacked {
    /// The attack's parts on images of a set.
    pub(super) fn parts(&self, data: &Dataset) -> Parts {
        (row(&self.kind).build)(&self.options, &Setting { norm: self.key.norm, classes: data.classes, shape: data.shape })
    }

    pub(super) fn family(&self, data: &Dataset) -> Family {
        let parts = self.parts(data);
        if parts.iter().any(|part| part.surrogate().is_some()) {
            return Family::Transfer;
        }
        match parts.iter().filter(|part| part.uses_gradients()).count() {
            0 if self.kind == "noise" => Family::Noise,
            0 => Family::Score,
            with if with == parts.len() => Family::Gradient,
            _ => Family::Mixed,
        }
    }

    /// Whether a row takes more than one step.
    pub(super) fn takes_many_steps(&self, data: &Dataset) -> bool {
        self.parts(data).iter().any(|part| part.plan(1.0, 0, false).steps > 1)
    }

    /// Whether the attack has an option of that name.
    pub(super) fn has_option(&self, name: &str) -> bool {
        row(&self.kind).entry.options.iter().any(|option| option.name == name)
    }

    /// Whether an epsilon broke the example at a position of the data.
    pub(super) fn breaks(&self, subject: &Subject, position: usize, epsilon: usize) -> bool {
        let id = subject.data.ids[position];
        self.outcomes.iter().any(|outcomes| outcomes.example == id && outcomes.outcomes[epsilon].verdict == Verdict::Broken)
    }

    /// Which examples an epsilon broke, in the order of the outcomes.
    pub(super) fn broken(&self, epsilon: usize) -> Vec<bool> {
        self.with(epsilon, Verdict::Broken)
    }

    /// Which examples stand at an epsilon.
    pub(super) fn standing(&self, epsilon: usize) -> Vec<bool> {
        self.with(epsilon, Verdict::Survived)
    }

    fn with(&self, epsilon: usize, verdict: Verdict) -> Vec<bool> {
        self.outcomes.iter().map(|outcomes| outcomes.outcomes[epsilon].verdict == verdict).collect()
    }

    /// How many examples stand at an epsilon.
    pub(super) fn left(&self, epsilon: usize) -> usize {
        self.standing(epsilon).into_iter().filter(|&stands| stands).count()
    }

    /// How many examples stand, over all epsilons: the less, the stronger the attack.
    pub(super) fn left_in_all(&self) -> usize {
        (0..self.threat.epsilons.len()).map(|epsilon| self.left(epsilon)).sum()
    }

    /// The epsilon above 0, by its place, at which the share of standing examples is nearest to half of what epsilon 0 leaves.
    pub(super) fn middle(&self, right: usize) -> Option<usize> {
        let places = (0..self.threat.epsilons.len()).filter(|&at| self.threat.epsilons[at] > 0.0);
        places.min_by_key(|&at| (2 * self.left(at)).abs_diff(right))
    }
}

/// One defence, as the checks see it.
pub struct Subject<'a> {
    /// Its name.
    pub defence: &'a str,
    /// The defence, on the first device.
    pub oracle: &'a Oracle,
    /// The examples.
    pub data: &'a Dataset,
    /// The same as the device reaches them.
    pub pixels: &'a dyn Examples,
    /// What it says of them without an attack.
    pub clean: &'a [CleanDecision],
    /// Rows that the device attacks at once.
    pub slots: usize,
    /// Steps between two looks at the flags.
    pub cadence: usize,
    /// The suite's seed.
    pub seed: u64,
    /// Its series, finished.
    pub series: Vec<Attacked>,
    /// What was certified of it.
    pub certified: Vec<Certified>,
}

impl Subject<'_> {
    /// Positions of the probes: the first [`PROBES`] examples that are classified rightly.
    pub fn probes(&self) -> Vec<usize> {
        let right = (0..self.data.len()).filter(|&at| self.clean[at].is_right(self.data.labels[at]));
        right.take(PROBES).collect()
    }

    /// How many examples are classified rightly.
    pub(super) fn right(&self) -> usize {
        (0..self.data.len()).filter(|&at| self.clean[at].is_right(self.data.labels[at])).count()
    }

    /// The norms that have attacks, each once, in the suite's order.
    pub fn norms(&self) -> Vec<Norm> {
        let mut norms: Vec<Norm> = Vec::new();
        for series in &self.series {
            if !norms.contains(&series.key.norm) {
                norms.push(series.key.norm);
            }
        }
        norms
    }

    /// The attacks of a family under a norm.
    pub(super) fn of(&self, family: Family, norm: Norm) -> Vec<&Attacked> {
        self.series.iter().filter(|series| series.key.norm == norm && series.family(self.data) == family).collect()
    }

    /// All attacks under a norm.
    pub(super) fn under(&self, norm: Norm) -> Vec<&Attacked> {
        self.series.iter().filter(|series| series.key.norm == norm).collect()
    }

    /// Images at positions, [positions, features].
    pub(super) fn images(&self, positions: &[usize]) -> Tensor<2> {
        let pixels: Vec<f32> = positions.iter().flat_map(|&at| self.data.image(at)).collect();
        Tensor::from_data(TensorData::new(pixels, [positions.len(), self.data.features()]), self.oracle.device())
    }

    /// A throw for the examples at positions; `round` tells one from another.
    pub(super) fn draw(&self, positions: &[usize], round: u32) -> Draw {
        let key = [self.seed as u32, (self.seed >> 32) as u32];
        let row = |&at: &usize| Some(DrawRow { key, example: self.data.ids[at], attempt: CHECKING, step: round });
        Draw::of(positions.iter().map(row).collect())
    }

    /// Logits of points [positions, features] that stand for the examples at positions, row-major, as many at once as the device takes.
    pub(super) fn logits(&self, points: &Tensor<2>, positions: &[usize], round: u32) -> Result<Vec<f32>> {
        let mut logits = Vec::with_capacity(positions.len() * self.oracle.classes());
        for (number, batch) in positions.chunks(self.slots).enumerate() {
            let first = number * self.slots;
            let points = points.clone().slice([first..first + batch.len(), 0..self.data.features()]);
            logits.extend(read_matrix(self.oracle.logits(points, &self.draw(batch, round)))?);
        }
        Ok(logits)
    }

    /// Input gradients of a loss, named by its flag as in [`crate::kernel::row`], at the examples at positions, row-major.
    pub(super) fn gradients(&self, positions: &[usize], loss: u32) -> Result<Vec<f32>> {
        let device = self.oracle.device();
        let mut gradients = Vec::with_capacity(positions.len() * self.data.features());
        for batch in positions.chunks(self.slots) {
            let row = |&at: &usize| Row { label: self.data.labels[at], flags: loss, generation: 1, steps: 1, ..Row::zeroed() };
            let rows: Vec<Row> = batch.iter().map(row).collect();
            let states: Vec<State> = rows.iter().map(State::fresh).collect();
            let (rows, states) = (upload(&rows, device), upload(&states, device));
            let gradient = self.oracle.gradient(self.images(batch), &[self.draw(batch, 0)], |logits| {
                vec![kernel::loss_gradient(logits[0].clone(), rows, states)]
            });
            gradients.extend(read_matrix(gradient)?);
        }
        Ok(gradients)
    }
}

/// Sets the checks' draws apart from those of attacks, of the judge and of the clean pass.
const CHECKING: u32 = u32::MAX - 2;
