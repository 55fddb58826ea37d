//! Resizing as two matrix products, one along each axis: exact, and differentiable as it stands.

use super::super::{Constants, Coordinates, ResizeMode, Rounding, Value};

/// How much a cubic's outer pixels weigh: PyTorch's and ONNX's choice.
const CUBIC: f32 = -0.75;

pub(super) fn resize(x: Value, constants: &Constants) -> Value {
    let [rows, columns] = [0, 1].map(|axis| Value::new(constants.matrices[axis].clone()));
    x.linear(columns, None).swap(2, 3).linear(rows, None).swap(2, 3)
}

/// The matrix [from, to], row-major, by which an axis is multiplied.
pub(crate) fn matrix(from: usize, to: usize, scale: f32, mode: ResizeMode, coordinates: Coordinates) -> Vec<f32> {
    let mut matrix = vec![0.0; from * to];
    for column in 0..to {
        let at = position(column as f32, from as f32, to as f32, scale, coordinates);
        let floor = at.floor();
        let mut add = |row: f32, weight: f32| matrix[(row.max(0.0) as usize).min(from - 1) * to + column] += weight;
        match mode {
            ResizeMode::Nearest(rounding) => add(rounded(at, rounding), 1.0),
            ResizeMode::Linear => {
                add(floor, 1.0 - (at - floor));
                add(floor + 1.0, at - floor);
            }
            ResizeMode::Cubic => (-1..3).for_each(|step| add(floor + step as f32, cubic((at - floor - step as f32).abs()))),
        }
    }
    matrix
}

/// Where a resized pixel lies among the original ones (ONNX's Resize, `coordinate_transformation_mode`).
fn position(at: f32, from: f32, to: f32, scale: f32, coordinates: Coordinates) -> f32 {
    match coordinates {
        Coordinates::PytorchHalfPixel if to <= 1.0 => 0.0,
        Coordinates::HalfPixel | Coordinates::PytorchHalfPixel => (at + 0.5) / scale - 0.5,
        Coordinates::AlignCorners if to <= 1.0 => 0.0,
        Coordinates::AlignCorners => at * (from - 1.0) / (to - 1.0),
        Coordinates::Asymmetric => at / scale,
    }
}

fn rounded(at: f32, rounding: Rounding) -> f32 {
    match rounding {
        Rounding::RoundPreferFloor => (at - 0.5).ceil(),
        Rounding::RoundPreferCeil => (at + 0.5).floor(),
        Rounding::Floor => at.floor(),
        Rounding::Ceil => at.ceil(),
    }
}

/// The weight of a pixel at that distance (Keys 1981, equation 15 with a free parameter).
fn cubic(distance: f32) -> f32 {
    let d = distance;
    if d <= 1.0 {
        ((CUBIC + 2.0) * d - (CUBIC + 3.0)) * d * d + 1.0
    } else if d < 2.0 {
        ((CUBIC * d - 5.0 * CUBIC) * d + 8.0 * CUBIC) * d - 4.0 * CUBIC
    } else {
        0.0
    }
}
