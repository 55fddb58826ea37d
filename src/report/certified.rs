//! Certified and attacked accuracy of one defence as one band: certain below it, broken above it, open within.
//!
//! The curves join what was measured; the areas claim no more than was: between two epsilons what the larger certifies is certain, and
//! what the smaller broke is broken. A certificate of another classifier than the one that was attacked has its curve and no area.

use super::axes::{Swatch, WIDTH};
use super::curves::{Curve, drawn, ends};
use super::palette::{ALARM, Colour, INK, Style};
use super::picture::{Picture, Point, Shape};
use super::text;
use super::view::View;
use crate::threat::Norm;

/// Below the band, and above it.
const CERTAIN: Colour = [0x00, 0x9e, 0x73];
const CERTAIN_ALPHA: f64 = 0.22;
const BROKEN_ALPHA: f64 = 0.13;

/// What certificates and attacks leave open on one defence under one norm; `None` where nothing was certified.
pub fn certified(view: &View, defence: &str, norm: Norm) -> Option<Picture> {
    let certificates = view.certified(defence, norm);
    if certificates.is_empty() {
        return None;
    }
    let worst = view.worst(defence, norm).into_iter().map(|worst| (worst.epsilon, worst.robust_accuracy, worst.ci95));
    let mut curves = vec![Curve::new("worst case of all attacks".into(), Style { colour: INK, ..Style::worst() }, false, worst)];
    let mut certain: Vec<(f64, f64)> = Vec::new();
    for (index, (_, entries)) in certificates.iter().enumerate() {
        for entry in entries.iter().filter(|entry| !entry.apart) {
            match certain.iter_mut().find(|(epsilon, _)| *epsilon == entry.epsilon) {
                Some((_, share)) => *share = share.max(entry.certified_accuracy),
                None => certain.push((entry.epsilon, entry.certified_accuracy)),
            }
        }
        let points = entries.iter().map(|point| (point.epsilon, point.certified_accuracy, point.ci95));
        let name = entries.first().map_or_else(String::new, |entry| entry.title());
        curves.push(Curve::new(format!("certified by {name}"), Style::nth(index + 2, 2.6), false, points));
    }
    curves.retain(|curve| !curve.points.is_empty());
    let mut picture = Picture::new(format!("{defence}: certain and broken ({})", text::norm(norm)), WIDTH);
    picture.description = format!("Certified accuracy of {defence} below, accuracy under attack above, against epsilon. {}", ends(&curves));
    let attacked = broken(&curves);
    let under = |picture: &mut Picture, frame: &super::axes::Frame| {
        let mut entries = Vec::new();
        let mut fill = |line: Vec<Point>, edge: f64, colour, alpha, name: &str| {
            if line.len() > 1 {
                let [from, to] = [frame.place(frame.x.0, edge), frame.place(frame.x.1, edge)];
                picture.shapes.push(Shape::Area { points: line.into_iter().chain([to, from]).collect(), colour, alpha });
                entries.push((name.to_owned(), Swatch::Band(colour)));
            }
        };
        fill(
            steps(&certain, true).map(|(epsilon, share)| frame.place(epsilon, share)).collect(),
            0.0,
            CERTAIN,
            CERTAIN_ALPHA,
            "certain, whatever is tried",
        );
        fill(
            steps(&attacked, false).map(|(epsilon, share)| frame.place(epsilon, share)).collect(),
            1.0,
            ALARM,
            BROKEN_ALPHA,
            "broken by an attack, or wrong without one",
        );
        entries
    };
    drawn(picture, view, norm, curves, view.clean(defence).map(|(accuracy, _)| accuracy), &under)
}

/// The worst case.
fn broken(curves: &[Curve]) -> Vec<(f64, f64)> {
    let points = curves.iter().filter(|curve| curve.style.marker.is_none()).flat_map(|curve| &curve.points);
    points.map(|point| (point.0, point.1)).collect()
}

/// A curve as stairs: between two points the share of the later one, or of the earlier.
fn steps(points: &[(f64, f64)], later: bool) -> impl Iterator<Item = (f64, f64)> {
    let corner = move |pair: &[(f64, f64)]| if later { (pair[0].0, pair[1].1) } else { (pair[1].0, pair[0].1) };
    let first = points.first().copied();
    first.into_iter().chain(points.windows(2).flat_map(move |pair| [corner(pair), pair[1]]))
}
