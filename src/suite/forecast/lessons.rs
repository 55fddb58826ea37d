//! Measures a training: its first steps, and the end of an epoch on a few batches. What it learns is thrown away.

use std::time::{Duration, Instant};

use super::training::Course;
use crate::data::Dataset;
use crate::defence::{Progress, Trainee, train, trainer};
use crate::model::Classifier;
use crate::model::source::Design;
use crate::options::{Options, Value};
use crate::suite::{DefenceSpec, TrainSpec};
use crate::{Error, Result};

/// Steps and time that tell how long a step takes, the first step apart.
const STEPS: usize = 4;
const LONG: Duration = Duration::from_millis(400);

/// Batches of the epoch whose end is measured.
const BATCHES: usize = 2;

/// How long the training of a defence takes on a device.
pub(super) fn course(
    spec: &DefenceSpec,
    method: &TrainSpec,
    design: &Design,
    data: &Dataset,
    device: &burn::tensor::Device,
) -> Result<Course> {
    let options = &method.options;
    let number = |name, otherwise: usize| options.integer(name).and_then(|value| usize::try_from(value).ok()).unwrap_or(otherwise);
    let kept = options.number("validation").unwrap_or(0.0);
    let batch = number("batch", 64).min(data.len());
    let trainee = |data, options| -> Result<Trainee> {
        let classifier = Classifier::from_graph(design.graph.clone(), &design.weights, device)?;
        Ok(Trainee { name: &spec.name, classifier, seed: spec.model.seed, trainer: trainer(method)?, options, data, device })
    };
    // Weights are perturbed from the start, so that what that costs is seen.
    let eager = with(options, "awp_warmup", 0);
    let seen = |laps: &[(Progress, f64)]| {
        let spent = laps[laps.len() - 1].1 - laps[0].1;
        laps.len() > STEPS && spent > LONG.as_secs_f64() || spent > 10.0 * LONG.as_secs_f64()
    };
    let steps = follow(&trainee(data, &eager)?, seen)?;
    let few = data.clone().limit(((BATCHES * batch) as f64 / (1.0 - kept)).ceil() as usize);
    let short = with(&eager, "epochs", 1);
    let epoch = follow(&trainee(&few, &short)?, |laps| laps.last().is_some_and(|(progress, _)| progress.ended))?;
    let (Some((first, begun)), Some((latest, ended)), Some((last, _))) = (steps.first(), steps.last(), epoch.last()) else {
        return Ok(Course::default());
    };
    let step = if latest.step > first.step { (ended - begun) / (latest.step - first.step) as f64 } else { *ended };
    let end =
        epoch.iter().zip(epoch.iter().skip(1)).filter(|(_, (progress, _))| progress.ended).map(|((_, before), (_, after))| after - before);
    let scale = if kept > 0.0 { data.len() as f64 / few.len() as f64 } else { 1.0 };
    // An epoch's steps are to all as the short epoch's are to the few batches.
    let learnt = data.len() - (kept * data.len() as f64).round() as usize;
    let epochs = first.steps * BATCHES / ((learnt / batch).max(1) * last.steps.max(1));
    let patience = number("patience", 0);
    Ok(Course {
        steps: first.steps,
        step,
        epochs,
        end: end.fold(0.0, f64::max) * scale,
        earliest: if patience > 0 { patience + 1 } else { epochs },
    })
}

fn with(options: &Options, name: &str, value: i64) -> Options {
    let mut options = options.clone();
    if options.0.contains_key(name) {
        options.0.insert(name.into(), Value::Integer(value));
    }
    options
}

/// Trains until `enough` says so; what was reported, and when.
fn follow(trainee: &Trainee, enough: impl Fn(&[(Progress, f64)]) -> bool) -> Result<Vec<(Progress, f64)>> {
    let began = Instant::now();
    let mut laps = Vec::new();
    let mut stopped = false;
    let trained = train(trainee, &mut |progress| {
        crate::suite::schedule::check_interrupt()?;
        laps.push((progress, began.elapsed().as_secs_f64()));
        stopped = enough(&laps);
        if stopped { Err(Error::data("enough was seen of the training")) } else { Ok(()) }
    });
    match trained {
        Err(error) if !stopped => Err(error),
        _ => Ok(laps),
    }
}
