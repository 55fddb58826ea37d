//! The page's tables: each scrolls within itself and can be sorted by its columns.

use std::fmt::Write as _;

use super::super::cost::passes;
use super::super::text::{self, count, escape, interval, percent};
use super::super::view::View;
use super::side::refused;
use crate::evaluate::results::{ApparentGain, Cell, Certified};
use crate::suite::certify::Refused;

/// A table's entry: HTML and the key to sort by.
pub(super) struct Entry(pub(super) String, pub(super) String);

/// Text that is sorted as it stands.
pub(super) fn words(text: &str) -> Entry {
    Entry(escape(text), escape(text))
}

/// A number that is not there.
fn missing() -> Entry {
    Entry("–".to_owned(), String::new())
}

/// A number and how it is shown.
pub(super) fn number(shown: String, value: f64) -> Entry {
    Entry(shown, if value.is_finite() { value.to_string() } else { String::new() })
}

/// A table; the first column names the rows. `rows` come with a class.
pub(super) fn table(caption: &str, heads: &[&str], rows: &[(&str, Vec<Entry>)]) -> String {
    let mut html = format!(
        "<div class=\"scroll table\" tabindex=\"0\" role=\"region\" aria-label=\"{caption}\"><table class=\"sortable quiet\"><caption>{caption}</caption>\n<thead><tr>"
    );
    for head in heads {
        let _ = write!(html, "<th scope=\"col\">{head}</th>");
    }
    html.push_str("</tr></thead>\n<tbody>\n");
    for (class, entries) in rows {
        let _ = write!(html, "<tr{}>", if class.is_empty() { String::new() } else { format!(" class=\"{class}\"") });
        for (index, Entry(shown, key)) in entries.iter().enumerate() {
            let class = if key.is_empty() || key.parse::<f64>().is_ok() { " class=\"n\"" } else { "" };
            let (open, close) = if index == 0 { ("th scope=\"row\"", "th") } else { ("td", "td") };
            let _ = write!(html, "<{open}{class} data-key=\"{key}\">{shown}</{close}>");
        }
        html.push_str("</tr>\n");
    }
    html + "</tbody></table></div>\n"
}

/// Defences by epsilons: worst-case accuracy with its interval, a table a norm.
pub fn headline(view: &View) -> String {
    let mut html = String::new();
    for &norm in &view.norms {
        let epsilons = view.epsilons(norm);
        let heads: Vec<String> = epsilons.iter().map(|epsilon| format!("ε {}", text::distance(*epsilon))).collect();
        let mut all = vec!["defence", "clean"];
        all.extend(heads.iter().map(String::as_str));
        let with_interval =
            |share: f64, ci95: [f64; 2]| number(format!("<b>{}</b><br><small>{}</small>", percent(share), interval(ci95)), share);
        let mut rows = Vec::new();
        for defence in &view.defences {
            let refused = refused(view.failed_checks(&[defence])).map_or(String::new(), |refused| format!("<br>{refused}"));
            let mut row = vec![Entry(escape(defence) + &refused, escape(defence))];
            row.push(match view.clean(defence) {
                Some((share, Some(ci95))) => with_interval(share, ci95),
                Some((share, None)) => number(percent(share), share),
                None => missing(),
            });
            let worst = view.worst(defence, norm);
            for epsilon in &epsilons {
                let there = worst.iter().find(|worst| worst.epsilon == *epsilon);
                row.push(there.map_or_else(missing, |worst| with_interval(worst.robust_accuracy, worst.ci95)));
            }
            rows.push(("", row));
        }
        let caption = format!("Worst-case robust accuracy, {}; below it the 95 % interval", text::norm(norm));
        html += &table(&caption, &all, &rows).replacen("sortable quiet", "sortable", 1);
    }
    html
}

/// Defences before attacks that do not know them, beside the same before attacks that do.
pub fn apparent(view: &View) -> String {
    let tenths = |gain: &&ApparentGain| (1000.0 * gain.gain).round() != 0.0;
    let row = |gain: &ApparentGain| {
        let accuracies = [gain.unknown_accuracy, gain.robust_accuracy].map(|share| number(percent(share), share));
        let [unknown, known] = accuracies;
        let points = number(format!("{:+.1}", 100.0 * gain.gain), gain.gain);
        let place = number(text::distance(gain.epsilon), gain.epsilon);
        ("", vec![words(&gain.defence), words(&gain.attack), words(text::norm(gain.norm)), place, unknown, known, points])
    };
    let gains = &view.results.apparent_gains;
    let rows: Vec<_> = gains.iter().filter(tenths).map(row).collect();
    let heads = ["defence", "attack", "norm", "epsilon", "attacks do not know it", "attacks know it", "apparent gain, points"];
    let told = match (gains.len(), gains.len() - rows.len()) {
        (0, _) => return String::new(),
        (1, 1) => "<p>The one comparison differs by 0.0 points.</p>\n".to_owned(),
        (all, same) if all == same => format!("<p>All {all} comparisons differ by 0.0 points.</p>\n"),
        (_, 0) => String::new(),
        (all, same) => format!("<p>Of {all} comparisons {same} differ by 0.0 points and are left out.</p>\n"),
    };
    if rows.is_empty() { told } else { told + &table("Robust accuracy before attacks that do and do not know the defence", &heads, &rows) }
}

/// Every worst case.
pub fn worst_case(view: &View) -> String {
    let mut rows = Vec::new();
    for &norm in &view.norms {
        for defence in &view.defences {
            for worst in view.worst(defence, norm) {
                rows.push((
                    "",
                    vec![
                        words(defence),
                        words(text::norm(norm)),
                        number(text::distance(worst.epsilon), worst.epsilon),
                        number(count(worst.examples as u64), worst.examples as f64),
                        number(percent(worst.robust_accuracy), worst.robust_accuracy),
                        number(interval(worst.ci95), worst.ci95[0]),
                    ],
                ));
            }
        }
    }
    let heads = ["defence", "norm", "epsilon", "examples", "robust accuracy", "95 % interval"];
    if rows.is_empty() { String::new() } else { table("Worst case of all attacks", &heads, &rows) }
}

/// Every certificate at every epsilon, and what cannot be certified.
pub fn certified(view: &View) -> String {
    let results = view.results;
    let row = |certified: &Certified| {
        let entries = vec![
            words(&certified.defence),
            words(&certified.title()),
            words(text::norm(certified.norm)),
            number(text::distance(certified.epsilon), certified.epsilon),
            number(percent(certified.certified_accuracy), certified.certified_accuracy),
            number(interval(certified.ci95), certified.ci95[0]),
            number(count(certified.examples as u64), certified.examples as f64),
            number(count(certified.abstained as u64), certified.abstained as f64),
            number(text::distance((certified.median_radius * 1e4).round() / 1e4), certified.median_radius),
        ];
        ("", entries)
    };
    let rows: Vec<_> = results.certified.iter().map(row).collect();
    let mut html = String::new();
    if !rows.is_empty() {
        html += "<p>Certified: no perturbation within the radius changes the decision, whatever is tried. What lies between the certified \
                 and the attacked accuracy is open: neither certain nor broken.</p>\n";
        let heads =
            ["defence", "certificate", "norm", "epsilon", "certified accuracy", "95 % interval", "examples", "abstained", "median radius"];
        html += &table("Certified accuracy", &heads, &rows);
    }
    for Refused { defence, certificate, why } in &results.uncertified {
        let _ =
            writeln!(html, "<p><strong>{}</strong> is not certifiable by {}: {}.</p>", escape(defence), escape(certificate), escape(why));
    }
    html
}

/// Every cell.
pub fn cells(view: &View) -> String {
    let mut rows = Vec::new();
    for &norm in &view.norms {
        for defence in &view.defences {
            for attack in view.attacks(norm) {
                rows.extend(view.series(defence, attack, norm).into_iter().map(|cell| (class(cell), row(view, cell))));
            }
        }
    }
    let heads = [
        "defence",
        "attack",
        "norm",
        "epsilon",
        "robust accuracy",
        "95 % interval",
        "clean",
        "examples",
        "failed",
        "inferred",
        "median distance",
        "forwards an example",
        "backwards an example",
        "time",
    ];
    if rows.is_empty() { String::new() } else { table("All cells", &heads, &rows) }
}

fn class(cell: &Cell) -> &'static str {
    if cell.failed > 0 { "failed" } else { "" }
}

fn row(view: &View, cell: &Cell) -> Vec<Entry> {
    let examples = cell.examples.max(1) as f64;
    let (forwards, backwards) = (cell.forwards as f64 / examples, cell.backwards as f64 / examples);
    let failed = if cell.failed > 0 { format!("<strong>⚠ {} FAILED</strong>", cell.failed) } else { "0".into() };
    vec![
        words(&cell.defence),
        words(&cell.attack),
        words(text::norm(cell.norm)),
        number(text::distance(cell.epsilon), cell.epsilon),
        number(percent(cell.robust_accuracy), cell.robust_accuracy),
        number(interval(cell.ci95), cell.ci95[0]),
        number(percent(cell.clean_accuracy), cell.clean_accuracy),
        number(count(cell.examples as u64), cell.examples as f64),
        number(failed, cell.failed as f64),
        number(count(cell.inferred as u64), cell.inferred as f64),
        cell.median_distance.map_or_else(missing, |median| number(text::distance((median * 1e4).round() / 1e4), median)),
        number(passes(forwards), forwards),
        number(passes(backwards), backwards),
        view.seconds(cell).map_or_else(missing, |seconds| number(text::seconds(seconds), seconds)),
    ]
}

/// The defences and how they were made.
pub fn defences(view: &View) -> String {
    let rows: Vec<_> = view
        .results
        .defences
        .iter()
        .map(|defence| {
            let training = if defence.training.is_empty() { "none: weights were loaded" } else { &defence.training };
            let entries = vec![
                words(&defence.name),
                words(&defence.architecture),
                words(training),
                number(count(defence.parameters as u64), defence.parameters as f64),
                number(percent(defence.clean_accuracy), defence.clean_accuracy),
                number(interval(defence.ci95), defence.ci95[0]),
                Entry(format!("<code>{}</code>", escape(&short(&defence.weights))), escape(&format!("#{}", defence.weights))),
            ];
            ("", entries)
        })
        .collect();
    let heads = ["defence", "architecture", "training", "parameters", "clean accuracy", "95 % interval", "weights"];
    if rows.is_empty() { String::new() } else { table("Defences", &heads, &rows) }
}

/// Devices, versions and what the run cost on the clock.
pub fn machine(view: &View) -> String {
    let results = view.results;
    let rows: Vec<_> = results
        .devices
        .iter()
        .map(|device| {
            let driver = if device.driver.is_empty() { "–" } else { &device.driver };
            let entries = vec![
                words(&device.name),
                words(&device.backend),
                words(driver),
                words(&device.compiler),
                words(&device.precision),
                number(count(device.slots as u64), device.slots as f64),
            ];
            ("", entries)
        })
        .collect();
    let mut html = String::new();
    if !rows.is_empty() {
        html += &table("Devices", &["device", "backend", "driver", "compiler", "precision", "slots"], &rows);
    }
    let timing = &results.timing;
    let facts = [
        ("Engine", format!("gauntlet {}", results.version)),
        ("Seed", results.seed.to_string()),
        ("Data", format!("{} ({})", results.data.name, short(&results.data.hash))),
        ("Cells", format!("{} of {} planned", results.cells.len(), results.planned)),
        ("Wall time", text::seconds(timing.seconds)),
        ("Forward passes on the devices", count(timing.device_forwards)),
        ("Backward passes on the devices", count(timing.device_backwards)),
        ("Slots that held a running row", percent(timing.occupancy)),
        ("The same while rows waited for a slot", percent(timing.occupancy_fed)),
    ];
    html.push_str("<dl class=\"facts\">\n");
    for (name, value) in facts {
        let _ = writeln!(html, "<dt>{name}</dt><dd>{}</dd>", escape(&value));
    }
    html + "</dl>"
}

/// The beginning of a content hash.
fn short(hash: &str) -> String {
    hash.chars().take(16).collect()
}
