//! The schedule, the patterns and the proposals under l2 and l1 against plain computations of what AutoAttack's authors describe.

use gauntlet::kernel::random::{ROW_BLOCK, philox};
use gauntlet::kernel::row::State;
use gauntlet::kernel::square::{STAGES, Schedule};
use gauntlet::threat::Norm;

use super::{FEATURES, SHAPE, pixels, points, row, running, schedule, start};

promises! {
    window_sides_are_the_originals,
    stages_begin_where_the_original_halves_p,
    patterns_are_the_sums_of_growing_rectangles,
    starts_under_l2_and_l1_are_tiled_with_patterns,
    proposals_under_l2_and_l1_move_the_budget_of_one_window_to_another,
}

fn window_sides_are_the_originals() {
    let sides = |norm, p, size| Schedule::new(norm, 5000, p, false, size).sides[..STAGES].to_vec();
    assert_eq!(sides(Norm::Linf, 0.8, [28, 28]), [25, 18, 13, 9, 6, 4, 3, 2, 2, 1]);
    assert_eq!(sides(Norm::Linf, 0.8, [32, 32]), [29, 20, 14, 10, 7, 5, 4, 3, 2, 1]);
    assert_eq!(sides(Norm::Linf, 0.05, [8, 8]), [2, 1, 1, 1, 1, 1, 1, 1, 1, 1]);
    for norm in [Norm::L2, Norm::L1] {
        assert_eq!(sides(norm, 0.8, [28, 28]), [25, 19, 13, 9, 7, 5, 3, 3, 3, 3]);
    }
    // Never beyond the shorter side.
    assert_eq!(sides(Norm::Linf, 1.0, [4, 100]), [4, 4, 4, 4, 4, 4, 2, 2, 1, 1]);
    assert_eq!(sides(Norm::L2, 1.0, [2, 2]), [2; STAGES]);
}

fn stages_begin_where_the_original_halves_p() {
    for queries in [1, 37, 1000, 5000, 10_000, 33_333] {
        let plain = Schedule::new(Norm::Linf, queries, 0.8, false, [28, 28]);
        let rescaled = Schedule::new(Norm::Linf, queries, 0.8, true, [28, 28]);
        for proposal in 0..12_000u64 {
            let stage = |at: u64| [10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000].iter().filter(|&&last| at > last).count();
            assert_eq!(plain.stage(proposal as u32), stage(proposal), "{queries}, {proposal}");
            assert_eq!(rescaled.stage(proposal as u32), stage(proposal * 10_000 / u64::from(queries)), "{queries}, {proposal}");
        }
    }
}

/// A rectangle of `lines` times `columns`, to which ever larger squares around its middle add 1 / n^2, or 1 / n^4; of norm 1.
fn rectangle(lines: usize, columns: usize, manhattan: bool) -> Vec<Vec<f64>> {
    let mut values = vec![vec![0.0; columns]; lines];
    for n in 1..=(lines / 2 + 1).max(columns / 2 + 1) {
        let inside = |place: usize, size: usize| place + n > size / 2 && place < size / 2 + n;
        for (line, values) in values.iter_mut().enumerate() {
            for (column, value) in values.iter_mut().enumerate() {
                if inside(line, lines) && inside(column, columns) {
                    *value += (n as f64).powi(if manhattan { -4 } else { -2 });
                }
            }
        }
    }
    normalised(values, manhattan)
}

fn normalised(mut values: Vec<Vec<f64>>, manhattan: bool) -> Vec<Vec<f64>> {
    let all = values.iter().flatten();
    let norm: f64 = if manhattan { all.map(|value| value.abs()).sum() } else { all.map(|value| value * value).sum::<f64>().sqrt() };
    values.iter_mut().flatten().for_each(|value| *value /= norm);
    values
}

fn pattern(side: usize, manhattan: bool) -> Vec<Vec<f64>> {
    let mut values = rectangle(side / 2, side, manhattan);
    let lower = rectangle(side - side / 2, side, manhattan);
    values.extend(lower.into_iter().map(|line| line.into_iter().map(|value| -value).collect()));
    normalised(values, manhattan)
}

fn patterns_are_the_sums_of_growing_rectangles() {
    for norm in [Norm::L2, Norm::L1] {
        for side in 1..=31 {
            let schedule = Schedule::new(norm, 5000, 1.0, false, [side, side]);
            assert_eq!(schedule.sides[0] as usize, side);
            let want = pattern(side, norm == Norm::L1);
            for (line, values) in want.iter().enumerate() {
                for (column, value) in values.iter().enumerate() {
                    let got = schedule.pattern(0, line, column, false);
                    assert!((f64::from(got) - value).abs() < 1e-6, "{} of {side} at {line}, {column}", norm.name());
                    assert_eq!(schedule.pattern(0, column, line, true), got);
                }
            }
        }
    }
}

struct Drawn {
    corners: [[usize; 2]; 2],
    transposed: bool,
}

fn bit(example: u32, step: u32, index: usize) -> bool {
    philox([index as u32 / 128, step, 0, example], [3, 5])[index / 32 % 4] >> (index % 32) & 1 == 1
}

fn sign(example: u32, step: u32, index: usize) -> f64 {
    if bit(example, step, index) { 1.0 } else { -1.0 }
}

fn drawn(example: u32, step: u32, side: usize) -> Drawn {
    let words = philox([ROW_BLOCK, step, 0, example], [3, 5]);
    let below = |word: u32, bound: usize| (f64::from(word) / 4_294_967_296.0 * bound as f64) as usize;
    let corner = |at: usize| [below(words[at], SHAPE[1] - side + 1), below(words[at + 1], SHAPE[2] - side + 1)];
    Drawn { corners: [corner(0), corner(2)], transposed: philox([ROW_BLOCK - 1, step, 0, example], [3, 5])[0] >> 31 == 1 }
}

fn at(channel: usize, line: usize, column: usize) -> usize {
    (channel * SHAPE[1] + line) * SHAPE[2] + column
}

fn length(values: impl Iterator<Item = f64>, manhattan: bool) -> f64 {
    if manhattan { values.map(f64::abs).sum() } else { values.map(|value| value * value).sum::<f64>().sqrt() }
}

fn starts_under_l2_and_l1_are_tiled_with_patterns() {
    let origin = pixels(FEATURES);
    for norm in [Norm::L2, Norm::L1] {
        let manhattan = norm == Norm::L1;
        for example in 0..20 {
            // Tiles of 12 / 5 pixels, from (12 - 5 * 2) / 2 on: six down, the last past the end, and five across, the last cut.
            let eta = pattern(2, manhattan);
            let mut delta = [0.0; FEATURES];
            for tile in 0..6 * 5 {
                for place in 0..4 {
                    let (line, column) = (1 + tile / 5 * 2 + place / 2, 1 + tile % 5 * 2 + place % 2);
                    let transposed = bit(example, 0, 60 + tile);
                    let value = if transposed { eta[place % 2][place / 2] } else { eta[place / 2][place % 2] };
                    for channel in 0..SHAPE[0] {
                        if line < SHAPE[1] && column < SHAPE[2] {
                            delta[at(channel, line, column)] = sign(example, 0, channel * 30 + tile) * value;
                        }
                    }
                }
            }
            let factor = if manhattan { 1.0 } else { 0.7 / length(delta.into_iter(), false) };
            for (index, x) in start(norm, &origin, row(example, 0.7)).into_iter().enumerate() {
                let want = f64::from(origin[index]) + factor * delta[index];
                let want = if manhattan { want } else { want.clamp(0.0, 1.0) };
                assert!((f64::from(x) - want).abs() < 1e-6, "{} {example}, element {index}: {x}, not {want}", norm.name());
            }
        }
    }
}

fn proposals_under_l2_and_l1_move_the_budget_of_one_window_to_another() {
    let origin = pixels(FEATURES);
    for (norm, epsilon) in [(Norm::L2, 0.9), (Norm::L1, 9.0)] {
        for example in 0..40 {
            for step in [1, 12, 52, 202, 1500] {
                let row = row(example, epsilon);
                let best = points(norm, &start(norm, &origin, row), &origin, &[row], &[running(3)]);
                let want = moved(norm, &best, &origin, epsilon.into(), example, step);
                let got = points(norm, &best, &origin, &[row], &[State { ..running(step) }]);
                for (index, (got, want)) in got.iter().zip(&want).enumerate() {
                    assert!((f64::from(*got) - want).abs() < 2e-5, "{} {example}, {step}, element {index}: {got}, not {want}", norm.name());
                }
            }
        }
    }
}

/// A proposal, step by step as AutoAttack's code takes it, but for the draws.
fn moved(norm: Norm, best: &[f32], origin: &[f32], epsilon: f64, example: u32, step: u32) -> Vec<f64> {
    let manhattan = norm == Norm::L1;
    let schedule = schedule(norm);
    let side = schedule.sides[schedule.stage(step - 1)] as usize;
    let Drawn { corners: [first, second], transposed } = drawn(example, step, side);
    let eta = pattern(side, manhattan);
    let mut delta: Vec<f64> = best.iter().zip(origin).map(|(best, origin)| f64::from(*best) - f64::from(*origin)).collect();
    let old = delta.clone();
    let image = length(old.iter().copied(), manhattan);
    let inside = |corner: [usize; 2], line: usize, column: usize| {
        (corner[0]..corner[0] + side).contains(&line) && (corner[1]..corner[1] + side).contains(&column)
    };
    for channel in 0..SHAPE[0] {
        let places = || (0..SHAPE[1] * SHAPE[2]).map(|place| (place / SHAPE[2], place % SHAPE[2]));
        let in_first = || places().filter(|&(line, column)| inside(first, line, column));
        let in_both = places().filter(|&(line, column)| inside(first, line, column) || inside(second, line, column));
        let value = |(line, column): (usize, usize)| old[at(channel, line, column)];
        let norm_first = length(in_first().map(value), manhattan);
        let norm_both = length(in_both.map(value), manhattan);
        let fresh: Vec<f64> = in_first()
            .map(|(line, column)| {
                let (i, j) = (line - first[0], column - first[1]);
                let eta = if transposed { eta[j][i] } else { eta[i][j] };
                sign(example, step, channel) * eta + value((line, column)) / (1e-12 + norm_first)
            })
            .collect();
        let channels = SHAPE[0] as f64;
        let mass = if manhattan {
            ((epsilon - image).max(0.0) / channels + norm_both) * channels
        } else {
            ((epsilon * epsilon - image * image).max(0.0) / channels + norm_both * norm_both).sqrt()
        };
        let total = 1e-12 + length(fresh.iter().copied(), manhattan);
        places().filter(|&(line, column)| inside(second, line, column)).for_each(|(line, column)| delta[at(channel, line, column)] = 0.0);
        in_first().zip(&fresh).for_each(|((line, column), fresh)| delta[at(channel, line, column)] = fresh / total * mass);
    }
    let scale = if manhattan { 1.0 } else { epsilon / length(delta.iter().copied(), false) };
    let point = |(delta, origin): (&f64, &f32)| f64::from(*origin) + scale * delta;
    delta.iter().zip(origin).map(point).map(|point| if manhattan { point } else { point.clamp(0.0, 1.0) }).collect()
}
