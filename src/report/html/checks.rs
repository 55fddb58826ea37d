//! What speaks against a run's numbers: failed rows, and the checks of the evaluation itself.

use std::fmt::Write as _;

use super::super::text::{self, count, escape, percent};
use super::super::view::View;
use super::tables::{Entry, number, table, words};
use crate::evaluate::checks::{Addition, CHECKS, CheckRow};

/// The cells that have failed rows.
pub fn failed(view: &View) -> String {
    let with_failures = view.results.cells.iter().filter(|cell| cell.failed > 0);
    let rows: Vec<_> = with_failures
        .map(|cell| {
            let share = cell.failed as f64 / cell.examples.max(1) as f64;
            let entries = vec![
                words(&cell.defence),
                words(&cell.attack),
                words(text::norm(cell.norm)),
                number(text::distance(cell.epsilon), cell.epsilon),
                number(format!("<strong>⚠ {} FAILED</strong>", cell.failed), cell.failed as f64),
                number(percent(share), share),
            ];
            ("failed", entries)
        })
        .collect();
    let heads = ["defence", "attack", "norm", "epsilon", "failed rows", "share of examples"];
    if rows.is_empty() {
        return String::new();
    }
    "<p>These rows met a NaN, an infinity or the attack's own panic. They are final and never counted as robust; numbers beside them are to be \
     read with care.</p>\n"
        .to_owned()
        + &table("Cells with failed rows", &heads, &rows)
}

/// The checks of the evaluation itself.
pub fn checks(view: &View) -> String {
    let mark = |verdict: &str| match verdict {
        "pass" => "✓ pass",
        "warn" => "⚠ warn",
        "fail" => "✗ fail",
        _ => "– skip",
    };
    let class = |verdict: &str| match verdict {
        "pass" => "pass",
        "warn" => "warned",
        "fail" => "failed",
        _ => "",
    };
    let rows: Vec<_> = view
        .results
        .checks
        .iter()
        .map(|check| {
            let verdict = Entry(format!("<strong>{}</strong>", mark(&check.verdict)), escape(&check.verdict));
            let cost = number(count(check.forwards), check.forwards as f64);
            (class(&check.verdict), vec![words(&check.defence), words(&check.check), verdict, words(&check.detail), cost])
        })
        .collect();
    if rows.is_empty() {
        return String::new();
    }
    let mut html = String::new();
    for Addition { name, kind, changes, why, .. } in &view.results.hardened {
        let changes = if changes.is_empty() { String::new() } else { format!(" with <code>{}</code>", escape(&changes.join(", "))) };
        let _ = writeln!(
            html,
            "<p>Added by <code>--harden</code>: <strong>{}</strong>, {}{changes}, for {}.</p>",
            escape(name),
            escape(kind),
            escape(why)
        );
    }
    let named = |row: &&CheckRow| view.results.checks.iter().any(|check| check.check == row.name);
    let meanings = CHECKS.iter().filter(named).map(|row| format!("<dt>{}</dt><dd>{}.</dd>", escape(row.name), escape(row.summary)));
    let meanings = format!("<details><summary>What each looks for</summary><dl>{}</dl></details>", meanings.collect::<String>());
    html + &table("Checks", &["defence", "check", "verdict", "detail", "forwards"], &rows).replacen(
        "sortable quiet",
        "sortable quiet prose",
        1,
    ) + &meanings
}
