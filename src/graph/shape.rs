//! Sides of every value, worked out and checked before anything runs: a graph that passes runs without a mistake in its shapes.

mod rules;
pub(super) mod windows;

use std::collections::BTreeSet;

use super::dim::text;
use super::{Dim, Graph, Op, Source};
use crate::{Error, Result};

/// Numbers that one value may hold for one image.
const LARGEST: i64 = 1 << 31;

/// The largest rank of a value.
const RANKS: usize = 8;

impl Graph {
    /// Sides of each node's result.
    ///
    /// # Errors
    /// The first node whose inputs do not fit it, with its name, operation and their sides; names used twice; a node that reads what
    /// comes after it; a result that is not [N, classes].
    pub fn shapes(&self) -> Result<Vec<Vec<Dim>>> {
        let mut names = BTreeSet::new();
        for parameter in &self.parameters {
            if !names.insert(&parameter.name) {
                return Err(Error::input(format!("parameter \"{}\" is there twice", parameter.name)));
            }
            let sides: Vec<Dim> = parameter.shape.iter().map(|&side| Dim::from(side)).collect();
            if let Some(why) = fault(&sides) {
                return Err(Error::input(format!("parameter \"{}\" {}: {why}", parameter.name, text(&sides))));
            }
        }
        let mut shapes: Vec<Vec<Dim>> = Vec::with_capacity(self.nodes.len());
        for node in &self.nodes {
            let mut inputs = Vec::with_capacity(node.inputs.len());
            for &source in &node.inputs {
                let sides = self.sides(source, &shapes).ok_or_else(|| {
                    Error::input(format!("node \"{}\" ({}) reads {source:?}, which does not come before it", node.name, node.op.name()))
                })?;
                inputs.push(sides);
            }
            shapes.push(infer(&node.op, &node.name, &inputs)?);
        }
        let wanted = [Dim::EXAMPLES, Dim::from(self.classes)];
        match self.sides(self.output, &shapes) {
            Some(sides) if sides == wanted && self.classes > 0 => Ok(shapes),
            found => {
                let found = found.map_or_else(|| "nothing".into(), |sides| text(&sides));
                let message = format!("the network's result is {found}, not logits {}", text(&wanted));
                Err(Error::input(message).help("check the number of classes, and which value is the output"))
            }
        }
    }

    /// Sides of a value, those of the nodes given.
    pub(super) fn sides(&self, source: Source, shapes: &[Vec<Dim>]) -> Option<Vec<Dim>> {
        match source {
            Source::Input => Some(image_sides(self.input)),
            Source::Parameter(at) => self.parameters.get(at).map(|parameter| parameter.shape.iter().map(|&side| side.into()).collect()),
            Source::Node(at) => shapes.get(at).cloned(),
        }
    }
}

/// Sides of a batch of images.
pub(super) fn image_sides(shape: [usize; 3]) -> Vec<Dim> {
    [Dim::EXAMPLES].into_iter().chain(shape.map(Dim::from)).collect()
}

impl Op {
    /// Its name, for messages.
    pub fn name(&self) -> String {
        let text = match self {
            Op::Unary(function) => format!("{function:?}"),
            Op::Binary(function) => format!("{function:?}"),
            Op::Reduce { kind, .. } => format!("Reduce{kind:?}"),
            Op::Gather { .. } => "Gather".into(),
            op => format!("{op:?}"),
        };
        text.split(|letter: char| !letter.is_alphanumeric()).next().unwrap_or_default().to_owned()
    }
}

/// Sides of one node's result.
///
/// # Errors
/// Inputs that do not fit, with the node's name, operation and the inputs' sides.
pub fn infer(op: &Op, name: &str, inputs: &[Vec<Dim>]) -> Result<Vec<Dim>> {
    let wrong = |why: String| {
        let inputs: Vec<String> = inputs.iter().map(|sides| text(sides)).collect();
        Error::input(format!("node \"{name}\" ({}) of {}: {why}", op.name(), inputs.join(", ")))
    };
    let sides = rules::sides(op, inputs).map_err(wrong)?;
    match fault(&sides) {
        Some(why) => Err(wrong(format!("its result would be {}: {why}", text(&sides)))),
        None => Ok(sides),
    }
}

fn fault(sides: &[Dim]) -> Option<String> {
    if sides.len() > RANKS {
        return Some(format!("more than {RANKS} sides"));
    }
    if sides.iter().any(|side| !side.is_positive()) {
        return Some("a side without elements".into());
    }
    let elements = sides.iter().try_fold(1i64, |product, side| product.checked_mul(side.per_example.checked_add(side.fixed)?));
    if elements.is_none_or(|elements| elements > LARGEST) {
        return Some(format!("more than {LARGEST} numbers for one image"));
    }
    None
}
