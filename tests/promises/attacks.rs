//! Attacks reach the closed-form optimum of a linear model, and nothing goes beyond it.

use burn::tensor::Device;
use gauntlet::attack::ATTACKS;
use gauntlet::data::synthetic;
use gauntlet::engine::chain::Walk;
use gauntlet::evaluate::record::{Settled, Verdict};
use gauntlet::threat::Norm;

use super::bench_model::{Trial, attack, separable, separator};

promises! {
    gradient_attacks_break_every_row_just_above_the_optimum_and_none_just_below,
    a_targeted_attack_reaches_its_class_and_only_from_above_the_distance_to_it,
    noise_breaks_nothing_below_the_optimum_and_something_far_above,
    fgsm_pays_for_one_gradient_whatever_the_number_of_epsilons,
    a_break_costs_the_passes_up_to_it_and_a_survival_all_of_them,
    restarts_are_tried_until_one_breaks,
    judging_the_last_point_alone_takes_every_step,
    every_attack_has_a_name_of_its_own_and_a_source_in_its_summary,
}

const MARGIN: f64 = 0.3;

fn trial<'a>(kind: &'a str, options: &'a str, norm: Norm, epsilons: &'a [f64]) -> Trial<'a> {
    Trial { kind, options, norm, epsilons, walk: Walk::Each, slots: 16, cadence: 1 }
}

/// Shares of rows broken at each epsilon, on a linear model of `classes` classes.
fn broken(kind: &str, options: &str, norm: Norm, classes: i64, factors: &[f64]) -> Vec<f64> {
    let device = Device::flex();
    let data = separable(classes, 40, MARGIN);
    // Large weights: the softmax then sees only the runner-up, whose direction is the optimal one.
    let oracle = separator(&data, 20.0, &device);
    let optimum = match norm {
        Norm::Linf => synthetic::linf_distance(data.classes, data.shape, MARGIN).unwrap(),
        _ => MARGIN,
    };
    let epsilons: Vec<f64> = factors.iter().map(|factor| factor * optimum).collect();
    let positions: Vec<usize> = (0..data.len()).collect();
    let (outcomes, _) = attack(&trial(kind, options, norm, &epsilons), &oracle, &data, &positions);
    assert_eq!(outcomes.len(), data.len());
    (0..factors.len())
        .map(|at| {
            let rows = outcomes.values().map(|outcomes| outcomes.outcomes[at]);
            for outcome in rows.clone() {
                assert_ne!(outcome.verdict, Verdict::Failed);
                if let Some(distance) = outcome.distance {
                    assert!(f64::from(distance) <= epsilons[at] * (1.0 + 1e-5), "{distance} is outside {}", epsilons[at]);
                }
            }
            rows.filter(|outcome| outcome.verdict == Verdict::Broken).count() as f64 / data.len() as f64
        })
        .collect()
}

fn gradient_attacks_break_every_row_just_above_the_optimum_and_none_just_below() {
    // From a random point of a high-dimensional l2 ball, 40 steps of 2.5 epsilon / 40 turn to within 10 degrees of the optimal
    // direction, not nearer: a longer step goes all the way.
    let cases = [
        ("fgsm", "", Norm::Linf),
        ("fgsm", "", Norm::L2),
        ("mi-fgsm", "", Norm::Linf),
        ("mi-fgsm", "", Norm::L2),
        ("pgd", "", Norm::Linf),
        ("pgd", "random_start = false", Norm::L2),
        ("pgd", "step_relative = 0.25", Norm::L2),
        ("pgd", "loss = \"margin\"", Norm::Linf),
        ("pgd", "stop = \"last\"", Norm::Linf),
    ];
    for classes in [2, 4] {
        for (kind, options, norm) in cases {
            let shares = broken(kind, options, norm, classes, &[0.99, 1.01]);
            assert_eq!(shares, [0.0, 1.0], "{kind} {options} {} on {classes} classes", norm.name());
        }
    }
}

fn a_targeted_attack_reaches_its_class_and_only_from_above_the_distance_to_it() {
    // With two classes the target is the other one, so the distances are those of the untargeted attack.
    for (kind, norm) in [("fgsm", Norm::Linf), ("pgd", Norm::Linf), ("mi-fgsm", Norm::L2)] {
        let shares = broken(kind, "goal = \"targeted\"", norm, 2, &[0.99, 1.01]);
        assert_eq!(shares, [0.0, 1.0], "{kind}");
    }
    // With four, the target is the runner-up of some rows only; an untargeted attack breaks them all at the same radius.
    let targeted = broken("pgd", "goal = \"targeted\"", Norm::Linf, 4, &[1.01])[0];
    assert!(targeted > 0.0 && targeted < 1.0, "{targeted}");
}

fn noise_breaks_nothing_below_the_optimum_and_something_far_above() {
    for norm in [Norm::Linf, Norm::L2] {
        assert_eq!(broken("noise", "draws = 50", norm, 2, &[0.99]), [0.0]);
    }
    assert!(broken("noise", "draws = 50", Norm::Linf, 2, &[8.0])[0] > 0.5);
}

fn fgsm_pays_for_one_gradient_whatever_the_number_of_epsilons() {
    let data = separable(2, 12, MARGIN);
    let oracle = separator(&data, 1.0, &Device::flex());
    let epsilons = [0.0, 0.01, 0.02, 0.03, 0.04];
    let (outcomes, _) = attack(&trial("fgsm", "", Norm::Linf, &epsilons), &oracle, &data, &(0..12).collect::<Vec<_>>());
    for outcomes in outcomes.values() {
        let cost = |of: fn(&gauntlet::evaluate::record::Outcome) -> u32| outcomes.outcomes.iter().map(of).sum::<u32>();
        assert_eq!((cost(|outcome| outcome.forwards), cost(|outcome| outcome.backwards)), (5, 1));
        assert_eq!(outcomes.outcomes[0].settled, Settled::Clean);
    }
}

fn a_break_costs_the_passes_up_to_it_and_a_survival_all_of_them() {
    let data = separable(2, 12, MARGIN);
    let oracle = separator(&data, 1.0, &Device::flex());
    let optimum = synthetic::linf_distance(2, data.shape, MARGIN).unwrap();
    // Ten steps of 0.1 epsilon from the original: at 2.01 times the optimum the fifth step crosses, so the sixth forward sees it.
    let options = "steps = 10\nrandom_start = false\nstep_relative = 0.1";
    let epsilons = [0.5 * optimum, 2.01 * optimum];
    let (outcomes, _) = attack(&trial("pgd", options, Norm::Linf, &epsilons), &oracle, &data, &(0..12).collect::<Vec<_>>());
    for outcomes in outcomes.values() {
        let [survived, broken] = outcomes.outcomes[..] else { panic!("two epsilons") };
        assert_eq!((survived.verdict, survived.forwards, survived.backwards), (Verdict::Survived, 11, 10));
        assert_eq!((broken.verdict, broken.forwards, broken.backwards), (Verdict::Broken, 6, 5));
    }
}

fn restarts_are_tried_until_one_breaks() {
    let data = separable(2, 12, MARGIN);
    let oracle = separator(&data, 1.0, &Device::flex());
    let optimum = synthetic::linf_distance(2, data.shape, MARGIN).unwrap();
    let epsilons = [0.5 * optimum, 2.0 * optimum];
    let options = "steps = 4\nrestarts = 3\nstep_relative = 0.5";
    let (outcomes, _) = attack(&trial("pgd", options, Norm::Linf, &epsilons), &oracle, &data, &(0..12).collect::<Vec<_>>());
    for outcomes in outcomes.values() {
        assert_eq!((outcomes.outcomes[0].forwards, outcomes.outcomes[0].backwards), (15, 12));
        assert!(outcomes.outcomes[1].forwards <= 5, "the first restart breaks");
    }
}

fn judging_the_last_point_alone_takes_every_step() {
    let data = separable(2, 12, MARGIN);
    let oracle = separator(&data, 1.0, &Device::flex());
    let (outcomes, _) = attack(&trial("pgd", "stop = \"last\"", Norm::Linf, &[0.2]), &oracle, &data, &(0..12).collect::<Vec<_>>());
    for outcomes in outcomes.values() {
        assert_eq!(
            (outcomes.outcomes[0].verdict, outcomes.outcomes[0].forwards, outcomes.outcomes[0].backwards),
            (Verdict::Broken, 41, 40)
        );
    }
}

fn every_attack_has_a_name_of_its_own_and_a_source_in_its_summary() {
    let mut names: Vec<&str> = ATTACKS.iter().map(|row| row.entry.name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), ATTACKS.len());
    for row in ATTACKS {
        assert!(!row.norms.is_empty() && !row.entry.summary.is_empty(), "{}", row.entry.name);
        let needed = if row.entry.options.iter().any(|option| option.name == "surrogate") { "surrogate = \"another\"" } else { "" };
        (row.check)(&gauntlet::suite::parse_options(&row.entry, needed).unwrap()).unwrap();
    }
}
