//! The shortest way within [0, 1] from a point to a plane (Croce and Hein 2020, "Minimally distorted adversarial examples with a fast
//! adaptive boundary attack"), as the twin of `fab_step` takes it.
//!
//! It is `d_i = s sign(w_i) min(level a_i, room_i)`, with s the side of the plane, room_i what the box leaves, a_i = 1 under linf and
//! |w_i| under l2. The level solves a concave, piecewise linear equation; Newton's method from below ends on the exact piece after a few
//! passes, each cheaper than the sort that the paper asks for. Under l1 the elements with the largest |w_i| go all their room until the
//! plane is reached; where several at that level would do, each goes the same share of its room, so that their order plays no part.
//!
//! Under l1 and l2, elements below 1e-8, w being scaled by a power of two so that the largest is at least 1, count as 0; the authors'
//! program drops those below 1e-8 unscaled, and so depends on the scale of the logits.

use super::twin::{self, NORMAL, largest_bits};
use crate::threat::Norm;

/// Under l1 and l2, smaller elements of the scaled gradient count as 0.
const TINY: f32 = 1e-8;

/// A level at which every element goes all its room.
const ALL: f32 = 1e9;

/// A gradient, to be scaled so that its largest magnitude is in [1, 4).
pub(super) struct Slope<'a> {
    gradient: &'a [f32],
    /// The power of two that scales it; 0 where it is zero or subnormal.
    pub(super) scale: f32,
    norm: Norm,
}

impl<'a> Slope<'a> {
    pub(super) fn new(gradient: &'a [f32], norm: Norm) -> Self {
        let largest = largest_bits(gradient);
        let scale = if largest < NORMAL { 0.0 } else { f32::from_bits((254 - (largest as u32 >> 23)).max(1) << 23) };
        Self { gradient, scale, norm }
    }

    /// Change of the linearised difference between two points.
    pub(super) fn change(&self, from: &[f32], to: &[f32]) -> f64 {
        let scale = f64::from(self.scale);
        let products = self.gradient.iter().zip(from).zip(to).map(|((w, from), to)| f64::from(*w) * scale * f64::from(to - from));
        products.sum()
    }

    /// Magnitude of an element, and how far it may go from `point` where the difference has to change by a number of the sign `side`.
    fn weight_and_room(&self, w: f32, point: f32, side: f32) -> (f32, f32) {
        let weight = (w * self.scale).abs();
        let weight = if self.norm != Norm::Linf && weight < TINY { 0.0 } else { weight };
        let room = if w * side > 0.0 { 1.0 - point } else { point };
        (weight, if room > 0.0 { room } else { 0.0 })
    }

    /// The shortest way within [0, 1] along which the difference changes by `wanted`, or by as much of it as the box allows, and its
    /// length.
    pub(super) fn way(&self, point: &[f32], wanted: f64) -> (Vec<f32>, f32) {
        let side = if wanted < 0.0 { -1.0 } else { 1.0 };
        let (level, share) = self.level(point, wanted.abs(), side);
        let moved = |(w, point): (&f32, &f32)| {
            let (weight, room) = self.weight_and_room(*w, *point, side);
            let size = match self.norm {
                Norm::Linf => level.min(room),
                Norm::L2 => (level * weight).min(room),
                _ if weight > level => room,
                _ if weight == level => share * room,
                _ => 0.0,
            };
            let sign = if *w > 0.0 { side } else { -side };
            if *w == 0.0 || (weight == 0.0 && self.norm != Norm::Linf) { 0.0 } else { sign * size }
        };
        let way: Vec<f32> = self.gradient.iter().zip(point).map(moved).collect();
        let length = match self.norm {
            Norm::Linf => way.iter().fold(0.0, |largest, value| value.abs().max(largest)),
            Norm::L2 => twin::sum(&way, |value| value * value).sqrt() as f32,
            _ => twin::sum(&way, f64::abs) as f32,
        };
        (way, length.max(1e-8))
    }

    /// The level that a way has to reach so that the difference changes by `missing`, and the share that elements at it go under l1.
    fn level(&self, point: &[f32], missing: f64, side: f32) -> (f32, f32) {
        let (most, _) = self.sums(point, side, |weight, room| (weight * room, 0.0));
        let too_much = missing >= most;
        match self.norm {
            Norm::L1 if missing <= 0.0 => (ALL, 1.0),
            Norm::L1 if too_much => (0.0, 1.0),
            Norm::L1 => self.largest_first(point, missing, side),
            _ if missing <= 0.0 => (0.0, 1.0),
            _ if too_much => (ALL, 1.0),
            _ => (self.newton(point, missing, side), 1.0),
        }
    }

    /// The level under linf and l2, which grows from pass to pass until the pieces that it lies on no longer change.
    fn newton(&self, point: &[f32], missing: f64, side: f32) -> f32 {
        let mut level = 0.0;
        loop {
            // What the elements that have gone all their room contribute, and the slope of the others.
            let (gone, slope) = self.sums(point, side, |weight, room| {
                let rate = if self.norm == Norm::L2 { weight } else { 1.0 };
                if level * rate >= room { (weight * room, 0.0) } else { (0.0, weight * rate) }
            });
            let next = ((missing - gone) / slope.max(1e-30)) as f32;
            if slope <= 0.0 || next <= level {
                return level;
            }
            level = next;
        }
    }

    /// The smallest weight that moves under l1, and its share, by repeated halving around the median weight.
    fn largest_first(&self, point: &[f32], mut missing: f64, side: f32) -> (f32, f32) {
        let elements = self.gradient.iter().zip(point).map(|(w, point)| self.weight_and_room(*w, *point, side));
        let mut elements: Vec<(f32, f32)> = elements.filter(|(weight, room)| *weight > 0.0 && *room > 0.0).collect();
        let mut left = elements.as_mut_slice();
        loop {
            let gain = |elements: &[(f32, f32)]| elements.iter().map(|(weight, room)| f64::from(weight * room)).sum::<f64>();
            let Some(&(pivot, _)) = left.get(left.len() / 2) else { return (0.0, 1.0) };
            let pivot = if left.len() > 2 { left.select_nth_unstable_by(left.len() / 2, |a, b| b.0.total_cmp(&a.0)).1.0 } else { pivot };
            let above = partition(left, |(weight, _)| *weight > pivot);
            let here = above + partition(&mut left[above..], |(weight, _)| *weight == pivot);
            let before = gain(&left[..above]);
            let with = before + gain(&left[above..here]);
            if missing <= before {
                left = &mut left[..above];
            } else if missing <= with {
                return (pivot, ((missing - before) / (with - before)) as f32);
            } else {
                missing -= with;
                left = &mut left[here..];
            }
        }
    }

    /// Two sums over the elements, of numbers made from weight and room: in single precision over a few elements at a time, so that it
    /// runs in vector registers, and in double precision over all.
    fn sums(&self, point: &[f32], side: f32, terms: impl Fn(f32, f32) -> (f32, f32)) -> (f64, f64) {
        const LANES: usize = 8;
        const SPAN: usize = 16 * LANES;
        let of = |(w, point): (&f32, &f32)| {
            let (weight, room) = self.weight_and_room(*w, *point, side);
            terms(weight, room)
        };
        let mut totals = (0.0, 0.0);
        for (w, point) in self.gradient.chunks(SPAN).zip(point.chunks(SPAN)) {
            let (mut first, mut second) = ([0.0f32; LANES], [0.0f32; LANES]);
            let (w, point) = (w.chunks_exact(LANES), point.chunks_exact(LANES));
            for (lane, rest) in w.remainder().iter().zip(point.remainder()).enumerate() {
                (first[lane], second[lane]) = of(rest);
            }
            for (w, point) in w.zip(point) {
                for lane in 0..LANES {
                    let (a, b) = of((&w[lane], &point[lane]));
                    first[lane] += a;
                    second[lane] += b;
                }
            }
            totals.0 += f64::from(first.iter().sum::<f32>());
            totals.1 += f64::from(second.iter().sum::<f32>());
        }
        totals
    }
}

/// Moves the elements that `belongs` to the front; gives their number.
fn partition(elements: &mut [(f32, f32)], belongs: impl Fn(&(f32, f32)) -> bool) -> usize {
    let mut front = 0;
    for at in 0..elements.len() {
        if belongs(&elements[at]) {
            elements.swap(front, at);
            front += 1;
        }
    }
    front
}
