//! What each operation does with its inputs.

mod arrange;
mod element;
pub(super) mod layer;
mod pool;
mod reduce;
mod resize;

use burn::tensor::{Device, Int, Tensor, TensorData};

pub(crate) use resize::matrix as resized;

use super::{Binary, Constants, Dim, Op, Value};

/// Runs an operation on inputs that [`infer`](super::shape::infer) has passed. The weight of a dense layer comes as [in, out].
pub(super) fn apply(op: &Op, mut inputs: Vec<Value>, constants: &Constants, examples: usize) -> Value {
    let rest = inputs.split_off(1);
    let (x, mut rest) = (inputs.remove(0), rest.into_iter());
    let mut next = || rest.next();
    match op {
        Op::Normalise { mean, deviation } => layer::normalise(x, mean, deviation, constants),
        Op::Conv { stride, padding, dilation, groups } => {
            let weight = next().expect("a convolution has a weight");
            layer::conv(x, weight, next(), *stride, *padding, *dilation, *groups)
        }
        Op::Linear => x.linear(next().expect("a dense layer has a weight"), next()),
        Op::MatMul => layer::matmul(x, next().expect("a product has two factors")),
        Op::BatchNorm { epsilon, .. } => layer::batch_norm(x, &rest.collect::<Vec<_>>(), *epsilon),
        Op::LayerNorm { axis, epsilon } => layer::layer_norm(x, next(), next(), *axis, *epsilon),
        Op::GroupNorm { groups, epsilon } => layer::group_norm(x, next(), next(), *groups, *epsilon),
        Op::Unary(function) => element::unary(x, *function),
        Op::Binary(Binary::Power) if constants.exponent.is_some() => element::power(x, constants.exponent),
        Op::Binary(function) => element::binary(x, next().expect("two values"), *function),
        Op::Prelu => element::prelu(x, next().expect("a slope")),
        Op::Where => {
            let a = next().expect("three values");
            element::choose(x, a, next().expect("three values"))
        }
        Op::Softmax { axis } => x.softmax(*axis),
        Op::LogSoftmax { axis } => x.log_softmax(*axis),
        Op::MaxPool { kernel, stride, padding, dilation, ceil } => pool::max(x, *kernel, *stride, *padding, *dilation, *ceil),
        Op::AveragePool { kernel, stride, padding, count_padding, ceil } => {
            pool::average(x, &pool::Average::new(*kernel, *stride, *padding, *count_padding, *ceil), constants)
        }
        Op::AdaptiveAveragePool { size } => pool::adaptive(x, *size),
        Op::Dropout { .. } => x,
        Op::Reduce { kind, axes, keep } => reduce::reduce(x, *kind, axes, *keep),
        Op::Pad { pads, mode } => arrange::pad(x, pads, *mode),
        Op::Slice { axis, start, end, step } => arrange::slice(x, *axis, *start, *end, *step),
        Op::Concat { axis } => Value::concat(std::iter::once(x).chain(rest).collect(), *axis),
        Op::Reshape { to } => x.reshape(&at(to, examples)),
        Op::Transpose { axes } => arrange::transpose(x, axes),
        Op::Expand { to } => x.expand(&at(to, examples)),
        Op::Gather { axis, indices, shape } => arrange::gather(x, *axis, indices, shape, constants),
        Op::Resize { .. } => resize::resize(x, constants),
    }
}

/// The numbers that an operation needs on the device, worked out once: `x` are the sides of its first input.
pub(super) fn constants(op: &Op, x: &[Dim], device: &Device) -> Constants {
    let mut constants = Constants::default();
    let matrix = |values: Vec<f32>, shape: [usize; 2]| Tensor::<2>::from_data(TensorData::new(values, shape), device);
    match op {
        Op::Normalise { mean, deviation } if !layer::is_uniform(mean, deviation) => {
            constants.matrices = [mean, deviation].map(|values| matrix(values.clone(), [1, values.len()])).into();
        }
        Op::AveragePool { kernel, stride, padding, count_padding, ceil } => {
            let average = pool::Average::new(*kernel, *stride, *padding, *count_padding, *ceil);
            let correction = average.correction([x[2].at(1), x[3].at(1)]);
            constants.matrices = correction.map(|(values, shape)| matrix(values, shape)).into_iter().collect();
        }
        Op::Resize { to, scale, mode, coordinates } => {
            let along = |axis: usize| {
                let from = x[2 + axis].at(1);
                matrix(resize::matrix(from, to[axis], scale[axis], *mode, *coordinates), [from, to[axis]])
            };
            constants.matrices = vec![along(0), along(1)];
        }
        Op::Gather { indices, .. } if arrange::run(indices).is_none() => {
            let indices: Vec<i32> = indices.iter().map(|&index| index as i32).collect();
            constants.indices = vec![Tensor::<1, Int>::from_data(TensorData::from(indices.as_slice()), device)];
        }
        _ => {}
    }
    constants
}

fn at(sides: &[Dim], examples: usize) -> Vec<usize> {
    sides.iter().map(|side| side.at(examples)).collect()
}
