//! Windows that slide over images, or over lines read as images one pixel high.

use super::super::call::{Call, unknown};
use super::super::dim::{self, fixed};
use super::super::moves;
use super::super::value::{Live, Value};
use super::super::writer::Writer;
use crate::graph::{Dim, Op};
use crate::{Error, Result};

/// No window, stride, padding or dilation is larger.
const LARGEST: i64 = 1 << 16;

/// How windows lie: height, then width; padding top, left, bottom, right.
pub(super) struct Window {
    pub kernel: [usize; 2],
    pub stride: [usize; 2],
    pub padding: [usize; 4],
    pub dilation: [usize; 2],
}

impl Window {
    /// Reads attributes for windows of `kernel` over x [N, C, H, W] or [N, C, L].
    pub fn read(call: &Call, x: &Live, kernel: &[i64]) -> Result<Self> {
        let axes = match x.sides.len() {
            4 => 2,
            3 => 1,
            rank => {
                return Err(Error::input(format!(
                    "{} has {rank} axes: windows slide over [N, C, H, W] and [N, C, L]",
                    dim::list(&x.sides)
                ))
                .help("only networks on images and lines are read"));
            }
        };
        let list = |name: &str, count: usize, least: i64, default: i64| {
            let list = call.ints(name)?.unwrap_or_else(|| vec![default; count]);
            window_sides(name, &list, count, least)
        };
        let kernel = window_sides("kernel_shape", kernel, axes, 1)?;
        let stride = list("strides", axes, 1, 1)?;
        let dilation = list("dilations", axes, 1, 1)?;
        let place = call.text("auto_pad", "NOTSET")?;
        let padding = match place.as_str() {
            "NOTSET" | "" => list("pads", 2 * axes, 0, 0)?,
            "VALID" => vec![0; 2 * axes],
            "SAME_UPPER" | "SAME_LOWER" => {
                let mut padding = vec![0; 2 * axes];
                for axis in 0..axes {
                    let side = x.sides[2 + axis].size().ok_or_else(|| Error::input("padding depends on the number of examples"))?;
                    let windows = side.div_ceil(stride[axis]);
                    let reach = (windows.saturating_sub(1) * stride[axis] + (kernel[axis] - 1) * dilation[axis] + 1).saturating_sub(side);
                    let (less, more) = (reach / 2, reach - reach / 2);
                    (padding[axis], padding[axis + axes]) = if place == "SAME_UPPER" { (less, more) } else { (more, less) };
                }
                padding
            }
            other => return Err(unknown("auto_pad", other, "NOTSET, VALID, SAME_UPPER, SAME_LOWER")),
        };
        Ok(match axes {
            2 => Self {
                kernel: [kernel[0], kernel[1]],
                stride: [stride[0], stride[1]],
                padding: [padding[0], padding[1], padding[2], padding[3]],
                dilation: [dilation[0], dilation[1]],
            },
            _ => {
                Self { kernel: [1, kernel[0]], stride: [1, stride[0]], padding: [0, padding[0], 0, padding[1]], dilation: [1, dilation[0]] }
            }
        })
    }

    /// As [`Window::read`], for operators whose window is an attribute.
    pub fn of_pool(call: &Call, x: &Live) -> Result<Self> {
        let kernel = call.ints("kernel_shape")?.ok_or_else(|| Error::input("it has no kernel_shape"))?;
        Self::read(call, x, &kernel)
    }
}

fn window_sides(name: &str, list: &[i64], count: usize, least: i64) -> Result<Vec<usize>> {
    if list.len() != count || list.iter().any(|side| !(least..=LARGEST).contains(side)) {
        return Err(Error::input(format!("{name} = {:?}, not {count} numbers from {least} to {LARGEST}", &list[..list.len().min(8)])));
    }
    Ok(list.iter().map(|side| *side as usize).collect())
}

/// The node of an operation on images; lines [N, C, L] are images [N, C, 1, L] for it.
pub(super) fn slide(writer: &mut Writer, call: &Call, op: Op, x: &Live, rest: &[&Live]) -> Result<Vec<Value>> {
    let line = x.sides.len() == 3;
    let x = if line {
        let sides = [x.sides[0], x.sides[1], fixed(1), x.sides[2]];
        let image = moves::reshape(writer, call.name, &x.clone().into(), &sides)?;
        writer.live(&image, call.name)?
    } else {
        x.clone()
    };
    let inputs: Vec<&Live> = std::iter::once(&x).chain(rest.iter().copied()).collect();
    let result = writer.emit(call.name, op, &inputs)?;
    if !line {
        return Ok(vec![result.into()]);
    }
    let sides: Vec<Dim> = [0, 1, 3].map(|axis| result.sides[axis]).to_vec();
    Ok(vec![moves::reshape(writer, call.name, &result.into(), &sides)?])
}
