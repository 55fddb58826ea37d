//! The table of operators that are read.

mod element;
mod layer;
mod norm;
mod pair;
mod pipeline;
mod pool;
mod resize;
mod select;
mod shape;
mod source;
mod window;

use super::call::Call;
use super::value::Value;
use super::writer::Writer;
use crate::Result;
use crate::graph::{Binary, Reduction, Unary};

/// Writes a node's outputs, from the first that is made on.
type Translate = fn(&mut Writer, &Call) -> Result<Vec<Value>>;

/// An operator of ONNX that is read, in all its versions from opset 11 to 22.
pub struct Operator {
    /// Its name.
    pub name: &'static str,
    /// Its domain: empty for ONNX's own operators, or `ai.onnx.ml`.
    pub domain: &'static str,
    /// Outputs at the front that are not made.
    pub(super) unmade: usize,
    pub(super) translate: Translate,
}

const fn row(name: &'static str, translate: Translate) -> Operator {
    Operator { name, domain: "", unmade: 0, translate }
}

const fn learned(name: &'static str, unmade: usize, translate: Translate) -> Operator {
    Operator { name, domain: "ai.onnx.ml", unmade, translate }
}

/// From which opset on the axes of all reductions but ReduceSum are an input.
const AXES_GIVEN: i64 = 18;

/// Every operator that is read, in alphabetical order; those of `ai.onnx.ml` last.
pub const OPERATORS: &[Operator] = &[
    row("Abs", |w, c| element::unary(w, c, Unary::Abs)),
    row("Add", pair::add),
    row("And", |w, c| pair::binary(w, c, Binary::And)),
    row("AveragePool", pool::average_pool),
    row("BatchNormalization", norm::batch_norm),
    row("Cast", element::cast),
    row("CastLike", element::cast_like),
    row("Ceil", |w, c| element::unary(w, c, Unary::Ceil)),
    row("Celu", |w, c| element::unary(w, c, element::celu(c)?)),
    row("Clip", element::clip),
    row("Concat", select::concat),
    row("Constant", source::constant),
    row("ConstantOfShape", shape::constant_of_shape),
    row("Conv", layer::conv),
    row("Cos", |w, c| element::unary(w, c, Unary::Cos)),
    row("DepthToSpace", shape::depth_to_space),
    row("Div", |w, c| pair::binary(w, c, Binary::Divide)),
    row("Dropout", shape::dropout),
    row("Elu", |w, c| element::unary(w, c, element::elu(c)?)),
    row("Equal", |w, c| pair::binary(w, c, Binary::Equal)),
    row("Erf", |w, c| element::unary(w, c, Unary::Erf)),
    row("Exp", |w, c| element::unary(w, c, Unary::Exp)),
    row("Expand", shape::expand),
    row("Flatten", shape::flatten),
    row("Floor", |w, c| element::unary(w, c, Unary::Floor)),
    row("Gather", select::gather),
    row("Gelu", |w, c| element::unary(w, c, element::gelu(c)?)),
    row("Gemm", layer::gemm),
    row("GlobalAveragePool", |w, c| pool::global(w, c, Reduction::Mean)),
    row("GlobalMaxPool", |w, c| pool::global(w, c, Reduction::Max)),
    row("Greater", |w, c| pair::binary(w, c, Binary::Greater)),
    row("GreaterOrEqual", |w, c| pair::binary(w, c, Binary::GreaterOrEqual)),
    row("GroupNormalization", norm::group_norm),
    row("HardSigmoid", |w, c| element::unary(w, c, element::hard_sigmoid(c)?)),
    row("HardSwish", |w, c| element::unary(w, c, Unary::HardSwish)),
    row("Identity", shape::identity),
    row("InstanceNormalization", norm::instance_norm),
    row("LRN", norm::local_response),
    row("LayerNormalization", norm::layer_norm),
    row("LeakyRelu", |w, c| element::unary(w, c, element::leaky_relu(c)?)),
    row("Less", |w, c| pair::binary(w, c, Binary::Less)),
    row("LessOrEqual", |w, c| pair::binary(w, c, Binary::LessOrEqual)),
    row("Log", |w, c| element::unary(w, c, Unary::Log)),
    row("LogSoftmax", norm::log_softmax),
    row("LpNormalization", norm::lp_norm),
    row("MatMul", layer::matmul),
    row("Max", |w, c| pair::fold(w, c, Binary::Maximum)),
    row("MaxPool", pool::max_pool),
    row("Mean", pair::mean),
    row("MeanVarianceNormalization", norm::mean_variance),
    row("Min", |w, c| pair::fold(w, c, Binary::Minimum)),
    row("Mish", |w, c| element::unary(w, c, Unary::Mish)),
    row("Mod", pair::remainder),
    row("Mul", |w, c| pair::binary(w, c, Binary::Multiply)),
    row("Neg", |w, c| element::unary(w, c, Unary::Negate)),
    row("NonZero", select::non_zero),
    row("Not", |w, c| element::unary(w, c, Unary::Not)),
    row("Or", |w, c| pair::binary(w, c, Binary::Or)),
    row("PRelu", pair::prelu),
    row("Pad", select::pad),
    row("Pow", pair::power),
    row("Range", source::range),
    row("Reciprocal", |w, c| element::unary(w, c, Unary::Reciprocal)),
    row("ReduceL1", |w, c| pool::reduce(w, c, Reduction::L1, AXES_GIVEN)),
    row("ReduceL2", |w, c| pool::reduce(w, c, Reduction::L2, AXES_GIVEN)),
    row("ReduceLogSum", |w, c| pool::reduce(w, c, Reduction::LogSum, AXES_GIVEN)),
    row("ReduceLogSumExp", |w, c| pool::reduce(w, c, Reduction::LogSumExp, AXES_GIVEN)),
    row("ReduceMax", |w, c| pool::reduce(w, c, Reduction::Max, AXES_GIVEN)),
    row("ReduceMean", |w, c| pool::reduce(w, c, Reduction::Mean, AXES_GIVEN)),
    row("ReduceMin", |w, c| pool::reduce(w, c, Reduction::Min, AXES_GIVEN)),
    row("ReduceProd", |w, c| pool::reduce(w, c, Reduction::Product, AXES_GIVEN)),
    row("ReduceSum", |w, c| pool::reduce(w, c, Reduction::Sum, 13)),
    row("ReduceSumSquare", |w, c| pool::reduce(w, c, Reduction::SumSquare, AXES_GIVEN)),
    row("Relu", |w, c| element::unary(w, c, Unary::Relu)),
    row("Reshape", shape::reshape),
    row("Resize", resize::resize),
    row("Round", |w, c| element::unary(w, c, Unary::Round)),
    row("Selu", element::selu),
    row("Shape", shape::shape),
    row("Shrink", element::shrink),
    row("Sigmoid", |w, c| element::unary(w, c, Unary::Sigmoid)),
    row("Sign", |w, c| element::unary(w, c, Unary::Sign)),
    row("Sin", |w, c| element::unary(w, c, Unary::Sin)),
    row("Size", shape::size),
    row("Slice", select::slice),
    row("Softmax", norm::softmax),
    row("Softplus", |w, c| element::unary(w, c, Unary::Softplus)),
    row("Softsign", |w, c| element::unary(w, c, Unary::Softsign)),
    row("SpaceToDepth", shape::space_to_depth),
    row("Split", select::split),
    row("Sqrt", |w, c| element::unary(w, c, Unary::Sqrt)),
    row("Squeeze", shape::squeeze),
    row("Sub", |w, c| pair::binary(w, c, Binary::Subtract)),
    row("Sum", |w, c| pair::fold(w, c, Binary::Add)),
    row("Tanh", |w, c| element::unary(w, c, Unary::Tanh)),
    row("ThresholdedRelu", element::thresholded_relu),
    row("Tile", select::tile),
    row("Transpose", shape::transpose),
    row("Unsqueeze", shape::unsqueeze),
    row("Upsample", resize::upsample),
    row("Where", pair::choose),
    row("Xor", pair::xor),
    learned("LinearClassifier", 1, pipeline::linear_classifier),
    learned("Normalizer", 0, pipeline::normalizer),
    learned("Scaler", 0, pipeline::scaler),
];

/// The operator of a name, where it is read.
pub(super) fn find(domain: &str, name: &str) -> Option<&'static Operator> {
    let domain = if domain == "ai.onnx" { "" } else { domain };
    OPERATORS.iter().find(|operator| operator.name == name && operator.domain == domain)
}

/// How to do without an operator that is not read.
pub(super) fn way_out(domain: &str, name: &str) -> &'static str {
    match (domain, name) {
        ("" | "ai.onnx", "If" | "Loop" | "Scan") => {
            "export so that control flow is worked out: torch.onnx.export(.., dynamo=True), or with fixed image sides"
        }
        ("" | "ai.onnx", "Einsum") => "write it as a matrix product (x @ y) or a sum of products before exporting",
        ("" | "ai.onnx", "ConvTranspose") => "use interpolation and a convolution in its place, or cut the model where its logits are made",
        ("" | "ai.onnx", "ScatterND" | "ScatterElements" | "Scatter") => {
            "put values together with torch.cat or torch.where, not by assigning to a part"
        }
        ("" | "ai.onnx", "ArgMax" | "ArgMin" | "TopK") => "export the logits themselves, not what is picked from them",
        ("" | "ai.onnx", "RandomNormal" | "RandomUniform" | "RandomNormalLike" | "RandomUniformLike" | "Bernoulli" | "Multinomial") => {
            "call model.eval() before exporting; randomised defences are written in the suite"
        }
        ("" | "ai.onnx", "LSTM" | "GRU" | "RNN") => "only networks without recurrence are read",
        ("ai.onnx.ml", _) => "of scikit-learn's models, multilayer perceptrons and linear classifiers are read, exported with zipmap=False",
        ("com.microsoft", _) => "save the model without onnxruntime's own optimisations",
        (_, name) if name.contains("Quantize") || name.contains("Integer") || name.starts_with("QLinear") => {
            "export the float32 model, before quantisation"
        }
        ("" | "ai.onnx", _) => "replace it by operators that `gauntlet list` names, then export again",
        _ => "export with ONNX's own operators alone: torch.onnx.export without custom operators or ATen fallback",
    }
}
