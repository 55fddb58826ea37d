//! Boxes forwards through a network, step by step (interval bound propagation; Gowal et al., "On the Effectiveness of Interval Bound
//! Propagation for Training Verifiably Robust Models", 2018, section 3), and coefficients backwards.
//!
//! A layer W x + b maps a box around `middle` with `radius` into the one around W middle + b with |W| radius; slacks for rounding are
//! added as [`super::rounding`] states. A linear bound goes the other way: a lower bound of a x at a value becomes one at the value
//! before, by W^T through affine layers and by the lines of [`super::relax`] through the others, and what rounding may have changed
//! is subtracted. With e the slack of a layer's result, whose exact inputs are x: a (W x + b + e) >= (a W) x + a b - |a| e.

use super::net::{Kind, Net, Step};
use super::region::Region;
use super::relax::{self, Line};
use super::rounding::{Arithmetic, Lower, OUTWARD, gamma64};
use crate::graph::Unary;

/// What is known of each value over a region.
pub(super) struct Bounds<'a> {
    net: &'a Net,
    region: &'a Region,
    arithmetic: Arithmetic,
    /// By value: the box that it lies in, and the largest size of each element.
    boxes: Vec<Interval>,
    sizes: Vec<Vec<f64>>,
    /// By step: what a bound through it needs.
    passages: Vec<Passage>,
}

#[derive(Clone, Debug)]
pub(super) struct Interval {
    pub(super) low: Vec<f64>,
    pub(super) high: Vec<f64>,
}

/// What a linear bound meets on its way back through a step.
enum Passage {
    /// By how much each element of the result may be off, for a coefficient of 1.
    Linear(Vec<f64>),
    /// Lines below and above each element.
    Lines(Vec<[Line; 2]>),
    /// Of each window the element with the largest lower bound, and the least upper bound of the result unless that element surely is
    /// the largest.
    Largest(Vec<(usize, Option<f64>)>),
}

/// Where a linear bound ends.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// At the image.
    Image,
    /// At the first value that comes from anything but one affine layer or a rearrangement: on its box.
    Box,
}

impl Interval {
    fn size(&self) -> Vec<f64> {
        self.low.iter().zip(&self.high).map(|(low, high)| low.abs().max(high.abs())).collect()
    }
}

impl<'a> Bounds<'a> {
    /// Nothing is known but the region.
    pub(super) fn new(net: &'a Net, region: &'a Region, arithmetic: Arithmetic) -> Self {
        let image = Interval { low: region.low.clone(), high: region.high.clone() };
        let sizes = vec![image.size()];
        Self { net, region, arithmetic, boxes: vec![image], sizes, passages: Vec::new() }
    }

    /// Through the whole network; `tighten` mends a value's box before anything reads it. False where a number overflowed, so that there
    /// are no bounds.
    pub(super) fn propagate(&mut self, tighten: impl Fn(&Self, usize, &mut Interval)) -> bool {
        for step in &self.net.steps {
            let (mut found, passage) = self.pass(step);
            if !found.low.iter().chain(&found.high).all(|bound| bound.is_finite()) {
                return false;
            }
            self.passages.push(passage);
            tighten(self, self.boxes.len(), &mut found);
            self.sizes.push(found.size());
            self.boxes.push(found);
        }
        true
    }

    fn pass(&self, step: &Step) -> (Interval, Passage) {
        let inputs: Vec<&Interval> = step.inputs.iter().map(|&value| &self.boxes[value]).collect();
        let x = inputs[0];
        match &step.kind {
            Kind::Affine(affine) => {
                let middle: Vec<f64> = x.low.iter().zip(&x.high).map(|(low, high)| 0.5 * (low + high)).collect();
                let reach = |((low, high), middle): ((&f64, &f64), &f64)| (high - middle).max(middle - low).next_up();
                let radius: Vec<f64> = x.low.iter().zip(&x.high).zip(&middle).map(reach).collect();
                let products = affine.forwards(&middle, &radius, &self.sizes[step.inputs[0]]);
                let own = gamma64(affine.terms() + affine.sizes()[1] + 16);
                let off = self.arithmetic.gamma(affine.terms() + 6) + own;
                let smallest = self.arithmetic.smallest(affine.terms() + 6);
                let slack: Vec<f64> = products.size.iter().map(|size| (off * size + smallest) * OUTWARD).collect();
                let reach = products.radius.iter().zip(&slack).map(|(radius, slack)| (radius * (1.0 + own) + slack) * (1.0 + own));
                let (low, high) =
                    products.middle.iter().zip(reach).map(|(y, reach)| ((y - reach).next_down(), (y + reach).next_up())).unzip();
                (Interval { low, high }, Passage::Linear(slack))
            }
            Kind::Sum { subtract } => {
                let (y, off) = (inputs[1], self.arithmetic.gamma(2) + gamma64(4));
                let (mut low, mut high, mut slack) = (Vec::new(), Vec::new(), Vec::new());
                for at in 0..x.low.len() {
                    let (least, most) = if *subtract { (-y.high[at], -y.low[at]) } else { (y.low[at], y.high[at]) };
                    let size = x.low[at].abs().max(x.high[at].abs()) + least.abs().max(most.abs());
                    let error = (off * size + self.arithmetic.smallest(2)) * OUTWARD;
                    low.push((x.low[at] + least - error).next_down());
                    high.push((x.high[at] + most + error).next_up());
                    slack.push(error);
                }
                (Interval { low, high }, Passage::Linear(slack))
            }
            Kind::Arrange { from, constant, .. } => {
                let pick = |of: fn(&Interval) -> &Vec<f64>| {
                    let all: Vec<f64> = inputs.iter().flat_map(|input| of(input)).copied().collect();
                    from.iter().map(|place| place.map_or(*constant, |at| all[at])).collect()
                };
                (Interval { low: pick(|input| &input.low), high: pick(|input| &input.high) }, Passage::Linear(Vec::new()))
            }
            Kind::Unary(function) => {
                let span = || x.low.iter().zip(&x.high).map(|(low, high)| [*low, *high]);
                let ranges: Vec<[f64; 2]> = span().map(|span| relax::range(*function, span, self.arithmetic)).collect();
                let lines = span().zip(&ranges).map(|(span, range)| relax::lines(*function, span, *range, self.arithmetic));
                let passage = Passage::Lines(lines.collect());
                (
                    Interval { low: ranges.iter().map(|range| range[0]).collect(), high: ranges.iter().map(|range| range[1]).collect() },
                    passage,
                )
            }
            Kind::MaxPool { windows } => {
                let largest = |window: &Vec<usize>, of: &Vec<f64>| window.iter().map(|&at| of[at]).fold(f64::NEG_INFINITY, f64::max);
                let low: Vec<f64> = windows.iter().map(|window| largest(window, &x.low)).collect();
                let high: Vec<f64> = windows.iter().map(|window| largest(window, &x.high)).collect();
                let chosen = windows.iter().zip(&high).map(|(window, &high)| {
                    let best = window.iter().copied().max_by(|&a, &b| x.low[a].total_cmp(&x.low[b])).unwrap_or(0);
                    let sure = window.iter().all(|&at| at == best || x.high[at] <= x.low[best]);
                    (best, (!sure).then_some(high))
                });
                let passage = Passage::Largest(chosen.collect());
                (Interval { low, high }, passage)
            }
        }
    }

    /// A lower bound of a y for a value y, over the region.
    pub(super) fn lower(&self, value: usize, a: Vec<f64>, end: End) -> f64 {
        let mut lower = Lower::default();
        let mut waiting: Vec<Option<Vec<f64>>> = vec![None; value];
        waiting.push(Some(a));
        for at in (1..=value).rev() {
            let Some(a) = waiting[at].take() else { continue };
            let step = &self.net.steps[at - 1];
            if end == End::Box && !(step.inputs.len() == 1 && step.kind.is_linear()) {
                let own = &self.boxes[at];
                lower.add(least(&a, own), least_slack(&a, own));
                return lower.bound();
            }
            self.back(step, &self.passages[at - 1], &a, &mut waiting, &mut lower);
        }
        if let Some(a) = waiting[0].take() {
            lower.add(self.region.lowest(&a), 0.0);
        }
        lower.bound()
    }

    /// Takes a bound back through one step.
    fn back(&self, step: &Step, passage: &Passage, a: &[f64], waiting: &mut [Option<Vec<f64>>], lower: &mut Lower) {
        let total = |slack: &[f64]| a.iter().zip(slack).map(|(a, slack)| a.abs() * slack).sum::<f64>();
        match (&step.kind, passage) {
            (Kind::Affine(affine), Passage::Linear(slack)) => {
                let mut into = vec![0.0; self.net.size(step.inputs[0])];
                let constant = affine.backwards(a, &mut into);
                lower.add(constant, total(slack));
                self.put(step.inputs[0], into, waiting, lower);
            }
            (Kind::Sum { subtract }, Passage::Linear(slack)) => {
                lower.add(0.0, total(slack));
                self.put(step.inputs[0], a.to_vec(), waiting, lower);
                let other = if *subtract { a.iter().map(|a| -a).collect() } else { a.to_vec() };
                self.put(step.inputs[1], other, waiting, lower);
            }
            (Kind::Arrange { from, constant, repeats }, _) => {
                let mut all = vec![0.0; step.inputs.iter().map(|&value| self.net.size(value)).sum()];
                let (mut padding, mut size) = (0.0, 0.0);
                for (a, place) in a.iter().zip(from) {
                    match place {
                        Some(at) => all[*at] += a,
                        None => (padding, size) = (padding + a, size + (a * constant).abs()),
                    }
                }
                if *repeats {
                    let sizes: Vec<f64> = step.inputs.iter().flat_map(|&value| &self.sizes[value]).copied().collect();
                    size += a.iter().zip(from).map(|(a, place)| place.map_or(0.0, |at| a.abs() * sizes[at])).sum::<f64>();
                }
                lower.add(constant * padding, gamma64(from.len() + 4) * size);
                for &value in &step.inputs {
                    let rest = all.split_off(self.net.size(value));
                    self.put(value, std::mem::replace(&mut all, rest), waiting, lower);
                }
            }
            (Kind::Unary(_), Passage::Lines(lines)) => {
                let mut into = vec![0.0; a.len()];
                let (mut constant, mut size, mut slack) = (0.0, 0.0, 0.0);
                for ((a, lines), into) in a.iter().zip(lines).zip(&mut into).filter(|((a, _), _)| **a != 0.0) {
                    let line = &lines[usize::from(*a < 0.0)];
                    *into = a * line.slope;
                    constant += a * line.intercept;
                    size += (a * line.intercept).abs();
                    slack += a.abs() * line.slack;
                }
                lower.add(constant, slack + gamma64(a.len()) * size);
                self.put(step.inputs[0], into, waiting, lower);
            }
            (Kind::MaxPool { windows }, Passage::Largest(chosen)) => {
                let sizes = &self.sizes[step.inputs[0]];
                let mut into = vec![0.0; sizes.len()];
                let (mut constant, mut size) = (0.0, 0.0);
                let often = windows.iter().map(Vec::len).max().unwrap_or(1);
                for (a, (best, most)) in a.iter().zip(chosen).filter(|(a, _)| **a != 0.0) {
                    match most {
                        Some(most) if *a < 0.0 => (constant, size) = (constant + a * most, size + (a * most).abs()),
                        _ => {
                            into[*best] += a;
                            size += a.abs() * sizes[*best];
                        }
                    }
                }
                lower.add(constant, gamma64(a.len() + often) * size);
                self.put(step.inputs[0], into, waiting, lower);
            }
            _ => unreachable!("a passage is made with its step"),
        }
    }

    /// Adds coefficients to those that wait at a value.
    fn put(&self, value: usize, a: Vec<f64>, waiting: &mut [Option<Vec<f64>>], lower: &mut Lower) {
        match &mut waiting[value] {
            Some(before) => {
                before.iter_mut().zip(a).for_each(|(before, a)| *before += a);
                let size: f64 = before.iter().zip(&self.sizes[value]).map(|(a, size)| a.abs() * size).sum();
                lower.add(0.0, gamma64(2) * size);
            }
            place => *place = Some(a),
        }
    }

    /// Mends the box of an affine layer's result by linear bounds, where the next step is one that those need: all elements, or before a
    /// rectifier those that may be off and on.
    pub(super) fn tighten(&self, value: usize, found: &mut Interval) {
        let readers = || self.net.steps.iter().filter(|step| step.inputs.contains(&value) && !step.kind.is_linear());
        let from_affine = value > 0 && self.net.steps[value - 1].kind.is_linear();
        if !from_affine || readers().next().is_none() {
            return;
        }
        let kinked = |step: &Step| matches!(step.kind, Kind::Unary(Unary::Relu | Unary::LeakyRelu { .. } | Unary::Abs));
        let at_zero = readers().all(kinked);
        let elements = found.low.len();
        for at in (0..elements).filter(|&at| !at_zero || (found.low[at] < 0.0 && found.high[at] > 0.0)).collect::<Vec<_>>() {
            let unit = |sign: f64| {
                let mut a = vec![0.0; elements];
                a[at] = sign;
                a
            };
            let low = self.lower(value, unit(1.0), End::Image);
            found.low[at] = found.low[at].max(low);
            if at_zero && found.low[at] >= 0.0 {
                continue;
            }
            found.high[at] = found.high[at].min(-self.lower(value, unit(-1.0), End::Image));
        }
    }
}

/// The least value of a x over a box.
fn least(a: &[f64], own: &Interval) -> f64 {
    a.iter().zip(&own.low).zip(&own.high).map(|((a, low), high)| if *a > 0.0 { a * low } else { a * high }).sum()
}

fn least_slack(a: &[f64], own: &Interval) -> f64 {
    gamma64(a.len() + 4) * a.iter().zip(own.size()).map(|(a, size)| a.abs() * size).sum::<f64>()
}
