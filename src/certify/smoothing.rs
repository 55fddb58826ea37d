//! Randomised smoothing (Cohen, Rosenfeld and Kolter, "Certified Adversarial Robustness via Randomized Smoothing", ICML 2019,
//! algorithm CERTIFY).
//!
//! The smoothed classifier answers with the class that the base classifier gives most often under Gaussian noise of deviation sigma.
//! `select` copies guess that class; `samples` further ones bound its probability from below by Clopper and Pearson's exact interval at
//! confidence 1 - alpha. Where the bound p exceeds 1/2, the answer holds within the l2 radius sigma x quantile(p), else nothing is said.
//! Each certificate is wrong with probability alpha at most. Noise is not clipped: the base classifier must answer outside of [0, 1] too.

use burn::tensor::{Tensor, TensorData};
use rayon::prelude::*;
use statrs::distribution::{ContinuousCDF, Normal};

use super::{Certificate, Certifier, CertifierRow, Example, Setting, Subject};
use crate::engine::draw::Draw;
use crate::engine::oracle::read_matrix;
use crate::evaluate::interval::clopper_pearson_lower;
use crate::kernel::random::{normals, philox};
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
        let Setting { base, slots, .. } = &self.setting;
        let (features, classes) = (base.features(), base.classes());
        let mut votes = vec![0; classes];
        for first in (0..copies).step_by(*slots) {
            let held = (copies - first).min(*slots as u64) as usize;
            let mut pixels = vec![0.0f32; slots * features];
            pixels.par_chunks_mut(features).take(held).enumerate().for_each(|(at, row)| {
                self.noisy(example, stage, (first + at as u64) as u32, row);
            });
            let points = Tensor::from_data(TensorData::new(pixels, [*slots, features]), base.device());
            let logits = read_matrix(base.logits(points, &Draw::none(*slots)))?;
            for row in logits.chunks(classes).take(held).filter(|row| row.iter().all(|logit| logit.is_finite())) {
                votes[(0..classes).fold(0, |best, at| if row[at] > row[best] { at } else { best })] += 1;
            }
        }
        Ok(votes)
    }

    fn noisy(&self, example: &Example, stage: u32, copy: u32, row: &mut [f32]) {
        for (block, (row, image)) in row.chunks_mut(4).zip(example.image.chunks(4)).enumerate() {
            let noise = normals(philox([block as u32, copy, stage, example.id], self.setting.key));
            row.iter_mut().zip(image).zip(noise).for_each(|((to, x), noise)| *to = x + self.sigma as f32 * noise);
        }
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
