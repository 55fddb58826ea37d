//! Certified and attacked accuracy of one defence as one band: certain below it, broken above it, open within.
//!
//! Both are known at the measured radii alone and fall with the radius, so that curves and areas are steps that claim no more: between
//! two epsilons what the larger certifies is certain, and what the smaller broke is broken. A certificate of another classifier than the
//! one that was attacked has its curve and no area.

use super::axes::{Frame, Swatch, WIDTH};
use super::curves::{Curve, Join, drawn, ends, joined};
use super::palette::{ALARM, Colour, FAINT, Marker, Style};
use super::picture::{Picture, Shape, Type};
use super::text;
use super::view::View;
use crate::threat::Norm;

/// Below the band, and above it.
const CERTAIN: Colour = [0x00, 0x9e, 0x73];
const CERTAIN_ALPHA: f64 = 0.22;
const BROKEN_ALPHA: f64 = 0.13;
const REMARK: &str = "Marks: measured radii. Between them only bounds are known, and steps are drawn: accuracy under attack is at most that of the \
                      next smaller radius, certified accuracy at least that of the next larger. What lies between is open.";

/// What certificates and attacks leave open on one defence under one norm; `None` where nothing was certified.
pub fn certified(view: &View, defence: &str, norm: Norm) -> Option<Picture> {
    let certificates = view.certified(defence, norm);
    if certificates.is_empty() {
        return None;
    }
    let worst = view.worst(defence, norm).into_iter().map(|worst| (worst.epsilon, worst.robust_accuracy, worst.ci95));
    let style = Style { marker: Some(Marker::Disc), width: 3.2, ..Style::worst() };
    let broken = Curve::new("worst case of all attacks".into(), style, false, worst).join(Join::Earlier);
    let attacked: Vec<(f64, f64)> = broken.points.iter().map(|(epsilon, share, _)| (*epsilon, *share)).collect();
    let mut curves = vec![broken];
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
        // Dashes would hide the upright parts of steps.
        let style = Style { dash: &[], ..Style::nth(index + 2, 2.6) };
        curves.push(Curve::new(format!("certified by {name}"), style, false, points).join(Join::Later));
    }
    certain.sort_by(|a, b| a.0.total_cmp(&b.0));
    curves.retain(|curve| !curve.points.is_empty());
    let mut picture = Picture::new(format!("{defence}: certain and broken ({})", text::norm(norm)), WIDTH);
    picture.description = format!("Certified accuracy of {defence} below, accuracy under attack above, against epsilon. {}", ends(&curves));
    let under = |picture: &mut Picture, frame: &Frame| {
        let mut entries = Vec::new();
        let mut fill = |steps: Vec<(f64, f64)>, edge: f64, colour, alpha, name: &str| {
            if let [first, .., last] = steps[..] {
                let ends = [(last.0, edge), (first.0, edge)];
                let points = steps.into_iter().chain(ends).map(|(epsilon, share)| frame.place(epsilon, share)).collect();
                picture.shapes.push(Shape::Area { points, colour, alpha });
                entries.push((name.to_owned(), Swatch::Band(colour)));
            }
        };
        fill(joined(&certain, Join::Later), 0.0, CERTAIN, CERTAIN_ALPHA, "certain, whatever is tried");
        fill(joined(&attacked, Join::Earlier), 1.0, ALARM, BROKEN_ALPHA, "broken by an attack, or wrong without one");
        entries
    };
    let stepped = curves.iter().any(|curve| curve.points.len() > 1);
    let mut picture = drawn(picture, view, norm, curves, view.clean(defence).map(|(accuracy, _)| accuracy), &under)?;
    if stepped {
        let at = (16.0, picture.height + 10.0);
        picture.height += picture.paragraph(at, REMARK, Type::plain(12.0).colour(FAINT), WIDTH - 32.0) + 8.0;
    }
    Some(picture)
}
