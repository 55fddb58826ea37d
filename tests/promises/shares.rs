//! Devices finish together: the scheduler's decisions on a simulated clock, with the costs of AutoAttack's rows.

#[path = "shares/simulated.rs"]
mod simulated;

use gauntlet::suite::shares::{Grant, Shares};
use simulated::{Outcome, by_arithmetic, equal, mixed, rows, run};

promises! {
    equal_devices_finish_together,
    a_slow_device_never_holds_the_last_rows,
    devices_of_mixed_speed_are_all_of_use,
    devices_bound_by_arithmetic_are_known_by_what_they_do,
    a_slow_device_that_is_late_gives_its_rows_to_a_fast_one_and_no_other,
    rules_hold_among_devices_whose_rows_were_all_taken_back,
    a_device_that_comes_back_with_fewer_slots_is_measured_anew,
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
    for times in [[1.0, 1.0, 10.0], [1.0, 2.0, 4.0]] {
        for stand in [ROBUST, UNDEFENDED] {
            let Outcome { busy, .. } = run(&mixed(&times, 64), &rows(EXAMPLES, stand));
            assert!((0.95..=1.0 + 1e-9).contains(&busy), "{times:?}, {stand} stand: {busy}");
        }
    }
}

/// In few slots a row goes faster, and the device does no more.
fn devices_bound_by_arithmetic_are_known_by_what_they_do() {
    for times in [&[1.0; 8][..], &[1.0, 1.0, 10.0], &[1.0, 2.0, 4.0], &[1.0, 100.0]] {
        for slots in [64, 256] {
            let devices = by_arithmetic(mixed(times, slots));
            let Outcome { of_bound, .. } = run(&devices, &rows(EXAMPLES, ROBUST));
            assert!((0.9..=1.0 + 1e-9).contains(&of_bound), "{times:?}, {slots} slots: {of_bound} of the bound");
        }
    }
}

/// Whether rows of a device that ended one in so many seconds, and none since, go to another that takes a second a row.
fn are_given_away(seconds: f64) -> bool {
    let mut shares = Shares::new(40, &[1, 1]);
    assert!(matches!(shares.ask(1, 0.0), Grant::Take(2..)));
    shares.ended(1, 1.0, seconds, 1.0);
    let mut now = 0.0;
    while let Grant::Take(count) = shares.ask(0, now) {
        (0..count).for_each(|_| shares.ended(0, 1.0, 1.0, 1.0));
        now += count as f64;
    }
    (0..1000).any(|later| shares.ask(0, now + f64::from(later)) == Grant::Relieve(1))
}

fn a_slow_device_that_is_late_gives_its_rows_to_a_fast_one_and_no_other() {
    assert!(are_given_away(2.5) && are_given_away(100.0));
    assert!(!are_given_away(1.9) && !are_given_away(1.0) && !are_given_away(0.1), "rows would go to and fro between equals");
}

/// One row ends on each of two devices, the second of which is ten times as slow, and both lose what they hold.
fn rules_hold_among_devices_whose_rows_were_all_taken_back() {
    let mut shares = Shares::new(100, &[4, 4]);
    for (device, seconds) in [(0, 1.0), (1, 10.0)] {
        let Grant::Take(count) = shares.ask(device, 0.0) else { panic!("there is enough for all") };
        shares.ended(device, 10.0, seconds, 40.0);
        shares.relieve(device, count - 1);
    }
    let mut taken = [0, 0];
    for _ in 0..200 {
        for (device, taken) in taken.iter_mut().enumerate() {
            if let Grant::Take(count) = shares.ask(device, 20.0) {
                *taken += count;
            }
        }
    }
    assert_eq!(taken[0] + taken[1], 98, "all that was left");
    assert!(taken[1] <= 98 / 8, "the slow one took {} of 98", taken[1]);
}

fn a_device_that_comes_back_with_fewer_slots_is_measured_anew() {
    let mut shares = Shares::new(400, &[64, 64]);
    for device in [0, 1] {
        assert!(matches!(shares.ask(device, 0.0), Grant::Take(_)));
        shares.ended(device, 10.0, 1.0, 640.0);
    }
    shares.gone(0, 30);
    shares.back(0, 8);
    let mut taken = 0;
    while let Grant::Take(count) = shares.ask(0, 2.0) {
        taken += count;
    }
    assert!((1..=400 / 9 + 1).contains(&taken), "eight slots beside 64 got {taken} of 400");
}
