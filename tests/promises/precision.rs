//! Mixed precision: half precision searches and decides nothing.

use std::collections::BTreeMap;

use burn::tensor::{Device, FloatDType, Tensor, TensorData};
use gauntlet::engine::chain::{Chain, End, NextRow, Walk, Word};
use gauntlet::engine::draw::Draw;
use gauntlet::engine::oracle::Oracle;
use gauntlet::evaluate::record::{ExampleOutcomes, Settled, Verdict};
use gauntlet::kernel::loss_scale;
use gauntlet::model::{Blueprint, Classifier};
use gauntlet::threat::Norm;

use super::bench_model::{Trial, attack, relabelled, separable, separator, untrained};
use crate::Promise;

pub fn tests() -> Vec<Promise> {
    let plain = |name, run| Promise { name, needs_adapter: false, run };
    let on_gpu = |name, run| Promise { name, needs_adapter: true, run };
    vec![
        plain("curves of mixed and of single precision agree", curves_agree),
        plain("under mixed precision outcomes do not depend on order or cadence", order_does_not_matter),
        plain("what overflows half precision is run in single precision, to the same outcomes", overflow_changes_nothing),
        plain("a claim of half precision that the judge refuses is run again in full, and is no survival", refusals_are_run_again),
        plain("a row that ran out in half precision is what the judge finds at its last point", last_points_are_judged),
        plain("gradients far under the reach of half precision keep their signs", small_gradients_survive),
        plain("a network in half precision leaves its plans, which are of single precision", plans_are_left),
        plain("a loss scale is a power of two that fits half precision, and its undo exact", scales_are_exact),
        on_gpu("on an adapter half precision's gradients point where single precision's do, or it is refused", adapters_agree),
    ]
}

const EPSILONS: [f64; 6] = [0.0, 0.01, 0.02, 0.04, 0.08, 0.16];

fn trial<'a>(kind: &'a str, options: &'a str, walk: Walk) -> Trial<'a> {
    Trial { kind, options, norm: Norm::Linf, epsilons: &EPSILONS, walk, slots: 8, cadence: 1 }
}

type Outcomes = BTreeMap<u32, ExampleOutcomes>;

fn verdicts(outcomes: &Outcomes) -> Vec<Verdict> {
    outcomes.values().flat_map(|outcomes| outcomes.outcomes.iter().map(|outcome| outcome.verdict)).collect()
}

fn curves_agree() {
    let data = separable(4, 32, 0.3);
    let oracle = untrained("small-cnn", &data, &Device::flex());
    let data = relabelled(data, &oracle);
    let all: Vec<usize> = (0..data.len()).collect();
    // Of every 100 verdicts: APGD halves its steps by comparing losses, which rounding turns now and then.
    for (kind, options, allowed) in [("pgd", "steps = 7", 1), ("apgd", "steps = 10", 3)] {
        let trial = trial(kind, options, Walk::Descending);
        let single = verdicts(&attack(&trial, &oracle, &data, &all).0);
        let mixed = verdicts(&attack(&trial, &oracle.clone().with_half(), &data, &all).0);
        let other = single.iter().zip(&mixed).filter(|(single, mixed)| single != mixed).count();
        assert!(other * 100 <= allowed * single.len(), "{kind}: {other} of {} verdicts differ", single.len());
        let broken = single.iter().filter(|verdict| **verdict == Verdict::Broken).count();
        assert!(broken > 0 && broken < single.len() * 5 / 6, "{kind}: the case says nothing: {broken} broken");
    }
}

fn order_does_not_matter() {
    let data = separable(4, 24, 0.3);
    let oracle = untrained("small-cnn", &data, &Device::flex());
    let data = relabelled(data, &oracle);
    let oracle = oracle.with_half();
    let forwards: Vec<usize> = (0..data.len()).collect();
    let backwards: Vec<usize> = forwards.iter().rev().copied().collect();
    let trial = trial("pgd", "steps = 6\nrestarts = 2", Walk::Descending);
    let first = attack(&trial, &oracle, &data, &forwards).0;
    assert_eq!(first, attack(&trial, &oracle, &data, &backwards).0, "reversed");
    assert_eq!(first, attack(&Trial { cadence: 3, ..trial }, &oracle, &data, &forwards).0, "with flags read late");
}

fn overflow_changes_nothing() {
    let data = separable(4, 20, 0.3);
    // Logits of a million: infinite in half precision, sound in single.
    let oracle = separator(&data, 1e6, &Device::flex());
    let all: Vec<usize> = (0..data.len()).collect();
    let trial = trial("pgd", "steps = 5\nloss = \"margin\"", Walk::Descending);
    let single = attack(&trial, &oracle, &data, &all).0;
    let (mixed, effort) = attack(&trial, &oracle.with_half(), &data, &all);
    let bare = |outcomes: &Outcomes| -> Vec<(Verdict, Settled, Option<f32>)> {
        let all = outcomes.values().flat_map(|outcomes| &outcomes.outcomes);
        all.map(|outcome| (outcome.verdict, outcome.settled, outcome.distance)).collect()
    };
    assert_eq!(bare(&single), bare(&mixed));
    let forwards =
        |outcomes: &Outcomes| outcomes.values().flat_map(|outcomes| &outcomes.outcomes).map(|outcome| outcome.forwards).sum::<u32>();
    assert!(forwards(&mixed) > forwards(&single), "nothing was searched in half precision");
    assert!(effort.forwards > 0);
}

fn chain(attempts: u32) -> Chain {
    Chain::new(0, 0, 1, Walk::Descending, attempts, &[0.0, 0.1, 0.2, 0.3])
}

fn refusals_are_run_again() {
    let mut chain = chain(1);
    let first = NextRow { epsilon: 3, attempt: 0, full: false };
    assert_eq!(chain.next_row(), Some(first));
    chain.record(first, End::Claimed { distance: 0.15 }, 2, 1);
    let below = NextRow { epsilon: 1, attempt: 0, full: false };
    chain.record(below, End::Again, 3, 2);
    assert_eq!(chain.next_row(), Some(NextRow { full: true, ..below }), "what was not finite in half precision is run in full");
    chain.record(NextRow { full: true, ..below }, End::Survived, 5, 4);
    chain.judged(3, Word::Again);
    assert!(!chain.resolve());
    let again = NextRow { full: true, ..first };
    assert_eq!(chain.next_row(), Some(again), "the only attempt is not used up");
    chain.record(again, End::Claimed { distance: 0.3 }, 7, 6);
    chain.judged(3, Word::Broken(0.3));
    assert!(!chain.resolve(), "what the refused claim had settled is open");
    let middle = chain.next_row().expect("0.2 is open");
    chain.record(middle, End::Survived, 1, 1);
    assert!(chain.resolve());
    let outcomes = chain.outcomes().outcomes;
    assert_eq!([outcomes[3].verdict, outcomes[2].verdict, outcomes[1].verdict], [Verdict::Broken, Verdict::Survived, Verdict::Survived]);
    assert_eq!((outcomes[3].forwards, outcomes[1].forwards), (9, 8), "both searches are booked");
}

fn last_points_are_judged() {
    let ends = [(Word::Broken(0.25), Verdict::Broken), (Word::Refused, Verdict::Survived), (Word::Failed, Verdict::Failed)];
    for (word, verdict) in ends {
        let mut chain = chain(1);
        let row = chain.next_row().expect("0.3 is open");
        chain.ran_out(row, word, 4, 3);
        while let Some(row) = chain.next_row() {
            chain.record(row, End::Survived, 1, 1);
        }
        assert!(chain.resolve());
        let outcomes = chain.outcomes().outcomes;
        assert_eq!((outcomes[3].verdict, outcomes[3].forwards), (verdict, 4));
        let below = if verdict == Verdict::Survived { Settled::Inferred } else { Settled::Attack };
        assert_eq!(outcomes[2].settled, below, "{word:?}");
    }
}

/// The gradient of one logit times `size`, [rows, features].
fn gradient(oracle: &Oracle, inputs: &Tensor<2>, size: f32) -> Vec<f32> {
    let draws = [Draw::none(inputs.dims()[0])];
    let asked = |logits: &[Tensor<2>]| {
        let [rows, classes] = logits[0].dims();
        let row: Vec<f32> = (0..rows * classes).map(|at| if at % classes == 1 { size } else { -0.3 * size }).collect();
        vec![Tensor::from_data(TensorData::new(row, [rows, classes]), &logits[0].device())]
    };
    oracle.gradient(inputs.clone(), &draws, asked).into_data().try_to_vec().expect("gradients are f32")
}

fn small_gradients_survive() {
    let device = Device::flex();
    let data = separable(3, 4, 0.3);
    let oracle = untrained("small-cnn", &data, &device).with_half();
    let inputs: Tensor<2> = Tensor::from_data(TensorData::new(data.images(), [data.len(), data.features()]), &device);
    let half = oracle.half().expect("it has one");
    for size in [1.0, 1e-7, 1e-20] {
        let (want, got) = (gradient(&oracle, &inputs, size), gradient(half, &inputs, size));
        let largest = want.iter().fold(0.0f32, |largest, value| largest.max(value.abs()));
        assert!(largest > 0.0);
        for (want, got) in want.iter().zip(&got) {
            assert!((want - got).abs() <= 2e-2 * largest, "{size}: {want} and {got}, the largest being {largest}");
        }
    }
    // What the scale is for: by itself half precision has nothing left of such a gradient.
    let bare = Tensor::<1>::from_data([1e-20f32], &device).cast(FloatDType::F16).cast(FloatDType::F32);
    assert_eq!(bare.into_data().try_to_vec::<f32>().expect("f32"), [0.0]);
}

fn plans_are_left() {
    let device = Device::flex();
    let options = gauntlet::options::Options::default();
    let blueprint = Blueprint { options: &options, shape: [1, 4, 4], classes: 3 };
    let start = Classifier::new("linear", 1, &blueprint, &device).unwrap();
    for planned in [start.clone().compiled(&device).unwrap(), start.compiled_for_gpu().unwrap()] {
        assert!(planned.plan.is_some() || planned.gpu.is_some(), "a plan holds a dense layer");
        let half = planned.halved();
        assert!(half.plan.is_none() && half.gpu.is_none() && half.network.is_half());
    }
}

fn scales_are_exact() {
    let rows = [
        [0.75f32, -0.25, 0.0],
        [-3e-30, 1e-30, 0.0],
        [1e38, -3e38, 1.0],
        [0.0, 0.0, 0.0],
        [1e-40, 0.0, 0.0],
        [f32::NAN, 1.0, 0.0],
        [64.0, 1.0, 127.9],
    ];
    let tensor: Tensor<2> = Tensor::from_data(TensorData::new(rows.concat(), [rows.len(), 3]), &Device::flex());
    let (scaled, undo) = loss_scale(tensor);
    let scaled: Vec<f32> = scaled.into_data().try_to_vec().expect("f32");
    let undo: Vec<f32> = undo.into_data().try_to_vec().expect("f32");
    for (at, row) in rows.iter().enumerate() {
        let (scaled, undo) = (&scaled[3 * at..][..3], undo[at]);
        assert_eq!(undo.to_bits() & 0x007F_FFFF, 0, "a power of two");
        for (scaled, value) in scaled.iter().zip(row) {
            assert!(scaled * undo == *value || value.is_nan(), "row {at}: {scaled} times {undo} is not {value}");
        }
        let largest = scaled.iter().fold(0.0f32, |largest, value| largest.max(value.abs()));
        let plain = matches!(at, 3..=5);
        assert!(if plain { undo == 1.0 } else { (64.0..128.0).contains(&largest) }, "row {at}: {scaled:?}, {undo}");
    }
}

/// A suite in mixed precision on the tests' adapter, which has no half precision.
fn refused() {
    let folder = tempfile::TempDir::new().expect("a folder");
    std::fs::write(folder.path().join("suite.toml"), SUITE).expect("a file");
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_gauntlet"));
    let device = format!("gpu:{}", super::adapter::index());
    let output = command.args(["run", "suite.toml", "--device", &device]).current_dir(folder.path()).output().expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("shader-f16") && said.contains("--precision f32"), "{said}");
}

const SUITE: &str = r#"
title = "Mixed precision"
precision = "mixed"
[data]
source = "digits"
examples = 8
[[threat]]
norm = "linf"
epsilons = [0.1]
[[defence]]
name = "mlp"
model = { architecture = "mlp" }
train = { method = "standard", epochs = 1 }
[[attack]]
kind = "pgd"
"#;

fn adapters_agree() {
    let handle = super::adapter::handle();
    if !handle.has_half() {
        return refused();
    }
    let data = separable(3, 4, 0.3);
    let on = |device: &Device| {
        let inputs = Tensor::from_data(TensorData::new(data.images(), [data.len(), data.features()]), device);
        (untrained("linear", &data, device).with_half(), inputs)
    };
    let ((cpu, here), (gpu, there)) = (on(&Device::flex()), on(&handle.device));
    let (want, got) = (gradient(&cpu, &here, 1e-9), gradient(gpu.half().expect("it has one"), &there, 1e-9));
    let largest = want.iter().fold(0.0f32, |largest, value| largest.max(value.abs()));
    assert!(largest > 0.0);
    assert!(want.iter().zip(&got).all(|(want, got)| (want - got).abs() <= 2e-2 * largest), "{want:?}\n{got:?}");
}
