//! Reductions, and what moves elements on a few numbers, with what PyTorch says of them.

use gauntlet::graph::{Coordinates, Dim, Op, PadMode, Reduction, ResizeMode, Rounding};

use super::Case;
use super::Kind::Positive;

pub fn cases() -> Vec<Case> {
    vec![
        Case::new("reduce, sum", Op::Reduce { kind: Reduction::Sum, axes: vec![1, 3], keep: true }, [2, 3, 2])
            .gives(-4.18477, [-1.08599, 2.40719, 2.81157, -2.79574]),
        Case::new("reduce, mean", Op::Reduce { kind: Reduction::Mean, axes: vec![1, 3], keep: false }, [2, 3, 2])
            .gives(-1.04619, [-0.271498, 0.601797, 0.702893, -0.698934]),
        Case::new("reduce, max", Op::Reduce { kind: Reduction::Max, axes: vec![1, 3], keep: true }, [2, 3, 2])
            .gives(-0.791626, [1.26221, 1.4875, 1.28874, 0.0119448]),
        Case::new("reduce, min", Op::Reduce { kind: Reduction::Min, axes: vec![1, 3], keep: false }, [2, 3, 2])
            .gives(-0.834887, [-1.4663, -0.560815, 0.0371631, -1.31318]),
        Case::new("reduce, product", Op::Reduce { kind: Reduction::Product, axes: vec![1, 3], keep: true }, [2, 3, 2])
            .gives(-0.408533, [1.08719, -0.394981, 0.0233955, -0.00806749]),
        Case::new("reduce, l1", Op::Reduce { kind: Reduction::L1, axes: vec![1, 3], keep: false }, [2, 3, 2])
            .gives(-0.316062, [4.49696, 3.52882, 2.81157, 2.81963]),
        Case::new("reduce, l2", Op::Reduce { kind: Reduction::L2, axes: vec![1, 3], keep: true }, [2, 3, 2])
            .gives(-0.287892, [2.38659, 1.94219, 1.70073, 1.71157]),
        Case::new("reduce, sumsquare", Op::Reduce { kind: Reduction::SumSquare, axes: vec![1, 3], keep: false }, [2, 3, 2])
            .gives(-0.288272, [5.69579, 3.77211, 2.89247, 2.92947]),
        Case::new("reduce, logsumexp", Op::Reduce { kind: Reduction::LogSumExp, axes: vec![1, 3], keep: true }, [2, 3, 2])
            .gives(-1.28391, [1.72054, 2.23504, 2.19763, 0.810601]),
        Case::new("reduce, logsum", Op::Reduce { kind: Reduction::LogSum, axes: vec![2], keep: false }, [2, 3, 2])
            .of(Positive)
            .gives(1.59474, [1.2508, 1.56919, 1.55714, 1.55209]),
        Case::new("pad, constant", Op::Pad { pads: vec![[0, 0], [0, 1], [2, 1], [1, 0]], mode: PadMode::Constant(0.5) }, [2, 3, 2])
            .gives(1.05378, [0.5, 0.5, 0.5, 0.5]),
        Case::new("pad, reflect", Op::Pad { pads: vec![[0, 0], [0, 0], [2, 1], [1, 0]], mode: PadMode::Reflect }, [2, 3, 2])
            .gives(1.12013, [-0.917787, 0.467312, -1.4714, 0.975432]),
        Case::new("pad, edge", Op::Pad { pads: vec![[0, 0], [0, 0], [2, 1], [1, 3]], mode: PadMode::Edge }, [2, 3, 2])
            .gives(-2.44172, [0.44328, -1.32518, -1.4714, -0.95716]),
        Case::new("pad, cropping", Op::Pad { pads: vec![[0, 0], [0, 0], [-1, 1], [0, -1]], mode: PadMode::Constant(0.0) }, [2, 3, 3])
            .gives(7.70238, [1.01319, 0.0371631, -1.3008, 0.0]),
        Case::new("slice", Op::Slice { axis: 2, start: 1, end: 5, step: 2 }, [2, 6, 2])
            .gives(7.2559, [1.4875, -1.4714, 0.956134, -1.27495]),
        Case::new("slice, backwards", Op::Slice { axis: 2, start: 5, end: -1, step: -2 }, [2, 6, 2])
            .gives(1.54608, [1.27565, -0.95716, -0.013277, 0.936566]),
        Case::new("transpose", Op::Transpose { axes: vec![0, 2, 3, 1] }, [2, 3, 2]).gives(1.53607, [0.44328, 0.467312, 1.28874, -0.95716]),
        Case::new("expand", Op::Expand { to: vec![Dim::EXAMPLES, 3.into(), 2.into(), 4.into()] }, [1, 2, 4])
            .gives(-4.76194, [0.44328, -1.32518, -1.4714, -1.4714]),
        Case::new("gather", Op::Gather { axis: 2, indices: vec![2, 0, 2, 1], shape: vec![2, 2] }, [2, 3, 2])
            .gives(6.10315, [0.062371, -1.4663, -1.31318, 0.975432]),
        Case::new("gather, a run", Op::Gather { axis: 1, indices: vec![1], shape: vec![] }, [2, 3, 2])
            .gives(-2.49954, [-1.4663, 0.467312, 1.28874, -0.95716]),
        Case::new(
            "resize, nearest",
            Op::Resize { to: [6, 4], scale: [2.0, 2.0], mode: ResizeMode::Nearest(Rounding::Floor), coordinates: Coordinates::Asymmetric },
            [2, 3, 2],
        )
        .gives(-10.3404, [0.44328, -1.32518, -1.4714, -0.95716]),
        Case::new(
            "resize, nearest exact",
            Op::Resize {
                to: [5, 3],
                scale: [1.6666666, 0.75],
                mode: ResizeMode::Nearest(Rounding::RoundPreferCeil),
                coordinates: Coordinates::HalfPixel,
            },
            [2, 3, 4],
        )
        .gives(0.614589, [0.44328, -0.937606, -0.976443, 1.46601]),
        Case::new(
            "resize, linear",
            Op::Resize { to: [6, 3], scale: [2.0, 0.75], mode: ResizeMode::Linear, coordinates: Coordinates::HalfPixel },
            [2, 3, 4],
        )
        .gives(-0.10556, [0.579768, -0.747873, -0.0445241, 1.44265]),
        Case::new(
            "resize, linear, corners aligned",
            Op::Resize { to: [5, 7], scale: [1.6666666, 1.75], mode: ResizeMode::Linear, coordinates: Coordinates::AlignCorners },
            [2, 3, 4],
        )
        .gives(-0.178064, [0.44328, -0.223197, 0.0801273, 1.46601]),
        Case::new(
            "resize, cubic",
            Op::Resize { to: [6, 6], scale: [2.0, 1.5], mode: ResizeMode::Cubic, coordinates: Coordinates::PytorchHalfPixel },
            [2, 3, 4],
        )
        .gives(-4.6084, [0.395896, -0.781863, -0.244669, 1.76664]),
    ]
}
