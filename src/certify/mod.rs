//! Certificates: radii within which no attack can succeed, whatever it tries.
//!
//! [`CERTIFIERS`] is the table: a certifier is one file and one row. Those that bound a network's logits take it apart into a [`Net`],
//! bound the margins `logit[label] - logit[other]` over a [`Region`], and certify a radius where every margin stays above 0. The region
//! is the ball with the box [0, 1] cut out of it, a little larger than the radius says, since the judge lets points lie on its rim. The
//! bounds are rounded outwards and hold for the network as devices run it, in f32: see [`rounding`].
//!
//! A ball holds every smaller one around its image, so that a radius certifies all smaller ones, however the bound was found. The
//! epsilons of a threat are bisected for the largest that is certified; where a bound is not monotone (the lines of `linear` change
//! with the region) that may be one below the largest possible, never one above.

mod affine;
mod bounds;
mod exact;
mod interval;
mod linear;
mod margins;
mod net;
mod region;
mod relax;
pub mod rounding;
pub mod smoothing;

use serde::{Deserialize, Serialize};

use crate::engine::oracle::Oracle;
use crate::graph::Graph;
use crate::model::Weights;
use crate::options::{Entry, Options};
use crate::suite::WrapperSpec;
use crate::threat::Norm;
use crate::{Error, Result};

pub use margins::{Method, margins};
pub use net::Net;
pub use region::Region;

/// A row of [`CERTIFIERS`].
pub struct CertifierRow {
    /// Name, summary and options.
    pub entry: Entry,
    /// The norms that it certifies under.
    pub norms: &'static [Norm],
    /// Rules between options.
    pub check: fn(&Options) -> Result<(), String>,
    /// Whether it can handle a defence; the error says why not.
    pub handles: fn(&Subject) -> Result<()>,
    /// Builds it for a defence that it can handle.
    pub build: fn(&Subject, &Options, &Setting) -> Result<Box<dyn Certifier>>,
}

/// Every certifier.
pub const CERTIFIERS: &[CertifierRow] = &[exact::ROW, interval::ROW, linear::ROW, smoothing::ROW];

/// A defence as certifiers see it.
#[derive(Clone, Copy)]
pub struct Subject<'a> {
    /// Its network.
    pub graph: &'a Graph,
    /// The network's weights.
    pub weights: &'a Weights,
    /// What stands around the network, outermost first.
    pub stack: &'a [WrapperSpec],
}

/// What a certifier is built with besides its options.
pub struct Setting {
    /// The bare network, on a device.
    pub base: Oracle,
    /// Rows that the device takes at once.
    pub slots: usize,
    /// Key of the random numbers.
    pub key: [u32; 2],
}

/// An example to certify.
#[derive(Clone, Copy, Debug)]
pub struct Example<'a> {
    /// Its stable id.
    pub id: u32,
    /// Its pixels, in [0, 1].
    pub image: &'a [f32],
    /// Its class.
    pub label: u32,
}

/// What was certified of an example.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Certificate {
    /// The example's stable id.
    pub example: u32,
    /// The radius within which its class is certain; absent where nothing is certain, not even at radius 0.
    pub radius: Option<f64>,
    /// Whether the certifier declined to name a class.
    pub abstained: bool,
}

/// Finds certified radii.
pub trait Certifier: Send + Sync {
    /// Certifies examples, each by itself: a result does not depend on the examples beside it. `epsilons` ascend.
    ///
    /// # Errors
    /// A device that stops answering.
    fn certify(&self, examples: &[Example], norm: Norm, epsilons: &[f64]) -> Result<Vec<Certificate>>;

    /// How many examples are worth handing in at once.
    fn at_once(&self) -> usize;
}

/// The certifier of that name.
///
/// # Errors
/// There is none.
pub fn certifier(kind: &str) -> Result<&'static CertifierRow> {
    CERTIFIERS.iter().find(|row| row.entry.name == kind).ok_or_else(|| {
        let known: Vec<&str> = CERTIFIERS.iter().map(|row| row.entry.name).collect();
        Error::input(format!("unknown certificate \"{kind}\"")).help(format!("known: {}", known.join(", ")))
    })
}

/// Refuses what stands around a network.
fn bare(subject: &Subject) -> Result<()> {
    match subject.stack.first() {
        Some(wrapper) => {
            Err(Error::input(format!("the wrapper {} stands around the network, and no bound is known through it", wrapper.kind)))
        }
        None => Ok(()),
    }
}
