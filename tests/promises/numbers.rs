//! Promise: every number in the results is what its definition says, and nothing but survival is ever counted as robust.

use gauntlet::evaluate::accuracy::{Clean, cells, worst_case};
use gauntlet::evaluate::audit::{check, needs_exhaustive, summary};
use gauntlet::evaluate::checks;
use gauntlet::evaluate::cost::{Cost, Spent, timing};
use gauntlet::evaluate::interval::{clopper_pearson_upper, wilson};
use gauntlet::evaluate::record::{Audited, ExampleOutcomes, Outcome, SeriesKey, Settled, Verdict};
use gauntlet::evaluate::results::{Cell, WorstCase};
use gauntlet::threat::Norm;

#[path = "numbers/exports.rs"]
mod exports;

promises! {
    [exports]
    wilson_intervals_are_the_published_ones,
    a_wilson_interval_holds_its_share_and_widens_with_confidence,
    the_audits_bound_is_that_of_clopper_and_pearson,
    a_cell_counts_what_its_definition_says,
    the_median_distance_is_the_smallest_break_of_the_middle_example,
    no_number_that_is_none_is_ever_robust,
    a_series_has_cells_once_every_rightly_decided_example_has_outcomes,
    outcomes_that_do_not_fit_the_suite_are_refused,
    the_worst_case_is_a_union_and_no_minimum_of_means,
    the_worst_case_closes_breaks_upward_and_by_distance_and_failures_not_at_all,
    an_audit_above_one_error_in_a_hundred_sends_the_series_back,
    seconds_are_shared_among_a_series_cells_by_propagations,
}

const EPSILONS: [f64; 3] = [0.0, 0.1, 0.2];

fn pgd() -> SeriesKey {
    SeriesKey { defence: "undefended".into(), attack: "pgd".into(), norm: Norm::Linf }
}

fn outcome(verdict: Verdict, distance: Option<f32>) -> Outcome {
    Outcome { verdict, settled: Settled::Attack, distance, forwards: 10, backwards: 9 }
}

fn broken(distance: f32) -> Outcome {
    outcome(Verdict::Broken, Some(distance))
}

fn survived() -> Outcome {
    outcome(Verdict::Survived, None)
}

fn failed() -> Outcome {
    outcome(Verdict::Failed, None)
}

/// An example that survives at epsilon 0.
fn row(example: u32, at_small: Outcome, at_large: Outcome) -> ExampleOutcomes {
    let clean = Outcome { settled: Settled::Clean, forwards: 0, backwards: 0, ..survived() };
    ExampleOutcomes { example, outcomes: vec![clean, at_small, at_large] }
}

/// Ids 10, 11, ..., all of class 1; the predictions say which of them are decided rightly.
struct Examples {
    ids: Vec<u32>,
    labels: Vec<u32>,
    predictions: Vec<u32>,
    failed: Vec<bool>,
    rejected: Vec<bool>,
}

impl Examples {
    fn new(predictions: &[u32]) -> Self {
        let ids = (10..10 + predictions.len() as u32).collect();
        let none = vec![false; predictions.len()];
        Self { ids, labels: vec![1; predictions.len()], predictions: predictions.to_vec(), failed: none.clone(), rejected: none }
    }

    fn clean(&self) -> Clean<'_> {
        let Self { ids, labels, predictions, failed, rejected } = self;
        Clean { ids, labels, predictions, failed, rejected }
    }
}

fn robust(cells: &[Cell]) -> Vec<f64> {
    cells.iter().map(|cell| cell.robust_accuracy).collect()
}

fn robust_at_worst(cells: &[WorstCase]) -> Vec<f64> {
    cells.iter().map(|cell| cell.robust_accuracy).collect()
}

fn median(rows: &[ExampleOutcomes]) -> Option<f64> {
    let examples = Examples::new(&vec![1; rows.len()]);
    let cells = cells(&pgd(), &EPSILONS, &examples.clean(), rows).unwrap();
    assert!(cells.iter().all(|cell| cell.median_distance == cells[0].median_distance));
    cells[0].median_distance
}

#[track_caller]
fn near(found: f64, expected: f64, tolerance: f64) {
    assert!((found - expected).abs() <= tolerance, "{found} is not {expected} within {tolerance}");
}

/// 81/263, 15/148, 0/20 and 1/29 as printed by Newcombe, "Two-sided confidence intervals for the single proportion", 1998, table I,
/// method 3; the others to twelve digits from statsmodels.
fn wilson_intervals_are_the_published_ones() {
    let printed = [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)];
    for (successes, n, low, high) in printed {
        let found = wilson(successes, n, 0.95);
        near(found[0], low, 5e-5);
        near(found[1], high, 5e-5);
    }
    let exact = [
        (0, 10, 0.0, 0.277_532_799_862_889_26),
        (5, 10, 0.236_593_090_512_563_94, 0.763_406_909_487_436_1),
        (10, 10, 0.722_467_200_137_110_6, 1.0),
        (290, 360, 0.761_535_153_846_325_1, 0.843_123_811_388_362_3),
    ];
    for (successes, n, low, high) in exact {
        let found = wilson(successes, n, 0.95);
        near(found[0], low, 1e-12);
        near(found[1], high, 1e-12);
    }
    assert_eq!(wilson(0, 10, 0.95)[0], 0.0);
    assert_eq!(wilson(10, 10, 0.95)[1], 1.0);
    assert_eq!(wilson(0, 0, 0.95), [0.0, 1.0]);
}

fn a_wilson_interval_holds_its_share_and_widens_with_confidence() {
    for n in [1, 2, 7, 360, 10_000] {
        for successes in [0, 1, n / 2, n] {
            let share = successes as f64 / n as f64;
            let [low, high] = wilson(successes, n, 0.95);
            assert!(0.0 <= low && low <= share && share <= high && high <= 1.0, "{successes} of {n}: [{low}, {high}]");
            let [lower, higher] = wilson(successes, n, 0.99);
            assert!(lower <= low && high <= higher && higher - lower > high - low);
        }
    }
}

/// Values from scipy's beta.ppf(0.95, errors + 1, n - errors).
fn the_audits_bound_is_that_of_clopper_and_pearson() {
    let known = [
        (0, 50, 0.058_155_079_116_972_25),
        (1, 50, 0.091_398_130_719_697_38),
        (3, 50, 0.147_837_176_364_181_23),
        (1, 298, 0.015_819_359_682_309_96),
        (7, 300, 0.043_378_675_643_003_64),
        (49, 50, 0.998_974_660_132_767_9),
    ];
    for (errors, n, upper) in known {
        near(clopper_pearson_upper(errors, n, 0.95), upper, 1e-9);
    }
    assert_eq!(clopper_pearson_upper(0, 0, 0.95), 1.0);
    assert_eq!(clopper_pearson_upper(4, 4, 0.95), 1.0);
    assert!(clopper_pearson_upper(0, 298, 0.95) > 0.01 && clopper_pearson_upper(0, 299, 0.95) < 0.01);
}

fn a_cell_counts_what_its_definition_says() {
    // Right: 10, 11, 12, 13. Wrong: 14, whose rows may claim what they like. The clean decision of 15 failed.
    let mut examples = Examples::new(&[1, 1, 1, 1, 0, 1]);
    examples.failed[5] = true;
    let inferred = Outcome { settled: Settled::Inferred, forwards: 0, backwards: 0, ..survived() };
    let rows = [
        row(10, survived(), broken(0.15)),
        row(11, broken(0.05), broken(0.05)),
        row(12, inferred, survived()),
        row(13, survived(), failed()),
        row(14, survived(), survived()),
    ];
    let cells = cells(&pgd(), &EPSILONS, &examples.clean(), &rows).unwrap();
    assert_eq!(robust(&cells), [4.0 / 6.0, 3.0 / 6.0, 1.0 / 6.0]);
    assert_eq!(cells.iter().map(|cell| cell.failed).collect::<Vec<_>>(), [1, 1, 2]);
    assert_eq!(cells.iter().map(|cell| cell.inferred).collect::<Vec<_>>(), [0, 1, 0]);
    assert_eq!(cells.iter().map(|cell| (cell.forwards, cell.backwards)).collect::<Vec<_>>(), [(0, 0), (40, 36), (50, 45)]);
    for (cell, epsilon) in cells.iter().zip(EPSILONS) {
        assert_eq!((cell.epsilon, cell.examples, cell.clean_accuracy), (epsilon, 6, 4.0 / 6.0));
        // 0.05, 0.15 and infinity: 13 failed and has no known distance.
        near(cell.median_distance.unwrap(), 0.15, 1e-7);
    }
    assert_eq!(cells[2].ci95, wilson(1, 6, 0.95));
    assert_eq!(examples.clean().accuracy().unwrap(), (4.0 / 6.0, wilson(4, 6, 0.95)));
}

fn the_median_distance_is_the_smallest_break_of_the_middle_example() {
    let never = |id| row(id, survived(), survived());
    assert_eq!(median(&[row(10, broken(0.0625), broken(0.125))]), Some(0.0625));
    assert_eq!(median(&[row(10, survived(), broken(0.125)), row(11, survived(), broken(0.25))]), Some(0.1875));
    assert_eq!(median(&[row(10, survived(), broken(0.125)), never(11)]), None, "the upper middle one is infinite");
    assert_eq!(median(&[row(10, survived(), broken(0.125)), row(11, broken(0.0625), broken(0.125)), never(12)]), Some(0.125));
    assert_eq!(median(&[never(10), never(11)]), None);
    assert_eq!(median(&[row(10, failed(), broken(0.125))]), Some(0.125), "a break counts whatever failed beside it");
    assert_eq!(median(&[row(10, failed(), survived())]), None);
    assert_eq!(median(&[]), None);
}

fn no_number_that_is_none_is_ever_robust() {
    for distance in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        for verdict in [Verdict::Survived, Verdict::Broken, Verdict::Failed] {
            let examples = Examples::new(&[1, 1]);
            let rows = [row(10, outcome(verdict, Some(distance)), survived()), row(11, survived(), survived())];
            let found = cells(&pgd(), &EPSILONS, &examples.clean(), &rows).unwrap();
            assert_eq!(robust(&found), [1.0, 0.5, 1.0], "{verdict:?} at {distance}");
            assert_eq!(found[1].failed, 1);
            assert_eq!(found[1].median_distance, None);
            let worst = worst_case("undefended", Norm::Linf, &EPSILONS, &examples.clean(), &[&rows]).unwrap();
            assert_eq!(robust_at_worst(&worst), [1.0, 0.5, 1.0]);
        }
    }
}

fn a_series_has_cells_once_every_rightly_decided_example_has_outcomes() {
    let examples = Examples::new(&[1, 1, 0]);
    let rows = [row(10, survived(), survived()), row(11, survived(), survived())];
    assert_eq!(cells(&pgd(), &EPSILONS, &examples.clean(), &rows[..1]).unwrap(), []);
    assert_eq!(robust(&cells(&pgd(), &EPSILONS, &examples.clean(), &rows).unwrap()), [2.0 / 3.0; 3]);
    let worst = |series: &[&[ExampleOutcomes]]| worst_case("undefended", Norm::Linf, &EPSILONS, &examples.clean(), series).unwrap();
    assert_eq!(worst(&[&rows, &rows[..1]]), []);
    assert_eq!(worst(&[]), []);
    assert_eq!(worst(&[&rows, &rows]).len(), 3);
}

fn outcomes_that_do_not_fit_the_suite_are_refused() {
    let examples = Examples::new(&[1]);
    let stranger = [row(99, survived(), survived())];
    assert!(cells(&pgd(), &EPSILONS, &examples.clean(), &stranger).unwrap_err().message().contains("example 99"));
    let short = [row(10, survived(), survived())];
    assert!(cells(&pgd(), &EPSILONS[..2], &examples.clean(), &short).unwrap_err().message().contains("3 outcomes for 2 epsilons"));
    let clean = Clean { labels: &[], ..examples.clean() };
    assert!(cells(&pgd(), &EPSILONS, &clean, &short).unwrap_err().message().contains("0 labels"));
}

fn the_worst_case_is_a_union_and_no_minimum_of_means() {
    let examples = Examples::new(&[1, 1, 1, 1]);
    let one = [
        row(10, broken(0.1), broken(0.1)),
        row(11, survived(), survived()),
        row(12, survived(), survived()),
        row(13, survived(), survived()),
    ];
    let two = [
        row(10, survived(), survived()),
        row(11, broken(0.1), broken(0.1)),
        row(12, survived(), broken(0.2)),
        row(13, survived(), survived()),
    ];
    let least = |index: usize| {
        let of = |rows| cells(&pgd(), &EPSILONS, &examples.clean(), rows).unwrap()[index].robust_accuracy;
        f64::min(of(&one), of(&two))
    };
    let worst = worst_case("undefended", Norm::Linf, &EPSILONS, &examples.clean(), &[&one, &two]).unwrap();
    assert_eq!(robust_at_worst(&worst), [1.0, 0.5, 0.25]);
    assert_eq!([least(0), least(1), least(2)], [1.0, 0.75, 0.5]);
    assert_eq!(worst[1].ci95, wilson(2, 4, 0.95));
    assert_eq!((worst[1].examples, worst[1].epsilon, worst[1].norm, worst[1].defence.as_str()), (4, 0.1, Norm::Linf, "undefended"));
}

fn the_worst_case_closes_breaks_upward_and_by_distance_and_failures_not_at_all() {
    let one = |rows: [Outcome; 2]| {
        let examples = Examples::new(&[1]);
        robust_at_worst(&worst_case("d", Norm::L2, &EPSILONS, &examples.clean(), &[&[row(10, rows[0], rows[1])]]).unwrap())
    };
    assert_eq!(one([broken(0.1), survived()]), [1.0, 0.0, 0.0], "an adversarial example within 0.1 is one within 0.2");
    assert_eq!(one([survived(), broken(0.05)]), [1.0, 0.0, 0.0], "so is one within 0.05 that was found later");
    assert_eq!(one([survived(), broken(0.15)]), [1.0, 1.0, 0.0]);
    // 0.1 as f32 is above 0.1 as f64.
    assert_eq!(one([survived(), broken(0.1)]), [1.0, 0.0, 0.0]);
    assert_eq!(one([failed(), survived()]), [1.0, 0.0, 1.0]);
    let wrong = Examples::new(&[0]);
    assert_eq!(robust_at_worst(&worst_case("d", Norm::L2, &EPSILONS, &wrong.clean(), &[&[]]).unwrap()), [0.0; 3]);
}

fn an_audit_above_one_error_in_a_hundred_sends_the_series_back() {
    assert!(!needs_exhaustive(0, 0) && !needs_exhaustive(0, 50) && !needs_exhaustive(1, 100) && !needs_exhaustive(2, 299));
    assert!(needs_exhaustive(1, 99) && needs_exhaustive(1, 50) && needs_exhaustive(3, 299) && needs_exhaustive(1, 1));
    let audited = |verdict| Audited { example: 1, epsilon: 0.1, verdict, forwards: 40, backwards: 39 };
    let clean = vec![audited(Verdict::Survived); 50];
    let mut dirty = clean.clone();
    (dirty[3].verdict, dirty[4].verdict) = (Verdict::Broken, Verdict::Failed);
    let found = summary(&dirty);
    assert_eq!((found.audited, found.errors, found.forwards), (50, 2, 2000), "a failure confirms no survival");
    let verdict = |audits: &[Audited], rerun| check(&pgd(), audits, rerun).0;
    assert_eq!(
        [verdict(&[], false), verdict(&clean, false), verdict(&dirty, true), verdict(&dirty, false)],
        [checks::Verdict::Skip, checks::Verdict::Pass, checks::Verdict::Warn, checks::Verdict::Fail]
    );
    let (_, detail) = check(&pgd(), &dirty, false);
    assert!(detail.contains("pgd, linf: 2 of 50") && detail.contains("12.1 %") && detail.contains("exhaustive"));
}

fn seconds_are_shared_among_a_series_cells_by_propagations() {
    let examples = Examples::new(&[1]);
    let cells =
        cells(&pgd(), &EPSILONS, &examples.clean(), &[row(10, survived(), Outcome { forwards: 29, backwards: 28, ..survived() })]).unwrap();
    let cost =
        Cost { seconds: 38.0, device_forwards: 100, device_backwards: 90, active: 30, capacity: 40, fed_active: 29, fed_capacity: 30 };
    let other = SeriesKey { attack: "fgsm".into(), ..pgd() };
    let spent = Spent { seconds: 50.0, series: vec![(other, cost), (pgd(), cost)] };
    let timing = timing(&spent, &cells, Vec::new());
    assert_eq!(timing.cells.iter().map(|cell| cell.seconds).collect::<Vec<_>>(), [0.0, 9.5, 28.5]);
    assert_eq!((timing.seconds, timing.device_forwards, timing.device_backwards, timing.occupancy), (50.0, 200, 180, 0.75));
    let idle = gauntlet::evaluate::cost::timing(&Spent::default(), &[], Vec::new());
    assert_eq!(timing.occupancy_fed, 29.0 / 30.0);
    assert_eq!((idle.occupancy, idle.occupancy_fed), (0.0, 0.0));
}
