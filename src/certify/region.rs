//! The points that a certificate speaks of: a ball around an image, cut off at 0 and 1.

use super::rounding::{Lower, OUTWARD, gamma64};
use crate::threat::Norm;

/// Halvings when the multiplier of a Euclidean ball is looked for.
const HALVINGS: usize = 60;

/// A ball of a norm around an image, within [0, 1].
#[derive(Clone, Debug)]
pub struct Region {
    norm: Norm,
    radius: f64,
    image: Vec<f64>,
    /// The smallest box around it.
    pub(super) low: Vec<f64>,
    pub(super) high: Vec<f64>,
}

impl Region {
    /// The ball of that norm and radius (input units; a number of elements under l0) around an image with elements in [0, 1].
    pub fn new(image: &[f32], norm: Norm, radius: f64) -> Self {
        let image: Vec<f64> = image.iter().map(|&value| f64::from(value)).collect();
        let reach = match norm {
            Norm::L0 if radius < 1.0 => 0.0,
            Norm::L0 => f64::INFINITY,
            _ => radius,
        };
        let low = image.iter().map(|value| (value - reach).next_down().max(0.0).min(*value)).collect();
        let high = image.iter().map(|value| (value + reach).next_up().min(1.0).max(*value)).collect();
        Self { norm, radius, image, low, high }
    }

    /// A lower bound of a x over the region: but for rounding, the least value itself.
    pub(super) fn lowest(&self, a: &[f64]) -> f64 {
        let (at_image, change) = (self.at_image(a), self.change(a));
        let mut lower = Lower::default();
        let size: f64 = a.iter().zip(&self.low).zip(&self.high).map(|((a, low), high)| a.abs() * low.abs().max(high.abs())).sum();
        lower.add(at_image + change, gamma64(a.len() + 8) * 4.0 * size);
        lower.bound()
    }

    fn at_image(&self, a: &[f64]) -> f64 {
        a.iter().zip(&self.image).map(|(a, x)| a * x).sum()
    }

    /// The largest fall that element `at` alone can give, as a positive number, and how far the element moves for it.
    fn room(&self, at: usize, a: f64) -> f64 {
        if a > 0.0 { self.image[at] - self.low[at] } else { self.high[at] - self.image[at] }
    }

    /// The least change of a x, 0 or below.
    fn change(&self, a: &[f64]) -> f64 {
        let falls = || a.iter().enumerate().map(|(at, &a)| (a.abs(), self.room(at, a)));
        match self.norm {
            Norm::Linf => -falls().map(|(a, room)| a * room).sum::<f64>(),
            Norm::L1 => {
                // The steepest elements first, each as far as its room.
                let mut falls: Vec<(f64, f64)> = falls().collect();
                falls.sort_by(|(a, _), (b, _)| b.total_cmp(a));
                let mut left = self.radius * OUTWARD;
                let mut change = 0.0;
                for (a, room) in falls {
                    let step = room.min(left);
                    change -= a * step;
                    left -= step;
                    if left <= 0.0 {
                        break;
                    }
                }
                change
            }
            Norm::L0 => {
                let mut falls: Vec<f64> = falls().map(|(a, room)| a * room).collect();
                falls.sort_by(|a, b| b.total_cmp(a));
                -falls.iter().take(self.radius as usize).sum::<f64>()
            }
            Norm::L2 => self.euclidean(&falls().collect::<Vec<_>>()),
        }
    }

    /// The least change in a Euclidean ball by its dual: for every multiplier m > 0 the change is at least
    /// `sum of min over 0 <= s <= room of (m s^2 / 2 - a s)` less `m radius^2 / 2`, and for the best one it is as much.
    fn euclidean(&self, falls: &[(f64, f64)]) -> f64 {
        let radius = self.radius * OUTWARD;
        let whole: f64 = falls.iter().map(|(a, room)| a * room).sum();
        let step = |a: f64, room: f64, m: f64| (a / m).min(room);
        let length = |m: f64| falls.iter().map(|(a, room)| step(*a, *room, m).powi(2)).sum::<f64>();
        let steepest = falls.iter().map(|(a, _)| a * a).sum::<f64>().sqrt();
        if steepest == 0.0 || radius == 0.0 {
            return -0.0;
        }
        // Without any box the steps are a / m with m = |a| / radius; a box only shortens them, and asks for a smaller m.
        let (mut least, mut most) = (0.0, steepest / radius);
        for _ in 0..HALVINGS {
            let middle = 0.5 * (least + most);
            if middle > 0.0 && length(middle) <= radius * radius { most = middle } else { least = middle }
        }
        let dual: f64 = falls.iter().map(|(a, room)| (step(*a, *room, most), a)).map(|(s, a)| 0.5 * most * s * s - a * s).sum();
        let dual = dual - 0.5 * most * radius * radius;
        // The whole box is a bound too, and the better one where the ball holds it.
        dual.max(-whole)
    }
}
