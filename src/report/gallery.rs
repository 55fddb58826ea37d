//! The gallery: originals, adversarial examples and what lies between them, pixel by pixel.

use image::{Rgb, RgbImage};

use super::axes::heading;
use super::palette::{ALARM, FAINT, diverging};
use super::picture::{Anchor, Picture, Shape, Type};
use super::text;
use super::view::View;
use crate::evaluate::record::Specimen;
use crate::{Error, Result};

/// The most specimens that are shown.
const LIMIT: usize = 24;
/// Pixels across that an image is enlarged to, as nearly as whole pixels allow.
const TILE: usize = 104;

/// One specimen as images and words.
pub struct Exhibit<'a> {
    /// What is shown.
    pub specimen: &'a Specimen,
    /// Original, adversarial example and magnified difference.
    pub images: [RgbImage; 3],
    /// By how much the difference is multiplied.
    pub factor: u32,
}

impl Exhibit<'_> {
    /// The headings of the three images.
    pub fn captions(&self) -> [String; 3] {
        ["original".into(), "adversarial".into(), format!("difference ×{}", self.factor)]
    }

    /// Where it comes from.
    pub fn source(&self) -> String {
        let Specimen { series, epsilon, distance, .. } = self.specimen;
        let distance = text::distance(f64::from((distance * 1e4).round()) / 1e4);
        format!("{}, {} ε ≤ {} (distance {distance})", series.attack, text::norm(series.norm), text::distance(*epsilon))
    }
}

/// Up to 24 specimens: defences take turns, and within them series and epsilons, so that none is crowded out.
///
/// # Errors
/// A specimen whose pixels do not fit its shape.
pub fn exhibits(specimens: &[Specimen]) -> Result<Vec<Exhibit<'_>>> {
    let mut groups: Vec<Vec<&Specimen>> = Vec::new();
    for specimen in specimens {
        let same = |group: &&mut Vec<&Specimen>| group[0].series == specimen.series && group[0].epsilon == specimen.epsilon;
        match groups.iter_mut().find(same) {
            Some(group) => group.push(specimen),
            None => groups.push(vec![specimen]),
        }
    }
    // Of each defence its groups' firsts, then their seconds, and so on.
    let mut queues: Vec<(&str, Vec<(usize, usize)>)> = Vec::new();
    for (index, group) in groups.iter().enumerate() {
        let turns = (0..group.len()).map(|turn| (turn, index));
        let defence = group[0].series.defence.as_str();
        match queues.iter_mut().find(|(name, _)| *name == defence) {
            Some((_, queue)) => queue.extend(turns),
            None => queues.push((defence, turns.collect())),
        }
    }
    let mut turns: Vec<(usize, usize, usize)> = Vec::new();
    for (_, queue) in &mut queues {
        queue.sort_unstable();
        turns.extend(queue.iter().enumerate().map(|(place, &(turn, group))| (place, group, turn)));
    }
    turns.sort_unstable();
    turns.truncate(LIMIT);
    turns.sort_unstable_by_key(|&(_, group, turn)| (group, turn));
    turns.into_iter().map(|(_, group, turn)| exhibit(groups[group][turn])).collect()
}

fn exhibit(specimen: &Specimen) -> Result<Exhibit<'_>> {
    let [channels, height, width] = specimen.shape;
    let pixels = channels * height * width;
    if pixels == 0 || specimen.original.len() != pixels || specimen.adversarial.len() != pixels {
        let (original, adversarial) = (specimen.original.len(), specimen.adversarial.len());
        return Err(Error::store(format!(
            "the specimen of example {} has {original} and {adversarial} values where its shape {channels}x{height}x{width} needs {pixels}",
            specimen.example
        ))
        .help("the store is damaged: run the suite again with --fresh"));
    }
    let difference: Vec<f32> = specimen.adversarial.iter().zip(&specimen.original).map(|(after, before)| after - before).collect();
    let largest = difference.iter().fold(0.0f32, |largest, value| largest.max(value.abs()));
    let factor = [1000, 500, 200, 100, 50, 20, 10, 5, 2].into_iter().find(|factor| largest * *factor as f32 <= 1.0).unwrap_or(1);
    let byte = |value: f32| (value.clamp(0.0, 1.0) * 255.0).round() as u8;
    let draw = |colour: &dyn Fn([f32; 3]) -> Rgb<u8>, values: &[f32]| {
        RgbImage::from_fn(width as u32, height as u32, |x, y| {
            let of = |channel: usize| values[(channel * height + y as usize) * width + x as usize];
            let mean = (0..channels).map(of).sum::<f32>() / channels as f32;
            colour(if channels == 3 { [of(0), of(1), of(2)] } else { [mean; 3] })
        })
    };
    let plain = |values: [f32; 3]| Rgb(values.map(byte));
    // Colour images keep their channels around a middle grey; grey ones are told apart better by hue.
    let magnified = |values: [f32; 3]| {
        let values = values.map(|value| value * factor as f32);
        if channels == 3 { Rgb(values.map(|value| byte(0.5 + value / 2.0))) } else { Rgb(diverging(f64::from(values[0]))) }
    };
    let images = [draw(&plain, &specimen.original), draw(&plain, &specimen.adversarial), draw(&magnified, &difference)];
    Ok(Exhibit { specimen, images, factor })
}

/// The gallery as one picture; `None` without specimens.
pub fn gallery(view: &View, exhibits: &[Exhibit]) -> Option<Picture> {
    let tile = exhibits.iter().map(|exhibit| side(exhibit) * scale(exhibit)).max()? as f64;
    let (gap, margin) = (8.0, 16.0);
    let block = 3.0 * tile + 2.0 * gap;
    let columns = if block > 420.0 || exhibits.len() == 1 { 1 } else { 2 };
    let mut picture = Picture::new("Gallery: what the attacks found", (2.0 * margin + columns as f64 * (block + 36.0) - 36.0).max(520.0));
    picture.description = format!("{} adversarial examples beside their originals and the magnified differences.", exhibits.len());
    let mut y = heading(&mut picture, view) + 2.0;
    let note = "Difference: no change is white (grey images: blue darker, red brighter) or middle grey (colour images).";
    y += picture.paragraph((margin, y), note, Type::plain(12.0).colour(FAINT), columns as f64 * (block + 36.0) - 36.0) + 8.0;
    for row in exhibits.chunks(columns) {
        let mut deepest = 0.0f64;
        for (column, exhibit) in row.iter().enumerate() {
            let left = margin + column as f64 * (block + 36.0);
            let mut top = y + picture.paragraph((left, y + 12.0), &exhibit.specimen.series.defence, Type::plain(13.0).bold(), block);
            top += picture.paragraph((left, top + 12.0), &exhibit.source(), Type::plain(12.0).colour(FAINT), block);
            for (index, (image, caption)) in exhibit.images.iter().zip(exhibit.captions()).enumerate() {
                let x = left + index as f64 * (tile + gap);
                picture.text((x + tile / 2.0, top + 14.0), &caption, Type::plain(11.0).anchor(Anchor::Middle));
                let scale = scale(exhibit);
                let (width, height) = (f64::from(image.width() * scale), f64::from(image.height() * scale));
                let at = ((x + (tile - width) / 2.0).round(), (top + 20.0).round());
                picture.shapes.push(Shape::Pixels { at, image: image.clone(), scale });
                picture.outline((at.0 - 0.5, at.1 - 0.5), width + 1.0, height + 1.0, FAINT, 1.0);
            }
            let words = format!("label {} → prediction {}", exhibit.specimen.label, exhibit.specimen.prediction);
            let bottom = top + 20.0 + tile + 18.0;
            picture.text((left, bottom), &words, Type::plain(13.0).bold().colour(ALARM));
            deepest = deepest.max(bottom + 22.0 - y);
        }
        y += deepest;
    }
    picture.height = y;
    Some(picture)
}

fn side(exhibit: &Exhibit) -> u32 {
    exhibit.images[0].width().max(exhibit.images[0].height())
}

/// Pixels of the picture to a pixel of the image.
fn scale(exhibit: &Exhibit) -> u32 {
    (TILE as u32 / side(exhibit)).max(1)
}
