//! What `run` and `report` print at their end: tables, what the checks say no to, and the defences in a line each.

use std::collections::BTreeSet;
use std::path::Path;

use super::checks;
use super::table::table;
use crate::evaluate::results::{Cell, Certified, Results};
use crate::evaluate::spread::Spread;
use crate::report::labels::labelled;
use crate::report::side::{self, Line};
use crate::report::text::distance;
use crate::report::view::View;
use crate::suite::certify::Refused;
use crate::threat::Norm;

/// The cells as tables, what the checks say, and the defences side by side.
pub fn as_text(results: &Results, folder: &Path) -> String {
    let mut text = String::new();
    let mut seen = BTreeSet::new();
    let norms: Vec<Norm> = results.cells.iter().map(|cell| cell.norm).filter(|&norm| seen.insert(norm)).collect();
    let shown = &*labelled(results);
    for &norm in &norms {
        text.push_str(&cells(shown, norm));
    }
    certified(shown, &mut text);
    apparent(shown, &mut text);
    text.push_str(&checks::as_text(shown, &folder.join("report.html")));
    for &norm in &norms {
        text.push_str(&defences(results, norm));
    }
    let state = if results.complete { "" } else { "INCOMPLETE: run the suite again to go on. " };
    let (cells, seconds) = (results.cells.len(), results.timing.seconds);
    text.push_str(&format!(
        "\n{state}{cells} of {} cells, {seconds:.1} s without the report. Report: {}\n",
        results.planned,
        folder.join("report.html").display()
    ));
    text
}

/// What each attack leaves.
fn cells(results: &Results, norm: Norm) -> String {
    let view = View::new(results);
    let epsilons = view.epsilons(norm);
    let mut lines = vec![vec!["defence".to_owned(), "attack".into()]];
    lines[0].extend(epsilons.iter().map(|&epsilon| distance(epsilon)));
    let share = |cell: &Cell| {
        let failed = if cell.failed > 0 { format!(" ({} FAILED)", cell.failed) } else { String::new() };
        format!("{:.1}{failed}", 100.0 * cell.robust_accuracy)
    };
    for defence in &results.defences {
        for attack in view.attacks(norm) {
            let series = view.series(&defence.name, attack, norm);
            if series.is_empty() {
                continue;
            }
            let at = |&epsilon: &f64| series.iter().find(|cell| cell.epsilon == epsilon).map_or("-".into(), |cell| share(cell));
            lines.push([defence.name.clone(), attack.to_owned()].into_iter().chain(epsilons.iter().map(at)).collect());
        }
    }
    format!("\nrobust accuracy, %, under {}\n{}", norm.name(), table(&lines, 2))
}

/// A line a defence, its training seeds taken together: clean accuracy, what all attacks together leave, what is certain.
fn defences(results: &Results, norm: Norm) -> String {
    let view = View::new(results);
    let mut epsilons = view.epsilons(norm);
    if epsilons.iter().any(|&epsilon| epsilon > 0.0) {
        epsilons.retain(|&epsilon| epsilon > 0.0);
    }
    let sure: Vec<f64> = epsilons.iter().copied().filter(|&epsilon| side::is_certified(&view, norm, epsilon)).collect();
    let mut lines = vec![vec!["defence".to_owned(), "clean".into()]];
    lines[0].extend(epsilons.iter().map(|&epsilon| distance(epsilon)));
    lines[0].extend(sure.iter().map(|&epsilon| format!("certified {}", distance(epsilon))));
    for line in side::lines(&view) {
        let shares = std::iter::once(line.clean(&view))
            .chain(epsilons.iter().map(|&epsilon| line.worst(&view, norm, epsilon)))
            .chain(sure.iter().map(|&epsilon| line.certified(&view, norm, epsilon)));
        lines.push(std::iter::once(title(&view, &line)).chain(shares.map(share)).collect());
    }
    let seeds = if lines.iter().flatten().any(|cell| cell.contains('±')) { "; over seeds, mean ± standard deviation" } else { "" };
    let certain = if sure.is_empty() { "" } else { ", and what is certain" };
    let head = format!("clean accuracy, and what all attacks together leave{certain}, %, under {}{seeds}", norm.name());
    format!("\n{head}\n{}", table(&lines, 1))
}

fn title(view: &View, line: &Line) -> String {
    let seeds = if line.weights.len() > 1 { format!(" ({} seeds)", line.weights.len()) } else { String::new() };
    let unknown = if line.is_adaptive() { "" } else { " (attacks do not know it)" };
    let doubted = if line.failed_checks(view) > 0 { " (checks fail)" } else { "" };
    format!("{}{seeds}{unknown}{doubted}", line.name)
}

fn share(share: Option<Spread>) -> String {
    share.map_or("-".into(), |spread| match spread.seeds {
        0 | 1 => format!("{:.1}", 100.0 * spread.mean),
        _ => format!("{:.1} ±{:.1}", 100.0 * spread.mean, 100.0 * spread.deviation),
    })
}

/// Both numbers of each defence that attacks know and do not know.
fn apparent(results: &Results, text: &mut String) {
    if results.apparent_gains.is_empty() {
        return;
    }
    text.push_str("\ngains that are only apparent: robust accuracy, %, before attacks that do not know the defence, and that do\n");
    let mut lines = vec![["defence", "attack", "norm", "epsilon", "unknown", "known", "gain"].map(str::to_owned).to_vec()];
    lines.extend(results.apparent_gains.iter().map(|gain| {
        let [unknown, known] = [gain.unknown_accuracy, gain.robust_accuracy].map(|share| format!("{:.1}", 100.0 * share));
        vec![
            gain.defence.clone(),
            gain.attack.clone(),
            gain.norm.name().into(),
            distance(gain.epsilon),
            unknown,
            known,
            format!("{:+.1}", 100.0 * gain.gain),
        ]
    }));
    text.push_str(&table(&lines, 2));
}

/// Certified accuracies, a table a norm, and what cannot be certified.
fn certified(results: &Results, text: &mut String) {
    for norm in Norm::ALL {
        let of_norm: Vec<&Certified> = results.certified.iter().filter(|certified| certified.norm == norm).collect();
        let Some(first) = of_norm.first() else { continue };
        let head = of_norm.iter().take_while(|other| (&other.defence, &other.certificate) == (&first.defence, &first.certificate));
        text.push_str(&format!("\ncertified accuracy, %, under {}\n", norm.name()));
        let mut lines = vec![vec!["defence".to_owned(), "certificate".into()]];
        lines[0].extend(head.map(|certified| distance(certified.epsilon)));
        for certified in of_norm {
            if lines.last().is_none_or(|line| line[0] != certified.defence || line[1] != certified.title()) {
                lines.push(vec![certified.defence.clone(), certified.title()]);
            }
            if let Some(line) = lines.last_mut() {
                line.push(format!("{:.1}", 100.0 * certified.certified_accuracy));
            }
        }
        text.push_str(&table(&lines, 2));
    }
    for Refused { defence, certificate, why } in &results.uncertified {
        text.push_str(&format!("{defence} is not certifiable by {certificate}: {why}\n"));
    }
}
