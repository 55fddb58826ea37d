//! Short attacks of the checks' own, on a few examples at one epsilon.

use std::collections::BTreeMap;

use super::Subject;
use super::subject::row;
use crate::Result;
use crate::attack::{self, Goal, Setting};
use crate::engine::chain::{Chain, Walk};
use crate::engine::drive::{Drive, Feed};
use crate::engine::judge::Judgement;
use crate::evaluate::record::{Outcome, Verdict};
use crate::options::{Options, Value};
use crate::threat::Norm;

/// An attack, and where it is run.
#[derive(Clone, Copy)]
pub struct Assault<'a> {
    /// Its kind.
    pub kind: &'a str,
    /// Its options; what is missing has its default.
    pub options: &'a Options,
    /// The norm.
    pub norm: Norm,
    /// The radius.
    pub epsilon: f64,
}

/// What became of the examples.
#[derive(Default)]
pub struct Aftermath {
    outcomes: BTreeMap<usize, Outcome>,
    points: BTreeMap<usize, Vec<f32>>,
}

impl Aftermath {
    /// Positions of the examples that stand, ascending.
    pub fn standing(&self) -> Vec<usize> {
        self.with(Verdict::Survived)
    }

    /// Positions of the examples that broke, with the points that broke them.
    pub fn points(&self) -> &BTreeMap<usize, Vec<f32>> {
        &self.points
    }

    /// Forward passes of the examples.
    pub fn forwards(&self) -> u64 {
        self.outcomes.values().map(|outcome| u64::from(outcome.forwards)).sum()
    }

    fn with(&self, verdict: Verdict) -> Vec<usize> {
        self.outcomes.iter().filter(|(_, outcome)| outcome.verdict == verdict).map(|(&at, _)| at).collect()
    }
}

impl Assault<'_> {
    /// Runs it on the examples at positions, each once. Its random stream is that of the suite's attack with the same options.
    ///
    /// # Errors
    /// A device that stops answering.
    pub fn run(&self, subject: &Subject, positions: &[usize]) -> Result<Aftermath> {
        if positions.is_empty() {
            return Ok(Aftermath::default());
        }
        let data = subject.data;
        let setting = Setting { norm: self.norm, classes: data.classes, shape: data.shape };
        let parts = (row(self.kind).build)(self.options, &setting);
        let key = attack::random_key(subject.seed, self.kind, self.norm, self.options);
        let attempts = parts.iter().map(|part| part.attempts()).sum();
        let ranks = parts.iter().map(|part| part.ranks()).max().unwrap_or(0) as usize;
        let chain = |&at: &usize| {
            let (example, label, logits) = (data.ids[at], data.labels[at], &subject.clean[at].logits);
            let mut chain = Chain::new(at, example, label, Walk::Each, attempts, &[self.epsilon]);
            if let Goal::Targeted(target) = parts[0].goal() {
                chain.target = target.pick(label, logits, key, example);
            }
            chain.ranks = attack::largest_others(label, logits, ranks);
            chain
        };
        let mut feed = Hand { waiting: positions.iter().rev().map(chain).collect(), aftermath: Aftermath::default() };
        let drive = Drive {
            oracle: subject.oracle,
            surrogate: None,
            data: subject.pixels,
            parts: &parts,
            norm: self.norm,
            key,
            slots: subject.slots.min(positions.len()),
            cadence: subject.cadence,
        };
        drive.run(&mut feed)?;
        Ok(feed.aftermath)
    }
}

/// Hands out examples and keeps what comes back.
struct Hand {
    waiting: Vec<Chain>,
    aftermath: Aftermath,
}

impl Feed for Hand {
    fn take(&mut self) -> Option<Chain> {
        self.waiting.pop()
    }

    fn wants_point(&self, _chain: &Chain) -> bool {
        true
    }

    fn point(&mut self, chain: &Chain, judgement: Judgement) {
        self.aftermath.points.extend(judgement.point.map(|point| (chain.position, point)));
    }

    fn finish(&mut self, chain: Chain) -> Result<()> {
        self.aftermath.outcomes.insert(chain.position, chain.outcomes().outcomes[0]);
        Ok(())
    }
}

/// Options with some changed.
pub fn with(options: &Options, changes: &[(&str, Value)]) -> Options {
    let mut options = options.clone();
    options.0.extend(changes.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
    options
}

/// PGD-40 from a random point, ascending a loss.
pub fn pgd(loss: &str) -> Options {
    with(&Options::default(), &[("steps", Value::Integer(40)), ("loss", Value::Text(loss.into()))])
}
