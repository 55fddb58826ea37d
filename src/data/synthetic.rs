//! Made-up images that a known linear model separates, each at a known distance from its decision boundary: attacks are tested on it.
//!
//! With K classes, D = channels x height x width features and n = floor(D / K), class k owns the block of features k n to (k + 1) n - 1;
//! the last D - K n features say nothing. The separator ([`separator`]) is z = W x, where row w_k of W is 1 / sqrt(n) on block k and 0
//! elsewhere, without bias: its rows are orthogonal and of length 1, and the largest z decides.
//!
//! Example i has the class k = i mod K and one runner-up r, drawn uniformly from the others. With delta = margin sqrt(2 / n), the mean of
//! its block k is 0.5 + delta, that of block r 0.5, and that of every other block 0.5 - delta. Uniform noise is added that sums to zero
//! over each block and stays below a = (0.5 - delta) / 2 in size. So, box aside,
//! - z_k - z_r = sqrt(2) margin, and the nearest point that is decided otherwise lies towards r, at `margin` in l2 exactly (w_k - w_r
//!   has the length sqrt(2)), at [`linf_distance`] = delta / 2 = margin / sqrt(2 n) in linf, and at margin sqrt(2 n) in l1;
//! - every other class is twice as far, z_k - z_c = 2 sqrt(2) margin.
//!
//! The margin is limited to delta <= 0.2, so every pixel stays at least a >= 0.15 from both ends of [0, 1], which is 1.5 linf distances:
//! the shortest way to the boundary in l2 and in linf never meets the box. In f32 the distances hold to about 1e-6.
//!
//! Both splits follow this rule with different noise and runners-up. An example is a function of the seed, its split and its position
//! alone (SplitMix64: Steele, Lea and Flood 2014, "Fast splittable pseudorandom number generators").

use std::sync::Arc;

use super::{Dataset, Request, Source};
use crate::error::{Error, Result};
use crate::options::{Accepts, Entry, OptionSpec};

/// The row of the table.
pub(super) const SOURCE: Source = Source {
    entry: Entry {
        name: "synthetic",
        summary: "images that a known linear model separates, each at the same known distance from its decision boundary",
        options: &[
            OptionSpec { name: "classes", accepts: Accepts::Integer(2, 1000), default: Some("3"), help: "number of classes" },
            OptionSpec { name: "channels", accepts: Accepts::Integer(1, 64), default: Some("1"), help: "channels of an image" },
            OptionSpec { name: "height", accepts: Accepts::Integer(1, 1024), default: Some("8"), help: "rows of an image" },
            OptionSpec { name: "width", accepts: Accepts::Integer(1, 1024), default: Some("8"), help: "columns of an image" },
            OptionSpec {
                name: "margin",
                accepts: Accepts::Distance(1e-3, 1e3),
                default: Some("0.3"),
                help: "l2 distance of every example to the decision boundary, in input units",
            },
            OptionSpec { name: "count", accepts: Accepts::Integer(1, 10_000_000), default: Some("500"), help: "examples a split" },
            OptionSpec { name: "seed", accepts: Accepts::Integer(0, i64::MAX), default: Some("0"), help: "drives noise and runners-up" },
        ],
    },
    splits: &["train", "test"],
    load,
};

/// Largest difference between the block means that leaves the box aside.
const LARGEST_DELTA: f64 = 0.2;

/// The linear separator W, row-major [classes, features]; its bias is 0.
///
/// # Errors
/// Fewer features than classes, or no class.
pub fn separator(classes: usize, shape: [usize; 3]) -> Result<Vec<f32>> {
    let features = shape.iter().product::<usize>();
    let block = block(classes, features)?;
    let mut weights = vec![0.0; classes * features];
    for (class, row) in weights.chunks_mut(features).enumerate() {
        row[class * block..(class + 1) * block].fill((1.0 / (block as f64).sqrt()) as f32);
    }
    Ok(weights)
}

/// The linf distance from every example to the decision boundary of [`separator`], for the `margin` in l2: margin / sqrt(2 n).
///
/// # Errors
/// Fewer features than classes, or no class.
pub fn linf_distance(classes: usize, shape: [usize; 3], margin: f64) -> Result<f64> {
    let block = block(classes, shape.iter().product())?;
    Ok(margin / (2.0 * block as f64).sqrt())
}

/// Features a class.
fn block(classes: usize, features: usize) -> Result<usize> {
    match features.checked_div(classes) {
        None | Some(0) => Err(Error::input(format!("synthetic: {features} features are too few for {classes} classes"))
            .help("every class needs a feature of its own: fewer `classes`, or a larger `height` or `width`")),
        Some(block) => Ok(block),
    }
}

fn load(request: &Request) -> Result<Dataset> {
    let split = request.split.to_string();
    let shape = ["channels", "height", "width"].map(|name| request.size(name));
    let (classes, features) = (request.size("classes"), shape.iter().product::<usize>());
    let block = block(classes, features)?;
    let margin = request.options.number("margin").unwrap_or_default();
    let delta = margin * (2.0 / block as f64).sqrt();
    // The largest margin that an error names is accepted when it is given back.
    if delta > LARGEST_DELTA * (1.0 + 1e-9) {
        let largest = (LARGEST_DELTA * (block as f64 / 2.0).sqrt() * 1e4).floor() / 1e4;
        return Err(Error::input(format!(
            "synthetic: a margin of {margin} does not fit into [0, 1] with {features} features for {classes} classes"
        ))
        .help(format!("give a margin of {largest} at most, fewer `classes` or larger images")));
    }
    let name = format!("synthetic, {split}");
    let positions = request.positions(request.size("count"), &name)?;
    let rule = Rule { classes, features, block, delta };
    let stream = request.options.integer("seed").unwrap_or_default() as u64;
    let stream = mix(mix(stream).wrapping_add(u64::from(split == "train")));
    let labels = positions.clone().map(|position| (position % classes) as u32).collect();
    let recipe = format!("synthetic, {classes} classes, margin {margin}, stream {stream}");
    let maker = move |position| {
        let mut image = Vec::with_capacity(features);
        rule.draw(position, Random(mix(stream.wrapping_add(position as u64))), &mut image);
        image
    };
    Dataset::made(name, shape, classes, positions, labels, recipe, Arc::new(maker))
}

struct Rule {
    classes: usize,
    features: usize,
    block: usize,
    delta: f64,
}

impl Rule {
    fn draw(&self, position: usize, mut random: Random, images: &mut Vec<f32>) {
        let class = position % self.classes;
        let other = ((random.unit() * (self.classes - 1) as f64) as usize).min(self.classes - 2);
        let runner_up = if other < class { other } else { other + 1 };
        let amplitude = (0.5 - self.delta) / 2.0;
        for owner in 0..self.classes {
            let mean = match owner {
                _ if owner == class => 0.5 + self.delta,
                _ if owner == runner_up => 0.5,
                _ => 0.5 - self.delta,
            };
            let noise: Vec<f64> = (0..self.block).map(|_| random.unit()).collect();
            let centre = noise.iter().sum::<f64>() / self.block as f64;
            images.extend(noise.iter().map(|value| (mean + amplitude * (value - centre)) as f32));
        }
        let silent = self.features - self.classes * self.block;
        images.extend((0..silent).map(|_| (0.5 + amplitude * (random.unit() - 0.5)) as f32));
    }
}

/// SplitMix64.
struct Random(u64);

impl Random {
    /// Uniform in [0, 1).
    fn unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        (mix(self.0) >> 11) as f64 / (1u64 << 53) as f64
    }
}

fn mix(mut word: u64) -> u64 {
    word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}
