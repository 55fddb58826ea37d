//! Reductions over axes.

use super::super::{Reduction, Value};

pub(super) fn reduce(x: Value, kind: Reduction, axes: &[usize], keep: bool) -> Value {
    let sides = x.shape();
    let over = |x: Value, step: fn(Value, usize) -> Value| axes.iter().fold(x, |x, &axis| step(x, axis));
    let reduced = match kind {
        Reduction::Sum => over(x, Value::sum),
        Reduction::Mean => over(x, Value::mean),
        Reduction::Max => over(x, Value::max),
        Reduction::Min => over(x, Value::min),
        Reduction::Product => over(x, Value::product),
        Reduction::L1 => over(x.abs(), Value::sum),
        // The root has no gradient at 0: there it is cut off, and the gradient is 0 as PyTorch's is.
        Reduction::L2 => over(x.clone().multiply(x), Value::sum).at_least(f32::MIN_POSITIVE).sqrt(),
        Reduction::SumSquare => over(x.clone().multiply(x), Value::sum),
        Reduction::LogSum => over(x, Value::sum).log(),
        Reduction::LogSumExp => {
            let largest = over(x.clone().detach(), Value::max);
            over(x.subtract(largest.clone()).exp(), Value::sum).log().add(largest)
        }
    };
    if keep {
        return reduced;
    }
    let kept: Vec<usize> = sides.iter().enumerate().filter(|(axis, _)| !axes.contains(axis)).map(|(_, &side)| side).collect();
    reduced.reshape(&kept)
}
