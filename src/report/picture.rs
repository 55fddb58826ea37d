//! A picture as a list of shapes in pixels: drawn once, rendered as SVG and as PNG by [`super::render`].

use image::RgbImage;

use super::font;
use super::palette::{Colour, INK, Marker, PAPER, Style};

/// About half of a marker's width in pixels.
const MARKER: f64 = 5.0;

/// A place in pixels from the upper left corner.
pub type Point = (f64, f64);

/// Which part of a line of text stands at its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Anchor {
    /// The beginning.
    Start,
    /// The middle.
    Middle,
    /// The end.
    End,
}

/// What a picture is made of.
#[derive(Clone, Debug)]
pub enum Shape {
    /// An opaque line through points.
    Line { points: Vec<Point>, colour: Colour, width: f64 },
    /// A filled area; `alpha` from 0 to 1.
    Area { points: Vec<Point>, colour: Colour, alpha: f64 },
    /// A filled disc.
    Disc { centre: Point, radius: f64, colour: Colour },
    /// A line of text on a baseline; `upward`: turned to be read from below.
    Text { at: Point, text: String, em: f64, colour: Colour, bold: bool, anchor: Anchor, upward: bool },
    /// Pixels, each enlarged to a square of `scale` pixels.
    Pixels { at: Point, image: RgbImage, scale: u32 },
}

/// A drawing with what a reader who cannot see it is told.
#[derive(Clone, Debug)]
pub struct Picture {
    /// What it is.
    pub title: String,
    /// What it shows, in a sentence or more.
    pub description: String,
    /// Pixels across.
    pub width: f64,
    /// Pixels down.
    pub height: f64,
    /// In the order of drawing.
    pub shapes: Vec<Shape>,
}

/// How text is set: size in pixels an em, colour, weight and anchor.
#[derive(Clone, Copy, Debug)]
pub struct Type {
    /// Pixels an em.
    pub em: f64,
    /// Its colour.
    pub colour: Colour,
    /// Its weight.
    pub bold: bool,
    /// What stands at the place.
    pub anchor: Anchor,
}

impl Type {
    /// Plain ink that starts at its place.
    pub fn plain(em: f64) -> Self {
        Self { em, colour: INK, bold: false, anchor: Anchor::Start }
    }

    /// The same in bold.
    pub fn bold(self) -> Self {
        Self { bold: true, ..self }
    }

    /// The same in another colour.
    pub fn colour(self, colour: Colour) -> Self {
        Self { colour, ..self }
    }

    /// The same with another anchor.
    pub fn anchor(self, anchor: Anchor) -> Self {
        Self { anchor, ..self }
    }
}

impl Picture {
    /// An empty sheet.
    pub fn new(title: impl Into<String>, width: f64) -> Self {
        Self { title: title.into(), description: String::new(), width, height: 0.0, shapes: Vec::new() }
    }

    /// Text with its baseline's anchor at `at`.
    pub fn text(&mut self, at: Point, text: &str, set: Type) {
        self.push_text(at, text, set, false);
    }

    /// Text that is read from below.
    pub fn upward(&mut self, at: Point, text: &str, set: Type) {
        self.push_text(at, text, set, true);
    }

    fn push_text(&mut self, at: Point, text: &str, set: Type, upward: bool) {
        // Control characters are no part of an XML document.
        let text = text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect();
        self.shapes.push(Shape::Text { at, text, em: set.em, colour: set.colour, bold: set.bold, anchor: set.anchor, upward });
    }

    /// Text in lines of at most `limit` pixels, 1.25 em apart; the height that it took.
    pub fn paragraph(&mut self, at: Point, text: &str, set: Type, limit: f64) -> f64 {
        let lines = font::wrap(text, set.em, set.bold, limit);
        for (index, line) in lines.iter().enumerate() {
            self.text((at.0, at.1 + index as f64 * set.em * 1.25), line, set);
        }
        lines.len() as f64 * set.em * 1.25
    }

    /// A filled rectangle.
    pub fn rectangle(&mut self, at: Point, width: f64, height: f64, colour: Colour, alpha: f64) {
        let (x, y) = at;
        self.shapes.push(Shape::Area { points: vec![(x, y), (x + width, y), (x + width, y + height), (x, y + height)], colour, alpha });
    }

    /// The outline of a rectangle.
    pub fn outline(&mut self, at: Point, width: f64, height: f64, colour: Colour, stroke: f64) {
        let (x, y) = at;
        let points = vec![(x, y), (x + width, y), (x + width, y + height), (x, y + height), (x, y)];
        self.shapes.push(Shape::Line { points, colour, width: stroke });
    }

    /// A line without dashes or markers.
    pub fn line(&mut self, points: Vec<Point>, colour: Colour, width: f64) {
        self.shapes.push(Shape::Line { points, colour, width });
    }

    /// A line in a style, its markers on every point; of width 0: the markers alone.
    pub fn curve(&mut self, points: &[Point], style: Style) {
        for points in if style.width > 0.0 { dashed(points, style.dash) } else { Vec::new() } {
            self.shapes.push(Shape::Line { points, colour: style.colour, width: style.width });
        }
        if let Some(marker) = style.marker {
            for &point in points {
                self.marker(point, marker, MARKER, style.colour);
            }
        }
    }

    /// One marker of about `radius` pixels, with a thin rim of paper that keeps it apart from lines below.
    pub fn marker(&mut self, (x, y): Point, marker: Marker, radius: f64, colour: Colour) {
        let star = |turn: f64, corners: usize, radius: f64| -> Vec<Point> {
            (0..corners)
                .map(|corner| (turn + 360.0 * corner as f64 / corners as f64).to_radians())
                .map(|angle| (x + radius * angle.sin(), y - radius * angle.cos()))
                .collect()
        };
        for (radius, colour) in [(radius + 1.0, PAPER), (radius, colour)] {
            let points = match marker {
                Marker::Disc => {
                    self.shapes.push(Shape::Disc { centre: (x, y), radius: radius * 0.92, colour });
                    continue;
                }
                Marker::Square => star(45.0, 4, radius * 1.15),
                Marker::Diamond => star(0.0, 4, radius * 1.25),
                Marker::Up => star(0.0, 3, radius * 1.25),
                Marker::Down => star(180.0, 3, radius * 1.25),
                Marker::Plus | Marker::Cross => {
                    let turn = if marker == Marker::Plus { 0.0 } else { 45.0 };
                    let arms = star(turn, 4, radius * 1.2);
                    let width = if colour == PAPER { 4.5 } else { 2.6 };
                    self.line(vec![arms[0], arms[2]], colour, width);
                    self.line(vec![arms[1], arms[3]], colour, width);
                    continue;
                }
            };
            self.shapes.push(Shape::Area { points, colour, alpha: 1.0 });
        }
    }
}

/// Cuts a line into the inked parts of a dash.
fn dashed(points: &[Point], dash: &[f64]) -> Vec<Vec<Point>> {
    if dash.is_empty() || points.len() < 2 {
        return if points.len() < 2 { Vec::new() } else { vec![points.to_vec()] };
    }
    let (mut parts, mut part) = (Vec::new(), vec![points[0]]);
    let (mut index, mut left) = (0, dash[0]);
    for pair in points.windows(2) {
        let (from, to) = (pair[0], pair[1]);
        let length = (to.0 - from.0).hypot(to.1 - from.1);
        let mut gone = 0.0;
        while length - gone > left {
            gone += left;
            let at = (from.0 + (to.0 - from.0) * gone / length, from.1 + (to.1 - from.1) * gone / length);
            if index % 2 == 0 {
                part.push(at);
                parts.push(std::mem::take(&mut part));
            } else {
                part = vec![at];
            }
            index = (index + 1) % dash.len();
            left = dash[index];
        }
        left -= length - gone;
        if index % 2 == 0 {
            part.push(to);
        }
    }
    if part.len() > 1 {
        parts.push(part);
    }
    parts
}
