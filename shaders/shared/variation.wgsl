// Total variation minimisation, forwards and back: parameters, the step 1 / sqrt 8, and which values are kept, those where u < keep;
// counter of u: (element / 4, step, attempt, example), word = element % 4 (Philox). draws: i32 [B, 5]: key, example, attempt, step.

const STEP: f32 = 0.3535534;

struct Parameters {
    rows: u32,
    channels: u32,
    height: u32,
    width: u32,
    iterations: u32,
    weight: f32,
    keep: f32,
}

fn word(slot: u32, at: u32) -> u32 {
    return bitcast<u32>(draws[slot * 5u + at]);
}

fn is_kept(slot: u32, element: u32) -> bool {
    let key = vec2<u32>(word(slot, 0u), word(slot, 1u));
    let words = philox(vec4<u32>(element / 4u, word(slot, 4u), word(slot, 3u), word(slot, 2u)), key);
    return unit(words[element % 4u]) < parameters.keep;
}
