//! FAB: its steps are those of the paper's formulas, and it finds the smallest perturbation of a linear model in every norm.

#[path = "fab/shortest.rs"]
mod shortest;
#[path = "fab/steps.rs"]
mod steps;

use burn::tensor::Device;
use gauntlet::attack::{ATTACKS, Attack, Goal, Parts, Setting};
use gauntlet::data::{Dataset, synthetic};
use gauntlet::engine::chain::Walk;
use gauntlet::evaluate::record::Verdict;
use gauntlet::kernel::row::{LAST, MARGIN, OWN_END, START_ORIGIN, START_RANDOM, TOWARDS};
use gauntlet::suite::parse_options;
use gauntlet::threat::Norm;

use super::bench_model::{Trial, attack, relabelled, separable, separator};
use shortest::shortest;

promises! {
    [steps]
    the_smallest_perturbation_of_a_linear_model_is_found_within_a_hundredth,
    with_stop_first_a_row_breaks_just_above_its_distance_and_not_below,
    a_restart_finds_the_boundary_from_a_random_point,
    a_model_without_gradients_survives_every_step,
    targets_are_tried_by_rank_and_no_more_than_there_are,
    outcomes_depend_neither_on_order_nor_on_company,
}

const MARGIN_L2: f64 = 0.3;
const NORMS: [Norm; 3] = [Norm::Linf, Norm::L2, Norm::L1];

fn trial<'a>(options: &'a str, norm: Norm, epsilons: &'a [f64]) -> Trial<'a> {
    Trial { kind: "fab", options, norm, epsilons, walk: Walk::Each, slots: 16, cadence: 1 }
}

/// The distance of every example to the nearest plane between two classes, within the box.
fn distances(data: &Dataset, norm: Norm) -> Vec<f64> {
    let weights = synthetic::separator(data.classes, data.shape).unwrap();
    let features = data.features();
    let example = |at: usize| {
        let x = &data.image(at)[..];
        let to = |class: usize| {
            let row = |class: usize| &weights[class * features..][..features];
            let w: Vec<f32> = row(class).iter().zip(row(data.labels[at] as usize)).map(|(target, label)| target - label).collect();
            let difference: f64 = w.iter().zip(x).map(|(w, x)| f64::from(*w) * f64::from(*x)).sum();
            shortest(x, &w, -difference, norm).length
        };
        (0..data.classes).filter(|class| *class != data.labels[at] as usize).map(to).fold(f64::INFINITY, f64::min)
    };
    (0..data.len()).map(example).collect()
}

fn all(data: &Dataset) -> Vec<usize> {
    (0..data.len()).collect()
}

fn the_smallest_perturbation_of_a_linear_model_is_found_within_a_hundredth() {
    for classes in [2, 4] {
        let data = separable(classes, 24, MARGIN_L2);
        let oracle = separator(&data, 20.0, &Device::flex());
        for norm in NORMS {
            let optima = distances(&data, norm);
            let largest = optima.iter().copied().fold(0.0, f64::max);
            let (outcomes, _) = attack(&trial("stop = \"last\"\nsteps = 40", norm, &[2.0 * largest]), &oracle, &data, &all(&data));
            for (outcomes, optimum) in outcomes.values().zip(&optima) {
                let found = f64::from(outcomes.outcomes[0].distance.expect("every row breaks at twice the distance"));
                let share = found / optimum;
                assert!((0.9999..=1.01).contains(&share), "{} with {classes} classes: {found} for {optimum}", norm.name());
                // Forty steps; each success is looked at once more, on the way back.
                let cost = (outcomes.outcomes[0].forwards, outcomes.outcomes[0].backwards);
                assert!(cost.1 == 40 && (42..=81).contains(&cost.0), "{cost:?}");
            }
        }
    }
}

fn with_stop_first_a_row_breaks_just_above_its_distance_and_not_below() {
    let data = separable(4, 24, MARGIN_L2);
    let oracle = separator(&data, 20.0, &Device::flex());
    for norm in NORMS {
        let optima = distances(&data, norm);
        // Under l1 the box makes the distances differ.
        let middle = optima.iter().sum::<f64>() / optima.len() as f64;
        let epsilons: Vec<f64> = [0.5, 0.99, 1.01, 1.5].map(|factor| factor * middle).to_vec();
        let (outcomes, _) = attack(&trial("steps = 40", norm, &epsilons), &oracle, &data, &all(&data));
        for (outcomes, optimum) in outcomes.values().zip(&optima) {
            for (outcome, epsilon) in outcomes.outcomes.iter().zip(&epsilons) {
                let what = format!("{} at {epsilon} for {optimum}: {outcome:?}", norm.name());
                if *epsilon > 1.008 * optimum {
                    assert_eq!(outcome.verdict, Verdict::Broken, "{what}");
                    assert!(outcome.forwards <= 41 && f64::from(outcome.distance.unwrap()) <= epsilon * (1.0 + 1e-6), "{what}");
                } else if *epsilon < 0.9999 * optimum {
                    assert_eq!(outcome.verdict, Verdict::Survived, "{what}");
                }
            }
        }
    }
}

fn a_restart_finds_the_boundary_from_a_random_point() {
    let data = separable(2, 12, MARGIN_L2);
    let oracle = separator(&data, 20.0, &Device::flex());
    for norm in NORMS {
        let optima = distances(&data, norm);
        let largest = optima.iter().copied().fold(0.0, f64::max);
        let epsilons = [0.9 * optima.iter().copied().fold(f64::INFINITY, f64::min), 1.05 * largest];
        let (outcomes, _) = attack(&trial("restarts = 3\nsteps = 20", norm, &epsilons), &oracle, &data, &all(&data));
        for outcomes in outcomes.values() {
            let [below, above] = outcomes.outcomes[..] else { panic!("two epsilons") };
            assert_eq!((below.verdict, above.verdict), (Verdict::Survived, Verdict::Broken), "{}", norm.name());
            assert_eq!(below.backwards, 60, "every restart takes every step");
        }
    }
}

fn a_model_without_gradients_survives_every_step() {
    let data = separable(3, 9, MARGIN_L2);
    let oracle = separator(&data, 0.0, &Device::flex());
    let data = relabelled(data, &oracle);
    for norm in NORMS {
        for options in ["steps = 7", "steps = 7\nrestarts = 2", "steps = 7\nstop = \"last\""] {
            let (outcomes, _) = attack(&trial(options, norm, &[0.25]), &oracle, &data, &all(&data));
            for outcomes in outcomes.values() {
                let outcome = outcomes.outcomes[0];
                assert_eq!(outcome.verdict, Verdict::Survived, "{} {options}", norm.name());
                let rows = if options.contains("restarts") { 4 } else { 2 };
                assert_eq!((outcome.forwards, outcome.backwards), (8 * rows, 7 * rows));
            }
        }
    }
}

fn build(options: &str, classes: usize) -> Parts {
    let row = ATTACKS.iter().find(|row| row.entry.name == "fab").unwrap();
    let options = parse_options(&row.entry, options).unwrap();
    (row.check)(&options).unwrap();
    (row.build)(&options, &Setting { norm: Norm::Linf, classes, shape: [1, 2, 2] })
}

fn targets_are_tried_by_rank_and_no_more_than_there_are() {
    for (options, classes, ranks, attempts) in
        [("", 10, 9, 9), ("", 2, 1, 1), ("", 100, 9, 9), ("targets = 2\nrestarts = 3", 10, 2, 6), ("targets = 5\nrestarts = 2", 3, 2, 4)]
    {
        let parts = build(options, classes);
        let attack: &dyn Attack = &*parts[0];
        assert_eq!((parts.len(), attack.ranks(), attack.attempts()), (1, ranks, attempts), "{options}, {classes} classes");
        assert!(attack.goal() == Goal::Untargeted && attack.uses_gradients());
        let restarts = attempts / ranks;
        for attempt in 0..attempts {
            let plan = attack.plan(0.1, attempt, false);
            assert_eq!((plan.rank, plan.flags, plan.steps), (Some(attempt / restarts), MARGIN | TOWARDS | OWN_END, 100));
            assert_eq!(plan.start, if attempt % restarts == 0 { START_ORIGIN } else { START_RANDOM });
        }
    }
    assert_eq!(build("stop = \"last\"", 10)[0].plan(0.1, 0, false).flags, MARGIN | TOWARDS | OWN_END | LAST);
}

fn outcomes_depend_neither_on_order_nor_on_company() {
    let data = separable(4, 20, MARGIN_L2);
    let oracle = separator(&data, 20.0, &Device::flex());
    let forwards = all(&data);
    let backwards: Vec<usize> = forwards.iter().rev().copied().collect();
    for norm in NORMS {
        let middle = distances(&data, norm)[0];
        let epsilons = [0.9 * middle, 1.02 * middle, 1.3 * middle];
        for options in ["steps = 12\nrestarts = 2", "steps = 12\nstop = \"last\""] {
            let trial = Trial { slots: 7, walk: Walk::Descending, ..trial(options, norm, &epsilons) };
            let (first, _) = attack(&trial, &oracle, &data, &forwards);
            for other in [(7, 3, &backwards), (7, 1, &backwards), (3, 1, &forwards)] {
                let (slots, cadence, positions) = other;
                let (found, _) = attack(&Trial { slots, cadence, ..trial.clone() }, &oracle, &data, positions);
                let verdicts = |of: &std::collections::BTreeMap<u32, gauntlet::evaluate::record::ExampleOutcomes>| -> Vec<Verdict> {
                    of.values().flat_map(|outcomes| &outcomes.outcomes).map(|outcome| outcome.verdict).collect()
                };
                assert_eq!(verdicts(&first), verdicts(&found), "{} {options}", norm.name());
                if slots == 7 {
                    assert_eq!(first, found, "{} {options}: {cadence} steps between looks", norm.name());
                }
            }
        }
    }
}
