//! The names that a report shows: those of defences that attacks did not know say so, in every table, plot and legend.

use std::borrow::Cow;

use super::TrainingCurve;
use crate::evaluate::record::Specimen;
use crate::evaluate::results::Results;

/// What follows the name of a defence that attacks did not know.
const UNKNOWN: &str = "attacks do not know it";

/// The results with the names that are shown; the same where attacks knew every defence.
pub fn labelled(results: &Results) -> Cow<'_, Results> {
    if results.defences.iter().all(|defence| defence.adaptive) {
        return Cow::Borrowed(results);
    }
    let mut shown = results.clone();
    let change = |name: &mut String| *name = label(results, name);
    shown.defences.iter_mut().for_each(|defence| change(&mut defence.name));
    shown.cells.iter_mut().for_each(|cell| change(&mut cell.defence));
    shown.worst_case.iter_mut().for_each(|worst| change(&mut worst.defence));
    shown.checks.iter_mut().for_each(|check| change(&mut check.defence));
    shown.certified.iter_mut().for_each(|certified| change(&mut certified.defence));
    shown.uncertified.iter_mut().for_each(|refused| change(&mut refused.defence));
    shown.timing.cells.iter_mut().for_each(|timing| change(&mut timing.defence));
    shown.timing.defences.iter_mut().for_each(|timing| change(&mut timing.defence));
    shown.timing.certificates.iter_mut().for_each(|timing| change(&mut timing.defence));
    // A defence without seeds is a recipe by its own name.
    shown.groups.iter_mut().for_each(|group| change(&mut group.recipe));
    shown.apparent_gains.iter_mut().for_each(|gain| change(&mut gain.unknown));
    Cow::Owned(shown)
}

/// The gallery with the names that are shown.
pub fn specimens(results: &Results, specimens: &[Specimen]) -> Vec<Specimen> {
    let mut shown = specimens.to_vec();
    shown.iter_mut().for_each(|specimen| specimen.series.defence = label(results, &specimen.series.defence));
    shown
}

/// Training curves with the names that are shown.
pub fn training(results: &Results, curves: &[TrainingCurve]) -> Vec<TrainingCurve> {
    curves.iter().map(|curve| TrainingCurve { defence: label(results, &curve.defence), ..curve.clone() }).collect()
}

fn label(results: &Results, name: &str) -> String {
    let is_unknown = results.defences.iter().any(|defence| defence.name == name && !defence.adaptive);
    if is_unknown { format!("{name} ({UNKNOWN})") } else { name.to_owned() }
}
