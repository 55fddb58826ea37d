//! What the attacks cost: forward and backward passes an example, a bar a series.

use super::axes::{Swatch, WIDTH, heading, legend};
use super::font;
use super::palette::{FAINT, Style};
use super::picture::{Anchor, Picture, Type};
use super::text;
use super::view::View;

const EM: f64 = 13.0;
const BAR: f64 = 20.0;

/// Bars by norm and defence; `None` where nothing has been measured.
pub fn cost(view: &View) -> Option<Picture> {
    let mut picture = Picture::new("Cost: passes an example over all epsilons", WIDTH);
    let mut groups = Vec::new();
    for &norm in &view.norms {
        for defence in &view.defences {
            let mut bars = Vec::new();
            for attack in view.attacks(norm) {
                let cells = view.series(defence, attack, norm);
                let examples = cells.iter().map(|cell| cell.examples).max().unwrap_or(0).max(1) as f64;
                let forwards = cells.iter().map(|cell| cell.forwards).sum::<u64>() as f64 / examples;
                let backwards = cells.iter().map(|cell| cell.backwards).sum::<u64>() as f64 / examples;
                if !cells.is_empty() {
                    bars.push((attack, forwards, backwards));
                }
            }
            if !bars.is_empty() {
                groups.push((format!("{defence} ({})", text::norm(norm)), bars));
            }
        }
    }
    let bars = || groups.iter().flat_map(|(_, bars)| bars);
    let largest = bars().map(|(_, forwards, backwards)| forwards + backwards).fold(0.0, f64::max);
    if groups.is_empty() {
        return None;
    }
    let names = bars().map(|(attack, ..)| font::width(attack, EM, false)).fold(0.0, f64::max).min(220.0);
    let left = 16.0 + names + 12.0;
    let room = WIDTH - left - 76.0;
    let (forward, backward) = (Style::nth(4, 0.0).colour, Style::nth(1, 0.0).colour);
    let mut y = heading(&mut picture, view);
    for (group, bars) in &groups {
        y += 16.0 + picture.paragraph((16.0, y + 20.0), group, Type::plain(14.0).bold(), WIDTH - 32.0);
        for (attack, forwards, backwards) in bars {
            let lines = font::wrap(attack, EM, false, names + 1.0);
            for (line, words) in lines.iter().enumerate() {
                let at = (left - 10.0, y + BAR / 2.0 + EM * 0.36 + line as f64 * EM * 1.2);
                picture.text(at, words, Type::plain(EM).anchor(Anchor::End));
            }
            let long = |passes: f64| if largest > 0.0 { passes / largest * room } else { 0.0 };
            picture.rectangle((left, y + 3.0), long(*forwards), BAR - 6.0, forward, 1.0);
            picture.rectangle((left + long(*forwards), y + 3.0), long(*backwards), BAR - 6.0, backward, 1.0);
            let total = forwards + backwards;
            let at = (left + long(total) + 6.0, y + BAR / 2.0 + EM * 0.36);
            picture.text(at, &passes(total), Type::plain(EM));
            picture.description.push_str(&format!("{group}, {attack}: {} passes an example. ", passes(total)));
            y += BAR.max(lines.len() as f64 * EM * 1.2 + 4.0);
        }
    }
    let note = "Rows' own passes up to the break; the judge, the clean pass and audits are not counted.";
    y += 12.0 + picture.paragraph((16.0, y + 22.0), note, Type::plain(12.0).colour(FAINT), WIDTH - 32.0);
    let entries = [("forward passes", forward), ("backward passes", backward)]
        .map(|(name, colour)| (name.to_owned(), Swatch::Line(Style { colour, marker: None, dash: &[], width: 12.0 })));
    picture.height = legend(&mut picture, y + 10.0, &entries) + 10.0;
    Some(picture)
}

/// Passes with a decimal where it tells something.
pub fn passes(number: f64) -> String {
    if number < 99.95 { format!("{number:.1}") } else { text::count(number.round() as u64) }
}
