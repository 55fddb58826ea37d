//! Random numbers by counter: Philox4x32-10 of Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3" (SC 2011).
//!
//! A number depends on its key and counter alone: key = `row.key`, counter = (element / 4, step, restart, example), word = element % 4.
//! So a row draws the same numbers in whatever slot, batch or device it runs; `shaders/shared/random.wgsl` gives the same words.

/// The counter's first word for numbers that belong to a whole row; no element has it.
pub const ROW_BLOCK: u32 = u32::MAX;

/// Four random words for a counter.
pub fn philox(counter: [u32; 4], key: [u32; 2]) -> [u32; 4] {
    let [mut c0, mut c1, mut c2, mut c3] = counter;
    let [mut k0, mut k1] = key;
    for _ in 0..10 {
        let product0 = 0xD251_1F53_u64 * u64::from(c0);
        let product1 = 0xCD9E_8D57_u64 * u64::from(c2);
        c0 = (product1 >> 32) as u32 ^ c1 ^ k0;
        c1 = product1 as u32;
        c2 = (product0 >> 32) as u32 ^ c3 ^ k1;
        c3 = product0 as u32;
        k0 = k0.wrapping_add(0x9E37_79B9);
        k1 = k1.wrapping_add(0xBB67_AE85);
    }
    [c0, c1, c2, c3]
}

/// Counters that [`philox_lanes`] takes at once: with AVX2 two registers of each word.
pub(crate) const LANES: usize = 16;

/// [`philox`] for `LANES` counters whose first words follow on `first`; words by lane. The loops over lanes become vector instructions
/// where this is inlined into a function that may use them.
#[inline(always)]
pub(crate) fn philox_lanes(first: u32, rest: [u32; 3], key: [u32; 2]) -> [[u32; LANES]; 4] {
    let mut c0: [u32; LANES] = std::array::from_fn(|lane| first.wrapping_add(lane as u32));
    let [mut c1, mut c2, mut c3] = rest.map(|word| [word; LANES]);
    let [mut k0, mut k1] = key;
    for _ in 0..10 {
        for lane in 0..LANES {
            let product0 = 0xD251_1F53_u64 * u64::from(c0[lane]);
            let product1 = 0xCD9E_8D57_u64 * u64::from(c2[lane]);
            c0[lane] = (product1 >> 32) as u32 ^ c1[lane] ^ k0;
            c1[lane] = product1 as u32;
            c2[lane] = (product0 >> 32) as u32 ^ c3[lane] ^ k1;
            c3[lane] = product0 as u32;
        }
        k0 = k0.wrapping_add(0x9E37_79B9);
        k1 = k1.wrapping_add(0xBB67_AE85);
    }
    [c0, c1, c2, c3]
}

/// A word as a number in [0, 1), a multiple of 2^-24.
pub fn unit(word: u32) -> f32 {
    (word >> 8) as f32 * (1.0 / 16_777_216.0)
}

/// Four words as four independent standard normal numbers (Box and Muller 1958).
pub fn normals(words: [u32; 4]) -> [f32; 4] {
    let pair = |radius: u32, angle: u32| {
        let radius = (-2.0 * (1.0 - unit(radius)).ln()).sqrt();
        let (sine, cosine) = (std::f32::consts::TAU * (unit(angle) - 0.5)).sin_cos();
        [radius * cosine, radius * sine]
    };
    let [a, b] = pair(words[0], words[1]);
    let [c, d] = pair(words[2], words[3]);
    [a, b, c, d]
}
