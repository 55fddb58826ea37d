//! From a run's store to everything that a report is made from.

use std::collections::BTreeMap;

use super::TrainingCurve;
use super::exports::SeriesRows;
use crate::evaluate::accuracy::{self, Clean};
use crate::evaluate::cost;
use crate::evaluate::differences;
use crate::evaluate::gains;
use crate::evaluate::record::{ExampleOutcomes, SeriesKey, Specimen};
use crate::evaluate::results::{CertificateTiming, Check, DefenceInfo, Group, Results};
use crate::store::{DefenceRecord, Store};
use crate::suite::resolved::Layout;
use crate::suite::{certify, checks, speed};
use crate::threat::Threat;
use crate::{Error, Result};

/// A run as its store has it.
pub struct Gathered {
    /// The numbers.
    pub results: Results,
    /// The gallery.
    pub specimens: Vec<Specimen>,
    /// How the defences were trained.
    pub training: Vec<TrainingCurve>,
    /// What was planned, and on which examples.
    pub layout: Layout,
    defences: BTreeMap<String, DefenceRecord>,
}

/// Reads a run, finished or not.
///
/// # Errors
/// A store that cannot be read, or holds no run.
pub fn gather(store: &Store) -> Result<Gathered> {
    let layout = store
        .fact("layout")?
        .ok_or_else(|| Error::store(format!("{} holds a run that never began", store.folder().display())).help("run its suite again"))?;
    let layout: Layout = read(&layout, "the plan")?;
    let mut defences = BTreeMap::new();
    let mut infos = Vec::new();
    let mut training = Vec::new();
    let mut found: Vec<Check> = Vec::new();
    for name in &layout.defences {
        if let Some(record) = store.defence(name)? {
            infos.push(read::<DefenceInfo>(&record.info, name)?);
            defences.insert(name.clone(), record);
        }
        found.extend(checks::of(store, name)?.into_iter().map(|checked| checked.check));
    }
    for name in layout.defences.iter().chain(&layout.members) {
        if let Some(history) = store.training(name)? {
            training.push(TrainingCurve { defence: name.clone(), epochs: read(&history, name)? });
        }
    }
    let mut cells = Vec::new();
    let mut by_threat: BTreeMap<(usize, usize), Vec<Vec<ExampleOutcomes>>> = BTreeMap::new();
    for key in &layout.series {
        let Some(record) = defences.get(&key.defence) else { continue };
        let outcomes = store.outcomes(key)?;
        cells.extend(accuracy::cells(key, epsilons(&layout, key)?, &clean(&layout, record), &outcomes)?);
        by_threat.entry(place(&layout, key)?).or_default().push(outcomes);
    }
    let mut worst_case = Vec::new();
    let mut left: Vec<Left> = Vec::new();
    for ((defence, threat), series) in &by_threat {
        let (name, threat) = (&layout.defences[*defence], &layout.threats[*threat]);
        let series: Vec<&[ExampleOutcomes]> = series.iter().map(Vec::as_slice).collect();
        let clean = clean(&layout, &defences[name]);
        worst_case.extend(accuracy::worst_case(name, threat.norm, &threat.epsilons, &clean, &series)?);
        let robust = accuracy::survivors(&threat.epsilons, &clean, &series)?;
        // What attacks do not know is no rival: its numbers are apparent.
        if let Some(info) = infos.iter().find(|info| info.name == *name && info.adaptive && !robust.is_empty()) {
            left.push(Left { recipe: info.recipe.as_ref().unwrap_or(name), threat, robust });
        }
    }
    let groups = layout.threats.iter().flat_map(|threat| groups(threat, &left)).collect();
    let identity = store.identity();
    let seconds = infos.iter().map(|info| speed::of(store, &info.name)).collect::<Result<_>>()?;
    let mut timing = cost::timing(&store.timing()?, &cells, seconds);
    let mut certified = Vec::new();
    for planned in &layout.certificates {
        let record = certify::of(store, planned)?;
        let threat = layout.threats.iter().find(|threat| threat.norm == planned.norm);
        let epsilons = threat.ok_or_else(|| damaged(&planned.certificate, "its norm has no threat"))?.epsilons.as_slice();
        certified.extend(accuracy::certified(planned, epsilons, &layout.ids, &record.certificates));
        let certify::Planned { defence, certificate, norm, .. } = planned.clone();
        timing.certificates.push(CertificateTiming { defence, certificate, norm, seconds: record.seconds });
    }
    let pairs: Vec<(String, String)> =
        layout.unknown.iter().filter_map(|(unknown, known)| Some((unknown.clone(), known.clone()?))).collect();
    let apparent_gains = gains::gains(&pairs, &cells, &worst_case);
    let results = Results {
        suite: identity.title.clone(),
        seed: identity.seed,
        version: identity.version.clone(),
        complete: checks::is_complete(store)? && cells.len() == layout.planned,
        planned: layout.planned,
        devices: store.devices()?,
        data: layout.data.clone(),
        defences: infos,
        cells,
        apparent_gains,
        worst_case,
        groups,
        checks: found,
        hardened: checks::hardened(store)?.unwrap_or_default(),
        certified,
        uncertified: layout.refused.clone(),
        timing,
    };
    Ok(Gathered { results, specimens: store.specimens()?, training, layout, defences })
}

/// Who is left of a defence in the worst case under a threat: for every epsilon the examples.
struct Left<'a> {
    recipe: &'a str,
    threat: &'a Threat,
    robust: Vec<Vec<bool>>,
}

/// The groups of the recipes that have finished under a threat.
fn groups(threat: &Threat, left: &[Left]) -> Vec<Group> {
    let mut recipes: Vec<(&str, Vec<&Left>)> = Vec::new();
    for weights in left.iter().filter(|left| left.threat.norm == threat.norm) {
        match recipes.iter_mut().find(|(recipe, _)| *recipe == weights.recipe) {
            Some((_, all)) => all.push(weights),
            None => recipes.push((weights.recipe, vec![weights])),
        }
    }
    if recipes.len() < 2 {
        return Vec::new();
    }
    let mut found = Vec::new();
    for (index, &epsilon) in threat.epsilons.iter().enumerate() {
        let verdicts: Vec<Vec<&[bool]>> =
            recipes.iter().map(|(_, weights)| weights.iter().map(|left| left.robust[index].as_slice()).collect()).collect();
        found.extend(recipes.iter().zip(differences::groups(&verdicts)).map(|((recipe, weights), letters)| Group {
            recipe: (*recipe).to_owned(),
            norm: threat.norm,
            epsilon,
            weights: weights.len(),
            letters,
        }));
    }
    found
}

impl Gathered {
    /// Forward passes of a defence's clean pass, where it is known.
    pub fn forwards(&self, defence: &str) -> Option<u64> {
        self.defences.get(defence).map(|record| record.forwards)
    }

    /// The rows of every series, read as they are asked for.
    pub fn rows<'a>(&'a self, store: &'a Store) -> impl Iterator<Item = Result<SeriesRows<'a>>> {
        self.layout.series.iter().filter_map(|key| Some((key, self.defences.get(&key.defence)?))).map(|(key, record)| {
            Ok(SeriesRows {
                series: key.clone(),
                epsilons: epsilons(&self.layout, key)?,
                clean: clean(&self.layout, record),
                rows: store.outcomes_by_device(key)?,
            })
        })
    }
}

pub(super) fn clean<'a>(layout: &'a Layout, record: &'a DefenceRecord) -> Clean<'a> {
    let DefenceRecord { predictions, failed, rejected, .. } = record;
    Clean { ids: &layout.ids, labels: &layout.labels, predictions, failed, rejected }
}

/// Places of a series' defence and threat in the layout.
fn place(layout: &Layout, key: &SeriesKey) -> Result<(usize, usize)> {
    let defence = layout.defences.iter().position(|name| *name == key.defence);
    let threat = layout.threats.iter().position(|threat| threat.norm == key.norm);
    defence.zip(threat).ok_or_else(|| damaged(&key.defence, "its series has no threat"))
}

fn epsilons<'a>(layout: &'a Layout, key: &SeriesKey) -> Result<&'a [f64]> {
    Ok(&layout.threats[place(layout, key)?.1].epsilons)
}

fn read<T: serde::de::DeserializeOwned>(text: &str, what: &str) -> Result<T> {
    serde_json::from_str(text).map_err(|error| damaged(what, &error.to_string()))
}

fn damaged(what: &str, why: &str) -> Error {
    Error::store(format!("the store's record of {what} cannot be read: {why}")).help("run the suite again with --fresh")
}
