//! Asks a defence whose weights are there: the suite's own attack on a few examples.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::toil::{Errand, Scheme};
use crate::Result;
use crate::attack;
use crate::data::Dataset;
use crate::engine::clean::{self, CleanDecision};
use crate::engine::drive;
use crate::engine::examples::Examples;
use crate::engine::oracle::Oracle;
use crate::evaluate::record::{ExampleOutcomes, SeriesKey};
use crate::evaluate::results::DeviceInfo;
use crate::kernel::random::philox;
use crate::suite::AttackSpec;
use crate::suite::schedule::{Worker, no_other};
use crate::suite::search::{Collected, Search, Staff, parts};
use crate::suite::stations::Station;

/// Examples that are decided on without an attack.
const SAMPLE: usize = 128;

/// Rightly classified ones that are attacked at least and at most, and how long that may take in seconds, all but a few failing to break.
const LEAST: usize = 8;
const MOST: usize = 64;
const BUDGET: f64 = 1.5;

/// An attack is not run where even the least number may take so many seconds.
const TOO_LONG: f64 = 12.0;

/// A word of the random counter that no row uses.
const SAMPLE_STREAM: u32 = u32::MAX - 4;

/// A few examples of a suite and what a defence says of them.
pub(super) struct Sample {
    data: Dataset,
    pixels: Arc<dyn Examples>,
    clean: Vec<CleanDecision>,
    right: Vec<usize>,
}

/// Examples of a set, drawn by a seed.
pub(super) fn sample(data: &Dataset, seed: u64) -> Result<Dataset> {
    let key = [seed as u32, (seed >> 32) as u32];
    let draw = |at: &usize| philox([data.ids[*at], 0, SAMPLE_STREAM, 0], key)[0];
    let mut drawn: Vec<usize> = (0..data.len()).collect();
    drawn.sort_by_key(draw);
    drawn.truncate(SAMPLE);
    let of = |values: &[u32]| drawn.iter().map(|&at| values[at]).collect::<Vec<u32>>();
    let images = drawn.iter().flat_map(|&at| data.image(at)).collect();
    Dataset::new("a sample", data.shape, data.classes, of(&data.ids), images, of(&data.labels))
}

impl Sample {
    /// What a defence says of a sample.
    pub(super) fn new(data: Dataset, oracle: &Oracle, station: &Station, seed: u64) -> Result<Self> {
        let pixels: Arc<dyn Examples> = Arc::new(drive::send(&data, &station.handle.device));
        let clean = clean::decide(oracle, &data, &*pixels, station.info.slots, seed)?;
        let right = (0..data.len()).filter(|&at| clean[at].is_right(data.labels[at])).collect();
        Ok(Self { data, pixels, clean, right })
    }

    /// Share that is classified rightly.
    pub(super) fn share(&self) -> f64 {
        self.right.len() as f64 / self.data.len() as f64
    }

    /// What a series' first part takes on some of them; none where that would take too long. `worst` are the seconds of an example that
    /// does not break, `throws` the passes of a step.
    pub(super) fn errands(&self, ask: &Ask, scheme: &Scheme, worst: f64, throws: u32) -> Result<Vec<Errand>> {
        if worst * LEAST as f64 > TOO_LONG {
            return Ok(Vec::new());
        }
        let count = ((BUDGET / worst.max(1e-9)) as usize).clamp(LEAST, MOST).min(self.right.len());
        let positions = &self.right[..count];
        let Ask { key, spec, seed, station, oracle, surrogate } = *ask;
        let random = attack::random_key(seed, &spec.kind, key.norm, &spec.options);
        let first = parts(spec, key.norm, &self.data).remove(0);
        let search = Search {
            key,
            parts: &[first],
            random,
            data: &self.data,
            clean: &self.clean,
            epsilons: scheme.epsilons,
            shown: &BTreeSet::new(),
        };
        // A device keeps its shape; the processor needs no more slots than there are rows.
        let slots = if station.handle.setup.is_some() { station.info.slots } else { station.info.slots.min(count.max(1)) };
        let info = DeviceInfo { slots, ..station.info.clone() };
        let data = self.pixels.clone();
        let worker = Worker { info, oracle: oracle.clone(), surrogate: surrogate.cloned(), data, cadence: station.cadence };
        let staff = Staff { workers: &|| vec![worker.clone()], renew: &no_other };
        let (looks, _) = search.look(&staff, positions, scheme.walk)?;
        let chain = |position: usize| {
            let chain = search.chain(position, scheme.walk, scheme.epsilons);
            match looks.get(&chain.example) {
                Some(look) => chain.begin_at(look.epsilon, 0, 0),
                None => chain,
            }
        };
        let found = Collected::default();
        search.run(&staff, positions, &chain, &found)?;
        let errand = |outcomes: &ExampleOutcomes| scheme.seen(looks.get(&outcomes.example).map(|look| &look.found), outcomes, throws);
        Ok(found.take().0.iter().map(errand).collect())
    }
}

/// The series that is asked about, and where.
#[derive(Clone, Copy)]
pub(super) struct Ask<'a> {
    pub key: &'a SeriesKey,
    pub spec: &'a AttackSpec,
    pub seed: u64,
    pub station: &'a Station,
    pub oracle: &'a Oracle,
    pub surrogate: Option<&'a Oracle>,
}
