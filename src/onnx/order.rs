//! Which nodes the logits need, in an order in which each comes after what it reads.

use std::collections::HashMap;

use super::functions::Step;
use super::value::clip;
use crate::{Error, Result};

/// Mistakes that one message lists.
pub(super) const MOST_ERRORS: usize = 50;

/// Which node writes each name.
///
/// # Errors
/// Names that are written twice, or that are inputs or constants already.
pub(super) fn producers(steps: &[Step], taken: impl Fn(&str) -> bool) -> Result<HashMap<&str, usize>> {
    let mut producers = HashMap::new();
    for (at, step) in steps.iter().enumerate() {
        for name in step.node.outputs.iter().filter(|name| !name.is_empty()) {
            if taken(name) || producers.insert(name.as_str(), at).is_some() {
                return Err(Error::input(format!("node {} writes \"{}\", which something else writes too", label(step), clip(name)))
                    .help("every name in an ONNX graph is written once: the file is damaged"));
            }
        }
    }
    Ok(producers)
}

/// A node as messages name it.
pub(super) fn label(step: &Step) -> String {
    format!("\"{}\" ({})", clip(name(step)), clip(&step.node.op))
}

/// A node's name, or that of what it writes.
pub(super) fn name(step: &Step) -> &str {
    let first = step.node.outputs.iter().find(|name| !name.is_empty());
    if step.node.name.is_empty() { first.unwrap_or(&step.node.op) } else { &step.node.name }
}

/// The nodes that some outputs need.
///
/// # Errors
/// Names that nothing writes; nodes that need their own results.
pub(super) fn needed(
    steps: &[Step],
    producers: &HashMap<&str, usize>,
    known: impl Fn(&str) -> bool,
    outputs: &[&str],
) -> Result<Vec<usize>> {
    const OPEN: u8 = 1;
    const DONE: u8 = 2;
    let mut state = vec![0_u8; steps.len()];
    let mut order = Vec::new();
    let mut missing = Vec::new();
    for output in outputs {
        let Some(last) = producers.get(output) else {
            if known(output) {
                continue;
            }
            return Err(
                Error::input(format!("nothing writes the output \"{}\"", clip(output))).help("the file is damaged: export it again")
            );
        };
        let mut path = vec![(*last, 0)];
        while let Some((at, next)) = path.pop() {
            if next == 0 {
                if state[at] == DONE {
                    continue;
                }
                state[at] = OPEN;
            }
            let Some(name) = steps[at].node.inputs.get(next) else {
                state[at] = DONE;
                order.push(at);
                continue;
            };
            path.push((at, next + 1));
            match producers.get(name.as_str()) {
                Some(before) if state[*before] == OPEN => {
                    return Err(Error::input(format!("node {} needs its own result: the graph runs in a circle", label(&steps[*before])))
                        .help("the file is damaged: export it again"));
                }
                Some(before) if state[*before] != DONE => path.push((*before, 0)),
                None if !name.is_empty() && !known(name) && missing.len() < MOST_ERRORS => {
                    missing.push(
                        Error::input(format!("node {} reads \"{}\", which nothing writes", label(&steps[at]), clip(name)))
                            .help("the file is damaged, or its numbers were left out: export it again"),
                    );
                }
                _ => {}
            }
        }
    }
    match Error::many("the graph reads values that nothing writes", missing) {
        Some(error) => Err(error),
        None => Ok(order),
    }
}
