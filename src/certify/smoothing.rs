//! Randomised smoothing (Cohen, Rosenfeld and Kolter, "Certified Adversarial Robustness via Randomized Smoothing", ICML 2019,
//! algorithm CERTIFY).
//!
//! The smoothed classifier answers with the class that the base classifier gives most often under Gaussian noise of deviation sigma.
//! `select` copies guess that class; `samples` further ones bound its probability from below by Clopper and Pearson's exact interval at
//! confidence 1 - alpha. Where the bound p exceeds 1/2, the answer holds within the l2 radius sigma x quantile(p), else nothing is said.
//! Each certificate is wrong with probability alpha at most. Noise is not clipped: the base classifier must answer outside of [0, 1] too.

use burn::tensor::{Tensor, TensorData};
use statrs::distribution::{ContinuousCDF, Normal};

use super::{Certificate, Certifier, CertifierRow, Example, Setting, Subject};
use crate::engine::draw::{Draw, DrawRow};
use crate::engine::oracle::read_matrix;
use crate::evaluate::interval::clopper_pearson_lower;
use crate::kernel;
use crate::kernel::words::upload;
use crate::options::{Accepts, Entry, OptionSpec, Options};
use crate::threat::Norm;
use crate::{Error, Result};

/// The name, which the wrapper that attacks meet shares.
pub const NAME: &str = "smoothing";

pub(super) const ROW: CertifierRow = CertifierRow {
    entry: Entry {
        name: NAME,
        summary: "randomised smoothing (Cohen et al. 2019): certifies the smoothed classifier by votes under Gaussian noise",
        options: &[
            OptionSpec {
                name: "sigma",
                accepts: Accepts::Distance(1e-6, 1e3),
                default: Some("0.25"),
                help: "deviation of the noise; under a `smoothing` wrapper the wrapper's own",
            },
            OptionSpec {
                name: "select",
                accepts: Accepts::Integer(1, 100_000_000),
                default: Some("100"),
                help: "noisy copies that guess the class (n0)",
            },
            OptionSpec {
                name: "samples",
                accepts: Accepts::Integer(1, 100_000_000),
                default: Some("10000"),
                help: "noisy copies that bound its probability (n)",
            },
            OptionSpec {
                name: "alpha",
                accepts: Accepts::Number(1e-12, 0.5),
                default: Some("0.001"),
                help: "largest probability that an example's certificate is wrong",
            },
        ],
    },
    norms: &[Norm::L2],
    check: |_| Ok(()),
    handles: |subject| match subject.stack {
        [] => Ok(()),
        [wrapper] if wrapper.kind == NAME => Ok(()),
        [wrapper, ..] => Err(Error::input(format!("the wrapper {} stands around the network that noise is added to", wrapper.kind))),
    },
    build: |subject, options, setting| {
        Ok(Box::new(Smoothing {
            sigma: sigma(subject, options),
            select: options.integer("select").unwrap_or(100) as u64,
            samples: options.integer("samples").unwrap_or(10_000) as u64,
            alpha: options.number("alpha").unwrap_or(0.001),
            setting: Setting { base: setting.base.clone(), ..*setting },
        }))
    },
};

/// The deviation of the noise: that of the wrapper around the network, where there is one.
fn sigma(subject: &Subject, options: &Options) -> f64 {
    let wrapper = subject.stack.iter().find(|wrapper| wrapper.kind == NAME);
    wrapper.and_then(|wrapper| wrapper.options.number("sigma")).or(options.number("sigma")).unwrap_or(0.25)
}

/// The l2 radius within which a class holds that got `votes` of `samples`, at confidence 1 - alpha; `None` where it may not be the most
/// probable.
pub fn radius(votes: usize, samples: usize, alpha: f64, sigma: f64) -> Option<f64> {
    let least = clopper_pearson_lower(votes, samples, 1.0 - alpha);
    (least > 0.5).then(|| sigma * Normal::standard().inverse_cdf(least))
}

struct Smoothing {
    sigma: f64,
    select: u64,
    samples: u64,
    alpha: f64,
    setting: Setting,
}

impl Smoothing {
    /// Votes by class of so many noisy copies of an image; a copy whose logits are not finite votes for none. `stage` tells one set of
    /// copies from another.
    fn votes(&self, example: &Example, stage: u32, copies: u64) -> Result<Vec<usize>> {
        let Setting { base, slots, key } = &self.setting;
        let (features, classes) = (base.features(), base.classes());
        let image = Tensor::<2>::from_data(TensorData::new(example.image.to_vec(), [1, features]), base.device());
        let images = image.expand([*slots, features]);
        // Counted where they are made, a row's votes in the order of the batches: whole numbers up to 2^24 are exact.
        let mut counts = Tensor::<2>::zeros([*slots, classes], base.device());
        for first in (0..copies).step_by(*slots) {
            let held = (copies - first).min(*slots as u64) as usize;
            let row = |at: usize| DrawRow { key: *key, example: example.id, attempt: stage, step: (first + at as u64) as u32 };
            let draws = upload(&(0..*slots).map(row).collect::<Vec<_>>(), base.device());
            let points = kernel::gaussian(images.clone(), draws, self.sigma as f32);
            let voted = kernel::votes(base.logits(points, &Draw::none(*slots)), counts.clone());
            counts = if held == *slots {
                voted
            } else {
                Tensor::cat(vec![voted.slice([0..held, 0..classes]), counts.slice([held..*slots, 0..classes])], 0)
            };
        }
        let counts = read_matrix(counts)?;
        Ok((0..classes).map(|class| counts.iter().skip(class).step_by(classes).map(|&count| count as usize).sum()).collect())
    }
}

impl Certifier for Smoothing {
    fn certify(&self, examples: &[Example], _: Norm, _: &[f64]) -> Result<Vec<Certificate>> {
        let certify = |example: &Example| {
            let guesses = self.votes(example, 0, self.select)?;
            let class = (0..guesses.len()).fold(0, |best, at| if guesses[at] > guesses[best] { at } else { best });
            let votes = self.votes(example, 1, self.samples)?[class];
            let radius = radius(votes, self.samples as usize, self.alpha, self.sigma);
            let right = class == example.label as usize;
            Ok(Certificate { example: example.id, radius: radius.filter(|_| right), abstained: radius.is_none() })
        };
        examples.iter().map(certify).collect()
    }

    fn at_once(&self) -> usize {
        1
    }
}
