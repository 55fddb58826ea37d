//! What a pickle is read into: values in one list that name each other by position, so that shared and even circular parts cost nothing
//! and nothing is ever walked, copied or dropped recursively.

use std::rc::Rc;

/// The position of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Id(pub(super) u32);

/// A Python value, as far as checkpoints need it.
#[derive(Debug)]
pub(super) enum Value {
    Nothing,
    Flag(bool),
    Integer(i128),
    Text(Rc<str>),
    Tuple(Vec<Id>),
    List(Vec<Id>),
    /// In the order of insertion; of equal keys the last one counts.
    Dict(Vec<(Id, Id)>),
    /// A function or class by its full name.
    Global(Rc<str>),
    Storage(Box<Storage>),
    Tensor(Box<View>),
    /// Anything else: its type's name, and the state that was set on it.
    Object {
        class: Rc<str>,
        state: Option<Id>,
    },
}

/// Numbers that tensors are views of.
#[derive(Clone, Debug)]
pub(super) struct Storage {
    pub(super) key: Rc<str>,
    /// `None`: bytes whose type the tensor states.
    pub(super) kind: Option<Kind>,
    /// Elements, or bytes where there is no type.
    pub(super) count: usize,
    /// Where a view of an older file starts, elements.
    pub(super) first: usize,
}

/// A strided view of a storage.
#[derive(Clone, Debug)]
pub(super) struct View {
    pub(super) storage: Storage,
    pub(super) kind: Kind,
    pub(super) offset: usize,
    pub(super) shape: Vec<usize>,
    pub(super) strides: Vec<usize>,
}

/// The type of a number in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    F32,
    F64,
    F16,
    Bf16,
    I64,
    I32,
    I16,
    I8,
    U8,
    Bool,
}

impl Kind {
    /// Bytes an element.
    pub(super) fn size(self) -> usize {
        match self {
            Kind::F64 | Kind::I64 => 8,
            Kind::F32 | Kind::I32 => 4,
            Kind::F16 | Kind::Bf16 | Kind::I16 => 2,
            Kind::I8 | Kind::U8 | Kind::Bool => 1,
        }
    }

    /// The kind that `torch.FloatStorage` and its likes hold.
    pub(super) fn of_storage(class: &str) -> Option<Self> {
        let name = class.rsplit('.').next().unwrap_or(class);
        Some(match name.strip_suffix("Storage")? {
            "Float" => Kind::F32,
            "Double" => Kind::F64,
            "Half" => Kind::F16,
            "BFloat16" => Kind::Bf16,
            "Long" => Kind::I64,
            "Int" => Kind::I32,
            "Short" => Kind::I16,
            "Char" => Kind::I8,
            "Byte" => Kind::U8,
            "Bool" => Kind::Bool,
            _ => return None,
        })
    }

    /// The kind that `torch.float32` and its likes name.
    pub(super) fn of_dtype(class: &str) -> Option<Self> {
        Some(match class.strip_prefix("torch.")? {
            "float32" | "float" => Kind::F32,
            "float64" | "double" => Kind::F64,
            "float16" | "half" => Kind::F16,
            "bfloat16" => Kind::Bf16,
            "int64" | "long" => Kind::I64,
            "int32" | "int" => Kind::I32,
            "int16" | "short" => Kind::I16,
            "int8" => Kind::I8,
            "uint8" => Kind::U8,
            "bool" => Kind::Bool,
            _ => return None,
        })
    }

    /// Reads one element as a float; `bytes` are as many as [`Kind::size`] says, little-endian.
    fn number(self, bytes: &[u8]) -> f32 {
        use burn::tensor::{bf16, f16};
        let two = || u16::from_le_bytes([bytes[0], bytes[1]]);
        let four = || [bytes[0], bytes[1], bytes[2], bytes[3]];
        let eight = || [bytes[0], bytes[1], bytes[2], bytes[3], bytes[4], bytes[5], bytes[6], bytes[7]];
        match self {
            Kind::F32 => f32::from_le_bytes(four()),
            Kind::F64 => f64::from_le_bytes(eight()) as f32,
            Kind::F16 => f16::from_bits(two()).to_f32(),
            Kind::Bf16 => bf16::from_bits(two()).to_f32(),
            Kind::I64 => i64::from_le_bytes(eight()) as f32,
            Kind::I32 => i32::from_le_bytes(four()) as f32,
            Kind::I16 => two().cast_signed().into(),
            Kind::I8 => bytes[0].cast_signed().into(),
            Kind::U8 => bytes[0].into(),
            Kind::Bool => f32::from(u8::from(bytes[0] != 0)),
        }
    }

    /// All elements of `bytes` as floats.
    pub(super) fn numbers(self, bytes: &[u8]) -> Vec<f32> {
        bytes.chunks_exact(self.size()).map(|element| self.number(element)).collect()
    }
}

impl View {
    /// How many elements there are; `None` where no machine could count them.
    pub(super) fn len(&self) -> Option<usize> {
        self.shape.iter().try_fold(1usize, |count, &side| count.checked_mul(side))
    }

    /// One past the last element of the storage that the view reads; `None` where no machine could count so far.
    pub(super) fn end(&self) -> Option<usize> {
        let start = self.storage.first.checked_add(self.offset)?;
        if self.len()? == 0 {
            return Some(start);
        }
        let mut steps = self.shape.iter().zip(&self.strides);
        let last = steps.try_fold(start, |last, (&side, &stride)| last.checked_add((side - 1).checked_mul(stride)?))?;
        last.checked_add(1)
    }

    /// The view's elements in row-major order, out of its storage's bytes, which reach at least to [`View::end`].
    pub(super) fn gather(&self, bytes: &[u8]) -> Vec<f32> {
        let size = self.kind.size();
        let count = self.len().unwrap_or(0);
        if count == 0 {
            return Vec::new();
        }
        let start = self.storage.first + self.offset;
        let mut expected = 1;
        let contiguous = self.shape.iter().zip(&self.strides).rev().all(|(&side, &stride)| {
            let fits = side <= 1 || stride == expected;
            expected *= side;
            fits
        });
        if contiguous {
            return self.kind.numbers(&bytes[start * size..(start + count) * size]);
        }
        let mut index = vec![0; self.shape.len()];
        let mut at = start;
        let mut values = Vec::with_capacity(count);
        for _ in 0..count {
            values.push(self.kind.number(&bytes[at * size..(at + 1) * size]));
            for axis in (0..index.len()).rev() {
                // The stride of an axis of length 1 means nothing and may be any number.
                index[axis] += 1;
                at = at.wrapping_add(self.strides[axis]);
                if index[axis] < self.shape[axis] {
                    break;
                }
                at = at.wrapping_sub(index[axis].wrapping_mul(self.strides[axis]));
                index[axis] = 0;
            }
        }
        values
    }
}
