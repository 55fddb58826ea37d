//! Certified and attacked accuracy of one defence as one band: certain below it, broken above it, open within.

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
    for (index, (name, points)) in certificates.iter().enumerate() {
        let points = points.iter().map(|point| (point.epsilon, point.certified_accuracy, point.ci95));
        curves.push(Curve::new(format!("certified by {name}"), Style::nth(index + 2, 2.6), false, points));
    }
    curves.retain(|curve| !curve.points.is_empty());
    let mut picture = Picture::new(format!("{defence}: certain and broken ({})", text::norm(norm)), WIDTH);
    picture.description = format!("Certified accuracy of {defence} below, accuracy under attack above, against epsilon. {}", ends(&curves));
    let (certain, attacked) =
        (best(&curves[..]), curves.iter().find(|curve| curve.style.marker.is_none()).map(|curve| curve.points.clone()));
    let under = |picture: &mut Picture, frame: &super::axes::Frame| {
        let mut entries = Vec::new();
        let mut fill = |line: Vec<Point>, edge: f64, colour, alpha, name: &str| {
            if line.len() > 1 {
                let [from, to] = [frame.place(frame.x.0, edge), frame.place(frame.x.1, edge)];
                picture.shapes.push(Shape::Area { points: line.into_iter().chain([to, from]).collect(), colour, alpha });
                entries.push((name.to_owned(), Swatch::Band(colour)));
            }
        };
        let certain = certain.iter().map(|(epsilon, share)| frame.place(*epsilon, *share)).collect();
        fill(certain, 0.0, CERTAIN, CERTAIN_ALPHA, "certain, whatever is tried");
        let attacked = attacked.iter().flatten().map(|(epsilon, share, _)| frame.place(*epsilon, *share)).collect();
        fill(attacked, 1.0, ALARM, BROKEN_ALPHA, "broken by an attack, or wrong without one");
        entries
    };
    drawn(picture, view, norm, curves, view.clean(defence).map(|(accuracy, _)| accuracy), &under)
}

/// The highest of the certified curves at each epsilon.
fn best(curves: &[Curve]) -> Vec<(f64, f64)> {
    let certified = || curves.iter().filter(|curve| curve.style.marker.is_some());
    let Some(first) = certified().next() else { return Vec::new() };
    let share = |epsilon: f64| {
        let at = certified().flat_map(|curve| &curve.points).filter(move |point| point.0 == epsilon);
        at.map(|point| point.1).fold(0.0, f64::max)
    };
    first.points.iter().map(|point| (point.0, share(point.0))).collect()
}
