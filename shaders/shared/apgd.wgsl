// Notes of an APGD row: NOTES words a slot, in the order of `Notes` in src/kernel/apgd.rs, which says what they mean.

const NOTES: u32 = 16u;

const KEEP: u32 = 1u;
const JUMP: u32 = 2u;
const MOVE: u32 = 4u;
const FIRST: u32 = 8u;
const SHRINK: u32 = 16u;

// Places of the words that more than one shader reads.
const ACTIONS: u32 = 0u;
const STAGE: u32 = 1u;
const REDUCTIONS: u32 = 6u;
const ACTIVE: u32 = 8u;
const NONZEROS: u32 = 9u;

// 2^-count.
fn halvings(count: u32) -> f32 {
    return bitcast<f32>((127u - min(count, 100u)) << 23u);
}
