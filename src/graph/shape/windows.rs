//! Windows that slide over images.

use super::super::Dim;
use super::rules::image;

/// How many windows fit along an axis, counted as PyTorch and ONNX do: with `ceil` the last may hang over the end, but starts before it.
pub(in super::super) fn count(
    length: usize,
    kernel: usize,
    stride: usize,
    padding: [usize; 2],
    dilation: usize,
    ceil: bool,
) -> Option<usize> {
    let reach = kernel.checked_sub(1)?.checked_mul(dilation)?.checked_add(1)?;
    let whole = length.checked_add(padding[0])?.checked_add(padding[1])?;
    if stride == 0 || dilation == 0 {
        return None;
    }
    let room = whole.checked_sub(reach)?;
    let count = if ceil { room.div_ceil(stride) } else { room / stride } + 1;
    let overhangs = ceil && (count - 1).checked_mul(stride)? >= length + padding[0];
    Some(if overhangs { count - 1 } else { count })
}

fn sides(
    x: &[Dim],
    kernel: [usize; 2],
    stride: [usize; 2],
    padding: [usize; 4],
    dilation: [usize; 2],
    ceil: bool,
) -> Result<[Dim; 2], String> {
    let [_, _, height, width] = image(x)?;
    let [top, left, bottom, right] = padding;
    let rows = count(height, kernel[0], stride[0], [top, bottom], dilation[0], ceil);
    let columns = count(width, kernel[1], stride[1], [left, right], dilation[1], ceil);
    match (rows, columns) {
        (Some(rows), Some(columns)) => Ok([rows.into(), columns.into()]),
        _ => Err(format!("no window of {kernel:?}, stride {stride:?}, padding {padding:?}, dilation {dilation:?} fits")),
    }
}

pub(super) fn conv(
    inputs: &[Vec<Dim>],
    stride: [usize; 2],
    padding: [usize; 4],
    dilation: [usize; 2],
    groups: usize,
) -> Result<Vec<Dim>, String> {
    let [_, channels, ..] = image(&inputs[0])?;
    let weight: Option<Vec<usize>> = inputs[1].iter().map(|side| side.size()).collect();
    let Some([output, input, height, width]) = weight.as_deref().and_then(|sides| <[usize; 4]>::try_from(sides).ok()) else {
        return Err("the weight is not [out, in / groups, height, width]".into());
    };
    if groups == 0 || input.checked_mul(groups) != Some(channels) || !output.is_multiple_of(groups) {
        return Err(format!("{channels} channels in {groups} groups, and a weight for {input} a group"));
    }
    if inputs.get(2).is_some_and(|bias| bias[..] != [Dim::from(output)]) {
        return Err(format!("the bias is not [{output}]"));
    }
    let [rows, columns] = sides(&inputs[0], [height, width], stride, padding, dilation, false)?;
    Ok(vec![inputs[0][0], output.into(), rows, columns])
}

pub(super) fn pool(
    x: &[Dim],
    kernel: [usize; 2],
    stride: [usize; 2],
    padding: [usize; 4],
    dilation: [usize; 2],
    ceil: bool,
) -> Result<Vec<Dim>, String> {
    let [rows, columns] = sides(x, kernel, stride, padding, dilation, ceil)?;
    // A window that lies in the padding alone would have nothing to take the largest or the mean of.
    if (0..4).any(|edge| padding[edge] > (kernel[edge % 2] - 1) * dilation[edge % 2]) {
        return Err(format!("padding {padding:?} leaves windows {kernel:?} with nothing in them"));
    }
    Ok(vec![x[0], x[1], rows, columns])
}
