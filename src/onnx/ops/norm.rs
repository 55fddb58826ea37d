//! Normalisations, and softmax.

use super::super::array::Array;
use super::super::call::{Call, axes, axis};
use super::super::dim::{self, fixed, product};
use super::super::moves;
use super::super::value::{Live, Value};
use super::super::writer::Writer;
use super::pair::both;
use crate::graph::{Binary, Dim, Op, Reduction, Unary};
use crate::{Error, Result};

pub(super) fn batch_norm(writer: &mut Writer, call: &Call) -> Result<Vec<Value>> {
    if call.flag("training_mode")? {
        return Err(Error::input("it normalises by the batch, as in training").help("call model.eval() before exporting"));
    }
    let epsilon = call.float("epsilon", 1e-5)?;
    // ONNX's momentum is what stays of the running statistics, PyTorch's what a batch adds.
    let momentum = 1.0 - call.float("momentum", 0.9)?;
    let x = call.live(0, writer)?;
    let scale = writer.weight(call.value(1)?, call.name)?;
    let bias = writer.weight(call.value(2)?, call.name)?;
    let [mean, variance] = [call.live(3, writer)?, call.live(4, writer)?];
    Ok(vec![writer.emit(call.name, Op::BatchNorm { epsilon, momentum }, &[&x, &scale, &bias, &mean, &variance])?.into()])
}

pub(super) fn layer_norm(writer: &mut Writer, call: &Call) -> Result<Vec<Value>> {
    let x = call.live(0, writer)?;
    let op = Op::LayerNorm { axis: axis(call.int("axis", -1)?, x.sides.len())?, epsilon: call.float("epsilon", 1e-5)? };
    let scale = writer.weight(call.value(1)?, call.name)?;
    let bias = call.optional(2).map(|bias| writer.weight(bias, call.name)).transpose()?;
    let inputs: Vec<&Live> = [&x, &scale].into_iter().chain(&bias).collect();
    Ok(vec![writer.emit(call.name, op, &inputs)?.into()])
}

pub(super) fn instance_norm(writer: &mut Writer, call: &Call) -> Result<Vec<Value>> {
    let x = call.live(0, writer)?;
    let groups = channels(&x.sides)?;
    grouped(writer, call, &x, groups)
}

pub(super) fn group_norm(writer: &mut Writer, call: &Call) -> Result<Vec<Value>> {
    const SCALE_A_CHANNEL: i64 = 21;
    let x = call.live(0, writer)?;
    let (channels, groups) = (channels(&x.sides)?, usize::try_from(call.int("num_groups", 0)?).unwrap_or(0));
    if groups == 0 || channels % groups != 0 {
        return Err(Error::input(format!("{channels} channels in {groups} groups")));
    }
    if call.opset >= SCALE_A_CHANNEL || channels == groups {
        return grouped(writer, call, &x, groups);
    }
    let mut inputs = call.inputs.clone();
    for input in inputs.iter_mut().skip(1).flatten() {
        if input.known_sides() != Some(&[groups]) {
            return Err(Error::input("scale and bias have to be constants, one number a group"));
        }
        let indices = (0..channels).map(|channel| channel / (channels / groups)).collect();
        *input = moves::gather(writer, call.name, input, 0, indices, vec![channels])?;
    }
    grouped(writer, &Call { inputs, ..*call }, &x, groups)
}

fn channels(sides: &[Dim]) -> Result<usize> {
    sides.get(1).and_then(|side| side.size()).ok_or_else(|| Error::input(format!("{} has no channels", dim::list(sides))))
}

fn grouped(writer: &mut Writer, call: &Call, x: &Live, groups: usize) -> Result<Vec<Value>> {
    let epsilon = call.float("epsilon", 1e-5)?;
    let [scale, bias] = [writer.weight(call.value(1)?, call.name)?, writer.weight(call.value(2)?, call.name)?];
    Ok(vec![writer.emit(call.name, Op::GroupNorm { groups, epsilon }, &[x, &scale, &bias])?.into()])
}

/// x divided by its l1 or l2 norm along an axis.
pub(super) fn lp_norm(writer: &mut Writer, call: &Call) -> Result<Vec<Value>> {
    let x = call.live(0, writer)?;
    let axis = axis(call.int("axis", -1)?, x.sides.len())?;
    let kind = match call.int("p", 2)? {
        1 => Reduction::L1,
        2 => Reduction::L2,
        p => return Err(Error::input(format!("p = {p}")).help("the norms 1 and 2 are read")),
    };
    Ok(vec![by_norm(writer, call.name, &x, kind, axis)?])
}

/// x divided by a reduction of itself along an axis.
pub(super) fn by_norm(writer: &mut Writer, name: &str, x: &Live, kind: Reduction, axis: usize) -> Result<Value> {
    let norm = writer.emit(name, Op::Reduce { kind, axes: vec![axis], keep: true }, &[x])?;
    Ok(writer.emit(name, Op::Binary(Binary::Divide), &[x, &norm])?.into())
}

/// (x - mean) / (deviation + 1e-9) over axes.
pub(super) fn mean_variance(writer: &mut Writer, call: &Call) -> Result<Vec<Value>> {
    let x = call.live(0, writer)?;
    let over = axes(&call.ints("axes")?.unwrap_or_else(|| vec![0, 2, 3]), x.sides.len())?;
    if over.contains(&0) {
        return Err(Error::input("it normalises over the batch").help("export the model in eval mode, each example by itself"));
    }
    let mean =
        |writer: &mut Writer, x: &Live| writer.emit(call.name, Op::Reduce { kind: Reduction::Mean, axes: over.clone(), keep: true }, &[x]);
    let middle = mean(writer, &x)?;
    let centred = writer.emit(call.name, Op::Binary(Binary::Subtract), &[&x, &middle])?;
    let squares = writer.emit(call.name, Op::Binary(Binary::Multiply), &[&centred, &centred])?;
    let variance = mean(writer, &squares)?;
    let deviation = writer.emit(call.name, Op::Unary(Unary::Sqrt), &[&variance])?;
    let deviation = both(writer, call.name, &deviation.into(), &Value::floats(Array::line(vec![1e-9])), Binary::Add)?;
    Ok(vec![both(writer, call.name, &centred.into(), &deviation, Binary::Divide)?])
}

/// x / (bias + alpha / size * the sum of squares over `size` channels)^beta, the channels laid out as an image's rows.
pub(super) fn local_response(writer: &mut Writer, call: &Call) -> Result<Vec<Value>> {
    let x = call.live(0, writer)?;
    let size = usize::try_from(call.int("size", 0)?).ok().filter(|size| (1..=4096).contains(size)).ok_or_else(|| Error::input("size"))?;
    let [n, c, rest @ ..] = &x.sides[..] else { return Err(Error::input("it wants channels")) };
    let rows = [*n, fixed(1), *c, product(rest)?];
    let squares = writer.emit(call.name, Op::Binary(Binary::Multiply), &[&x, &x])?;
    let image = moves::reshape(writer, call.name, &squares.into(), &rows)?;
    let image = writer.live(&image, call.name)?;
    let padding = [(size - 1) / 2, 0, size / 2, 0];
    let pool = Op::AveragePool { kernel: [size, 1], stride: [1, 1], padding, count_padding: true, ceil: false };
    let means = writer.emit(call.name, pool, &[&image])?.into();
    let means = moves::reshape(writer, call.name, &means, &x.sides)?;
    let number = |value: f32| Value::floats(Array::line(vec![value]));
    let scaled = both(writer, call.name, &means, &number(call.float("alpha", 1e-4)?), Binary::Multiply)?;
    let sum = both(writer, call.name, &scaled, &number(call.float("bias", 1.0)?), Binary::Add)?;
    let root = both(writer, call.name, &sum, &number(call.float("beta", 0.75)?), Binary::Power)?;
    Ok(vec![both(writer, call.name, &x.into(), &root, Binary::Divide)?])
}

pub(super) fn softmax(writer: &mut Writer, call: &Call) -> Result<Vec<Value>> {
    along(writer, call, |axis| Op::Softmax { axis })
}

pub(super) fn log_softmax(writer: &mut Writer, call: &Call) -> Result<Vec<Value>> {
    along(writer, call, |axis| Op::LogSoftmax { axis })
}

/// Before opset 13 all axes from the one named on count as one.
fn along(writer: &mut Writer, call: &Call, op: fn(usize) -> Op) -> Result<Vec<Value>> {
    const ONE_AXIS: i64 = 13;
    let x = call.live(0, writer)?;
    let rank = x.sides.len();
    let single = call.opset >= ONE_AXIS;
    let along = axis(call.int("axis", if single { -1 } else { 1 })?, rank)?;
    if single || along + 1 == rank {
        return Ok(vec![writer.emit(call.name, op(along), &[&x])?.into()]);
    }
    let flat = [product(&x.sides[..along])?, product(&x.sides[along..])?];
    let flat = moves::reshape(writer, call.name, &x.clone().into(), &flat)?;
    let flat = writer.live(&flat, call.name)?;
    let result = writer.emit(call.name, op(1), &[&flat])?.into();
    Ok(vec![moves::reshape(writer, call.name, &result, &x.sides)?])
}
