//! The comparison as GitHub's Markdown.

use super::super::text::{distance, norm as norm_name};
use super::super::view::View;
use super::sheet::{Entry, Head, Sheet, sheets};
use super::{findings, note, reach};
use crate::Result;
use crate::evaluate::results::Results;
use crate::evaluate::spread::Spread;
use crate::threat::Norm;

/// A heading, a table and what it says, for every norm that is asked for.
///
/// # Errors
/// Bad input: a norm or an epsilon that the run does not have.
pub fn markdown(results: &Results, norm: Option<Norm>, epsilon: Option<f64>) -> Result<String> {
    let view = View::new(results);
    let mut text = format!("## {}\n\n{}\n", escape(&results.suite), escape(&view.subtitle()));
    if let Some(warning) = view.incomplete() {
        text.push_str(&format!("\n**{}**\n", escape(&warning)));
    }
    let sheets = sheets(&view, norm, epsilon)?;
    for sheet in &sheets {
        let at = sheet.epsilon.map_or(", worst case of all attacks".to_owned(), |epsilon| format!(", ε = {}", distance(epsilon)));
        text.push_str(&format!("\n### {}{at}\n\n{}", norm_name(sheet.norm), table(sheet)));
        text.push_str(&format!("\nNumbers: {}.\n", escape(&sheet.legend())));
        let found = sheet.epsilon.map_or(String::new(), |epsilon| findings(&view, sheet.norm, epsilon));
        if !found.is_empty() {
            text.push_str(&format!("\n{}\n", escape(&found)));
        }
    }
    let note = note(&view, sheets.iter().any(Sheet::is_grouped));
    if !note.is_empty() {
        text.push_str(&format!("\n{}\n", escape(&note)));
    }
    Ok(text)
}

fn table(sheet: &Sheet) -> String {
    let head = |head: &Head| match head {
        Head::Text(text) => escape(text),
        Head::Attack(name) => escape(name),
        Head::Epsilon(epsilon) => format!("ε = {}", distance(*epsilon)),
    };
    let line = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
    let mut text = line(sheet.heads.iter().map(head).collect());
    text.push_str(&line((0..sheet.heads.len()).map(|column| if column == 0 { ":--".into() } else { "--:".to_owned() }).collect()));
    let best: Vec<Vec<usize>> = (0..sheet.heads.len()).map(|column| sheet.best(column)).collect();
    for (at, row) in sheet.rows.iter().enumerate() {
        let entry = |(column, entry): (usize, &Entry)| match entry {
            Entry::Text(text) => escape(text),
            Entry::Share(spread) => share(spread, best[column].contains(&at)),
            Entry::Missing => "–".to_owned(),
        };
        text.push_str(&line(row.iter().enumerate().map(entry).collect()));
    }
    text
}

fn share(spread: &Spread, best: bool) -> String {
    let mark = if best { "**" } else { "" };
    let mean = format!("{mark}{:.1}{mark}", 100.0 * spread.mean);
    if spread.seeds > 2 {
        return format!("{mean} ± {:.1}", 100.0 * spread.deviation);
    }
    let [low, high] = reach(spread);
    format!("{mean} ({:.1}–{:.1})", 100.0 * low, 100.0 * high)
}

/// Text that Markdown shows as it stands, in a table too.
pub fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '|' | '~' | '$' | '&' | '#' => safe.extend(['\\', letter]),
            other if other.is_control() => safe.push(' '),
            other => safe.push(other),
        }
    }
    safe
}
