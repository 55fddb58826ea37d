//! What the comparison says in sentences, and what a reader must know of it.

use super::super::text::{distance, interval, norm as norm_name, percent};
use super::super::view::View;
use super::{Line, lines, reach};
use crate::evaluate::differences::LEVEL;
use crate::evaluate::spread::SEEDS_NEEDED;
use crate::threat::Norm;

/// Who keeps most at a norm and epsilon, whom it cannot be told from, and what it beats; empty where there is nothing to compare.
pub fn findings(view: &View, norm: Norm, epsilon: f64) -> String {
    let lines = lines(view);
    // What attacks do not know is no rival: its numbers are apparent.
    let mut ranked: Vec<_> =
        lines.iter().filter(|line| line.is_adaptive()).filter_map(|line| Some((line, line.worst(view, norm, epsilon)?))).collect();
    ranked.sort_by(|(_, a), (_, b)| b.mean.total_cmp(&a.mean));
    let Some(((best, kept), others)) = ranked.split_first().filter(|(_, others)| !others.is_empty()) else { return String::new() };
    let letters = |line: &Line| line.group(view, norm, epsilon).map_or("", |group| group.letters.as_str());
    let alike = |a: &Line, b: &Line| letters(a).chars().any(|letter| letters(b).contains(letter));
    let (near, beaten): (Vec<&Line>, Vec<&Line>) = others.iter().map(|(line, _)| *line).partition(|line| alike(best, line));
    let of_seeds = if kept.seeds > 1 { format!(" on average over {} training seeds", kept.seeds) } else { String::new() };
    let [low, high] = reach(kept);
    let told = if kept.seeds == 2 {
        format!("{} and {}", percent(low), percent(high))
    } else {
        format!("95 % interval {}", interval([low, high]))
    };
    let mut words = format!(
        "Under {} at epsilon {} {} keeps most in the worst case: {}{of_seeds} ({told}).",
        norm_name(norm),
        distance(epsilon),
        best.name,
        percent(kept.mean)
    );
    let refused = best.failed_checks(view);
    if refused > 0 {
        let checks =
            if refused == 1 { "A check of its evaluation fails".to_owned() } else { format!("{refused} checks of its evaluation fail") };
        words.push_str(&format!(" {checks}, so that this may be too good: an attack that knows the defence may find more."));
    }
    if letters(best).is_empty() {
        return words;
    }
    let known = if lines.iter().all(Line::is_adaptive) { "" } else { " that attacks know" };
    if beaten.is_empty() {
        words.push_str(&format!(" It cannot be told from any other{known} on these examples."));
    } else if near.is_empty() {
        words.push_str(&format!(" It differs from every other{known}."));
    } else {
        words.push_str(&format!(" It cannot be told from {}, and differs from all others{known}.", names(&near)));
    }
    words + &scope(best, &beaten)
}

/// Whether a statement is about defences or about weights.
fn scope(best: &Line, beaten: &[&Line]) -> String {
    let general: Vec<&Line> = beaten.iter().copied().filter(|line| line.is_general()).collect();
    match (best.is_general(), beaten.is_empty()) {
        (true, false) if general.len() == beaten.len() => {
            format!(" As defences, not these weights alone: {} beats {}.", best.name, names(&general))
        }
        (true, false) if !general.is_empty() => format!(
            " As defences {} beats {}; against the others, trained with fewer than {SEEDS_NEEDED} seeds, this is about these weights.",
            best.name,
            names(&general)
        ),
        _ => format!(
            " This is about these weights: a statement about a defence needs {SEEDS_NEEDED} training seeds (seeds = [1, 2, 3]) on both sides."
        ),
    }
}

fn names(lines: &[&Line]) -> String {
    let names: Vec<&str> = lines.iter().map(|line| line.name).collect();
    match names.split_last() {
        Some((last, [])) => (*last).to_owned(),
        Some((last, first)) => format!("{} and {last}", first.join(", ")),
        None => String::new(),
    }
}

/// What numbers of these lines reach over in plots, as [`super::reach`] has it, for as many seeds as there are.
pub fn reaches(lines: &[Line]) -> String {
    let some = |seeds: fn(usize) -> bool| lines.iter().any(|line| seeds(line.weights.len()));
    if !some(|seeds| seeds > 1) {
        return "95 % intervals over the examples".to_owned();
    }
    let kinds = [
        (some(|seeds| seeds == 1), "of one seed the 95 % interval over the examples"),
        (some(|seeds| seeds == 2), "of two seeds from the smaller to the larger"),
        (some(|seeds| seeds > 2), "of three seeds or more the 95 % interval of their mean over examples and seeds"),
    ];
    let kinds: Vec<&str> = kinds.into_iter().filter(|(some, _)| *some).map(|(_, words)| words).collect();
    kinds.join("; ")
}

/// How groups are found, where they are shown, and what a number over seeds is.
pub fn note(view: &View, grouped: bool) -> String {
    let lines = lines(view);
    let mut words = String::new();
    if grouped && !view.results.groups.is_empty() {
        let ranked = lines.iter().filter(|line| line.is_adaptive()).count();
        let pairs = ranked * ranked.saturating_sub(1) / 2;
        words.push_str(&format!(
            "Groups: defences that share no letter differ, by McNemar's exact test on the worst-case verdicts of the same examples, with Holm's \
             correction over {pairs} pairs, at {:.0} %.",
            100.0 * LEVEL
        ));
    }
    if lines.iter().any(|line| line.weights.len() > 1) {
        words.push_str(
            " A defence that was trained with several seeds shows their mean and the smallest and largest seed, and with three seeds or more \
             the mean's 95 % interval over examples and seeds and the seeds' standard deviation; it differs from another only where all of \
             its weights do, in the same direction.",
        );
    }
    if lines.iter().any(|line| !line.is_adaptive()) {
        words.push_str(" Rows whose attacks do not know the defence are neither ranked nor in a group: their numbers are apparent.");
    }
    if lines.iter().any(|line| !line.is_general()) {
        words.push_str(&format!(
            " Rows with fewer than {SEEDS_NEEDED} training seeds speak about these weights alone: another seed may change their order."
        ));
    }
    words.trim_start().to_owned()
}
