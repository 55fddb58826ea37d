//! The speeds of a survey: steps, decisions and looks at the flags, each measured once where several defences are one network.

use std::sync::Arc;

use super::calibrate::Survey;
use super::checks::Tester;
use super::pace::{Hand, Pace};
use super::track::Track;
use crate::attack::{ATTACKS, Attack, SURROGATE, Setting};
use crate::engine::oracle::Oracle;
use crate::evaluate::checks::PROBES;
use crate::evaluate::record::SeriesKey;
use crate::frozen::BLOCK;
use crate::options::Options;
use crate::suite::search::parts;
use crate::suite::speed;
use crate::suite::stations::Station;
use crate::threat::Norm;
use crate::{Error, Result};

impl Survey<'_> {
    /// The other defence that an attack steps on, where there is one.
    pub(super) fn surrogate(&self, key: &SeriesKey, station: &Station) -> Result<Option<Oracle>> {
        let Some(name) = self.resolved.attack(key).options.text(SURROGATE) else { return Ok(None) };
        let at = self.resolved.suite.defences.iter().position(|spec| spec.name == name);
        let missing = || Error::input(format!("the surrogate \"{name}\" is no defence of the suite"));
        Ok(Some(self.oracle(at.ok_or_else(missing)?, station)))
    }

    /// A decision of the judge, with few claims and with a full batch of them.
    pub(super) fn decision(&self, at: usize, station: &Station) -> Result<Pace> {
        let oracle = self.oracle(at, station);
        let of = |rows: usize| Ok(speed::measure(&oracle, &self.resolved.data, &*station.data, rows)? * rows as f64 / 1000.0);
        let alone = of(station.info.slots)?;
        let block = Self::block(&oracle, station);
        let one = if block < station.info.slots { of(block)?.min(alone) } else { alone };
        // Workers share what a device computes, and what they do between passes goes on side by side.
        Ok(Pace { one, full: alone * station.workers as f64, alone })
    }

    /// Rows that a device computes together: on the processor those of a block, elsewhere as many as the slots are left where few rows are.
    fn block(stepped: &Oracle, station: &Station) -> usize {
        let slots = station.info.slots;
        if station.handle.setup.is_some() { stepped.width(1, slots) } else { BLOCK.min(slots) }
    }

    /// A worker whose rows step on a defence, or on what attacks on it step on.
    pub(super) fn hand(&self, stepped: &Oracle, station: &Station, device: usize, parts: Vec<Pace>, decision: Pace, turn: f64) -> Hand {
        Hand { device, slots: station.info.slots, block: Self::block(stepped, station), cadence: station.cadence, parts, decision, turn }
    }

    pub(super) fn pace(
        &self,
        at: usize,
        key: &SeriesKey,
        build: &dyn Fn() -> Box<dyn Attack>,
        what: &str,
        station: &Station,
    ) -> Result<Pace> {
        let spec = &self.resolved.suite.defences[at];
        let graphs: Vec<_> = self.resolved.designs[at].iter().map(|design| &design.graph).collect();
        let kind = &self.resolved.attack(key).kind;
        let same = serde_json::to_string(&(graphs, &spec.stack, &spec.ensemble.is_some(), spec.adaptive)).expect("specs are plain JSON");
        let name = format!("{same} {kind} {what} {} {}", key.norm.name(), station.info.name);
        if let Some(pace) = self.paces.borrow().get(&name) {
            return Ok(*pace);
        }
        let (oracle, surrogate) = (self.searched(at, station), self.surrogate(key, station)?);
        let block = Self::block(surrogate.as_ref().unwrap_or(&oracle), station);
        let pace = self.track(station, &oracle, surrogate.as_ref(), key).pace(build, block)?;
        self.paces.borrow_mut().insert(name, pace);
        Ok(pace)
    }

    fn track<'t>(&'t self, station: &'t Station, oracle: &'t Oracle, surrogate: Option<&'t Oracle>, key: &SeriesKey) -> Track<'t> {
        let largest = self.resolved.threat(key).epsilons.last().copied().filter(|&epsilon| epsilon > 0.0);
        let (data, pixels) = (&self.resolved.data, &*station.data);
        Track { station, oracle, surrogate, data, pixels, norm: key.norm, epsilon: largest.unwrap_or(0.1) }
    }

    /// Seconds of a look at the flags, on each device, where the defence is attacked at all.
    pub(super) fn turns(&self, at: usize, keys: &[SeriesKey], decisions: &[Pace]) -> Result<Vec<f64>> {
        let Some(key) = keys.first() else { return Ok(vec![0.0; decisions.len()]) };
        let build = || parts(self.resolved.attack(key), key.norm, &self.resolved.data).remove(0);
        let turn = |(station, &decision): (&Arc<Station>, &Pace)| -> Result<f64> {
            let pace = self.pace(at, key, &build, &format!("{} 0", self.resolved.attack(key).options.canonical()), station)?;
            let (oracle, surrogate) = (self.searched(at, station), self.surrogate(key, station)?);
            self.track(station, &oracle, surrogate.as_ref(), key).turn(&build, pace, decision)
        };
        self.stations.iter().zip(decisions).map(turn).collect()
    }

    /// What the checks run at, on the first device.
    pub(super) fn tester(&self, at: usize, keys: &[SeriesKey], decision: Pace, turn: f64) -> Result<Tester> {
        let station = &self.stations[0];
        let oracle = self.oracle(at, station);
        let mut hand = self.hand(&oracle, station, 0, Vec::new(), decision, turn);
        hand.slots = hand.slots.min(PROBES);
        hand.block = hand.block.min(hand.slots);
        let Some(key) = keys.first() else { return Ok(Tester { hand, gradient: decision, forward: decision }) };
        let norm = if key.norm == Norm::L2 { Norm::L2 } else { Norm::Linf };
        let key = SeriesKey { norm, ..key.clone() };
        let build = |kind: &'static str| {
            let row = ATTACKS.iter().find(|row| row.entry.name == kind).expect("it is in the table");
            let setting = Setting { norm, classes: self.resolved.data.classes, shape: self.resolved.data.shape };
            move || (row.build)(&Options::default(), &setting).remove(0)
        };
        // Under another norm than the suite's the threat's radii would not fit; a step takes as long at any.
        let track = Track { norm, epsilon: 0.1, ..self.track(station, &oracle, None, &SeriesKey { norm: keys[0].norm, ..key }) };
        let block = Self::block(&oracle, station);
        Ok(Tester { hand, gradient: track.pace(&build("pgd"), block)?, forward: track.pace(&build("square"), block)? })
    }
}
