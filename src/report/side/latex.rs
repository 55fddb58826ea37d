//! The comparison as LaTeX tables with booktabs: pdfLaTeX sets them with nothing but that package.

use super::super::text::distance;
use super::super::view::View;
use super::sheet::{Entry, Head, Sheet, sheets};
use super::{note, reach};
use crate::Result;
use crate::evaluate::results::Results;
use crate::evaluate::spread::Spread;
use crate::threat::Norm;

/// A `table` for every norm that is asked for.
///
/// # Errors
/// Bad input: a norm or an epsilon that the run does not have.
pub fn latex(results: &Results, norm: Option<Norm>, epsilon: Option<f64>) -> Result<String> {
    let view = View::new(results);
    let one_line = |text: &str| text.replace(|letter: char| letter.is_control(), " ");
    let mut text = format!("% {} (gauntlet {})\n% \\usepackage{{booktabs}}\n", one_line(&results.suite), one_line(&results.version));
    for sheet in sheets(&view, norm, epsilon)? {
        text.push_str(&table(&view, &sheet));
    }
    Ok(text)
}

fn table(view: &View, sheet: &Sheet) -> String {
    let under = format!("${}$", symbol(sheet.norm));
    let at = match sheet.epsilon {
        Some(epsilon) => format!("under {under} at $\\varepsilon = {}$, by attack", distance(epsilon)),
        None => format!("under {under}, worst case of all attacks"),
    };
    let warning = view.incomplete().map_or(String::new(), |warning| format!(" \\textbf{{{}.}}", escape(&warning)));
    let caption = format!(
        "{}: robust accuracy {at}; {}. {}{warning}",
        escape(&view.subtitle()),
        escape(&sheet.legend()),
        escape(&note(view, sheet.is_grouped()))
    );
    let columns: String = std::iter::once('l').chain(sheet.heads.iter().skip(1).map(|_| 'r')).collect();
    let head = |head: &Head| match head {
        Head::Text(text) => escape(text),
        Head::Attack(name) => escape(name),
        Head::Epsilon(epsilon) => format!("$\\varepsilon = {}$", distance(*epsilon)),
    };
    let heads: Vec<String> = sheet.heads.iter().map(head).collect();
    let best: Vec<Vec<usize>> = (0..sheet.heads.len()).map(|column| sheet.best(column)).collect();
    let mut text = format!(
        "\\begin{{table}}\n\\centering\n\\caption{{{}}}\n\\begin{{tabular}}{{{columns}}}\n\\toprule\n{} \\\\\n\\midrule\n",
        caption.trim(),
        heads.join(" & ")
    );
    for (at, row) in sheet.rows.iter().enumerate() {
        let entry = |(column, entry): (usize, &Entry)| match entry {
            Entry::Text(text) => escape(text),
            Entry::Share(spread) => share(spread, best[column].contains(&at)),
            Entry::Missing => "--".to_owned(),
        };
        let entries: Vec<String> = row.iter().enumerate().map(entry).collect();
        text.push_str(&format!("{} \\\\\n", entries.join(" & ")));
    }
    text + "\\bottomrule\n\\end{tabular}\n\\end{table}\n"
}

fn symbol(norm: Norm) -> &'static str {
    match norm {
        Norm::Linf => "\\ell_\\infty",
        Norm::L2 => "\\ell_2",
        Norm::L1 => "\\ell_1",
        Norm::L0 => "\\ell_0",
    }
}

fn share(spread: &Spread, best: bool) -> String {
    let mean = format!("{:.1}", 100.0 * spread.mean);
    let mean = if best { format!("\\textbf{{{mean}}}") } else { mean };
    if spread.seeds > 2 {
        return format!("{mean} $\\pm$ {:.1}", 100.0 * spread.deviation);
    }
    let [low, high] = reach(spread);
    format!("{mean} ({:.1}--{:.1})", 100.0 * low, 100.0 * high)
}

/// Text that LaTeX sets as it stands. What pdfLaTeX has no letter for is written as its code point.
pub fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    let mut before = ' ';
    for letter in text.chars() {
        match letter {
            '\\' => safe.push_str("\\textbackslash{}"),
            '{' | '}' | '$' | '&' | '#' | '%' | '_' => safe.extend(['\\', letter]),
            '~' => safe.push_str("\\textasciitilde{}"),
            '^' => safe.push_str("\\textasciicircum{}"),
            '<' => safe.push_str("\\textless{}"),
            '>' => safe.push_str("\\textgreater{}"),
            '|' => safe.push_str("\\textbar{}"),
            '`' => safe.push_str("\\textasciigrave{}"),
            '"' => safe.push_str("''"),
            // Behind the end of a row these two would be its options.
            '[' | ']' | '*' => safe.extend(['{', letter, '}']),
            '-' if before == '-' => safe.push_str("{}-"),
            '\u{a0}' => safe.push('~'),
            '·' => safe.push_str("$\\cdot$"),
            '×' => safe.push_str("$\\times$"),
            '±' => safe.push_str("$\\pm$"),
            'ε' => safe.push_str("$\\varepsilon$"),
            '∞' => safe.push_str("$\\infty$"),
            '–' => safe.push_str("--"),
            '—' => safe.push_str("---"),
            '’' => safe.push('\''),
            '“' => safe.push_str("``"),
            '”' => safe.push_str("''"),
            // Latin-1's letters, those excepted that the usual font encoding lacks; LaTeX takes UTF-8 since 2018.
            'À'..='ÿ' if !"×÷ÐðÞþ".contains(letter) => safe.push(letter),
            other if other.is_control() => safe.push(' '),
            other if other.is_ascii() => safe.push(other),
            other => safe.push_str(&format!("{{[}}U+{:04X}{{]}}", other as u32)),
        }
        before = letter;
    }
    safe
}
