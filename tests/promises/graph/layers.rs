//! Layers, norms and pooling on a few numbers, with what PyTorch says of them.

use gauntlet::graph::Op;

use super::Case;
use super::Kind::{Any, Positive};

pub fn cases() -> Vec<Case> {
    vec![
        Case::new("conv, stride 2, padding 1", Op::Conv { stride: [2, 2], padding: [1; 4], dilation: [1, 1], groups: 1 }, [2, 5, 4])
            .with(&[(&[3, 2, 3, 3], Any), (&[3], Any)])
            .gives(7.12707, [-4.02639, -11.6495, 12.5738, 10.8443]),
        Case::new("conv, uneven padding", Op::Conv { stride: [2, 1], padding: [0, 1, 1, 2], dilation: [1, 1], groups: 1 }, [2, 4, 4])
            .with(&[(&[2, 2, 3, 2], Any)])
            .gives(-28.2917, [2.6423, 5.3189, -6.6929, 0.0]),
        Case::new("conv, dilation", Op::Conv { stride: [1, 1], padding: [1, 0, 1, 0], dilation: [2, 1], groups: 1 }, [2, 5, 4])
            .with(&[(&[2, 2, 3, 3], Any)])
            .gives(-5.83791, [4.5851, 5.05476, -1.58712, 1.95542]),
        Case::new("conv, groups", Op::Conv { stride: [1, 1], padding: [0; 4], dilation: [1, 1], groups: 2 }, [4, 3, 3])
            .with(&[(&[4, 2, 2, 2], Any), (&[4], Any)])
            .gives(0.116035, [1.19339, -0.478549, 1.43293, -2.53996]),
        Case::new("linear", Op::Linear, [2, 3, 2])
            .view(&[12])
            .with(&[(&[4, 12], Any), (&[4], Any)])
            .gives(-13.5513, [13.0491, 1.40682, 3.254, 1.45537]),
        Case::new("linear over the last of three sides", Op::Linear, [2, 3, 2])
            .view(&[4, 3])
            .with(&[(&[5, 3], Any)])
            .gives(0.324182, [3.94416, -4.39481, 1.90135, 1.43342]),
        Case::new("matmul with a weight", Op::MatMul, [2, 3, 2])
            .view(&[4, 3])
            .with(&[(&[3, 2], Any)])
            .gives(-6.55372, [0.473167, -1.44144, -2.69455, 2.85518]),
        Case::new("matmul, leading sides broadcast", Op::MatMul, [2, 3, 2])
            .view(&[2, 2, 3])
            .with(&[(&[2, 3, 2], Any)])
            .gives(3.95032, [0.473167, -1.42586, -2.69455, -1.48365]),
        Case::new("normalise", Op::Normalise { mean: vec![0.1, 0.4], deviation: vec![0.5, 0.25] }, [2, 2, 2])
            .gives(-10.7963, [0.686561, -5.27115, 2.35131, -7.48562]),
        Case::new("normalise, one number", Op::Normalise { mean: vec![0.3], deviation: vec![0.5] }, [1, 2, 2])
            .gives(-7.29671, [0.286561, 2.37499, -0.475258, -3.25036]),
        Case::new("batch norm", Op::BatchNorm { epsilon: 1e-3, momentum: 0.1 }, [3, 2, 2])
            .with(&[(&[3], Any), (&[3], Any), (&[3], Any), (&[3], Positive)])
            .gives(2.42196, [1.59248, 0.0832791, -0.296855, -0.0135328]),
        Case::new("layer norm", Op::LayerNorm { axis: 2, epsilon: 1e-5 }, [3, 2, 3])
            .with(&[(&[2, 3], Any), (&[2, 3], Any)])
            .gives(22.8965, [1.18598, -2.93832, 1.59403, -1.16179]),
        Case::new("group norm", Op::GroupNorm { groups: 2, epsilon: 1e-5 }, [4, 2, 2])
            .with(&[(&[4], Any), (&[4], Any)])
            .gives(-2.8931, [1.791, 0.732811, 2.6105, -1.23511]),
        Case::new("instance norm", Op::GroupNorm { groups: 3, epsilon: 1e-5 }, [3, 2, 3])
            .with(&[(&[3], Any), (&[3], Any)])
            .gives(-4.03168, [1.18598, 2.54826, -0.919226, -0.311808]),
        Case::new(
            "max pool",
            Op::MaxPool { kernel: [3, 2], stride: [2, 2], padding: [1, 0, 1, 0], dilation: [1, 1], ceil: false },
            [2, 5, 4],
        )
        .gives(-1.92814, [1.26221, 0.514972, 1.46601, 1.44814]),
        Case::new(
            "max pool, uneven padding",
            Op::MaxPool { kernel: [2, 3], stride: [2, 1], padding: [0, 1, 1, 2], dilation: [1, 1], ceil: false },
            [2, 5, 4],
        )
        .gives(-3.94399, [1.26221, 0.514972, 1.33741, -1.21896]),
        Case::new(
            "max pool, ceil and dilation",
            Op::MaxPool { kernel: [2, 2], stride: [2, 2], padding: [1; 4], dilation: [2, 1], ceil: true },
            [2, 6, 5],
        )
        .gives(-1.56009, [-0.917787, 0.56205, -0.139187, 1.41019]),
        Case::new(
            "average pool",
            Op::AveragePool { kernel: [3, 2], stride: [2, 2], padding: [1, 1, 1, 1], count_padding: true, ceil: false },
            [2, 5, 4],
        )
        .gives(-0.182558, [0.0842752, -0.0736979, 0.219293, -0.0605431]),
        Case::new(
            "average pool, padding not counted",
            Op::AveragePool { kernel: [3, 2], stride: [2, 2], padding: [1, 1, 1, 1], count_padding: false, ceil: false },
            [2, 5, 4],
        )
        .gives(-0.292606, [0.252826, -0.221094, 0.438587, -0.181629]),
        Case::new(
            "average pool, ceil",
            Op::AveragePool { kernel: [3, 3], stride: [2, 2], padding: [1, 1, 1, 1], count_padding: true, ceil: true },
            [2, 6, 4],
        )
        .gives(-0.090008, [0.0944523, 0.241435, -0.217844, -0.275851]),
        Case::new(
            "average pool, ceil, padding not counted",
            Op::AveragePool { kernel: [3, 3], stride: [2, 2], padding: [1, 1, 1, 1], count_padding: false, ceil: true },
            [2, 6, 4],
        )
        .gives(-0.139533, [0.212518, 0.362153, -0.217844, -1.1034]),
        Case::new(
            "average pool, uneven padding not counted",
            Op::AveragePool { kernel: [2, 2], stride: [2, 2], padding: [0, 1, 1, 0], count_padding: false, ceil: false },
            [2, 5, 5],
        )
        .gives(1.24702, [-0.237253, 0.00222304, -0.146726, 0.189592]),
        Case::new("adaptive average pool", Op::AdaptiveAveragePool { size: [2, 3] }, [2, 5, 4])
            .gives(-0.0833877, [0.126095, 0.267474, 0.251108, -0.339603]),
        Case::new("global average pool", Op::AdaptiveAveragePool { size: [1, 1] }, [3, 5, 4])
            .gives(0.346083, [0.0888757, 0.12401, -0.139041, 0.143673]),
    ]
}
