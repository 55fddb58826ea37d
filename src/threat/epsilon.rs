//! Distances as text: "0.1", or a ratio such as "8/255".

use crate::error::{Error, Result};

/// The way out for a distance past 1 that may count levels of 8-bit images, which lie in 0..255.
pub(crate) fn in_levels(value: f64) -> Option<String> {
    const LEVELS: f64 = 255.0;
    (value > 1.0 && value <= LEVELS && value.fract() == 0.0).then(|| format!("for {value} of {LEVELS} levels write \"{value}/{LEVELS}\""))
}

/// What is wrong with an option that is longer than images are apart under linf, and the way out.
pub(crate) fn past_linf(name: &str, value: f64) -> Option<[String; 2]> {
    let way = in_levels(value).unwrap_or_else(|| "write one such as \"8/255\"".into());
    (value > 1.0).then(|| [format!("`{name}` is {value} under linf, where the whole range of a pixel is 1"), way])
}

/// Reads a distance in input units: a number, or a ratio of two numbers such as "8/255" (one step of an 8-bit image is 1/255).
///
/// # Errors
/// Text that is neither, and values that are not finite; negative values are the caller's to judge.
pub fn parse(text: &str) -> Result<f64> {
    let number = |part: &str| part.trim().parse::<f64>().ok().filter(|value| value.is_finite());
    let value = match text.split_once('/') {
        Some((above, below)) => number(above).zip(number(below)).map(|(above, below)| above / below),
        None => number(text),
    };
    match value {
        // Adding 0 turns -0 into 0.
        Some(value) if value.is_finite() => Ok(value + 0.0),
        _ => Err(Error::input(format!("{text:?} is not a distance")).help("write a number such as 0.03 or a ratio such as \"8/255\"")),
    }
}
