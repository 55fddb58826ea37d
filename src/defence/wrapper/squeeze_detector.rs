//! Feature Squeezing's detector (Xu et al. 2018, section IV): an input is rejected where the model's probabilities move, by more than a
//! threshold in l1, when the input is squeezed; with several squeezers, where they move most.
//!
//! The score that adaptive attacks follow is that distance less the threshold, with the squeezers' own stand-ins for gradients. The
//! threshold is what the defender picks on clean training images for a share of false alarms, 5 % in the paper.

use burn::tensor::{Tensor, activation};

use super::bit_depth::BitDepth;
use super::median::Median;
use super::{Backward, Wrapper, WrapperRow};
use crate::engine::draw::Draw;
use crate::options::{Accepts, Entry, OptionSpec};

pub(super) const ROW: WrapperRow = WrapperRow {
    entry: Entry {
        name: "squeeze-detector",
        summary: "rejects inputs whose probabilities move when they are squeezed (Xu et al. 2018)",
        options: &[
            OptionSpec {
                name: "bits",
                accepts: Accepts::Integer(0, 16),
                default: Some("1"),
                help: "squeezes to so many bits a value; 0: not",
            },
            OptionSpec {
                name: "window",
                accepts: Accepts::Integer(0, 11),
                default: Some("2"),
                help: "squeezes by medians over windows of this side, 2 or more; 0: not",
            },
            OptionSpec {
                name: "threshold",
                accepts: Accepts::Number(0.0, 2.0),
                default: None,
                help: "largest l1 distance of probabilities that is accepted; by default set by `false_positives`",
            },
            OptionSpec {
                name: "false_positives",
                accepts: Accepts::Number(0.0, 1.0),
                default: None,
                help: "share of clean training images that is rejected: sets the threshold; 0.05 unless `threshold` is given",
            },
        ],
    },
    backward: Backward::StandIn("the squeezers' own: straight through, exact for medians"),
    check: |options| {
        if options.integer("bits") == Some(0) && options.integer("window") == Some(0) {
            return Err("both squeezers are off: give `bits` or `window`".into());
        }
        if options.integer("window") == Some(1) {
            return Err("a window of side 1 changes nothing: give 0 or 2 to 11".into());
        }
        match (options.number("threshold"), options.number("false_positives")) {
            (Some(_), Some(_)) => Err("`threshold` and `false_positives` both set the threshold: keep one of them".into()),
            _ => Ok(()),
        }
    },
    build: |options| {
        let integer = |name| options.integer(name).unwrap_or(0);
        let (threshold, share) = (options.number("threshold"), options.number("false_positives"));
        Box::new(SqueezeDetector {
            squeezers: squeezers(integer("bits"), integer("window")),
            sides: [integer("bits"), integer("window")],
            threshold: threshold.unwrap_or(0.0) as f32,
            false_alarms: if threshold.is_none() { Some(share.unwrap_or(FALSE_POSITIVES)) } else { None },
        })
    },
};

/// The paper's share of false alarms.
const FALSE_POSITIVES: f64 = 0.05;

struct SqueezeDetector {
    squeezers: Vec<Box<dyn Wrapper>>,
    /// Bits and window, 0 where not squeezed.
    sides: [i64; 2],
    threshold: f32,
    false_alarms: Option<f64>,
}

fn squeezers(bits: i64, window: i64) -> Vec<Box<dyn Wrapper>> {
    let mut squeezers: Vec<Box<dyn Wrapper>> = Vec::new();
    if bits > 0 {
        squeezers.push(Box::new(BitDepth::new(bits as u32)));
    }
    if window > 1 {
        squeezers.push(Box::new(Median { window: window as usize }));
    }
    squeezers
}

impl Wrapper for SqueezeDetector {
    fn pull(&self, _inputs: Tensor<2>, gradient: Tensor<2>, _shape: [usize; 3], _draw: &Draw) -> Tensor<2> {
        gradient
    }

    fn rejects(&self) -> bool {
        true
    }

    fn false_alarms(&self) -> Option<f64> {
        self.false_alarms
    }

    fn lowered(&self, offset: f32) -> Option<Box<dyn Wrapper>> {
        let [bits, window] = self.sides;
        let threshold = self.threshold + offset;
        Some(Box::new(Self { squeezers: squeezers(bits, window), sides: self.sides, threshold, false_alarms: None }))
    }

    fn squeezers(&self) -> &[Box<dyn Wrapper>] {
        &self.squeezers
    }

    fn score(&self, _inputs: &Tensor<2>, logits: &[Tensor<2>]) -> Option<Tensor<2>> {
        let [plain, squeezed @ ..] = logits else { return None };
        let plain = activation::softmax(plain.clone(), 1);
        let distance = |logits: &Tensor<2>| (plain.clone() - activation::softmax(logits.clone(), 1)).abs().sum_dim(1);
        Some(squeezed.iter().map(distance).reduce(Tensor::max_pair)? - self.threshold)
    }
}
