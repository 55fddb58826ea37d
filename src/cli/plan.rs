//! `gauntlet plan`.

use std::path::PathBuf;
use std::time::Instant;

use clap::Args;

use super::{DeviceArguments, SuiteArguments, forecast};
use crate::Result;
use crate::attack::{ATTACKS, Attack, SURROGATE, Setting};
use crate::defence;
use crate::engine::oracle::throws;
use crate::store::Mode;
use crate::suite::certify::Planned;
use crate::suite::forecast::{Forecast, forecast as foretell};
use crate::suite::resolved::Resolved;
use crate::suite::run::{RunRequest, WEIGHTS};
use crate::suite::{DefenceSpec, Suite};
use crate::threat::Sweep;

/// Options of `plan`.
#[derive(Clone, Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    suite: SuiteArguments,
    /// Say how long it will take: measures the defences, attacks and trainings on the devices for a few seconds each, and asks weights
    /// that are there already about a few examples; writes nothing
    #[arg(long)]
    calibrate: bool,
    #[command(flatten)]
    device: DeviceArguments,
    /// Where trained weights are found
    #[arg(long, value_name = "DIR", default_value = WEIGHTS)]
    weights: PathBuf,
    /// Foretell a run without checks of the evaluation
    #[arg(long)]
    no_checks: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Checks a suite and prints what it would run.
///
/// # Errors
/// All mistakes of the suite, and of its data.
pub fn run(arguments: &Arguments) -> Result<u8> {
    let began = Instant::now();
    let resolved = arguments.suite.resolve()?;
    let forecast =
        if arguments.calibrate { Some(foretell(&arguments.request()?, &resolved, began.elapsed().as_secs_f64())?) } else { None };
    if arguments.json {
        let mut whole = serde_json::json!({
            "suite": resolved.suite, "plan": resolved.plan, "series": costs(&resolved),
            "certificates": resolved.certificates, "uncertified": resolved.refused,
        });
        if let Some(forecast) = &forecast {
            whole["forecast"] = serde_json::to_value(forecast).expect("a forecast is plain JSON");
        }
        super::say(&serde_json::to_string_pretty(&whole).expect("a plan is plain JSON"))?;
    } else {
        super::say(&as_text(&resolved, forecast.as_ref()))?;
    }
    Ok(0)
}

impl Arguments {
    /// The run that is foretold.
    fn request(&self) -> Result<RunRequest> {
        Ok(RunRequest {
            suite: self.suite.suite.clone(),
            out: None,
            device: self.device.device.clone(),
            memory: self.device.bytes()?,
            slots: self.device.slots.map(|slots| slots as usize),
            weights: self.weights.clone(),
            overrides: self.suite.overrides(),
            limit: self.suite.limit.map(|limit| limit as usize),
            mode: Mode::Continue,
            keep_examples: false,
            mix_devices: false,
            harden: false,
            checks: !self.no_checks,
        })
    }
}

fn as_text(resolved: &Resolved, forecast: Option<&Forecast>) -> String {
    let Resolved { suite, data, train, plan, .. } = resolved;
    let mut lines = vec![suite.title.clone()];
    let [channels, height, width] = data.shape;
    lines.push(format!("data: {}, {} examples of {channels}x{height}x{width}, {} classes", data.name, data.len(), data.classes));
    lines.extend(train.as_ref().map(|train| format!("training data: {}, {} examples", train.name, train.len())));
    let line = |cells: [&str; 6]| {
        let [defence, attack, norm, epsilons, expected, at_most] = cells;
        format!("{defence:24} {attack:16} {norm:6} {epsilons:>8} {expected:>16} {at_most:>16}")
    };
    lines.push(String::new());
    lines.push(line(["defence", "attack", "norm", "epsilons", "propagations", "at most"]));
    let mut sums = (0, 0);
    for cost in costs(resolved) {
        let SeriesCost { defence, attack, norm, epsilons, expected, at_most } = cost;
        lines.push(line([&defence, &attack, norm, &epsilons.to_string(), &expected.to_string(), &at_most.to_string()]));
        sums = (sums.0 + expected, sums.1 + at_most);
    }
    lines.push(line([&format!("{} cells", plan.cells.len()), "", "", "", &sums.0.to_string(), &sums.1.to_string()]));
    lines.push(String::new());
    lines.push(
        "A propagation is a forward or a backward pass of one example. Expected: every example is classified rightly and survives".into(),
    );
    lines.push("every epsilon that is run; a descending sweep is taken to cost two rows an example. Judge and audits come on top.".into());
    lines.extend(trainings(suite));
    lines.extend(plan.skipped.iter().map(|skipped| format!("left out: {} does not work under {}", skipped.attack, skipped.norm.name())));
    let certified = |planned: &Planned| format!("certified: {} by {} under {}", planned.defence, planned.certificate, planned.norm.name());
    lines.extend(resolved.certificates.iter().map(certified));
    lines.extend(
        resolved
            .refused
            .iter()
            .map(|refused| format!("{} is not certifiable by {}: {}", refused.defence, refused.certificate, refused.why)),
    );
    lines.push(String::new());
    lines.push(forecast.map_or("How long it takes: --calibrate measures for a few seconds a defence and says.".into(), forecast::as_text));
    lines.join("\n")
}

/// How many networks are trained, and which of them are one recipe's.
fn trainings(suite: &Suite) -> Vec<String> {
    let members: Vec<DefenceSpec> = suite.defences.iter().flat_map(DefenceSpec::members).collect();
    let networks = members.iter().filter(|member| member.train.is_some()).count();
    let trained: Vec<&DefenceSpec> = suite.defences.iter().filter(|defence| defence.train.is_some()).collect();
    let mut recipes: Vec<(&str, Vec<&DefenceSpec>)> = Vec::new();
    for defence in &trained {
        let Some(recipe) = defence.recipe.as_deref() else { continue };
        match recipes.iter_mut().find(|(name, _)| *name == recipe) {
            Some((_, all)) => all.push(defence),
            None => recipes.push((recipe, vec![defence])),
        }
    }
    let mut lines = Vec::new();
    if networks > 0 {
        lines.push(format!("Trainings: {networks}, what the cache of weights holds included."));
    }
    for (recipe, all) in recipes {
        let seeds: Vec<String> = all.iter().map(|defence| defence.model.seed.to_string()).collect();
        let times = all.len();
        lines.push(format!(
            "{recipe}: trained with the seeds {}, and each attacked by itself: {times} times the cost of one.",
            seeds.join(", ")
        ));
    }
    lines
}

/// What a series would cost, in propagations.
#[derive(serde::Serialize)]
struct SeriesCost {
    defence: String,
    attack: String,
    norm: &'static str,
    epsilons: usize,
    expected: u64,
    at_most: u64,
}

fn costs(resolved: &Resolved) -> Vec<SeriesCost> {
    let cost = |key: crate::evaluate::record::SeriesKey| {
        let threat = resolved.threat(&key);
        let spec = resolved.attack(&key);
        let row = ATTACKS.iter().find(|row| row.entry.name == spec.kind).expect("the suite's reader knows the attacks");
        let setting = Setting { norm: key.norm, classes: resolved.data.classes, shape: resolved.data.shape };
        let parts = (row.build)(&spec.options, &setting);
        let (named, own) = (spec.options.text(SURROGATE), key.defence.as_str());
        let stepped = resolved.suite.defences.iter().find(|defence| defence.name == named.unwrap_or(own)).expect("the suite's own");
        let stack = defence::stack(&stepped.stack, stepped.adaptive);
        let epsilons = threat.epsilons.iter().filter(|&&epsilon| epsilon > 0.0).count() as u64;
        let row = |kept: bool| {
            let attempt = |part: &dyn Attack, attempt| {
                let plan = part.plan(1.0, attempt, kept);
                let forwards = u64::from(plan.steps) + 1;
                let passes = forwards + if part.uses_gradients() { u64::from(plan.steps) } else { 0 };
                passes * u64::from(throws(&stack, stepped.adaptive, part.draws()))
            };
            parts.iter().flat_map(|part| (0..part.attempts()).map(|number| attempt(&**part, number))).sum::<u64>()
        };
        let every = if epsilons == 0 { 0 } else { row(false) + (epsilons - 1) * row(parts[0].keeps_for_next_row()) };
        let descending = threat.sweep == Sweep::Descending && !parts.iter().any(|part| part.runs_every_epsilon());
        let expected = if descending { every.min(2 * row(false)) } else { every };
        let examples = resolved.data.len() as u64;
        SeriesCost {
            norm: key.norm.name(),
            defence: key.defence,
            attack: key.attack,
            epsilons: threat.epsilons.len(),
            expected: examples * expected,
            at_most: examples * every,
        }
    };
    resolved.series().into_iter().map(cost).collect()
}
