//! Single images as files: read to [0, 1], and written as 8-bit PNG without leaving the ball.

use std::path::Path;

use image::{DynamicImage, GrayImage, ImageBuffer, RgbImage};

use crate::{Error, Result};

/// Channels, height and width of an image file: one channel where it is grey, else three.
///
/// # Errors
/// A file that is missing or no image.
pub fn shape(path: &Path) -> Result<[usize; 3]> {
    let image = open(path)?;
    let channels = if image.color().has_color() { 3 } else { 1 };
    Ok([channels, image.height() as usize, image.width() as usize])
}

/// Pixels [channels, height, width] in [0, 1] of an image file, which must have these sides; colours become grey, or grey three equal
/// channels, where the shape wants it. Transparency is refused.
///
/// # Errors
/// A file that is missing, no image, or of another height or width.
pub fn read(path: &Path, [channels, height, width]: [usize; 3]) -> Result<Vec<f32>> {
    let image = open(path)?;
    if image.color().has_alpha() && image.to_rgba8().pixels().any(|pixel| pixel.0[3] != u8::MAX) {
        return Err(Error::input(format!("{}: the image has transparency, which a model does not see", path.display()))
            .help("flatten it on a background first"));
    }
    if (image.height() as usize, image.width() as usize) != (height, width) {
        let message = format!(
            "{}: the image is {} x {} (height, width), the model wants {height} x {width}",
            path.display(),
            image.height(),
            image.width()
        );
        return Err(Error::input(message).help("crop or resize it first: what the attack changes would not survive a resize"));
    }
    let values = match channels {
        1 => image.to_luma8().into_raw(),
        3 => planes(&image.to_rgb8().into_raw()),
        _ => {
            let message = format!("{}: the model wants {channels} channels, an image file has 1 or 3", path.display());
            return Err(Error::input(message).help("attack such data with a suite, from an .npz file"));
        }
    };
    Ok(values.into_iter().map(|value| f32::from(value) / 255.0).collect())
}

/// Writes pixels [channels, height, width] in [0, 1], on multiples of 1/255, as a PNG.
///
/// # Errors
/// A file that cannot be written.
pub fn write(path: &Path, pixels: &[f32], [channels, height, width]: [usize; 3]) -> Result<()> {
    let bytes: Vec<u8> = pixels.iter().map(|value| (value * 255.0).round() as u8).collect();
    let (height, width) = (height as u32, width as u32);
    let area = (height * width) as usize;
    let written = if channels == 1 {
        let image: Option<GrayImage> = ImageBuffer::from_raw(width, height, bytes);
        image.map(|image| image.save(path))
    } else {
        let interleaved = (0..area).flat_map(|at| (0..channels).map(move |channel| channel * area + at)).map(|at| bytes[at]).collect();
        let image: Option<RgbImage> = ImageBuffer::from_raw(width, height, interleaved);
        image.map(|image| image.save(path))
    };
    match written {
        Some(Ok(())) => Ok(()),
        Some(Err(error)) => {
            Err(Error::store(format!("{}: cannot be written: {error}", path.display())).help("choose another place with --out"))
        }
        None => Err(Error::store(format!("{}: the pixels do not make an image", path.display()))),
    }
}

/// The nearest multiples of 1/255; where that would leave the original's l-infinity ball of `radius`, or under other norms go further
/// from the original, the next one towards it.
pub fn quantise(original: &[f32], point: &[f32], radius: Option<f32>) -> Vec<f32> {
    let level = |(&from, &to): (&f32, &f32)| {
        let near = (to * 255.0).round() / 255.0;
        let reach = radius.map_or((to - from).abs(), |radius| radius) + 1e-6;
        if (near - from).abs() <= reach {
            return near;
        }
        let inward = if to > from { (to * 255.0).floor() } else { (to * 255.0).ceil() } / 255.0;
        if (inward - from).abs() <= reach { inward } else { from }
    };
    original.iter().zip(point).map(level).collect()
}

fn open(path: &Path) -> Result<DynamicImage> {
    let unreadable = |error: &dyn std::fmt::Display| {
        Error::input(format!("{}: cannot be read as an image: {error}", path.display())).help("give a PNG or a JPEG file")
    };
    let reader = image::ImageReader::open(path).map_err(|error| unreadable(&error))?;
    reader.with_guessed_format().map_err(|error| unreadable(&error))?.decode().map_err(|error| unreadable(&error))
}

/// Interleaved colours as planes.
fn planes(interleaved: &[u8]) -> Vec<u8> {
    (0..3).flat_map(|channel| interleaved.iter().skip(channel).step_by(3).copied()).collect()
}
