//! The projection on the intersection of an l1 ball and the box, against one that walks over the sorted breakpoints.

use gauntlet::kernel::l1_project;
use gauntlet::kernel::row::Row;

use super::{matrix, read, uniform, upload};

promises! {
    an_l1_projection_is_the_nearest_point_of_ball_and_box,
    an_l1_projection_stays_within_a_millionth_of_the_radius_at_any_length,
    an_l1_projection_leaves_empty_slots_and_numbers_that_are_none_alone,
}

/// The projection in double precision: between neighbouring breakpoints of the length as a function of the threshold it is linear.
pub fn exact(x: &[f32], origin: &[f32], epsilon: f64) -> Vec<f64> {
    let terms: Vec<(f64, f64, f64)> = x
        .iter()
        .zip(origin)
        .map(|(&x, &origin)| {
            let (x, origin) = (f64::from(x), f64::from(origin));
            let difference = x - origin;
            (origin, difference, if difference > 0.0 { 1.0 - origin } else { origin })
        })
        .collect();
    let length = |threshold: f64| terms.iter().map(|(_, d, room)| (d.abs() - threshold).max(0.0).min(*room)).sum::<f64>();
    let mut threshold = 0.0;
    if length(0.0) > epsilon {
        let mut breaks: Vec<f64> = terms.iter().flat_map(|(_, d, room)| [d.abs(), d.abs() - room]).filter(|at| *at > 0.0).collect();
        breaks.push(0.0);
        breaks.sort_by(f64::total_cmp);
        let after = breaks.partition_point(|at| length(*at) > epsilon);
        let (low, high) = (breaks[after - 1], breaks[after]);
        let (long, short) = (length(low), length(high));
        threshold = low + (high - low) * (long - epsilon) / (long - short);
    }
    terms.iter().map(|(origin, d, room)| origin + d.signum() * (d.abs() - threshold).max(0.0).min(*room)).collect()
}

fn row(epsilon: f32) -> Row {
    Row { epsilon, generation: 1, ..bytemuck::Zeroable::zeroed() }
}

fn length(x: &[f32], origin: &[f32]) -> f64 {
    x.iter().zip(origin).map(|(x, origin)| (f64::from(*x) - f64::from(*origin)).abs()).sum()
}

/// Origins with pixels on the bounds; points up to `far` away, some of them equal to their origins and some to one another.
fn case(columns: usize, far: f32, seed: u32) -> (Vec<f32>, Vec<f32>) {
    let origin: Vec<f32> = uniform(columns, seed).iter().map(|value| (1.4 * value - 0.2).clamp(0.0, 1.0)).collect();
    let noise = uniform(columns, seed + 1000);
    let away = |index: usize| match index % 7 {
        0 => 0.0,
        1 => far,
        2 => -far,
        _ => far * (2.0 * noise[index] - 1.0),
    };
    let x = origin.iter().enumerate().map(|(index, origin)| origin + away(index)).collect();
    (x, origin)
}

fn an_l1_projection_is_the_nearest_point_of_ball_and_box() {
    let mut inside = 0;
    for (seed, columns) in [1, 2, 3, 10, 77, 784].into_iter().enumerate() {
        for far in [0.05, 0.5, 3.0] {
            for epsilon in [0.0, 1e-3, 0.1, 0.7, 3.0, 12.0, 1e4] {
                let (x, origin) = case(columns, far, seed as u32);
                let want = exact(&x, &origin, f64::from(epsilon));
                let got = read(l1_project(matrix(&x, columns), matrix(&origin, columns), upload(&[row(epsilon)])));
                for (index, (got, want)) in got.iter().zip(&want).enumerate() {
                    let apart = (f64::from(*got) - want).abs();
                    assert!(apart <= 2e-6, "{columns} at {far}, epsilon {epsilon}: element {index} is {got} and not {want}");
                    assert!((0.0..=1.0).contains(got));
                }
                inside += usize::from(length(&x, &origin) < f64::from(epsilon));
                if epsilon == 0.0 {
                    assert_eq!(got, origin);
                }
            }
        }
    }
    assert!(inside > 20, "the cases are all outside their balls");
}

fn an_l1_projection_stays_within_a_millionth_of_the_radius_at_any_length() {
    for (columns, epsilon) in [(3072, 12.0), (3072, 0.01), (50_000, 12.0), (50_000, 1000.0)] {
        let (x, origin) = case(columns, 1.5, 5);
        let got = read(l1_project(matrix(&x, columns), matrix(&origin, columns), upload(&[row(epsilon)])));
        let reached = length(&got, &origin) / f64::from(epsilon);
        // An element is a number of single precision near its origin, and may be rounded towards it.
        let least = 1.0 - 2e-6 - columns as f64 * f64::from(f32::EPSILON) / f64::from(epsilon);
        assert!((least..=1.0 + 1e-6).contains(&reached), "{columns} elements, epsilon {epsilon}: {reached} of the radius");
    }
}

fn an_l1_projection_leaves_empty_slots_and_numbers_that_are_none_alone() {
    let x = [3.0, -2.0, 3.0, -2.0, f32::NAN, -2.0, 3.0, -2.0];
    let origin = [0.5, 0.5, 0.5, 0.5, 0.5, 0.5, f32::INFINITY, 0.5];
    let rows = [row(0.5), Row { generation: 0, ..row(0.5) }, row(0.5), row(0.5)];
    let got = read(l1_project(matrix(&x, 2), matrix(&origin, 2), upload(&rows)));
    // Both differences are 2.5: each keeps half of the radius.
    assert!((got[0] - 0.75).abs() < 1e-6 && (got[1] - 0.25).abs() < 1e-6, "{got:?}");
    assert_eq!(got[2..4], [3.0, -2.0]);
    assert!(got[4].is_nan() && got[5..] == [-2.0, 3.0, -2.0], "{got:?}");
}
