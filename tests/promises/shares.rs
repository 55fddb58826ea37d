//! Devices finish together: the scheduler's decisions on a simulated clock, with the costs of AutoAttack's rows.

#[path = "shares/simulated.rs"]
mod simulated;

use gauntlet::suite::shares::{Ended, Grant, Shares};
use simulated::{Outcome, by_arithmetic, equal, mixed, rows, run, shared};

promises! {
    equal_devices_finish_together,
    rows_that_go_elsewhere_make_nothing_slower,
    rows_under_way_go_to_an_idle_device_of_the_same_kind_and_no_other,
    a_slow_device_never_holds_the_last_rows,
    devices_of_mixed_speed_are_all_of_use,
    a_fast_device_runs_again_what_all_slow_ones_hold,
    devices_bound_by_arithmetic_are_known_by_what_they_do,
    a_slow_device_that_is_late_gives_its_rows_to_a_fast_one_and_no_other,
    rules_hold_among_devices_whose_rows_were_all_taken_back,
    a_device_that_comes_back_with_fewer_slots_is_measured_anew,
}

const EXAMPLES: usize = 10_000;

/// Shares of rows that stand: `mnist-cnn-pgd` and `fashion-cnn-certified` at 0.3, `cifar10-resnet2b-pgd` at 8/255, `mnist-lenet5-standard`
/// at 0.2, linf.
const ROBUST: f64 = 0.855;
const HALF: f64 = 0.4133;
const FEW: f64 = 0.0078;
const UNDEFENDED: f64 = 0.0;

fn equal_devices_finish_together() {
    for stand in [ROBUST, HALF, FEW, UNDEFENDED] {
        let rows = rows(EXAMPLES, stand);
        for (count, least) in [(1, 0.99), (2, 0.98), (8, 0.95), (64, 0.9)] {
            for (devices, bound) in
                [(equal(count, 64), "launches"), (equal(count, 256), "launches"), (by_arithmetic(equal(count, 64)), "arithmetic")]
            {
                let (slots, Outcome { busy, of_bound, .. }) = (devices[0].slots, run(&devices, &rows));
                let what = format!("{count} devices of {slots} slots, bound by {bound}, {stand} stand");
                assert!(count > 1 || stand < 0.5 || of_bound > 0.97, "{what}: {of_bound} of the bound");
                assert!((least..=1.0 + 1e-9).contains(&busy), "{what}: {busy}");
            }
        }
    }
}

fn rows_that_go_elsewhere_make_nothing_slower() {
    let mut sooner = 0;
    for times in [&[1.0; 8][..], &[1.0, 4.0, 4.0], &[1.0, 2.5, 2.5], &[1.0, 1.0, 4.0, 4.0]] {
        for stand in [ROBUST, HALF, FEW, UNDEFENDED] {
            let rows = rows(EXAMPLES, stand);
            for devices in [mixed(times, 64), by_arithmetic(mixed(times, 64))] {
                let each: Vec<usize> = (0..devices.len()).collect();
                let [given, kept] = [run(&devices, &rows), shared(&devices, &rows, &each)].map(|outcome| outcome.seconds);
                assert!(given <= 1.005 * kept, "{times:?}, {stand} stand: {given} where rows go elsewhere, {kept} where they stay");
                sooner += usize::from(given < 0.98 * kept);
            }
        }
    }
    assert!(sooner >= 4, "rows that go elsewhere were of use {sooner} times");
}

fn rows_under_way_go_to_an_idle_device_of_the_same_kind_and_no_other() {
    let mut shares = Shares::new(12, &[8, 8, 8]).of_kinds(&[0, 0, 1]);
    for device in [0, 1, 2] {
        while let Grant::Take(_) = shares.ask(device, 0.0) {}
        assert_eq!(shares.taker(device), None, "something is left, or nobody waits");
    }
    let held = [4, 4, 4];
    for device in [1, 2] {
        (0..held[device]).for_each(|_| shares.ended(device, row(10.0, 1.0, 80.0)));
        assert_eq!(shares.ask(device, 1.0), Grant::Wait);
    }
    for given in 0..2 {
        assert_eq!(shares.taker(0), Some(1), "{given} given");
        shares.given(0, 1);
    }
    assert_eq!(shares.taker(0), None, "both have two");
    shares.ended(1, row(10.0, 1.0, 80.0));
    assert_eq!(shares.taker(0), None, "one has one row, the other two");
    shares.ended(1, row(10.0, 1.0, 80.0));
    assert_eq!(shares.taker(0), Some(1));
    shares.goes_on(1);
    assert_eq!(shares.taker(0), None, "nobody waits");
    assert_eq!(shares.ask(1, 2.0), Grant::Wait);
    assert_eq!(shares.taker(0), Some(1), "it waits again");
    shares.gone(1, 0);
    assert_eq!(shares.taker(0), None, "the other is gone, and the third of another kind");
}

fn a_slow_device_never_holds_the_last_rows() {
    for stand in [ROBUST, FEW, UNDEFENDED] {
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

fn a_fast_device_runs_again_what_all_slow_ones_hold() {
    let rows = rows(EXAMPLES, FEW);
    let [together, alone] = [mixed(&[1.0, 4.0, 4.0], 64), equal(1, 64)].map(|devices| run(&devices, &rows).seconds);
    assert!(together < 0.85 * alone, "{together} with two slow devices, {alone} without");
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

fn row(work: f64, seconds: f64, all: f64) -> Ended {
    Ended { work, whole: work, seconds, all }
}

/// Whether rows of a device that ended one in so many seconds, and none since, go to another that takes a second a row.
fn are_given_away(seconds: f64) -> bool {
    let mut shares = Shares::new(40, &[1, 1]);
    assert!(matches!(shares.ask(1, 0.0), Grant::Take(2..)));
    shares.ended(1, row(1.0, seconds, 1.0));
    let mut now = 0.0;
    while let Grant::Take(count) = shares.ask(0, now) {
        (0..count).for_each(|_| shares.ended(0, row(1.0, 1.0, 1.0)));
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
        shares.ended(device, row(10.0, seconds, 40.0));
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
        shares.ended(device, row(10.0, 1.0, 640.0));
    }
    shares.gone(0, 30);
    shares.back(0, 8);
    let mut taken = 0;
    while let Grant::Take(count) = shares.ask(0, 2.0) {
        taken += count;
    }
    assert!((1..=400 / 9 + 1).contains(&taken), "eight slots beside 64 got {taken} of 400");
}
