//! Every kernel at 784, 3,072 and 150,528 features, or at 10 and 1,000 classes; throughput is the bytes of its inputs and outputs. `memcpy`
//! at the same size is the yardstick: of the memory's bandwidth at the largest size, of the caches' at the smaller ones. The element-wise
//! twins should reach half of the memory's.
//!
//! The CPU is always measured; with `GAUNTLET_BENCH_ADAPTER=1` the default adapter too.

use burn::tensor::{Device, DeviceKind};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use gauntlet::kernel::row::{Row, START_RANDOM, State};
use gauntlet::kernel::sample::{Shape, Value};
use gauntlet::kernel::{Binding, Element, KERNELS, Kernel, words};
use rayon::prelude::*;

const ROWS: usize = 256;

/// Digits, small colour images, and photographs of 224x224 pixels, which no cache holds a batch of.
const FEATURES: [usize; 3] = [784, 3072, 150_528];

fn kernels(criterion: &mut Criterion) {
    memcpy(criterion);
    let mut devices = vec![("cpu", Device::flex())];
    if std::env::var_os("GAUNTLET_BENCH_ADAPTER").is_some_and(|value| value == "1") {
        devices.push(("adapter", Device::wgpu(DeviceKind::DefaultDevice)));
    }
    for (name, device) in &devices {
        for kernel in KERNELS {
            let columns: &[usize] = match kernel.bindings[0].name {
                "logits" => &[10, 1000],
                // Rows are elements there, and columns are images.
                "value" => &[256, 4096],
                _ => &FEATURES,
            };
            for &columns in columns {
                for variant in 0..kernel.variants.len() {
                    bench(criterion, name, device, kernel, variant, Shape { rows: ROWS, columns });
                }
            }
        }
    }
}

/// The kernel's sample with work in every slot, so that all the bytes counted are really moved.
fn busy(kernel: &Kernel, shape: Shape, device: &Device) -> Vec<Value> {
    let generation = 2;
    let fresh = kernel.name == "random_start";
    let row = Row { generation, start: START_RANDOM, epsilon: 0.1, step_size: 0.01, steps: 40, ..bytemuck::Zeroable::zeroed() };
    let state = State { generation: if fresh { 1 } else { generation }, step: 2, improved: 1, ..State::default() };
    let busy = |(binding, value): (&Binding, Value)| match binding.element {
        Element::Float | Element::Bits => value,
        Element::Word if ["notes", "draws"].contains(&binding.name) => value,
        Element::Word => words::upload(&(0..shape.rows as i32).map(|slot| slot / 2).collect::<Vec<_>>(), device).into(),
        Element::Row => words::upload(&vec![row; shape.rows], device).into(),
        Element::State => words::upload(&vec![state; shape.rows], device).into(),
    };
    kernel.inputs().zip((kernel.sample)(shape, device)).map(busy).collect()
}

/// What a call takes it may overwrite, so each output goes back to the input that it updates, as the engine does it.
fn bench(criterion: &mut Criterion, on: &str, device: &Device, kernel: &Kernel, variant: usize, shape: Shape) {
    let sample = busy(kernel, shape, device);
    let updated: Vec<Option<usize>> =
        kernel.outputs().map(|output| kernel.inputs().position(|input| output.name.strip_prefix("out_") == Some(input.name))).collect();
    let bytes = |values: &[Value]| values.iter().map(Value::bytes).sum::<usize>();
    let moved = bytes(&sample) + bytes(&(kernel.run)(variant, sample.clone()));
    let mut group = criterion.benchmark_group(format!("{on}/{}", kernel.name));
    group.throughput(Throughput::Bytes(moved as u64));
    let mut inputs: Vec<Option<Value>> = sample.into_iter().map(Some).collect();
    group.bench_function(format!("{} {}x{}", kernel.variants[variant], shape.rows, shape.columns), |bencher| {
        bencher.iter(|| {
            let take = |(index, input): (usize, &mut Option<Value>)| {
                let floats = matches!(input, Some(Value::Floats(_)));
                let input = if floats && updated.contains(&Some(index)) { input.take() } else { input.clone() };
                input.expect("an input is there, or was put back")
            };
            let arguments = inputs.iter_mut().enumerate().map(take).collect();
            for (output, index) in (kernel.run)(variant, arguments).into_iter().zip(&updated) {
                if let (Value::Floats(tensor), Some(index)) = (output, index) {
                    inputs[*index] = Some(Value::Floats(tensor));
                }
            }
            device.sync().expect("the device answers");
        });
    });
    group.finish();
}

fn memcpy(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("cpu/memcpy");
    for columns in FEATURES {
        let source = vec![1.0f32; ROWS * columns];
        let mut target = vec![0.0f32; ROWS * columns];
        group.throughput(Throughput::Bytes(8 * (ROWS * columns) as u64));
        group.bench_function(format!("one thread {ROWS}x{columns}"), |bencher| {
            bencher.iter(|| target.copy_from_slice(std::hint::black_box(&source)));
        });
        group.bench_function(format!("all threads {ROWS}x{columns}"), |bencher| {
            bencher.iter(|| {
                let source = std::hint::black_box(&source);
                target.par_chunks_mut(1 << 14).zip(source.par_chunks(1 << 14)).for_each(|(target, source)| target.copy_from_slice(source));
            });
        });
    }
    group.finish();
}

criterion_group!(benches, kernels);
criterion_main!(benches);
