//! One step of every attack under every norm that it knows: start, forward, bookkeeping, backward, move.
//!
//! 64 rows of 28x28 pixels against `small-cnn`, as a run on Fashion-MNIST has them; the line `network alone` is the same forward and
//! backward pass without an attack, so that the difference is what the attack costs. With `GAUNTLET_BENCH_ADAPTER=1` also on gpu:0.

use std::hint::black_box;

use burn::tensor::{Device, Tensor};
use bytemuck::Zeroable;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use gauntlet::attack::{ATTACKS, Setting};
use gauntlet::engine::draw::Draw;
use gauntlet::engine::oracle::Oracle;
use gauntlet::engine::slots::Slots;
use gauntlet::kernel::row::{LAST, Row};
use gauntlet::kernel::words::upload;
use gauntlet::kernel::{self};
use gauntlet::model::{Blueprint, Classifier, MODELS};
use gauntlet::suite::parse_options;

const ROWS: usize = 64;
const SHAPE: [usize; 3] = [1, 28, 28];

fn devices() -> Vec<(&'static str, Device)> {
    let mut devices = vec![("cpu", Device::flex())];
    if std::env::var_os("GAUNTLET_BENCH_ADAPTER").is_some_and(|value| value == "1") {
        let handle = gauntlet::device::open(gauntlet::device::Choice::Gpu(0)).expect("gpu:0 opens");
        devices.push(("gpu", handle.device));
    }
    devices
}

/// Logits and input gradients of a batch: the compiled plan beside the same frozen network on Burn. Read back, so that a GPU is waited
/// for.
fn gradients(criterion: &mut Criterion) {
    let models = [("small-cnn", SHAPE), ("lenet5", SHAPE), ("resnet20", [3, 32, 32])];
    for (on, device) in devices() {
        // Lavapipe is a processor in disguise.
        let batch = if on == "cpu" { 128 } else { 32 };
        for (name, shape) in models {
            let model = MODELS.iter().find(|row| row.entry.name == name).expect("it is a model");
            let options = parse_options(&model.entry, "").expect("defaults are sound");
            let classifier = Classifier::new(name, 0, &Blueprint { options: &options, shape, classes: 10 }, &device);
            let planned = classifier.and_then(|classifier| classifier.frozen(&device)).expect("the model takes these images");
            let on_burn = Classifier { plan: None, gpu: None, ..planned.clone() };
            let mut group =
                criterion.benchmark_group(if on == "cpu" { format!("gradient/{name}") } else { format!("gradient/{on}/{name}") });
            group.throughput(Throughput::Elements(batch as u64)).sample_size(10);
            for (way, classifier) in [("plan", planned), ("burn", on_burn)] {
                let oracle = Oracle::new(classifier, device.clone());
                let point = Tensor::<2>::ones([batch, oracle.features()], &device) * 0.5;
                group.bench_function(way, |bencher| {
                    bencher.iter(|| {
                        let asked = |logits: &[Tensor<2>]| logits.iter().map(|logits| logits.ones_like()).collect();
                        black_box(oracle.gradient(point.clone(), &[Draw::none(batch)], asked).into_data())
                    });
                });
            }
        }
    }
}

fn rows(flags: u32, start: u32, step_size: f32) -> Vec<Row> {
    let row = |at: usize| Row {
        epsilon: 0.1,
        step_size,
        steps: u32::MAX,
        label: at as u32 % 10,
        flags: flags | LAST,
        start,
        generation: 1,
        example: at as u32,
        decay: 1.0,
        ..Row::zeroed()
    };
    (0..ROWS).map(row).collect()
}

fn steps(criterion: &mut Criterion) {
    for (name, device) in devices() {
        let model = MODELS.iter().find(|row| row.entry.name == "small-cnn").expect("small-cnn is a model");
        let options = parse_options(&model.entry, "").expect("defaults are sound");
        let blueprint = Blueprint { options: &options, shape: SHAPE, classes: 10 };
        let classifier = Classifier::new("small-cnn", 0, &blueprint, &device).expect("small-cnn takes 28x28 pixels");
        let classifier = classifier.frozen(&device).expect("the device answers");
        let oracle = Oracle::new(classifier, device.clone());
        let features = oracle.features();
        let mut group = criterion.benchmark_group(format!("step/{name}"));
        group.throughput(Throughput::Elements(ROWS as u64)).sample_size(20);
        let point = Tensor::<2>::ones([ROWS, features], &device) * 0.5;
        group.bench_function("network alone", |bencher| {
            bencher.iter(|| {
                let gradient = oracle.gradient(point.clone(), &[Draw::none(ROWS)], |logits| logits.to_vec());
                black_box(gradient.into_data());
            });
        });
        for row in ATTACKS {
            for &norm in row.norms {
                let setting = Setting { norm, classes: oracle.classes(), shape: SHAPE };
                let attack = (row.build)(&parse_options(&row.entry, "").expect("defaults are sound"), &setting).remove(0);
                let plan = attack.plan(0.1, 0, false);
                let mut slots = Slots::new(ROWS, SHAPE, norm, attack.planes(), &device);
                slots.origin = point.clone();
                slots.rows = upload(&rows(plan.flags, plan.start, plan.step_size), &device);
                group.bench_function(format!("{}/{}", row.entry.name, norm.name()), |bencher| {
                    bencher.iter(|| {
                        attack.start(&mut slots);
                        let gradient = attack.uses_gradients().then(|| {
                            let (rows, state) = (slots.rows.clone(), &mut slots.state);
                            oracle.gradient(slots.x.clone(), &[Draw::none(ROWS)], |logits| {
                                *state = kernel::flags(logits[0].clone(), rows.clone(), state.clone(), true);
                                vec![kernel::loss_gradient(logits[0].clone(), rows, state.clone())]
                            })
                        });
                        if gradient.is_none() {
                            slots.state = kernel::flags(
                                oracle.logits(slots.x.clone(), &Draw::none(ROWS)),
                                slots.rows.clone(),
                                slots.state.clone(),
                                false,
                            );
                        }
                        attack.advance(&mut slots, gradient);
                        // The flags are read as the engine reads them.
                        black_box(slots.state.clone().into_data());
                    });
                });
            }
        }
        group.finish();
    }
}

criterion_group!(benches, gradients, steps);
criterion_main!(benches);
