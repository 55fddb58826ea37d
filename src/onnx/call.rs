//! One node of a file as its translator sees it: values, attributes and the opset that says what they mean.

use super::array::Array;
use super::dim::number;
use super::value::{Live, Value, clip};
use super::wire::{Attribute, Node};
use super::writer::Writer;
use crate::graph::Dim;
use crate::{Error, Result};

/// The longest list of axes, sides or steps.
const LONGEST: usize = 4096;

/// A node whose inputs are known.
pub(super) struct Call<'a> {
    pub node: &'a Node,
    /// Its name, or one made of its first output.
    pub name: &'a str,
    /// `None`: left out.
    pub inputs: Vec<Option<Value>>,
    /// The version of the operators' definitions.
    pub opset: i64,
}

impl Call<'_> {
    /// An input that has to be there.
    pub fn value(&self, at: usize) -> Result<&Value> {
        self.optional(at).ok_or_else(|| Error::input(format!("input {at} is missing")))
    }

    pub fn optional(&self, at: usize) -> Option<&Value> {
        self.inputs.get(at).and_then(Option::as_ref)
    }

    /// An input as a value of the network.
    pub fn live(&self, at: usize, writer: &mut Writer) -> Result<Live> {
        writer.live(self.value(at)?, self.name)
    }

    /// An input of whole numbers, N among them.
    pub fn whole(&self, at: usize) -> Result<Option<&Array<Dim>>> {
        match self.optional(at) {
            None => Ok(None),
            Some(Value::Whole(array)) => Ok(Some(array)),
            Some(_) => Err(Error::input(format!("input {at} has to be whole numbers that are known before the network runs"))
                .help("export with fixed image sides; shapes and indices must not depend on the images")),
        }
    }

    /// An input of whole numbers without N.
    pub fn numbers(&self, at: usize) -> Result<Option<Vec<i64>>> {
        let Some(array) = self.whole(at)? else { return Ok(None) };
        if array.values.len() > LONGEST {
            return Err(Error::input(format!("input {at} lists {} numbers, at most {LONGEST} make sense", array.values.len())));
        }
        let numbers: Option<Vec<i64>> = array.values.iter().map(|dim| number(*dim)).collect();
        numbers.map(Some).ok_or_else(|| {
            Error::input(format!("input {at} depends on the number of examples"))
                .help("export so that the batch dimension is only copied, never reckoned with")
        })
    }

    /// An input of one float, known before the network runs.
    pub fn scalar(&self, at: usize) -> Result<Option<f32>> {
        let single = match self.optional(at) {
            None => return Ok(None),
            Some(Value::Floats { array, .. }) if array.values.len() == 1 => Some(array.values[0]),
            Some(Value::Whole(array)) if array.values.len() == 1 => number(array.values[0]).map(|number| number as f32),
            Some(_) => None,
        };
        single.map(Some).ok_or_else(|| Error::input(format!("input {at} has to be one number that is known before the network runs")))
    }

    pub fn attribute(&self, name: &str) -> Option<&Attribute> {
        self.node.attributes.iter().find(|attribute| attribute.name == name)
    }

    fn typed<T>(&self, name: &str, kind: &str, read: impl Fn(&Attribute) -> Option<T>) -> Result<Option<T>> {
        let Some(attribute) = self.attribute(name) else { return Ok(None) };
        read(attribute).map(Some).ok_or_else(|| Error::input(format!("attribute \"{name}\" is not {kind}")))
    }

    pub fn int(&self, name: &str, default: i64) -> Result<i64> {
        // A number that is 0 may be left out of the file.
        let read = |attribute: &Attribute| attribute.int.or((attribute.kind == 2).then_some(0));
        Ok(self.typed(name, "a whole number", read)?.unwrap_or(default))
    }

    pub fn flag(&self, name: &str) -> Result<bool> {
        Ok(self.int(name, 0)? != 0)
    }

    pub fn float(&self, name: &str, default: f32) -> Result<f32> {
        let read = |attribute: &Attribute| attribute.float.or((attribute.kind == 1).then_some(0.0));
        Ok(self.typed(name, "a number", read)?.unwrap_or(default))
    }

    pub fn ints(&self, name: &str) -> Result<Option<Vec<i64>>> {
        self.typed(name, "a list of whole numbers", |attribute| (matches!(attribute.kind, 0 | 7)).then(|| attribute.ints.clone()))
    }

    pub fn floats(&self, name: &str) -> Result<Option<Vec<f32>>> {
        self.typed(name, "a list of numbers", |attribute| (matches!(attribute.kind, 0 | 6)).then(|| attribute.floats.clone()))
    }

    pub fn text(&self, name: &str, default: &str) -> Result<String> {
        let read = |attribute: &Attribute| attribute.text.clone().and_then(|bytes| String::from_utf8(bytes).ok());
        Ok(self.typed(name, "text", read)?.unwrap_or_else(|| default.into()))
    }

    /// An attribute that became an input at opset `since`: a list of whole numbers.
    pub fn list(&self, name: &str, at: usize, since: i64) -> Result<Option<Vec<i64>>> {
        if self.opset >= since { self.numbers(at) } else { self.ints(name) }
    }
}

/// An axis that may count from the end.
pub(super) fn axis(axis: i64, rank: usize) -> Result<usize> {
    let counted = if axis < 0 { axis.checked_add(rank as i64) } else { Some(axis) };
    let counted = counted.and_then(|axis| usize::try_from(axis).ok()).filter(|axis| *axis < rank);
    counted.ok_or_else(|| Error::input(format!("axis {axis} of a value with {rank} axes")))
}

/// Several axes in ascending order, none twice.
pub(super) fn axes(list: &[i64], rank: usize) -> Result<Vec<usize>> {
    if list.len() > rank {
        return Err(Error::input(format!("{} axes of a value with {rank}", list.len())));
    }
    let mut axes = list.iter().map(|at| axis(*at, rank)).collect::<Result<Vec<_>>>()?;
    axes.sort_unstable();
    if axes.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err(Error::input(format!("axes {list:?} name one twice")));
    }
    Ok(axes)
}

/// An attribute that takes a value other than those known.
pub(super) fn unknown(attribute: &str, found: &str, known: &str) -> Error {
    Error::input(format!("{attribute} = {} is not read", clip(found))).help(format!("export with one of: {known}"))
}
