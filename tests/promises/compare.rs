//! Two runs are compared example by example, with the tests that pairs call for; a gate passes on evidence alone; exports read back.

use std::fs;

use gauntlet::evaluate::paired::{Counts, difference_interval, examples_needed, holm, loss_upper, mcnemar};
use gauntlet::evaluate::standing::Standing;
use gauntlet::report::compare::gate::gate;
use gauntlet::report::compare::{Choice, Comparison, Flip, Kind, Pair, compare};
use gauntlet::report::gather::gather;
use gauntlet::store::Store;
use serde_json::Value;

#[path = "compare/exports.rs"]
mod exports;
#[path = "compare/fixture.rs"]
mod fixture;

use fixture::{EPSILONS, FIRST, Fate, Run, expect_error, gauntlet, two};

promises! {
    [exports]
    flips_are_tested_with_mcnemars_exact_test,
    differences_have_the_score_interval_of_paired_shares,
    the_gates_bound_is_one_sided_and_no_flip_at_all_needs_examples_enough,
    several_tests_are_corrected_after_holm,
    every_cell_is_paired_by_example_and_the_flips_are_named,
    paired_counts_add_up_to_the_accuracies_of_the_runs,
    a_failed_row_is_not_robust_and_is_shown,
    runs_on_other_examples_are_refused_with_both_values,
    what_only_one_run_has_is_listed,
    epsilons_are_paired_by_their_value_and_not_their_place,
    two_defences_of_one_run_are_compared,
    a_gate_passes_on_evidence_and_says_how_much_is_needed,
    a_gate_fails_where_one_run_lacks_cells_or_an_attack_is_another,
    the_command_prints_json_and_flips_and_exits_as_the_gate_says,
}

fn counts(only_a: usize, only_b: usize, examples: usize) -> Counts {
    let both = (examples - only_a - only_b) / 2;
    Counts { both, only_a, only_b, neither: examples - only_a - only_b - both }
}

#[track_caller]
fn near(found: f64, expected: f64, tolerance: f64) {
    assert!((found - expected).abs() <= tolerance, "{found} is not {expected}");
}

/// By `mcnemar(table, exact=True)` of statsmodels 0.15.0.
fn flips_are_tested_with_mcnemars_exact_test() {
    let expected = [
        ((10, 2), 0.03857421875),
        ((0, 0), 1.0),
        ((1, 1), 1.0),
        ((3, 0), 0.25),
        ((15, 40), 0.0010158471941252854),
        ((7, 7), 1.0),
        ((121, 59), 4.4344492637551645e-06),
        ((600, 480), 0.0002895729029358247),
    ];
    for ((only_a, only_b), p) in expected {
        near(mcnemar(&counts(only_a, only_b, 2000)), p, 1e-9 * p);
        near(mcnemar(&counts(only_b, only_a, 1080)), p, 1e-9 * p);
    }
}

/// By a solver of its own: the likelihood under each difference maximised numerically with scipy 1.17. The sixth is the airway data of
/// Bentur et al., for which Fagerland, Lydersen and Laake (Statistics in Medicine 33, 2014) print -0.517 to -0.026.
fn differences_have_the_score_interval_of_paired_shares() {
    let expected = [
        ((12, 2, 50), [-0.34470874738, -0.06111240702]),
        ((0, 0, 360), [-0.01055805689, 0.01055805689]),
        ((3, 1, 200), [-0.03880919664, 0.01430253319]),
        ((40, 15, 1000), [-0.04052456336, -0.01085449845]),
        ((5, 0, 100), [-0.11175046923, -0.01115682620]),
        ((7, 1, 21), [-0.51723227727, -0.02600303071]),
        ((0, 9, 40), [0.11766354036, 0.37503096742]),
        ((10, 0, 10), [-1.0, -0.44493440027]),
        ((1, 0, 44), [-0.11807709698, 0.05939323110]),
    ];
    for ((only_a, only_b, examples), [low, high]) in expected {
        let [found_low, found_high] = difference_interval(&counts(only_a, only_b, examples), 0.95);
        near(found_low, low, 2e-8);
        near(found_high, high, 2e-8);
        let [low, high] = difference_interval(&counts(only_b, only_a, examples), 0.95);
        assert_eq!([low, high], [-found_high, -found_low], "the other way round it is the mirror image");
    }
    assert_eq!(difference_interval(&Counts::default(), 0.95), [-1.0, 1.0]);
}

fn the_gates_bound_is_one_sided_and_no_flip_at_all_needs_examples_enough() {
    let expected = [
        ((12, 2, 50), 0.32041338631),
        ((3, 1, 200), 0.03258299184),
        ((0, 9, 40), -0.13588210919),
        ((0, 0, 360), 0.00745933858),
        ((10, 0, 10), 1.0),
    ];
    for ((only_a, only_b, examples), bound) in expected {
        near(loss_upper(&counts(only_a, only_b, examples), 0.95), bound, 2e-8);
    }
    for (margin, examples) in [(0.01, 268), (0.005, 539), (0.05, 52), (0.001, 2703)] {
        assert_eq!(examples_needed(margin, 0.95), examples);
        assert!(loss_upper(&counts(0, 0, examples), 0.95) < margin);
        assert!(loss_upper(&counts(0, 0, examples - 1), 0.95) >= margin);
    }
}

/// By `multipletests(.., method="holm")` of statsmodels 0.15.0.
fn several_tests_are_corrected_after_holm() {
    let found = holm(&[0.01, 0.04, 0.03, 0.005, 0.9, 0.2]);
    for (found, expected) in found.into_iter().zip([0.05, 0.12, 0.12, 0.03, 0.9, 0.4]) {
        near(found, expected, 1e-12);
    }
    assert_eq!((holm(&[]), holm(&[0.7, 0.8])), (vec![], vec![1.0, 1.0]));
}

fn fate(_defence: &str, attack: &str, example: u32) -> Option<Fate> {
    Some(match (attack, example % 10) {
        (_, 0) => Fate::Misclassified,
        ("pgd", 1..=3) => Fate::Early,
        ("pgd", 4) | ("fgsm", 1 | 5) => Fate::Late,
        _ => Fate::Robust,
    })
}

/// As `fate`, but for examples 1, 4 (won back), 7 and 8 (lost), and 9 (misclassified).
fn changed(defence: &str, attack: &str, example: u32) -> Option<Fate> {
    Some(match (attack, example) {
        ("pgd", 1 | 4) => Fate::Robust,
        ("pgd", 7) => Fate::Early,
        ("pgd", 8) => Fate::Late,
        (_, 9) => Fate::Misclassified,
        _ => fate(defence, attack, example)?,
    })
}

const PGD: &str = "kind = \"pgd\"\nsteps = 40";
const FGSM: &str = "kind = \"fgsm\"";

fn run(fate: fn(&str, &str, u32) -> Option<Fate>, examples: u32) -> Run {
    Run { hash: "ab12", examples, defences: vec!["plain"], attacks: vec![FGSM, PGD], from: 0, fate }
}

fn compared(a: &Run, b: &Run) -> Comparison {
    let (_temporary, [a, b]) = two(a, b);
    compare(&Store::read(&a).unwrap(), &Store::read(&b).unwrap(), &Choice::default()).unwrap()
}

#[track_caller]
fn pair<'a>(comparison: &'a Comparison, kind: Kind, attack: &str, epsilon: f64) -> &'a Pair {
    let is_it = |pair: &&Pair| {
        let subject = &pair.subject;
        subject.kind == kind && (kind != Kind::Cell || subject.attacks == [attack]) && subject.epsilon.unwrap_or(epsilon) == epsilon
    };
    comparison.pairs.iter().find(is_it).expect("the pair is there")
}

fn every_cell_is_paired_by_example_and_the_flips_are_named() {
    let comparison = compared(&run(fate, 20), &run(changed, 20));
    // Clean, two attacks and their union at two epsilons each: at 0 they are as clean.
    assert_eq!(comparison.pairs.len(), 1 + 3 * 2);
    let clean = pair(&comparison, Kind::Clean, "", 0.0);
    assert_eq!(clean.counts, Counts { both: 17, only_a: 1, only_b: 0, neither: 2 });
    let flip = |i: u32, a, b| Flip { example: FIRST + i, label: (FIRST + i) % 3, a, b };
    assert_eq!(clean.flips, [flip(9, Standing::Robust, Standing::Misclassified)]);
    let late = pair(&comparison, Kind::Cell, "pgd", 0.1);
    assert_eq!(late.counts, Counts { both: 7, only_a: 3, only_b: 2, neither: 8 });
    let expected = [
        flip(1, Standing::Broken, Standing::Robust),
        flip(4, Standing::Broken, Standing::Robust),
        flip(7, Standing::Robust, Standing::Broken),
        flip(8, Standing::Robust, Standing::Broken),
        flip(9, Standing::Robust, Standing::Misclassified),
    ];
    assert_eq!(late.flips, expected);
    near(late.difference, -0.05, 1e-12);
    near(late.mcnemar_p, 1.0, 1e-12);
    let worst = pair(&comparison, Kind::WorstCase, "", 0.1);
    // FGSM breaks example 1 all the same.
    assert_eq!(worst.flips.iter().map(|flip| flip.example - FIRST).collect::<Vec<_>>(), [4, 7, 8, 9]);
    assert_eq!(worst.subject.attacks, ["fgsm", "pgd"]);
    assert!(comparison.only_a.is_empty() && comparison.only_b.is_empty() && comparison.notes.is_empty());
}

fn paired_counts_add_up_to_the_accuracies_of_the_runs() {
    let (_temporary, folders) = two(&run(fate, 30), &run(changed, 30));
    let [a, b] = folders.map(|folder| Store::read(&folder).unwrap());
    let comparison = compare(&a, &b, &Choice::default()).unwrap();
    for (side, store) in [a, b].iter().enumerate() {
        let results = gather(store).unwrap().results;
        assert_eq!((results.cells.len(), results.worst_case.len()), (6, 3));
        for cell in results.cells.iter().filter(|cell| cell.epsilon > 0.0) {
            let pair = pair(&comparison, Kind::Cell, &cell.attack, cell.epsilon);
            assert_eq!((pair.robust_accuracy[side], pair.failed[side]), (cell.robust_accuracy, cell.failed));
        }
        for worst in results.worst_case.iter().filter(|worst| worst.epsilon > 0.0) {
            assert_eq!(pair(&comparison, Kind::WorstCase, "", worst.epsilon).robust_accuracy[side], worst.robust_accuracy);
        }
        assert_eq!(pair(&comparison, Kind::Clean, "", 0.0).robust_accuracy[side], results.defences[0].clean_accuracy);
    }
}

fn a_failed_row_is_not_robust_and_is_shown() {
    let failing = |_: &str, attack: &str, example: u32| Some(if attack == "pgd" && example < 2 { Fate::Failing } else { Fate::Robust });
    let (_temporary, [a, b]) = two(&run(|_, _, _| Some(Fate::Robust), 20), &run(failing, 20));
    let comparison = compare(&Store::read(&a).unwrap(), &Store::read(&b).unwrap(), &Choice::default()).unwrap();
    for kind in [Kind::Cell, Kind::WorstCase] {
        let pair = pair(&comparison, kind, "pgd", 0.1);
        assert_eq!((pair.failed, pair.counts.only_a), ([0, 2], 2));
        assert!(pair.flips.iter().all(|flip| flip.b == Standing::Failed));
    }
    assert_eq!(pair(&comparison, Kind::Cell, "pgd", EPSILONS[1]).failed, [0, 0]);
    let output = gauntlet(&["compare", a.to_str().unwrap(), b.to_str().unwrap()]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("FAILED plain / pgd / linf 0.1: 0 examples in A, 2 in B"), "{text}");
}

fn runs_on_other_examples_are_refused_with_both_values() {
    let refused = |other: Run, parts: &[&str]| {
        let (_temporary, [a, b]) = two(&run(fate, 20), &other);
        expect_error(compare(&Store::read(&a).unwrap(), &Store::read(&b).unwrap(), &Choice::default()), parts);
        let output = gauntlet(&["compare", a.to_str().unwrap(), b.to_str().unwrap()]);
        assert_eq!(output.status.code(), Some(2));
    };
    refused(Run { hash: "cd34", ..run(fate, 20) }, &["hash ab12", "hash cd34", "same data"]);
    refused(run(fate, 30), &["20 examples", "30 examples"]);
    refused(Run { defences: vec!["other"], ..run(fate, 20) }, &["plain", "other", "--with"]);
}

fn what_only_one_run_has_is_listed() {
    let unfinished = |defence: &str, attack: &str, example: u32| match (attack, example) {
        ("fgsm", 5) => None,
        _ => fate(defence, attack, example),
    };
    let a = Run { defences: vec!["plain", "old"], ..run(fate, 20) };
    let b = Run { attacks: vec![FGSM, PGD, "kind = \"pgd\"\nname = \"long\"\nsteps = 100"], ..run(unfinished, 20) };
    let comparison = compared(&a, &b);
    let told = |unpaired: &[_]| unpaired.iter().map(ToString::to_string).collect::<Vec<String>>();
    let unfinished = "plain / fgsm / linf 0, 8/255, 0.1 (the other run has not finished it)";
    assert_eq!(told(&comparison.only_a), [unfinished, "old / clean", "old / fgsm / linf 0, 8/255, 0.1", "old / pgd / linf 0, 8/255, 0.1"]);
    assert_eq!(told(&comparison.only_b), ["plain / long / linf 0, 8/255, 0.1"]);
    assert_eq!(comparison.pairs.len(), 1 + 2 * 2);
    assert_eq!(pair(&comparison, Kind::WorstCase, "", 0.1).subject.attacks, ["pgd"], "a worst case is over what both have finished");
    assert!(comparison.notes.iter().any(|note| note == "B is not finished: 6 of 9 cells are there"), "{:?}", comparison.notes);
}

fn epsilons_are_paired_by_their_value_and_not_their_place() {
    let [all, fewer] = [0, 1].map(|from| compared(&run(fate, 20), &Run { from, ..run(changed, 20) }));
    assert_eq!(fewer.only_a.iter().map(ToString::to_string).collect::<Vec<_>>(), ["plain / fgsm / linf 0", "plain / pgd / linf 0"]);
    assert_eq!(fewer.pairs.len(), 1 + 3 * 2);
    for found in &fewer.pairs {
        let expected = all.pairs.iter().find(|pair| pair.subject == found.subject).unwrap();
        assert_eq!((found.counts, &found.flips), (expected.counts, &expected.flips));
    }
}

fn two_defences_of_one_run_are_compared() {
    let both = |defence: &str, attack: &str, example: u32| {
        if defence == "plain" { fate("", attack, example) } else { changed("", attack, example) }
    };
    let (_temporary, [folder, _]) = two(&Run { defences: vec!["plain", "trained"], ..run(both, 20) }, &run(fate, 20));
    let [a, b] = [0; 2].map(|_| Store::read(&folder).unwrap());
    let choice = |defence: &str, with: &str| Choice { defence: Some(defence.into()), with: Some(with.into()) };
    let comparison = compare(&a, &b, &choice("plain", "trained")).unwrap();
    let expected = compared(&run(fate, 20), &run(changed, 20));
    assert_eq!(comparison.pairs.len(), expected.pairs.len());
    for (found, expected) in comparison.pairs.iter().zip(&expected.pairs) {
        assert_eq!((found.counts, &found.flips, found.ci95), (expected.counts, &expected.flips, expected.ci95));
        assert_eq!(found.subject.defences, ["plain", "trained"]);
    }
    let same = compare(&a, &b, &Choice { defence: Some("plain".into()), with: None }).unwrap();
    assert!(same.pairs.iter().all(|pair| pair.flips.is_empty() && pair.subject.defences == ["plain", "plain"]));
    expect_error(compare(&a, &b, &choice("trainde", "nothing")), &["--defence trainde", "\"trained\"", "--with nothing", "plain, trained"]);
}

fn a_gate_passes_on_evidence_and_says_how_much_is_needed() {
    let fine = |_: &str, _: &str, _: u32| Some(Fate::Robust);
    let enough = compared(&run(fine, 268), &run(fine, 268));
    let passed = gate(&enough, 0.01);
    assert!(passed.passed && passed.failures.is_empty() && passed.examples_needed == 268);
    let few = gate(&compared(&run(fine, 267), &run(fine, 267)), 0.01);
    assert!(!few.passed);
    assert_eq!(few.failures.len(), 1 + 3 * 2);
    assert!(few.failures.iter().all(|failure| failure.contains("267 examples are too few") && failure.contains("at least 268")));
    // 3 lost and 1 gained of 200: up to 3.26 points.
    let lossy =
        |_: &str, attack: &str, example: u32| Some(if attack == "pgd" && (1..4).contains(&example) { Fate::Late } else { Fate::Robust });
    let first = |_: &str, attack: &str, example: u32| Some(if attack == "pgd" && example == 9 { Fate::Late } else { Fate::Robust });
    let comparison = compared(&run(first, 200), &run(lossy, 200));
    let refused = gate(&comparison, 0.0325);
    assert_eq!(refused.failures.len(), 2, "the cell and the worst case of one epsilon: {:?}", refused.failures);
    assert!(refused.failures[0].starts_with("plain / pgd / linf 0.1: the loss is 1.00 points, and may be 3.26"), "{:?}", refused.failures);
    assert!(!refused.failures[0].contains("too few"));
    assert!(gate(&comparison, 0.0326).passed);
}

fn a_gate_fails_where_one_run_lacks_cells_or_an_attack_is_another() {
    let fine = |_: &str, _: &str, _: u32| Some(Fate::Robust);
    let lacking = gate(&compared(&run(fine, 300), &Run { attacks: vec![FGSM], ..run(fine, 300) }), 0.01);
    assert_eq!(lacking.failures, ["plain / pgd / linf 0, 8/255, 0.1: B has nothing to hold against it"]);
    let more = gate(&compared(&Run { attacks: vec![FGSM], ..run(fine, 300) }, &run(fine, 300)), 0.01);
    assert_eq!(more.failures, ["plain / pgd / linf 0, 8/255, 0.1: A has nothing to hold it against, and worst cases leave it out"]);
    let weaker = compared(&run(fine, 300), &Run { attacks: vec![FGSM, "kind = \"pgd\"\nsteps = 2"], ..run(fine, 300) });
    assert_eq!(weaker.notes, ["attack pgd differs: pgd { steps = 40 } in A, pgd { steps = 2 } in B"]);
    assert_eq!(gate(&weaker, 0.01).failures, ["attack pgd: the two suites describe it differently"]);
}

fn the_command_prints_json_and_flips_and_exits_as_the_gate_says() {
    let (temporary, [a, b]) = two(&run(fate, 300), &run(changed, 300));
    let (a, b) = (a.to_str().unwrap(), b.to_str().unwrap());
    let code = |more: &[&str]| {
        let output = gauntlet(&[&["compare", a, b], more].concat());
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };
    let (status, text) = code(&["--flips", "1"]);
    assert_eq!(status, Some(0));
    assert!(text.contains("flipped, plain / pgd / linf 0.1: lost 107 and 2 more; gained 101 and 1 more"), "{text}");
    assert!(text.contains("flipped, plain / clean") && !text.contains("linf 0:"), "at epsilon 0 cells are as clean: {text}");
    assert!(text.contains("Tango") && text.contains("corrected for 7 comparisons"), "{text}");
    let (status, text) = code(&["--gate", "3"]);
    assert!(status == Some(0) && text.contains("gate: PASS"), "{text}");
    let (status, text) = code(&["--gate", "1%"]);
    assert!(
        status == Some(1) && text.contains("gate: FAIL at 1 points") && text.contains("plain / pgd / linf 0.1: the loss is 0.33"),
        "{text}"
    );
    for wrong in ["0", "-1", "100", "nan", "much"] {
        assert_eq!(code(&[&format!("--gate={wrong}")]).0, Some(2), "--gate {wrong}");
    }
    assert_eq!(code(&["--with", "plain"]).0, Some(2), "--with alone");
    let flips = temporary.path().join("flips.csv");
    let (status, text) = code(&["--gate", "1.0", "--json", "--out", flips.to_str().unwrap()]);
    let json: Value = serde_json::from_str(&text).unwrap();
    assert!(status == Some(1) && json["gate"]["passed"] == false && json["gate"]["examples_needed"] == 268);
    let pairs = json["pairs"].as_array().unwrap();
    let pair = pairs.iter().find(|pair| pair["kind"] == "cell" && pair["attacks"][0] == "pgd" && pair["epsilon"] == 0.1).unwrap();
    assert!(pair["only_a"] == 3 && pair["only_b"] == 2 && pair["flips"].as_array().unwrap().len() == 5);
    let lines: Vec<String> = fs::read_to_string(&flips).unwrap().lines().map(str::to_owned).collect();
    assert_eq!(lines.len() - 1, pairs.iter().map(|pair| pair["flips"].as_array().unwrap().len()).sum::<usize>());
    assert!(lines.contains(&"cell,plain,plain,pgd,linf,0.1,109,1,robust,misclassified".to_owned()), "{lines:?}");
    assert!(lines.contains(&"worst-case,plain,plain,fgsm pgd,linf,0.1,104,2,broken,robust".to_owned()), "{lines:?}");
}
