//! The difference of logits ratio and the losses towards a target, against their formulas and against finite differences of these.

use gauntlet::kernel::row::{BROKEN, DLR, MARGIN, RUNNING, Row, State, TARGETED, TOWARDS};
use gauntlet::kernel::{flags, loss_gradient};

use super::{matrix, read, uniform, upload};

promises! {
    every_loss_is_its_formula_and_every_gradient_that_of_its_loss,
    the_ratio_is_the_margin_where_there_are_too_few_classes,
    of_equal_logits_the_first_counts_as_the_larger,
    towards_a_target_any_wrong_class_is_a_success_and_the_score_is_the_labels,
}

const LABEL: usize = 1;
const TARGET: usize = 0;

fn row(flags: u32) -> Row {
    Row { steps: 9, label: LABEL as u32, target: TARGET as u32, flags, generation: 2, ..bytemuck::Zeroable::zeroed() }
}

fn running() -> State {
    State { generation: 2, step: 2, best: f32::MIN, ..State::default() }
}

/// The largest of the logits but `except`.
fn top(z: &[f64], except: usize) -> f64 {
    z.iter().enumerate().filter(|(class, _)| *class != except).map(|(_, z)| *z).fold(f64::MIN, f64::max)
}

fn formula(z: &[f64], flags: u32) -> f64 {
    let mut order = z.to_vec();
    order.sort_by(|a, b| b.total_cmp(a));
    let towards = flags & TOWARDS != 0;
    let margin = match (towards, flags & TARGETED != 0) {
        (true, _) => z[TARGET] - z[LABEL],
        (_, true) => z[TARGET] - top(z, TARGET),
        _ => top(z, LABEL) - z[LABEL],
    };
    let cross_entropy = |class: usize| z.iter().map(|z| z.exp()).sum::<f64>().ln() - z[class];
    if flags & MARGIN != 0 || (flags & DLR != 0 && z.len() < if towards { 4 } else { 3 }) {
        margin
    } else if flags & DLR != 0 && towards {
        margin / (order[0] - 0.5 * (order[2] + order[3]) + 1e-12)
    } else if flags & DLR != 0 {
        margin / (order[0] - order[2] + 1e-12)
    } else if flags & (TARGETED | TOWARDS) != 0 {
        -cross_entropy(TARGET)
    } else {
        cross_entropy(LABEL)
    }
}

fn loss_and_gradient(z: &[f32], row: Row) -> (State, Vec<f32>) {
    let (rows, classes) = (upload(&[Row { flags: row.flags, ..row }]), z.len());
    let state = flags(matrix(z, classes), rows.clone(), upload(&[running()]), true);
    // The gradient of a row that broke just now is still that of its loss.
    let gradient = read(loss_gradient(matrix(z, classes), rows, upload(&[running()])));
    (gauntlet::kernel::words::download(state)[0], gradient)
}

fn agree(z: &[f32], flags: u32) {
    let (state, gradient) = loss_and_gradient(z, row(flags));
    let exact: Vec<f64> = z.iter().map(|z| f64::from(*z)).collect();
    let want = formula(&exact, flags);
    assert!((f64::from(state.loss) - want).abs() <= 1e-5 * want.abs().max(1.0), "flags {flags}, {z:?}: {} and {want}", state.loss);
    for (class, got) in gradient.iter().enumerate() {
        let at = |shift: f64| {
            let mut z = exact.clone();
            z[class] += shift;
            formula(&z, flags)
        };
        let want = (at(1e-6) - at(-1e-6)) / 2e-6;
        assert!((f64::from(*got) - want).abs() <= 1e-4 * want.abs().max(1.0), "flags {flags}, {z:?}, class {class}: {got} and {want}");
    }
}

fn every_loss_is_its_formula_and_every_gradient_that_of_its_loss() {
    for flags in [0, MARGIN, DLR, TARGETED, TARGETED | MARGIN, TARGETED | DLR, TOWARDS, TOWARDS | MARGIN, TOWARDS | DLR] {
        for classes in [2, 3, 4, 5, 10, 65, 130] {
            for seed in 0..6 {
                // Apart enough for the shifts of a finite difference.
                let mut z: Vec<f32> = uniform(classes, seed + classes as u32).iter().map(|value| 8.0 * value - 4.0).collect();
                for (class, z) in z.iter_mut().enumerate() {
                    *z = (*z * 16.0).round() / 16.0 + class as f32 * 2e-4;
                }
                // In turn the label, the target or neither is ahead.
                z[[LABEL, TARGET, classes - 1][seed as usize % 3]] += 3.0;
                agree(&z, flags);
            }
        }
    }
}

fn the_ratio_is_the_margin_where_there_are_too_few_classes() {
    let of = |z: &[f32], flags: u32| {
        let (state, gradient) = loss_and_gradient(z, row(flags));
        (state.loss, gradient)
    };
    for (z, flags) in [(&[0.5f32, 2.0][..], 0), (&[0.5, 2.0], TARGETED), (&[0.5, 2.0], TOWARDS), (&[0.5, 2.0, -1.0], TOWARDS)] {
        assert_eq!(of(z, flags | DLR), of(z, flags | MARGIN), "{z:?}");
    }
    let z = [0.5, 2.0, -1.0];
    assert_ne!(of(&z, DLR), of(&z, MARGIN));
    assert_eq!(of(&z, DLR).0, -1.5 / 3.0);
}

fn of_equal_logits_the_first_counts_as_the_larger() {
    // The label is class 1. In order: 0, 2, 1, 3; the ratio is (z0 - z1) / (z0 - z1) and so 1, whatever they are.
    let (state, gradient) = loss_and_gradient(&[3.0, 1.0, 3.0, 1.0], row(DLR));
    assert_eq!((state.loss, gradient), (1.0, vec![0.0, 0.0, 0.0, 0.0]));
    // Towards class 0: (z0 - z1) / (z0 - (z1 + z3) / 2).
    let (state, gradient) = loss_and_gradient(&[3.0, 1.0, 3.0, 1.0], row(DLR | TOWARDS));
    assert_eq!((state.loss, gradient), (1.0, vec![0.0, -0.25, 0.0, 0.25]));
    // All equal: finite, and away from the label.
    let (state, gradient) = loss_and_gradient(&[1.0; 4], row(DLR));
    assert_eq!(state.loss, 0.0);
    assert!(gradient[0] > 0.0 && gradient[1] < 0.0 && gradient.iter().all(|value| value.is_finite()), "{gradient:?}");
}

fn towards_a_target_any_wrong_class_is_a_success_and_the_score_is_the_labels() {
    for loss in [0, MARGIN, DLR] {
        let (state, _) = loss_and_gradient(&[0.0, 2.0, 3.0, -1.0], row(loss | TOWARDS));
        assert_eq!((state.status, state.score, state.prediction), (BROKEN, 1.0, 2));
        let (state, _) = loss_and_gradient(&[0.0, 3.0, 2.0, -1.0], row(loss | TOWARDS));
        assert_eq!((state.status, state.score), (RUNNING, -1.0));
        let (state, _) = loss_and_gradient(&[0.0, 2.0, 3.0, -1.0], row(loss | TARGETED | TOWARDS));
        assert_eq!((state.status, state.score), (RUNNING, -3.0));
    }
    let (state, _) = loss_and_gradient(&[0.0, 2.0, 3.0, -1.0], row(MARGIN | TOWARDS));
    assert_eq!(state.loss, -2.0);
}
