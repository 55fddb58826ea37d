//! Defences side by side: a line a recipe, its training seeds taken together. The page's table and plots and the exports read the same lines.

pub mod csv;
mod labels;
pub mod latex;
pub mod markdown;
pub mod scatter;
pub mod seconds;
mod sheet;
mod words;

pub use sheet::operations;
pub use words::{findings, note, reaches};

use super::text;
use super::view::View;
use crate::evaluate::results::{Certified, DefenceInfo, DefenceTiming, Group};
use crate::evaluate::spread::{SEEDS_NEEDED, Spread, spread};
use crate::threat::Norm;

/// A recipe with the weights that it was attacked with.
#[derive(Clone, Debug)]
pub struct Line<'a> {
    /// The recipe's name: the defence's own where it has one seed.
    pub name: &'a str,
    /// The defences that it stands for, one a seed.
    pub weights: Vec<&'a str>,
    /// What is known of each of them, in the same order where all have been met.
    pub infos: Vec<&'a DefenceInfo>,
}

/// What is certified at a norm and epsilon of the very classifiers that are attacked.
fn certified<'a>(view: &View<'a>, norm: Norm, epsilon: f64) -> impl Iterator<Item = &'a Certified> {
    let here = move |certified: &&Certified| certified.norm == norm && certified.epsilon == epsilon && !certified.apart;
    view.results.certified.iter().filter(here)
}

/// Whether anything is certified at a norm and epsilon.
pub fn is_certified(view: &View, norm: Norm, epsilon: f64) -> bool {
    certified(view, norm, epsilon).next().is_some()
}

/// The lines in the order of the suite.
pub fn lines<'a>(view: &View<'a>) -> Vec<Line<'a>> {
    let mut lines: Vec<Line> = Vec::new();
    for &defence in &view.defences {
        let info = view.results.defences.iter().find(|info| info.name == defence);
        let name = info.and_then(|info| info.recipe.as_deref()).unwrap_or(defence);
        match lines.iter_mut().find(|line| line.name == name) {
            Some(line) => {
                line.weights.push(defence);
                line.infos.extend(info);
            }
            None => lines.push(Line { name, weights: vec![defence], infos: info.into_iter().collect() }),
        }
    }
    lines
}

impl<'a> Line<'a> {
    /// A line a seed, where the recipe has several.
    pub fn single(&self) -> Vec<Line<'a>> {
        if self.weights.len() < 2 {
            return Vec::new();
        }
        let info = |name: &str| self.infos.iter().copied().filter(|info| info.name == name).collect();
        self.weights.iter().map(|&name| Line { name, weights: vec![name], infos: info(name) }).collect()
    }

    /// Whether what is said of it holds for the recipe, not for these weights alone.
    pub fn is_general(&self) -> bool {
        self.weights.len() >= SEEDS_NEEDED
    }

    /// Accuracy without an attack, where all of its weights have been met.
    pub fn clean(&self, view: &View) -> Option<Spread> {
        let shares: Option<Vec<f64>> = self.weights.iter().map(|name| view.clean(name).map(|(share, _)| share)).collect();
        spread(&shares?, view.results.data.examples)
    }

    /// Robust accuracy under an attack, where it has finished against all weights.
    pub fn under(&self, view: &View, attack: &str, norm: Norm, epsilon: f64) -> Option<Spread> {
        let cells: Option<Vec<_>> = self.weights.iter().map(|name| view.cell(name, attack, norm, epsilon)).collect();
        let cells = cells?;
        let shares: Vec<f64> = cells.iter().map(|cell| cell.robust_accuracy).collect();
        finite(spread(&shares, cells.first()?.examples))
    }

    /// What is left in the worst case, where every attack has finished against all weights.
    pub fn worst(&self, view: &View, norm: Norm, epsilon: f64) -> Option<Spread> {
        let at = |name: &&str| view.worst(name, norm).into_iter().find(|worst| worst.epsilon == epsilon);
        let worst: Vec<_> = self.weights.iter().map(at).collect::<Option<_>>()?;
        let shares: Vec<f64> = worst.iter().map(|worst| worst.robust_accuracy).collect();
        finite(spread(&shares, worst.first()?.examples))
    }

    /// Checks of its evaluation that say no: its numbers may be too good.
    pub fn failed_checks(&self, view: &View) -> usize {
        view.failed_checks(&self.weights)
    }

    /// What is certain at a norm and epsilon, by the certificate that says most; where one is there for all weights.
    pub fn certified(&self, view: &View, norm: Norm, epsilon: f64) -> Option<Spread> {
        let of = |name: &&str| {
            let own = certified(view, norm, epsilon).filter(|certified| certified.defence == *name);
            own.max_by(|a, b| a.certified_accuracy.total_cmp(&b.certified_accuracy))
        };
        let certified: Vec<_> = self.weights.iter().map(of).collect::<Option<_>>()?;
        let shares: Vec<f64> = certified.iter().map(|certified| certified.certified_accuracy).collect();
        finite(spread(&shares, certified.first()?.examples))
    }

    /// Whether attacks know the defence; where they do not, its numbers say little of its robustness.
    pub fn is_adaptive(&self) -> bool {
        self.infos.iter().all(|info| info.adaptive)
    }

    /// Its groups at a norm and epsilon.
    pub fn group<'v>(&self, view: &View<'v>, norm: Norm, epsilon: f64) -> Option<&'v Group> {
        view.results.groups.iter().find(|group| group.recipe == self.name && group.norm == norm && group.epsilon == epsilon)
    }

    /// Mean seconds of training a seed, where they are known of all.
    pub fn training_seconds(&self, view: &View) -> Option<f64> {
        self.mean_seconds(view, |timing| timing.training_seconds)
    }

    /// Mean seconds of deciding on 1,000 images, where they are known of all weights.
    pub fn inference_seconds(&self, view: &View) -> Option<f64> {
        self.mean_seconds(view, |timing| timing.inference_seconds)
    }

    /// Seconds by seed, where they are known of all.
    pub fn seconds(&self, view: &View, of: fn(&DefenceTiming) -> Option<f64>) -> Option<Vec<f64>> {
        let timing = |name: &&str| view.results.timing.defences.iter().find(|timing| timing.defence == *name).and_then(of);
        self.weights.iter().map(timing).collect()
    }

    fn mean_seconds(&self, view: &View, of: fn(&DefenceTiming) -> Option<f64>) -> Option<f64> {
        let seconds = self.seconds(view, of)?;
        Some(seconds.iter().sum::<f64>() / seconds.len() as f64)
    }

    /// Floating-point operations of a decision on one image, where a run says.
    pub fn flops(&self) -> Option<u64> {
        self.infos.first().map(|info| info.flops).filter(|&flops| flops > 0)
    }

    /// Bytes of weights and of one image's activations, where a run says.
    pub fn memory(&self) -> Option<u64> {
        self.infos.first().map(|info| info.memory).filter(|&memory| memory > 0)
    }

    /// How it was trained; empty where weights were loaded.
    pub fn training(&self) -> &'a str {
        self.infos.first().map_or("", |info| &info.training)
    }

    /// The model's architecture.
    pub fn architecture(&self) -> &'a str {
        self.infos.first().map_or("", |info| &info.architecture)
    }
}

/// Seconds with two digits at least: `0.21 ms`, `48 ms`, then as [`text::seconds`].
pub fn span(seconds: f64) -> String {
    match 1000.0 * seconds {
        milliseconds if milliseconds < 9.95 => format!("{milliseconds:.2}\u{a0}ms"),
        milliseconds if milliseconds < 999.5 => format!("{milliseconds:.0}\u{a0}ms"),
        _ => text::seconds(seconds),
    }
}

fn finite(spread: Option<Spread>) -> Option<Spread> {
    spread.filter(|spread| spread.mean.is_finite())
}

/// What a number over seeds reaches over: of two seeds, whose interval says next to nothing, both; otherwise its 95 % interval.
pub fn reach(spread: &Spread) -> [f64; 2] {
    if spread.seeds == 2 { [spread.low, spread.high] } else { spread.ci95 }
}

/// The lines that no other beats in both of two numbers (x, y), better being more, from the largest x to the smallest: the Pareto front.
/// Where x is measured with noise, values within `slack` of each other are equal.
pub fn front(points: &[(f64, f64)], slack: f64) -> Vec<usize> {
    let beaten = |&at: &usize| {
        let (x, y) = points[at];
        points.iter().any(|&(u, v)| u >= x - slack && v >= y && (u > x + slack || v > y))
    };
    let mut front: Vec<usize> = (0..points.len()).filter(|at| !beaten(at)).collect();
    front.sort_by(|&a, &b| points[b].0.total_cmp(&points[a].0).then(points[b].1.total_cmp(&points[a].1)));
    front
}
