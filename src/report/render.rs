//! Pictures to files' contents: SVG and PNG through plotters' backends, without fonts or libraries of the system.

use std::io::Cursor;

use image::{DynamicImage, ImageFormat, RgbImage, imageops};
use plotters::prelude::{BitMapBackend, DrawingBackend, RGBAColor, SVGBackend, ShapeStyle};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{FontTransform, TextStyle};

use super::font;
use super::palette::{Colour, PAPER};
use super::picture::{Anchor, Picture, Point, Shape};
use super::text::{base64, escape};
use crate::{Error, Result};

/// Units of an SVG's own coordinates in a pixel: plotters draws at whole units only.
const SVG_UNITS: f64 = 8.0;
/// Pixels of a PNG to a pixel of the picture, for sharp print.
const PNG_SCALE: u32 = 2;
/// Largest bytes of the sheet on which edges are smoothed by drawing at twice the size.
const SMOOTH_BYTES: f64 = 120e6;

/// A backend with its unit and its idea of a text's size and baseline.
struct Sheet<B> {
    backend: B,
    unit: f64,
    /// Plotters' size of text of one em.
    text_size: f64,
    /// From the upper edge of a text, as plotters takes it, down to its baseline, in ems.
    ascent: f64,
    /// Whether thick lines are cut into quadrilaterals, because the backend's own joins are rough.
    quadrilaterals: bool,
}

impl<B: DrawingBackend> Sheet<B> {
    fn at(&self, (x, y): Point) -> (i32, i32) {
        ((x * self.unit).round() as i32, (y * self.unit).round() as i32)
    }

    fn draw(&mut self, picture: &Picture) -> Result<()> {
        picture.shapes.iter().try_for_each(|shape| self.shape(shape)).map_err(|error| failed(&picture.title, &error))?;
        self.backend.present().map_err(|error| failed(&picture.title, &error.to_string()))
    }

    fn shape(&mut self, shape: &Shape) -> Result<(), String> {
        match shape {
            Shape::Line { points, .. } | Shape::Area { points, .. } if points.len() < 2 => Ok(()),
            Shape::Line { points, colour, width } if self.quadrilaterals => self.quadrilaterals(points, *colour, *width),
            Shape::Line { points, colour, width } => {
                let style = ShapeStyle { color: rgba(*colour, 1.0), filled: false, stroke_width: (width * self.unit).round() as u32 };
                let points: Vec<_> = points.iter().map(|&point| self.at(point)).collect();
                self.backend.draw_path(points, &style).map_err(|error| error.to_string())
            }
            Shape::Area { points, colour, alpha } => self.area(points, *colour, *alpha),
            Shape::Disc { centre, radius, colour } => {
                let (centre, radius) = (self.at(*centre), (radius * self.unit).round() as u32);
                let style = ShapeStyle::from(rgba(*colour, 1.0)).filled();
                self.backend.draw_circle(centre, radius, &style, true).map_err(|error| error.to_string())
            }
            Shape::Text { at, text, em, colour, bold, anchor, upward } => {
                let drop = self.ascent * em;
                let at = if *upward { (at.0 - drop, at.1) } else { (at.0, at.1 - drop) };
                let horizontal = match anchor {
                    Anchor::Start => HPos::Left,
                    Anchor::Middle => HPos::Center,
                    Anchor::End => HPos::Right,
                };
                let mut face = font::face(em * self.unit * self.text_size, *bold);
                if *upward {
                    face = face.transform(FontTransform::Rotate270);
                }
                let (colour, at) = (rgba(*colour, 1.0), self.at(at));
                let style = TextStyle { pos: Pos::new(horizontal, VPos::Top), ..TextStyle::from(face).color(&colour) };
                self.backend.draw_text(text, &style, at).map_err(|error| error.to_string())
            }
            // Pixels are copied over the finished sheet, so that no smoothing touches them.
            Shape::Pixels { .. } => Ok(()),
        }
    }

    fn area(&mut self, points: &[Point], colour: Colour, alpha: f64) -> Result<(), String> {
        let points: Vec<_> = points.iter().map(|&point| self.at(point)).collect();
        self.backend.fill_polygon(points, &ShapeStyle::from(rgba(colour, alpha)).filled()).map_err(|error| error.to_string())
    }

    fn quadrilaterals(&mut self, points: &[Point], colour: Colour, width: f64) -> Result<(), String> {
        let joint = ShapeStyle::from(rgba(colour, 1.0)).filled();
        for (index, pair) in points.windows(2).enumerate() {
            let ((x0, y0), (x1, y1)) = (pair[0], pair[1]);
            let length = (x1 - x0).hypot(y1 - y0);
            if length == 0.0 {
                continue;
            }
            let (dx, dy) = ((y1 - y0) / length * width / 2.0, (x0 - x1) / length * width / 2.0);
            self.area(&[(x0 + dx, y0 + dy), (x1 + dx, y1 + dy), (x1 - dx, y1 - dy), (x0 - dx, y0 - dy)], colour, 1.0)?;
            let radius = width / 2.0 * self.unit;
            if index > 0 && radius >= 1.0 {
                let centre = self.at((x0, y0));
                self.backend.draw_circle(centre, radius.floor() as u32, &joint, true).map_err(|error| error.to_string())?;
            }
        }
        Ok(())
    }
}

/// The picture as an SVG document with a title and a description for screen readers.
///
/// # Errors
/// Where plotters cannot draw it.
pub fn svg(picture: &Picture) -> Result<String> {
    let mut body = String::new();
    let size = ((picture.width * SVG_UNITS).ceil() as u32, (picture.height * SVG_UNITS).ceil() as u32);
    let backend = SVGBackend::with_string(&mut body, size);
    // Plotters writes size / 1.24 as the font size, and sets the baseline of text hung by its top at 0.76 em.
    Sheet { backend, unit: SVG_UNITS, text_size: 1.24, ascent: 0.76, quadrilaterals: false }.draw(picture)?;
    let (_, shapes) = body.split_once('>').unwrap_or_default();
    let shapes = shapes.trim_end().trim_end_matches("</svg>");
    let (title, description) = (escape(&picture.title), escape(&picture.description));
    let mut document = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{}\" height=\"{}\" viewBox=\"0 0 {} {}\" role=\"img\" aria-label=\"{title}\" \
         stroke-linejoin=\"round\">\n<title>{title}</title>\n<desc>{description}</desc>\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#FFFFFF\"/>{shapes}",
        picture.width.ceil(),
        picture.height.ceil(),
        size.0,
        size.1,
    );
    for shape in &picture.shapes {
        if let Shape::Pixels { at, image, scale } = shape {
            let (width, height) = (image.width() * scale, image.height() * scale);
            document.push_str(&format!(
                "<image x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" style=\"image-rendering:pixelated\" href=\"{}\"/>\n",
                at.0 * SVG_UNITS,
                at.1 * SVG_UNITS,
                f64::from(width) * SVG_UNITS,
                f64::from(height) * SVG_UNITS,
                data_uri(&enlarge(image, *scale))?,
            ));
        }
    }
    document.push_str("</svg>\n");
    Ok(document)
}

/// The picture as a PNG file at twice its size in pixels.
///
/// # Errors
/// Where plotters cannot draw it or it is too large to encode.
pub fn png(picture: &Picture) -> Result<Vec<u8>> {
    let (width, height) = (picture.width.ceil() as u32 * PNG_SCALE, picture.height.ceil() as u32 * PNG_SCALE);
    let smooth = if f64::from(width) * f64::from(height) * 12.0 <= SMOOTH_BYTES { 2 } else { 1 };
    let mut sheet = RgbImage::from_pixel(width * smooth, height * smooth, image::Rgb(PAPER));
    let backend = BitMapBackend::with_buffer(&mut sheet, (width * smooth, height * smooth));
    // Plotters sets the baseline of bitmap text hung by its top at half of its size.
    let (text_size, ascent) = (font::BITMAP_SIZE_PER_EM, font::BITMAP_SIZE_PER_EM / 2.0);
    Sheet { backend, unit: f64::from(PNG_SCALE * smooth), text_size, ascent, quadrilaterals: true }.draw(picture)?;
    if smooth > 1 {
        sheet = imageops::thumbnail(&sheet, width, height);
    }
    for shape in &picture.shapes {
        if let Shape::Pixels { at, image, scale } = shape {
            let place = at.0.round() as i64 * i64::from(PNG_SCALE);
            imageops::replace(&mut sheet, &enlarge(image, scale * PNG_SCALE), place, at.1.round() as i64 * i64::from(PNG_SCALE));
        }
    }
    encode(sheet)
}

/// Pixels as a PNG in a `data:` address.
///
/// # Errors
/// Where they are too many to encode.
pub fn data_uri(image: &RgbImage) -> Result<String> {
    Ok(format!("data:image/png;base64,{}", base64(&encode(image.clone())?)))
}

fn encode(image: RgbImage) -> Result<Vec<u8>> {
    let mut file = Cursor::new(Vec::new());
    DynamicImage::ImageRgb8(image)
        .write_to(&mut file, ImageFormat::Png)
        .map_err(|error| Error::store(format!("a plot cannot be encoded as PNG: {error}")))?;
    Ok(file.into_inner())
}

fn enlarge(image: &RgbImage, scale: u32) -> RgbImage {
    RgbImage::from_fn(image.width() * scale, image.height() * scale, |x, y| *image.get_pixel(x / scale, y / scale))
}

fn rgba([red, green, blue]: Colour, alpha: f64) -> RGBAColor {
    RGBAColor(red, green, blue, alpha)
}

fn failed(title: &str, error: &str) -> Error {
    Error::store(format!("the plot \"{title}\" cannot be drawn: {error}"))
}
