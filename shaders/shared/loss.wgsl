// What the losses share. With logits z, pi the order of the largest of them (the first of equal ones first):
//   margin (Carlini and Wagner 2017): z_up - z_down, for the label (largest other, label), for the target (target, largest other), and
//     towards a target (target, label)
//   difference of logits ratio (Croce and Hein 2020, "Reliable evaluation of adversarial robustness with an ensemble of diverse
//     parameter-free attacks", equations 6 and 7): the margin over z_pi1 - z_pi3, towards a target over z_pi1 - (z_pi3 + z_pi4) / 2
// The ratio needs three classes, towards a target four; with fewer it is the margin.
//
// The shader that includes it has `logits`, f32 [B, C], GROUP, and the shared files argmax and row.

const CROSS_ENTROPY: u32 = 0u;
const DIFFERENCE: u32 = 1u;
const RATIO: u32 = 2u;

// Keeps a ratio finite: the authors' code adds it, which a compiler may lose beside equal logits.
const LEAST_RANGE: f32 = 1e-12;

struct Ranking {
    first: Largest,
    second: Largest,
    third: Largest,
    fourth: Largest,
}

// The four largest logits of a row; NOWHERE where there are fewer classes. Every invocation must call it.
fn rank_logits(lane: u32, base: u32, classes: u32) -> Ranking {
    var ranking = Ranking(
        Largest(LOWEST, NOWHERE),
        Largest(LOWEST, NOWHERE),
        Largest(LOWEST, NOWHERE),
        Largest(LOWEST, NOWHERE),
    );
    ranking.first = largest_but(lane, base, classes, ranking);
    ranking.second = largest_but(lane, base, classes, ranking);
    ranking.third = largest_but(lane, base, classes, ranking);
    ranking.fourth = largest_but(lane, base, classes, ranking);
    return ranking;
}

fn largest_but(lane: u32, base: u32, classes: u32, above: Ranking) -> Largest {
    var mine = Largest(LOWEST, NOWHERE);
    for (var j = lane; j < classes; j += GROUP) {
        if j != above.first.index && j != above.second.index && j != above.third.index {
            mine = larger(mine, Largest(logits[base + j], j));
        }
    }
    return reduce_largest(lane, mine);
}

// Classes whose logits' difference, that of `up` less that of `down`, is a margin.
struct Pair {
    up: u32,
    down: u32,
}

// The pair of the score: above 0 is a success.
fn score_pair(row: Row, ranking: Ranking, classes: u32) -> Pair {
    let targeted = (row.flags & TARGETED) != 0u;
    let chosen = min(select(row.label, row.target_, targeted), classes - 1u);
    let other = select(ranking.first.index, ranking.second.index, ranking.first.index == chosen);
    return Pair(select(other, chosen, targeted), select(chosen, other, targeted));
}

// The pair of the loss.
fn loss_pair(row: Row, ranking: Ranking, classes: u32) -> Pair {
    if (row.flags & TOWARDS) != 0u {
        return Pair(min(row.target_, classes - 1u), min(row.label, classes - 1u));
    }
    return score_pair(row, ranking, classes);
}

fn loss_kind(row: Row, classes: u32) -> u32 {
    let least = select(3u, 4u, (row.flags & TOWARDS) != 0u);
    if (row.flags & MARGIN) != 0u || ((row.flags & DLR) != 0u && classes < least) {
        return DIFFERENCE;
    }
    return select(CROSS_ENTROPY, RATIO, (row.flags & DLR) != 0u);
}

// The weight of z_pi3 in the denominator of the ratio; that of z_pi4 is the rest.
fn share_of_third(row: Row) -> f32 {
    return select(1.0, 0.5, (row.flags & TOWARDS) != 0u);
}

fn ratio_range(row: Row, ranking: Ranking) -> f32 {
    let low = select(ranking.third.value, 0.5 * (ranking.third.value + ranking.fourth.value), (row.flags & TOWARDS) != 0u);
    return max(ranking.first.value - low, LEAST_RANGE);
}
