//! How the outputs of two devices are compared, and the proof that the comparison can fail.

use burn::tensor::{Device, TensorData};
use gauntlet::kernel::row::State;
use gauntlet::kernel::sample::{Shape, Value};
use gauntlet::kernel::{Element, KERNELS, Kernel, words};

use super::plain;
use crate::Promise;

pub fn tests() -> Vec<Promise> {
    vec![plain("the comparison of two devices fails when any output of a twin is disturbed", a_disturbed_twin_is_noticed)]
}

/// The outputs of one call on sample inputs.
pub fn outputs(kernel: &Kernel, variant: usize, shape: Shape, device: &Device) -> Vec<TensorData> {
    let inputs = (kernel.sample)(shape, device);
    (kernel.run)(variant, inputs).into_iter().map(Value::into_data).collect()
}

/// Largest difference of floats allowed, relative to 1 or the larger value.
///
/// Kernels that move, add and compare agree to the bit. Sums are taken in another order, and a GPU may fuse a product and a sum. Normal
/// numbers come from a logarithm, a sine and a cosine, for which WGSL grants an absolute error of 2^-11 (here times a radius of at most
/// 0.18, of 0.6 for noisy copies). An iterative solver passes rounding on.
fn tolerance(kernel: &Kernel, variant: usize) -> f32 {
    match (kernel.name, variant) {
        ("admit" | "keep_best" | "linf_step" | "median" | "median_back" | "jpeg_blocks" | "votes", _) => 0.0,
        // The samples are sixteenths, whose sums are exact in any order.
        ("to_lanes" | "convolve" | "sweep" | "sparse_rows" | "max_pool" | "max_pool_back" | "from_lanes", _) => 0.0,
        // Exact but for subnormal numbers, which a device may flush.
        ("loss_scale", _) => 1e-6,
        ("gaussian", _) => 5e-4,
        ("total_variation" | "total_variation_back", _) => 1e-4,
        ("random_start", 1 | 3) | ("fab_start", 1 | 2) | ("apgd_start", 1..) => 1e-4,
        _ => 1e-5,
    }
}

/// Likewise for the numbers in a state: the loss is a sum of exponentials.
const STATE_TOLERANCE: f32 = 1e-5;

fn close(got: f32, want: f32, tolerance: f32) -> bool {
    got == want || (got - want).abs() <= tolerance * got.abs().max(want.abs()).max(1.0)
}

/// Says where two calls' outputs differ first.
pub fn compare(kernel: &Kernel, variant: usize, got: &[TensorData], want: &[TensorData]) -> Result<(), String> {
    let tolerance = tolerance(kernel, variant);
    for ((binding, got), want) in kernel.outputs().zip(got).zip(want) {
        let place = format!("{} ({}), {}", kernel.name, kernel.variants[variant], binding.name);
        if got.shape() != want.shape() {
            return Err(format!("{place}: shapes {:?} and {:?}", got.shape(), want.shape()));
        }
        if binding.element == Element::State {
            let (got, want) = (words::records::<State>(got), words::records::<State>(want));
            for (slot, (got, want)) in got.iter().zip(&want).enumerate() {
                let numbers = [(got.score, want.score), (got.best, want.best), (got.loss, want.loss)];
                let same_words = State { score: 0.0, best: 0.0, loss: 0.0, ..*got } == State { score: 0.0, best: 0.0, loss: 0.0, ..*want };
                if !same_words || !numbers.iter().all(|(got, want)| close(*got, *want, STATE_TOLERANCE)) {
                    return Err(format!("{place}: slot {slot}: {got:?} and {want:?}"));
                }
            }
        } else if binding.element == Element::Bits {
            let (got, want) = (words::records::<u32>(got), words::records::<u32>(want));
            if let Some((index, (got, want))) = got.iter().zip(&want).enumerate().find(|(_, (got, want))| got != want) {
                return Err(format!("{place}: word {index}: {got:#x} and {want:#x}"));
            }
        } else if binding.element == Element::Word {
            // Notes hold counts, which are subnormal as floats, and numbers.
            let (got, want) = (words::records::<u32>(got), words::records::<u32>(want));
            for (index, (got, want)) in got.iter().zip(&want).enumerate() {
                let counts = got.max(want) << 1 >> 1 < 0x0080_0000;
                if got != want && (counts || !close(f32::from_bits(*got), f32::from_bits(*want), STATE_TOLERANCE)) {
                    return Err(format!("{place}: word {index}: {got} and {want}"));
                }
            }
        } else {
            let (got, want) = (got.as_slice::<f32>().expect("floats"), want.as_slice::<f32>().expect("floats"));
            for (index, (got, want)) in got.iter().zip(want).enumerate() {
                if !close(*got, *want, tolerance) {
                    return Err(format!("{place}: element {index}: {got} and {want}"));
                }
            }
        }
    }
    if got.len() != want.len() { Err(format!("{}: {} and {} outputs", kernel.name, got.len(), want.len())) } else { Ok(()) }
}

/// The same outputs with one word changed: a float by 0.001, a word of a state by one bit.
fn disturbed(data: &TensorData, element: Element, index: usize) -> TensorData {
    let shape = data.shape().clone();
    if matches!(element, Element::State | Element::Word | Element::Bits) {
        let mut words = data.as_slice::<i32>().expect("words").to_vec();
        words[index] ^= 1;
        TensorData::new(words, shape)
    } else {
        let mut floats = data.as_slice::<f32>().expect("floats").to_vec();
        floats[index] += 0.001;
        TensorData::new(floats, shape)
    }
}

fn a_disturbed_twin_is_noticed() {
    let shape = Shape { rows: 9, columns: 13 };
    for kernel in KERNELS {
        for variant in 0..kernel.variants.len() {
            let want = outputs(kernel, variant, shape, &Device::flex());
            assert_eq!(compare(kernel, variant, &want, &want), Ok(()));
            for (output, binding) in kernel.outputs().enumerate() {
                // Word 1 of a state is its status; floats are tried at both ends.
                let last = want[output].shape().num_elements() - 1;
                let places = match binding.element {
                    Element::State => [1, 1 + 12 * 8],
                    Element::Word => [1, 1 + 16 * 8],
                    _ => [0, last],
                };
                for index in places {
                    let mut got = want.clone();
                    got[output] = disturbed(&want[output], binding.element, index);
                    assert!(compare(kernel, variant, &got, &want).is_err(), "{}: {} at {index}", kernel.name, binding.name);
                }
            }
        }
    }
}
