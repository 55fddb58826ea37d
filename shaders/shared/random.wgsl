// Philox4x32-10 of Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3" (SC 2011): random words by counter.

// The counter's first word for numbers that belong to a whole row.
const ROW_BLOCK: u32 = 0xffffffffu;

// High word of a product of two words, from products of their halves: WGSL has no 64-bit integers.
fn multiply_high(a: u32, b: u32) -> u32 {
    let a_low = a & 0xffffu;
    let a_high = a >> 16u;
    let b_low = b & 0xffffu;
    let b_high = b >> 16u;
    let low = a_low * b_low;
    // At most (2^16 - 1)^2 + 2 (2^16 - 1), which fits a word.
    let middle = a_high * b_low + (low >> 16u);
    let cross = a_low * b_high + (middle & 0xffffu);
    return a_high * b_high + (middle >> 16u) + (cross >> 16u);
}

fn philox(start: vec4<u32>, first_key: vec2<u32>) -> vec4<u32> {
    var counter = start;
    var key = first_key;
    for (var round = 0u; round < 10u; round += 1u) {
        counter = vec4<u32>(
            multiply_high(0xCD9E8D57u, counter.z) ^ counter.y ^ key.x,
            0xCD9E8D57u * counter.z,
            multiply_high(0xD2511F53u, counter.x) ^ counter.w ^ key.y,
            0xD2511F53u * counter.x,
        );
        key += vec2<u32>(0x9E3779B9u, 0xBB67AE85u);
    }
    return counter;
}

// A word as a number in [0, 1), a multiple of 2^-24.
fn unit(word: u32) -> f32 {
    return f32(word >> 8u) * (1.0 / 16777216.0);
}

// Two words as two independent standard normal numbers (Box and Muller 1958).
fn normal_pair(radius_word: u32, angle_word: u32) -> vec2<f32> {
    let radius = sqrt(-2.0 * log(1.0 - unit(radius_word)));
    let angle = 6.283185307179586 * (unit(angle_word) - 0.5);
    return radius * vec2<f32>(cos(angle), sin(angle));
}

// Four words as four independent standard normal numbers.
fn normals(words: vec4<u32>) -> vec4<f32> {
    return vec4<f32>(normal_pair(words.x, words.y), normal_pair(words.z, words.w));
}
