//! What the checks say in the terminal: what speaks against an evaluation, and where all of it is.

use std::path::Path;

use crate::evaluate::checks::{Addition, EXPECTED, Verdict};
use crate::evaluate::results::{Check, Results};

/// Columns that a line of the checks takes at most.
const WIDTH: usize = 118;

/// How many there are of each verdict, what fails or warns with its reason, and what was added because of it.
pub fn as_text(results: &Results, page: &Path) -> String {
    let mut text = String::new();
    if !results.checks.is_empty() {
        let counts = [Verdict::Fail, Verdict::Warn, Verdict::Pass, Verdict::Skip].map(|verdict| {
            let count = results.checks.iter().filter(|check| check.verdict == verdict.name()).count();
            format!("{count} {}", verdict.name())
        });
        text.push_str(&format!("\nchecks: {}; all of them, with their reasons: {}#checks\n", counts.join(", "), page.display()));
    }
    let (unchecked, checked): (Vec<&str>, Vec<&str>) =
        results.defences.iter().map(|defence| defence.name.as_str()).partition(|name| !results.checks.iter().any(|c| c.defence == *name));
    for Block { defences, loud, expected } in blocks(results, &checked) {
        let all = defences.len() > 1 && defences.len() == checked.len();
        let heading = if all { "every defence".to_owned() } else { defences.join("; ") };
        text.extend(wrap(&heading, WIDTH).into_iter().map(|line| line + "\n"));
        text.extend(check_lines(&loud).into_iter().map(|line| line + "\n"));
        if !expected.is_empty() {
            let said = format!("as expected of a control that attacks do not know, no failure: {}", expected.join(", "));
            text.extend(wrap(&said, WIDTH).iter().map(|line| format!("  {line}\n")));
        }
    }
    if results.complete && !unchecked.is_empty() {
        let said = format!("checks of {}: none were run (--no-checks)", unchecked.join(", "));
        text.extend(std::iter::once("\n".to_owned()).chain(wrap(&said, WIDTH).into_iter().map(|line| line + "\n")));
    }
    for Addition { name, kind, changes, why, .. } in &results.hardened {
        let changes = if changes.is_empty() { String::new() } else { format!(" with {}", changes.join(", ")) };
        text.push_str(&format!("added by --harden: {name}, {kind}{changes}, for {why}\n"));
    }
    text
}

/// What the same checks say of some defences.
struct Block<'a> {
    defences: Vec<&'a str>,
    /// What fails or warns.
    loud: Vec<&'a Check>,
    /// The names of those that only show what a control is.
    expected: Vec<&'a str>,
}

/// What speaks against defences, in their order; what is said of several in the same words is there once.
fn blocks<'a>(results: &'a Results, defences: &[&'a str]) -> Vec<Block<'a>> {
    let is_loud = |check: &&Check| [Verdict::Fail, Verdict::Warn].iter().any(|verdict| check.verdict == verdict.name());
    let loud: Vec<&Check> = results.checks.iter().filter(is_loud).collect();
    let mut blocks: Vec<Block> = Vec::new();
    for defence in defences {
        for check in loud.iter().filter(|check| check.defence == *defence) {
            let is_expected = check.detail.starts_with(EXPECTED);
            let same = |other: &&&Check| other.check == check.check && other.verdict == check.verdict && other.detail == check.detail;
            let mut of: Vec<&str> = loud.iter().filter(same).map(|other| other.defence.as_str()).collect();
            if is_expected {
                of = vec![defence];
            } else if of.first() != Some(defence) {
                continue;
            }
            let at = blocks.iter().position(|block| block.defences == of).unwrap_or_else(|| {
                blocks.push(Block { defences: of, loud: Vec::new(), expected: Vec::new() });
                blocks.len() - 1
            });
            if is_expected { blocks[at].expected.push(&check.check) } else { blocks[at].loud.push(check) }
        }
    }
    blocks
}

/// Checks, each on as many lines as its detail takes.
pub fn check_lines(checks: &[&Check]) -> Vec<String> {
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
