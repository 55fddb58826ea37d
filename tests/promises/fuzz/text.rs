//! Edits of text made of words and signs: suites, and the headers of arrays and tensors.

use super::chance::{Chance, LONGEST};

/// Numbers, words and signs that mean something somewhere.
const WORDS: &[&str] = &[
    "0",
    "-1",
    "1",
    "1e-3",
    "-0.0",
    "1e308",
    "-1e309",
    "nan",
    "inf",
    "0x7fffffff",
    "9223372036854775807",
    "-9223372036854775808",
    "18446744073709551615",
    "18446744073709551616",
    "4294967296",
    "99999999999999999999999",
    "1_000",
    "2024-01-01",
    "true",
    "false",
    "null",
    "True",
    "\"\"",
    "''",
    "\"\"\"",
    "'''",
    "\"8/255\"",
    "\"a\\u0000b\"",
    "\\",
    "\"\\ud800\"",
    "\u{feff}",
    "\u{1f980}",
    "\0",
    "\r",
    "\n",
    "#",
    "[",
    "]",
    "[[",
    "]]",
    "{",
    "}",
    "(",
    ")",
    "=",
    ":",
    ",",
    ".",
    "'",
    "\"",
    "..",
    "F32",
    "BF16",
    "U64",
    "'|u1'",
    "'<f4'",
    "'>i8'",
    "'|O'",
    "'<U9'",
    "'V99999999999'",
    "[('a','<f4')]",
];

/// What opens a level of nesting.
const OPENERS: &[&str] = &["[", "{", "(", "{a=", "[[", "{\"a\":", "a.", "[\n", "-", "\"\"\"", "('a',"];

/// `text` with some of its words moved, replaced, repeated or nested, with words of `other` and out of `words`.
pub fn edited(chance: &mut Chance, text: &str, other: &str, words: &[&str]) -> String {
    let (mut parts, donors) = (split(text), split(other));
    for _ in 0..chance.few() {
        let at = chance.below(parts.len());
        match chance.below(12) {
            0 if !parts.is_empty() => drop(parts.remove(at)),
            1 if !parts.is_empty() => {
                let to = chance.below(parts.len());
                parts.swap(at, to);
            }
            2 => {
                let piece = parts[chance.range(parts.len())].to_vec();
                let times = if chance.one_in(20) { chance.below(100) } else { 1 };
                parts.splice(at..at, std::iter::repeat_n(piece, times).flatten().take(LONGEST / 8));
            }
            3 => drop(parts.drain(chance.range(parts.len()))),
            4 => drop(parts.splice(at..at, donors[chance.range(donors.len())].to_vec())),
            5 if chance.one_in(4) => {
                let times = *chance.of(&[10, 100, 1000, 20_000]);
                parts.splice(at..at, std::iter::repeat_n(*chance.of(OPENERS), times));
            }
            6 => parts.insert(at, *chance.of(WORDS)),
            7 if !words.is_empty() => parts.insert(at, *chance.of(words)),
            _ => {
                // Words rather than signs and spaces.
                let wordy: Vec<usize> = (0..parts.len()).filter(|&at| parts[at].starts_with(char::is_alphanumeric)).collect();
                if let Some(&at) = wordy.get(chance.below(wordy.len())) {
                    parts[at] = match chance.below(3) {
                        0 if !words.is_empty() => *chance.of(words),
                        1 => parts[*chance.of(&wordy)],
                        _ => *chance.of(WORDS),
                    };
                }
            }
        }
    }
    let mut text = String::new();
    for part in parts {
        if text.len() + part.len() > LONGEST {
            break;
        }
        text.push_str(part);
    }
    text
}

/// Words, numbers and single signs, which make up the text.
fn split(text: &str) -> Vec<&str> {
    let is_word = |letter: char| letter.is_alphanumeric() || letter == '_' || letter == '-';
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let end = if is_word(first) { rest.find(|letter| !is_word(letter)).unwrap_or(rest.len()) } else { first.len_utf8() };
        let (part, behind) = rest.split_at(end);
        parts.push(part);
        rest = behind;
    }
    parts
}
