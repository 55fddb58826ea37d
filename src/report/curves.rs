//! Robust accuracy against epsilon: the attacks on one defence, and the defences side by side.

use super::axes::{BAND_ALPHA, EM, Frame, Swatch, WIDTH, accuracy_ticks, heading, legend};
use super::font;
use super::palette::{CLEAN_DASH, FAINT, Marker, PAPER, Style};
use super::picture::{Picture, Point, Shape, Type};
use super::side;
use super::text;
use super::view::View;
use crate::threat::Norm;

/// The most defences whose bands can be told apart.
const BANDS: usize = 6;
/// The most points beside each other that have room for a number.
const LABELLED: usize = 12;

/// How a curve goes on between two measured points.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Join {
    /// Straight from one to the other.
    Straight,
    /// As a step at the height of the later one: what holds at a radius holds within it.
    Later,
    /// As a step at the height of the earlier one: what broke at a radius is broken at every larger one.
    Earlier,
}

/// Accuracies with their intervals, by epsilon.
#[derive(Clone, Debug)]
pub(super) struct Curve {
    pub(super) name: String,
    pub(super) style: Style,
    pub(super) points: Vec<(f64, f64, [f64; 2])>,
    join: Join,
    band: bool,
}

impl Curve {
    pub(super) fn new(name: String, style: Style, band: bool, points: impl Iterator<Item = (f64, f64, [f64; 2])>) -> Self {
        let sound = |(epsilon, accuracy, [low, high]): &(f64, f64, [f64; 2])| {
            epsilon.is_finite() && accuracy.is_finite() && low.is_finite() && high.is_finite()
        };
        Self { name, style, points: points.filter(sound).collect(), join: Join::Straight, band }
    }

    /// The same with other lines between its points.
    pub(super) fn join(self, join: Join) -> Self {
        Self { join, ..self }
    }

    /// Where the line goes.
    pub(super) fn path(&self, frame: &Frame) -> Vec<Point> {
        let points: Vec<(f64, f64)> = self.points.iter().map(|(epsilon, accuracy, _)| (*epsilon, *accuracy)).collect();
        joined(&points, self.join).into_iter().map(|(epsilon, accuracy)| frame.place(epsilon, accuracy)).collect()
    }

    pub(super) fn places(&self, frame: &Frame) -> Vec<Point> {
        self.points.iter().map(|(epsilon, accuracy, _)| frame.place(*epsilon, *accuracy)).collect()
    }
}

/// The points of a curve with the corners of its steps.
pub(super) fn joined(points: &[(f64, f64)], join: Join) -> Vec<(f64, f64)> {
    let corner = |pair: &[(f64, f64)]| match join {
        Join::Straight => None,
        Join::Later => Some((pair[0].0, pair[1].1)),
        Join::Earlier => Some((pair[1].0, pair[0].1)),
    };
    let rest = points.windows(2).flat_map(|pair| corner(pair).into_iter().chain([pair[1]]));
    points.first().copied().into_iter().chain(rest).collect()
}

/// The attacks on one defence under one norm; `None` where nothing has been measured.
pub fn robustness(view: &View, defence: &str, norm: Norm) -> Option<Picture> {
    let worst = view.worst(defence, norm).into_iter().map(|worst| (worst.epsilon, worst.robust_accuracy, worst.ci95));
    let mut curves = vec![Curve::new("worst case of all attacks".into(), Style::worst(), true, worst)];
    for (index, attack) in view.attacks(norm).into_iter().enumerate() {
        let cells = view.series(defence, attack, norm).into_iter().map(|cell| (cell.epsilon, cell.robust_accuracy, cell.ci95));
        curves.push(Curve::new(attack.to_owned(), Style::nth(index, 2.2), false, cells));
    }
    curves.retain(|curve| !curve.points.is_empty());
    let attacks: Vec<&str> = curves.iter().filter(|curve| !curve.band).map(|curve| curve.name.as_str()).collect();
    let mut picture = Picture::new(format!("{defence}: accuracy under attack ({})", text::norm(norm)), WIDTH);
    picture.description = format!("Robust accuracy of {defence} against epsilon under {}. {}", attacks.join(", "), ends(&curves));
    draw(picture, view, norm, curves, view.clean(defence).map(|(accuracy, _)| accuracy))
}

/// The worst case of every defence under one norm; `None` where nothing has been measured.
pub fn defences(view: &View, norm: Norm) -> Option<Picture> {
    let lines = side::lines(view);
    let bands = lines.len() <= BANDS;
    let mut curves = Vec::new();
    for (index, line) in lines.iter().enumerate() {
        let worst = view.epsilons(norm).into_iter().filter_map(|epsilon| Some((epsilon, line.worst(view, norm, epsilon)?)));
        let worst = worst.map(|(epsilon, spread)| (epsilon, spread.mean, side::reach(&spread)));
        let clean = line.clean(view).map_or(String::new(), |clean| format!(" (clean {})", text::percent(clean.mean)));
        curves.push(Curve::new(format!("{}{clean}", line.name), Style::nth(index, 3.0), bands, worst));
    }
    curves.retain(|curve| !curve.points.is_empty());
    let mut picture = Picture::new(format!("Defences side by side: worst case of all attacks ({})", text::norm(norm)), WIDTH);
    picture.description = format!("Worst-case robust accuracy against epsilon, a defence a line. {}", ends(&curves));
    draw(picture, view, norm, curves, None)
}

/// Where every curve begins and ends, in words.
pub(super) fn ends(curves: &[Curve]) -> String {
    let mut words = String::new();
    for curve in curves {
        if let (Some(first), Some(last)) = (curve.points.first(), curve.points.last()) {
            let (at, from) = (text::distance(first.0), text::percent(first.1));
            words.push_str(&format!("{}: {from} at epsilon {at}, {} at {}. ", curve.name, text::percent(last.1), text::distance(last.0)));
        }
    }
    words
}

fn draw(picture: Picture, view: &View, norm: Norm, curves: Vec<Curve>, clean: Option<f64>) -> Option<Picture> {
    drawn(picture, view, norm, curves, clean, &|_, _| Vec::new())
}

/// Draws below the curves, and gives what the legend calls it.
type Under<'a> = &'a dyn Fn(&mut Picture, &Frame) -> Vec<(String, Swatch)>;

/// Draws curves; `under` draws what lies below them, and says what the legend calls it.
pub(super) fn drawn(
    mut picture: Picture,
    view: &View,
    norm: Norm,
    curves: Vec<Curve>,
    clean: Option<f64>,
    under: Under,
) -> Option<Picture> {
    if curves.is_empty() {
        return None;
    }
    let epsilons = view.epsilons(norm);
    let top = heading(&mut picture, view) + 6.0;
    let (low, high) = (epsilons.first().copied()?, epsilons.last().copied()?);
    let single = low == high;
    // The first epsilon stands on the left axis; one epsilon alone stands in the middle.
    let x = if single { (low - 0.5, low + 0.5) } else { (low, high) };
    let frame = Frame { corner: (74.0, top), size: (picture.width - 74.0 - 34.0, 320.0), x, y: (0.0, 1.0) };
    let ticks: Vec<_> = epsilons.iter().map(|&epsilon| (epsilon, text::distance(epsilon))).collect();
    frame.axes(&mut picture, &ticks, &accuracy_ticks(), text::axis(norm), "robust accuracy (%)");
    let mut entries = under(&mut picture, &frame);
    if let Some(accuracy) = clean {
        let style = Style { colour: FAINT, marker: None, dash: CLEAN_DASH, width: 1.6 };
        picture.curve(&[frame.place(x.0, accuracy), frame.place(x.1, accuracy)], style);
        entries.push((format!("clean accuracy {}", text::percent(accuracy)), Swatch::Line(style)));
    }
    if single {
        whiskers(&mut picture, &frame, &curves);
    } else {
        lines(&mut picture, &frame, &curves);
    }
    for curve in &curves {
        let marker = curve.style.marker.or(single.then_some(Marker::Disc));
        entries.push((curve.name.clone(), Swatch::Line(Style { marker, ..curve.style })));
    }
    match curves.iter().find(|curve| curve.band) {
        _ if single => {}
        Some(_) if curves.iter().all(|curve| curve.band) => {
            entries.push((format!("bands: {}", side::reaches(&side::lines(view))), Swatch::Band(FAINT)));
        }
        Some(curve) => entries.push(("95 % confidence band of the worst case".into(), Swatch::Band(curve.style.colour))),
        None => {}
    }
    let bottom = top + frame.size.1 + 64.0;
    picture.height = legend(&mut picture, bottom, &entries) + 10.0;
    Some(picture)
}

fn lines(picture: &mut Picture, frame: &Frame, curves: &[Curve]) {
    for curve in curves.iter().filter(|curve| curve.band) {
        let upper = curve.points.iter().map(|(epsilon, _, [_, high])| frame.place(*epsilon, *high));
        let lower = curve.points.iter().rev().map(|(epsilon, _, [low, _])| frame.place(*epsilon, *low));
        picture.shapes.push(Shape::Area { points: upper.chain(lower).collect(), colour: curve.style.colour, alpha: BAND_ALPHA });
    }
    // The worst case lies over the lines of the attacks and under their marks, so that an attack that is the worst case shows both.
    let (worst, others): (Vec<&Curve>, Vec<&Curve>) = curves.iter().partition(|curve| curve.style.marker.is_none());
    for curve in others.iter().chain(&worst) {
        picture.curve(&curve.path(frame), Style { marker: None, ..curve.style });
    }
    for curve in &others {
        picture.curve(&curve.places(frame), Style { dash: &[], width: 0.0, ..curve.style });
    }
    for curve in worst.iter().filter(|curve| curve.points.len() == 1) {
        curve.places(frame).into_iter().for_each(|point| picture.marker(point, Marker::Disc, 6.0, curve.style.colour));
    }
}

/// One epsilon: the curves are points beside each other, each with its interval and its number.
fn whiskers(picture: &mut Picture, frame: &Frame, curves: &[Curve]) {
    let slots = curves.len() as f64;
    for (index, curve) in curves.iter().enumerate() {
        let x = frame.x.0 + (frame.x.1 - frame.x.0) * (index as f64 + 0.5) / slots;
        for (_, accuracy, [low, high]) in &curve.points {
            let ((left, middle), (_, upper), (_, lower)) = (frame.place(x, *accuracy), frame.place(x, *high), frame.place(x, *low));
            let colour = curve.style.colour;
            picture.line(vec![(left, upper), (left, lower)], colour, 2.0);
            for end in [upper, lower] {
                picture.line(vec![(left - 7.0, end), (left + 7.0, end)], colour, 2.0);
            }
            picture.marker((left, middle), curve.style.marker.unwrap_or(Marker::Disc), 4.5, colour);
            if curves.len() <= LABELLED {
                let label = format!("{:.1}", accuracy * 100.0);
                picture.rectangle((left + 9.0, middle - 8.0), font::width(&label, EM - 1.0, false) + 4.0, 16.0, PAPER, 0.9);
                picture.text((left + 11.0, middle + EM * 0.33), &label, Type::plain(EM - 1.0));
            }
        }
    }
}
