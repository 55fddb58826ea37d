//! Defences side by side: the letters of groups, the Pareto front, training seeds, the page's table and its exports.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use gauntlet::evaluate::differences::{groups, letters, pair};
use gauntlet::evaluate::paired::holm;
use gauntlet::evaluate::spread::spread;
use gauntlet::report::side::front;
use gauntlet::report::side::latex::escape as latex;
use gauntlet::report::side::markdown::escape as markdown;
use gauntlet::suite::{self, catalogue::catalogue};
use serde_json::Value;

promises! {
    letters_say_exactly_which_pairs_differ,
    letters_of_hand_made_cases,
    holms_correction_is_that_of_statsmodels,
    a_pair_differs_where_its_flips_do,
    recipes_differ_only_where_all_their_weights_do,
    the_best_is_in_the_first_group,
    the_spread_over_seeds_is_students_and_wilsons,
    the_pareto_front_is_what_none_beats,
    what_is_cheaper_by_noise_alone_is_on_no_front,
    latex_and_markdown_show_names_as_they_stand,
    seeds_become_defences_of_their_own,
    mistakes_with_seeds_are_told,
    seeds_run_resume_compare_and_are_shown_together,
}

/// Whether two places share a letter.
fn share(letters: &[String], a: usize, b: usize) -> bool {
    letters[a].chars().any(|letter| letters[b].contains(letter))
}

fn letters_say_exactly_which_pairs_differ() {
    // Every set of differing pairs among five places, and a sample among nine.
    let all = |n: usize| -> Vec<(usize, usize)> { (0..n).flat_map(|a| (a + 1..n).map(move |b| (a, b))).collect() };
    let check = |n: usize, differ: &[(usize, usize)]| {
        let order: Vec<usize> = (0..n).rev().collect();
        let found = letters(&order, differ);
        for (a, b) in all(n) {
            assert_eq!(share(&found, a, b), !differ.contains(&(a, b)), "{a} and {b} of {differ:?}: {found:?}");
        }
        assert!(found.iter().all(|letters| !letters.is_empty()), "{found:?}");
    };
    for mask in 0u32..1 << 10 {
        let differ: Vec<_> = all(5).into_iter().enumerate().filter(|(at, _)| mask >> at & 1 == 1).map(|(_, pair)| pair).collect();
        check(5, &differ);
    }
    for seed in 1u64..60 {
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut coin = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            state >> 62 == 0
        };
        let differ: Vec<_> = all(9).into_iter().filter(|_| coin()).collect();
        check(9, &differ);
    }
}

fn letters_of_hand_made_cases() {
    let of = |order: &[usize], differ: &[(usize, usize)]| letters(order, differ).join(" ");
    assert_eq!(of(&[], &[]), "");
    assert_eq!(of(&[0, 1, 2], &[]), "a a a");
    assert_eq!(of(&[0, 1, 2], &[(0, 1), (0, 2), (1, 2)]), "a b c");
    // The best and the worst differ, the middle one from neither.
    assert_eq!(of(&[0, 1, 2], &[(0, 2)]), "a ab b");
    assert_eq!(of(&[2, 0, 1], &[(1, 2)]), "ab b a");
    // Piepho's kind of chain: neighbours alike, others not.
    assert_eq!(of(&[0, 1, 2, 3], &[(0, 2), (0, 3), (1, 3)]), "a ab bc c");
    // Forty places in pairs that differ: without dropping needless groups there would be a million.
    let pairs: Vec<(usize, usize)> = (0..20).map(|pair| (2 * pair, 2 * pair + 1)).collect();
    let found = letters(&(0..40).collect::<Vec<_>>(), &pairs);
    assert!((0..40).all(|a| (a + 1..40).all(|b| share(&found, a, b) != pairs.contains(&(a, b)))));
}

/// By `multipletests(.., method="holm")` of statsmodels 0.15.0.
fn holms_correction_is_that_of_statsmodels() {
    let found = holm(&[0.01, 0.04, 0.03, 0.005, 0.2, 0.0004, 0.04]);
    let expected = [0.05, 0.12, 0.12, 0.03, 0.2, 0.0028, 0.12];
    assert!(found.iter().zip(expected).all(|(found, expected)| (found - expected).abs() < 1e-12), "{found:?}");
}

/// Verdicts on `n` examples, of which the first `kept` are robust.
fn keeps(kept: usize, n: usize) -> Vec<bool> {
    (0..n).map(|at| at < kept).collect()
}

fn a_pair_differs_where_its_flips_do() {
    let (a, b) = (keeps(60, 100), keeps(50, 100));
    // Ten flips, all in one direction: 2 / 2^10.
    assert!((pair(&[&a], &[&b]) - 2.0 / 1024.0).abs() < 1e-12);
    assert_eq!(pair(&[&a], &[&a]), 1.0);
    assert_eq!(pair(&[], &[&a]), 1.0);
}

fn recipes_differ_only_where_all_their_weights_do() {
    let (low, middle, high) = (keeps(40, 100), keeps(60, 100), keeps(80, 100));
    let (a, b): (Vec<&[bool]>, Vec<&[bool]>) = (vec![&high, &middle], vec![&low]);
    assert!(pair(&a, &b) < 1e-5, "both weights keep more");
    let mixed: Vec<&[bool]> = vec![&low, &high];
    assert_eq!(pair(&mixed, &[&middle]), 1.0, "one of the weights keeps less, the other more");
    let near = keeps(41, 100);
    assert!(pair(&[&high, &near], &[&low]) > 0.99, "one of the weights cannot be told from the other recipe's");
    assert_eq!(groups(&[a, b, mixed]), ["a", "b", "ab"]);
}

fn the_best_is_in_the_first_group() {
    let verdicts = [keeps(10, 300), keeps(200, 300), keeps(201, 300), keeps(120, 300)];
    let recipes: Vec<Vec<&[bool]>> = verdicts.iter().map(|verdict| vec![verdict.as_slice()]).collect();
    assert_eq!(groups(&recipes), ["c", "a", "a", "b"]);
    assert_eq!(groups(&recipes[..1]), ["a"]);
    // A difference that one test would call, and six tests do not: six flips of one direction, p = 2/64.
    let close = [keeps(100, 300), keeps(106, 300), keeps(103, 300), keeps(102, 300)];
    let recipes: Vec<Vec<&[bool]>> = close.iter().map(|verdict| vec![verdict.as_slice()]).collect();
    assert!(pair(&recipes[0], &recipes[1]) < 0.05);
    assert_eq!(groups(&recipes), ["a", "a", "a", "a"]);
}

/// The interval by scipy's t and normal quantiles and the published formula.
fn the_spread_over_seeds_is_students_and_wilsons() {
    let found = spread(&[0.70, 0.75, 0.65], 200).unwrap();
    assert_eq!((found.seeds, found.low, found.high), (3, 0.65, 0.75));
    assert!((found.mean - 0.7).abs() < 1e-12 && (found.deviation - 0.05).abs() < 1e-12);
    let expected = [0.558_973_953_256_512_7, 0.837_616_189_036_969_5];
    assert!((found.ci95[0] - expected[0]).abs() < 1e-6 && (found.ci95[1] - expected[1]).abs() < 1e-6, "{:?}", found.ci95);
    let one = spread(&[0.7], 200).unwrap();
    assert_eq!((one.deviation, one.seeds), (0.0, 1));
    assert_eq!(one.ci95, gauntlet::evaluate::interval::wilson(140, 200, 0.95));
    assert_eq!(spread(&[], 200), None);
    let still = spread(&[0.0, 0.0, 0.0], 100).unwrap();
    assert!(still.ci95[0] == 0.0 && still.ci95[1] > 0.03, "seeds that agree leave the examples' own chance: {:?}", still.ci95);
}

fn the_pareto_front_is_what_none_beats() {
    let points = [(0.9, 0.2), (0.8, 0.5), (0.7, 0.4), (0.6, 0.8), (0.8, 0.5), (0.6, 0.1)];
    assert_eq!(front(&points, 0.0), [0, 1, 4, 3], "equals stay together; the third and the last are beaten");
    assert_eq!(front(&[(0.5, 0.5)], 0.0), [0]);
    assert!(front(&[], 0.0).is_empty());
    assert_eq!(front(&[(0.5, 0.5), (0.5, 0.6)], 0.0), [1], "as good in one and better in the other");
}

fn what_is_cheaper_by_noise_alone_is_on_no_front() {
    // Less is better: costs are negative.
    let points = [(-1.00, 0.3), (-1.05, 0.5), (-0.50, 0.2), (-3.0, 0.6), (-3.1, 0.55)];
    assert_eq!(front(&points, 0.1), [2, 1, 3], "the first is as dear as the second and keeps less");
    assert_eq!(front(&points, 0.0), [2, 0, 1, 3]);
    assert_eq!(front(&[(-1.0, 0.5), (-1.05, 0.5)], 0.1), [0, 1], "equals in both stay together");
    assert_eq!(front(&[(-1.0, 0.5), (-1.2, 0.5)], 0.1), [0], "a real difference of cost counts");
}

fn latex_and_markdown_show_names_as_they_stand() {
    assert_eq!(latex(r"a_b & 50% #1 $x$ {y} ~^\"), r"a\_b \& 50\% \#1 \$x\$ \{y\} \textasciitilde{}\textasciicircum{}\textbackslash{}");
    assert_eq!(latex("[x] *y* --z <|>\"`"), "{[}x{]} {*}y{*} -{}-z \\textless{}\\textbar{}\\textgreater{}''\\textasciigrave{}");
    assert_eq!(latex("Ünïcode ε 中\n"), "Ünïcode $\\varepsilon$ {[}U+4E2D{]} ");
    assert_eq!(markdown("a|b *c* _d_ <e> [f] `g` $h$ #1 \\ &amp;\n"), r"a\|b \*c\* \_d\_ \<e\> \[f\] \`g\` \$h\$ \#1 \\ \&amp; ");
}

const SUITE: &str = r#"
title = "Seeds | & 100 % of them"
seed = 3

[data]
source = "digits"
examples = 60

[[threat]]
norm = "linf"
epsilons = [0, 0.05, 0.1]

[[defence]]
name = "plain_one"
seeds = [1, 2, 3]
model = { architecture = "linear" }
train = { method = "standard", epochs = 2 }

[[defence]]
name = "hard&fast"
model = { architecture = "linear", seed = 1 }
train = { method = "pgd", epochs = 2, epsilon = 0.1, steps = 2 }

[[attack]]
kind = "fgsm"
"#;

fn read(text: &str) -> gauntlet::Result<suite::Suite> {
    suite::parse("suite.toml", text, Path::new("."), &[], &catalogue())
}

fn seeds_become_defences_of_their_own() {
    let suite = read(SUITE).unwrap();
    let found: Vec<_> =
        suite.defences.iter().map(|defence| (defence.name.as_str(), defence.recipe.as_deref(), defence.model.seed)).collect();
    let recipe = Some("plain_one");
    let expected = [("plain_one#1", recipe, 1), ("plain_one#2", recipe, 2), ("plain_one#3", recipe, 3), ("hard&fast", None, 1)];
    assert_eq!(found, expected);
    // A single seed is written as it was always meant: the same recipe by another name.
    let one = read(&SUITE.replace("seeds = [1, 2, 3]", "seeds = [7]")).unwrap();
    assert_eq!((one.defences[0].name.as_str(), one.defences[0].model.seed), ("plain_one#7", 7));
}

fn mistakes_with_seeds_are_told() {
    let expect = |text: String, part: &str| {
        let told = format!("{:?}", read(&text).expect_err(part));
        assert!(told.contains(part), "{part:?} is missing in: {told}");
    };
    let with = |seeds: &str| SUITE.replace("seeds = [1, 2, 3]", seeds);
    expect(with("seeds = []"), "a list of whole numbers");
    expect(with("seeds = 3"), "a list of whole numbers");
    expect(with("seeds = [1, 1]"), "has 1 twice");
    expect(with("seeds = [1, -2]"), "element 2 of `seeds`");
    expect(SUITE.replace("architecture = \"linear\" }", "architecture = \"linear\", seed = 4 }"), "both `seeds` and a `seed`");
    expect(SUITE.replace("train = { method = \"standard\", epochs = 2 }", ""), "`seeds`, but no `train`");
    expect(SUITE.replace("hard&fast", "plain_one#2"), "NAME#SEED");
    expect(SUITE.replace("hard&fast", "plain_one"), "a second defence");
}

fn gauntlet(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gauntlet"));
    command.args(arguments).current_dir(folder).stdin(Stdio::null()).output().unwrap()
}

#[track_caller]
fn done(output: &Output) -> String {
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.code().is_some_and(|code| code < 2), "{text}");
    text
}

fn seeds_run_resume_compare_and_are_shown_together() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path();
    fs::write(folder.join("suite.toml"), SUITE).unwrap();
    let plan = done(&gauntlet(folder, &["plan", "suite.toml"]));
    assert!(plan.contains("plain_one: trained with the seeds 1, 2, 3") && plan.contains("Trainings: 4"), "{plan}");
    let run = |out: &str| done(&gauntlet(folder, &["run", "suite.toml", "--device", "cpu", "--out", out]));
    run("a");
    run("b");
    assert!(run("a").contains("Nothing to do"));
    let results = |out: &str| -> Value { serde_json::from_slice(&fs::read(folder.join(out).join("results.json")).unwrap()).unwrap() };
    let [mut a, mut b] = [results("a"), results("b")];
    let timing = a.as_object_mut().unwrap().remove("timing").unwrap();
    b.as_object_mut().unwrap().remove("timing");
    assert_eq!(a, b, "two runs differ in nothing but the timing");
    a_run_says_what_belongs_together(&a, &timing);
    the_page_shows_the_recipe(&fs::read_to_string(folder.join("a/report.html")).unwrap());
    for stem in ["pareto-linf-0.1", "training-cost-linf-0.1", "inference-cost-linf-0.05"] {
        assert!(folder.join(format!("a/plots/{stem}.png")).is_file(), "{stem}");
    }
    let compared = done(&gauntlet(folder, &["compare", "a", "b", "--defence", "plain_one#1", "--with", "plain_one#2"]));
    assert!(compared.contains("plain_one#1") && compared.contains("plain_one#2"), "{compared}");
    let written = |format: &str, file: &str, more: &[&str]| -> String {
        done(&gauntlet(folder, &[&["export", "a", "--format", format], more].concat()));
        fs::read_to_string(folder.join("a").join(file)).unwrap()
    };
    csv(&written("csv-defences", "defences.csv", &[]), &a);
    let tex = written("latex", "defences.tex", &[]);
    assert!(
        tex.contains("plain\\_one (3 seeds)") && tex.contains("hard\\&fast") && tex.contains("$\\pm$") && tex.contains("\\bottomrule"),
        "{tex}"
    );
    let columns = tex.lines().find_map(|line| line.strip_prefix("\\begin{tabular}{")).unwrap().len() - 1;
    for row in tex.lines().filter(|line| line.ends_with("\\\\")) {
        assert_eq!(row.replace("\\&", "").matches('&').count() + 1, columns, "{row}");
    }
    let md = written("markdown", "defences.md", &["--epsilon", "0.1"]);
    let widths: Vec<usize> =
        md.lines().filter(|line| line.starts_with('|')).map(|line| line.replace("\\|", "").matches('|').count()).collect();
    assert!(widths.len() == 4 && widths.iter().all(|width| *width == widths[0]), "{md}");
    assert!(md.contains("Seeds \\| \\&") && md.contains("fgsm") && md.contains("these weights"), "{md}");
    for (arguments, told) in
        [(["--format", "latex", "--epsilon", "0.3"], "0.05"), (["--format", "csv", "--epsilon", "0.1"], "--format latex")]
    {
        let refused = gauntlet(folder, &[&["export", "a"], &arguments[..]].concat());
        let text = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(refused.status.code() == Some(2) && text.contains(told), "{text}");
    }
    let out: PathBuf = folder.join("weights");
    done(&gauntlet(folder, &["train", "suite.toml", "--device", "cpu", "--defence", "plain_one", "--out", "weights"]));
    assert_eq!(fs::read_dir(out).unwrap().count(), 3);
}

fn a_run_says_what_belongs_together(results: &Value, timing: &Value) {
    let defences = results["defences"].as_array().unwrap();
    assert_eq!(defences.len(), 4);
    for (at, defence) in defences[..3].iter().enumerate() {
        assert_eq!((&defence["recipe"], defence["seed"].as_u64()), (&Value::from("plain_one"), Some(at as u64 + 1)));
    }
    assert!(defences[3].get("recipe").is_none());
    let weights: std::collections::BTreeSet<&str> = defences.iter().map(|defence| defence["weights"].as_str().unwrap()).collect();
    assert_eq!(weights.len(), 4, "every seed has weights of its own");
    // 64 inputs, ten classes: 2 x 64 multiply-adds and a bias each at most.
    let flops = defences[0]["flops"].as_u64().unwrap();
    assert!((1280..=1300).contains(&flops), "{flops}");
    assert!(defences[0]["memory"].as_u64().unwrap() >= 4 * 650);
    assert_eq!(results["groups"].as_array().unwrap().len(), 2 * 3, "two recipes at three radii");
    let seconds = timing["defences"].as_array().unwrap();
    assert!(
        seconds.len() == 4
            && seconds.iter().all(|of| of["training_seconds"].as_f64() > Some(0.0) && of["inference_seconds"].as_f64() > Some(0.0))
    );
}

fn the_page_shows_the_recipe(page: &str) {
    let section = page.split("<section id=\"side\">").nth(1).unwrap().split("</section>").next().unwrap();
    assert_eq!(section.matches("<tr class=\"seed\">").count(), 3);
    for part in
        ["plain_one<br><small>3 seeds</small>", "hard&amp;fast<br><small>these weights</small>", "sd ", "worst case", "1,000 images"]
    {
        assert!(section.contains(part), "{part} is missing");
    }
}

/// The means of the file are those of the cells.
fn csv(text: &str, results: &Value) {
    let rows: Vec<Vec<&str>> = text.lines().map(|line| line.split(',').collect()).collect();
    let place = |name: &str| rows[0].iter().position(|head| *head == name).unwrap_or_else(|| panic!("{name}: {text}"));
    assert_eq!(rows.len(), 1 + 2 * 3);
    for row in &rows[1..] {
        assert_eq!(row.len(), rows[0].len());
        let epsilon: f64 = row[place("epsilon")].parse().unwrap();
        let of_row = |cell: &&Value| {
            let name = cell["defence"].as_str().unwrap();
            (name == row[0] || name.split('#').next() == Some(row[0])) && cell["epsilon"].as_f64() == Some(epsilon)
        };
        let shares: Vec<f64> =
            results["cells"].as_array().unwrap().iter().filter(of_row).map(|cell| cell["robust_accuracy"].as_f64().unwrap()).collect();
        assert_eq!(shares.len(), row[place("seeds")].parse::<usize>().unwrap());
        let mean: f64 = row[place("fgsm")].parse().unwrap();
        assert!((mean - shares.iter().sum::<f64>() / shares.len() as f64).abs() < 1e-12);
        assert!(row[place("worst_case_smallest_seed")].parse::<f64>().unwrap() <= mean + 1e-12);
        assert!(row[place("training_seconds")].parse::<f64>().unwrap() > 0.0);
    }
}
