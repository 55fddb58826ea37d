//! From bounds to certificates: least margins over a region, and the largest epsilon at which all of them are above 0.

use rayon::prelude::*;

use super::bounds::{Bounds, End};
use super::rounding::Arithmetic;
use super::{Certificate, Certifier, Example, Net, Region};
use crate::Result;
use crate::threat::Norm;

/// How far beyond its epsilon the judge may let a point lie: projections are rounded in f32, and a break at a distance settles every
/// epsilon from 1e-6 below it on.
const RIM: (f64, f64) = (1e-5, 2e-6);

/// Examples between two looks at whether the run goes on.
const AT_ONCE: usize = 64;

/// How margins are bounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Boxes forwards; the margins' rows are merged into the last affine layers.
    Interval,
    /// As `Interval`; where that does not do, the margins' rows back to the image, through boxes that `tightened` says whether the same
    /// way back has mended.
    Linear {
        /// Whether each layer's box is mended (CROWN), or is left as it is (CROWN-IBP).
        tightened: bool,
    },
}

/// Lower bounds of `logit[label] - logit[other]` over a region, one for each other class in their order; with `enough` only until one is
/// not above 0. Minus infinity where a number overflows.
pub fn margins(net: &Net, region: &Region, label: u32, method: Method, arithmetic: Arithmetic, enough: bool) -> Vec<f64> {
    let label = label as usize;
    let others: Vec<usize> = (0..net.classes).filter(|&other| other != label).collect();
    let row = |other: usize| {
        let mut row = vec![0.0; net.classes];
        (row[label], row[other]) = (1.0, -1.0);
        row
    };
    let of = |bounds: &Bounds, end: End, found: Option<&[f64]>| {
        let mut margins = Vec::with_capacity(others.len());
        for (at, &other) in others.iter().enumerate() {
            let before = found.map_or(f64::NEG_INFINITY, |found| found[at]);
            let settled = enough && before > 0.0;
            let margin = if settled { before } else { before.max(bounds.lower(net.output, row(other), end)) };
            margins.push(margin);
            if enough && found.is_some() && margin <= 0.0 {
                break;
            }
        }
        margins
    };
    let nothing = vec![f64::NEG_INFINITY; others.len()];
    let mut bounds = Bounds::new(net, region, arithmetic);
    if !bounds.propagate(|_, _, _| {}) {
        return nothing;
    }
    let found = of(&bounds, End::Box, None);
    let Method::Linear { tightened } = method else { return found };
    if enough && found.iter().all(|margin| *margin > 0.0) {
        return found;
    }
    if tightened {
        bounds = Bounds::new(net, region, arithmetic);
        if !bounds.propagate(Bounds::tighten) {
            return found;
        }
    }
    of(&bounds, End::Image, Some(&found))
}

/// Certifies by margins.
pub(super) struct ByMargins {
    pub(super) net: Net,
    pub(super) method: Method,
}

impl Certifier for ByMargins {
    fn certify(&self, examples: &[Example], norm: Norm, epsilons: &[f64]) -> Result<Vec<Certificate>> {
        let certify = |example: &Example| {
            let holds = |epsilon: f64| {
                let region = Region::new(example.image, norm, if norm == Norm::L0 { epsilon } else { epsilon * (1.0 + RIM.0) + RIM.1 });
                let margins = margins(&self.net, &region, example.label, self.method, Arithmetic::F32, true);
                margins.len() + 1 == self.net.classes && margins.iter().all(|margin| *margin > 0.0)
            };
            let (mut certain, mut first_open) = (0, epsilons.len());
            while certain < first_open {
                let middle = certain.midpoint(first_open);
                if holds(epsilons[middle]) { certain = middle + 1 } else { first_open = middle }
            }
            Certificate { example: example.id, radius: certain.checked_sub(1).map(|at| epsilons[at]), abstained: false }
        };
        Ok(examples.par_iter().map(certify).collect())
    }

    fn at_once(&self) -> usize {
        AT_ONCE
    }
}
