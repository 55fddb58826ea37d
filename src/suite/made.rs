//! A run's defences with their weights, and what they are on a station's device.

use burn::tensor::Device;

use super::DefenceSpec;
use super::stations::Station;
use crate::defence::{self, Prepared, Thresholds};
use crate::engine::base::{Base, Combine};
use crate::engine::oracle::Oracle;

/// A defence with its weights: one network, or an ensemble's.
pub(super) struct Made {
    pub(super) members: Vec<Prepared>,
    pub(super) combine: Combine,
    pub(super) thresholds: Thresholds,
}

impl Made {
    pub(super) fn on(&self, device: &Device) -> Base {
        Base { members: self.members.iter().map(|member| member.on(device)).collect(), combine: self.combine }
    }

    /// The hash of the weights; of an ensemble, of its members' hashes in their order.
    pub(super) fn weights_hash(&self) -> String {
        let hashes: Vec<String> = self.members.iter().map(|member| member.weights.hash()).collect();
        match &hashes[..] {
            [alone] => alone.clone(),
            several => blake3::hash(several.join(" ").as_bytes()).to_hex().to_string(),
        }
    }
}

/// A defence on a station's device.
pub(super) fn on(spec: &DefenceSpec, prepared: &Made, station: &Station) -> Oracle {
    let device = &station.handle.device;
    let stack = prepared.thresholds.set(defence::stack(&spec.stack, spec.adaptive));
    let oracle = Oracle::of(prepared.on(device), device.clone()).behind(stack.into());
    if spec.adaptive { oracle } else { oracle.unknown() }
}

/// What all members have in common, or each one's, in the order of the members.
pub(super) fn in_a_word(words: impl Iterator<Item = String>) -> String {
    let words: Vec<String> = words.collect();
    match &words[..] {
        [first, others @ ..] if !others.is_empty() && others.iter().all(|other| other == first) && !first.is_empty() => {
            format!("{} x {first}", words.len())
        }
        _ => words.join(" + "),
    }
}
