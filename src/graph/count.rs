//! What a graph costs.

use super::{Binary, Dim, Graph, Node, Op, Unary};
use crate::Result;

impl Graph {
    /// Floating-point operations of a forward pass of one image: two a multiply-add of a convolution, dense layer or matrix product, one
    /// an element of any other result that is worked out.
    ///
    /// # Errors
    /// A graph that does not pass [`Graph::shapes`].
    pub fn flops(&self) -> Result<u64> {
        let shapes = self.shapes()?;
        let work = |(node, sides): (&Node, &Vec<Dim>)| {
            let inner = match node.op {
                _ if is_view(&node.op) => return 0,
                Op::Conv { .. } | Op::Linear => self.sides(node.inputs[1], &shapes).map_or(1, |weight| 2 * numbers(&weight[1..])),
                Op::MatMul => self.sides(node.inputs[0], &shapes).map_or(1, |a| 2 * numbers(&a[a.len() - 1..])),
                _ => 1,
            };
            inner.saturating_mul(numbers(sides))
        };
        Ok(self.nodes.iter().zip(&shapes).map(work).fold(0, u64::saturating_add))
    }

    /// Numbers that a forward pass makes of one image and keeps for the backward pass, result by result: what memory is reckoned by.
    ///
    /// # Errors
    /// A graph that does not pass [`Graph::shapes`].
    pub fn activations(&self) -> Result<usize> {
        let shapes = self.shapes()?;
        let kept = self.nodes.iter().zip(&shapes).filter(|(node, _)| !is_view(&node.op) && !in_place(&node.op));
        let kept = kept.map(|(_, sides)| usize::try_from(numbers(sides)).unwrap_or(usize::MAX));
        Ok(kept.fold(0, usize::saturating_add))
    }

    /// Numbers in the parameters, running statistics and constants included.
    pub fn parameter_count(&self) -> usize {
        self.parameters.iter().map(|parameter| parameter.shape.iter().product::<usize>()).sum()
    }
}

/// Whether the result shares its elements with what it is made of.
fn is_view(op: &Op) -> bool {
    matches!(op, Op::Reshape { .. } | Op::Transpose { .. } | Op::Expand { .. } | Op::Dropout { .. })
}

/// Whether the result takes the place of what it is made of: its gradient is known from the result alone, or needs neither.
fn in_place(op: &Op) -> bool {
    matches!(op, Op::Unary(Unary::Relu | Unary::Negate) | Op::Binary(Binary::Add | Binary::Subtract))
}

/// Elements for one image.
fn numbers(sides: &[Dim]) -> u64 {
    sides.iter().fold(1, |product: u64, side| product.saturating_mul(side.at(1) as u64))
}
