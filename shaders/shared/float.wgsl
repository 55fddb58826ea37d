// Bits of numbers. A shader may be compiled as if NaN and infinity did not happen, and may flush subnormal numbers to zero, so
// what depends on either is decided on the bits.

// Bits of the magnitude; they order as the magnitudes do.
fn magnitude_bits(value: f32) -> u32 {
    return bitcast<u32>(value) & 0x7fffffffu;
}

// Bits of infinity: a magnitude with these bits or more is not finite.
const NOT_FINITE: u32 = 0x7f800000u;

// Bits of the smallest normal number: a largest magnitude below it counts as zero.
const NORMAL: u32 = 0x00800000u;

// 1, -1 or 0, subnormal numbers included.
fn sign_of(value: f32) -> f32 {
    let bits = bitcast<u32>(value);
    let sign = select(1.0, -1.0, (bits & 0x80000000u) != 0u);
    return select(sign, 0.0, (bits & 0x7fffffffu) == 0u);
}

// A power of two that brings a normal magnitude into [1, 4), so that squares neither overflow nor vanish.
fn to_order_of_one(bits: u32) -> f32 {
    return bitcast<f32>(max(254u - min(bits >> 23u, 254u), 1u) << 23u);
}
