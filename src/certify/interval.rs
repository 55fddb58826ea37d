//! Interval bound propagation (Gowal et al. 2018), the margins merged into the last layer.

use super::margins::ByMargins;
use super::{CertifierRow, Method, Net, bare};
use crate::options::Entry;
use crate::threat::Norm;

pub(super) const ROW: CertifierRow = CertifierRow {
    entry: Entry {
        name: "interval",
        summary: "interval bound propagation (Gowal et al. 2018): a box through every layer; loose but for networks trained for it",
        options: &[],
    },
    norms: &[Norm::Linf],
    check: |_| Ok(()),
    handles: |subject| {
        bare(subject)?;
        Net::new(subject.graph, subject.weights).map(drop)
    },
    build: |subject, _, _| Ok(Box::new(ByMargins { net: Net::new(subject.graph, subject.weights)?, method: Method::Interval })),
};
