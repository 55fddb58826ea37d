//! Run by the engine, APGD breaks every row of a linear model just above the optimum and none below, at the cost that it plans.

use burn::tensor::Device;
use gauntlet::data::synthetic;
use gauntlet::engine::chain::Walk;
use gauntlet::evaluate::record::Verdict;
use gauntlet::threat::Norm;

use super::super::bench_model::{Trial, attack, relabelled, separable, separator, untrained};

promises! {
    apgd_breaks_every_row_just_above_the_optimum_and_none_just_below,
    apgd_towards_targets_tries_one_class_after_another,
    apgd_with_a_goal_reaches_its_class,
    survivals_cost_all_steps_of_all_attempts,
    what_apgd_finds_does_not_depend_on_order_or_cadence,
    options_that_exclude_one_another_are_refused,
}

const MARGIN: f64 = 0.3;

fn trial<'a>(options: &'a str, norm: Norm, epsilons: &'a [f64]) -> Trial<'a> {
    Trial { kind: "apgd", options, norm, epsilons, walk: Walk::Each, slots: 16, cadence: 1 }
}

/// The distance to the boundary of [`separator`]: the margin under l2; n features a class carry equal weights, so that under l1 any of
/// them do, at sqrt(2 n) times the margin.
fn optimum(classes: i64, norm: Norm) -> f64 {
    let data = separable(classes, 1, MARGIN);
    let linf = synthetic::linf_distance(data.classes, data.shape, MARGIN).unwrap();
    match norm {
        Norm::Linf => linf,
        Norm::L2 => MARGIN,
        _ => MARGIN * MARGIN / linf,
    }
}

/// Shares of rows broken at each multiple of the optimum.
fn broken(options: &str, norm: Norm, classes: i64, factors: &[f64]) -> Vec<f64> {
    let data = separable(classes, 30, MARGIN);
    let oracle = separator(&data, 20.0, &Device::flex());
    let epsilons: Vec<f64> = factors.iter().map(|factor| factor * optimum(classes, norm)).collect();
    let (outcomes, _) = attack(&trial(options, norm, &epsilons), &oracle, &data, &(0..data.len()).collect::<Vec<_>>());
    (0..factors.len())
        .map(|at| {
            let rows = outcomes.values().map(|outcomes| outcomes.outcomes[at]);
            for outcome in rows.clone() {
                assert_ne!(outcome.verdict, Verdict::Failed);
                let distance = f64::from(outcome.distance.unwrap_or(0.0));
                assert!(distance <= epsilons[at] * (1.0 + 1e-5), "{distance} is outside {}", epsilons[at]);
            }
            rows.filter(|outcome| outcome.verdict == Verdict::Broken).count() as f64 / data.len() as f64
        })
        .collect()
}

fn apgd_breaks_every_row_just_above_the_optimum_and_none_just_below() {
    let everywhere = ["", "loss = \"margin\"", "loss = \"dlr\"", "steps = 30\nrho = 0.5"];
    for classes in [2, 3, 4] {
        for norm in [Norm::Linf, Norm::L2, Norm::L1] {
            for options in everywhere {
                // Under l1 a row may be drawn to another class than the nearest while its radius is larger, and stay there.
                let (restarts, above) = if norm == Norm::L1 { (9, 1.05) } else { (1, 1.01) };
                let options = &format!("{options}\nrestarts = {restarts}");
                let shares = broken(options, norm, classes, &[0.99, above]);
                assert_eq!(shares, [0.0, 1.0], "{options} {} on {classes} classes", norm.name());
            }
        }
    }
    assert_eq!(broken("larger_epsilons = false", Norm::L1, 4, &[0.99, 1.01]), [0.0, 1.0]);
}

fn apgd_towards_targets_tries_one_class_after_another() {
    for classes in [2, 3, 5] {
        for norm in [Norm::Linf, Norm::L2, Norm::L1] {
            // The runner-up is the first target; more targets than classes are as many as there are.
            assert_eq!(broken("targets = 1", norm, classes, &[0.99, 1.01]), [0.0, 1.0], "{} on {classes}", norm.name());
            assert_eq!(broken("targets = 9\nsteps = 20", norm, classes, &[0.99, 1.05]), [0.0, 1.0]);
        }
    }
}

fn apgd_with_a_goal_reaches_its_class() {
    for loss in ["cross-entropy", "margin", "dlr"] {
        let options = format!("goal = \"targeted\"\nloss = \"{loss}\"");
        assert_eq!(broken(&options, Norm::Linf, 2, &[0.99, 1.01]), [0.0, 1.0], "{loss}");
        let some = broken(&options, Norm::L2, 4, &[1.01])[0];
        assert!(some > 0.0 && some < 1.0, "the target is the runner-up of some rows only: {some}");
    }
}

fn survivals_cost_all_steps_of_all_attempts() {
    let data = separable(4, 6, MARGIN);
    let oracle = separator(&data, 1.0, &Device::flex());
    let cost = |options: &str, norm| {
        let epsilon = [0.5 * optimum(4, norm)];
        let (outcomes, _) = attack(&trial(options, norm, &epsilon), &oracle, &data, &(0..6).collect::<Vec<_>>());
        let costs = outcomes.values().map(|outcomes| (outcomes.outcomes[0].forwards, outcomes.outcomes[0].backwards));
        let first = costs.clone().next().unwrap();
        assert!(costs.clone().all(|cost| cost == first));
        first
    };
    assert_eq!(cost("", Norm::Linf), (101, 100));
    assert_eq!(cost("steps = 10\nrestarts = 3", Norm::L2), (33, 30));
    assert_eq!(cost("steps = 10\ntargets = 9\nrestarts = 2", Norm::Linf), (66, 60));
    assert_eq!(cost("steps = 10", Norm::L1), (13, 12));
    assert_eq!(cost("steps = 10\nlarger_epsilons = false", Norm::L1), (11, 10));
}

fn what_apgd_finds_does_not_depend_on_order_or_cadence() {
    let device = Device::flex();
    let data = separable(4, 24, MARGIN);
    let oracle = untrained("small-cnn", &data, &device);
    let data = relabelled(data, &oracle);
    let forwards: Vec<usize> = (0..data.len()).collect();
    let backwards: Vec<usize> = forwards.iter().rev().copied().collect();
    let epsilons = [0.02, 0.08, 0.3];
    for (norm, scale, options) in
        [(Norm::Linf, 1.0, "steps = 12"), (Norm::L2, 4.0, "steps = 12\ntargets = 2"), (Norm::L1, 20.0, "steps = 12")]
    {
        let epsilons = epsilons.map(|epsilon| scale * epsilon);
        let trial = Trial { walk: Walk::Descending, slots: 8, ..trial(options, norm, &epsilons) };
        let (first, _) = attack(&trial, &oracle, &data, &forwards);
        assert_eq!(first, attack(&trial, &oracle, &data, &backwards).0, "{}, reversed", norm.name());
        assert_eq!(first, attack(&Trial { cadence: 3, ..trial }, &oracle, &data, &forwards).0, "{}, read late", norm.name());
        let outcomes = first.values().flat_map(|outcomes| &outcomes.outcomes);
        let count = outcomes.filter(|outcome| outcome.verdict == Verdict::Broken).count();
        assert!(count > 0 && count < 3 * data.len(), "{}: the case says nothing: {count} broken", norm.name());
    }
}

fn options_that_exclude_one_another_are_refused() {
    let row = gauntlet::attack::ATTACKS.iter().find(|row| row.entry.name == "apgd").unwrap();
    let options = gauntlet::suite::parse_options(&row.entry, "goal = \"targeted\"\ntargets = 3").unwrap();
    let message = (row.check)(&options).unwrap_err();
    assert!(message.contains("targets") && message.contains("goal"), "{message}");
}
