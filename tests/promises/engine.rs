//! The engine: what becomes of a row does not depend on slots beside it, on order or on cadence; sweeps agree; a NaN fails its own row.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use burn::tensor::{Device, Tensor, TensorData};
use gauntlet::attack::{ATTACKS, Setting};
use gauntlet::data::Dataset;
use gauntlet::device::Choice;
use gauntlet::engine::chain::{Chain, Walk};
use gauntlet::engine::clean;
use gauntlet::engine::drive::send;
use gauntlet::engine::examples::{Examples, Streamed};
use gauntlet::evaluate::cost::Cost;
use gauntlet::evaluate::record::{ExampleOutcomes, SeriesKey, Specimen, Verdict};
use gauntlet::evaluate::results::DeviceInfo;
use gauntlet::store::KeptPoint;
use gauntlet::suite::parse_options;
use gauntlet::suite::schedule::{self, Series, Sink, Worker};
use gauntlet::threat::Norm;

#[path = "engine/chains.rs"]
mod chains;
#[path = "engine/given.rs"]
mod given;

use super::bench_model::{Trial, attack, attack_tensor, planned, relabelled, separable, separator, untrained};
use crate::Promise;

pub fn tests() -> Vec<Promise> {
    let plain = |name, run| Promise { name, needs_adapter: false, run };
    let on_gpu = |name, run| Promise { name, needs_adapter: true, run };
    let mut tests = vec![
        plain("a row's outcome does not depend on order, company or cadence, to the bit", order_does_not_matter),
        plain("a descending sweep agrees with the exhaustive one and costs a fraction of it", sweeps_agree),
        plain("a NaN and an infinity fail their own rows alone", a_nan_fails_its_row),
        on_gpu("on the adapter a NaN and an infinity fail their own rows alone", a_nan_fails_its_row_on_the_adapter),
        plain("a model whose logits are not finite fails every row", an_ill_model_fails_on_the_cpu),
        on_gpu("on the adapter a model whose logits are not finite fails every row", an_ill_model_fails_on_the_adapter),
        on_gpu("the CPU and the adapter agree on every example", devices_agree),
        plain("several workers find what one finds, to the bit", workers_do_not_matter),
        plain("the rows of a device that stops go to the others", lost_rows_are_run),
        plain("another takes the place of a device that fails, and its rows are run", another_takes_a_failed_devices_place),
        plain("examples may stay with the host, whatever is read ahead", examples_may_stay_with_the_host),
        plain("rows that are left come together in fewer slots, to the same bits", few_rows_take_few_slots),
        on_gpu("on the adapter rows that are left come together in fewer slots, to the same bits", few_rows_take_few_slots_on_the_adapter),
        on_gpu("adapters of one kind find together what one finds alone, to the bit", equal_adapters_agree_to_the_bit),
    ];
    tests.extend(chains::tests());
    tests.extend(given::tests());
    tests
}

const EPSILONS: [f64; 8] = [0.0, 0.005, 0.01, 0.02, 0.04, 0.08, 0.16, 0.3];

fn series<'a>(kind: &'a str, options: &'a str, walk: Walk) -> Trial<'a> {
    Trial { kind, options, norm: Norm::Linf, epsilons: &EPSILONS, walk, slots: 8, cadence: 1 }
}

fn small_cnn(device: &Device) -> (gauntlet::engine::oracle::Oracle, Dataset) {
    let data = separable(4, 30, 0.3);
    let oracle = untrained("small-cnn", &data, device);
    let data = relabelled(data, &oracle);
    (oracle, data)
}

fn linear(device: &Device) -> (gauntlet::engine::oracle::Oracle, Dataset) {
    let data = separable(4, 30, 0.3);
    (separator(&data, 1.0, device), data)
}

fn order_does_not_matter() {
    for (kind, options) in [("pgd", "steps = 7"), ("mi-fgsm", ""), ("fgsm", ""), ("noise", "draws = 90")] {
        // Noise needs boundaries as near as the linear model's.
        let (oracle, data) = if kind == "noise" { linear(&Device::flex()) } else { small_cnn(&Device::flex()) };
        let forwards: Vec<usize> = (0..data.len()).collect();
        let backwards: Vec<usize> = forwards.iter().rev().copied().collect();
        let trial = series(kind, options, Walk::Descending);
        let (first, _) = attack(&trial, &oracle, &data, &forwards);
        let (second, _) = attack(&trial, &oracle, &data, &backwards);
        let (late, _) = attack(&Trial { cadence: 3, ..trial.clone() }, &oracle, &data, &forwards);
        let mut halves = attack(&trial, &oracle, &data, &forwards[..13]).0;
        halves.extend(attack(&trial, &oracle, &data, &forwards[13..]).0);
        for (other, what) in [(second, "reversed"), (late, "with flags read late"), (halves, "in two parts")] {
            assert_eq!(first, other, "{kind} {what}");
        }
        let broken = count(&first, Verdict::Broken);
        assert!(broken > 0 && broken < first.len() * (EPSILONS.len() - 1), "{kind}: the case says nothing: {broken} broken");
    }
}

fn count(outcomes: &BTreeMap<u32, ExampleOutcomes>, verdict: Verdict) -> usize {
    outcomes.values().flat_map(|outcomes| &outcomes.outcomes).filter(|outcome| outcome.verdict == verdict).count()
}

fn cost(outcomes: &BTreeMap<u32, ExampleOutcomes>, at: impl Fn(usize) -> bool) -> u32 {
    let stops = outcomes.values().flat_map(|outcomes| outcomes.outcomes.iter().enumerate());
    stops.filter(|(index, _)| at(*index)).map(|(_, outcome)| outcome.forwards + outcome.backwards).sum()
}

fn sweeps_agree() {
    let (oracle, data) = small_cnn(&Device::flex());
    let positions: Vec<usize> = (0..data.len()).collect();
    let (descending, _) = attack(&series("pgd", "", Walk::Descending), &oracle, &data, &positions);
    let (each, _) = attack(&series("pgd", "", Walk::Each), &oracle, &data, &positions);
    for (at, epsilon) in EPSILONS.iter().enumerate() {
        let robust = |outcomes: &BTreeMap<u32, ExampleOutcomes>| {
            outcomes.values().filter(|outcomes| outcomes.outcomes[at].verdict == Verdict::Survived).count()
        };
        assert!(robust(&descending).abs_diff(robust(&each)) <= 1, "epsilon {epsilon}");
    }
    let dearest = (0..EPSILONS.len()).map(|index| cost(&each, |at| at == index)).max().unwrap();
    let whole = cost(&descending, |_| true);
    assert!(f64::from(whole) <= 2.2 * f64::from(dearest), "{whole} propagations for the sweep, {dearest} for its dearest epsilon");
}

fn a_nan_fails_its_row() {
    planted_rows_fail_alone(&Device::flex());
}

fn a_nan_fails_its_row_on_the_adapter() {
    planted_rows_fail_alone(&super::adapter::device());
}

fn planted_rows_fail_alone(device: &Device) {
    let data = separable(2, 12, 0.3);
    let oracle = separator(&data, 5.0, device);
    let mut pixels = data.images();
    pixels[3 * data.features() + 5] = f32::NAN;
    pixels[7 * data.features()] = f32::INFINITY;
    let planted = Tensor::from_data(TensorData::new(pixels, [data.len(), data.features()]), device);
    let positions: Vec<usize> = (0..data.len()).collect();
    for kind in ["pgd", "mi-fgsm", "fgsm", "noise"] {
        for norm in [Norm::Linf, Norm::L2] {
            let trial = Trial { norm, ..series(kind, "", Walk::Descending) };
            let (sound, _) = attack_tensor(&trial, &oracle, &data, &send(&data, device), &positions);
            let (ill, _) = attack_tensor(&trial, &oracle, &data, &planted, &positions);
            for (at, id) in data.ids.iter().enumerate() {
                if at == 3 || at == 7 {
                    let failed = ill[id].outcomes[1..].iter().all(|outcome| outcome.verdict == Verdict::Failed);
                    assert!(failed, "{kind} {}: example {id}: {:?}", norm.name(), ill[id].outcomes);
                } else {
                    assert_eq!(ill[id], sound[id], "{kind} {}: example {id} is not itself any more", norm.name());
                }
            }
        }
    }
}

/// A model whose logits are infinite, or no numbers, fails every row, on whatever device.
fn an_ill_model_fails_every_row(device: &Device) {
    let data = separable(2, 5, 0.3);
    for weight in [f32::NAN, f32::MAX] {
        let oracle = separator(&data, weight, device);
        for kind in ["pgd", "mi-fgsm", "fgsm", "noise"] {
            let (outcomes, _) = attack(&series(kind, "", Walk::Descending), &oracle, &data, &[0, 1, 2, 3, 4]);
            for outcomes in outcomes.values() {
                assert!(outcomes.outcomes[1..].iter().all(|outcome| outcome.verdict == Verdict::Failed), "{kind} {weight}: {outcomes:?}");
            }
        }
    }
}

fn an_ill_model_fails_on_the_cpu() {
    an_ill_model_fails_every_row(&Device::flex());
}

fn an_ill_model_fails_on_the_adapter() {
    an_ill_model_fails_every_row(&super::adapter::device());
}

fn devices_agree() {
    let (cpu, data) = small_cnn(&Device::flex());
    let (gpu, _) = small_cnn(&super::adapter::device());
    let positions: Vec<usize> = (0..data.len()).collect();
    let mut differ = 0;
    let mut all = 0;
    for (kind, options) in [("pgd", "steps = 5"), ("mi-fgsm", "steps = 5"), ("fgsm", ""), ("noise", "draws = 5")] {
        let trial = series(kind, options, Walk::Each);
        let (here, _) = attack(&trial, &cpu, &data, &positions);
        let (there, _) = attack(&Trial { cadence: 4, ..trial }, &gpu, &data, &positions);
        for (id, outcomes) in &here {
            for (a, b) in outcomes.outcomes.iter().zip(&there[id].outcomes) {
                all += 1;
                differ += usize::from(a.verdict != b.verdict);
            }
        }
    }
    assert!(differ * 100 <= all, "{differ} of {all} verdicts differ");
}

/// Keeps what is committed.
#[derive(Default)]
struct Kept {
    outcomes: Mutex<BTreeMap<u32, ExampleOutcomes>>,
    /// Adversarial points, by example, epsilon's bits and whether the gallery has it.
    points: Mutex<BTreeMap<(u32, u64, bool), Vec<f32>>>,
    lost: Mutex<usize>,
}

impl Sink for Kept {
    fn commit(
        &self,
        _: &DeviceInfo,
        outcomes: &[ExampleOutcomes],
        specimens: &[Specimen],
        kept: &[KeptPoint],
        _: &Cost,
    ) -> gauntlet::Result<()> {
        for outcomes in outcomes {
            assert!(self.outcomes.lock().unwrap().insert(outcomes.example, outcomes.clone()).is_none(), "committed twice");
        }
        let shown = specimens.iter().map(|shown| ((shown.example, shown.epsilon.to_bits(), true), shown.adversarial.clone()));
        let kept = kept.iter().map(|kept| ((kept.broken.example, kept.broken.epsilon.to_bits(), false), kept.adversarial.clone()));
        for (at, point) in shown.chain(kept) {
            assert!(self.points.lock().unwrap().insert(at, point).is_none(), "a point of example {} was committed twice", at.0);
        }
        Ok(())
    }

    fn keeps(&self) -> bool {
        true
    }

    fn lost(&self, _: &DeviceInfo, _: &gauntlet::Error) {
        *self.lost.lock().unwrap() += 1;
    }
}

/// A worker with the small network on a device.
fn worker(device: &Device, data: Arc<dyn Examples>, slots: usize) -> Worker {
    let info = DeviceInfo { slots, ..gauntlet::device::open(Choice::Cpu).unwrap().info };
    Worker { info, oracle: small_cnn(device).0, surrogate: None, data, cadence: 1 }
}

/// Runs PGD over all examples on workers; gives what was committed, and how many devices were lost.
fn scheduled(data: &Dataset, workers: Vec<Worker>, renew: &schedule::Renew) -> gauntlet::Result<(BTreeMap<u32, ExampleOutcomes>, usize)> {
    let kept = kept(data, "steps = 7", workers, renew, &|_| ())?;
    Ok((kept.outcomes.into_inner().unwrap(), kept.lost.into_inner().unwrap()))
}

/// The same with restarts; `start` hears of each example that a worker begins.
fn restarted(data: &Dataset, workers: Vec<Worker>, start: &(dyn Fn(usize) + Sync)) -> gauntlet::Result<Kept> {
    kept(data, "steps = 7\nrestarts = 4", workers, &schedule::no_other, start)
}

fn kept(
    data: &Dataset,
    options: &str,
    workers: Vec<Worker>,
    renew: &schedule::Renew,
    start: &(dyn Fn(usize) + Sync),
) -> gauntlet::Result<Kept> {
    let row = ATTACKS.iter().find(|row| row.entry.name == "pgd").unwrap();
    let setting = Setting { norm: Norm::Linf, classes: data.classes, shape: data.shape };
    let parts = (row.build)(&parse_options(&row.entry, options).unwrap(), &setting);
    let attempts = parts.iter().map(|part| part.attempts()).sum();
    let key = SeriesKey { defence: "tested".into(), attack: "pgd".into(), norm: Norm::Linf };
    let chain = |at: usize| {
        start(at);
        Chain::new(at, data.ids[at], data.labels[at], Walk::Descending, attempts, &EPSILONS)
    };
    let series = Series { key: &key, parts: &parts, random: [1, 2], data, chain: &chain, shown: &|_| true };
    let kept = Kept::default();
    schedule::run(&series, workers, &(0..data.len()).collect::<Vec<_>>(), &kept, renew)?;
    Ok(kept)
}

/// As [`scheduled`], on the processor with these pixels, nothing taking the place of what is lost.
fn on_pixels(data: &Dataset, pixels: &[Tensor<2>]) -> gauntlet::Result<(BTreeMap<u32, ExampleOutcomes>, usize)> {
    let workers = pixels.iter().map(|pixels| worker(&Device::flex(), Arc::new(pixels.clone()), 8)).collect();
    scheduled(data, workers, &schedule::no_other)
}

fn workers_do_not_matter() {
    let (_, data) = small_cnn(&Device::flex());
    let pixels = send(&data, &Device::flex());
    let (one, _) = on_pixels(&data, std::slice::from_ref(&pixels)).unwrap();
    assert_eq!(one.len(), data.len());
    for count in [2, 3] {
        assert_eq!(on_pixels(&data, &vec![pixels.clone(); count]).unwrap(), (one.clone(), 0), "{count} workers");
    }
}

fn lost_rows_are_run() {
    let (_, data) = small_cnn(&Device::flex());
    let pixels = send(&data, &Device::flex());
    // Pixels of another size: the worker stops at its first admission.
    let ill = Tensor::<2>::zeros([data.len(), 7], &Device::flex());
    let (one, _) = on_pixels(&data, std::slice::from_ref(&pixels)).unwrap();
    assert_eq!(on_pixels(&data, &[ill.clone(), pixels]).unwrap(), (one, 1));
    let error = on_pixels(&data, &[ill.clone(), ill]).unwrap_err();
    assert_eq!((error.exit_code(), error.message()), (3, "no device is left to run on"));
}

fn another_takes_a_failed_devices_place() {
    let (_, data) = small_cnn(&Device::flex());
    let pixels = send(&data, &Device::flex());
    let (one, _) = on_pixels(&data, std::slice::from_ref(&pixels)).unwrap();
    let ill = || worker(&Device::flex(), Arc::new(Tensor::<2>::zeros([data.len(), 7], &Device::flex())), 16);
    let asked = Mutex::new(0);
    let renew = |at: usize, error: &gauntlet::Error| {
        assert_eq!((at, error.exit_code()), (0, 3));
        *asked.lock().unwrap() += 1;
        Some(worker(&Device::flex(), Arc::new(pixels.clone()), 8))
    };
    assert_eq!(scheduled(&data, vec![ill()], &renew).unwrap(), (one, 0));
    assert_eq!(asked.into_inner().unwrap(), 1);
}

fn examples_may_stay_with_the_host() {
    let (oracle, data) = small_cnn(&Device::flex());
    let positions: Vec<usize> = (0..data.len()).collect();
    let trial = series("pgd", "steps = 7", Walk::Descending);
    let (resident, _) = attack(&trial, &oracle, &data, &positions);
    for ahead in [0, 5, 1000] {
        let streamed = Streamed::new(Arc::new(data.clone()), Device::flex(), ahead);
        streamed.expect(&positions);
        assert_eq!(attack_tensor(&trial, &oracle, &data, &streamed, &positions).0, resident, "{ahead} read ahead");
        assert_eq!(clean::decide(&oracle, &data, &streamed, 7, 0), clean::decide(&oracle, &data, &send(&data, &Device::flex()), 7, 0));
    }
}

/// Runs an attack on so many rows in as many slots as a GPU computes together at least, and in three times as many; gives the slot-steps
/// of both.
fn narrowed(device: &Device, rows: usize, kind: &str, options: &str, norm: Norm) -> [u64; 2] {
    let data = separable(4, 110, 0.3);
    let planned = planned("small-cnn", &data, device);
    let data = relabelled(data, &planned);
    let positions: Vec<usize> = (0..rows).collect();
    let epsilons = if norm == Norm::Linf { [0.01, 0.05] } else { [0.1, 1.0] };
    let trial = |slots| Trial { kind, options, norm, epsilons: &epsilons, walk: Walk::Each, slots, cadence: 1 };
    let (few, least) = attack(&trial(32), &planned, &data, &positions);
    let (many, most) = attack(&trial(96), &planned, &data, &positions);
    assert_eq!(few, many, "{kind} {norm:?}");
    [least.slots, most.slots]
}

fn few_rows_take_few_slots() {
    use Norm::{L1, L2, Linf};
    let searches =
        [("pgd", "steps = 7"), ("mi-fgsm", "steps = 5"), ("apgd", "steps = 12"), ("fab", "steps = 9"), ("square", "queries = 80")];
    let mut attacks: Vec<_> = searches.iter().flat_map(|&(kind, options)| [Linf, L2].map(|norm| (kind, options, norm, 110))).collect();
    attacks.extend([("apgd", "steps = 12", L1, 110), ("square", "queries = 80", L1, 110), ("noise", "draws = 9", Linf, 110)]);
    // Several parts, each of which begins in as many slots as rows wait for it.
    attacks.extend([("fgsm", "", Linf, 110), ("autoattack", "", Linf, 40)]);
    for (kind, options, norm, rows) in attacks {
        let [least, most] = narrowed(&Device::flex(), rows, kind, options, norm);
        assert!(5 * most <= 6 * least, "{kind} {norm:?}: {most} slot-steps, where few slots take {least}");
    }
}

fn few_rows_take_few_slots_on_the_adapter() {
    let [least, most] = narrowed(&super::adapter::device(), 110, "apgd", "steps = 8", Norm::Linf);
    assert!(5 * most <= 6 * least, "{most} slot-steps, where few slots take {least}");
}

/// Two logical devices on one adapter stand for two cards of a kind.
fn equal_adapters_agree_to_the_bit() {
    let (_, data) = linear(&Device::flex());
    let handles = [gauntlet::device::open(Choice::Gpu(0)).unwrap(), gauntlet::device::another(0).unwrap()];
    assert_ne!(handles[0].device, handles[1].device);
    let on = |handle: &gauntlet::device::Handle| Worker {
        oracle: linear(&handle.device).0,
        ..worker(&Device::flex(), Arc::new(send(&data, &handle.device)), 8)
    };
    let first = scheduled(&data, vec![on(&handles[0])], &schedule::no_other).unwrap();
    assert_eq!(first.0.len(), data.len());
    assert_eq!(scheduled(&data, handles.iter().map(on).collect(), &schedule::no_other).unwrap(), first);
}
