//! Frames with axes, headings and legends: what all plots have in common.

use super::font;
use super::palette::{ALARM, Colour, FAINT, GRID, INK, Style};
use super::picture::{Anchor, Picture, Point, Type};
use super::view::View;

/// Width of a plot in pixels.
pub const WIDTH: f64 = 620.0;
/// Pixels an em of ordinary text in plots.
pub const EM: f64 = 15.0;
const SMALL: f64 = 13.0;
const MARGIN: f64 = 16.0;

/// Title, subtitle and, for an unfinished run, a warning; returns the place below them.
pub fn heading(picture: &mut Picture, view: &View) -> f64 {
    heading_with(picture, view, &view.subtitle())
}

/// As [`heading`], with another subtitle.
pub fn heading_with(picture: &mut Picture, view: &View, subtitle: &str) -> f64 {
    let title = picture.title.clone();
    let limit = picture.width - 2.0 * MARGIN;
    let mut y = 28.0;
    y += picture.paragraph((MARGIN, y), &title, Type::plain(17.0).bold(), limit);
    y += picture.paragraph((MARGIN, y), subtitle, Type::plain(SMALL).colour(FAINT), limit);
    if let Some(warning) = view.incomplete() {
        y += picture.paragraph((MARGIN, y + 2.0), &warning, Type::plain(SMALL + 1.0).bold().colour(ALARM), limit);
    }
    y
}

/// A rectangle of the sheet with linear scales.
#[derive(Clone, Debug)]
pub struct Frame {
    /// The upper left corner in pixels.
    pub corner: Point,
    /// Pixels across and down.
    pub size: (f64, f64),
    /// Values at the left and right edge.
    pub x: (f64, f64),
    /// Values at the lower and upper edge.
    pub y: (f64, f64),
}

impl Frame {
    /// Where a pair of values lies; values beyond the frame lie on its edge.
    pub fn place(&self, x: f64, y: f64) -> Point {
        let share = |value: f64, (low, high): (f64, f64)| ((value - low) / (high - low)).clamp(0.0, 1.0);
        (self.corner.0 + share(x, self.x) * self.size.0, self.corner.1 + (1.0 - share(y, self.y)) * self.size.1)
    }

    /// Grid, axes, tick labels and axis labels. Labels along x that would touch others are left out, the first and the last excepted.
    pub fn axes(&self, picture: &mut Picture, x_ticks: &[(f64, String)], y_ticks: &[(f64, String)], x_label: &str, y_label: &str) {
        let ((left, top), (width, height)) = (self.corner, self.size);
        for (value, label) in y_ticks {
            let (_, y) = self.place(self.x.0, *value);
            picture.line(vec![(left, y), (left + width, y)], GRID, 1.0);
            picture.text((left - 9.0, y + SMALL * 0.36), label, Type::plain(SMALL + 1.0).anchor(Anchor::End));
        }
        for (value, _) in x_ticks {
            let (x, _) = self.place(*value, self.y.0);
            if x_ticks.len() > 1 {
                picture.line(vec![(x, top), (x, top + height)], GRID, 1.0);
            }
            picture.line(vec![(x, top + height), (x, top + height + 5.0)], INK, 1.2);
        }
        for index in spaced(&x_ticks.iter().map(|(value, label)| (self.place(*value, 0.0).0, label.as_str())).collect::<Vec<_>>()) {
            let (value, label) = &x_ticks[index];
            let x = self.place(*value, 0.0).0;
            picture.text((x, top + height + 21.0), label, Type::plain(SMALL + 1.0).anchor(Anchor::Middle));
        }
        picture.line(vec![(left, top), (left, top + height), (left + width, top + height)], INK, 1.2);
        picture.text((left + width / 2.0, top + height + 44.0), x_label, Type::plain(EM).anchor(Anchor::Middle));
        picture.upward((left - 50.0, top + height / 2.0), y_label, Type::plain(EM).anchor(Anchor::Middle));
    }
}

/// The labels that fit beside each other: the first, the last, and from the left what touches neither neighbours nor the last.
fn spaced(labels: &[(f64, &str)]) -> Vec<usize> {
    let span = |index: usize| {
        let (x, label) = labels[index];
        let half = font::width(label, SMALL + 1.0, false) / 2.0 + 4.0;
        (x - half, x + half)
    };
    let Some(last) = labels.len().checked_sub(1) else { return Vec::new() };
    let mut kept = vec![0];
    let mut end = span(0).1;
    for index in 1..last {
        let (low, high) = span(index);
        if low >= end && high <= span(last).0 {
            kept.push(index);
            end = high;
        }
    }
    if last > 0 {
        kept.push(last);
    }
    kept
}

/// Ticks of accuracy: 0 to 100 in steps of 20.
pub fn accuracy_ticks() -> Vec<(f64, String)> {
    (0..=5).map(|step| (f64::from(step) * 0.2, format!("{}", step * 20))).collect()
}

/// What a legend shows beside a name.
#[derive(Clone, Copy, Debug)]
pub enum Swatch {
    /// A piece of a curve.
    Line(Style),
    /// A piece of a confidence band.
    Band(Colour),
}

/// Opacity of a confidence band.
pub const BAND_ALPHA: f64 = 0.18;

/// A legend below everything else, in up to three columns; a long name takes more room. Returns the place below it.
pub fn legend(picture: &mut Picture, y: f64, entries: &[(String, Swatch)]) -> f64 {
    const COLUMNS: usize = 6;
    let (swatch, gap, line) = (44.0, 14.0, EM * 1.25);
    let room = picture.width - 2.0 * MARGIN;
    let column = room / COLUMNS as f64;
    let (mut top, mut taken, mut lines) = (y, 0, 1);
    for (name, kind) in entries {
        let columns = ((font::width(name, EM, false) + swatch + gap) / column).ceil().clamp(2.0, COLUMNS as f64) as usize;
        if taken + columns > COLUMNS {
            top += lines as f64 * line + 5.0;
            (taken, lines) = (0, 1);
        }
        let (x, middle) = (MARGIN + taken as f64 * column, top + line / 2.0);
        match *kind {
            Swatch::Line(style) => {
                picture.curve(&[(x, middle), (x + 36.0, middle)], Style { marker: None, ..style });
                if style.marker.is_some() {
                    picture.curve(&[(x + 18.0, middle)], style);
                }
            }
            Swatch::Band(colour) => picture.rectangle((x, middle - 6.0), 36.0, 12.0, colour, BAND_ALPHA * 1.5),
        }
        let limit = columns as f64 * column - swatch - gap / 2.0;
        let height = picture.paragraph((x + swatch, middle + EM * 0.36), name, Type::plain(EM), limit);
        lines = lines.max((height / line).round() as usize);
        taken += columns;
    }
    top + lines as f64 * line + 5.0
}
