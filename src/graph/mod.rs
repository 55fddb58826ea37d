//! Networks as graphs: what ONNX files, the zoo and stacks of layers written in a suite all become.
//!
//! A graph maps images [N, C, H, W] in [0, 1] to logits [N, classes]. Its values are float tensors of any rank; integers, shapes and
//! conditions are worked out when a graph is made, so that only the number of examples N is open when it runs. Masks are floats of 0
//! and 1. Parameters are named as PyTorch names them; their numbers live beside the graph, in [`Weights`](crate::model::Weights).

mod builder;
mod count;
mod dim;
mod freeze;
pub mod interval;
mod ops;
pub(crate) mod probe;
mod run;
pub mod shape;
mod value;

use serde::Serialize;

pub use builder::{Builder, Conv};
pub use freeze::freeze;
pub(crate) use ops::resized;
pub use run::{Constants, Mode, Outcome, Plan, Throw, run};
pub use value::Value;

/// A network: parameters, and nodes in an order in which each comes after what it reads.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Graph {
    /// Channels, height and width of an input image.
    pub input: [usize; 3],
    /// How many classes the logits tell apart.
    pub classes: usize,
    /// Tensors that the nodes read, each name once.
    pub parameters: Vec<Parameter>,
    /// The operations.
    pub nodes: Vec<Node>,
    /// Where the logits [N, classes] come from.
    pub output: Source,
}

/// A named tensor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Parameter {
    /// Its name, such as `layer1.0.conv1.weight`.
    pub name: String,
    /// Its sides.
    pub shape: Vec<usize>,
    /// Whether training changes it by gradients; running statistics and constants are not.
    pub trained: bool,
}

/// Where a value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub enum Source {
    /// The images [N, C, H, W].
    Input,
    /// A parameter, by its index.
    Parameter(usize),
    /// The result of a node, by its index.
    Node(usize),
}

/// An operation with one result.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Node {
    /// Its name, for messages.
    pub name: String,
    /// What it does.
    pub op: Op,
    /// What it reads, in the order that [`Op`] states.
    pub inputs: Vec<Source>,
}

/// A side of a value: `per_example` * N + `fixed`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Dim {
    /// How often the number of examples is in it.
    pub per_example: i64,
    /// What is added.
    pub fixed: i64,
}

/// What a node does. Sides of windows are [height, width]; padding is [top, left, bottom, right]; axes count from 0.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[expect(missing_docs, reason = "the fields are told of above, and in the line of each operation")]
pub enum Op {
    /// x [N, C, H, W], a mean and a deviation a channel: (x - mean) / deviation.
    Normalise { mean: Vec<f32>, deviation: Vec<f32> },
    /// x [N, C, H, W], weight [out, C / groups, h, w], bias `[out]` where there is one.
    Conv { stride: [usize; 2], padding: [usize; 4], dilation: [usize; 2], groups: usize },
    /// x [.., in], weight [out, in], bias `[out]` where there is one: x W^T + b.
    Linear,
    /// a [.., m, k], b [.., k, n], leading sides broadcast.
    MatMul,
    /// x [N, C, ..], scale, bias, mean and variance `[C]`. Training uses the batch's statistics and moves the running ones by `momentum`.
    BatchNorm { epsilon: f32, momentum: f32 },
    /// x, scale and bias over the sides from `axis` on (either may be missing, scale first).
    LayerNorm { axis: usize, epsilon: f32 },
    /// x [N, C, ..], scale and bias `[C]`; as many groups as channels are instance normalisation.
    GroupNorm { groups: usize, epsilon: f32 },
    /// Every element by itself.
    Unary(Unary),
    /// Two values, broadcast as NumPy does.
    Binary(Binary),
    /// x, slope (broadcast): x where positive, else slope x.
    Prelu,
    /// mask, a, b (broadcast): a where the mask is not 0, else b.
    Where,
    /// Along an axis.
    Softmax { axis: usize },
    /// Along an axis.
    LogSoftmax { axis: usize },
    /// Windows [N, C, H, W]; padding counts as minus infinity.
    MaxPool { kernel: [usize; 2], stride: [usize; 2], padding: [usize; 4], dilation: [usize; 2], ceil: bool },
    /// Windows [N, C, H, W].
    AveragePool { kernel: [usize; 2], stride: [usize; 2], padding: [usize; 4], count_padding: bool, ceil: bool },
    /// [N, C, H, W] averaged down to [N, C, h, w] as PyTorch's adaptive pooling does.
    AdaptiveAveragePool { size: [usize; 2] },
    /// x; in training, where draws are at hand, each element is 0 with probability `rate` and else divided by 1 - `rate`.
    Dropout { rate: f32 },
    /// Over axes.
    Reduce { kind: Reduction, axes: Vec<usize>, keep: bool },
    /// Sides before and after, an axis each.
    Pad { pads: Vec<[i64; 2]>, mode: PadMode },
    /// Elements start, start + step, .. before end along an axis (within the side, step not 0, negative allowed).
    Slice { axis: usize, start: i64, end: i64, step: i64 },
    /// Any number of values along an axis.
    Concat { axis: usize },
    /// To these sides.
    Reshape { to: Vec<Dim> },
    /// Axis i of the result is axis `axes[i]` of x.
    Transpose { axes: Vec<usize> },
    /// Broadcast to these sides.
    Expand { to: Vec<Dim> },
    /// Elements of an axis by index; `shape` are the sides of `indices`, which take the axis's place.
    Gather { axis: usize, indices: Vec<usize>, shape: Vec<usize> },
    /// [N, C, H, W] to another height and width.
    Resize { to: [usize; 2], scale: [f32; 2], mode: ResizeMode, coordinates: Coordinates },
}

/// A function of one element.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[expect(missing_docs, reason = "the field's own names")]
pub enum Unary {
    Relu,
    LeakyRelu {
        slope: f32,
    },
    Elu {
        alpha: f32,
    },
    Selu,
    Celu {
        alpha: f32,
    },
    /// `tanh`: by the tanh approximation.
    Gelu {
        tanh: bool,
    },
    Silu,
    Mish,
    HardSwish,
    /// max(0, min(1, alpha x + beta)).
    HardSigmoid {
        alpha: f32,
        beta: f32,
    },
    Sigmoid,
    Tanh,
    Softplus,
    Softsign,
    Erf,
    Exp,
    Log,
    Sqrt,
    Abs,
    Negate,
    Reciprocal,
    Sign,
    Floor,
    Ceil,
    Round,
    /// Towards zero.
    Truncate,
    Sin,
    Cos,
    Clip {
        min: f32,
        max: f32,
    },
    /// 1 where it is 0, else 0.
    Not,
}

/// A function of two elements; comparisons give 0 or 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "the field's own names")]
pub enum Binary {
    Add,
    Subtract,
    Multiply,
    Divide,
    Power,
    Minimum,
    Maximum,
    Equal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    And,
    Or,
}

/// What a reduction makes of the elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "the field's own names")]
pub enum Reduction {
    Sum,
    Mean,
    Max,
    Min,
    Product,
    L1,
    L2,
    SumSquare,
    LogSum,
    LogSumExp,
}

/// What padding is made of.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub enum PadMode {
    /// This number.
    Constant(f32),
    /// The value mirrored at its edge, the edge itself not repeated.
    Reflect,
    /// The edge repeated.
    Edge,
}

/// How a resized image is sampled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum ResizeMode {
    /// The nearest pixel, after rounding as named.
    Nearest(Rounding),
    /// Bilinear.
    Linear,
    /// Bicubic, a = -0.75.
    Cubic,
}

/// How ONNX's Resize finds the nearest pixel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "ONNX's own names")]
pub enum Rounding {
    RoundPreferFloor,
    RoundPreferCeil,
    Floor,
    Ceil,
}

/// Where a resized pixel lies in the original, as ONNX's Resize names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "ONNX's own names")]
pub enum Coordinates {
    HalfPixel,
    PytorchHalfPixel,
    AlignCorners,
    Asymmetric,
}
