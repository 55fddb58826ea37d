//! Linear bounds backwards through the network (CROWN, Zhang et al. 2018), with the lower slope of a rectifier that leaves the smaller
//! area, and of max pooling the element with the largest lower bound (Singh et al., "An Abstract Domain for Certifying Neural Networks",
//! POPL 2019). The boxes of interval propagation are kept where they are tighter.

use super::margins::ByMargins;
use super::{CertifierRow, Method, Net, bare};
use crate::options::{Accepts, Entry, OptionSpec};
use crate::threat::Norm;

pub(super) const ROW: CertifierRow = CertifierRow {
    entry: Entry {
        name: "linear",
        summary: "linear bounds backwards (CROWN, Zhang et al. 2018), adaptive lower slope, intersected with interval bounds",
        options: &[OptionSpec {
            name: "layers",
            accepts: Accepts::Choice(&["linear", "interval"]),
            default: Some("\"linear\""),
            help: "bounds of the layers within: linear too (CROWN), or interval (CROWN-IBP, Zhang et al. 2020), far cheaper on large nets",
        }],
    },
    norms: &[Norm::Linf, Norm::L2, Norm::L1],
    check: |_| Ok(()),
    handles: |subject| {
        bare(subject)?;
        Net::new(subject.graph, subject.weights).map(drop)
    },
    build: |subject, options, _| {
        let tightened = options.text("layers") != Some("interval");
        Ok(Box::new(ByMargins { net: Net::new(subject.graph, subject.weights)?, method: Method::Linear { tightened } }))
    },
};
