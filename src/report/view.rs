//! Results in the order in which a report shows them, with look-ups.

use super::text;
use crate::evaluate::results::{Cell, Certified, Results, WorstCase};
use crate::threat::Norm;

/// The results and their axes: norms, defences and attacks in the order of the suite.
pub struct View<'a> {
    /// What is shown.
    pub results: &'a Results,
    /// The norms that have cells or worst cases.
    pub norms: Vec<Norm>,
    /// The defences, those that have no cell yet included.
    pub defences: Vec<&'a str>,
}

impl<'a> View<'a> {
    /// The axes of `results`.
    pub fn new(results: &'a Results) -> Self {
        let cells = results.cells.iter().map(|cell| (cell.norm, cell.defence.as_str()));
        let worst = results.worst_case.iter().map(|worst| (worst.norm, worst.defence.as_str()));
        let present: Vec<(Norm, &str)> = cells.chain(worst).collect();
        let named = results.defences.iter().map(|defence| defence.name.as_str());
        Self {
            results,
            norms: Norm::ALL.into_iter().filter(|norm| present.iter().any(|(other, _)| other == norm)).collect(),
            defences: in_order(named.chain(present.iter().map(|(_, defence)| *defence))),
        }
    }

    /// The attacks under a norm.
    pub fn attacks(&self, norm: Norm) -> Vec<&'a str> {
        in_order(self.results.cells.iter().filter(|cell| cell.norm == norm).map(|cell| cell.attack.as_str()))
    }

    /// The epsilons under a norm, ascending.
    pub fn epsilons(&self, norm: Norm) -> Vec<f64> {
        let cells = self.results.cells.iter().filter(|cell| cell.norm == norm).map(|cell| cell.epsilon);
        let worst = self.results.worst_case.iter().filter(|worst| worst.norm == norm).map(|worst| worst.epsilon);
        let mut epsilons: Vec<f64> = cells.chain(worst).filter(|epsilon| epsilon.is_finite()).collect();
        epsilons.sort_by(f64::total_cmp);
        epsilons.dedup();
        epsilons
    }

    /// The epsilons under a norm that something is attacked at: those above 0, which the clean accuracy is; 0 only where there is no other.
    pub fn radii(&self, norm: Norm) -> Vec<f64> {
        let mut radii = self.epsilons(norm);
        if radii.iter().any(|epsilon| *epsilon > 0.0) {
            radii.retain(|epsilon| *epsilon > 0.0);
        }
        radii
    }

    /// The epsilon that summary and table open at: the middle radius, of two the smaller.
    pub fn opening(&self, norm: Norm) -> Option<f64> {
        let radii = self.radii(norm);
        radii.get(radii.len().saturating_sub(1) / 2).copied()
    }

    /// A series' cells, by epsilon.
    pub fn series(&self, defence: &str, attack: &str, norm: Norm) -> Vec<&'a Cell> {
        let of_series = |cell: &&Cell| cell.norm == norm && cell.defence == defence && cell.attack == attack;
        let mut cells: Vec<&Cell> = self.results.cells.iter().filter(of_series).collect();
        cells.sort_by(|a, b| a.epsilon.total_cmp(&b.epsilon));
        cells
    }

    /// One cell.
    pub fn cell(&self, defence: &str, attack: &str, norm: Norm, epsilon: f64) -> Option<&'a Cell> {
        self.series(defence, attack, norm).into_iter().find(|cell| cell.epsilon == epsilon)
    }

    /// A defence's worst cases under a norm, by epsilon.
    pub fn worst(&self, defence: &str, norm: Norm) -> Vec<&'a WorstCase> {
        let mut worst: Vec<_> = self.results.worst_case.iter().filter(|worst| worst.norm == norm && worst.defence == defence).collect();
        worst.sort_by(|a, b| a.epsilon.total_cmp(&b.epsilon));
        worst
    }

    /// A defence's certificates under a norm, each by epsilon, in the order of the results.
    pub fn certified(&self, defence: &str, norm: Norm) -> Vec<(&'a str, Vec<&'a Certified>)> {
        let of_defence = || self.results.certified.iter().filter(move |certified| certified.norm == norm && certified.defence == defence);
        let names = in_order(of_defence().map(|certified| certified.certificate.as_str()));
        names.into_iter().map(|name| (name, of_defence().filter(|certified| certified.certificate == name).collect())).collect()
    }

    /// A defence's accuracy without an attack and its interval, where it is known.
    pub fn clean(&self, defence: &str) -> Option<(f64, Option<[f64; 2]>)> {
        let named = self.results.defences.iter().find(|other| other.name == defence);
        let stated = named.map(|defence| (defence.clean_accuracy, Some(defence.ci95)));
        let cells = || self.results.cells.iter().find(|cell| cell.defence == defence).map(|cell| (cell.clean_accuracy, None));
        stated.or_else(cells).filter(|(accuracy, _)| accuracy.is_finite())
    }

    /// Rows that failed, over all cells.
    pub fn failed(&self) -> usize {
        self.results.cells.iter().map(|cell| cell.failed).sum()
    }

    /// Checks of the evaluation of some defences that say no.
    pub fn failed_checks(&self, defences: &[&str]) -> usize {
        self.results.checks.iter().filter(|check| check.verdict == "fail" && defences.contains(&check.defence.as_str())).count()
    }

    /// Seconds of a cell, where they were taken.
    pub fn seconds(&self, cell: &Cell) -> Option<f64> {
        let same = |timing: &&crate::evaluate::results::CellTiming| {
            timing.norm == cell.norm && timing.epsilon == cell.epsilon && timing.defence == cell.defence && timing.attack == cell.attack
        };
        self.results.timing.cells.iter().find(same).map(|timing| timing.seconds)
    }

    /// The line under every plot's title: data and size.
    pub fn subtitle(&self) -> String {
        format!("{} · {} examples · seed {}", self.results.data.name, text::count(self.results.data.examples as u64), self.results.seed)
    }

    /// What a reader must know of an unfinished run.
    pub fn incomplete(&self) -> Option<String> {
        let (there, planned) = (self.results.cells.len(), self.results.planned);
        (!self.results.complete).then(|| format!("INCOMPLETE RUN: {there} of {planned} cells"))
    }
}

fn in_order<'a>(names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut seen = Vec::new();
    for name in names {
        if !seen.contains(&name) {
            seen.push(name);
        }
    }
    seen
}
