//! The comparison as a sheet of entries, which Markdown and LaTeX write in their own ways.

use super::super::text::{self, count};
use super::super::view::View;
use super::{Line, is_certified, lines, span};
use crate::evaluate::spread::Spread;
use crate::threat::Norm;
use crate::{Error, Result};

/// What an entry holds.
#[derive(Clone, Debug, PartialEq)]
pub enum Entry {
    /// Words or a ready number.
    Text(String),
    /// A share, with its interval or the spread of its seeds.
    Share(Spread),
    /// What was not measured.
    Missing,
}

/// What a column is headed by.
#[derive(Clone, Debug, PartialEq)]
pub enum Head {
    /// Words.
    Text(&'static str),
    /// An attack's name.
    Attack(String),
    /// The worst case at an epsilon.
    Epsilon(f64),
}

/// One table.
#[derive(Clone, Debug, PartialEq)]
pub struct Sheet {
    /// The norm that its numbers hold under.
    pub norm: Norm,
    /// The epsilon, where the columns are attacks.
    pub epsilon: Option<f64>,
    /// The columns; the first names the rows.
    pub heads: Vec<Head>,
    /// A row a recipe.
    pub rows: Vec<Vec<Entry>>,
    /// By row: whether its numbers may be the best of a column: attacks know the defence, and its checks do not fail.
    pub ranked: Vec<bool>,
}

/// A sheet a norm: with an epsilon every attack at it, otherwise the worst case at every epsilon above 0.
///
/// # Errors
/// Bad input: a norm or an epsilon that the run does not have.
pub fn sheets(view: &View, norm: Option<Norm>, epsilon: Option<f64>) -> Result<Vec<Sheet>> {
    let norms: Vec<Norm> = view.norms.iter().copied().filter(|other| norm.is_none_or(|norm| norm == *other)).collect();
    if norms.is_empty() {
        let known: Vec<&str> = view.norms.iter().map(|norm| norm.name()).collect();
        let wanted = norm.map_or(String::new(), |norm| format!(" under {}", norm.name()));
        return Err(Error::input(format!("the run has no finished cells{wanted}")).help(format!("it has some under: {}", known.join(", "))));
    }
    let near = |norm: Norm, wanted: f64| view.epsilons(norm).into_iter().find(|epsilon| (epsilon - wanted).abs() < 1e-9);
    let mut sheets = Vec::new();
    for norm in norms {
        match epsilon {
            None => sheets.push(by_epsilon(view, norm)),
            Some(wanted) => sheets.extend(near(norm, wanted).map(|epsilon| by_attack(view, norm, epsilon))),
        }
    }
    if sheets.is_empty() {
        let told = |norm: &Norm| {
            let epsilons: Vec<String> = view.epsilons(*norm).into_iter().map(text::distance).collect();
            format!("{}: {}", norm.name(), epsilons.join(", "))
        };
        let known: Vec<String> = view.norms.iter().map(told).collect();
        return Err(Error::input(format!("--epsilon {}: the run has no such radius", text::distance(epsilon.unwrap_or_default())))
            .help(format!("it has {}", known.join("; "))));
    }
    Ok(sheets)
}

fn by_epsilon(view: &View, norm: Norm) -> Sheet {
    let epsilons = view.radii(norm);
    let mut heads = vec![Head::Text("Defence"), Head::Text("Clean")];
    heads.extend(epsilons.iter().map(|&epsilon| Head::Epsilon(epsilon)));
    heads.extend(COSTS.map(Head::Text));
    let row = |line: &Line| {
        let mut row = begin(view, line);
        row.extend(epsilons.iter().map(|&epsilon| share(line.worst(view, norm, epsilon))));
        row.extend(costs(view, line));
        row
    };
    Sheet { norm, epsilon: None, heads, rows: lines(view).iter().map(row).collect(), ranked: ranked(view) }
}

fn by_attack(view: &View, norm: Norm, epsilon: f64) -> Sheet {
    let attacks = view.attacks(norm);
    let mut heads = vec![Head::Text("Defence"), Head::Text("Clean")];
    heads.extend(attacks.iter().map(|&attack| Head::Attack(attack.to_owned())));
    heads.push(Head::Text("Worst case"));
    let certified = is_certified(view, norm, epsilon);
    heads.extend(certified.then_some(Head::Text("Certified")));
    heads.push(Head::Text("Group"));
    heads.extend(COSTS.map(Head::Text));
    let row = |line: &Line| {
        let mut row = begin(view, line);
        row.extend(attacks.iter().map(|attack| share(line.under(view, attack, norm, epsilon))));
        row.push(share(line.worst(view, norm, epsilon)));
        if certified {
            row.push(share(line.certified(view, norm, epsilon)));
        }
        row.push(line.group(view, norm, epsilon).map_or(Entry::Missing, |group| Entry::Text(group.letters.clone())));
        row.extend(costs(view, line));
        row
    };
    Sheet { norm, epsilon: Some(epsilon), heads, rows: lines(view).iter().map(row).collect(), ranked: ranked(view) }
}

fn ranked(view: &View) -> Vec<bool> {
    lines(view).iter().map(|line| line.is_adaptive() && line.failed_checks(view) == 0).collect()
}

const COSTS: [&str; 3] = ["Training", "1,000 images", "Operations"];

fn begin(view: &View, line: &Line) -> Vec<Entry> {
    let seeds = line.weights.len();
    let mut name = if seeds > 1 { format!("{} ({seeds} seeds)", line.name) } else { line.name.to_owned() };
    if !line.is_adaptive() {
        name.push_str(" (attacks do not know it)");
    }
    if line.failed_checks(view) > 0 {
        name.push_str(" (checks fail)");
    }
    vec![Entry::Text(name), share(line.clean(view))]
}

fn costs(view: &View, line: &Line) -> [Entry; 3] {
    let seconds = |seconds: Option<f64>| seconds.map_or(Entry::Missing, |seconds| Entry::Text(span(seconds)));
    let flops = line.flops().map_or(Entry::Missing, |flops| Entry::Text(operations(flops)));
    [seconds(line.training_seconds(view)), seconds(line.inference_seconds(view)), flops]
}

/// Operations with three digits: `4,736`, `4.74 M`, `1.22 G`.
pub fn operations(flops: u64) -> String {
    let short = |number: f64| if number < 99.95 { format!("{number:.2}") } else { count(number.round() as u64) };
    match flops {
        0..100_000 => count(flops),
        100_000..1_000_000_000 => format!("{}\u{a0}M", short(flops as f64 / 1e6)),
        _ => format!("{}\u{a0}G", short(flops as f64 / 1e9)),
    }
}

fn share(share: Option<Spread>) -> Entry {
    share.map_or(Entry::Missing, Entry::Share)
}

impl Sheet {
    /// Places of the rows that are the best of a column of shares; none where nothing is left of any.
    pub fn best(&self, column: usize) -> Vec<usize> {
        let mean = |row: &Vec<Entry>| match row.get(column) {
            Some(Entry::Share(spread)) => Some(spread.mean),
            _ => None,
        };
        let ranked: Vec<usize> = (0..self.rows.len()).filter(|&at| self.ranked[at]).collect();
        let best = ranked.iter().filter_map(|&at| mean(&self.rows[at])).fold(0.0, f64::max);
        ranked.into_iter().filter(|&at| best > 0.0 && mean(&self.rows[at]) == Some(best)).collect()
    }

    /// Whether it says which defences differ.
    pub fn is_grouped(&self) -> bool {
        self.heads.iter().any(|head| matches!(head, Head::Text("Group")))
    }

    /// What the shares mean, for the caption: the same in Markdown and LaTeX, in words without special characters.
    pub fn legend(&self) -> String {
        let some =
            |seeds: fn(usize) -> bool| self.rows.iter().flatten().any(|entry| matches!(entry, Entry::Share(spread) if seeds(spread.seeds)));
        let two = if some(|seeds| seeds == 2) { "; over two training seeds the mean and both" } else { "" };
        let more = if some(|seeds| seeds > 2) { "; over three training seeds or more the mean and the standard deviation" } else { "" };
        format!(
            "shares of all examples in per cent with 95 percent intervals{two}{more}; the best of a column is bold, of defences that attacks know and whose checks do not fail"
        )
    }
}
