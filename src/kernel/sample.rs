//! Inputs for the kernels' tests and benches: every kind of row, values on the bounds, ties, zeros and subnormal numbers.

use burn::tensor::{Device, Int, Tensor, TensorData};

use super::random::{philox, unit as to_unit};
use super::row::{
    BROKEN, DLR, LAST, MARGIN, OWN_END, RUNNING, Row, START_KEPT, START_ORIGIN, START_RANDOM, SURVIVED, State, TARGETED, TOWARDS,
};
use super::words;

/// Size of a sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// B.
    pub rows: usize,
    /// D or C; at least 2 where the kernel reads logits.
    pub columns: usize,
}

/// A tensor that a kernel takes or gives.
#[derive(Clone, Debug)]
pub enum Value {
    /// `f32` [rows, columns].
    Floats(Tensor<2>),
    /// `i32` words.
    Words(Tensor<1, Int>),
}

impl Value {
    /// The float tensor.
    ///
    /// # Panics
    /// Where it is none.
    pub fn floats(self) -> Tensor<2> {
        match self {
            Self::Floats(tensor) => tensor,
            Self::Words(_) => panic!("a kernel's sample has words where floats belong"),
        }
    }

    /// The tensor of words.
    ///
    /// # Panics
    /// Where it is none.
    pub fn words(self) -> Tensor<1, Int> {
        match self {
            Self::Words(tensor) => tensor,
            Self::Floats(_) => panic!("a kernel's sample has floats where words belong"),
        }
    }

    /// The data, read back from the device.
    pub fn into_data(self) -> TensorData {
        match self {
            Self::Floats(tensor) => tensor.into_data(),
            Self::Words(tensor) => tensor.into_data(),
        }
    }

    /// Size in bytes.
    pub fn bytes(&self) -> usize {
        4 * match self {
            Self::Floats(tensor) => tensor.shape().num_elements(),
            Self::Words(tensor) => tensor.shape().num_elements(),
        }
    }
}

impl From<Tensor<2>> for Value {
    fn from(tensor: Tensor<2>) -> Self {
        Self::Floats(tensor)
    }
}

impl From<Tensor<1, Int>> for Value {
    fn from(tensor: Tensor<1, Int>) -> Self {
        Self::Words(tensor)
    }
}

/// The values of a call, as many as the kernel has inputs.
///
/// # Panics
/// Where there are more or fewer.
pub fn take<const N: usize>(values: Vec<Value>) -> [Value; N] {
    let count = values.len();
    values.try_into().unwrap_or_else(|_| panic!("a kernel's sample has {count} inputs where {N} belong"))
}

/// Values within [0, 1], the bounds among them.
pub fn unit(shape: Shape, seed: u32, device: &Device) -> Value {
    floats(shape, unit_values(shape, seed), device)
}

/// Points within 0.15 of `unit` with the same seed, a third of the elements equal to it.
pub fn near(shape: Shape, seed: u32, device: &Device) -> Value {
    let mut values = unit_values(shape, seed);
    for (index, (value, noise)) in values.iter_mut().zip(uniform(shape, seed ^ 0x5EED)).enumerate() {
        if index % 3 != 0 {
            *value = (*value + 0.3 * (noise - 0.5)).clamp(0.0, 1.0);
        }
    }
    floats(shape, values, device)
}

/// Values in [-1, 1) with zeros and subnormal numbers among them.
pub fn gradient(shape: Shape, seed: u32, device: &Device) -> Value {
    let special = |(index, value): (usize, f32)| match index % 11 {
        3 => 0.0,
        7 => -1e-40,
        _ => 2.0 * value - 1.0,
    };
    floats(shape, uniform(shape, seed).into_iter().enumerate().map(special).collect(), device)
}

/// Rows of very different magnitudes, from subnormal to near the largest number, and rows of zeros.
pub fn scattered(shape: Shape, seed: u32, device: &Device) -> Value {
    const MAGNITUDES: [f32; 7] = [1.0, 1e-6, 1e-30, 3e38, 1e-40, 0.0, 7e4];
    let value = |(index, value): (usize, f32)| (2.0 * value - 1.0) * MAGNITUDES[index / shape.columns % MAGNITUDES.len()];
    floats(shape, uniform(shape, seed).into_iter().enumerate().map(value).collect(), device)
}

/// Values in [-5, 5), whole numbers in every third row, so that the largest is not always alone.
pub fn logits(shape: Shape, seed: u32, device: &Device) -> Value {
    let value = |(index, value): (usize, f32)| {
        let value = 10.0 * value - 5.0;
        if (index / shape.columns).is_multiple_of(3) { value.round() } else { value }
    };
    floats(shape, uniform(shape, seed).into_iter().enumerate().map(value).collect(), device)
}

/// One index a row: most of them within `0..bound`, some -1, some past the end.
pub fn indices(rows: usize, bound: usize, device: &Device) -> Value {
    let index = |row: usize| match row % 5 {
        3 => -1,
        4 if row.is_multiple_of(2) => bound as i32,
        _ => (row * 7 % bound) as i32,
    };
    Value::Words(words::upload(&(0..rows).map(index).collect::<Vec<i32>>(), device))
}

/// Rows and states of every kind: fresh with every start, running, broken, survived, empty; targeted and not, every loss.
pub fn slots(shape: Shape, device: &Device) -> (Value, Value) {
    let (rows, states): (Vec<Row>, Vec<State>) = (0..shape.rows).map(|index| slot(index, shape.columns)).unzip();
    (Value::Words(words::upload(&rows, device)), Value::Words(words::upload(&states, device)))
}

fn slot(index: usize, classes: usize) -> (Row, State) {
    // The first slot runs, so that a sample of a single row has something to do.
    let kind = (index + 3) % 8;
    let variety = (index / 8) as u32;
    let label = (index * 7 % classes) as u32;
    let row = Row {
        epsilon: 0.02 * (1 + index % 9) as f32,
        step_size: 0.005 * (index % 4) as f32,
        steps: 3,
        label,
        target: (label + 1 + variety) % classes as u32,
        flags: (2 * variety + index as u32) & (TARGETED | MARGIN | LAST | DLR | TOWARDS | OWN_END),
        start: [START_RANDOM, START_ORIGIN, START_KEPT][kind % 3],
        generation: if kind == 7 { 0 } else { index as u32 + 2 },
        key: [0x1234_5678 ^ index as u32, 0x9ABC_DEF0],
        example: index as u32 * 3,
        restart: variety % 3,
        decay: 0.9,
        counts_from: index as u32 % 3,
        unused: [0; 2],
    };
    let fresh = kind < 3;
    let state = State {
        generation: if fresh { 1 } else { row.generation },
        status: [BROKEN, RUNNING, SURVIVED, RUNNING, RUNNING, BROKEN, SURVIVED, RUNNING][kind],
        step: 1 + index as u32 % 3,
        forwards: 2,
        backwards: 1,
        prediction: label,
        improved: index as u32 % 2,
        score: -1.0,
        best: if index.is_multiple_of(2) { f32::MIN } else { 2.0 },
        loss: 0.5,
        ..State::default()
    };
    (row, state)
}

fn unit_values(shape: Shape, seed: u32) -> Vec<f32> {
    let bound = |(index, value): (usize, f32)| match index % 13 {
        5 => 0.0,
        9 => 1.0,
        _ => value,
    };
    uniform(shape, seed).into_iter().enumerate().map(bound).collect()
}

fn uniform(shape: Shape, seed: u32) -> Vec<f32> {
    let length = shape.rows * shape.columns;
    let mut values = Vec::with_capacity(length + 3);
    for block in 0..length.div_ceil(4) {
        values.extend(philox([block as u32, seed, 0, 0], [1, 2]).map(to_unit));
    }
    values.truncate(length);
    values
}

fn floats(shape: Shape, values: Vec<f32>, device: &Device) -> Value {
    Value::Floats(Tensor::from_data(TensorData::new(values, [shape.rows, shape.columns]), device))
}
