//! The closed form for affine networks, under every norm: the margin's least value over the ball within the box.

use super::margins::ByMargins;
use super::{CertifierRow, Method, Net, bare};
use crate::Error;
use crate::options::Entry;
use crate::threat::Norm;

pub(super) const ROW: CertifierRow = CertifierRow {
    entry: Entry {
        name: "exact",
        summary: "closed form for networks that are one affine map: the ball's dual norm, cut off at 0 and 1; certifies whatever holds",
        options: &[],
    },
    norms: &Norm::ALL,
    check: |_| Ok(()),
    handles: |subject| {
        bare(subject)?;
        if Net::new(subject.graph, subject.weights)?.is_affine() {
            return Ok(());
        }
        Err(Error::input("the network is not one affine map"))
    },
    // Without a kink there is nothing to relax: the way back to the image is the affine map itself.
    build: |subject, _, _| {
        let net = Net::new(subject.graph, subject.weights)?;
        Ok(Box::new(ByMargins { net, method: Method::Linear { tightened: false } }))
    },
};
