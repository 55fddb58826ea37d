//! Heat maps of robust accuracy, defence by attack, at one epsilon.

use super::axes::{WIDTH, heading};
use super::font;
use super::palette::{ALARM, FAINT, GRID, INK, PAPER, readable_on, viridis};
use super::picture::{Anchor, Picture, Type};
use super::text;
use super::view::View;
use crate::threat::Norm;

const EM: f64 = 13.0;
const CELL: (f64, f64) = (76.0, 46.0);
/// Cells are widened up to this for the longest word of the heads; beyond it heads are turned.
const WIDEST: f64 = 116.0;
/// Heads longer than this are broken even where they are turned.
const TALLEST: f64 = 240.0;
const MARGIN: f64 = 16.0;

/// Maps of a norm at most.
pub const SHOWN: usize = 3;

/// The epsilons that get a map: smallest above 0, middle and largest; 0 only where there is no other.
pub fn epsilons(view: &View, norm: Norm) -> Vec<f64> {
    let all = view.radii(norm);
    if all.len() <= SHOWN { all } else { vec![all[0], all[(all.len() - 1) / 2], all[all.len() - 1]] }
}

/// A number of the map: an accuracy and how many of its rows failed.
type Entry = Option<(f64, usize)>;

/// The map at one epsilon: clean accuracy, every attack, worst case. `None` where no attack has finished there.
pub fn heatmap(view: &View, norm: Norm, epsilon: f64) -> Option<Picture> {
    let attacks = view.attacks(norm);
    let mut columns = vec!["clean"];
    columns.extend(&attacks);
    columns.push("worst case");
    let mut rows: Vec<(&str, Vec<Entry>)> = Vec::new();
    for defence in &view.defences {
        let measured =
            attacks.iter().map(|attack| view.cell(defence, attack, norm, epsilon).map(|cell| (cell.robust_accuracy, cell.failed)));
        let worst = view.worst(defence, norm).into_iter().find(|worst| worst.epsilon == epsilon).map(|worst| (worst.robust_accuracy, 0));
        let clean = view.clean(defence).map(|(accuracy, _)| (accuracy, 0));
        let entries: Vec<Entry> = std::iter::once(clean).chain(measured).chain([worst]).collect();
        if entries.iter().skip(1).any(Option::is_some) {
            rows.push((defence, entries));
        }
    }
    if rows.is_empty() {
        return None;
    }
    let names = rows.iter().map(|(name, _)| font::width(name, EM, false)).fold(60.0, f64::max).min(200.0);
    let left = MARGIN + names + 12.0;
    let longest = columns.iter().map(|name| font::unbroken(name, EM, true)).fold(0.0, f64::max) + 8.0;
    let turned = longest > WIDEST;
    let wide = if turned { CELL.0 } else { longest.max(CELL.0) };
    let map = wide * columns.len() as f64;
    let title = format!("Robust accuracy (%) at epsilon {} ({})", text::distance(epsilon), text::norm(norm));
    let mut picture = Picture::new(title, (left + map + 16.0 + 72.0).max(WIDTH * 0.75));
    let headed = heading(&mut picture, view);
    let top = headed + headers(&mut picture, &columns, left, headed, wide, turned) + 8.0;
    for (index, (name, entries)) in rows.iter().enumerate() {
        let y = top + index as f64 * CELL.1;
        let lines = font::wrap(name, EM, false, names + 1.0);
        let first = y + CELL.1 / 2.0 + EM * 0.36 - (lines.len() - 1) as f64 * EM * 0.6;
        for (line, words) in lines.iter().enumerate() {
            picture.text((left - 10.0, first + line as f64 * EM * 1.2), words, Type::plain(EM).anchor(Anchor::End));
        }
        for (column, entry) in entries.iter().enumerate() {
            cell(&mut picture, (left + column as f64 * wide, y), wide, *entry);
        }
        picture.description.push_str(&describe(name, &columns, entries));
    }
    let height = rows.len() as f64 * CELL.1;
    for x in [left + wide, left + map - wide] {
        picture.line(vec![(x, top - 4.0), (x, top + height + 4.0)], INK, 2.0);
    }
    scale(&mut picture, left + map + 18.0, top, height.max(CELL.1 * 2.0));
    picture.height = top + height.max(CELL.1 * 2.0) + 16.0;
    if rows.iter().any(|(_, entries)| entries.iter().flatten().any(|(_, failed)| *failed > 0)) {
        let at = (MARGIN, picture.height + 4.0);
        picture.text(at, "! rows failed (NaN, infinity or panic) and count as not robust", Type::plain(12.0).bold().colour(ALARM));
        picture.height += 18.0;
    }
    Some(picture)
}

/// The columns' names, standing on one line, or `turned` to be read from below; the height that they took.
fn headers(picture: &mut Picture, columns: &[&str], left: f64, top: f64, wide: f64, turned: bool) -> f64 {
    let limit = if turned { TALLEST } else { wide - 6.0 };
    let wrapped: Vec<_> = columns.iter().map(|name| font::wrap(name, EM, true, limit)).collect();
    if turned {
        let tall = wrapped.iter().flatten().map(|words| font::width(words, EM, true)).fold(0.0, f64::max) + 6.0;
        for (column, name) in wrapped.iter().enumerate() {
            let first = left + (column as f64 + 0.5) * wide + EM * (0.36 - 0.6 * (name.len() - 1) as f64);
            for (line, words) in name.iter().enumerate() {
                picture.upward((first + line as f64 * EM * 1.2, top + tall), words, Type::plain(EM).bold());
            }
        }
        return tall;
    }
    let lines = wrapped.iter().map(Vec::len).max().unwrap_or(1);
    for (column, name) in wrapped.iter().enumerate() {
        for (line, words) in name.iter().enumerate() {
            let row = lines - name.len() + line + 1;
            let at = (left + (column as f64 + 0.5) * wide, top + row as f64 * EM * 1.2);
            picture.text(at, words, Type::plain(EM).bold().anchor(Anchor::Middle));
        }
    }
    lines as f64 * EM * 1.2
}

fn cell(picture: &mut Picture, (x, y): (f64, f64), wide: f64, entry: Entry) {
    let middle = (x + wide / 2.0, y + CELL.1 / 2.0 + EM * 0.36);
    match entry.filter(|(accuracy, _)| accuracy.is_finite()) {
        Some((accuracy, failed)) => {
            let colour = viridis(accuracy);
            picture.rectangle((x, y), wide, CELL.1, colour, 1.0);
            let mark = if failed > 0 { " !" } else { "" };
            let set = Type::plain(EM + 1.0).colour(readable_on(colour)).anchor(Anchor::Middle);
            picture.text(middle, &format!("{:.1}{mark}", accuracy * 100.0), if failed > 0 { set.bold() } else { set });
            if failed > 0 {
                picture.outline((x + 2.5, y + 2.5), wide - 5.0, CELL.1 - 5.0, ALARM, 3.0);
            }
        }
        None => {
            picture.rectangle((x, y), wide, CELL.1, GRID, 0.5);
            picture.text(middle, "–", Type::plain(EM).colour(FAINT).anchor(Anchor::Middle));
        }
    }
    picture.outline((x, y), wide, CELL.1, PAPER, 1.5);
}

fn scale(picture: &mut Picture, x: f64, y: f64, height: f64) {
    let steps = 100;
    for step in 0..steps {
        let share = f64::from(step) / f64::from(steps);
        let from = y + height * (1.0 - share) - height / f64::from(steps);
        picture.rectangle((x, from), 16.0, height / f64::from(steps) + 0.5, viridis(share + 0.005), 1.0);
    }
    for percent in [0, 50, 100] {
        let at = (x + 22.0, y + height * (1.0 - f64::from(percent) / 100.0) + 4.5);
        picture.text(at, &format!("{percent} %"), Type::plain(12.0));
    }
}

fn describe(name: &str, columns: &[&str], entries: &[Entry]) -> String {
    let numbers = columns.iter().zip(entries).filter_map(|(column, entry)| entry.map(|(accuracy, _)| (column, accuracy)));
    let words: Vec<_> = numbers.map(|(column, accuracy)| format!("{column} {}", text::percent(accuracy))).collect();
    format!("{name}: {}. ", words.join(", "))
}
