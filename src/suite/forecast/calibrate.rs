//! The short calibration: how fast this machine runs a suite's defences, attacks, trainings and certificates, and, where weights are
//! there already, what their examples take. Nothing is kept and nothing is written.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

use super::checks::Watched;
use super::guess::boundaries;
use super::pace::Pace;
use super::probe::{Ask, Sample, sample};
use super::series::{Crew, bounds};
use super::toil::{Errand, Scheme};
use super::training::Course;
use super::{Basis, Forecast, Item, Kind, Span, checks, lessons, series};
use crate::Result;
use crate::attack::Parts;
use crate::certify::Example;
use crate::defence::{Prepared, Thresholds, Workshop, cached_at, calibrate as thresholds, drawn, ready};
use crate::device;
use crate::engine::base::Combine;
use crate::engine::chain::Walk;
use crate::engine::oracle::Oracle;
use crate::evaluate::checks::PROBES;
use crate::evaluate::record::SeriesKey;
use crate::report;
use crate::suite::DefenceSpec;
use crate::suite::made::{Made, on};
use crate::suite::resolved::Resolved;
use crate::suite::run::RunRequest;
use crate::suite::schedule::check_interrupt;
use crate::suite::search::{parts, scout, walk};
use crate::suite::stations::{Station, stations};

/// Certificates are timed on so many examples, or for so many seconds.
const CERTIFIED: usize = 16;
const CERTIFYING: f64 = 1.0;

/// Measures and foretells. `reading` are the seconds that reading the suite and its data took.
///
/// # Errors
/// Devices that cannot be had; a cache of weights that cannot be read; a user's interrupt.
pub fn forecast(request: &RunRequest, resolved: &Resolved, reading: f64) -> Result<Forecast> {
    let began = Instant::now();
    let choices = device::parse(&request.device)?.resolve()?;
    let stations = stations(request, resolved, &choices)?.all();
    let opening = began.elapsed().as_secs_f64();
    let survey = Survey::new(request, resolved, &stations)?;
    let mut items = vec![Item::exactly(Kind::Start, reading + opening)];
    items.extend(survey.trainings()?);
    for (at, spec) in resolved.suite.defences.iter().enumerate() {
        items.extend(survey.defence(at, spec)?);
    }
    items.push(Item::exactly(Kind::Report, survey.report()?));
    let workers = stations.iter().map(|station| (station.info.clone(), station.workers)).collect();
    Ok(Forecast::new(items, workers, began.elapsed().as_secs_f64()))
}

/// A defence with weights: its own, or those that its training would start from.
struct Candidate {
    made: Made,
    /// Members whose training is still to come.
    missing: Vec<usize>,
}

/// A suite on its devices.
pub(super) struct Survey<'a> {
    request: &'a RunRequest,
    pub(super) resolved: &'a Resolved,
    pub(super) stations: &'a [Arc<Station>],
    candidates: Vec<Candidate>,
    /// Paces by what they depend on: several defences may be one network with other weights.
    pub(super) paces: RefCell<BTreeMap<String, Pace>>,
}

fn workshop<'a>(request: &'a RunRequest, resolved: &'a Resolved, stations: &'a [Arc<Station>]) -> Workshop<'a> {
    let first = &stations[0];
    Workshop { cache: &request.weights, device: &first.handle.device, device_name: &first.info.name, data: resolved.train.as_ref() }
}

impl<'a> Survey<'a> {
    fn new(request: &'a RunRequest, resolved: &'a Resolved, stations: &'a [Arc<Station>]) -> Result<Self> {
        let workshop = workshop(request, resolved, stations);
        let mut candidates = Vec::new();
        for (spec, designs) in resolved.suite.defences.iter().zip(&resolved.designs) {
            let (mut members, mut missing): (Vec<Prepared>, Vec<usize>) = Default::default();
            for (at, (member, design)) in spec.members().iter().zip(designs).enumerate() {
                members.push(match ready(member, design, &workshop)? {
                    Some(prepared) => prepared,
                    None => {
                        missing.push(at);
                        drawn(design, workshop.device)?
                    }
                });
            }
            let combine = spec.ensemble.as_ref().map_or(Combine::MeanLogits, |ensemble| ensemble.combine);
            let mut made = Made { members, combine, thresholds: Thresholds::default() };
            if let (true, true, Some(train)) = (missing.is_empty(), spec.is_calibrated(), &resolved.train) {
                made.thresholds = thresholds(&spec.stack, &made.on(workshop.device), train, workshop.device)?;
            }
            candidates.push(Candidate { made, missing });
        }
        Ok(Self { request, resolved, stations, candidates, paces: Default::default() })
    }

    /// The defence at a place on a device.
    pub(super) fn oracle(&self, at: usize, station: &Station) -> Oracle {
        on(&self.resolved.suite.defences[at], &self.candidates[at].made, station)
    }

    /// The same as attacks search on it.
    pub(super) fn searched(&self, at: usize, station: &Station) -> Oracle {
        let oracle = self.oracle(at, station);
        if self.resolved.suite.precision.is_single() { oracle } else { oracle.with_half() }
    }

    /// Each training that is still to come, once. Those of one method on one network differ in their seeds alone.
    fn trainings(&self) -> Result<Vec<Item>> {
        let (mut items, mut met, mut courses) = (Vec::new(), BTreeSet::new(), BTreeMap::<String, Course>::new());
        let workshop = workshop(self.request, self.resolved, self.stations);
        for (at, spec) in self.resolved.suite.defences.iter().enumerate() {
            let (members, designs) = (spec.members(), &self.resolved.designs[at]);
            for &missing in &self.candidates[at].missing {
                check_interrupt()?;
                let (member, design) = (&members[missing], &designs[missing]);
                let (Some(method), Some(data)) = (&member.train, &self.resolved.train) else { continue };
                if !met.insert(cached_at(member, design, data, &workshop)) {
                    continue;
                }
                let like = serde_json::to_string(&(method, &design.graph)).expect("specs are plain JSON");
                let course = match courses.get(&like) {
                    Some(course) => *course,
                    None => lessons::course(member, method, design, data, workshop.device)?,
                };
                courses.insert(like, course);
                let seconds = Span::around(course.seconds(), course.least(), course.seconds());
                items.push(Item { kind: Kind::Training { defence: member.name.clone() }, seconds, basis: Basis::Measured });
            }
        }
        Ok(items)
    }

    /// Everything about a defence but its training, in the order in which a run does it.
    fn defence(&self, at: usize, spec: &DefenceSpec) -> Result<Vec<Item>> {
        let Self { resolved, stations, .. } = *self;
        let candidate = &self.candidates[at];
        let first = &stations[0];
        let decisions: Vec<Pace> = stations.iter().map(|station| self.decision(at, station)).collect::<Result<_>>()?;
        let batches = resolved.data.len().div_ceil(first.info.slots) + 3;
        let mut items = vec![Item::exactly(Kind::Clean { defence: spec.name.clone() }, batches as f64 * decisions[0].alone)];
        let seed = resolved.suite.seed;
        let known = candidate.missing.is_empty();
        let sample = if known { Some(Sample::new(sample(&resolved.data, seed)?, &self.oracle(at, first), first, seed)?) } else { None };
        let right = sample.as_ref().map_or(1.0, Sample::share) * resolved.data.len() as f64;
        let keys: Vec<SeriesKey> = resolved.series().into_iter().filter(|key| key.defence == spec.name).collect();
        let turns = self.turns(at, &keys, &decisions)?;
        let mut watched: Vec<(&SeriesKey, Parts)> = Vec::new();
        for key in &keys {
            check_interrupt()?;
            items.push(self.series(at, key, &decisions, &turns, sample.as_ref(), right.round() as usize)?);
            watched.push((key, parts(resolved.attack(key), key.norm, &resolved.data)));
        }
        items.extend(self.certificates(at, spec)?);
        if self.request.checks {
            let watched: Vec<Watched> =
                watched.iter().map(|(key, parts)| Watched { spec: resolved.attack(key), norm: key.norm, parts }).collect();
            let tester = self.tester(at, &keys, decisions[0], turns[0])?;
            let [low, guess, high] = checks::seconds(&watched, &tester, PROBES.min(right.round() as usize));
            items.push(Item {
                kind: Kind::Checks { defence: spec.name.clone() },
                seconds: Span { low, guess, high },
                basis: Basis::Assumed,
            });
        }
        Ok(items)
    }

    fn series(&self, at: usize, key: &SeriesKey, decisions: &[Pace], turns: &[f64], sample: Option<&Sample>, right: usize) -> Result<Item> {
        let resolved = self.resolved;
        let (spec, threat) = (resolved.attack(key), resolved.threat(key));
        let all = parts(spec, key.norm, &resolved.data);
        let walk = walk(&all, threat);
        let scout_attack = scout(&all, walk, &threat.epsilons);
        let scheme = Scheme { parts: &all, scout: scout_attack.as_deref(), walk, epsilons: &threat.epsilons };
        let mut crew = Crew { attack: Vec::new(), look: Vec::new() };
        for (number, station) in self.stations.iter().enumerate() {
            let mut paces = Vec::new();
            for part in 0..all.len() {
                let build = || parts(spec, key.norm, &resolved.data).remove(part);
                paces.push(self.pace(at, key, &build, &format!("{} {part}", spec.options.canonical()), station)?);
            }
            let surrogate = self.surrogate(key, station)?;
            let stepped = surrogate.unwrap_or_else(|| self.searched(at, station));
            let hand = self.hand(&stepped, station, number, paces, decisions[number], turns[number]);
            if scheme.scout.is_some() {
                let build = || scout(&all, walk, &threat.epsilons).expect("it was there a moment ago");
                let look = hand.at(self.pace(at, key, &build, "scout", station)?);
                crew.look.extend(std::iter::repeat_n(look, station.workers));
            }
            crew.attack.extend(std::iter::repeat_n(hand, station.workers));
        }
        let kind = Kind::Series { defence: key.defence.clone(), attack: key.attack.clone(), norm: key.norm };
        let [low, high] = bounds(&scheme, &crew, right);
        let seen = match sample {
            Some(sample) => self.seen(at, key, &scheme, &crew, sample)?,
            None => Vec::new(),
        };
        if seen.is_empty() {
            let spec = &resolved.suite.defences[at];
            let errands: Vec<_> = boundaries(spec, threat).into_iter().map(|boundary| scheme.assumed(boundary)).collect();
            let guess = series::seconds(&scheme, &crew, &errands, right);
            return Ok(Item { kind, seconds: Span::around(guess, low, high), basis: Basis::Assumed });
        }
        let guess = series::seconds(&scheme, &crew, &seen, right);
        let spread = series::spread(&crew, &seen) * guess;
        let seconds = Span::around(guess, (guess - spread).max(low), (guess + spread).min(high));
        Ok(Item { kind, seconds, basis: Basis::Probed { examples: seen.len() } })
    }

    fn seen(&self, at: usize, key: &SeriesKey, scheme: &Scheme, crew: &Crew, sample: &Sample) -> Result<Vec<Errand>> {
        let station = &self.stations[0];
        let oracle = self.searched(at, station);
        let surrogate = self.surrogate(key, station)?;
        let stepped = surrogate.as_ref().unwrap_or(&oracle);
        let first = &scheme.parts[0];
        let throws = stepped.throws(first.draws());
        let rows = scheme.epsilons.iter().filter(|&&epsilon| epsilon > 0.0).count() as f64;
        let rows = if scheme.walk == Walk::Descending { rows.min(2.0) } else { rows };
        let steps = f64::from(first.attempts()) * f64::from(first.plan(1.0, 0, false).steps + 1);
        let worst = rows * steps * crew.attack[0].parts[0].alone / station.info.slots as f64;
        let spec = self.resolved.attack(key);
        let ask = Ask { key, spec, seed: self.resolved.suite.seed, station, oracle: &oracle, surrogate: surrogate.as_ref() };
        sample.errands(&ask, scheme, worst, throws)
    }

    fn certificates(&self, at: usize, spec: &DefenceSpec) -> Result<Vec<Item>> {
        let (data, station) = (&self.resolved.data, &self.stations[0]);
        let mut items = Vec::new();
        for planned in self.resolved.certificates.iter().filter(|planned| planned.defence == spec.name) {
            let [alone] = &self.candidates[at].made.members[..] else { continue };
            let certifier = self.resolved.certifier(spec, alone, planned, &station.handle.device, station.info.slots)?;
            let key = SeriesKey { defence: spec.name.clone(), attack: planned.certificate.clone(), norm: planned.norm };
            let epsilons = &self.resolved.threat(&key).epsilons;
            let began = Instant::now();
            let mut done = 0;
            while done < CERTIFIED.min(data.len()) && (done == 0 || began.elapsed().as_secs_f64() < CERTIFYING) {
                check_interrupt()?;
                // One at first: on a large network it may take longer than all that is to be spent.
                let last = (done + if done == 0 { 1 } else { certifier.at_once().min(CERTIFIED) }).min(data.len());
                let images: Vec<Vec<f32>> = (done..last).map(|at| data.image(at)).collect();
                let example = |(at, image)| Example { id: data.ids[at], image, label: data.labels[at] };
                let examples: Vec<Example> = (done..last).zip(images.iter().map(Vec::as_slice)).map(example).collect();
                certifier.certify(&examples, planned.norm, epsilons)?;
                done = last;
            }
            let seconds = began.elapsed().as_secs_f64() * data.len() as f64 / done as f64;
            let kind = Kind::Certificate { defence: spec.name.clone(), certificate: planned.certificate.clone(), norm: planned.norm };
            items.push(Item::exactly(kind, seconds));
        }
        Ok(items)
    }

    /// Tables are nothing beside plots.
    fn report(&self) -> Result<f64> {
        let suite = &self.resolved.suite;
        let epsilons =
            suite.threats.iter().map(|threat| threat.epsilons.iter().filter(|&&epsilon| epsilon > 0.0).count()).collect::<Vec<_>>();
        let plots = report::plots_of(&epsilons, suite.defences.len(), self.resolved.certificates.len());
        Ok(plots as f64 * report::seconds_a_plot()?)
    }
}
