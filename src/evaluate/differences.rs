//! Which of many defences differ: every pair is tested on the same examples, and letters tell the groups.

use super::paired::{Counts, holm, mcnemar};

/// Pairs whose adjusted p value is below this differ.
pub const LEVEL: f64 = 0.05;

/// The p value of "these two recipes keep the same share", from what each of their weights keeps of the same examples.
///
/// Between weights it is McNemar's exact test. A recipe with several training seeds differs from another only where all of its weights differ
/// from all of the other's in the same direction, so that the largest p value counts (an intersection-union test: Berger, "Multiparameter
/// hypothesis testing and acceptance sampling", Technometrics 24, 1982); 1 where the directions disagree.
pub fn pair(a: &[&[bool]], b: &[&[bool]]) -> f64 {
    let mut largest: f64 = 0.0;
    let (mut better, mut worse) = (false, false);
    for a in a {
        for b in b {
            let counts = Counts::of(a.iter().copied().zip(b.iter().copied()));
            better |= counts.only_a > counts.only_b;
            worse |= counts.only_b > counts.only_a;
            largest = largest.max(mcnemar(&counts));
        }
    }
    if better && worse || a.is_empty() || b.is_empty() { 1.0 } else { largest }
}

/// The letters of recipes by what each of their weights keeps of the same examples: those without a common letter differ at [`LEVEL`], by
/// [`pair`] with Holm's correction over all pairs. "a" is the group of the one that keeps most.
pub fn groups(recipes: &[Vec<&[bool]>]) -> Vec<String> {
    let pairs: Vec<(usize, usize)> = (0..recipes.len()).flat_map(|a| (a + 1..recipes.len()).map(move |b| (a, b))).collect();
    let values: Vec<f64> = pairs.iter().map(|&(a, b)| pair(&recipes[a], &recipes[b])).collect();
    let differ: Vec<(usize, usize)> =
        pairs.into_iter().zip(holm(&values)).filter(|(_, value)| *value < LEVEL).map(|(pair, _)| pair).collect();
    let kept = |weights: &Vec<&[bool]>| {
        let all: usize = weights.iter().map(|robust| robust.iter().filter(|&&robust| robust).count()).sum();
        all as f64 / weights.len().max(1) as f64
    };
    let mut order: Vec<usize> = (0..recipes.len()).collect();
    order.sort_by(|&a, &b| kept(&recipes[b]).total_cmp(&kept(&recipes[a])));
    letters(&order, &differ)
}

/// Letters by which any two of `order`, places from the best to the worst, share one exactly where they are not among the pairs that `differ`
/// (insert and absorb: Piepho, "An algorithm for a letter-based representation of all-pairwise comparisons", Journal of Computational and
/// Graphical Statistics 13, 2004). Groups that the others make needless are dropped as they arise, which keeps their number below that of pairs.
/// The result is by place.
pub fn letters(order: &[usize], differ: &[(usize, usize)]) -> Vec<String> {
    let mut groups: Vec<Vec<usize>> = if order.is_empty() { Vec::new() } else { vec![order.to_vec()] };
    for &(a, b) in differ {
        let (split, mut kept): (Vec<_>, Vec<_>) = groups.into_iter().partition(|group| group.contains(&a) && group.contains(&b));
        for group in split {
            for gone in [a, b] {
                kept.push(group.iter().copied().filter(|&place| place != gone).collect());
            }
        }
        groups = without_needless(kept);
    }
    let rank = |place: &usize| order.iter().position(|other| other == place);
    groups.sort_by_key(|group| group.iter().map(rank).collect::<Vec<_>>());
    let mut letters = vec![String::new(); order.iter().max().map_or(0, |last| last + 1)];
    for (number, group) in groups.iter().enumerate() {
        group.iter().for_each(|&place| letters[place].push(letter(number)));
    }
    letters
}

/// The groups without those whose every member and pair another has.
fn without_needless(mut groups: Vec<Vec<usize>>) -> Vec<Vec<usize>> {
    // The smallest go first.
    groups.sort_by_key(|group| std::cmp::Reverse(group.len()));
    for at in (0..groups.len()).rev() {
        let elsewhere =
            |a: usize, b: usize| groups.iter().enumerate().any(|(other, group)| other != at && group.contains(&a) && group.contains(&b));
        if groups[at].iter().all(|&a| groups[at].iter().all(|&b| elsewhere(a, b))) {
            groups.remove(at);
        }
    }
    groups
}

/// a to z, then A to Z, then what follows ASCII's and Latin-1's letters in Unicode.
fn letter(number: usize) -> char {
    match u8::try_from(number) {
        Ok(number) if number < 26 => char::from(b'a' + number),
        Ok(number) if number < 52 => char::from(b'A' + number - 26),
        _ => u32::try_from(0x100 + number - 52).ok().and_then(char::from_u32).unwrap_or('*'),
    }
}
