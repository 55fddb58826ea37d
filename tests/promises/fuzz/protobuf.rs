//! Edits of protobuf messages that keep the lengths around them right.

use super::chance::{Chance, LONGEST, damage};

/// A field of a message.
#[derive(Clone)]
struct Field {
    tag: u64,
    content: Content,
}

#[derive(Clone)]
enum Content {
    Number(u64),
    /// 8 or 4 bytes.
    Fixed(Vec<u8>),
    Bytes(Vec<u8>),
    Message(Vec<Field>),
}

/// The bytes of a message like the one in `bytes`, with parts of `other` and texts out of `words`.
pub fn edited(chance: &mut Chance, bytes: &[u8], other: &[u8], words: &[&str]) -> Vec<u8> {
    let (Some(mut message), Some(other)) = (parse(bytes, 0), parse(other, 0)) else { return bytes.to_vec() };
    let mut names = Vec::new();
    texts(&message, &mut names);
    for _ in 0..chance.few() {
        edit(chance, &mut message, &other, &names, words);
    }
    let mut written = Vec::new();
    write(&message, &mut written);
    written.truncate(LONGEST);
    written
}

fn edit(chance: &mut Chance, fields: &mut Vec<Field>, other: &[Field], names: &[Vec<u8>], words: &[&str]) {
    let at = chance.below(fields.len());
    let donor = match other {
        [] => None,
        other => Some(chance.of(other).clone()),
    };
    let Some(field) = fields.get_mut(at) else {
        fields.extend(donor);
        return;
    };
    if let Content::Message(inner) = &mut field.content
        && !chance.one_in(6)
    {
        let donors = match &donor {
            Some(Field { content: Content::Message(inner), .. }) => inner.as_slice(),
            _ => other,
        };
        return edit(chance, inner, donors, names, words);
    }
    match chance.below(12) {
        0 => drop(fields.remove(at)),
        1 => {
            let copy = field.clone();
            let times = if chance.one_in(20) { chance.below(300) } else { 1 + chance.below(2) };
            fields.splice(at..at, std::iter::repeat_n(copy, times));
        }
        2 => {
            let to = chance.below(fields.len());
            fields.swap(at, to);
        }
        3 => fields.extend(donor),
        4 => field.tag = chance.below(26) as u64,
        5 => field.content = Content::Number(chance.edge()),
        6 => {
            let deep = if chance.one_in(4) { 200 } else { 2 };
            for _ in 0..deep {
                let inner = field.clone();
                field.content = Content::Message(vec![inner]);
            }
        }
        _ => match &mut field.content {
            Content::Number(number) => *number = chance.edge(),
            Content::Fixed(bytes) => damage(chance, bytes, &[]),
            Content::Message(inner) => inner.clear(),
            Content::Bytes(bytes) if chance.one_in(3) || bytes.len() > 64 => damage(chance, bytes, &[]),
            Content::Bytes(bytes) if chance.one_in(3) || names.is_empty() => *bytes = chance.of(words).as_bytes().to_vec(),
            Content::Bytes(bytes) => bytes.clone_from(chance.of(names)),
        },
    }
}

/// Every short text, such as the names that tie nodes together.
fn texts(fields: &[Field], found: &mut Vec<Vec<u8>>) {
    for field in fields {
        match &field.content {
            Content::Message(inner) => texts(inner, found),
            Content::Bytes(bytes) if bytes.len() <= 64 => found.push(bytes.clone()),
            _ => {}
        }
    }
}

/// The fields of a message; what can be read as a message within it counts as one.
fn parse(mut bytes: &[u8], depth: usize) -> Option<Vec<Field>> {
    let mut fields = Vec::new();
    while !bytes.is_empty() {
        let key = varint(&mut bytes)?;
        let content = match key & 7 {
            0 => Content::Number(varint(&mut bytes)?),
            1 => Content::Fixed(bytes.split_off(..8)?.to_vec()),
            2 => {
                let length = usize::try_from(varint(&mut bytes)?).ok()?;
                let inner = bytes.split_off(..length)?;
                let message = if inner.is_empty() || depth == 12 { None } else { parse(inner, depth + 1) };
                message.map_or_else(|| Content::Bytes(inner.to_vec()), Content::Message)
            }
            5 => Content::Fixed(bytes.split_off(..4)?.to_vec()),
            _ => return None,
        };
        fields.push(Field { tag: key >> 3, content });
    }
    Some(fields)
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for at in 0..10 {
        let byte = *bytes.split_off_first()?;
        value |= u64::from(byte & 127) << (7 * at);
        if byte < 128 {
            return Some(value);
        }
    }
    None
}

fn write(fields: &[Field], bytes: &mut Vec<u8>) {
    for Field { tag, content } in fields {
        match content {
            Content::Number(number) => {
                write_varint(tag << 3, bytes);
                write_varint(*number, bytes);
            }
            Content::Fixed(fixed) => {
                write_varint(tag << 3 | if fixed.len() == 8 { 1 } else { 5 }, bytes);
                bytes.extend(fixed);
            }
            Content::Bytes(inner) => {
                write_varint(tag << 3 | 2, bytes);
                write_varint(inner.len() as u64, bytes);
                bytes.extend(inner);
            }
            Content::Message(inner) => {
                let mut written = Vec::new();
                write(inner, &mut written);
                write_varint(tag << 3 | 2, bytes);
                write_varint(written.len() as u64, bytes);
                bytes.extend(written);
            }
        }
    }
}

fn write_varint(mut value: u64, bytes: &mut Vec<u8>) {
    while value > 127 {
        bytes.push(value as u8 | 128);
        value >>= 7;
    }
    bytes.push(value as u8);
}
