//! The typeface of every plot: a subset of DejaVu Sans that is part of the binary, so that a plot looks the same on every machine.

use std::sync::LazyLock;

use plotters::style::{FontDesc, FontFamily, FontStyle, register_font};

/// The family as a CSS list: the first is embedded for PNG and for measuring, the others are what a viewer of an SVG falls back to.
pub const FAMILY: &str = "DejaVu Sans, Verdana, sans-serif";

/// Plotters' bitmap text is sized by ascent minus descent, which is this many ems in DejaVu Sans.
pub const BITMAP_SIZE_PER_EM: f64 = 1.164;

/// Measures at a size so large that rounding to whole pixels does not matter.
const MEASURE_EM: f64 = 200.0;

static REGISTERED: LazyLock<()> = LazyLock::new(|| {
    let faces: [(FontStyle, &'static [u8]); 2] = [
        (FontStyle::Normal, include_bytes!("assets/DejaVuSans.subset.ttf")),
        (FontStyle::Bold, include_bytes!("assets/DejaVuSans-Bold.subset.ttf")),
    ];
    for (style, bytes) in faces {
        assert!(register_font(FAMILY, style, bytes).is_ok(), "the embedded font is a valid TrueType file");
    }
});

/// The face in plotters' terms, at `size` in plotters' own unit.
pub fn face(size: f64, bold: bool) -> FontDesc<'static> {
    LazyLock::force(&REGISTERED);
    FontDesc::new(FontFamily::Name(FAMILY), size, if bold { FontStyle::Bold } else { FontStyle::Normal })
}

/// Width of a line of text in pixels at `em` pixels an em.
pub fn width(text: &str, em: f64, bold: bool) -> f64 {
    let measured = face(MEASURE_EM * BITMAP_SIZE_PER_EM, bold).box_size(text);
    measured.map_or(0.0, |(width, _)| f64::from(width) * em / MEASURE_EM)
}

/// Where a line may be broken.
const BREAKS: [char; 4] = [' ', '-', '_', '/'];

/// Width of the widest piece of a text that cannot be broken but within a word.
pub fn unbroken(text: &str, em: f64, bold: bool) -> f64 {
    text.split_inclusive(BREAKS).map(|piece| width(piece.trim_end(), em, bold)).fold(0.0, f64::max)
}

/// Breaks text into lines of at most `limit` pixels, at spaces, hyphens and underscores where it can and within a word where it must.
pub fn wrap(text: &str, em: f64, bold: bool, limit: f64) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    for piece in text.split_inclusive(BREAKS) {
        if !line.is_empty() && width(&format!("{line}{}", piece.trim_end()), em, bold) > limit {
            lines.push(std::mem::take(&mut line));
        }
        if width(piece.trim_end(), em, bold) <= limit {
            line.push_str(piece);
            continue;
        }
        for letter in piece.chars() {
            if !line.is_empty() && width(&format!("{line}{letter}"), em, bold) > limit {
                lines.push(std::mem::take(&mut line));
            }
            line.push(letter);
        }
    }
    lines.push(line);
    lines.into_iter().map(|line| line.trim().to_owned()).collect()
}
