//! The Square attack: its schedule, its proposals under each norm, and what it finds on a linear model.

#[path = "square/found.rs"]
mod found;
#[path = "square/original.rs"]
mod original;

use burn::tensor::{Device, Tensor, TensorData};
use gauntlet::kernel::row::{RUNNING, Row, START_RANDOM, State};
use gauntlet::kernel::square::{STAGES, Schedule};
use gauntlet::kernel::{square_linf, square_mass, words};
use gauntlet::threat::Norm;

promises! {
    [found, original]
    a_linf_start_has_one_sign_a_channel_and_column,
    a_linf_proposal_changes_one_window_to_the_ends_of_the_ball,
    a_linf_proposal_always_changes_something_unless_epsilon_is_zero,
    windows_reach_every_border_of_the_image,
    starts_and_proposals_stay_in_the_ball_and_in_the_box,
    a_row_that_has_ended_keeps_its_point,
    another_restart_another_example_and_another_step_draw_other_numbers,
    a_pixel_that_is_no_number_stays_one,
}

pub const SHAPE: [usize; 3] = [2, 12, 10];
pub const FEATURES: usize = 240;

/// Pixels in [0, 1], the bounds among them.
pub fn pixels(count: usize) -> Vec<f32> {
    let value = |index: usize| (index * 7919 % 101) as f32 / 100.0;
    (0..count).map(value).collect()
}

pub fn row(example: u32, epsilon: f32) -> Row {
    Row { epsilon, steps: 4999, start: START_RANDOM, generation: 1, key: [3, 5], example, ..bytemuck::Zeroable::zeroed() }
}

/// A row that goes on, at its proposal number `step`, from 1.
pub fn running(step: u32) -> State {
    State { generation: 1, status: RUNNING, step, ..State::default() }
}

pub fn schedule(norm: Norm) -> Schedule {
    Schedule::new(norm, 5000, 0.8, false, [SHAPE[1], SHAPE[2]])
}

/// The points of rows with these best points and originals; `x` is 0.25 everywhere.
pub fn points(norm: Norm, best: &[f32], origin: &[f32], rows: &[Row], states: &[State]) -> Vec<f32> {
    let device = Device::flex();
    let tensor = |values: &[f32]| Tensor::<2>::from_data(TensorData::new(values.to_vec(), [rows.len(), FEATURES]), &device);
    let x = tensor(&vec![0.25; best.len()]);
    let kernel = if norm == Norm::Linf { square_linf } else { square_mass };
    let (rows, states) = (words::upload(rows, &device), words::upload(states, &device));
    kernel(x, tensor(best), tensor(origin), rows, states, SHAPE, &schedule(norm)).into_data().try_to_vec().expect("floats")
}

/// The start of a row.
pub fn start(norm: Norm, origin: &[f32], row: Row) -> Vec<f32> {
    points(norm, origin, origin, &[row], &[State::default()])
}

fn a_linf_start_has_one_sign_a_channel_and_column() {
    let origin = pixels(FEATURES);
    let mut ups = 0;
    for example in 0..8 {
        let x = start(Norm::Linf, &origin, row(example, 0.1));
        for stripe in 0..SHAPE[0] * SHAPE[2] {
            let (channel, column) = (stripe / SHAPE[2], stripe % SHAPE[2]);
            let places: Vec<usize> = (0..SHAPE[1]).map(|line| (channel * SHAPE[1] + line) * SHAPE[2] + column).collect();
            let is = |sign: f32| places.iter().all(|&at| x[at] == (origin[at] + sign * 0.1).clamp(0.0, 1.0));
            assert!(is(1.0) != is(-1.0), "stripe {stripe} of {example}");
            ups += usize::from(is(1.0));
        }
    }
    assert!((40..120).contains(&ups), "{ups} of 160 stripes go up");
}

/// Lines and columns between which two points differ, ends included.
fn bounds(a: &[f32], b: &[f32]) -> Option<[usize; 4]> {
    let places = (0..FEATURES).filter(|&at| a[at] != b[at]).map(|at| (at / SHAPE[2] % SHAPE[1], at % SHAPE[2]));
    places.fold(None, |bounds, (line, column)| {
        let [top, left, bottom, right] = bounds.unwrap_or([line, column, line, column]);
        Some([top.min(line), left.min(column), bottom.max(line), right.max(column)])
    })
}

fn a_linf_proposal_changes_one_window_to_the_ends_of_the_ball() {
    let origin = pixels(FEATURES);
    let schedule = schedule(Norm::Linf);
    for stage in 0..STAGES {
        let side = schedule.sides[stage] as usize;
        let step = if stage == 0 { 1 } else { schedule.after[stage - 1] + 2 };
        let mut widest = 0;
        for example in 0..40 {
            let row = row(example, 0.1);
            let best = start(Norm::Linf, &origin, row);
            let x = points(Norm::Linf, &best, &origin, &[row], &[running(step)]);
            let [top, left, bottom, right] = bounds(&x, &best).expect("a proposal changes something");
            widest = widest.max(bottom - top + 1).max(right - left + 1);
            for channel in 0..SHAPE[0] {
                let plane = channel * SHAPE[1] * SHAPE[2]..(channel + 1) * SHAPE[1] * SHAPE[2];
                let signs: Vec<f32> =
                    plane.filter(|&at| x[at] != best[at] && x[at] != origin[at]).map(|at| (x[at] - origin[at]).signum()).collect();
                assert!(signs.windows(2).all(|pair| pair[0] == pair[1]), "two signs in a channel of a window");
            }
            for at in 0..FEATURES {
                let ends = [-0.1, 0.1].map(|change| (origin[at] + change).clamp(0.0, 1.0));
                assert!(ends.contains(&x[at]), "element {at}: {} is not an end of {ends:?}", x[at]);
            }
        }
        assert_eq!(widest, side, "stage {stage}");
    }
}

fn a_linf_proposal_always_changes_something_unless_epsilon_is_zero() {
    // A best point of a single sign a channel, which a quarter of all draws would leave as it is.
    let origin = pixels(FEATURES);
    for example in 0..200 {
        for signs in [[0.1, 0.1], [0.1, -0.1], [-0.1, -0.1]] {
            let best: Vec<f32> = (0..FEATURES).map(|at| (origin[at] + signs[at / 120]).clamp(0.0, 1.0)).collect();
            let x = points(Norm::Linf, &best, &origin, &[row(example, 0.1)], &[running(1 + 10 * example)]);
            assert_ne!(x, best, "example {example}");
        }
        let x = points(Norm::Linf, &origin, &origin, &[row(example, 0.0)], &[running(1)]);
        assert_eq!(x, origin);
    }
}

fn windows_reach_every_border_of_the_image() {
    for (norm, step) in [(Norm::Linf, 2001), (Norm::L2, 2001), (Norm::L1, 2001)] {
        let origin = vec![0.5; FEATURES];
        let mut reached = [SHAPE[1], SHAPE[2], 0, 0];
        for example in 0..200 {
            let row = row(example, 0.1);
            let x = points(norm, &origin, &origin, &[row], &[running(step)]);
            let [top, left, bottom, right] = bounds(&x, &origin).expect("a proposal changes something");
            reached = [reached[0].min(top), reached[1].min(left), reached[2].max(bottom), reached[3].max(right)];
        }
        assert_eq!(reached, [0, 0, SHAPE[1] - 1, SHAPE[2] - 1], "{}", norm.name());
    }
}

fn starts_and_proposals_stay_in_the_ball_and_in_the_box() {
    let origin = pixels(FEATURES);
    for (norm, epsilon) in [(Norm::Linf, 0.3f32), (Norm::L2, 1.5)] {
        for example in 0..20 {
            let row = row(example, epsilon);
            let mut best = start(norm, &origin, row);
            for step in (1..5000).step_by(97) {
                let differences = best.iter().zip(&origin).map(|(x, origin)| f64::from((x - origin).abs()));
                let length =
                    if norm == Norm::L2 { differences.map(|d| d * d).sum::<f64>().sqrt() } else { differences.fold(0.0, f64::max) };
                assert!(length <= f64::from(epsilon) * (1.0 + 1e-5), "{} {length}, step {step}", norm.name());
                assert!(best.iter().all(|x| (0.0..=1.0).contains(x)));
                best = points(norm, &best, &origin, &[row], &[running(step)]);
            }
        }
    }
}

fn a_row_that_has_ended_keeps_its_point() {
    let origin = pixels(FEATURES);
    for norm in [Norm::Linf, Norm::L2, Norm::L1] {
        for status in 1..4 {
            let x = points(norm, &origin, &origin, &[row(0, 0.3)], &[State { status, ..running(3) }]);
            assert_eq!(x, vec![0.25; FEATURES], "{} {status}", norm.name());
        }
        let empty = points(norm, &origin, &origin, &[Row { generation: 0, ..row(0, 0.3) }], &[State::default()]);
        assert_eq!(empty, vec![0.25; FEATURES]);
    }
}

fn another_restart_another_example_and_another_step_draw_other_numbers() {
    let origin = pixels(FEATURES);
    for norm in [Norm::Linf, Norm::L2, Norm::L1] {
        let first = row(4, 0.3);
        let rows = [first, Row { restart: 1, ..first }, row(5, 0.3), Row { key: [3, 6], ..first }];
        let starts = rows.map(|row| start(norm, &origin, row));
        let best = starts[0].clone();
        let mut proposals: Vec<_> = rows.iter().map(|&row| points(norm, &best, &origin, &[row], &[running(60)])).collect();
        proposals.push(points(norm, &best, &origin, &[first], &[running(61)]));
        for all in [starts.to_vec(), proposals] {
            for (index, one) in all.iter().enumerate() {
                assert!(all[..index].iter().all(|other| other != one), "{}: two draws of {index} agree", norm.name());
            }
        }
        assert_eq!(start(norm, &origin, first), starts[0]);
    }
}

fn a_pixel_that_is_no_number_stays_one() {
    for norm in [Norm::Linf, Norm::L2, Norm::L1] {
        for poison in [f32::NAN, f32::INFINITY] {
            let mut origin = pixels(FEATURES);
            origin[37] = poison;
            assert!(!start(norm, &origin, row(0, 0.3))[37].is_finite(), "{} {poison}", norm.name());
        }
    }
}
