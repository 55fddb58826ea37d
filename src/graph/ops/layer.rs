//! Layers with weights, and norms.

use burn::backend::Dispatch;
use burn::backend::ops::ModuleOps;
use burn::tensor::ops::ConvOptions;

use super::super::{Constants, PadMode, Value};
use super::arrange::pad;

/// Whether all channels have the same mean and deviation, so that plain numbers do.
pub(super) fn is_uniform(mean: &[f32], deviation: &[f32]) -> bool {
    [mean, deviation].iter().all(|values| values.iter().all(|value| *value == values[0]))
}

pub(super) fn normalise(x: Value, mean: &[f32], deviation: &[f32], constants: &Constants) -> Value {
    let [mean, deviation] = match &constants.matrices[..] {
        [mean, deviation] => [mean, deviation].map(|vector| Value::new(vector.clone()).per_channel(4)),
        _ => return x.plus(-mean[0]).times(1.0 / deviation[0]),
    };
    x.subtract(mean).divide(deviation)
}

pub(super) fn conv(
    x: Value,
    weight: Value,
    bias: Option<Value>,
    stride: [usize; 2],
    padding: [usize; 4],
    dilation: [usize; 2],
    groups: usize,
) -> Value {
    let [top, left, bottom, right] = padding;
    let (x, padding) = if top == bottom && left == right {
        (x, [top, left])
    } else {
        let pads = [[0, 0], [0, 0], [top as i64, bottom as i64], [left as i64, right as i64]];
        (pad(x, &pads, PadMode::Constant(0.0)), [0, 0])
    };
    let options = ConvOptions::new(stride, padding, dilation, groups);
    Value(Dispatch::conv2d(x.0, weight.0, bias.map(|bias| bias.0), options))
}

pub(super) fn matmul(a: Value, b: Value) -> Value {
    // One weight for all leading sides: these merge into one large product.
    if b.shape().len() == 2 {
        return a.linear(b, None);
    }
    let rank = a.shape().len().max(b.shape().len());
    a.ranked(rank).matmul(b.ranked(rank))
}

/// With the running statistics; `rest` are scale, bias, mean and variance. x scale' + bias', so that only two passes are made over x.
pub(in super::super) fn batch_norm(x: Value, rest: &[Value], epsilon: f32) -> Value {
    let [scale, bias, mean, variance] = rest else { unreachable!("batch norm has five inputs") };
    let rank = x.shape().len();
    let scale = scale.clone().divide(variance.clone().plus(epsilon).sqrt());
    let shift = bias.clone().subtract(mean.clone().multiply(scale.clone()));
    x.multiply(scale.per_channel(rank)).add(shift.per_channel(rank))
}

/// With the statistics of the batch: the result, and the running mean and variance moved by `momentum`. The running variance takes the
/// unbiased one, as PyTorch's does.
pub(in super::super) fn batch_norm_training(x: Value, rest: &[Value], epsilon: f32, momentum: f32) -> (Value, [Value; 2]) {
    let [scale, bias, mean, variance] = rest else { unreachable!("batch norm has five inputs") };
    let sides = x.shape();
    let count = sides.iter().product::<usize>() / sides[1];
    let unbiased = count as f32 / count.saturating_sub(1).max(1) as f32;
    let batch = Dispatch::batch_norm_train(x.0, scale.0.clone(), bias.0.clone(), f64::from(epsilon));
    let moved = |running: &Value, found: Value| running.clone().times(1.0 - momentum).add(found.times(momentum)).detach();
    let mean = moved(mean, Value(batch.mean));
    let variance = moved(variance, Value(batch.variance).times(unbiased));
    (Value(batch.output), [mean, variance])
}

pub(super) fn layer_norm(x: Value, scale: Option<Value>, bias: Option<Value>, axis: usize, epsilon: f32) -> Value {
    let sides = x.shape();
    let inner = sides[axis..].iter().product();
    let mut x = standardise(x.reshape(&[sides[..axis].iter().product(), inner]), epsilon).reshape(&sides);
    if let Some(scale) = scale {
        x = x.multiply(scale);
    }
    match bias {
        Some(bias) => x.add(bias),
        None => x,
    }
}

pub(super) fn group_norm(x: Value, scale: Option<Value>, bias: Option<Value>, groups: usize, epsilon: f32) -> Value {
    let sides = x.shape();
    let inner = sides[1..].iter().product::<usize>() / groups;
    let mut x = standardise(x.reshape(&[sides[0] * groups, inner]), epsilon).reshape(&sides);
    if let Some(scale) = scale {
        x = x.multiply(scale.per_channel(sides.len()));
    }
    match bias {
        Some(bias) => x.add(bias.per_channel(sides.len())),
        None => x,
    }
}

/// Rows [rows, columns] of mean 0 and variance 1, the variance biased and about the mean.
fn standardise(x: Value, epsilon: f32) -> Value {
    let centred = x.clone().subtract(x.mean(1));
    let variance = centred.clone().multiply(centred.clone()).mean(1);
    centred.divide(variance.plus(epsilon).sqrt())
}
