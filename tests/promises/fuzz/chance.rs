//! Random choices, and edits that any bytes can take.

/// A stream of choices; equal seeds give equal streams.
pub struct Chance(u64);

/// Bytes that an edit may let an input grow to.
pub const LONGEST: usize = 1 << 18;

/// Numbers at which readers of sizes go wrong.
const EDGES: [u64; 24] = [
    0,
    1,
    2,
    3,
    7,
    8,
    127,
    128,
    255,
    256,
    0x7fff,
    0x8000,
    0xffff,
    1 << 20,
    1 << 24,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_ffff,
    1 << 32,
    1 << 40,
    0x3fff_ffff_ffff_ffff,
    i64::MAX as u64,
    1 << 63,
    u64::MAX,
];

impl Chance {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Splitmix64 (Steele, Lea and Flood 2014).
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`; 0 where that is 0.
    pub fn below(&mut self, end: usize) -> usize {
        if end == 0 { 0 } else { (self.next() % end as u64) as usize }
    }

    pub fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }

    pub fn of<'a, T>(&mut self, list: &'a [T]) -> &'a T {
        &list[self.below(list.len())]
    }

    /// How many edits an input takes: mostly one or two, since many spoil everything.
    pub fn few(&mut self) -> usize {
        let most = self.below(5);
        1 + self.below(1 + most)
    }

    /// A number at an edge, next to one, or any.
    pub fn edge(&mut self) -> u64 {
        let edge = *self.of(&EDGES);
        match self.below(8) {
            0 => edge.wrapping_sub(1),
            1 => edge.wrapping_neg(),
            2 => self.next() >> self.below(64),
            _ => edge,
        }
    }

    /// A part of `bytes`, short ones being likelier.
    pub fn range(&mut self, length: usize) -> std::ops::Range<usize> {
        let start = self.below(length + 1);
        let most = if self.one_in(4) { length } else { 32 };
        start..start + self.below((length - start).min(most) + 1)
    }
}

/// Changes a few things about `bytes`, with pieces of `other`.
pub fn damage(chance: &mut Chance, bytes: &mut Vec<u8>, other: &[u8]) {
    for _ in 0..chance.few() {
        let at = chance.below(bytes.len());
        match chance.below(10) {
            0 | 1 if !bytes.is_empty() => bytes[at] ^= 1 << chance.below(8),
            2 if !bytes.is_empty() => bytes[at] = chance.next() as u8,
            3 => bytes.truncate(at),
            4 => {
                let range = chance.range(bytes.len());
                bytes.drain(range);
            }
            5 => {
                let range = chance.range(bytes.len());
                let piece = bytes[range].to_vec();
                let times = if chance.one_in(20) { chance.below(200) } else { 1 };
                splice(bytes, at, &piece.repeat(times));
            }
            6 => {
                let piece = &other[chance.range(other.len())];
                splice(bytes, at, piece);
            }
            _ => {
                let width = 1 << chance.below(4);
                let edge = chance.edge();
                let number = if chance.one_in(3) { edge.to_be_bytes()[8 - width..].to_vec() } else { edge.to_le_bytes()[..width].to_vec() };
                let end = bytes.len().min(at + width);
                bytes[at..end].copy_from_slice(&number[..end - at]);
            }
        }
    }
}

/// Inserts `piece`, as far as inputs may grow.
fn splice(bytes: &mut Vec<u8>, at: usize, piece: &[u8]) {
    let piece = &piece[..piece.len().min(LONGEST.saturating_sub(bytes.len()))];
    bytes.splice(at..at, piece.iter().copied());
}
