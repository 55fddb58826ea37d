//! Devices finish together: the scheduler's decisions on a simulated clock, with the costs of AutoAttack's rows.

#[path = "shares/simulated.rs"]
mod simulated;

use simulated::{Outcome, equal, mixed, rows, run};

promises! {
    equal_devices_finish_together,
    a_slow_device_never_holds_the_last_rows,
    devices_of_mixed_speed_are_all_of_use,
}

const EXAMPLES: usize = 10_000;

/// Shares of rows that stand: `mnist-cnn-pgd` at 0.3 and `mnist-lenet5-standard` at 0.2, linf.
const ROBUST: f64 = 0.855;
const UNDEFENDED: f64 = 0.0;

fn equal_devices_finish_together() {
    for stand in [ROBUST, UNDEFENDED] {
        let rows = rows(EXAMPLES, stand);
        for (count, least) in [(1, 0.99), (2, 0.98), (8, 0.95), (64, 0.9)] {
            for slots in [64, 256] {
                let Outcome { busy, of_bound, .. } = run(&equal(count, slots), &rows);
                assert!(count > 1 || of_bound > 0.97, "one device of {slots} slots, {stand} stand: {of_bound} of the bound");
                assert!((least..=1.0 + 1e-9).contains(&busy), "{count} devices of {slots} slots, {stand} stand: {busy}");
            }
        }
    }
}

fn a_slow_device_never_holds_the_last_rows() {
    for stand in [ROBUST, 0.0078, UNDEFENDED] {
        let rows = rows(EXAMPLES, stand);
        for fast in [1, 7] {
            let alone = run(&equal(fast, 64), &rows).seconds;
            let times: Vec<f64> = std::iter::repeat_n(1.0, fast).chain([100.0]).collect();
            let together = run(&mixed(&times, 64), &rows).seconds;
            assert!(together <= 1.1 * alone, "{fast} fast ones, {stand} stand: {together} with a slow one, {alone} without");
        }
    }
}

fn devices_of_mixed_speed_are_all_of_use() {
    for (times, least) in [([1.0, 1.0, 10.0], 0.85), ([1.0, 2.0, 4.0], 0.95)] {
        for stand in [ROBUST, UNDEFENDED] {
            let Outcome { busy, .. } = run(&mixed(&times, 64), &rows(EXAMPLES, stand));
            assert!((least..=1.0 + 1e-9).contains(&busy), "{times:?}, {stand} stand: {busy}");
        }
    }
}
