//! Numbers and names as a reader sees them, and as files are called.

use std::collections::HashSet;
use std::fmt::Write as _;

use crate::threat::Norm;

/// A share as per cent with one decimal and a space that does not break: `97.2 %`; a dash where it is no number.
pub fn percent(share: f64) -> String {
    if share.is_finite() { format!("{:.1}\u{a0}%", share * 100.0) } else { "–".to_owned() }
}

/// An interval of shares: `95.1–98.4 %`.
pub fn interval([low, high]: [f64; 2]) -> String {
    if low.is_finite() && high.is_finite() { format!("{:.1}–{:.1}\u{a0}%", low * 100.0, high * 100.0) } else { "–".to_owned() }
}

/// An epsilon or distance as a suite gives it: short decimals as they stand, 8/255 as such, anything else with four digits.
pub fn distance(value: f64) -> String {
    let plain = format!("{value}");
    if plain.len() <= 6 || !value.is_finite() {
        return plain;
    }
    let of_255 = value * 255.0;
    if value < 1.0 && (of_255 - of_255.round()).abs() < 1e-6 {
        return format!("{}/255", of_255.round());
    }
    let digits = (3 - value.abs().log10().floor() as i32).clamp(0, 12) as usize;
    let short = format!("{value:.digits$}");
    if short.contains('.') { short.trim_end_matches('0').trim_end_matches('.').to_owned() } else { short }
}

/// Counts in groups of three: `130,000`.
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// Seconds as a reader says them: `41.0 s`, `3 min 20 s`, `2 h 5 min`.
pub fn seconds(seconds: f64) -> String {
    let whole = seconds.round() as u64;
    match seconds {
        _ if seconds < 0.095 => format!("{:.0} ms", seconds * 1000.0),
        _ if seconds < 99.95 => format!("{seconds:.1} s"),
        _ if whole < 3600 => format!("{} min {} s", whole / 60, whole % 60),
        _ => format!("{} h {} min", whole / 3600, whole % 3600 / 60),
    }
}

/// The norm in print: `L∞`, `L2`.
pub fn norm(norm: Norm) -> &'static str {
    match norm {
        Norm::Linf => "L∞",
        Norm::L2 => "L2",
        Norm::L1 => "L1",
        Norm::L0 => "L0",
    }
}

/// What an axis of epsilons says: the norm and its unit.
pub fn axis(norm: Norm) -> &'static str {
    match norm {
        Norm::Linf => "epsilon (L∞ norm, input units 0 to 1)",
        Norm::L2 => "epsilon (L2 norm, input units 0 to 1)",
        Norm::L1 => "epsilon (L1 norm, input units 0 to 1)",
        Norm::L0 => "epsilon (L0, number of changed elements)",
    }
}

/// Text that is safe in HTML and XML, in elements and in quoted attributes.
pub fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            '\n' | '\t' => safe.push(letter),
            other if other.is_control() => safe.push(' '),
            other => safe.push(other),
        }
    }
    safe
}

/// Hands out parts of file names: lower-case ASCII letters, digits, dots and hyphens, never the same twice.
#[derive(Debug, Default)]
pub struct Slugs(HashSet<String>);

impl Slugs {
    /// A slug for `name`, numbered where another name has taken it.
    pub fn unique(&mut self, name: &str) -> String {
        let mut base = String::new();
        for letter in name.chars().take(60) {
            if letter.is_ascii_alphanumeric() || letter == '.' {
                base.push(letter.to_ascii_lowercase());
            } else if !base.is_empty() && !base.ends_with('-') {
                base.push('-');
            }
        }
        let base = base.trim_matches(['-', '.']);
        let base = if base.is_empty() { "unnamed" } else { base };
        let mut slug = base.to_owned();
        let mut number = 2;
        while !self.0.insert(slug.clone()) {
            slug = format!("{base}-{number}");
            number += 1;
        }
        slug
    }
}

/// Bytes in base 64 (RFC 4648, padded).
pub fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let bits = (0..3).fold(0u32, |bits, index| bits << 8 | u32::from(group.get(index).copied().unwrap_or(0)));
        for digit in 0..4 {
            let symbol = if digit > group.len() { '=' } else { DIGITS[(bits >> (18 - 6 * digit) & 63) as usize] as char };
            let _ = write!(text, "{symbol}");
        }
    }
    text
}
