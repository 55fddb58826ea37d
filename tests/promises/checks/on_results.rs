//! Checks that go by outcomes alone, on outcomes made by hand; and what is added because of them.

use super::*;

promises! {
    a_score_based_attack_that_beats_gradients_means_masked_gradients,
    noise_and_one_step_must_not_beat_a_search,
    a_curve_that_rises_is_named,
    a_certificate_that_an_attack_contradicts_is_an_alarm,
    audits_and_failed_rows_are_counted,
    a_remedy_becomes_an_entry_of_its_own,
}

/// A case with series of the given kinds; a word is an example's fate over the epsilons.
fn by_hand(kinds: &[(&str, &str, Vec<&str>)]) -> Case {
    let examples = kinds[0].2.len();
    let data = pictures().limit(examples);
    let oracle = untrained("linear", &data, &Device::flex());
    // Nothing is decided rightly, so nothing is probed.
    let mut data = relabelled(data, &oracle);
    data.labels.iter_mut().for_each(|label| *label = (*label + 1) % 10);
    let mut case = Case::new(oracle, data);
    for (kind, options, fates) in kinds {
        assert_eq!(fates.len(), examples);
        let epsilons: Vec<f64> = (1..=fates[0].len()).map(|at| at as f64 / 10.0).collect();
        let one = |(id, fate): (&u32, &&str)| ExampleOutcomes { example: *id, outcomes: fate.chars().map(outcome).collect() };
        let outcomes = case.data.ids.iter().zip(fates).map(one).collect();
        case.series.push(series(kind, options, Norm::Linf, &epsilons, outcomes));
    }
    case
}

/// So many of each fate.
fn fates(counts: &[(usize, &'static str)]) -> Vec<&'static str> {
    counts.iter().flat_map(|&(count, fate)| std::iter::repeat_n(fate, count)).collect()
}

fn verdict(check: &str, kinds: &[(&str, &str, Vec<&str>)]) -> (Verdict, Option<Remedy>) {
    let found = by_hand(kinds).found(check);
    println!("{check}: {found:?}");
    (found.verdict, found.remedy)
}

fn a_score_based_attack_that_beats_gradients_means_masked_gradients() {
    let score = |pgd, square| verdict("score-beats-white-box", &[("pgd", "", pgd), ("square", "", square)]).0;
    let half = || fates(&[(20, "sb"), (20, "ss")]);
    assert_eq!(score(half(), half()), Verdict::Pass);
    assert_eq!(score(half(), fates(&[(20, "sb"), (9, "sb"), (11, "ss")])), Verdict::Fail);
    // Weaker, it says nothing; a little stronger on few examples may be chance.
    assert_eq!(score(half(), fates(&[(5, "sb"), (35, "ss")])), Verdict::Pass);
    assert_eq!(score(half(), fates(&[(22, "sb"), (18, "ss")])), Verdict::Warn);
    // The best of the white-box attacks counts.
    let beside = [("fgsm", "", half()), ("pgd", "", fates(&[(40, "sb")])), ("square", "", fates(&[(30, "sb"), (10, "ss")]))];
    assert_eq!(verdict("score-beats-white-box", &beside).0, Verdict::Pass);
    assert_eq!(verdict("score-beats-white-box", &[("pgd", "", half())]), (Verdict::Skip, Some(Remedy::Square)));
    assert_eq!(verdict("score-beats-white-box", &[("square", "", half())]), (Verdict::Skip, None));
    // Without one, a short one looks at the probes that are said to stand.
    let mut looked = Case::new(trained(), pictures());
    let claimed = |id: &u32| ExampleOutcomes { example: *id, outcomes: vec![outcome('s')] };
    looked.series.push(series("pgd", "", Norm::Linf, &[0.2], looked.data.ids.iter().map(claimed).collect()));
    let found = looked.found("score-beats-white-box");
    assert!(found.verdict == Verdict::Fail && found.forwards > 0, "{found:?}");
    // Noise is no search.
    assert_eq!(verdict("score-beats-white-box", &[("pgd", "", half()), ("noise", "", half())]).0, Verdict::Skip);
}

fn noise_and_one_step_must_not_beat_a_search() {
    let broken = |count| fates(&[(40 - count, "ss"), (count, "sb")]);
    for (check, weak) in [("noise-beats-gradient", "noise"), ("one-step-beats-many", "fgsm")] {
        let of = |weaker, stronger| verdict(check, &[(weak, "", weaker), ("pgd", "", stronger)]).0;
        assert_eq!(of(broken(10), broken(10)), Verdict::Pass, "{check}");
        assert_eq!(of(broken(10), broken(9)), Verdict::Warn, "{check}");
        assert_eq!(of(broken(10), broken(5)), Verdict::Fail, "{check}");
        // As many, but others: it goes example by example.
        assert_eq!(of(broken(10), fates(&[(10, "sb"), (30, "ss")])), Verdict::Fail, "{check}");
        // A row that failed does not stand.
        assert_eq!(of(broken(10), fates(&[(30, "ss"), (10, "sf")])), Verdict::Pass, "{check}");
        assert_eq!(verdict(check, &[("pgd", "", broken(3))]).0, Verdict::Skip, "{check}");
        // An ensemble that finds what the search misses keeps the worst case right, and one that misses it too does not.
        let beside = |ensemble| verdict(check, &[(weak, "", broken(10)), ("pgd", "", broken(5)), ("autoattack", "", ensemble)]).0;
        assert_eq!([beside(broken(10)), beside(broken(9)), beside(broken(5))], [Verdict::Warn, Verdict::Warn, Verdict::Fail], "{check}");
    }
    let fgsm = [("fgsm", "", broken(10)), ("pgd", "", broken(1))];
    assert_eq!(verdict("one-step-beats-many", &fgsm).1, Some(Remedy::Longer { attack: "pgd".into() }));
    let noise = [("noise", "", broken(10)), ("fgsm", "", broken(1))];
    assert_eq!(verdict("noise-beats-gradient", &noise), (Verdict::Fail, Some(Remedy::Square)));
}

fn a_curve_that_rises_is_named() {
    let exhaustive = |kind, fates| {
        let mut case = by_hand(&[(kind, "", fates)]);
        case.series[0].threat.sweep = Sweep::Exhaustive;
        case.found("monotone").verdict
    };
    assert_eq!(by_hand(&[("pgd", "", fates(&[(40, "bs")]))]).found("monotone").verdict, Verdict::Skip, "descending");
    assert_eq!(exhaustive("pgd", fates(&[(20, "sb"), (20, "bb")])), Verdict::Pass);
    assert_eq!(exhaustive("pgd", fates(&[(38, "sb"), (2, "bs")])), Verdict::Warn);
    assert_eq!(exhaustive("pgd", fates(&[(30, "ss"), (10, "bs")])), Verdict::Fail);
    // From the first to the last, though neighbours rise by too little each.
    assert_eq!(exhaustive("pgd", fates(&[(32, "sss"), (4, "bss"), (4, "bbs")])), Verdict::Fail);
    // One step may leap over what it looks for.
    assert_eq!(exhaustive("fgsm", fates(&[(38, "sb"), (2, "bs")])), Verdict::Pass);
    assert_eq!(exhaustive("fgsm", fates(&[(30, "ss"), (10, "bs")])), Verdict::Warn);
}

fn audits_and_failed_rows_are_counted() {
    let audited = |wrong: usize, rerun| {
        let mut case = by_hand(&[("pgd", "", fates(&[(40, "ss")]))]);
        let audit = |at: usize| {
            let verdict = if at < wrong { record::Verdict::Broken } else { record::Verdict::Survived };
            Audited { example: at as u32, epsilon: 0.1, verdict, forwards: 3, backwards: 2 }
        };
        case.series[0].audits = Some((0..50).map(audit).collect());
        case.series[0].rerun = rerun;
        let found = case.found("descending-audit");
        assert_eq!(found.forwards, 150);
        found.verdict
    };
    assert_eq!([audited(0, false), audited(1, true), audited(1, false)], [Verdict::Pass, Verdict::Warn, Verdict::Fail]);
    assert_eq!(verdict("descending-audit", &[("pgd", "", fates(&[(4, "s")]))]).0, Verdict::Skip);
    assert_eq!(verdict("failed-rows", &[("pgd", "", fates(&[(4, "sb")]))]).0, Verdict::Pass);
    assert_eq!(verdict("failed-rows", &[("pgd", "", fates(&[(4, "sb"), (1, "sf")]))]).0, Verdict::Fail);
}

fn a_remedy_becomes_an_entry_of_its_own() {
    let entry = |name: &str, kind: &str, options: &str| {
        let row = gauntlet::attack::ATTACKS.iter().find(|row| row.entry.name == kind).unwrap();
        AttackSpec { name: name.into(), kind: kind.into(), options: parse_options(&row.entry, options).unwrap() }
    };
    let wish = |check: &str, remedy| Wish { check: check.into(), defence: "d".into(), remedy };
    let suite = [entry("fgsm", "fgsm", ""), entry("mine", "pgd", "steps = 10"), entry("mine-hardened", "noise", "")];
    let wishes = [
        wish("random-output", Remedy::Average),
        wish("zero-gradients", Remedy::Margin),
        wish("not-converged", Remedy::Longer { attack: "mine".into() }),
        wish("one-step-beats-many", Remedy::Longer { attack: "mine".into() }),
        wish("score-beats-white-box", Remedy::Square),
    ];
    let found = additions(&suite, &[Norm::Linf], &wishes).unwrap();
    let names: Vec<&str> = found.iter().map(|addition| addition.name.as_str()).collect();
    assert_eq!(names, ["fgsm-hardened", "mine-hardened-2", "square-hardened"], "{found:?}");
    assert_eq!(found[0].options.integer("eot"), Some(20));
    let pgd = &found[1].options;
    assert_eq!((pgd.integer("eot"), pgd.integer("steps"), pgd.integer("restarts")), (Some(20), Some(20), Some(6)));
    assert_eq!(pgd.text("loss"), Some("margin"));
    assert_eq!(found[0].why, "random-output on d");
    assert!(found[1].why.contains("not-converged on d"), "{}", found[1].why);
    assert_eq!(additions(&suite, &[Norm::Linf], &[]).unwrap(), []);
    let with_square = [entry("square", "square", "")];
    assert_eq!(additions(&with_square, &[Norm::Linf], &wishes[4..]).unwrap(), [], "there already");
    // What is written into the suite reads back as the same entry.
    let text = format!(
        "title = \"t\"\n[data]\nsource = \"digits\"\n[[threat]]\nnorm = \"linf\"\nepsilons = [0.1]\n[[defence]]\nname = \"d\"\nmodel = {{ architecture = \"linear\" }}\ntrain = {{ method = \"standard\" }}\n{}",
        found.iter().map(|addition| addition.toml()).collect::<String>()
    );
    let catalogue = gauntlet::suite::catalogue::catalogue();
    let read = gauntlet::suite::parse("suite", &text, Path::new("."), &[], &catalogue).unwrap();
    let wanted: Vec<AttackSpec> = found.iter().map(|addition| addition.spec()).collect();
    assert_eq!(read.attacks, wanted);
}

/// `outcome('b')` breaks at 0.01.
fn a_certificate_that_an_attack_contradicts_is_an_alarm() {
    let alarm = |radii: &[Option<f64>], trust, norm| {
        let mut case = by_hand(&[("pgd", "", fates(&[(10, "sb"), (30, "ss")]))]);
        let certificate = |(id, radius): (&u32, &Option<f64>)| Certificate { example: *id, radius: *radius, abstained: false };
        let certificates = case.data.ids.iter().zip(radii).map(certificate).collect();
        case.certified.push(Certified { name: "bound".into(), norm, trust, exact: false, certificates });
        case.found("certificate-violated")
    };
    // The first ten are broken at 0.01.
    let sound: Vec<Option<f64>> = (0..40).map(|at| if at < 10 { [None, Some(0.009)][at % 2] } else { Some(0.2) }).collect();
    assert_eq!(alarm(&sound, Trust::Certain, Norm::Linf).verdict, Verdict::Pass);
    // One bound that is too large is enough.
    let disturbed: Vec<Option<f64>> = sound.iter().enumerate().map(|(at, radius)| if at == 3 { Some(0.02) } else { *radius }).collect();
    let found = alarm(&disturbed, Trust::Certain, Norm::Linf);
    assert!(found.verdict == Verdict::Fail && found.detail.contains("1 of 35") && found.detail.contains("pgd"), "{found:?}");
    // One in forty may be chance where each is wrong with probability 0.02, five may not.
    assert_eq!(alarm(&disturbed, Trust::But(0.02), Norm::Linf).verdict, Verdict::Pass);
    let many: Vec<Option<f64>> = sound.iter().enumerate().map(|(at, radius)| if at < 5 { Some(0.02) } else { *radius }).collect();
    assert_eq!(alarm(&many, Trust::But(0.02), Norm::Linf).verdict, Verdict::Fail);
    // Another classifier's certificates, or another norm's, cannot be contradicted.
    assert_eq!(alarm(&many, Trust::Another, Norm::Linf).verdict, Verdict::Skip);
    assert_eq!(alarm(&many, Trust::Certain, Norm::L2).verdict, Verdict::Skip);
    assert_eq!(by_hand(&[("pgd", "", fates(&[(10, "sb")]))]).found("certificate-violated").verdict, Verdict::Skip);
}
