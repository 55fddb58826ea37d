//! Images at another size.

use super::super::call::{Call, axes, axis, unknown};
use super::super::dim::{self, fixed};
use super::super::value::{Live, Value};
use super::super::writer::Writer;
use crate::graph::{Coordinates, Op, ResizeMode, Rounding};
use crate::{Error, Result};

pub(super) fn resize(writer: &mut Writer, call: &Call) -> Result<Vec<Value>> {
    let x = call.live(0, writer)?;
    for (attribute, usual) in [("antialias", 0), ("exclude_outside", 0)] {
        if call.int(attribute, usual)? != usual {
            return Err(
                Error::input(format!("{attribute} is set")).help("export with torch.nn.functional.interpolate(.., antialias=False)")
            );
        }
    }
    let policy = call.text("keep_aspect_ratio_policy", "stretch")?;
    if policy != "stretch" {
        return Err(unknown("keep_aspect_ratio_policy", &policy, "stretch"));
    }
    let place = call.text("coordinate_transformation_mode", "half_pixel")?;
    let coordinates = match place.as_str() {
        "half_pixel" => Coordinates::HalfPixel,
        "pytorch_half_pixel" => Coordinates::PytorchHalfPixel,
        "align_corners" => Coordinates::AlignCorners,
        "asymmetric" => Coordinates::Asymmetric,
        other => return Err(unknown("coordinate_transformation_mode", other, "half_pixel, pytorch_half_pixel, align_corners, asymmetric")),
    };
    let mode = match call.text("mode", "nearest")?.as_str() {
        "nearest" => ResizeMode::Nearest(rounding(&call.text("nearest_mode", "round_prefer_floor")?)?),
        "linear" => ResizeMode::Linear,
        "cubic" if (call.float("cubic_coeff_a", -0.75)? + 0.75).abs() < 1e-6 => ResizeMode::Cubic,
        other => return Err(unknown("mode", other, "nearest, linear, cubic with cubic_coeff_a = -0.75")),
    };
    sized(writer, call, &x, [2, 3], mode, coordinates)
}

/// The operator that came before Resize: pixels repeated, or linear between them.
pub(super) fn upsample(writer: &mut Writer, call: &Call) -> Result<Vec<Value>> {
    let x = call.live(0, writer)?;
    let mode = match call.text("mode", "nearest")?.as_str() {
        "nearest" => ResizeMode::Nearest(Rounding::Floor),
        "linear" => ResizeMode::Linear,
        other => return Err(unknown("mode", other, "nearest, linear")),
    };
    sized(writer, call, &x, [1, usize::MAX], mode, Coordinates::Asymmetric)
}

fn rounding(name: &str) -> Result<Rounding> {
    Ok(match name {
        "round_prefer_floor" => Rounding::RoundPreferFloor,
        "round_prefer_ceil" => Rounding::RoundPreferCeil,
        "floor" => Rounding::Floor,
        "ceil" => Rounding::Ceil,
        other => return Err(unknown("nearest_mode", other, "round_prefer_floor, round_prefer_ceil, floor, ceil")),
    })
}

/// Scales or sizes are the inputs at `places`; whichever holds something says how large the result is.
fn sized(writer: &mut Writer, call: &Call, x: &Live, places: [usize; 2], mode: ResizeMode, coordinates: Coordinates) -> Result<Vec<Value>> {
    let [Some(height), Some(width)] = [2, 3].map(|axis| x.sides.get(axis).and_then(|side| side.size())) else {
        return Err(Error::input(format!("{} is not an image [N, C, H, W]", dim::list(&x.sides)))
            .help("only images of fixed height and width are resized"));
    };
    let along = match call.ints("axes")? {
        Some(list) => {
            axes(&list, 4)?;
            list.iter().map(|at| axis(*at, 4)).collect::<Result<Vec<_>>>()?
        }
        None => vec![0, 1, 2, 3],
    };
    let place = |axis: usize| along.iter().position(|at| *at == axis);
    let scales = match call.optional(places[0]) {
        Some(value) => writer.floats(value)?.values.clone(),
        None => Vec::new(),
    };
    let (to, scale);
    if !scales.is_empty() {
        let at = |axis: usize| place(axis).map_or(Some(1.0), |at| scales.get(at).copied());
        let scales = [at(0), at(1), at(2), at(3)];
        let [Some(1.0), Some(1.0), Some(rows), Some(columns)] = scales else {
            return Err(Error::input(format!("scales {scales:?} of [N, C, H, W]")));
        };
        scale = [rows, columns];
        to = [(height as f32 * rows).floor() as usize, (width as f32 * columns).floor() as usize];
    } else if let Some(sizes) = call.whole(places[1])? {
        let at = |axis: usize| place(axis).map_or(Some(x.sides[axis]), |at| sizes.values.get(at).copied());
        let kept =
            |axis: usize| at(axis) == Some(x.sides[axis]) || (axis == 0 && writer.batch.is_some_and(|batch| at(0) == Some(fixed(batch))));
        let (Some(rows), Some(columns), true, true) =
            (at(2).and_then(|side| side.size()), at(3).and_then(|side| side.size()), kept(0), kept(1))
        else {
            return Err(Error::input(format!(
                "sizes {} of {}",
                dim::list(&sizes.values[..sizes.values.len().min(8)]),
                dim::list(&x.sides)
            )));
        };
        to = [rows, columns];
        scale = [rows as f32 / height as f32, columns as f32 / width as f32];
    } else {
        return Err(Error::input("it has neither scales nor sizes"));
    }
    if to == [height, width] && scale == [1.0; 2] {
        return Ok(vec![x.clone().into()]);
    }
    Ok(vec![writer.emit(call.name, Op::Resize { to, scale, mode, coordinates }, &[x])?.into()])
}
