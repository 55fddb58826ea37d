//! The page's prose: what was asked, what came out, and what the words mean.

use std::fmt::Write as _;

use super::super::side::findings;
use super::super::text::{self, escape, interval, percent};
use super::super::view::View;
use super::side::refused;
use crate::engine::precision::Precision;
use crate::threat::Norm;

/// The line under the title.
pub fn opening(view: &View) -> String {
    let results = view.results;
    let [channels, height, width] = results.data.shape;
    let devices: Vec<_> = results.devices.iter().map(|device| escape(&device.name)).collect();
    let mixed = results.devices.iter().any(|device| device.precision == Precision::Mixed.name());
    let searched = if mixed { " · searched in half precision, judged in f32" } else { "" };
    format!(
        "<p class=\"facts\">{} · {} examples of {channels}×{height}×{width} in {} classes · seed {} · {}{searched} · gauntlet {}</p>\n",
        escape(&results.data.name),
        text::count(results.data.examples as u64),
        results.data.classes,
        results.seed,
        if devices.is_empty() { "no device".to_owned() } else { devices.join(", ") },
        escape(&results.version),
    )
}

/// What must not be missed: an unfinished run, failed rows, checks that say no.
pub fn banners(view: &View) -> String {
    let mut banners = String::new();
    let mut add = |class: &str, text: String| {
        let _ = writeln!(banners, "<p class=\"banner {class}\" role=\"note\">{text}</p>");
    };
    if !view.results.complete {
        let (there, planned) = (view.results.cells.len(), view.results.planned);
        add(
            "alarm",
            format!(
                "<strong>Incomplete run.</strong> {there} of {planned} cells are there; worst cases over fewer attacks look too good. Run the suite again to go on."
            ),
        );
    }
    if view.failed() > 0 {
        let cells = view.results.cells.iter().filter(|cell| cell.failed > 0).count();
        let (rows, row) = (text::count(view.failed() as u64), if view.failed() == 1 { "row" } else { "rows" });
        let noun = if cells == 1 { "cell" } else { "cells" };
        add(
            "alarm",
            format!("<strong>{rows} failed {row}</strong> in {cells} {noun}. They count as not robust; <a href=\"#failed\">see which</a>."),
        );
    }
    if view.results.complete && view.results.checks.is_empty() {
        add("warn", "<strong>No checks were run</strong> of the evaluation itself (<code>--no-checks</code>).".into());
    }
    for (verdict, class, words) in [("fail", "alarm", "failed"), ("warn", "warn", "warn")] {
        let number = view.results.checks.iter().filter(|check| check.verdict == verdict).count();
        if number > 0 {
            let noun = if number == 1 { "check" } else { "checks" };
            let verb = if (number, verdict) == (1, "warn") { "warns" } else { words };
            add(class, format!("<strong>{number} {noun} {verb}.</strong> <a href=\"#checks\">What and why</a>."));
        }
    }
    banners
}

/// More defences than these are told one by one only where a reader asks for it.
const AT_A_GLANCE: usize = 8;

/// What came out, a sentence or two a defence and norm.
pub fn summary(view: &View) -> String {
    if view.results.cells.is_empty() {
        return "<p>No attack has finished yet, so nothing can be said about robustness.</p>".into();
    }
    let list = one_by_one(view);
    if view.defences.len() <= AT_A_GLANCE {
        return list;
    }
    let opening = |&norm: &Norm| Some(findings(view, norm, view.opening(norm)?)).filter(|found| !found.is_empty());
    let found = view.norms.iter().filter_map(opening);
    let found: String = found.map(|found| format!("<p>{} <a href=\"#side\">Another epsilon</a></p>\n", escape(&found))).collect();
    format!("{found}<details><summary>The {} one by one</summary>\n{list}</details>\n", view.defences.len())
}

fn one_by_one(view: &View) -> String {
    let mut list = String::from("<ul class=\"findings\">\n");
    for defence in &view.defences {
        let clean = match view.clean(defence) {
            Some((accuracy, Some(ci95))) => {
                format!("decides <b>{}</b> of the clean examples rightly ({})", percent(accuracy), unbroken(ci95))
            }
            Some((accuracy, None)) => format!("decides <b>{}</b> of the clean examples rightly", percent(accuracy)),
            None => "has no clean accuracy yet".to_owned(),
        };
        let refused = refused(view.failed_checks(&[defence])).map_or(String::new(), |refused| format!(" ({refused})"));
        let _ = write!(list, "<li><strong>{}</strong>{refused} {clean}.", escape(defence));
        for &norm in &view.norms {
            list.push_str(&finding(view, defence, norm));
        }
        list.push_str("</li>\n");
    }
    list + "</ul>\n"
}

fn finding(view: &View, defence: &str, norm: Norm) -> String {
    let worst = view.worst(defence, norm);
    let Some(largest) = worst.iter().rev().find(|worst| worst.robust_accuracy.is_finite()) else {
        return format!(" Under {} nothing has finished yet.", text::norm(norm));
    };
    let attacks = view.attacks(norm).iter().filter(|attack| !view.series(defence, attack, norm).is_empty()).count();
    let of = if attacks == 1 { "one attack".to_owned() } else { format!("the worst of {attacks} attacks") };
    let at = |worst: &crate::evaluate::results::WorstCase| {
        format!("<b>{}</b> ({}) at epsilon {}", percent(worst.robust_accuracy), unbroken(worst.ci95), text::distance(worst.epsilon))
    };
    let opening = worst.iter().find(|worst| Some(worst.epsilon) == view.opening(norm));
    let opening = opening.filter(|opening| opening.robust_accuracy.is_finite() && opening.epsilon < largest.epsilon);
    let between = opening.map_or(String::new(), |opening| format!("{}, and ", at(opening)));
    let mut words = format!(" Under {of} within {} it keeps {between}{}.", text::norm(norm), at(largest));
    if let Some(half) = worst.iter().find(|worst| worst.robust_accuracy < 0.5).filter(|_| worst.len() > 1) {
        let _ = write!(words, " The first epsilon at which less than half is left is {}.", text::distance(half.epsilon));
    }
    words
}

/// An interval on one line.
fn unbroken(ci95: [f64; 2]) -> String {
    format!("<span class=\"nb\">{}</span>", interval(ci95))
}

/// The threat model that the results hold for.
pub fn threat(view: &View) -> String {
    if view.norms.is_empty() {
        return String::new();
    }
    let mut words = String::from(
        "<p>An attacker may change every input within a ball of radius epsilon around it, measured in input units: the whole range of an \
         element, from darkest to brightest, is 1, and changed inputs stay within [0, 1].</p>\n<ul>\n",
    );
    for &norm in &view.norms {
        let meaning = match norm {
            Norm::Linf => "no element changes by more than epsilon",
            Norm::L2 => "the Euclidean length of the whole change is at most epsilon",
            Norm::L1 => "the absolute changes of all elements add up to at most epsilon",
            Norm::L0 => "at most epsilon elements change, each by any amount",
        };
        let epsilons: Vec<_> = view.epsilons(norm).into_iter().map(text::distance).collect();
        let attacks: Vec<_> = view.attacks(norm).into_iter().map(escape).collect();
        let attacks = if attacks.is_empty() { "none yet".to_owned() } else { attacks.join(", ") };
        let _ = writeln!(
            words,
            "<li><strong>{}</strong>: {meaning}. Epsilons: {}. Attacks: {attacks}.</li>",
            text::norm(norm),
            epsilons.join(", "),
        );
    }
    words
        + "</ul>\n<p>Goals, losses and steps of the attacks stand in the suite below. What an attack returns is projected onto the ball, \
           clipped and decided again by a judge that knows nothing of the attack; a change that leaves the ball is never counted.</p>"
}

/// Definitions.
pub fn reading() -> String {
    let terms = [
        ("Clean accuracy", "share of all examples that the defence decides rightly without an attack."),
        (
            "Robust accuracy",
            "share of all examples that are decided rightly and stay so under the attack at this epsilon. A misclassified example is not \
             robust at any epsilon, and neither is one whose row failed. Under a targeted attack an example is broken only where it is decided as \
             its target. It is an upper bound: a stronger attack may find more.",
        ),
        (
            "Worst case",
            "an example counts only if no attack breaks it at this or a smaller epsilon. The union is taken example by example, so it may lie \
             below every single attack.",
        ),
        (
            "95 % interval",
            "Wilson score interval of a share. It covers the chance in drawing these examples, not what a stronger attack would find.",
        ),
        (
            "Random defences",
            "decide by most of ten throws of their dice, or by as many as they poll. Whatever an attack ends with is judged by throws of the \
             judge's own; a point on the edge is broken by some and not by others, so that the more points are handed in, the more are \
             broken by chance, as before an attacker who may try again.",
        ),
        ("Failed", "rows that met a NaN, an infinity or the attack's own panic. They are shown and never counted as robust."),
        (
            "Inferred",
            "survivals that were not run: the example survived a larger epsilon under the same attack. A random part of them is run after \
             all as an audit.",
        ),
        ("Median distance", "half of the rightly decided examples are broken within this distance; it is absent where under half broke."),
        (
            "Forward and backward passes",
            "what an example cost on average up to its break, booked on the epsilon at which it was spent. The judge, the clean pass and \
             audits are not counted.",
        ),
    ];
    let mut list = String::from("<dl>\n");
    for (term, meaning) in terms {
        let _ = writeln!(list, "<dt>{term}</dt><dd>{meaning}</dd>");
    }
    list + "</dl>"
}
