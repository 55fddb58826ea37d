//! Measures how fast an attack steps: short runs through the engine itself, whose rows all take the same number of steps.

use std::sync::{Barrier, Mutex, PoisonError};
use std::time::{Duration, Instant};

use burn::tensor::Tensor;

use super::pace::Pace;
use crate::Result;
use crate::attack::{Attack, Goal, RowPlan, largest_others};
use crate::data::Dataset;
use crate::engine::chain::{Chain, Walk};
use crate::engine::drive::{Drive, Feed};
use crate::engine::examples::Examples;
use crate::engine::judge::Judgement;
use crate::engine::oracle::Oracle;
use crate::engine::slots::Slots;
use crate::evaluate::record::Verdict;
use crate::kernel::row::LAST;
use crate::suite::stations::Station;
use crate::threat::Norm;

/// How long a measurement runs, about, and how many steps it takes at most.
const LONG: Duration = Duration::from_millis(50);
const STEPS: u32 = 50;

/// Batches in a row that tell what letting rows leave and others in takes.
const BATCHES: usize = 6;

/// A defence on a device, with examples to run on.
pub(super) struct Track<'a> {
    pub station: &'a Station,
    pub oracle: &'a Oracle,
    pub surrogate: Option<&'a Oracle>,
    pub data: &'a Dataset,
    pub pixels: &'a dyn Examples,
    pub norm: Norm,
    pub epsilon: f64,
}

/// What a measured run came to.
struct Lap {
    seconds: f64,
    claims: usize,
}

impl Track<'_> {
    /// How fast an attack steps, with few rows and with all slots full, alone and beside the device's other workers.
    pub(super) fn pace(&self, build: &dyn Fn() -> Box<dyn Attack>, block: usize) -> Result<Pace> {
        let slots = self.station.info.slots;
        // The first run makes what later ones reuse: memory, a device's shaders.
        let _ = self.lap(build, 1, slots, self.station.workers)?;
        let full = self.slope(build, slots, self.station.workers)?;
        let alone = if self.station.workers > 1 { self.slope(build, slots, 1)?.min(full) } else { full };
        let one = if slots > block { self.slope(build, block, 1)?.min(alone) } else { alone };
        Ok(Pace { one, full, alone })
    }

    /// Seconds of a look at the flags that lets a batch of rows leave, where a step takes `pace`; judgements are not in it.
    pub(super) fn turn(&self, build: &dyn Fn() -> Box<dyn Attack>, pace: Pace, decision: Pace) -> Result<f64> {
        let slots = self.station.info.slots;
        let lap = |rows| self.lap(build, 1, rows, 1);
        let (once, often) = (lap(slots)?, lap(BATCHES * slots)?);
        let judged = (often.claims as f64 - once.claims as f64).max(0.0) / slots as f64;
        let turn = (often.seconds - once.seconds - judged * decision.alone) / (BATCHES - 1) as f64;
        // A step, and the look at where it led, which asks for no gradient.
        Ok((turn - pace.alone - decision.alone.min(pace.alone)).max(0.0))
    }

    /// Seconds a step: a long run less a short one, the faster of two each.
    fn slope(&self, build: &dyn Fn() -> Box<dyn Attack>, rows: usize, workers: usize) -> Result<f64> {
        let fastest = |steps: u32| -> Result<f64> {
            let first = self.lap(build, steps, rows, workers)?.seconds;
            Ok(if first > LONG.as_secs_f64() * 8.0 { first } else { first.min(self.lap(build, steps, rows, workers)?.seconds) })
        };
        let short = fastest(1)?;
        let more = (2.0 * LONG.as_secs_f64() / short.max(1e-6)).ceil().clamp(3.0, f64::from(STEPS)) as u32;
        Ok(((fastest(1 + more)? - short) / f64::from(more)).max(1e-7))
    }

    /// Runs `rows` rows of so many steps on each of so many workers.
    fn lap(&self, build: &dyn Fn() -> Box<dyn Attack>, steps: u32, rows: usize, workers: usize) -> Result<Lap> {
        let parts: Vec<Vec<Box<dyn Attack>>> =
            (0..workers).map(|_| vec![Box::new(Short { inner: build(), steps }) as Box<dyn Attack>]).collect();
        let (start, ends) = (Barrier::new(workers + 1), Mutex::new(Vec::new()));
        let mut began = Instant::now();
        std::thread::scope(|scope| {
            for parts in &parts {
                let (start, ends) = (&start, &ends);
                scope.spawn(move || {
                    start.wait();
                    let end = self.drive(parts, rows);
                    ends.lock().unwrap_or_else(PoisonError::into_inner).push(end);
                });
            }
            start.wait();
            began = Instant::now();
        });
        let seconds = began.elapsed().as_secs_f64();
        let ends = ends.into_inner().unwrap_or_else(PoisonError::into_inner);
        let claims = ends.into_iter().sum::<Result<usize>>()?;
        Ok(Lap { seconds, claims })
    }

    fn drive(&self, parts: &[Box<dyn Attack>], rows: usize) -> Result<usize> {
        let mut feed = Rows { track: self, ranks: parts[0].ranks(), goal: parts[0].goal(), given: 0, rows, claims: 0 };
        let drive = Drive {
            oracle: self.oracle,
            surrogate: self.surrogate,
            data: self.pixels,
            parts,
            norm: self.norm,
            key: [0, 0],
            slots: self.station.info.slots,
            cadence: self.station.cadence,
        };
        drive.run(&mut feed)?;
        Ok(feed.claims)
    }
}

/// Hands out rows over the examples, as often as it takes.
struct Rows<'a> {
    track: &'a Track<'a>,
    ranks: u32,
    goal: Goal,
    given: usize,
    rows: usize,
    claims: usize,
}

impl Feed for Rows<'_> {
    fn take(&mut self) -> Option<Chain> {
        let data = self.track.data;
        let at = self.given % data.len();
        self.given += 1;
        (self.given <= self.rows).then(|| {
            let mut chain = Chain::new(at, data.ids[at], data.labels[at], Walk::Each, 1, &[self.track.epsilon]);
            if self.goal != Goal::Untargeted {
                chain.target = (chain.label + 1) % data.classes as u32;
            }
            chain.ranks = largest_others(chain.label, &vec![0.0; data.classes], self.ranks as usize);
            chain
        })
    }

    fn wants_point(&self, _: &Chain) -> bool {
        false
    }

    fn point(&mut self, _: &Chain, _: Judgement) {}

    fn finish(&mut self, chain: Chain) -> Result<()> {
        self.claims += usize::from(chain.outcomes().outcomes[0].verdict == Verdict::Broken);
        Ok(())
    }
}

/// An attack whose rows take so many steps and no fewer, one row an example.
struct Short {
    inner: Box<dyn Attack>,
    steps: u32,
}

impl Attack for Short {
    fn goal(&self) -> Goal {
        self.inner.goal()
    }

    fn plan(&self, epsilon: f32, attempt: u32, kept: bool) -> RowPlan {
        let plan = self.inner.plan(epsilon, attempt, kept);
        RowPlan { steps: self.steps, flags: plan.flags | LAST, counts_from: 0, ..plan }
    }

    fn ranks(&self) -> u32 {
        self.inner.ranks()
    }

    fn planes(&self) -> usize {
        self.inner.planes()
    }

    fn draws(&self) -> Option<u32> {
        self.inner.draws()
    }

    fn surrogate(&self) -> Option<&str> {
        self.inner.surrogate()
    }

    fn uses_gradients(&self) -> bool {
        self.inner.uses_gradients()
    }

    fn start(&self, slots: &mut Slots) {
        self.inner.start(slots);
    }

    fn advance(&self, slots: &mut Slots, gradient: Option<Tensor<2>>) {
        self.inner.advance(slots, gradient);
    }

    fn candidates(&self, slots: &Slots) -> Tensor<2> {
        self.inner.candidates(slots)
    }
}
