//! Rows under way that go from one device to another.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use burn::tensor::{Device, Tensor};
use gauntlet::engine::chain::Walk;
use gauntlet::engine::drive::send;
use gauntlet::engine::examples::Examples;
use gauntlet::suite::schedule::Worker;

use super::super::bench_model::{Trial, relayed};
use super::{EPSILONS, restarted, series, small_cnn, worker};
use crate::Promise;

pub fn tests() -> Vec<Promise> {
    let plain = |name, run| Promise { name, needs_adapter: false, run };
    vec![
        plain("a chain that is passed on between its rows comes to the same, to the bit", chains_may_be_passed_on),
        plain("a worker that waits goes on with rows that another has begun, to the bit", a_waiting_worker_goes_on_with_anothers_rows),
        plain("what was given to a device that stops is run by others, to the same bits", given_rows_of_a_lost_device_are_run),
    ]
}

fn chains_may_be_passed_on() {
    let cases = [("pgd", "steps = 7\nrestarts = 3"), ("mi-fgsm", "steps = 5"), ("fgsm", ""), ("noise", "draws = 9"), ("autoattack", "")];
    for (kind, options) in cases {
        let (oracle, data) = small_cnn(&Device::flex());
        let positions: Vec<usize> = (0..if kind == "autoattack" { 3 } else { data.len() }).collect();
        let pixels = send(&data, &Device::flex());
        // Rows that break wait for the judge, and go nowhere meanwhile: the ensemble's are to stand.
        let epsilons = if kind == "autoattack" { &EPSILONS[1..2] } else { &EPSILONS };
        let walk = if kind == "pgd" { Walk::Descending } else { Walk::Each };
        let trial = Trial { epsilons, ..series(kind, options, walk) };
        let (whole, _, none) = relayed(&trial, &oracle, &data, &pixels, &positions, 0);
        assert_eq!((whole.len(), none), (positions.len(), 0));
        for passes_on in [2, 3] {
            let (outcomes, _, passed_on) = relayed(&trial, &oracle, &data, &pixels, &positions, passes_on);
            // A row of FGSM's that starts from what its slot kept stays there.
            assert_eq!(passed_on > 0, kind != "fgsm", "{kind}: {passed_on} times a chain was passed on after a row of its own");
            assert!(outcomes == whole, "{kind}: {passed_on} times a chain was passed on, and outcomes differ");
        }
    }
}

/// Examples on the device that write down which of them slots asked for.
struct Noted {
    pixels: Tensor<2>,
    asked: Arc<Mutex<BTreeSet<usize>>>,
}

impl Examples for Noted {
    fn put(&self, target: Tensor<2>, positions: &[i32]) -> Tensor<2> {
        self.asked.lock().unwrap().extend(positions.iter().filter_map(|&at| usize::try_from(at).ok()));
        self.pixels.put(target, positions)
    }
}

fn a_waiting_worker_goes_on_with_anothers_rows() {
    let (_, data) = small_cnn(&Device::flex());
    let pixels = send(&data, &Device::flex());
    let any = worker(&Device::flex(), Arc::new(pixels.clone()), 3);
    let begun = Mutex::new(vec![0; data.len()]);
    let run = |workers: usize| {
        begun.lock().unwrap().fill(0);
        let asked: Vec<Arc<Mutex<BTreeSet<usize>>>> = (0..workers).map(|_| Arc::default()).collect();
        let noted = |asked: &Arc<Mutex<BTreeSet<usize>>>| {
            let asked = asked.clone();
            Worker { data: Arc::new(Noted { pixels: pixels.clone(), asked }), ..any.clone() }
        };
        let start = |at: usize| begun.lock().unwrap()[at] += 1;
        let kept = restarted(&data, asked.iter().map(noted).collect(), &start).unwrap();
        let both = (0..data.len()).filter(|at| asked.iter().filter(|asked| asked.lock().unwrap().contains(at)).count() > 1);
        // Begun once, and yet in the slots of both.
        let moved = both.filter(|&at| begun.lock().unwrap()[at] == 1).count();
        (kept.outcomes.into_inner().unwrap(), kept.points.into_inner().unwrap(), moved)
    };
    let (outcomes, points, _) = run(1);
    assert_eq!(outcomes.len(), data.len());
    let mut moved = 0;
    // Which worker waits for which is a matter of their speeds.
    for _ in 0..200 {
        let again = run(2);
        assert!(again.0 == outcomes, "{} rows moved, and outcomes differ", again.2);
        assert!(again.1 == points, "{} rows moved, and points differ", again.2);
        moved += again.2;
        if moved >= 10 {
            return;
        }
    }
    panic!("{moved} rows moved");
}

/// Examples on a device that fails when slots ask so many times.
struct Failing {
    pixels: Tensor<2>,
    left: AtomicUsize,
}

impl Examples for Failing {
    fn put(&self, target: Tensor<2>, positions: &[i32]) -> Tensor<2> {
        let left = self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
        assert!(left.is_ok(), "the device is no more");
        self.pixels.put(target, positions)
    }
}

fn given_rows_of_a_lost_device_are_run() {
    let (_, data) = small_cnn(&Device::flex());
    let pixels = send(&data, &Device::flex());
    let any = worker(&Device::flex(), Arc::new(pixels.clone()), 3);
    let run = |workers| {
        let kept = restarted(&data, workers, &|_| ()).unwrap();
        (kept.outcomes.into_inner().unwrap(), kept.points.into_inner().unwrap(), kept.lost.into_inner().unwrap())
    };
    let (outcomes, points, _) = run(vec![any.clone()]);
    let mut lost = 0;
    for left in 0..30 {
        let failing = Failing { pixels: pixels.clone(), left: left.into() };
        let failing = Worker { data: Arc::new(failing), ..any.clone() };
        let again = run(vec![any.clone(), failing, any.clone()]);
        assert!(again.0 == outcomes && again.1 == points, "what three found, of which one fails after {left}");
        lost += again.2;
    }
    assert!(lost > 5, "{lost} devices were lost");
}
