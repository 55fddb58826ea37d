//! Every kernel on a GPU against its twin, at sizes around a workgroup and past the end of the grid's first dimension.

use burn::tensor::Device;
use gauntlet::kernel::sample::{Shape, Value};
use gauntlet::kernel::{KERNELS, Kernel, launch_past_burn, poison_outputs};

use super::compare::{compare, outputs};
use super::{adapter, on_gpu};
use crate::Promise;

pub fn tests() -> Vec<Promise> {
    vec![
        on_gpu("on an adapter every kernel agrees with its twin at sizes around a workgroup", sizes_around_a_workgroup),
        on_gpu("on an adapter every kernel agrees with its twin one past 65,535 workgroups", past_the_grid),
        on_gpu("on an adapter the twins notice another input", another_input_is_noticed),
        on_gpu("on an adapter strided inputs give what dense ones give", strided_inputs),
        on_gpu("on an adapter a chain of kernels agrees with the chain of twins", a_chain),
        on_gpu("on an adapter kernels launched past Burn agree with their twins too", past_burn),
    ]
}

fn agree(kernel: &Kernel, shape: Shape, device: &Device) {
    for variant in 0..kernel.variants.len() {
        agree_on(kernel, variant, shape, device);
    }
}

fn agree_on(kernel: &Kernel, variant: usize, shape: Shape, device: &Device) {
    // The outputs hold NaN before the kernel runs: what it leaves unwritten differs from any twin.
    poison_outputs(true);
    let got = outputs(kernel, variant, shape, device);
    let want = outputs(kernel, variant, shape, &Device::flex());
    if let Err(difference) = compare(kernel, variant, &got, &want) {
        panic!("{shape:?}: {difference}");
    }
}

fn least_columns(kernel: &Kernel) -> usize {
    if kernel.bindings[0].name == "logits" { 2 } else { 1 }
}

fn sizes_around_a_workgroup() {
    let device = adapter::device();
    for kernel in KERNELS {
        let group = kernel.workgroup as usize;
        let least = least_columns(kernel);
        for columns in [least, 3, group - 1, group, group + 1, 1757] {
            agree(kernel, Shape { rows: 17, columns }, &device);
        }
        for rows in [1, group - 1, group, group + 1, 1757] {
            agree(kernel, Shape { rows, columns: least.max(3) }, &device);
        }
        agree(kernel, Shape { rows: 1, columns: least }, &device);
    }
}

fn past_the_grid() {
    let device = adapter::device();
    for kernel in KERNELS {
        let columns = least_columns(kernel).max(if kernel.per_row { 2 } else { kernel.workgroup as usize });
        // The grid is the same for every variant, and a software rasteriser takes seconds for each.
        agree_on(kernel, 0, Shape { rows: 65_536, columns }, &device);
    }
}

fn another_input_is_noticed() {
    let device = adapter::device();
    for kernel in KERNELS {
        let shape = Shape { rows: 8, columns: 13 };
        let got = outputs(kernel, 0, shape, &device);
        let mut inputs = (kernel.sample)(shape, &Device::flex());
        // The first row turned round and halved, which no kernel's result survives; one looks only whether its gradient is finite.
        let factor = if kernel.name == "apgd_check" { f32::INFINITY } else { 0.5 };
        for input in &mut inputs {
            if let Value::Floats(tensor) = input {
                let kept = tensor.clone().slice([1..tensor.dims()[0], 0..tensor.dims()[1]]);
                let first = tensor.clone().slice([0..1, 0..tensor.dims()[1]]);
                *input = burn::tensor::Tensor::cat(vec![first.flip([1]).mul_scalar(factor), kept], 0).into();
            }
        }
        let disturbed: Vec<_> = (kernel.run)(0, inputs).into_iter().map(Value::into_data).collect();
        assert!(compare(kernel, 0, &got, &disturbed).is_err(), "{}", kernel.name);
    }
}

fn strided_inputs() {
    let device = adapter::device();
    for kernel in KERNELS {
        for device in [&device, &Device::flex()] {
            let shape = Shape { rows: 33, columns: 21 };
            let strided = |value: Value| match value {
                Value::Floats(tensor) => {
                    let [rows, columns] = tensor.dims();
                    let turned: burn::tensor::Tensor<2> = tensor.transpose();
                    // A dense copy of the transpose, then a view of it: the same elements with other strides.
                    let dense = burn::tensor::Tensor::<2>::from_data(turned.into_data(), device);
                    let view = dense.transpose();
                    assert_eq!(view.dims(), [rows, columns]);
                    view.into()
                }
                words => words,
            };
            let inputs = (kernel.sample)(shape, device).into_iter().map(strided).collect();
            let got: Vec<_> = (kernel.run)(0, inputs).into_iter().map(Value::into_data).collect();
            let want = outputs(kernel, 0, shape, &Device::flex());
            assert_eq!(compare(kernel, 0, &got, &want), Ok(()));
        }
    }
}

/// The route of devices that take no WGSL.
fn past_burn() {
    let device = adapter::device();
    launch_past_burn(true);
    for name in ["admit", "flags", "loss_gradient", "linf_step", "distances"] {
        for rows in [1, 17, 257] {
            agree(find(name), Shape { rows, columns: 65 }, &device);
        }
    }
    a_chain();
    launch_past_burn(false);
}

/// Three rounds of bookkeeping and steps, each on the last one's outputs and on Burn's, without a look at them in between.
fn a_chain() {
    let shape = Shape { rows: 24, columns: 50 };
    let run = |device: &Device| {
        let [mut x, origin, direction, rows, mut state]: [Value; 5] = (find("linf_step").sample)(shape, device).try_into().expect("five");
        for _ in 0..3 {
            let logits = direction.clone();
            let after = (find("flags").run)(0, vec![logits, rows.clone(), state]);
            state = after.into_iter().next().expect("one output");
            let inputs = vec![x, origin.clone(), direction.clone(), rows.clone(), state];
            [x, state] = (find("linf_step").run)(0, inputs).try_into().expect("two outputs");
            // Burn's turn, on points that it leaves as they are.
            x = x.floats().clamp(0.0, 1.0).into();
        }
        vec![x.into_data(), state.into_data()]
    };
    let (got, want) = (run(&adapter::device()), run(&Device::flex()));
    assert_eq!(compare(find("linf_step"), 0, &got, &want), Ok(()));
}

fn find(name: &str) -> &'static Kernel {
    KERNELS.iter().find(|kernel| kernel.name == name).expect("a kernel of that name")
}
