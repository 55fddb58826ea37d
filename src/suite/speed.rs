//! How long a defence trained and how long it decides: measured once a run, and kept so that a report can be made again.

use std::time::Instant;

use serde::{Deserialize, Serialize};

use crate::data::Dataset;
use crate::engine::clean;
use crate::engine::examples::Examples;
use crate::engine::oracle::Oracle;
use crate::evaluate::results::DefenceTiming;
use crate::store::Store;
use crate::{Error, Result};

/// What the store keeps of a defence.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
struct Record {
    training_seconds: Option<f64>,
    inference_seconds: Option<f64>,
}

/// Seconds that deciding on 1,000 examples takes, a full batch of `slots` at a time: the fastest of three batches, all draws of a random
/// defence included. `sent` are the examples of `data` as the device reaches them.
///
/// # Errors
/// A device that stops answering.
pub(super) fn measure(oracle: &Oracle, data: &Dataset, sent: &dyn Examples, slots: usize) -> Result<f64> {
    let held = slots.min(data.len());
    let mut fastest = f64::INFINITY;
    for _ in 0..3 {
        let started = Instant::now();
        clean::decide_on(oracle, data, sent, held, slots, 0)?;
        fastest = fastest.min(started.elapsed().as_secs_f64());
    }
    Ok(fastest * 1000.0 / oracle.computed(held as u64, slots as u64) as f64)
}

fn fact(defence: &str) -> String {
    format!("speed of {defence}")
}

/// Keeps a defence's seconds of training, and measures those of deciding where no earlier part of the run has.
///
/// # Errors
/// A store that fails; what `measure` reports.
pub(super) fn keep(store: &Store, defence: &str, training: Option<f64>, measure: impl FnOnce() -> Result<f64>) -> Result<()> {
    let before = record(store, defence)?;
    let inference = match before.inference_seconds {
        Some(seconds) => seconds,
        None => measure()?,
    };
    let record = Record { training_seconds: before.training_seconds.or(training), inference_seconds: Some(inference) };
    store.put_fact(&fact(defence), &serde_json::to_string(&record).expect("seconds are plain JSON"))
}

/// A defence's seconds, as its run's store has them; none where they were not taken.
///
/// # Errors
/// A store that cannot be read, or is damaged.
pub(crate) fn of(store: &Store, defence: &str) -> Result<DefenceTiming> {
    let Record { training_seconds, inference_seconds } = record(store, defence)?;
    Ok(DefenceTiming { defence: defence.to_owned(), training_seconds, inference_seconds })
}

fn record(store: &Store, defence: &str) -> Result<Record> {
    let damaged =
        |error| Error::store(format!("the seconds of \"{defence}\" cannot be read: {error}")).help("run the suite again with --fresh");
    store.fact(&fact(defence))?.map_or(Ok(Record::default()), |text| serde_json::from_str(&text).map_err(damaged))
}
