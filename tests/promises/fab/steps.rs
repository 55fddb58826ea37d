//! The FAB kernels against the formulas, on random, degenerate and hostile inputs.

use burn::tensor::{Device, Int, Tensor, TensorData};
use gauntlet::kernel::fab_look::{BACK, Notes, STAY, STEP};
use gauntlet::kernel::fab_step::Pace;
use gauntlet::kernel::random::{philox, unit};
use gauntlet::kernel::row::{BROKEN, FAILED, LAST, RUNNING, Row, START_ORIGIN, START_RANDOM, SURVIVED, State};
use gauntlet::kernel::{fab_look, fab_start, fab_step, words};
use gauntlet::threat::Norm;

use super::NORMS;
use super::shortest::{length, shortest};
use crate::Promise;
use crate::adapter;

pub fn tests() -> Vec<Promise> {
    let plain = |name, run| Promise { name, needs_adapter: false, run };
    let on_gpu = |name, run| Promise { name, needs_adapter: true, run };
    vec![
        plain("the way to the plane is the shortest within the box", || ways(&Device::flex())),
        on_gpu("on an adapter the way to the plane is the shortest within the box", || ways(&adapter::device())),
        plain("a step is the paper's, between the projections of the point and of the origin", || whole_steps(&Device::flex())),
        on_gpu("on an adapter a step is the paper's", || whole_steps(&adapter::device())),
        plain("a step does not depend on the scale of the logits", || scales(&Device::flex())),
        on_gpu("on an adapter a step does not depend on the scale of the logits", || scales(&adapter::device())),
        plain("a gradient that is not finite fails its row alone, and only where it is used", || poison(&Device::flex())),
        on_gpu("on an adapter a gradient that is not finite fails its row alone", || poison(&adapter::device())),
        plain("a row that goes back keeps its share of the way", goes_back),
        plain("a look ends, turns back and steps on as the algorithm says", looks),
        plain("a random start is at half of epsilon in every norm, and differs from restart to restart", starts),
    ]
}

/// A row with its two points.
#[derive(Clone)]
struct Case {
    name: String,
    x: Vec<f32>,
    origin: Vec<f32>,
    gradient: Vec<f32>,
    difference: f32,
}

fn numbers(count: usize, seed: u32) -> Vec<f32> {
    (0..count as u32).map(|at| unit(philox([at, seed, 0, 0], [3, 4])[0])).collect()
}

/// Cases of `columns` elements.
fn cases(columns: usize) -> Vec<Case> {
    let at = |seed: u32| numbers(columns, seed);
    let centred = |seed: u32| -> Vec<f32> { at(seed).iter().map(|value| 2.0 * value - 1.0).collect() };
    let near = |origin: &[f32], seed: u32| -> Vec<f32> {
        origin.iter().zip(at(seed)).map(|(origin, value)| (origin + 0.2 * (value - 0.5)).clamp(0.0, 1.0)).collect()
    };
    let bounds: Vec<f32> = at(7)
        .iter()
        .map(|value| {
            if *value < 0.4 {
                0.0
            } else if *value > 0.6 {
                1.0
            } else {
                *value
            }
        })
        .collect();
    let gradients: Vec<(&str, Vec<f32>)> = vec![
        ("random", centred(1)),
        ("sparse", centred(2).iter().enumerate().map(|(at, value)| if at % 3 == 1 { *value } else { 0.0 }).collect()),
        ("equal", vec![-0.5; columns]),
        ("of a few sizes", centred(3).iter().map(|value| (value * 3.0).round() / 3.0).collect()),
        ("of all sizes", centred(4).iter().enumerate().map(|(at, value)| value * 0.5f32.powi(at as i32 % 20)).collect()),
        ("one large", (0..columns).map(|at| if at == columns / 2 { 3.0 } else { 1e-3 }).collect()),
        ("zero", vec![0.0; columns]),
    ];
    let mut cases = Vec::new();
    for (name, gradient) in gradients {
        for (what, origin) in [("inside", at(6)), ("on the bounds", bounds.clone()), ("at a corner", vec![1.0; columns])] {
            let sum: f32 = gradient.iter().map(|w| w.abs()).sum();
            for share in [0.0, -1e-4, -0.01, 0.05, -0.3, 0.9, -50.0] {
                cases.push(Case {
                    name: format!("{columns} elements, {name}, {what}, {share}"),
                    x: near(&origin, 8),
                    origin: origin.clone(),
                    gradient: gradient.clone(),
                    difference: share * if sum > 0.0 { sum } else { 1.0 },
                });
            }
        }
    }
    cases
}

fn matrix(rows: Vec<Vec<f32>>, device: &Device) -> Tensor<2> {
    let shape = [rows.len(), rows[0].len()];
    Tensor::from_data(TensorData::new(rows.concat(), shape), device)
}

fn read(tensor: Tensor<2>) -> Vec<f32> {
    tensor.into_data().try_to_vec().expect("floats")
}

fn take_steps(cases: &[Case], norm: Norm, pace: Pace, device: &Device) -> Vec<Vec<f32>> {
    let of = |part: fn(&Case) -> &Vec<f32>| matrix(cases.iter().map(|case| part(case).clone()).collect(), device);
    let state = vec![State { generation: 2, step: 1, ..State::default() }; cases.len()];
    let notes: Vec<Notes> =
        cases.iter().map(|case| Notes { generation: 2, action: STEP, difference: case.difference, ..Notes::default() }).collect();
    let (x, after) = fab_step(
        of(|case| &case.x),
        of(|case| &case.origin),
        of(|case| &case.gradient),
        words::upload(&state, device),
        words::upload(&notes, device),
        norm,
        pace,
    );
    assert_eq!(words::download::<State>(after), state, "a step changes no state");
    read(x).chunks(cases[0].x.len()).map(<[f32]>::to_vec).collect()
}

fn widened(values: &[f32]) -> impl Iterator<Item = f64> + '_ {
    values.iter().map(|value| f64::from(*value))
}

fn product(w: &[f32], d: &[f64]) -> f64 {
    widened(w).zip(d).map(|(w, d)| w * d).sum()
}

/// Alone, without overshoot: the projection of x.
fn ways(device: &Device) {
    for columns in [1, 2, 5, 255, 257, 784] {
        let cases = cases(columns);
        for norm in NORMS {
            let found = take_steps(&cases, norm, Pace { alpha_max: 0.0, eta: 1.0, beta: 0.9 }, device);
            for (case, found) in cases.iter().zip(found) {
                let what = format!("{}, {}", norm.name(), case.name);
                assert!(found.iter().all(|value| (0.0..=1.0).contains(value)), "{what}: outside the box");
                let way = shortest(&case.x, &case.gradient, -f64::from(case.difference), norm);
                let change: Vec<f64> = widened(&found).zip(widened(&case.x)).map(|(found, x)| found - x).collect();
                // On the plane, or as near to it as the box allows, in units of the gradient's l1 norm.
                let scale = case.gradient.iter().map(|w| f64::from(w.abs())).sum::<f64>().max(1e-30);
                let left = (product(&case.gradient, &change) + f64::from(case.difference)).abs();
                if scale > 1e-30 {
                    assert!((left - way.left).abs() <= 1e-6 * scale, "{what}: {left} left, not {}", way.left);
                }
                let got = length(&change, norm);
                assert!((got - way.length).abs() <= 2e-6 + 1e-5 * way.length, "{what}: length {got}, not {}", way.length);
            }
        }
    }
}

/// What the paper's formulas give, in double precision.
fn expected(case: &Case, norm: Norm, pace: Pace) -> Vec<f64> {
    let to_origin: Vec<f64> = widened(&case.origin).zip(widened(&case.x)).map(|(origin, x)| origin - x).collect();
    let at_x = f64::from(case.difference);
    let d1 = shortest(&case.x, &case.gradient, -at_x, norm);
    let d2 = shortest(&case.origin, &case.gradient, -(at_x + product(&case.gradient, &to_origin)), norm);
    let (a1, a2) = (d1.length.max(1e-8), d2.length.max(1e-8));
    let alpha = (a1 / (a1 + a2)).min(f64::from(pace.alpha_max));
    let eta = f64::from(pace.eta);
    let next = |at: usize| {
        let (x, origin) = (f64::from(case.x[at]), f64::from(case.origin[at]));
        ((1.0 - alpha) * (x + eta * d1.change[at]) + alpha * (origin + eta * d2.change[at])).clamp(0.0, 1.0)
    };
    (0..case.x.len()).map(next).collect()
}

fn assert_step(case: &Case, found: &[f32], expected: &[f64], tolerance: f64, what: &str) {
    let apart = widened(found).zip(expected).map(|(found, expected)| (found - expected).abs()).fold(0.0, f64::max);
    assert!(apart <= tolerance, "{what}, {}: {apart} apart", case.name);
}

fn whole_steps(device: &Device) {
    for columns in [1, 2, 5, 256, 784] {
        // Under l1 equal weights leave the shortest way open.
        let ties = |case: &&Case| !["equal", "of a few sizes", "one large"].iter().any(|name| case.name.contains(name));
        let cases = cases(columns);
        for norm in NORMS {
            let cases: Vec<Case> = cases.iter().filter(|case| norm != Norm::L1 || ties(case)).cloned().collect();
            for pace in [Pace::default(), Pace { alpha_max: 1.0, eta: 1.3, beta: 0.5 }] {
                let found = take_steps(&cases, norm, pace, device);
                for (case, found) in cases.iter().zip(&found) {
                    // One element takes the whole rounding of the sums under l1, and length over length that of alpha.
                    let tolerance = if norm == Norm::L1 { 1e-4 } else { 1e-5 };
                    assert_step(case, found, &expected(case, norm, pace), tolerance, norm.name());
                }
            }
        }
    }
}

fn scales(device: &Device) {
    let usual: Vec<Case> = cases(40).into_iter().filter(|case| case.name.contains("random")).collect();
    for scale in [1e-30, 1e-12, 1e12, 1e30] {
        let scaled: Vec<Case> = usual
            .iter()
            .map(|case| Case {
                gradient: case.gradient.iter().map(|w| w * scale).collect(),
                difference: case.difference * scale,
                ..case.clone()
            })
            .collect();
        for norm in NORMS {
            let want = take_steps(&usual, norm, Pace::default(), device);
            let got = take_steps(&scaled, norm, Pace::default(), device);
            for ((case, want), got) in usual.iter().zip(want).zip(got) {
                let want: Vec<f64> = widened(&want).collect();
                assert_step(case, &got, &want, 2e-6, &format!("{} times {scale}", norm.name()));
            }
        }
    }
    // A difference that is out of all proportion leads to the corner; a gradient of subnormal numbers is none.
    let extreme = |gradient: f32, difference: f32| Case {
        name: format!("{gradient} and {difference}"),
        x: vec![0.5, 0.25],
        origin: vec![0.5, 0.5],
        gradient: vec![gradient, -gradient],
        difference,
    };
    let cases = [extreme(1e-37, -3e38), extreme(2e-38, -1e30), extreme(1e-40, -1.0), extreme(3e38, -1e-38)];
    for norm in NORMS {
        let found = take_steps(&cases, norm, Pace { alpha_max: 0.0, eta: 1.0, beta: 0.9 }, device);
        assert_eq!(found, [[1.0, 0.0], [1.0, 0.0], [0.5, 0.25], [0.5, 0.25]], "{}", norm.name());
    }
}

fn poison(device: &Device) {
    const ROWS: usize = 4;
    let actions = [STEP, STEP, BACK, STAY];
    for columns in [3, 300] {
        let x = matrix((0..ROWS as u32).map(|row| numbers(columns, row)).collect(), device);
        let origin = matrix((0..ROWS as u32).map(|row| numbers(columns, 9 + row)).collect(), device);
        let clean: Vec<Vec<f32>> = (0..ROWS as u32).map(|row| numbers(columns, 20 + row)).collect();
        let state = [State { generation: 2, step: 1, ..State::default() }; ROWS];
        let notes = actions.map(|action| Notes { generation: 2, action, difference: -0.1, ..Notes::default() });
        let run = |gradient: &[Vec<f32>], norm: Norm| {
            let (x, state) = fab_step(
                x.clone(),
                origin.clone(),
                matrix(gradient.to_vec(), device),
                words::upload(&state, device),
                words::upload(&notes, device),
                norm,
                Pace::default(),
            );
            (read(x), words::download::<State>(state))
        };
        for norm in NORMS {
            let (want, _) = run(&clean, norm);
            for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
                let mut dirty = clean.clone();
                for row in [1, 2, 3] {
                    dirty[row][columns - 1] = value;
                }
                let (got, states) = run(&dirty, norm);
                assert_eq!(states.map_statuses(), [RUNNING, FAILED, RUNNING, RUNNING], "{}", norm.name());
                for row in [0, 2, 3] {
                    let part = row * columns..(row + 1) * columns;
                    assert_eq!(got[part.clone()], want[part], "{} row {row}", norm.name());
                }
                assert_eq!(got[columns..2 * columns], numbers(columns, 1), "the failed row stays");
            }
        }
    }
}

trait Statuses {
    fn map_statuses(&self) -> Vec<u32>;
}

impl Statuses for Vec<State> {
    fn map_statuses(&self) -> Vec<u32> {
        self.iter().map(|state| state.status).collect()
    }
}

fn goes_back() {
    let device = Device::flex();
    let notes = Notes { generation: 2, action: BACK, ..Notes::default() };
    let state = State { generation: 2, ..State::default() };
    let (x, _) = fab_step(
        matrix(vec![vec![1.0, 0.0, 0.5]], &device),
        matrix(vec![vec![0.5, 0.5, 0.5]], &device),
        matrix(vec![vec![1.0, 1.0, 1.0]], &device),
        words::upload(&[state], &device),
        words::upload(&[notes], &device),
        Norm::L2,
        Pace { beta: 0.5, ..Pace::default() },
    );
    assert_eq!(read(x), [0.75, 0.25, 0.5]);
}

/// One look at a point that is `distance` away in every norm, with the class that it is decided as.
fn look(row: Row, state: State, notes: Notes, distance: f32, prediction: u32) -> (State, Notes) {
    let device = Device::flex();
    let mut seen = Vec::new();
    for norm in NORMS {
        let state = State { prediction, loss: -0.5, backwards: state.backwards + 1, ..state };
        let (state, notes): (Tensor<1, Int>, Tensor<1, Int>) = fab_look(
            matrix(vec![vec![0.5, 0.25 + distance]], &device),
            matrix(vec![vec![0.5, 0.25]], &device),
            words::upload(&[row], &device),
            words::upload(&[state], &device),
            words::upload(&[notes], &device),
            norm,
        );
        seen.push((words::download::<State>(state)[0], words::download::<Notes>(notes)[0]));
    }
    assert!(seen.iter().all(|one| *one == seen[0]), "{seen:?}");
    seen[0]
}

fn looks() {
    let row = Row { epsilon: 0.25, steps: 3, label: 1, generation: 2, ..bytemuck::Zeroable::zeroed() };
    let running = State { generation: 2, ..State::default() };
    let stale = Notes { generation: 1, steps: 9, action: STEP, best: 0.001, ..Notes::default() };

    // The first look takes a step, whatever the notes of the row before say.
    let (state, notes) = look(row, running, stale, 0.0, 1);
    assert_eq!((state.status, state.improved, state.backwards), (RUNNING, 0, 1));
    assert_eq!((notes.generation, notes.steps, notes.action, notes.best, notes.difference), (2, 1, STEP, f32::MAX, -0.5));
    // No success: the next step. A success too far away: back, without a step or a gradient.
    let (state, notes) = look(row, state, notes, 0.125, 1);
    assert_eq!((notes.steps, notes.action, state.backwards), (2, STEP, 2));
    let (state, notes) = look(row, state, notes, 0.5, 0);
    assert_eq!((notes.steps, notes.action, notes.best, state.improved, state.backwards), (2, BACK, 0.5, 1, 2));
    // After going back it steps even from a success, which counts.
    let (state, notes) = look(row, state, notes, 0.375, 2);
    assert_eq!((notes.steps, notes.action, notes.best, state.improved), (3, STEP, 0.375, 1));
    // All steps are taken.
    let (end, after) = look(row, state, notes, 0.5, 0);
    assert_eq!((end.status, end.improved, after.action, after.best), (SURVIVED, 0, STAY, 0.375));
    // A success within epsilon breaks the row at once; with LAST only in the end, and then by the closest one.
    let (end, after) = look(row, state, notes, 0.25, 0);
    assert_eq!((end.status, end.improved, end.backwards, after.action), (BROKEN, 1, 3, STAY));
    let patient = Row { flags: LAST, ..row };
    let early = Notes { steps: 1, ..notes };
    let (going, kept) = look(patient, state, early, 0.125, 0);
    assert_eq!((going.status, going.improved, kept.action, kept.best), (RUNNING, 1, BACK, 0.125));
    let (end, _) = look(patient, state, Notes { steps: 3, ..kept }, 0.5, 1);
    assert_eq!((end.status, end.improved), (BROKEN, 0));
    // Rows that are not running stay.
    for status in [BROKEN, SURVIVED, FAILED] {
        let still = State { status, ..state };
        let (end, after) = look(row, still, notes, 0.25, 0);
        assert_eq!((end.status, after.action, after.steps), (status, STAY, notes.steps));
    }
}

fn starts() {
    let device = Device::flex();
    let row = |slot: u32| Row {
        epsilon: 0.5,
        start: if slot == 3 { START_ORIGIN } else { START_RANDOM },
        generation: 5,
        key: [1, 2],
        example: 7,
        restart: slot.min(1),
        ..bytemuck::Zeroable::zeroed()
    };
    // Slots 1 and 2 have the same row, slot 4 runs already.
    let rows: Vec<Row> = (0..5).map(row).collect();
    let states: Vec<State> = (0..5).map(|slot| State { generation: if slot == 4 { 5 } else { 4 }, ..State::default() }).collect();
    for norm in NORMS {
        for columns in [1, 10, 301] {
            let x = Tensor::<2>::full([5, columns], 0.25, &device);
            let origin = Tensor::<2>::full([5, columns], 0.5, &device);
            let out = read(fab_start(x, origin, words::upload(&rows, &device), words::upload(&states, &device), norm));
            let out: Vec<&[f32]> = out.chunks(columns).collect();
            for start in &out[..3] {
                let change: Vec<f64> = start.iter().map(|value| f64::from(*value) - 0.5).collect();
                assert!((length(&change, norm) - 0.25).abs() < 1e-5, "{} {columns}: {}", norm.name(), length(&change, norm));
            }
            assert_eq!(out[1], out[2]);
            assert!(columns == 1 || out[0] != out[1]);
            assert!(out[3].iter().all(|value| *value == 0.5) && out[4].iter().all(|value| *value == 0.25));
        }
    }
}
