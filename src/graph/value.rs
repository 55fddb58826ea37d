//! A float tensor of any rank, on any device, with gradients where the device keeps them.
//!
//! Burn's [`Tensor`] has its rank in its type, a graph's values do not: this is the tensor under it. A value of rank 0 is kept as [1].

use burn::backend::ops::{ActivationOps, BoolTensorOps, FloatTensorOps, ModuleOps};
use burn::backend::{Dispatch, DispatchTensor, Scalar, TensorMetadata, get_or_init_device_settings};
use burn::tensor::{BoolDType, FloatDType, Int, Shape, Slice, Tensor};

/// A float tensor of any rank.
#[derive(Clone, Debug)]
pub struct Value(pub(super) DispatchTensor);

/// Calls operations of one tensor that need nothing else.
macro_rules! plain {
    ($($name:ident => $operation:ident),* $(,)?) => {
        $(pub(super) fn $name(self) -> Self {
            Self(Dispatch::$operation(self.0))
        })*
    };
}

/// Calls operations of a tensor and a number.
macro_rules! with_number {
    ($($name:ident => $operation:ident),* $(,)?) => {
        $(pub(super) fn $name(self, number: f32) -> Self {
            Self(Dispatch::$operation(self.0, Scalar::from(number)))
        })*
    };
}

/// Calls operations of two tensors, broadcast.
macro_rules! with_value {
    ($($name:ident => $operation:ident),* $(,)?) => {
        $(pub(super) fn $name(self, other: Self) -> Self {
            let (a, b) = level(self, other);
            Self(Dispatch::$operation(a.0, b.0))
        })*
    };
}

impl Value {
    /// The value of a tensor.
    pub fn new<const D: usize>(tensor: Tensor<D>) -> Self {
        Self(tensor.into_dispatch())
    }

    /// The value as a tensor of its rank.
    ///
    /// # Panics
    /// Where the rank is another.
    pub fn tensor<const D: usize>(self) -> Tensor<D> {
        assert_eq!(self.0.shape().num_dims(), D, "a value of another rank");
        Tensor::from_dispatch(self.0)
    }

    /// Its sides.
    pub fn shape(&self) -> Vec<usize> {
        self.0.shape().to_vec()
    }

    plain! {
        relu => relu,
        sigmoid => sigmoid,
        tanh => float_tanh,
        erf => float_erf,
        exp => float_exp,
        log => float_log,
        log1p => float_log1p,
        sqrt => float_sqrt,
        abs => float_abs,
        negate => float_neg,
        reciprocal => float_recip,
        sign => float_sign,
        floor => float_floor,
        ceil => float_ceil,
        round => float_round,
        truncate => float_trunc,
        sin => float_sin,
        cos => float_cos,
        detach => float_detach,
    }

    with_number! {
        plus => float_add_scalar,
        times => float_mul_scalar,
        at_least => float_clamp_min,
        at_most => float_clamp_max,
        leaky_relu => leaky_relu,
        power_of => float_powf_scalar,
    }

    with_value! {
        add => float_add,
        subtract => float_sub,
        multiply => float_mul,
        divide => float_div,
        power => float_powf,
    }

    pub(super) fn clamp(self, min: f32, max: f32) -> Self {
        Self(Dispatch::float_clamp(self.0, min.into(), max.into()))
    }

    /// To other sides, as many elements; no sides are kept as [1].
    pub(super) fn reshape(self, sides: &[usize]) -> Self {
        let sides = if sides.is_empty() { &[1] } else { sides };
        if self.0.shape().iter().eq(sides) {
            return self;
        }
        Self(Dispatch::float_reshape(self.0, Shape::from(sides.to_vec())))
    }

    /// Broadcast to sides of the same or a higher rank.
    pub(super) fn expand(self, sides: &[usize]) -> Self {
        let value = self.ranked(sides.len());
        if value.0.shape().iter().eq(sides) {
            return value;
        }
        Self(Dispatch::float_expand(value.0, Shape::from(sides.to_vec())))
    }

    /// Sides of 1 in front until it has that rank.
    pub(super) fn ranked(self, rank: usize) -> Self {
        let sides = self.shape();
        let front = rank.saturating_sub(sides.len());
        let sides: Vec<usize> = std::iter::repeat_n(1, front).chain(sides).collect();
        self.reshape(&sides)
    }

    /// A vector [C] as it broadcasts over the channels of a value [N, C, ..] of that rank.
    pub(super) fn per_channel(self, rank: usize) -> Self {
        let mut sides = vec![1; rank];
        sides[1] = self.0.shape().num_elements();
        self.reshape(&sides)
    }

    pub(super) fn permute(self, axes: &[usize]) -> Self {
        Self(Dispatch::float_permute(self.0, axes))
    }

    pub(super) fn swap(self, a: usize, b: usize) -> Self {
        Self(Dispatch::float_swap_dims(self.0, a, b))
    }

    pub(super) fn slice(self, slices: &[Slice]) -> Self {
        Self(Dispatch::float_slice(self.0, slices))
    }

    pub(super) fn select(self, axis: usize, indices: Tensor<1, Int>) -> Self {
        Self(Dispatch::float_select(self.0, axis, indices.into_dispatch()))
    }

    pub(super) fn concat(values: Vec<Self>, axis: usize) -> Self {
        Self(Dispatch::float_cat(values.into_iter().map(|value| value.0).collect(), axis))
    }

    /// x [.., in] times weight [in, out], plus bias [out].
    pub(super) fn linear(self, weight: Self, bias: Option<Self>) -> Self {
        Self(Dispatch::linear(self.0, weight.0, bias.map(|bias| bias.0)))
    }

    pub(super) fn matmul(self, other: Self) -> Self {
        Self(Dispatch::float_matmul(self.0, other.0))
    }

    pub(super) fn softmax(self, axis: usize) -> Self {
        Self(Dispatch::softmax(self.0, axis))
    }

    pub(super) fn log_softmax(self, axis: usize) -> Self {
        Self(Dispatch::log_softmax(self.0, axis))
    }

    /// Over an axis, whose side becomes 1.
    pub(super) fn sum(self, axis: usize) -> Self {
        Self(Dispatch::float_sum_dim(self.0, axis))
    }

    pub(super) fn mean(self, axis: usize) -> Self {
        Self(Dispatch::float_mean_dim(self.0, axis))
    }

    pub(super) fn max(self, axis: usize) -> Self {
        Self(Dispatch::float_max_dim(self.0, axis))
    }

    pub(super) fn min(self, axis: usize) -> Self {
        Self(Dispatch::float_min_dim(self.0, axis))
    }

    pub(super) fn product(self, axis: usize) -> Self {
        Self(Dispatch::float_prod_dim(self.0, axis))
    }

    /// This where the mask is false, `other` where it is true; all of the same sides.
    pub(super) fn masked(self, mask: Mask, other: Self) -> Self {
        Self(Dispatch::float_mask_where(self.0, mask.0, other.0))
    }
}

/// Two values at the higher of their ranks.
fn level(a: Value, b: Value) -> (Value, Value) {
    let rank = a.0.shape().num_dims().max(b.0.shape().num_dims());
    (a.ranked(rank), b.ranked(rank))
}

/// A condition an element, with the type of the numbers that it was asked of.
pub(super) struct Mask(DispatchTensor, FloatDType);

impl Mask {
    /// Compares two values of the same sides.
    pub(super) fn compare(a: Value, b: Value, how: fn(DispatchTensor, DispatchTensor, BoolDType) -> DispatchTensor) -> Self {
        let (kind, of) = (kind(&a), a.0.dtype().into());
        Self(how(a.0, b.0, kind), of)
    }

    /// Where a value is 0.
    pub(super) fn zero(value: Value) -> Self {
        let (kind, of) = (kind(&value), value.0.dtype().into());
        Self(Dispatch::float_equal_elem(value.0, Scalar::from(0.0f32), kind), of)
    }

    /// Where a value is not 0.
    pub(super) fn set(value: Value) -> Self {
        let (kind, of) = (kind(&value), value.0.dtype().into());
        Self(Dispatch::float_not_equal_elem(value.0, Scalar::from(0.0f32), kind), of)
    }

    pub(super) fn and(self, other: Self) -> Self {
        Self(Dispatch::bool_and(self.0, other.0), self.1)
    }

    pub(super) fn or(self, other: Self) -> Self {
        Self(Dispatch::bool_or(self.0, other.0), self.1)
    }

    /// 1 where it holds, else 0.
    pub(super) fn value(self) -> Value {
        Value(Dispatch::bool_into_float(self.0, self.1))
    }
}

/// How the device keeps conditions.
fn kind(value: &Value) -> BoolDType {
    get_or_init_device_settings::<Dispatch>(&value.0.device()).bool_dtype
}
