//! From two runs' stores to their comparison.

use std::collections::BTreeMap;
use std::slice::from_ref;

use super::{Comparison, Kind, Pair, Side, Subject, Unpaired};
use crate::evaluate::accuracy::Clean;
use crate::evaluate::record::{ExampleOutcomes, SeriesKey};
use crate::evaluate::standing::{self, Attacked, Standing};
use crate::nearest::nearest;
use crate::report::entries;
use crate::report::gather::{Gathered, clean, gather};
use crate::store::{DefenceRecord, Store};
use crate::threat::Norm;
use crate::{Error, Result};

/// Which defences to compare; where nothing is chosen, each with its namesake.
#[derive(Clone, Debug, Default)]
pub struct Choice {
    /// A defence of A.
    pub defence: Option<String>,
    /// The defence of B to hold against it; its namesake where none is chosen. Means nothing without a defence of A.
    pub with: Option<String>,
}

/// Compares run A with run B, which may be the same one.
///
/// # Errors
/// Bad input: the runs attacked different examples, a chosen defence is in neither, or nothing can be compared. The store: one cannot be
/// read.
pub fn compare(a: &Store, b: &Store, choice: &Choice) -> Result<Comparison> {
    compare_all(a, b, from_ref(choice), &Default::default())
}

/// As [`compare`], of several choices at once; `alone` are defences of A, and of B, that have no counterpart.
///
/// # Errors
/// As [`compare`].
pub fn compare_all(a: &Store, b: &Store, choices: &[Choice], alone: &[Vec<String>; 2]) -> Result<Comparison> {
    let runs = [Run::read(a)?, Run::read(b)?];
    let [of_a, of_b] = &runs;
    same_data(of_a, of_b)?;
    let mut found = Found { runs: &runs, pairs: Vec::new(), unpaired: [Vec::new(), Vec::new()] };
    for choice in choices {
        match &choice.defence {
            Some(defence) => {
                let with = choice.with.as_ref().unwrap_or(defence);
                let option = if choice.with.is_some() { "--with" } else { "--defence" };
                let errors = [of_a.knows(defence, "--defence"), of_b.knows(with, option)].into_iter().filter_map(Result::err).collect();
                if let Some(error) = Error::many("the defences cannot be compared", errors) {
                    return Err(error);
                }
                found.defences([defence, with])?;
            }
            None => {
                for (side, name) in of_a.names().map(|name| (0, name)).chain(of_b.names().map(|name| (1, name))) {
                    match runs[1 - side].names().any(|other| other == name) {
                        true if side == 0 => found.defences([name, name])?,
                        true => {}
                        false => found.alone(side, name, false),
                    }
                }
            }
        }
    }
    for (side, names) in alone.iter().enumerate() {
        names.iter().for_each(|name| found.alone(side, name, false));
    }
    let Found { pairs, unpaired: [only_a, only_b], .. } = found;
    if pairs.is_empty() {
        return Err(nothing_in_common(of_a, of_b));
    }
    let (notes, unlike_attacks) = differences(of_a, of_b)?;
    let data = of_a.gathered.layout.data.clone();
    let mut comparison = Comparison { a: of_a.side(), b: of_b.side(), data, notes, unlike_attacks, pairs, only_a, only_b };
    comparison.correct();
    Ok(comparison)
}

/// A run as it was read.
struct Run<'a> {
    store: &'a Store,
    gathered: Gathered,
}

/// A finished series of a defence.
struct Finished {
    attack: String,
    outcomes: Vec<ExampleOutcomes>,
    /// For every epsilon the examples.
    standings: Vec<Vec<Standing>>,
}

impl<'a> Run<'a> {
    fn read(store: &'a Store) -> Result<Self> {
        Ok(Self { store, gathered: gather(store)? })
    }

    fn names(&self) -> impl Iterator<Item = &str> {
        self.gathered.layout.defences.iter().map(String::as_str)
    }

    fn folder(&self) -> String {
        self.store.folder().display().to_string()
    }

    fn side(&self) -> Side {
        let results = &self.gathered.results;
        let (suite, version) = (results.suite.clone(), results.version.clone());
        Side { run: self.folder(), suite, seed: results.seed, version, complete: results.complete }
    }

    fn knows(&self, defence: &str, option: &str) -> Result<()> {
        let names: Vec<&str> = self.names().collect();
        if names.contains(&defence) {
            return Ok(());
        }
        let meant = nearest(defence, names.iter().copied()).map_or(String::new(), |name| format!("did you mean {name:?}? "));
        Err(Error::input(format!("{option} {defence}: {} has no such defence", self.folder()))
            .help(format!("{meant}it has {}", names.join(", "))))
    }

    fn epsilons(&self, norm: Norm) -> &[f64] {
        self.gathered.layout.threats.iter().find(|threat| threat.norm == norm).map_or(&[], |threat| &threat.epsilons)
    }

    fn clean<'r>(&'r self, record: &'r DefenceRecord) -> Clean<'r> {
        clean(&self.gathered.layout, record)
    }

    /// The attacks on a defence by norm, both in the suite's order.
    fn planned(&self, defence: &str) -> impl Iterator<Item = &SeriesKey> {
        self.gathered.layout.series.iter().filter(move |key| key.defence == defence)
    }

    fn finished(&self, key: &SeriesKey, clean: &Clean) -> Result<Option<Finished>> {
        let outcomes = self.store.outcomes(key)?;
        let standings = standing::in_cells(key, self.epsilons(key.norm), clean, &outcomes)?;
        Ok(standings.map(|standings| Finished { attack: key.attack.clone(), outcomes, standings }))
    }
}

/// What is found as defences are compared.
struct Found<'a> {
    runs: &'a [Run<'a>; 2],
    pairs: Vec<Pair>,
    unpaired: [Vec<Unpaired>; 2],
}

impl Found<'_> {
    /// Takes down all finished cells of a defence that the other run does not have, or has not begun.
    fn alone(&mut self, side: usize, defence: &str, unfinished: bool) {
        let run = &self.runs[side];
        let Gathered { results, .. } = &run.gathered;
        if results.defences.iter().all(|known| known.name != defence) {
            return;
        }
        let is_finished = |key: &&SeriesKey| {
            results.cells.iter().any(|cell| cell.defence == key.defence && cell.attack == key.attack && cell.norm == key.norm)
        };
        let entry = |attack: &str, norm: Option<Norm>| Unpaired {
            defence: defence.to_owned(),
            attack: attack.to_owned(),
            norm,
            epsilons: norm.map_or(Vec::new(), |norm| run.epsilons(norm).to_vec()),
            unfinished,
        };
        let mut entries = vec![entry("clean", None)];
        entries.extend(run.planned(defence).filter(is_finished).map(|key| entry(&key.attack, Some(key.norm))));
        self.unpaired[side].append(&mut entries);
    }

    /// Compares a defence of A with one of B.
    fn defences(&mut self, names: [&str; 2]) -> Result<()> {
        let [a, b] = self.runs;
        let records = [a.store.defence(names[0])?, b.store.defence(names[1])?];
        let (Some(record_a), Some(record_b)) = (&records[0], &records[1]) else {
            for side in (0..2).filter(|&side| records[side].is_some()) {
                self.alone(side, names[side], true);
            }
            return Ok(());
        };
        let clean = [a.clean(record_a), b.clean(record_b)];
        let subject = |kind, attacks: Vec<String>, threat: Option<(Norm, f64)>| Subject {
            kind,
            defences: names.map(str::to_owned),
            attacks,
            norm: threat.map(|(norm, _)| norm),
            epsilon: threat.map(|(_, epsilon)| epsilon),
        };
        let (ids, labels) = (clean[0].ids, clean[0].labels);
        let standings = [standing::clean(&clean[0])?, standing::clean(&clean[1])?];
        self.pairs.push(Pair::new(subject(Kind::Clean, Vec::new(), None), ids, labels, &standings[0], &standings[1]));
        for norm in Norm::ALL {
            let shared = self.series(names, norm, &clean)?;
            let radii = [a.epsilons(norm), b.epsilons(norm)];
            let places = |epsilon: f64| radii.map(|radii| radii.iter().position(|&radius| radius == epsilon));
            // At epsilon 0 nothing can be changed: the clean decisions say it already.
            let common: Vec<(f64, [usize; 2])> = radii[0]
                .iter()
                .filter(|epsilon| **epsilon > 0.0)
                .filter_map(|&epsilon| {
                    let [a, b] = places(epsilon);
                    Some((epsilon, [a?, b?]))
                })
                .collect();
            for [of_a, of_b] in &shared {
                for &(epsilon, [in_a, in_b]) in &common {
                    let subject = subject(Kind::Cell, vec![of_a.attack.clone()], Some((norm, epsilon)));
                    self.pairs.push(Pair::new(subject, ids, labels, &of_a.standings[in_a], &of_b.standings[in_b]));
                }
            }
            if shared.is_empty() {
                continue;
            }
            let worst = |side: usize| {
                let attacks: Vec<Attacked> =
                    shared.iter().map(|pair| Attacked { outcomes: &pair[side].outcomes, standings: &pair[side].standings }).collect();
                standing::in_worst_case(names[side], norm, radii[side], &clean[side], &attacks)
            };
            let (worst_a, worst_b) = (worst(0)?, worst(1)?);
            for &(epsilon, [in_a, in_b]) in &common {
                let attacks = shared.iter().map(|pair| pair[0].attack.clone()).collect();
                let subject = subject(Kind::WorstCase, attacks, Some((norm, epsilon)));
                self.pairs.push(Pair::new(subject, ids, labels, &worst_a[in_a], &worst_b[in_b]));
            }
        }
        Ok(())
    }

    /// The series under a norm that both have finished; takes down what only one has.
    fn series(&mut self, names: [&str; 2], norm: Norm, clean: &[Clean; 2]) -> Result<Vec<[Finished; 2]>> {
        let planned: [Vec<&SeriesKey>; 2] =
            [0, 1].map(|side| self.runs[side].planned(names[side]).filter(|key| key.norm == norm).collect());
        let radii = [0, 1].map(|side| self.runs[side].epsilons(norm));
        let mut finished: [BTreeMap<&str, Finished>; 2] = Default::default();
        for side in 0..2 {
            for key in &planned[side] {
                finished[side].extend(self.runs[side].finished(key, &clean[side])?.map(|found| (key.attack.as_str(), found)));
            }
        }
        for side in 0..2 {
            let other = 1 - side;
            for key in planned[side].iter().filter(|key| finished[side].contains_key(key.attack.as_str())) {
                let paired = finished[other].contains_key(key.attack.as_str());
                let epsilons: Vec<f64> = radii[side].iter().copied().filter(|epsilon| !paired || !radii[other].contains(epsilon)).collect();
                if !epsilons.is_empty() {
                    let unfinished = !paired && planned[other].iter().any(|planned| planned.attack == key.attack);
                    let (defence, attack) = (key.defence.clone(), key.attack.clone());
                    self.unpaired[side].push(Unpaired { defence, attack, norm: Some(norm), epsilons, unfinished });
                }
            }
        }
        let [mut of_a, mut of_b] = finished;
        Ok(planned[0].iter().filter_map(|key| Some([of_a.remove(key.attack.as_str())?, of_b.remove(key.attack.as_str())?])).collect())
    }
}

fn same_data(a: &Run, b: &Run) -> Result<()> {
    let [of_a, of_b] = [a, b].map(|run| &run.gathered.layout);
    if of_a.data.hash == of_b.data.hash && of_a.ids == of_b.ids && of_a.labels == of_b.labels {
        return Ok(());
    }
    let told = |run: &Run| {
        let data = &run.gathered.layout.data;
        format!("{}: {} examples of {}, hash {}", run.folder(), data.examples, data.name, data.hash)
    };
    Err(Error::input(format!("the runs attacked different examples, so that none can be paired; {}; {}", told(a), told(b)))
        .help("run both suites on the same data, split and number of examples"))
}

fn nothing_in_common(a: &Run, b: &Run) -> Error {
    let told = |run: &Run| {
        let names: Vec<&str> = run.names().collect();
        format!("{} has the defences {}", run.folder(), names.join(", "))
    };
    Error::input(format!("the runs have no decided defence in common: {}; {}", told(a), told(b)))
        .help("name the two to compare with --defence and --with, or finish the runs")
}

/// What else differs, a sentence each, and the attacks of one name that the suites describe differently.
fn differences(a: &Run, b: &Run) -> Result<(Vec<String>, Vec<String>)> {
    let [of_a, of_b] = [a, b].map(|run| &run.gathered);
    let mut notes = Vec::new();
    let mut unlike = Vec::new();
    let mut note = |what: &str, a: String, b: String| {
        if a != b {
            notes.push(format!("{what} differs: {a} in A, {b} in B"));
        }
    };
    note("the seed", of_a.results.seed.to_string(), of_b.results.seed.to_string());
    note("the version", of_a.results.version.clone(), of_b.results.version.clone());
    let devices = |run: &Gathered| run.results.devices.iter().map(|device| device.name.clone()).collect::<Vec<_>>().join(", ");
    note("the device", devices(of_a), devices(of_b));
    for threat in &of_a.layout.threats {
        if let Some(other) = of_b.layout.threats.iter().find(|other| other.norm == threat.norm) {
            let what = format!("the sweep under {}", threat.norm.name());
            note(&what, format!("{:?}", threat.sweep).to_lowercase(), format!("{:?}", other.sweep).to_lowercase());
        }
    }
    let others = entries::attacks(&of_b.layout.suite)?;
    for entry in entries::attacks(&of_a.layout.suite)? {
        if let Some(other) = others.iter().find(|other| other.name == entry.name && **other != entry) {
            note(&format!("attack {}", entry.name), entry.to_string(), other.to_string());
            unlike.push(entry.name);
        }
    }
    for (run, side) in [(of_a, "A"), (of_b, "B")] {
        if !run.results.complete {
            notes.push(format!("{side} is not finished: {} of {} cells are there", run.results.cells.len(), run.results.planned));
        }
    }
    Ok((notes, unlike))
}
