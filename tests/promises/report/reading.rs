//! What plots and page say is what can be read in them: heads, labels, fronts, steps, and where they open.

use gauntlet::evaluate::results::{ApparentGain, Certified, DefenceTiming};
use gauntlet::threat::Norm;

use super::{EPSILONS, plot, report, results};

promises! {
    heads_of_a_heat_map_are_not_broken_within_words,
    every_point_of_a_scatter_plot_has_a_label,
    timings_within_their_noise_put_nothing_on_a_front,
    summary_and_table_open_at_the_same_epsilon,
    gains_of_nothing_are_counted_and_not_listed,
    certificates_are_drawn_as_steps,
    tables_scroll_within_themselves,
}

fn heads_of_a_heat_map_are_not_broken_within_words() {
    let folder = tempfile::tempdir().expect("a folder");
    let attacks = ["autoattack", "apgd-targeted", "momentum iterative"];
    report(folder.path(), &results(&["a"], &attacks, &[Norm::Linf], &EPSILONS), &[], &[]);
    let drawing = plot(folder.path(), "heatmap-linf-0.3.svg");
    for word in ["autoattack", "targeted", "momentum", "iterative"] {
        assert!(drawing.lines().any(|line| line.ends_with(word)), "{word} stands in one piece");
    }
    assert!(!drawing.contains("rotate("), "heads that fit are level");
    let long = "interpolatedmomentumiterative";
    report(folder.path(), &results(&["a"], &["pgd", long], &[Norm::Linf], &EPSILONS), &[], &[]);
    let drawing = plot(folder.path(), "heatmap-linf-0.3.svg");
    assert!(drawing.contains(&format!("\n{long}\n")) && drawing.contains("rotate("), "a head too long for its cell is turned");
}

/// The texts of a drawing, one after the other.
fn read(drawing: &str) -> String {
    drawing.lines().filter(|line| !line.starts_with('<')).collect::<Vec<_>>().join(" ")
}

/// How many texts of a drawing are `text`.
fn texts(drawing: &str, text: &str) -> usize {
    drawing.lines().filter(|line| *line == text).count()
}

fn every_point_of_a_scatter_plot_has_a_label() {
    let folder = tempfile::tempdir().expect("a folder");
    // Points so near that most labels have no room beside them.
    let near: Vec<String> = (0..9).map(|index| format!("some defence {index}")).collect();
    let near: Vec<&str> = near.iter().map(String::as_str).collect();
    report(folder.path(), &results(&near, &["pgd"], &[Norm::Linf], &EPSILONS), &[], &[]);
    let drawing = plot(folder.path(), "pareto-linf-0.3.svg");
    for (index, name) in near.iter().enumerate() {
        let [at, in_legend] = [format!("{}", index + 1), format!("{} {name}", index + 1)].map(|text| texts(&drawing, &text));
        assert!(at > 0 && in_legend == 1, "{name} has a number at its point and in the legend");
    }
    report(folder.path(), &results(&near[..2], &["pgd"], &[Norm::Linf], &EPSILONS), &[], &[]);
    let drawing = plot(folder.path(), "pareto-linf-0.3.svg");
    for name in &near[..2] {
        assert_eq!(texts(&drawing, name), 2, "{name} is named at its point and in the legend");
    }
    let many: Vec<String> = (0..31).map(|index| format!("defence {index}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    report(folder.path(), &results(&many, &["pgd"], &[Norm::Linf], &EPSILONS), &[], &[]);
    let drawing = plot(folder.path(), "pareto-linf-0.3.svg");
    for (index, name) in many.iter().enumerate() {
        assert!(texts(&drawing, &format!("{}", index + 1)) > 0 && texts(&drawing, &format!("{} {name}", index + 1)) == 1, "{name}");
    }
}

fn timings_within_their_noise_put_nothing_on_a_front() {
    let folder = tempfile::tempdir().expect("a folder");
    let names = ["best", "as dear", "dear", "cheap"];
    let mut results = results(&names, &["pgd"], &[Norm::Linf], &EPSILONS);
    let timing =
        |(name, seconds): (&str, f64)| DefenceTiming { defence: name.into(), inference_seconds: Some(seconds), training_seconds: None };
    results.timing.defences = names.into_iter().zip([0.1, 0.09, 0.3, 0.05]).map(timing).collect();
    report(folder.path(), &results, &[], &[]);
    let drawing = plot(folder.path(), "inference-cost-linf-0.3.svg");
    assert!(drawing.contains("On the Pareto front: cheap, best."), "{drawing}");
    assert!(read(&drawing).contains("within a factor of 1.25"), "{}", read(&drawing));
    // Two seeds of one recipe do the same work: they say how noisy the clock is.
    for (defence, recipe) in results.defences[..2].iter_mut().zip(["twice"; 2]) {
        defence.recipe = Some(recipe.into());
    }
    results.timing.defences[1].inference_seconds = Some(0.25);
    report(folder.path(), &results, &[], &[]);
    let drawing = plot(folder.path(), "inference-cost-linf-0.3.svg");
    let words = read(&drawing);
    assert!(words.contains("within a factor of 2.50") && words.contains("of two seeds from the smaller to the larger"), "{words}");
}

fn section<'a>(page: &'a str, id: &str) -> &'a str {
    let after = page.split(&format!("<section id=\"{id}\">")).nth(1).unwrap_or_else(|| panic!("a section {id}"));
    after.split("</section>").next().unwrap_or_default()
}

fn summary_and_table_open_at_the_same_epsilon() {
    let folder = tempfile::tempdir().expect("a folder");
    let many: Vec<String> = (0..10).map(|index| format!("defence {index}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    for names in [&many[..2], &many] {
        let (page, _) = report(folder.path(), &results(names, &["pgd"], &[Norm::Linf, Norm::L2], &[0.0, 0.1, 0.2, 0.3, 0.4]), &[], &[]);
        let opens = "value=\"0.2\" data-norm=\"linf\" data-opens>0.2</option>";
        assert!(section(&page, "side").contains(opens), "the table opens at the smaller of the two middle radii");
        assert_eq!(page.matches(" data-opens").count(), 2, "once a norm");
        let summary = section(&page, "summary");
        assert!(summary.contains("at epsilon 0.2"), "{summary}");
        if names.len() > 2 {
            assert!(summary.contains("Under L∞ at epsilon 0.2 defence 0 keeps most"), "{summary}");
        }
    }
}

fn gains_of_nothing_are_counted_and_not_listed() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut results = results(&["vote"], &["pgd"], &[Norm::Linf], &EPSILONS);
    let gain = |epsilon: f64, gain: f64| ApparentGain {
        defence: "vote".into(),
        unknown: "vote, unknown".into(),
        attack: "pgd".into(),
        norm: Norm::Linf,
        epsilon,
        unknown_accuracy: 0.5 + gain,
        robust_accuracy: 0.5,
        gain,
    };
    results.apparent_gains = vec![gain(0.05, 0.0), gain(0.1, 0.25), gain(0.2, -0.0004), gain(0.3, -0.02)];
    let (page, _) = report(folder.path(), &results, &[], &[]);
    let apparent = section(&page, "apparent");
    assert!(apparent.contains("Of 4 comparisons 2 differ by 0.0 points and are left out."), "{apparent}");
    assert!(apparent.contains(">+25.0<") && apparent.contains(">-2.0<") && !apparent.contains("0.0<"), "{apparent}");
    results.apparent_gains.truncate(1);
    let (page, _) = report(folder.path(), &results, &[], &[]);
    assert!(section(&page, "apparent").contains("The one comparison differs by 0.0 points."));
}

fn certificates_are_drawn_as_steps() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut results = results(&["a"], &["pgd"], &[Norm::Linf], &[0.0, 0.1, 0.2]);
    let certified = |(epsilon, share): (f64, f64)| Certified {
        defence: "a".into(),
        certificate: "interval".into(),
        kind: "interval".into(),
        norm: Norm::Linf,
        epsilon,
        examples: 360,
        abstained: 0,
        certified_accuracy: share,
        ci95: [share - 0.03, share + 0.03],
        apart: false,
        median_radius: 0.05,
    };
    results.certified = [(0.0, 0.9), (0.1, 0.4), (0.2, 0.1)].into_iter().map(certified).collect();
    report(folder.path(), &results, &[], &[]);
    let drawing = plot(folder.path(), "certified-linf-a.svg");
    let lines = drawing.split("<polyline").skip(1).filter_map(|line| line.split("points=\"").nth(1)?.split('"').next());
    let lines = lines.map(|line| -> Vec<(f64, f64)> {
        let pair = |pair: &str| pair.split_once(',').and_then(|(x, y)| Some((x.parse().ok()?, y.parse().ok()?)));
        line.split_whitespace().filter_map(pair).collect()
    });
    // Two curves of three measured points and a corner between each two.
    let curves: Vec<_> = lines.filter(|line| line.len() == 5).collect();
    assert_eq!(curves.len(), 2, "{drawing}");
    for curve in &curves {
        assert!(curve.windows(2).all(|ends| ends[0].0 == ends[1].0 || ends[0].1 == ends[1].1), "level or upright: {curve:?}");
    }
    let first_is_level = |curve: &Vec<(f64, f64)>| curve[0].1 == curve[1].1;
    assert_eq!(
        curves.iter().map(first_is_level).collect::<Vec<_>>(),
        [true, false],
        "what broke stays broken, what is certain was certain"
    );
}

fn tables_scroll_within_themselves() {
    let folder = tempfile::tempdir().expect("a folder");
    let (page, _) = report(folder.path(), &results(&["a", "b"], &["pgd"], &[Norm::Linf], &EPSILONS), &[], &[]);
    assert_eq!(page.matches("<table").count(), page.matches("<div class=\"scroll table\"").count());
    for rule in [
        ".scroll.table { max-height: 85vh; overflow: auto;",
        "thead { position: sticky; top: 0;",
        "thead :is(th, td):first-child { position: sticky; left: 0;",
    ] {
        assert!(page.contains(rule), "{rule}");
    }
}
