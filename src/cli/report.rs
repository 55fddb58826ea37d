//! `gauntlet report`, and what `run` prints and writes at its end.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use clap::Args;

use crate::Result;
use crate::evaluate::checks::Addition;
use crate::evaluate::results::{Certified, Check, Results};
use crate::report::labels::labelled;
use crate::report::text::distance;
use crate::report::{self, Inputs, exports, gather};
use crate::store::{Store, write_atomic};
use crate::suite::certify::Refused;
use crate::threat::Norm;

/// Options of `report`.
#[derive(Clone, Debug, Args)]
pub struct Arguments {
    /// The run's folder
    run: PathBuf,
    /// Print results.json, and nothing else
    #[arg(long)]
    json: bool,
    /// Print nothing but errors
    #[arg(long)]
    quiet: bool,
}

/// Makes a run's report again from its store.
///
/// # Errors
/// A folder that holds no run, or cannot be written.
pub fn run(arguments: &Arguments) -> Result<u8> {
    let store = Store::read(&arguments.run)?;
    let results = write(&store)?;
    if arguments.json {
        super::say(&as_json(&results))?;
    } else if !arguments.quiet {
        super::say(&as_text(&results, &arguments.run))?;
    }
    Ok(exit_code(&results))
}

/// Writes every file of a run's folder but the store.
///
/// # Errors
/// A store that cannot be read, or a folder that cannot be written.
pub fn write(store: &Store) -> Result<Results> {
    let folder = store.folder();
    let gathered = gather::gather(store)?;
    write_atomic(&folder.join("suite.toml"), gathered.layout.suite.as_bytes())?;
    exports::write_json(&folder.join("results.json"), &gathered.results)?;
    exports::write_csv(&folder.join("results.csv"), &gathered.results)?;
    exports::write_certified(folder, &gathered.results)?;
    exports::write_parquet(&folder.join("examples.parquet"), gathered.rows(store))?;
    let inputs = Inputs {
        results: &gathered.results,
        specimens: &gathered.specimens,
        training: &gathered.training,
        suite_toml: &gathered.layout.suite,
    };
    report::write(&inputs, folder)?;
    Ok(gathered.results)
}

/// 1 where a row failed or a check says no, else 0.
pub fn exit_code(results: &Results) -> u8 {
    let failed = results.cells.iter().any(|cell| cell.failed > 0);
    u8::from(failed || results.checks.iter().any(|check| check.verdict == "fail"))
}

/// `results.json` as text.
pub fn as_json(results: &Results) -> String {
    serde_json::to_string_pretty(results).expect("results are plain JSON")
}

/// The worst cases and the cells as tables, and what the checks say.
pub fn as_text(results: &Results, folder: &Path) -> String {
    let results = &*labelled(results);
    let mut text = String::new();
    let mut norms: Vec<Norm> = results.cells.iter().map(|cell| cell.norm).collect();
    norms.dedup();
    // In the suite's order; every defence meets the norms in it.
    let mut seen = BTreeSet::new();
    for norm in norms.into_iter().filter(|&norm| seen.insert(norm)) {
        let mut epsilons: Vec<f64> = results.cells.iter().filter(|cell| cell.norm == norm).map(|cell| cell.epsilon).collect();
        epsilons.sort_by(f64::total_cmp);
        epsilons.dedup();
        text.push_str(&format!("\nrobust accuracy, %, under {}\n", norm.name()));
        let mut lines = vec![vec!["defence".to_owned(), "attack".into()]];
        lines[0].extend(epsilons.iter().map(|&epsilon| distance(epsilon)));
        for defence in &results.defences {
            let mut attacks: Vec<&str> = Vec::new();
            for cell in results.cells.iter().filter(|cell| cell.norm == norm && cell.defence == defence.name) {
                if attacks.last() != Some(&cell.attack.as_str()) {
                    attacks.push(&cell.attack);
                }
            }
            for attack in attacks {
                let mut line = vec![defence.name.clone(), attack.to_owned()];
                line.extend(epsilons.iter().map(|&epsilon| {
                    let is_it = |cell: &&crate::evaluate::results::Cell| {
                        cell.norm == norm && cell.defence == defence.name && cell.attack == attack && cell.epsilon == epsilon
                    };
                    results.cells.iter().find(is_it).map_or("-".into(), |cell| {
                        let failed = if cell.failed > 0 { format!(" ({} FAILED)", cell.failed) } else { String::new() };
                        format!("{:.1}{failed}", 100.0 * cell.robust_accuracy)
                    })
                }));
                lines.push(line);
            }
            let worst = results.worst_case.iter().filter(|worst| worst.norm == norm && worst.defence == defence.name);
            let mut line = vec![defence.name.clone(), "worst case".into()];
            line.extend(worst.map(|worst| format!("{:.1}", 100.0 * worst.robust_accuracy)));
            if line.len() > 2 {
                lines.push(line);
            }
        }
        table(&lines, &mut text);
    }
    certified(results, &mut text);
    apparent(results, &mut text);
    text.push('\n');
    checks(results, &mut text);
    let state = if results.complete { "" } else { "INCOMPLETE: run the suite again to go on. " };
    let (cells, seconds) = (results.cells.len(), results.timing.seconds);
    text.push_str(&format!(
        "{state}{cells} of {} cells, {seconds:.1} s in all. Report: {}\n",
        results.planned,
        folder.join("report.html").display()
    ));
    text
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
    table(&lines, text);
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
        table(&lines, text);
    }
    for Refused { defence, certificate, why } in &results.uncertified {
        text.push_str(&format!("{defence} is not certifiable by {certificate}: {why}\n"));
    }
}

/// Columns that a line of the checks takes at most.
const WIDTH: usize = 118;

/// What the checks say, a block a defence, and what was added because of them.
fn checks(results: &Results, text: &mut String) {
    for defence in &results.defences {
        let of_defence: Vec<Check> = results.checks.iter().filter(|check| check.defence == defence.name).cloned().collect();
        if of_defence.is_empty() {
            if results.complete {
                text.push_str(&format!("checks of {}: none were run (--no-checks)\n\n", defence.name));
            }
            continue;
        }
        let counts = ["fail", "warn", "pass", "skip"].map(|verdict| {
            let count = of_defence.iter().filter(|check| check.verdict == verdict).count();
            format!("{count} {verdict}")
        });
        text.push_str(&format!("checks of {}: {}\n", defence.name, counts.join(", ")));
        text.push_str(&check_lines(&of_defence).join("\n"));
        text.push_str("\n\n");
    }
    for Addition { name, kind, changes, why, .. } in &results.hardened {
        let changes = if changes.is_empty() { String::new() } else { format!(" with {}", changes.join(", ")) };
        text.push_str(&format!("added by --harden: {name}, {kind}{changes}, for {why}\n"));
    }
}

/// Checks, each on as many lines as its detail takes.
pub(super) fn check_lines(checks: &[Check]) -> Vec<String> {
    let name = checks.iter().map(|check| check.check.chars().count()).max().unwrap_or(0);
    let indent = 8 + name + 2;
    let mut lines = Vec::new();
    for check in checks {
        for (number, line) in wrap(&check.detail, WIDTH - indent.min(WIDTH / 2)).iter().enumerate() {
            let head = if number == 0 { format!("  {}  {:<name$}", check.verdict.to_uppercase(), check.check) } else { String::new() };
            lines.push(format!("{head:<indent$}{line}"));
        }
    }
    lines
}

/// Text in lines of at most so many characters; a longer word has a line of its own.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let line = lines.last_mut().expect("there is a line");
        if line.is_empty() {
            line.push_str(word);
        } else if line.chars().count() + 1 + word.chars().count() <= width {
            line.push(' ');
            line.push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    lines
}

fn table(lines: &[Vec<String>], text: &mut String) {
    let columns = lines.iter().map(Vec::len).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns)
        .map(|column| lines.iter().filter_map(|line| line.get(column)).map(|text| text.chars().count()).max().unwrap_or(0))
        .collect();
    for line in lines {
        let cells = line.iter().enumerate().map(|(column, text)| {
            if column < 2 { format!("{text:<width$}", width = widths[column]) } else { format!("{text:>width$}", width = widths[column]) }
        });
        text.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
        text.push('\n');
    }
}
