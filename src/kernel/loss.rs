//! The losses of logits z and their gradients, for the twins; y is the label, t the target.
//!
//! - Margin (Carlini and Wagner 2017): `z_up - z_down`; for the label (largest other, y), for the target (t, largest other), towards a
//!   target (t, y).
//! - Difference of logits ratio (Croce and Hein 2020, "Reliable evaluation of adversarial robustness with an ensemble of diverse
//!   parameter-free attacks", equations 6 and 7): the margin over `z_pi1 - z_pi3`, towards a target over `z_pi1 - (z_pi3 + z_pi4) / 2`,
//!   pi being the order of the logits, the largest first and the first of equal ones first. It needs three classes, towards a target
//!   four; with fewer it is the margin.
//! - Cross-entropy of y, or minus that of t.

use super::row::{DLR, MARGIN, Row, TARGETED, TOWARDS};
use super::twin::argmax;

/// Keeps a ratio finite: the authors' code adds it, which a compiler may lose beside equal logits.
const LEAST_RANGE: f32 = 1e-12;

/// Classes whose logits' difference is a margin.
#[derive(Clone, Copy)]
pub(super) struct Pair {
    pub up: usize,
    pub down: usize,
}

/// The pair of the score: above 0 is a success.
pub(super) fn score_pair(row: &Row, z: &[f32]) -> Pair {
    let targeted = row.flags & TARGETED != 0;
    let class = class(if targeted { row.target } else { row.label }, z);
    let other = argmax(z, Some(class));
    if targeted { Pair { up: class, down: other } } else { Pair { up: other, down: class } }
}

fn loss_pair(row: &Row, z: &[f32]) -> Pair {
    if row.flags & TOWARDS != 0 { Pair { up: class(row.target, z), down: class(row.label, z) } } else { score_pair(row, z) }
}

/// A class past the last one counts as the last.
fn class(class: u32, z: &[f32]) -> usize {
    (class as usize).min(z.len() - 1)
}

enum Kind {
    CrossEntropy,
    Margin,
    Ratio,
}

fn kind(row: &Row, z: &[f32]) -> Kind {
    let least = if row.flags & TOWARDS != 0 { 4 } else { 3 };
    match (row.flags & MARGIN != 0, row.flags & DLR != 0) {
        (false, false) => Kind::CrossEntropy,
        (false, true) if z.len() >= least => Kind::Ratio,
        _ => Kind::Margin,
    }
}

/// The loss that the row's attack ascends.
pub(super) fn value(row: &Row, z: &[f32]) -> f32 {
    let pair = loss_pair(row, z);
    match kind(row, z) {
        Kind::Margin => z[pair.up] - z[pair.down],
        Kind::Ratio => (z[pair.up] - z[pair.down]) / Range::of(row, z).value(z),
        Kind::CrossEntropy => {
            let (class, sign) = entropy_of(row, z);
            let largest = z[argmax(z, None)];
            let total: f32 = z.iter().map(|z| (z - largest).exp()).sum();
            sign * (total.ln() + (largest - z[class]))
        }
    }
}

/// Puts the gradient of [`value`] in place of the logits.
pub(super) fn gradient(row: &Row, z: &mut [f32]) {
    let pair = loss_pair(row, z);
    match kind(row, z) {
        Kind::Margin => {
            z.fill(0.0);
            z[pair.up] += 1.0;
            z[pair.down] -= 1.0;
        }
        Kind::Ratio => {
            let order = Range::of(row, z);
            let range = order.value(z);
            let ratio = (z[pair.up] - z[pair.down]) / range;
            z.fill(0.0);
            z[pair.up] += 1.0;
            z[pair.down] -= 1.0;
            z[order.first] -= ratio;
            for class in [order.third, order.fourth.unwrap_or(order.third)] {
                z[class] += 0.5 * ratio;
            }
            z.iter_mut().for_each(|z| *z /= range);
        }
        Kind::CrossEntropy => {
            let (class, sign) = entropy_of(row, z);
            softmax(z);
            z[class] -= 1.0;
            z.iter_mut().for_each(|z| *z *= sign);
        }
    }
}

/// Away from the label, or towards the target, the same with the sign turned.
fn entropy_of(row: &Row, z: &[f32]) -> (usize, f32) {
    if row.flags & (TARGETED | TOWARDS) != 0 { (class(row.target, z), -1.0) } else { (class(row.label, z), 1.0) }
}

/// Classes whose logits make the denominator of the ratio.
struct Range {
    first: usize,
    third: usize,
    fourth: Option<usize>,
}

impl Range {
    fn of(row: &Row, z: &[f32]) -> Self {
        let [first, _, third, fourth] = largest(z);
        Self { first, third, fourth: (row.flags & TOWARDS != 0).then_some(fourth) }
    }

    fn value(&self, z: &[f32]) -> f32 {
        let low = self.fourth.map_or(z[self.third], |fourth| 0.5 * (z[self.third] + z[fourth]));
        (z[self.first] - low).max(LEAST_RANGE)
    }
}

/// Indices of the N largest logits in order, as far as there are so many; 0 beyond.
fn largest<const N: usize>(z: &[f32]) -> [usize; N] {
    let mut order = [0; N];
    for class in 0..z.len() {
        let mut place = class.min(N);
        while place > 0 && z[class] > z[order[place - 1]] {
            if place < N {
                order[place] = order[place - 1];
            }
            place -= 1;
        }
        if place < N {
            order[place] = class;
        }
    }
    order
}

fn softmax(z: &mut [f32]) {
    let largest = z[argmax(z, None)];
    let mut total = 0.0;
    for z in z.iter_mut() {
        *z = (*z - largest).exp();
        total += *z;
    }
    z.iter_mut().for_each(|z| *z /= total);
}
