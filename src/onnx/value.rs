//! What a name in an ONNX graph stands for while it is read.

use std::rc::Rc;

use miette::Diagnostic;

use super::array::Array;
use super::dim;
use crate::Error;
use crate::graph::{Dim, Source};

/// A value: worked out when the network runs, or known now.
#[derive(Clone, Debug)]
pub(super) enum Value {
    /// Made of the images.
    Live(Live),
    /// Floats. `origin`: the initialiser that they are, or were before they were only moved about.
    Floats { array: Rc<Array<f32>>, origin: Option<Rc<str>> },
    /// Whole numbers and booleans, linear in the number of examples.
    Whole(Rc<Array<Dim>>),
}

/// A value of the network.
#[derive(Clone, Debug)]
pub(super) struct Live {
    pub source: Source,
    pub sides: Vec<Dim>,
    /// Whether it holds 0 and 1 alone.
    pub mask: bool,
}

impl Value {
    pub fn floats(array: Array<f32>) -> Self {
        Self::Floats { array: Rc::new(array), origin: None }
    }

    pub fn whole(array: Array<Dim>) -> Self {
        Self::Whole(Rc::new(array))
    }

    pub fn truth(truth: bool) -> Dim {
        dim::fixed(i64::from(truth))
    }

    pub fn sides(&self) -> Vec<Dim> {
        match self {
            Value::Live(live) => live.sides.clone(),
            Value::Floats { array, .. } => dim::sides(&array.sides),
            Value::Whole(array) => dim::sides(&array.sides),
        }
    }

    /// The sides of a constant.
    pub fn known_sides(&self) -> Option<&[usize]> {
        match self {
            Value::Live(_) => None,
            Value::Floats { array, .. } => Some(&array.sides),
            Value::Whole(array) => Some(&array.sides),
        }
    }

    pub fn rank(&self) -> usize {
        match self {
            Value::Live(live) => live.sides.len(),
            Value::Floats { array, .. } => array.sides.len(),
            Value::Whole(array) => array.sides.len(),
        }
    }
}

impl From<Live> for Value {
    fn from(live: Live) -> Self {
        Self::Live(live)
    }
}

/// A name out of a file, short enough for a message.
pub(super) fn clip(name: &str) -> String {
    const LONGEST: usize = 120;
    let short: String = name.chars().take(LONGEST).filter(|letter| !letter.is_control()).collect();
    if name.chars().nth(LONGEST).is_some() { format!("{short}..") } else { short }
}

/// An error with the place in the file before it, and a way out where it names none.
pub(super) fn within(place: &str, error: &Error) -> Error {
    const DAMAGED: &str = "the file is damaged or was written by a faulty exporter: export it again";
    let help = Diagnostic::help(error).map_or_else(|| DAMAGED.to_owned(), |help| help.to_string());
    Error::input(format!("{place}: {}", error.message())).help(help)
}
