//! Rows as bytes. An outcome takes 13: one for verdict (bits 0-1), how it was settled (bits 2-3) and whether there is a distance (bit 4),
//! then the distance's bits, forwards and backwards, each of four bytes, little endian. What is read is what was written, to the bit.

use rusqlite::types::Type;

use crate::evaluate::record::{Outcome, Settled, Verdict};

const OUTCOME: usize = 13;
const VERDICTS: [Verdict; 3] = [Verdict::Broken, Verdict::Survived, Verdict::Failed];
const SETTLED: [Settled; 4] = [Settled::Attack, Settled::Distance, Settled::Inferred, Settled::Clean];

/// The number of a verdict in the store.
pub fn verdict_code(verdict: Verdict) -> u8 {
    match verdict {
        Verdict::Broken => 0,
        Verdict::Survived => 1,
        Verdict::Failed => 2,
    }
}

/// The verdict of a number; `column` is where it was read, for the message.
pub fn verdict(code: u8, column: usize) -> rusqlite::Result<Verdict> {
    VERDICTS.get(usize::from(code)).copied().ok_or_else(|| nonsense(column, format!("{code} is no verdict")))
}

/// An example's outcomes as bytes.
pub fn encode(outcomes: &[Outcome]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(outcomes.len() * OUTCOME);
    for outcome in outcomes {
        let settled = match outcome.settled {
            Settled::Attack => 0,
            Settled::Distance => 1,
            Settled::Inferred => 2,
            Settled::Clean => 3,
        };
        bytes.push(verdict_code(outcome.verdict) | settled << 2 | u8::from(outcome.distance.is_some()) << 4);
        bytes.extend(outcome.distance.unwrap_or(0.0).to_le_bytes());
        bytes.extend(outcome.forwards.to_le_bytes());
        bytes.extend(outcome.backwards.to_le_bytes());
    }
    bytes
}

/// The outcomes in `bytes`; `column` is where they were read, for the message.
pub fn decode(bytes: &[u8], column: usize) -> rusqlite::Result<Vec<Outcome>> {
    let (rows, rest) = bytes.as_chunks::<OUTCOME>();
    if !rest.is_empty() {
        return Err(nonsense(column, format!("{} bytes are no whole outcomes of {OUTCOME} bytes", bytes.len())));
    }
    rows.iter()
        .map(|&[head, d0, d1, d2, d3, f0, f1, f2, f3, b0, b1, b2, b3]| {
            if head >> 5 != 0 {
                return Err(nonsense(column, format!("{head:#04x} opens no outcome")));
            }
            let distance = f32::from_le_bytes([d0, d1, d2, d3]);
            Ok(Outcome {
                verdict: verdict(head & 3, column)?,
                settled: SETTLED[usize::from(head >> 2 & 3)],
                distance: (head >> 4 & 1 == 1).then_some(distance),
                forwards: u32::from_le_bytes([f0, f1, f2, f3]),
                backwards: u32::from_le_bytes([b0, b1, b2, b3]),
            })
        })
        .collect()
}

/// Whole numbers as bytes.
pub fn encode_words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

/// The whole numbers in `bytes`.
pub fn decode_words(bytes: &[u8], column: usize) -> rusqlite::Result<Vec<u32>> {
    let (words, rest) = bytes.as_chunks::<4>();
    if !rest.is_empty() {
        return Err(nonsense(column, format!("{} bytes are no whole words of 4 bytes", bytes.len())));
    }
    Ok(words.iter().map(|&word| u32::from_le_bytes(word)).collect())
}

/// Two flags in a byte, the first in its lowest bit.
pub fn encode_flags([first, second]: [bool; 2]) -> u8 {
    u8::from(first) | u8::from(second) << 1
}

/// The flags in a byte.
pub fn decode_flags(byte: u8) -> [bool; 2] {
    [byte & 1 != 0, byte & 2 != 0]
}

/// Pixels as bytes, to the bit.
pub fn encode_pixels(pixels: &[f32]) -> Vec<u8> {
    pixels.iter().flat_map(|pixel| pixel.to_le_bytes()).collect()
}

/// The pixels in `bytes`.
pub fn decode_pixels(bytes: &[u8], column: usize) -> rusqlite::Result<Vec<f32>> {
    Ok(decode_words(bytes, column)?.into_iter().map(f32::from_bits).collect())
}

/// The error of a value that no store of ours holds.
pub fn nonsense(column: usize, message: String) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, Type::Blob, message.into())
}
