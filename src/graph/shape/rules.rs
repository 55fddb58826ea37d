//! One rule an operation. What does not fit is told in words; the caller adds the node and the sides.

use super::super::dim::{broadcast, elements, text};
use super::super::{Dim, Op, PadMode, Unary};
use super::windows;

type Sides = Result<Vec<Dim>, String>;

/// Weights of the matrix that resizes a side, at most.
const RESIZED: usize = 1 << 26;

/// Terms that all means of a pooling have together for one image, at most.
const POOLED: usize = 1 << 28;

/// Sides of the result.
pub(super) fn sides(op: &Op, inputs: &[Vec<Dim>]) -> Sides {
    let (least, most) = arity(op);
    if inputs.len() < least || inputs.len() > most {
        let wanted = if least == most { least.to_string() } else { format!("{least} to {most}") };
        return Err(format!("{} inputs, not {wanted}", inputs.len()));
    }
    let x = &inputs[0];
    match op {
        Op::Normalise { mean, deviation } => {
            let [_, channels, ..] = image(x)?;
            if mean.len() != channels || deviation.len() != channels {
                return Err(format!("{} means and {} deviations for {channels} channels", mean.len(), deviation.len()));
            }
            if !mean.iter().all(|value| value.is_finite()) || !deviation.iter().all(|value| value.is_normal()) {
                return Err("means and deviations must be finite, and deviations not 0".into());
            }
            Ok(x.clone())
        }
        Op::Conv { stride, padding, dilation, groups } => windows::conv(inputs, *stride, *padding, *dilation, *groups),
        Op::Linear => linear(inputs),
        Op::MatMul => matmul(&inputs[0], &inputs[1]),
        Op::BatchNorm { epsilon, momentum } => {
            if !(epsilon.is_finite() && *epsilon >= 0.0 && (0.0..=1.0).contains(momentum)) {
                return Err(format!("epsilon {epsilon}, momentum {momentum}"));
            }
            per_channel(x, &inputs[1..])
        }
        Op::LayerNorm { axis, .. } => {
            let tail = x.get(*axis..).filter(|tail| !tail.is_empty()).ok_or("no such axis")?;
            if tail.iter().any(|side| side.size().is_none()) {
                return Err("the sides that it normalises depend on the number of examples".into());
            }
            match inputs[1..].iter().find(|sides| broadcast(sides, tail).as_deref() != Some(tail)) {
                Some(sides) => Err(format!("{} does not broadcast to {}", text(sides), text(tail))),
                None => Ok(x.clone()),
            }
        }
        Op::GroupNorm { groups, .. } => {
            let channels = x.get(1).and_then(|side| side.size()).ok_or("no channels")?;
            if *groups == 0 || channels % groups != 0 {
                return Err(format!("{channels} channels in {groups} groups"));
            }
            if x[2..].iter().any(|side| side.size().is_none()) {
                return Err("the sides that it normalises depend on the number of examples".into());
            }
            per_channel(x, &inputs[1..])
        }
        Op::Unary(Unary::Clip { min, max }) if min.is_nan() || max.is_nan() || min > max => Err(format!("nothing lies in {min}..{max}")),
        Op::Unary(_) => Ok(x.clone()),
        Op::Binary(_) => broadcast(x, &inputs[1]).ok_or_else(|| "the two do not broadcast".into()),
        Op::Prelu => match broadcast(x, &inputs[1]) {
            Some(sides) if sides == *x => Ok(sides),
            _ => Err("the slope does not broadcast to the value".into()),
        },
        Op::Where => {
            let sides = broadcast(x, &inputs[1]).and_then(|sides| broadcast(&sides, &inputs[2]));
            sides.ok_or_else(|| "the three do not broadcast".into())
        }
        Op::Softmax { axis } | Op::LogSoftmax { axis } => in_rank(x, *axis).map(|_| x.clone()),
        Op::MaxPool { kernel, stride, padding, dilation, ceil } => windows::pool(x, *kernel, *stride, *padding, *dilation, *ceil),
        Op::AveragePool { kernel, stride, padding, ceil, .. } => {
            let sides = windows::pool(x, *kernel, *stride, *padding, [1, 1], *ceil)?;
            let terms = sides[1..].iter().map(|side| side.at(1)).chain(*kernel).fold(1, usize::saturating_mul);
            if terms > POOLED {
                return Err(format!("means over windows of {kernel:?} have more than {POOLED} terms together"));
            }
            Ok(sides)
        }
        Op::AdaptiveAveragePool { size: [height, width] } => {
            image(x)?;
            Ok(vec![x[0], x[1], (*height).into(), (*width).into()])
        }
        Op::Dropout { rate } if !(0.0..=1.0).contains(rate) => Err(format!("the rate {rate} is no share")),
        Op::Dropout { .. } => Ok(x.clone()),
        Op::Reduce { axes, keep, .. } => reduced(x, axes, *keep),
        Op::Pad { pads, mode } => padded(x, pads, *mode),
        Op::Slice { axis, start, end, step } => {
            in_rank(x, *axis)?;
            let length = x[*axis].size().ok_or("it cuts a side that depends on the number of examples")?;
            let count = slice_length(length, *start, *end, *step)
                .ok_or_else(|| format!("elements {start}..{end} in steps of {step} of a side of {length}"))?;
            Ok(x.iter().enumerate().map(|(at, &side)| if at == *axis { count.into() } else { side }).collect())
        }
        Op::Concat { axis } => joined(inputs, *axis),
        Op::Reshape { to } => match (elements(x), elements(to)) {
            (Some(before), Some(after)) if before == after => Ok(to.clone()),
            _ => Err(format!("{} does not hold as many elements", text(to))),
        },
        Op::Transpose { axes } => {
            let mut sorted = axes.clone();
            sorted.sort_unstable();
            if sorted.iter().copied().ne(0..x.len()) {
                return Err(format!("{axes:?} is not an order of its {} axes", x.len()));
            }
            Ok(axes.iter().map(|&axis| x[axis]).collect())
        }
        Op::Expand { to } => match broadcast(x, to) {
            Some(sides) if sides == *to => Ok(sides),
            _ => Err(format!("it does not broadcast to {}", text(to))),
        },
        Op::Gather { axis, indices, shape } => {
            in_rank(x, *axis)?;
            let length = x[*axis].size().ok_or("it picks from a side that depends on the number of examples")?;
            if shape.iter().try_fold(1usize, |product, &side| product.checked_mul(side)) != Some(indices.len()) {
                return Err(format!("{} indices for the sides {shape:?}", indices.len()));
            }
            if let Some(index) = indices.iter().find(|&&index| index >= length) {
                return Err(format!("element {index} of a side of {length}"));
            }
            Ok(x[..*axis].iter().copied().chain(shape.iter().map(|&side| side.into())).chain(x[axis + 1..].iter().copied()).collect())
        }
        Op::Resize { to, scale, .. } => {
            image(x)?;
            if !scale.iter().all(|scale| scale.is_normal() && *scale > 0.0) {
                return Err(format!("scales {scale:?}"));
            }
            let along = x[2..].iter().zip(to).map(|(from, &to)| from.at(1).saturating_mul(to)).max();
            if along.is_some_and(|weights| weights > RESIZED) {
                return Err(format!("a side resized by a matrix of more than {RESIZED} weights"));
            }
            Ok(vec![x[0], x[1], to[0].into(), to[1].into()])
        }
    }
}

fn arity(op: &Op) -> (usize, usize) {
    match op {
        Op::Conv { .. } | Op::Linear => (2, 3),
        Op::BatchNorm { .. } => (5, 5),
        Op::LayerNorm { .. } => (1, 3),
        Op::GroupNorm { .. } | Op::Where => (3, 3),
        Op::MatMul | Op::Binary(_) | Op::Prelu => (2, 2),
        Op::Concat { .. } => (1, usize::MAX),
        _ => (1, 1),
    }
}

/// Examples, channels, height and width of a batch of images; only the examples may be open.
pub(super) fn image(x: &[Dim]) -> Result<[usize; 4], String> {
    match x {
        [examples, sides @ ..] if sides.len() == 3 => match [sides[0].size(), sides[1].size(), sides[2].size()] {
            [Some(channels), Some(height), Some(width)] => Ok([examples.at(1), channels, height, width]),
            _ => Err("channels, height and width must not depend on the number of examples".into()),
        },
        _ => Err("not [N, channels, height, width]".into()),
    }
}

fn in_rank(x: &[Dim], axis: usize) -> Result<(), String> {
    if axis < x.len() { Ok(()) } else { Err(format!("no axis {axis}")) }
}

fn per_channel(x: &[Dim], vectors: &[Vec<Dim>]) -> Sides {
    let channels = x.get(1).filter(|side| side.size().is_some()).ok_or("no channels")?;
    match vectors.iter().find(|sides| sides[..] != [*channels]) {
        Some(sides) => Err(format!("{} is not one number a channel", text(sides))),
        None => Ok(x.to_vec()),
    }
}

fn linear(inputs: &[Vec<Dim>]) -> Sides {
    let (x, weight) = (&inputs[0], &inputs[1]);
    let ([.., side], [output, input]) = (&x[..], &weight[..]) else { return Err("not a value [.., in] and a weight [out, in]".into()) };
    if x.len() < 2 || side != input || output.size().is_none() {
        return Err(format!("the weight takes {input} numbers, the value has {side}"));
    }
    if inputs.get(2).is_some_and(|bias| bias[..] != [*output]) {
        return Err(format!("the bias is not [{output}]"));
    }
    Ok(x[..x.len() - 1].iter().copied().chain([*output]).collect())
}

fn matmul(a: &[Dim], b: &[Dim]) -> Sides {
    let ([before_a @ .., rows, inner_a], [before_b @ .., inner_b, columns]) = (a, b) else { return Err("not two matrices".into()) };
    if inner_a != inner_b {
        return Err(format!("inner sides {inner_a} and {inner_b} differ"));
    }
    let mut sides = broadcast(before_a, before_b).ok_or("the leading sides do not broadcast")?;
    sides.extend([*rows, *columns]);
    Ok(sides)
}

fn reduced(x: &[Dim], axes: &[usize], keep: bool) -> Sides {
    if let Some(axis) = axes.iter().find(|&&axis| axis >= x.len()) {
        return Err(format!("no axis {axis}"));
    }
    if axes.iter().enumerate().any(|(at, axis)| axes[..at].contains(axis)) {
        return Err(format!("an axis twice in {axes:?}"));
    }
    let kept = x.iter().enumerate().filter(|(at, _)| keep || !axes.contains(at));
    Ok(kept.map(|(at, &side)| if axes.contains(&at) { Dim::from(1) } else { side }).collect())
}

fn padded(x: &[Dim], pads: &[[i64; 2]], mode: PadMode) -> Sides {
    if pads.len() != x.len() {
        return Err(format!("{} pairs of padding for {} sides", pads.len(), x.len()));
    }
    let side = |(&side, &[before, after]): (&Dim, &[i64; 2])| {
        let cropped = Dim { fixed: side.fixed.checked_add(before.min(0))?.checked_add(after.min(0))?, ..side };
        let mirrored = mode != PadMode::Reflect || before.max(after) <= 0 || before.max(after) < cropped.per_example + cropped.fixed;
        let grown = Dim { fixed: cropped.fixed.checked_add(before.max(0))?.checked_add(after.max(0))?, ..cropped };
        (cropped.is_positive() && mirrored).then_some(grown)
    };
    x.iter().zip(pads).map(side).collect::<Option<_>>().ok_or_else(|| format!("padding {pads:?} ({mode:?}) does not fit"))
}

fn joined(inputs: &[Vec<Dim>], axis: usize) -> Sides {
    let mut sides = inputs[0].clone();
    in_rank(&sides, axis)?;
    for input in &inputs[1..] {
        let fits = input.len() == sides.len() && (0..sides.len()).all(|at| at == axis || input[at] == sides[at]);
        let joint = if fits { sides[axis].plus(input[axis]) } else { None };
        sides[axis] = joint.ok_or_else(|| format!("their sides differ elsewhere than along axis {axis}"))?;
    }
    Ok(sides)
}

/// How many elements a slice holds; `None` where it leaves the side or is empty.
fn slice_length(length: usize, start: i64, end: i64, step: i64) -> Option<usize> {
    let length = i64::try_from(length).ok()?;
    let span = if step > 0 { end.checked_sub(start)? } else { start.checked_sub(end)? };
    let inside = if step > 0 { start >= 0 && end <= length } else { start < length && end >= -1 };
    let stride = step.checked_abs().filter(|&stride| stride > 0)?;
    if !inside || span <= 0 {
        return None;
    }
    usize::try_from(1 + (span - 1) / stride).ok()
}
