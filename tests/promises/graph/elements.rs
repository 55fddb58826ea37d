//! Functions of elements on a few numbers, with what PyTorch says of them.

use gauntlet::graph::{Binary, Op, Unary};

use super::Case;
use super::Kind::{Any, Mask, Positive};

pub fn cases() -> Vec<Case> {
    vec![
        Case::new("relu", Op::Unary(Unary::Relu), [2, 3, 2]).gives(0.50208, [0.44328, 0.0, 0.0, 0.0]),
        Case::new("leakyrelu", Op::Unary(Unary::LeakyRelu { slope: 0.2 }), [2, 3, 2])
            .gives(0.56595, [0.44328, -0.265036, -0.294281, -0.191432]),
        Case::new("elu", Op::Unary(Unary::Elu { alpha: 0.7 }), [2, 3, 2]).gives(0.673389, [0.44328, -0.513972, -0.539278, -0.431213]),
        Case::new("selu", Op::Unary(Unary::Selu), [2, 3, 2]).gives(0.957791, [0.465755, -1.29088, -1.35443, -1.08302]),
        Case::new("celu", Op::Unary(Unary::Celu { alpha: 0.6 }), [2, 3, 2]).gives(0.707482, [0.44328, -0.53409, -0.548345, -0.478287]),
        Case::new("gelu", Op::Unary(Unary::Gelu { tanh: false }), [2, 3, 2]).gives(0.511364, [0.297538, -0.122653, -0.103868, -0.161993]),
        Case::new("gelu (tanh)", Op::Unary(Unary::Gelu { tanh: true }), [2, 3, 2])
            .gives(0.511336, [0.297527, -0.122885, -0.104092, -0.16213]),
        Case::new("silu", Op::Unary(Unary::Silu), [2, 3, 2]).gives(0.491281, [0.269976, -0.278232, -0.274754, -0.265561]),
        Case::new("mish", Op::Unary(Unary::Mish), [2, 3, 2]).gives(0.569355, [0.325737, -0.306648, -0.299868, -0.300538]),
        Case::new("hardswish", Op::Unary(Unary::HardSwish), [2, 3, 2]).gives(0.479201, [0.25439, -0.369906, -0.374864, -0.325887]),
        Case::new("hardsigmoid", Op::Unary(Unary::HardSigmoid { alpha: 0.2, beta: 0.4 }), [2, 3, 2])
            .gives(-0.0520797, [0.488656, 0.134964, 0.105719, 0.208568]),
        Case::new("sigmoid", Op::Unary(Unary::Sigmoid), [2, 3, 2]).gives(-0.0797199, [0.60904, 0.209957, 0.186729, 0.277447]),
        Case::new("tanh", Op::Unary(Unary::Tanh), [2, 3, 2]).gives(0.651884, [0.41636, -0.868067, -0.899845, -0.743007]),
        Case::new("softplus", Op::Unary(Unary::Softplus), [2, 3, 2]).gives(0.0812077, [0.939151, 0.235668, 0.206691, 0.324965]),
        Case::new("softsign", Op::Unary(Unary::Softsign), [2, 3, 2]).gives(0.456578, [0.307134, -0.569926, -0.595372, -0.489056]),
        Case::new("erf", Op::Unary(Unary::Erf), [2, 3, 2]).gives(0.721808, [0.469271, -0.939082, -0.962555, -0.824145]),
        Case::new("exp", Op::Unary(Unary::Exp), [2, 3, 2]).gives(0.689225, [1.55781, 0.265755, 0.229603, 0.383982]),
        Case::new("abs", Op::Unary(Unary::Abs), [2, 3, 2]).gives(0.18273, [0.44328, 1.32518, 1.4714, 0.95716]),
        Case::new("negate", Op::Unary(Unary::Negate), [2, 3, 2]).gives(-0.821431, [-0.44328, 1.32518, 1.4714, 0.95716]),
        Case::new("sign", Op::Unary(Unary::Sign), [2, 3, 2]).flat().gives(0.531829, [1.0, -1.0, -1.0, -1.0]),
        Case::new("floor", Op::Unary(Unary::Floor), [2, 3, 2]).flat().gives(0.235951, [0.0, -2.0, -2.0, -1.0]),
        Case::new("ceil", Op::Unary(Unary::Ceil), [2, 3, 2]).flat().gives(-0.304964, [1.0, -1.0, -1.0, 0.0]),
        Case::new("round", Op::Unary(Unary::Round), [2, 3, 2]).flat().gives(0.5288, [0.0, -1.0, -1.0, -1.0]),
        Case::new("truncate", Op::Unary(Unary::Truncate), [2, 3, 2]).flat().gives(-0.300421, [0.0, -1.0, -1.0, 0.0]),
        Case::new("sin", Op::Unary(Unary::Sin), [2, 3, 2]).gives(0.696812, [0.428905, -0.969988, -0.995065, -0.817559]),
        Case::new("cos", Op::Unary(Unary::Cos), [2, 3, 2]).gives(-0.695612, [0.90335, 0.243152, 0.0992284, 0.575844]),
        Case::new("clip", Op::Unary(Unary::Clip { min: -0.4, max: 0.9 }), [2, 3, 2]).gives(0.530599, [0.44328, -0.4, -0.4, -0.4]),
        Case::new("clip", Op::Unary(Unary::Clip { min: f32::NEG_INFINITY, max: 0.9 }), [2, 3, 2])
            .gives(0.6354, [0.44328, -1.32518, -1.4714, -0.95716]),
        Case::new("not", Op::Unary(Unary::Not), [2, 3, 2]).flat().gives(0.0, [0.0, 0.0, 0.0, 0.0]),
        Case::new("log", Op::Unary(Unary::Log), [2, 3, 2]).of(Positive).gives(0.505737, [-0.0583918, 0.60168, 0.678746, 0.376489]),
        Case::new("sqrt", Op::Unary(Unary::Sqrt), [2, 3, 2]).of(Positive).gives(-0.307174, [0.971226, 1.35099, 1.40407, 1.20713]),
        Case::new("reciprocal", Op::Unary(Unary::Reciprocal), [2, 3, 2])
            .of(Positive)
            .gives(-1.20197, [1.06013, 0.547891, 0.507253, 0.686266]),
        Case::new("add, broadcast", Op::Binary(Binary::Add), [2, 3, 2])
            .with(&[(&[2, 1, 2], Any)])
            .gives(0.355163, [1.70549, -1.26281, 0.0160929, -0.894789]),
        Case::new("subtract, broadcast", Op::Binary(Binary::Subtract), [2, 3, 2])
            .with(&[(&[2, 1, 2], Any)])
            .gives(1.2877, [-0.818926, -1.38755, -2.9589, -1.01953]),
        Case::new("multiply, broadcast", Op::Binary(Binary::Multiply), [2, 3, 2])
            .with(&[(&[2, 1, 2], Any)])
            .gives(1.76915, [0.559511, -0.0826529, -2.18871, -0.059699]),
        Case::new("divide, broadcast", Op::Binary(Binary::Divide), [2, 3, 2])
            .with(&[(&[2, 1, 2], Any)])
            .gives(-2.28941, [0.351195, -21.2468, -0.989181, -15.3462]),
        Case::new("minimum, broadcast", Op::Binary(Binary::Minimum), [2, 3, 2])
            .with(&[(&[2, 1, 2], Any)])
            .gives(0.595101, [0.44328, -1.32518, -1.4714, -0.95716]),
        Case::new("maximum, broadcast", Op::Binary(Binary::Maximum), [2, 3, 2])
            .with(&[(&[2, 1, 2], Any)])
            .gives(-0.239938, [1.26221, 0.062371, 1.4875, 0.062371]),
        Case::new("equal, broadcast", Op::Binary(Binary::Equal), [2, 3, 2])
            .with(&[(&[2, 1, 2], Any)])
            .flat()
            .gives(0.0, [0.0, 0.0, 0.0, 0.0]),
        Case::new("less, broadcast", Op::Binary(Binary::Less), [2, 3, 2])
            .with(&[(&[2, 1, 2], Any)])
            .flat()
            .gives(0.771951, [1.0, 1.0, 1.0, 1.0]),
        Case::new("lessorequal, broadcast", Op::Binary(Binary::LessOrEqual), [2, 3, 2])
            .with(&[(&[2, 1, 2], Any)])
            .flat()
            .gives(0.771951, [1.0, 1.0, 1.0, 1.0]),
        Case::new("greater, broadcast", Op::Binary(Binary::Greater), [2, 3, 2])
            .with(&[(&[2, 1, 2], Any)])
            .flat()
            .gives(-1.31287, [0.0, 0.0, 0.0, 0.0]),
        Case::new("greaterorequal, broadcast", Op::Binary(Binary::GreaterOrEqual), [2, 3, 2])
            .with(&[(&[2, 1, 2], Any)])
            .flat()
            .gives(-1.31287, [0.0, 0.0, 0.0, 0.0]),
        Case::new("and, broadcast", Op::Binary(Binary::And), [2, 3, 2])
            .with(&[(&[2, 1, 2], Mask)])
            .flat()
            .gives(-0.540915, [1.0, 1.0, 1.0, 1.0]),
        Case::new("or, broadcast", Op::Binary(Binary::Or), [2, 3, 2])
            .with(&[(&[2, 1, 2], Mask)])
            .flat()
            .gives(-0.540915, [1.0, 1.0, 1.0, 1.0]),
        Case::new("power", Op::Binary(Binary::Power), [2, 3, 2])
            .of(Positive)
            .with(&[(&[3, 1], Any)])
            .gives(-0.0646122, [0.928948, 2.13709, 2.74459, 1.46442]),
        Case::new("prelu", Op::Prelu, [2, 3, 2]).with(&[(&[2, 1, 1], Any)]).gives(0.496186, [0.44328, -1.9712, -1.85722, -1.42377]),
        Case::new("where", Op::Where, [2, 3, 2])
            .of(Mask)
            .with(&[(&[2, 3, 2], Any), (&[1, 2], Any)])
            .flat()
            .gives(-1.57561, [1.26221, 0.64107, 0.64107, 0.64107]),
        Case::new("softmax", Op::Softmax { axis: 1 }, [4, 3, 2]).gives(0.29437, [0.254289, 0.0317482, 0.187645, 0.447101]),
        Case::new("softmax, last axis", Op::Softmax { axis: 3 }, [2, 3, 4]).gives(-0.336874, [0.126946, 0.0526337, 0.0847928, 0.413396]),
        Case::new("log softmax", Op::LogSoftmax { axis: 2 }, [2, 4, 3]).gives(-1.83116, [-1.37133, -3.44818, -1.66378, -0.804377]),
    ]
}
