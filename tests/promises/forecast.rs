//! What a suite will take is said before it runs: arithmetic on given speeds, and the command that measures them.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use gauntlet::attack::{ATTACKS, Parts, Setting};
use gauntlet::engine::chain::Walk;
use gauntlet::suite::forecast::series::{Crew, bounds, seconds};
use gauntlet::suite::forecast::training::Course;
use gauntlet::suite::forecast::{Boundary, Hand, Pace, Scheme, Stint, Toil, batch};
use gauntlet::suite::parse_options;
use gauntlet::threat::Norm;
use serde_json::Value;
use tempfile::TempDir;

promises! {
    a_batch_takes_its_steps_and_a_queue_its_batches,
    a_slot_is_refilled_as_soon_as_its_row_ends,
    an_emptying_batch_costs_the_blocks_that_it_occupies,
    a_part_waits_until_the_slots_are_empty,
    devices_share_a_queue_by_their_speeds,
    rows_take_what_the_engine_gives_them,
    every_attack_lies_between_its_bounds,
    audits_of_what_was_inferred_are_counted,
    a_training_is_its_steps_and_the_ends_of_its_epochs,
    the_command_foretells_and_leaves_nothing_behind,
}

/// A worker of so many slots with one part, whose steps and decisions take a second, at least `one`.
fn hand(slots: usize, block: usize, one: f64) -> Hand {
    let pace = Pace { one, full: 1.0, alone: 1.0 };
    Hand { device: 0, slots, block, cadence: 1, parts: vec![pace], decision: pace, turn: 0.0 }
}

fn toil(stints: &[(usize, u32)]) -> Toil {
    Toil { stints: stints.iter().map(|&(part, steps)| Stint { part, steps, claims: false }).collect() }
}

fn takes(hands: &[Hand], toils: &[Toil]) -> f64 {
    batch::seconds(hands, toils.iter())
}

fn a_batch_takes_its_steps_and_a_queue_its_batches() {
    let rows = vec![toil(&[(0, 10)]); 12];
    assert_eq!(takes(&[hand(4, 4, 1.0)], &rows), 30.0);
    assert_eq!(takes(&[hand(4, 4, 1.0)], &rows[..0]), 0.0);
    // A look at the flags lets a batch leave, and every claim is judged, a batch of them at once.
    let judged = Toil { stints: vec![Stint { part: 0, steps: 10, claims: true }] };
    assert_eq!(takes(&[Hand { turn: 0.5, ..hand(4, 4, 1.0) }], &vec![judged; 12]), 3.0 * (10.0 + 0.5 + 1.0));
    // Far more examples than are played through.
    assert!((takes(&[hand(4, 4, 1.0)], &vec![toil(&[(0, 10)]); 100_000]) - 250_000.0).abs() < 1.0);
}

fn a_slot_is_refilled_as_soon_as_its_row_ends() {
    let rows = [&[(0, 30)][..], &[(0, 10)], &[(0, 10)], &[(0, 10)]].map(toil);
    assert_eq!(takes(&[hand(2, 2, 1.0)], &rows), 30.0);
    // A chain keeps its slot for its next row.
    assert_eq!(takes(&[hand(2, 2, 1.0)], &[toil(&[(0, 5), (0, 5)]), toil(&[(0, 10)])]), 10.0);
    // Flags are looked at every fourth step only.
    assert_eq!(takes(&[Hand { cadence: 4, ..hand(2, 2, 1.0) }], &rows[1..2]), 12.0);
}

fn an_emptying_batch_costs_the_blocks_that_it_occupies() {
    let rows = [&[(0, 10)][..], &[(0, 10)], &[(0, 10)], &[(0, 110)]].map(toil);
    // Four blocks of one row; a block takes a quarter of a second.
    assert_eq!(takes(&[hand(4, 1, 0.25)], &rows), 10.0 + 25.0);
    assert_eq!(takes(&[hand(4, 2, 0.5)], &rows), 10.0 + 50.0);
    assert_eq!(takes(&[hand(4, 4, 0.25)], &rows), 110.0);
}

fn a_part_waits_until_the_slots_are_empty() {
    let fast = Pace::flat(0.1);
    let hand = Hand { parts: vec![Pace::flat(1.0), fast], ..hand(2, 2, 1.0) };
    let rows = [toil(&[(0, 10), (1, 100)]), toil(&[(0, 20)]), toil(&[(0, 5), (1, 50)])];
    let seconds = takes(&[hand], &rows);
    assert!((seconds - (20.0 + 10.0)).abs() < 1e-9, "{seconds}");
}

fn devices_share_a_queue_by_their_speeds() {
    let slow = Hand { device: 1, parts: vec![Pace::flat(3.0)], decision: Pace::flat(3.0), ..hand(1, 1, 1.0) };
    let rows = vec![toil(&[(0, 1)]); 8];
    assert_eq!(takes(&[hand(1, 1, 1.0), slow.clone()], &rows), 6.0);
    assert_eq!(takes(&[hand(1, 1, 1.0)], &rows), 8.0);
    assert_eq!(takes(&[slow], &rows), 24.0);
    // The last worker of a device has all of it.
    let pace = Pace { one: 0.5, full: 1.0, alone: 0.5 };
    let worker = Hand { parts: vec![pace], decision: pace, ..hand(1, 1, 1.0) };
    assert_eq!(takes(&[worker.clone(), worker], &[toil(&[(0, 10)]), toil(&[(0, 10), (0, 20)])]), 10.0 + 10.0);
}

fn parts(kind: &str, options: &str, norm: Norm) -> Parts {
    let row = ATTACKS.iter().find(|row| row.entry.name == kind).unwrap();
    (row.build)(&parse_options(&row.entry, options).unwrap(), &Setting { norm, classes: 10, shape: [1, 8, 8] })
}

fn steps(toil: &Toil) -> Vec<u32> {
    toil.stints.iter().map(|stint| stint.steps).collect()
}

fn rows_take_what_the_engine_gives_them() {
    let epsilons = [0.0, 0.1, 0.2, 0.4];
    let pgd = parts("pgd", "steps = 40", Norm::Linf);
    let scheme = Scheme { parts: &pgd, scout: None, walk: Walk::Descending, epsilons: &epsilons };
    assert_eq!(steps(&scheme.assumed(Boundary::Here).attack), [1]);
    // Nothing says anything of anything else.
    assert_eq!(steps(&scheme.assumed(Boundary::Nowhere).attack), [41, 41, 41]);
    // Steps of 2.5 epsilon / 40 lead to 0.15 in 6 and in 12 of them; then a survivor takes all.
    let errand = scheme.assumed(Boundary::At(0.15));
    assert_eq!(steps(&errand.attack), [7, 13, 41]);
    assert!(errand.inferred.is_empty());
    // A survival at the largest settles the others.
    let errand = scheme.assumed(Boundary::At(0.5));
    assert_eq!((steps(&errand.attack), errand.inferred), (vec![41], vec![1, 2]));
    // A first look at the middle says where to begin.
    let scout = pgd[0].scout().unwrap();
    let looking = Scheme { scout: Some(&*scout), ..scheme };
    let errand = looking.assumed(Boundary::At(0.15));
    assert_eq!((steps(&errand.look), steps(&errand.attack)), (vec![2, 1], vec![13, 41]));
    // Every restart, and the last point alone.
    let restarted = parts("pgd", "steps = 40\nrestarts = 3\nstop = \"last\"", Norm::Linf);
    let scheme = Scheme { parts: &restarted, scout: None, walk: Walk::Each, epsilons: &[0.1] };
    assert_eq!(steps(&scheme.assumed(Boundary::Nowhere).attack), [41, 41, 41]);
    assert_eq!(steps(&scheme.assumed(Boundary::At(0.01)).attack), [41]);
}

fn crew(scheme: &Scheme) -> Crew {
    let paces = vec![Pace { one: 0.01, full: 0.02, alone: 0.015 }; scheme.parts.len()];
    let attack = vec![Hand { parts: paces, turn: 0.001, ..hand(64, 16, 0.01) }; 2];
    let look = if scheme.scout.is_some() {
        attack.iter().map(|hand| hand.at(Pace { one: 0.01, full: 0.02, alone: 0.015 })).collect()
    } else {
        Vec::new()
    };
    Crew { attack, look }
}

fn every_attack_lies_between_its_bounds() {
    let epsilons = [0.0, 0.05, 0.1, 0.2, 0.4];
    for row in ATTACKS {
        for &norm in row.norms {
            let parts = parts(row.entry.name, if row.entry.name == "transfer" { "surrogate = \"other\"" } else { "" }, norm);
            for walk in [Walk::Descending, Walk::Each] {
                let scout = parts[0].scout().filter(|_| walk == Walk::Descending);
                let scheme = Scheme { parts: &parts, scout: scout.as_deref(), walk, epsilons: &epsilons };
                let (crew, examples) = (crew(&scheme), 100);
                let [low, high] = bounds(&scheme, &crew, examples);
                for boundary in [0.03, 0.07, 0.15, 0.3] {
                    let guess = seconds(&scheme, &crew, &[scheme.assumed(Boundary::At(boundary))], examples);
                    let place = format!("{} {} {walk:?} {boundary}: {low} {guess} {high}", row.entry.name, norm.name());
                    assert!(low > 0.0 && low <= guess + 1e-9 && guess <= high + 1e-9, "{place}");
                }
            }
        }
    }
}

fn audits_of_what_was_inferred_are_counted() {
    let pgd = parts("pgd", "steps = 40", Norm::Linf);
    let epsilons = [0.1, 0.2, 0.3];
    let scheme = Scheme { parts: &pgd, scout: None, walk: Walk::Descending, epsilons: &epsilons };
    let crew = Crew { attack: vec![hand(64, 64, 1.0)], look: Vec::new() };
    let survivor = scheme.assumed(Boundary::At(1.0));
    // 64 examples in one batch of 41 steps; of 128 inferred survivals 50 are run after all, 25 at each of two epsilons.
    assert_eq!(seconds(&scheme, &crew, std::slice::from_ref(&survivor), 64), 3.0 * 41.0);
    // Where every epsilon is run, nothing is inferred.
    let each = Scheme { walk: Walk::Each, ..scheme };
    assert_eq!(seconds(&each, &crew, &[each.assumed(Boundary::At(1.0))], 64), 3.0 * 41.0);
    let alone = Scheme { epsilons: &epsilons[..1], ..each };
    assert_eq!(seconds(&alone, &crew, &[alone.assumed(Boundary::At(1.0))], 64), 41.0);
}

fn a_training_is_its_steps_and_the_ends_of_its_epochs() {
    let course = Course { steps: 200, step: 0.1, epochs: 10, end: 0.5, earliest: 10 };
    assert_eq!((course.seconds(), course.least()), (25.0, 25.0));
    assert_eq!(Course { earliest: 4, ..course }.least(), 10.0);
}

const SUITE: &str = r#"
title = "Foretold"

[data]
source = "digits"
examples = 40

[[threat]]
norm = "linf"
epsilons = [0, 0.05, 0.1, 0.2]

[[defence]]
name = "plain"
model = { architecture = "mlp", seed = 1, hidden = 16, layers = 1 }
train = { method = "pgd", epsilon = 0.1, steps = 2, epochs = 2, validation = 0.1 }

[[attack]]
kind = "pgd"
steps = 5

[[certificate]]
kind = "interval"
"#;

fn gauntlet(folder: &Path, arguments: &[&str]) -> Value {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gauntlet"));
    let output = command.args(arguments).current_dir(folder).stdin(Stdio::null()).output().unwrap();
    assert!(matches!(output.status.code(), Some(0 | 1)), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap_or(Value::Null)
}

fn the_command_foretells_and_leaves_nothing_behind() {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("suite.toml"), SUITE).unwrap();
    let plan = ["plan", "suite.toml", "--calibrate", "--device", "cpu", "--json"];
    let forecast = gauntlet(folder.path(), &plan)["forecast"].take();
    let of = |forecast: &Value, field: &str| -> Vec<Value> {
        forecast["items"].as_array().unwrap().iter().map(|item| item[field].clone()).collect()
    };
    assert_eq!(of(&forecast, "what"), ["start", "training", "clean", "series", "certificate", "checks", "report"]);
    assert_eq!(of(&forecast, "basis")[3], "assumed");
    let bounds = |span: &Value| ["low", "guess", "high"].map(|bound| span[bound].as_f64().unwrap());
    for span in of(&forecast, "seconds").iter().chain([&forecast["all"]]) {
        let [low, guess, high] = bounds(span);
        assert!(low > 0.0 && low <= guess && guess <= high, "{span}");
    }
    let left: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["suite.toml"]);
    // Weights that are there are not trained again, and are asked.
    gauntlet(folder.path(), &["run", "suite.toml", "--device", "cpu", "--quiet"]);
    let forecast = gauntlet(folder.path(), &plan)["forecast"].take();
    assert_eq!(of(&forecast, "what"), ["start", "clean", "series", "certificate", "checks", "report"]);
    assert!(of(&forecast, "basis")[2]["probed"]["examples"].as_u64() >= Some(8), "{forecast}");
}
