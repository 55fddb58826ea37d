//! Checks of a run's defences, and what `--harden` adds because of them. Both are facts of the run, so that one which goes on, or is
//! finished, has them from its store.

use serde::{Deserialize, Serialize};

use super::resolved::Resolved;
use super::run::Run;
use super::stations::Station;
use super::{DefenceSpec, certify, plan};
use crate::engine::clean::CleanDecision;
use crate::engine::oracle::Oracle;
use crate::evaluate::checks::{self, Addition, Attacked, Certified, Checked, Subject, Trust, Wish};
use crate::evaluate::record::SeriesKey;
use crate::store::Store;
use crate::{Error, Result};

/// The fact that has a run's additions.
const HARDENED: &str = "hardened";

/// The fact that says whether a run is complete: "true"; "unchecked", which lacks the checks alone; or nothing, or "false".
const COMPLETE: &str = "complete";

/// Whether every attack of a run is done, and its checks are, or were left out on purpose.
///
/// # Errors
/// A store that cannot be read.
pub fn is_complete(store: &Store) -> Result<bool> {
    Ok(matches!(store.fact(COMPLETE)?.as_deref(), Some("true" | "unchecked")))
}

/// Whether a complete run has its checks too.
pub(super) fn is_checked(store: &Store) -> Result<bool> {
    Ok(store.fact(COMPLETE)?.as_deref() == Some("true"))
}

/// Says that it is complete, with its checks or without.
pub(super) fn complete(store: &Store, checked: bool) -> Result<()> {
    store.put_fact(COMPLETE, if checked { "true" } else { "unchecked" })
}

/// What the checks of a defence came to, and on what evidence.
#[derive(Debug, Serialize, Deserialize)]
struct Record {
    /// The series that there were.
    series: Vec<SeriesKey>,
    checks: Vec<Checked>,
}

fn fact(defence: &str) -> String {
    format!("checks of {defence}")
}

/// The checks of a defence, as its run's store has them; none where they were not run yet.
///
/// # Errors
/// A store that cannot be read, or is damaged.
pub fn of(store: &Store, defence: &str) -> Result<Vec<Checked>> {
    Ok(record(store, defence)?.map_or(Vec::new(), |record| record.checks))
}

fn record(store: &Store, defence: &str) -> Result<Option<Record>> {
    let damaged =
        |error| Error::store(format!("the checks of \"{defence}\" cannot be read: {error}")).help("run the suite again with --fresh");
    store.fact(&fact(defence))?.map(|text| serde_json::from_str(&text).map_err(damaged)).transpose()
}

/// What `--harden` added to a run; `None` where it was never asked to.
///
/// # Errors
/// A store that cannot be read, or is damaged.
pub fn hardened(store: &Store) -> Result<Option<Vec<Addition>>> {
    let damaged =
        |error| Error::store(format!("the attacks that --harden added cannot be read: {error}")).help("run the suite again with --fresh");
    store.fact(HARDENED)?.map(|text| serde_json::from_str(&text).map_err(damaged)).transpose()
}

/// Puts additions into a suite and its plan. The identity of a run is that of the suite without them.
pub(super) fn extend(resolved: &mut Resolved, additions: &[Addition]) {
    for addition in additions {
        resolved.suite.attacks.push(addition.spec());
        let extended = format!("{}{}", resolved.suite.text, addition.toml());
        // A suite that lists its attacks in line takes no further tables.
        let is_suite = extended.parse::<toml::Table>().is_ok();
        resolved.suite.text = if is_suite { extended } else { format!("{}{}", resolved.suite.text, addition.toml().replace('\n', "\n# ")) };
    }
    resolved.plan = plan(&resolved.suite, &resolved.catalogue, resolved.data.len());
}

/// Keeps the layout of a run, where it is another than was kept.
pub(super) fn keep_layout(store: &Store, resolved: &Resolved) -> Result<()> {
    let layout = serde_json::to_string(&resolved.layout(store.folder())).expect("a layout is plain JSON");
    if store.fact("layout")?.as_deref() != Some(&layout) {
        store.put_fact("layout", &layout)?;
    }
    Ok(())
}

/// The attacks that the checks of all defences ask for, kept and said.
pub(super) fn harden(run: &Run) -> Result<Vec<Addition>> {
    let mut wishes = Vec::new();
    for spec in &run.resolved.suite.defences {
        for Checked { check, remedy } in of(run.store, &spec.name)? {
            wishes.extend(remedy.map(|remedy| Wish { check: check.check, defence: check.defence, remedy }));
        }
    }
    let norms: Vec<_> = run.resolved.suite.threats.iter().map(|threat| threat.norm).collect();
    let additions = checks::additions(&run.resolved.suite.attacks, &norms, &wishes)?;
    // What was complete is no more, until these have run.
    run.store.put_fact(COMPLETE, "false")?;
    run.store.put_fact(HARDENED, &serde_json::to_string(&additions).expect("additions are plain JSON"))?;
    for Addition { name, kind, changes, why, .. } in &additions {
        let changes = if changes.is_empty() { String::new() } else { format!(" with {}", changes.join(", ")) };
        run.observer.note(&format!("--harden adds {name}: {kind}{changes}, for {why}"));
    }
    if additions.is_empty() {
        run.observer.note("--harden adds nothing: no check has a remedy to ask for");
    }
    Ok(additions)
}

impl Run<'_> {
    /// Checks a defence whose series are done, unless that was done on the same evidence.
    pub(super) fn check(&self, spec: &DefenceSpec, station: &Station, oracle: &Oracle, clean: &[CleanDecision]) -> Result<()> {
        let keys: Vec<SeriesKey> = self.resolved.series().into_iter().filter(|key| key.defence == spec.name).collect();
        if record(self.store, &spec.name)?.is_some_and(|record| record.series == keys) {
            return Ok(());
        }
        let attacked = |key: &SeriesKey| {
            let attack = self.resolved.attack(key);
            Ok(Attacked {
                key: key.clone(),
                kind: attack.kind.clone(),
                options: attack.options.clone(),
                threat: self.resolved.threat(key).clone(),
                outcomes: self.store.outcomes(key)?,
                audits: self.store.audits(key)?,
                rerun: self.store.is_exhaustive(key)?,
            })
        };
        let subject = Subject {
            defence: &spec.name,
            oracle,
            data: &self.resolved.data,
            pixels: &*station.data,
            clean,
            slots: station.info.slots,
            cadence: station.cadence,
            seed: self.resolved.suite.seed,
            series: keys.iter().map(attacked).collect::<Result<_>>()?,
            certified: self.certified(spec)?,
        };
        let checks = checks::run(&subject)?;
        let of = |verdict: &str| checks.iter().filter(|checked| checked.check.verdict == verdict).count();
        let (fail, warn) = (of("fail"), of("warn"));
        self.observer.note(&format!("{}: {} checks, {fail} fail, {warn} warn", spec.name, checks.len()));
        let record = Record { series: keys, checks };
        self.store.put_fact(&fact(&spec.name), &serde_json::to_string(&record).expect("checks are plain JSON"))
    }

    /// What was certified of a defence.
    fn certified(&self, spec: &DefenceSpec) -> Result<Vec<Certified>> {
        let of_defence = self.resolved.certificates.iter().filter(|planned| planned.defence == spec.name);
        let certified = |planned: &certify::Planned| {
            let spec = self.resolved.certificate(planned);
            let (alpha, exact) = (spec.options.number("alpha"), spec.kind == "exact" && !planned.apart);
            let trust = if planned.apart { Trust::Another } else { alpha.map_or(Trust::Certain, Trust::But) };
            let name = planned.certificate.clone();
            Ok(Certified { name, norm: planned.norm, trust, exact, certificates: certify::of(self.store, planned)?.certificates })
        };
        of_defence.map(certified).collect()
    }
}
