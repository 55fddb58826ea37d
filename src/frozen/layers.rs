//! What a graph comes to before it is laid out in memory: layers over values of one image each.

use super::passes::Convolution;
use super::pool::MaxPool;
use super::rows::Rows;
use crate::graph::{Binary, Unary};

/// A value, by its number; 0 are the images.
pub(super) type Number = usize;

/// A step of the network, with one result.
#[derive(Clone, Debug)]
pub(super) struct Layer {
    pub(super) kind: Kind,
    pub(super) inputs: Vec<Number>,
    pub(super) output: Number,
}

/// What a layer does.
#[derive(Clone, Debug)]
pub(super) enum Kind {
    /// A convolution of the first input, the second added where there is one.
    Convolution {
        of: Box<Convolution>,
        rectify: bool,
    },
    /// Each element times a number, plus a number.
    Affine {
        of: Affine,
        rectify: bool,
    },
    /// A sum of sparse matrices, one an input, whose rows do not meet.
    Rows(Vec<Rows>),
    /// The same elements with other sides.
    View,
    MaxPool(MaxPool),
    Unary(Unary),
    /// A function of two values, or of one and numbers.
    Pair(Pair),
    /// Runs of so many elements, brought to mean 0 and variance 1.
    Standardise {
        run: usize,
        epsilon: f32,
    },
    /// Over `count` elements, each `apart` from the next; or its logarithm.
    Softmax {
        count: usize,
        apart: usize,
        logarithm: bool,
    },
}

/// Element i is multiplied by `scale[i / each % scale.len()]` and `shift` likewise is added.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Affine {
    pub(super) each: usize,
    pub(super) scale: Vec<f32>,
    pub(super) shift: Vec<f32>,
}

/// A function of two.
#[derive(Clone, Debug)]
pub(super) struct Pair {
    pub(super) function: Function,
    /// By element of the result, that of the first and of the second; empty where they are the result's own.
    pub(super) picks: [Vec<u32>; 2],
    /// In place of one of the two.
    pub(super) numbers: [Option<Vec<f32>>; 2],
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Function {
    Binary(Binary),
    /// The first where positive, else the first times the second.
    Prelu,
}

/// A network as layers.
#[derive(Clone, Debug)]
pub(super) struct Network {
    /// Sides of each value.
    pub(super) sides: Vec<[usize; 3]>,
    pub(super) layers: Vec<Layer>,
    pub(super) output: Number,
}

impl Kind {
    /// Whether the result is rectified as it is made.
    pub(super) fn rectifies(&self) -> bool {
        matches!(self, Self::Convolution { rectify: true, .. } | Self::Affine { rectify: true, .. })
    }
}
