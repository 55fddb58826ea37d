//! The report shows every number, names everything, needs nothing from outside, and never breaks on strange runs.

use std::collections::HashSet;
use std::fs;
use std::path::Path;

use gauntlet::evaluate::record::Epoch;
use gauntlet::evaluate::record::{SeriesKey, Specimen};
use gauntlet::evaluate::results::{Cell, CellTiming, Check, DataInfo, DefenceInfo, DeviceInfo, Results, Timing, WorstCase};
use gauntlet::report::{Inputs, TrainingCurve, write};
use gauntlet::threat::Norm;

#[path = "report/reading.rs"]
mod reading;

promises! {
    [reading]
    every_attack_and_defence_is_named_in_the_plots,
    every_cell_and_worst_case_is_printed_with_its_interval,
    the_page_needs_nothing_from_outside,
    names_with_markup_are_shown_and_not_run,
    names_that_look_alike_get_files_of_their_own,
    failed_rows_and_unfinished_runs_cannot_be_missed,
    strange_runs_still_give_a_report,
    the_gallery_enlarges_every_pixel_to_a_plain_square,
    differences_state_the_largest_factor_that_does_not_clip,
    a_specimen_that_does_not_fit_its_shape_is_an_error_with_a_way_out,
    plots_of_an_earlier_report_go_and_files_of_the_user_stay,
}

/// A run of the given names and epsilons; accuracies fall with the attack's place and epsilon's place, so that all of them differ.
fn results(defences: &[&str], attacks: &[&str], norms: &[Norm], epsilons: &[f64]) -> Results {
    let (mut cells, mut worst_case, mut timing) = (Vec::new(), Vec::new(), Vec::new());
    for &norm in norms {
        for (row, defence) in defences.iter().enumerate() {
            let accuracy = |attack: usize, place: usize| 0.97 / (1.0 + row as f64 * 0.013 + attack as f64 * 0.17 + place as f64 * 0.31);
            for (place, &epsilon) in epsilons.iter().enumerate() {
                for (index, attack) in attacks.iter().enumerate() {
                    let robust_accuracy = accuracy(index, place);
                    cells.push(Cell {
                        defence: (*defence).into(),
                        attack: (*attack).into(),
                        norm,
                        epsilon,
                        examples: 360,
                        failed: 0,
                        inferred: 3,
                        clean_accuracy: 0.97,
                        robust_accuracy,
                        ci95: [robust_accuracy - 0.031, robust_accuracy + 0.029],
                        median_distance: (index > 0).then_some(0.0731),
                        forwards: 3600 * (index as u64 + 1),
                        backwards: 360,
                    });
                    timing.push(CellTiming { defence: (*defence).into(), attack: (*attack).into(), norm, epsilon, seconds: 1.9 });
                }
                let robust_accuracy = accuracy(attacks.len(), place);
                let ci95 = [robust_accuracy - 0.03, robust_accuracy + 0.03];
                worst_case.push(WorstCase { defence: (*defence).into(), norm, epsilon, examples: 360, robust_accuracy, ci95 });
            }
        }
    }
    let named = |name: &&str| DefenceInfo {
        name: (*name).into(),
        architecture: "small-cnn".into(),
        training: "pgd".into(),
        parameters: 23_466,
        weights: "ab12cd34".into(),
        adaptive: true,
        clean_accuracy: 0.97,
        ci95: [0.947, 0.983],
        ..DefenceInfo::default()
    };
    Results {
        suite: "Digits under attack".into(),
        seed: 0,
        version: "0.1.0".into(),
        complete: true,
        planned: cells.len(),
        devices: vec![DeviceInfo {
            name: "A processor".into(),
            backend: "cpu".into(),
            driver: String::new(),
            compiler: "native".into(),
            precision: "f32".into(),
            slots: 128,
        }],
        data: DataInfo { name: "digits, test".into(), examples: 360, classes: 10, shape: [1, 8, 8], hash: "3fa9".into() },
        defences: defences.iter().map(named).collect(),
        cells,
        worst_case,
        groups: Vec::new(),
        apparent_gains: Vec::new(),
        checks: Vec::new(),
        hardened: Vec::new(),
        certified: Vec::new(),
        uncertified: Vec::new(),
        timing: Timing {
            seconds: 41.0,
            device_forwards: 130_000,
            device_backwards: 120_000,
            occupancy: 0.97,
            occupancy_fed: 0.99,
            cells: timing,
            certificates: Vec::new(),
            defences: Vec::new(),
        },
    }
}

fn specimen(shape: [usize; 3], change: f32) -> Specimen {
    let original: Vec<f32> = (0..shape.iter().product()).map(|index| (index % 5) as f32 / 5.0).collect();
    Specimen {
        series: SeriesKey { defence: "undefended".into(), attack: "pgd".into(), norm: Norm::Linf },
        epsilon: 0.1,
        example: 17,
        label: 3,
        prediction: 8,
        distance: change,
        shape,
        adversarial: original.iter().map(|value| (value + change).min(1.0)).collect(),
        original,
    }
}

fn training() -> Vec<TrainingCurve> {
    let epochs =
        (1..=3).map(|epoch| Epoch { epoch, loss: 1.0 / epoch as f64, clean_accuracy: 0.9, robust_accuracy: Some(0.5), ..Epoch::default() });
    vec![TrainingCurve { defence: "pgd-trained".into(), epochs: epochs.collect() }]
}

/// Writes a report with the given parts; the page and the names of the plots.
fn report(folder: &Path, results: &Results, specimens: &[Specimen], training: &[TrainingCurve]) -> (String, Vec<String>) {
    let inputs = Inputs { results, specimens, training, suite_toml: "title = \"Digits under attack\" # & <more>\n" };
    let files = write(&inputs, folder).expect("the report is written");
    for file in &files {
        assert!(fs::metadata(file).is_ok_and(|file| file.len() > 0), "{} is there and not empty", file.display());
    }
    assert_eq!(files.last(), Some(&folder.join("report.html")));
    let plots = files[..files.len() - 1].iter().filter_map(|file| file.file_name()).map(|name| name.to_string_lossy().into_owned());
    (fs::read_to_string(folder.join("report.html")).expect("a readable page"), plots.collect())
}

fn plot(folder: &Path, name: &str) -> String {
    fs::read_to_string(folder.join("plots").join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

const EPSILONS: [f64; 4] = [0.0, 0.05, 8.0 / 255.0 + 0.1, 0.3];

fn every_attack_and_defence_is_named_in_the_plots() {
    let folder = tempfile::tempdir().expect("a folder");
    let (defences, attacks) = (["undefended", "pgd-trained"], ["noise", "fgsm", "mi-fgsm", "pgd"]);
    let (page, plots) = report(folder.path(), &results(&defences, &attacks, &[Norm::Linf], &EPSILONS), &[], &training());
    for name in ["robustness-linf-undefended.svg", "heatmap-linf-0.3.svg", "cost.svg"] {
        let drawing = plot(folder.path(), name);
        for attack in attacks {
            assert!(drawing.contains(&format!("\n{attack}\n")), "{name} names {attack}");
        }
    }
    let together = plot(folder.path(), "defences-linf.svg");
    for defence in defences {
        assert!(together.contains(defence) && page.contains(defence), "{defence} is named");
        assert!(plots.contains(&format!("robustness-linf-{defence}.png")), "{defence} has its own plot");
    }
    assert!(plots.contains(&"training.svg".to_owned()));
}

fn every_cell_and_worst_case_is_printed_with_its_interval() {
    let folder = tempfile::tempdir().expect("a folder");
    let results = results(&["undefended", "pgd-trained"], &["noise", "pgd"], &[Norm::Linf, Norm::L2], &EPSILONS);
    let (page, _) = report(folder.path(), &results, &[], &[]);
    let (_, cells) = page.split_once("id=\"cells\"").expect("a section of cells");
    let shown = |accuracy: f64, [low, high]: [f64; 2]| {
        let interval = format!("{:.1}–{:.1}\u{a0}%", low * 100.0, high * 100.0);
        (format!(">{:.1}\u{a0}%</td>", accuracy * 100.0), interval)
    };
    for cell in &results.cells {
        let (accuracy, interval) = shown(cell.robust_accuracy, cell.ci95);
        let found = cells.lines().any(|row| {
            row.contains(&cell.defence) && row.contains(&format!(">{}<", cell.attack)) && row.contains(&accuracy) && row.contains(&interval)
        });
        assert!(found, "a row shows {cell:?}");
    }
    for worst in &results.worst_case {
        let (accuracy, interval) = shown(worst.robust_accuracy, worst.ci95);
        assert!(page.contains(&accuracy) && page.contains(&interval), "the page shows {worst:?}");
    }
    assert!(page.contains(">10.0</td>"), "passes are shown an example");
}

fn the_page_needs_nothing_from_outside() {
    let folder = tempfile::tempdir().expect("a folder");
    let (page, _) = report(folder.path(), &results(&["a"], &["pgd"], &[Norm::Linf], &EPSILONS), &[specimen([1, 8, 8], 0.1)], &training());
    for outside in ["http://", "https://", "src=\"/", "@import", "url(", "<link", "<iframe"] {
        assert!(!page.contains(outside), "{outside} stands in the page");
    }
    assert!(page.contains("src=\"data:image/png;base64,iVBOR"), "the gallery's images lie within the page");
    assert_eq!(page.matches("<svg").count(), page.matches("</svg>").count());
    assert!(page.matches("<svg").count() >= 6, "the plots lie within the page");
}

fn names_with_markup_are_shown_and_not_run() {
    let folder = tempfile::tempdir().expect("a folder");
    let hostile = "<script>alert('x')</script> & \"quotes\"\u{0}";
    let mut results = results(&[hostile], &[hostile], &[Norm::Linf], &EPSILONS);
    results.suite = hostile.into();
    results.devices[0].name = hostile.into();
    results.checks =
        vec![Check { defence: hostile.into(), check: hostile.into(), verdict: "warn".into(), detail: hostile.into(), forwards: 1 }];
    let mut shown = specimen([1, 8, 8], 0.1);
    shown.series.defence = hostile.into();
    let (page, plots) = report(folder.path(), &results, &[shown], &[]);
    assert!(page.contains("&lt;script&gt;alert"), "the title is shown");
    assert!(page.contains("# &amp; &lt;more&gt;"), "the suite is shown");
    assert_eq!(page.matches("<script>").count(), 1, "the page's own script is the only one");
    assert!(!page.contains('\u{0}'));
    for name in plots.iter().filter(|name| name.ends_with(".svg")) {
        let drawing = plot(folder.path(), name);
        assert!(!drawing.contains("<script") && !drawing.contains('\u{0}'), "{name} is plain");
    }
}

fn names_that_look_alike_get_files_of_their_own() {
    let folder = tempfile::tempdir().expect("a folder");
    let names = ["a b", "a-b", "A_B", "a-b-2", "防御", "!!", ""];
    let (_, plots) = report(folder.path(), &results(&names, &["pgd"], &[Norm::Linf], &[0.1, 0.100_000_001]), &[], &[]);
    let own: HashSet<String> = plots.iter().filter(|name| name.starts_with("robustness-linf-")).map(|name| name.to_lowercase()).collect();
    assert_eq!(own.len(), 2 * names.len(), "{own:?}");
    assert!(own.iter().all(|name| name.chars().all(|letter| letter.is_ascii_alphanumeric() || "-.".contains(letter))), "{own:?}");
    assert_eq!(plots.iter().collect::<HashSet<_>>().len(), plots.len());
}

fn failed_rows_and_unfinished_runs_cannot_be_missed() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut results = results(&["undefended"], &["pgd"], &[Norm::Linf], &EPSILONS);
    let (sound, _) = report(folder.path(), &results, &[], &[]);
    assert!(!sound.contains("FAILED") && !sound.contains("Incomplete") && !sound.contains("class=\"failed\""));
    results.cells[3].failed = 7;
    (results.complete, results.planned) = (false, 64);
    let (page, _) = report(folder.path(), &results, &[], &[]);
    assert!(page.contains("<strong>7 failed rows</strong>") && page.contains("7 FAILED"));
    assert!(page.contains("<tr class=\"failed\">"), "the row is marked");
    assert!(page.contains("Incomplete run.") && page.contains("4 of 64 planned"));
    assert!(plot(folder.path(), "robustness-linf-undefended.svg").contains("INCOMPLETE RUN: 4 of 64 cells"));
    assert!(plot(folder.path(), "heatmap-linf-0.3.svg").contains(" !\n"), "the heat map marks the failed cell");
}

fn strange_runs_still_give_a_report() {
    let long = "x".repeat(300);
    let many: Vec<String> = (0..20).map(|index| format!("defence {index}")).collect();
    let attacks: Vec<String> = (0..12).map(|index| format!("attack {index} ε≤½")).collect();
    let as_text = |names: &[String]| -> Vec<&'static str> { names.iter().map(|name| &*name.clone().leak()).collect() };
    let mut zero = results(&["zero"], &["pgd"], &[Norm::L2], &EPSILONS);
    zero.cells.iter_mut().for_each(|cell| (cell.robust_accuracy, cell.ci95, cell.clean_accuracy) = (0.0, [0.0, 0.0], 0.0));
    let mut empty = results(&["nothing finished"], &[], &[], &[]);
    (empty.complete, empty.planned) = (false, 12);
    let mut hollow = results(&[], &[], &[], &[]);
    hollow.devices.clear();
    let mut numberless = results(&["nan"], &["pgd"], &[Norm::Linf], &[0.0, 0.1]);
    numberless.cells.iter_mut().for_each(|cell| (cell.robust_accuracy, cell.ci95, cell.examples) = (f64::NAN, [f64::NAN; 2], 0));
    let runs = [
        zero,
        empty,
        hollow,
        numberless,
        results(&["one"], &["pgd"], &[Norm::Linf], &[0.1]),
        results(&["clean only"], &["pgd"], &[Norm::L0], &[0.0]),
        results(&[&long], &[&long], &[Norm::L1], &[0.1, 0.2]),
        results(&as_text(&many), &as_text(&attacks), &[Norm::Linf], &[0.05]),
    ];
    for run in &runs {
        let folder = tempfile::tempdir().expect("a folder");
        let (page, _) = report(folder.path(), run, &[], &[]);
        assert!(
            page.contains("</html>") && ![">NaN", "NaN\u{a0}%", "\"NaN", ">inf<"].iter().any(|odd| page.contains(odd)),
            "{:?}",
            run.defences.first()
        );
    }
    let nowhere = TrainingCurve { defence: "untrained".into(), epochs: Vec::new() };
    let lost = Epoch { epoch: 1, loss: f64::NAN, clean_accuracy: 0.1, ..Epoch::default() };
    let diverged = TrainingCurve { defence: "diverged".into(), epochs: vec![lost] };
    let folder = tempfile::tempdir().expect("a folder");
    let (_, plots) = report(folder.path(), &runs[4], &[], &[nowhere, diverged]);
    assert!(plots.contains(&"training.png".to_owned()));
}

fn the_gallery_enlarges_every_pixel_to_a_plain_square() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut shown = specimen([1, 8, 8], 0.0);
    // Levels that no text or frame has, so that they can be told apart from all else on the sheet.
    shown.original = (0..64).map(|index| (40 + index) as f32 / 255.0).collect();
    shown.adversarial = shown.original.clone();
    shown.adversarial[9] = 1.0;
    let (page, _) = report(folder.path(), &results(&["undefended"], &["pgd"], &[Norm::Linf], &EPSILONS), &[shown], &[]);
    let sheet = image::open(folder.path().join("plots/gallery.png")).expect("a readable PNG").to_rgb8();
    let row = sheet.rows().find(|row| row.clone().filter(|pixel| pixel.0 == [43; 3]).count() == 52).expect("the first row of pixels");
    let levels: Vec<u8> = row.map(|pixel| pixel.0[0]).collect();
    let start = levels.iter().position(|level| *level == 40).expect("the first pixel");
    for (index, run) in levels[start..start + 8 * 26].chunks(26).enumerate() {
        assert!(run.iter().all(|level| usize::from(*level) == 40 + index), "pixel {index} is a square of one level: {run:?}");
    }
    assert!(page.contains("label <b>3</b> → prediction <b>8</b>") && page.contains("difference ×1"));
}

fn differences_state_the_largest_factor_that_does_not_clip() {
    let folder = tempfile::tempdir().expect("a folder");
    for (change, factor) in [(0.1f32, 10), (0.2, 5), (0.03, 20), (0.9, 1)] {
        let mut shown = specimen([3, 4, 4], 0.0);
        shown.original = vec![0.0; 48];
        shown.adversarial = vec![change; 48];
        let (page, _) = report(folder.path(), &results(&["undefended"], &["pgd"], &[Norm::Linf], &EPSILONS), &[shown], &[]);
        assert!(page.contains(&format!("difference ×{factor}<")), "a change of {change} is multiplied by {factor}");
    }
}

fn a_specimen_that_does_not_fit_its_shape_is_an_error_with_a_way_out() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut broken = specimen([1, 8, 8], 0.1);
    broken.adversarial.pop();
    let results = results(&["undefended"], &["pgd"], &[Norm::Linf], &EPSILONS);
    let inputs = Inputs { results: &results, specimens: &[broken], training: &[], suite_toml: "" };
    let error = write(&inputs, folder.path()).expect_err("63 values are not 1x8x8");
    assert!(error.message().contains("example 17") && error.message().contains("63") && error.message().contains("1x8x8"), "{error}");
    assert!(format!("{error:?}").contains("--fresh"));
}

fn plots_of_an_earlier_report_go_and_files_of_the_user_stay() {
    let folder = tempfile::tempdir().expect("a folder");
    report(folder.path(), &results(&["old"], &["pgd"], &[Norm::Linf], &EPSILONS), &[], &[]);
    let own = folder.path().join("plots/my-notes.svg");
    fs::write(&own, "mine").expect("a writable folder");
    report(folder.path(), &results(&["new"], &["pgd"], &[Norm::Linf], &EPSILONS), &[], &[]);
    assert!(!folder.path().join("plots/robustness-linf-old.svg").exists());
    assert!(folder.path().join("plots/robustness-linf-new.svg").exists() && own.exists());
}
