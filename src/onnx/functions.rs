//! Functions that a file defines for itself: their bodies take the place of their calls.

use std::collections::HashMap;

use prost::Message;

use super::value::clip;
use super::wire::{Attribute, Function, Node, Opset};
use crate::{Error, Result};

/// How deep functions may call each other.
const DEEPEST: usize = 16;

/// Bytes of the nodes that all calls together become, beyond those of the functions: a few can ask for billions of nodes.
const MOST_BYTES: usize = 1 << 25;

/// Nodes that all calls together become.
const MOST_NODES: usize = 1 << 16;

/// A node with the version of ONNX's own operators that holds for it.
pub(super) struct Step {
    pub node: Node,
    pub opset: i64,
}

/// The version of ONNX's own operators; 0 where none is named.
pub(super) fn version(opsets: &[Opset]) -> i64 {
    opsets.iter().filter(|opset| matches!(opset.domain.as_str(), "" | "ai.onnx")).map(|opset| opset.version).max().unwrap_or(0)
}

/// The nodes of a graph, calls of functions replaced by what they do.
///
/// # Errors
/// Functions that are defined twice, call each other without end, or grow without bound.
pub(super) fn inlined(nodes: Vec<Node>, functions: &[Function], opset: i64) -> Result<Vec<Step>> {
    let mut known = HashMap::new();
    for function in functions {
        if known.insert((function.domain.as_str(), function.name.as_str()), function).is_some() {
            return Err(Error::input(format!("function \"{}\" is defined twice", clip(&function.name))));
        }
    }
    let stated: usize = functions.iter().map(Message::encoded_len).sum();
    let most = MOST_BYTES.saturating_add(stated.saturating_mul(4));
    let mut inliner = Inliner { known, steps: Vec::with_capacity(nodes.len()), calls: 0, nodes: 0, bytes: 0, most };
    for node in nodes {
        inliner.place(node, opset, 0)?;
    }
    Ok(inliner.steps)
}

struct Inliner<'a> {
    known: HashMap<(&'a str, &'a str), &'a Function>,
    steps: Vec<Step>,
    calls: usize,
    nodes: usize,
    bytes: usize,
    /// The most of them.
    most: usize,
}

impl Inliner<'_> {
    fn place(&mut self, node: Node, opset: i64, depth: usize) -> Result<()> {
        let Some(function) = self.known.get(&(node.domain.as_str(), node.op.as_str())).copied() else {
            self.steps.push(Step { node, opset });
            return Ok(());
        };
        if depth == DEEPEST {
            return Err(Error::input(format!("function \"{}\" is called more than {DEEPEST} calls deep", clip(&node.op)))
                .help("functions of a file must not call themselves"));
        }
        self.calls += 1;
        let opset = match version(&function.opsets) {
            0 => opset,
            own => own,
        };
        let mut names: HashMap<&str, String> = HashMap::new();
        let ends = function.inputs.iter().zip(&node.inputs).chain(function.outputs.iter().zip(&node.outputs));
        names.extend(ends.map(|(inside, outside)| (inside.as_str(), outside.clone())));
        for name in function.inputs.iter().skip(node.inputs.len()) {
            names.insert(name, String::new());
        }
        for inner in &function.nodes {
            self.nodes += 1;
            self.bytes = self.bytes.saturating_add(inner.encoded_len());
            if self.nodes > MOST_NODES || self.bytes > self.most {
                return Err(unbounded(function));
            }
            for name in inner.inputs.iter().chain(&inner.outputs).filter(|name| !name.is_empty()) {
                let fresh = names.len();
                names.entry(name).or_insert_with(|| format!("#{}.{fresh}", self.calls));
            }
            let longer = |name: &String| names.get(name.as_str()).map_or(0, String::len);
            self.bytes = self.bytes.saturating_add(inner.inputs.iter().chain(&inner.outputs).map(longer).sum());
            if self.bytes > self.most {
                return Err(unbounded(function));
            }
            let renamed = |name: &String| names.get(name.as_str()).cloned().unwrap_or_default();
            let (inputs, outputs) = (inner.inputs.iter().map(renamed).collect(), inner.outputs.iter().map(renamed).collect());
            let attributes = inner.attributes.iter().filter_map(|attribute| given(attribute, &node, function)).collect();
            let name = clip(&format!("{}/{}", clip(&node.name), clip(if inner.name.is_empty() { &inner.op } else { &inner.name })));
            let inner = Node { inputs, outputs, name, op: inner.op.clone(), attributes, domain: inner.domain.clone() };
            self.bytes = self.bytes.saturating_add(inner.encoded_len());
            self.place(inner, opset, depth + 1)?;
        }
        Ok(())
    }
}

fn unbounded(function: &Function) -> Error {
    Error::input(format!("function \"{}\" makes the graph grow without bound", clip(&function.name)))
        .help("the file is damaged: export it again")
}

/// An attribute of a body's node, with the call's or the default value where it stands for one; `None` where there is neither.
fn given(attribute: &Attribute, call: &Node, function: &Function) -> Option<Attribute> {
    if attribute.refers_to.is_empty() {
        return Some(attribute.clone());
    }
    let stated = call.attributes.iter().chain(&function.defaults).find(|other| other.name == attribute.refers_to)?;
    Some(Attribute { name: attribute.name.clone(), ..stated.clone() })
}
