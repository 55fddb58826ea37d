//! What operations that move or average elements do, asked of the operations themselves: where each element comes from, and with what
//! weights.

use burn::tensor::{Device, Tensor, TensorData};

use super::ops::{apply, constants};
use super::shape::infer;
use super::{Dim, Op, PadMode, Value};
use crate::{Error, Result};

/// Elements that can be told apart by an f32.
const TOLD_APART: usize = 1 << 24;

/// Weights that a probe may ask for at once.
const WEIGHTS: usize = 1 << 26;

/// For each element of the result of an operation that moves elements, on inputs of these sides (one example): which element it is,
/// counted through all inputs one after another; `None` where it is a constant of padding.
///
/// # Errors
/// Inputs that do not fit the operation, or that have more than 2^24 elements.
pub(crate) fn arrangement(op: &Op, name: &str, inputs: &[Vec<Dim>]) -> Result<Vec<Option<usize>>> {
    let counts: Vec<usize> = inputs.iter().map(|sides| sides.iter().map(|side| side.at(1)).product()).collect();
    if counts.iter().sum::<usize>() > TOLD_APART {
        return Err(Error::input(format!("node \"{name}\" moves more than {TOLD_APART} elements")));
    }
    let op = match op {
        Op::Pad { pads, mode: PadMode::Constant(_) } => Op::Pad { pads: pads.clone(), mode: PadMode::Constant(-1.0) },
        op => op.clone(),
    };
    let mut first = 0;
    let numbers = counts.iter().map(|count| {
        first += count;
        (first - count..first).map(|at| at as f32).collect()
    });
    let found = run(&op, name, inputs, numbers.collect())?;
    Ok(found.into_iter().map(|value| (value >= 0.0).then_some(value as usize)).collect())
}

/// For an operation that is linear within a plane [height, width] and the same for each channel: the weight of every element of the
/// plane (rows) in every element of the result (columns), row-major.
///
/// # Errors
/// A plane that does not fit the operation, or is too large to be probed.
pub(crate) fn plane(op: &Op, name: &str, [height, width]: [usize; 2]) -> Result<Vec<f32>> {
    let pixels = height * width;
    if pixels.saturating_mul(pixels) > WEIGHTS {
        return Err(Error::input(format!("node \"{name}\" is linear over {height}x{width} pixels, too many to be probed one by one")));
    }
    let units = (0..pixels * pixels).map(|at| if at / pixels == at % pixels { 1.0 } else { 0.0 }).collect();
    let sides = [pixels, 1, height, width].map(Dim::from).to_vec();
    run(op, name, &[sides], vec![units])
}

fn run(op: &Op, name: &str, inputs: &[Vec<Dim>], numbers: Vec<Vec<f32>>) -> Result<Vec<f32>> {
    let device = Device::flex();
    let at_one = |sides: &[Dim]| sides.iter().map(|side| side.at(1)).collect::<Vec<usize>>();
    let shape = at_one(&infer(op, name, inputs)?);
    let value = |(sides, numbers): (&Vec<Dim>, Vec<f32>)| {
        let count = numbers.len();
        Value::new(Tensor::<1>::from_data(TensorData::new(numbers, [count]), &device)).reshape(&at_one(sides))
    };
    let values = inputs.iter().zip(numbers).map(value).collect();
    let result = apply(op, values, &constants(op, &inputs[0], &device), 1).reshape(&[shape.iter().product()]);
    let found = result.tensor::<1>().into_data().try_to_vec();
    found.map_err(|error| Error::data(format!("node \"{name}\" gave no numbers: {error:?}")))
}
