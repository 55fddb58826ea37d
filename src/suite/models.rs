//! What a run's models are: a fact of the run, so that one whose files were replaced neither goes on nor answers with another's numbers.

use std::collections::BTreeMap;

use super::resolved::Resolved;
use crate::model::source::Design;
use crate::store::Store;
use crate::{Error, Result};

/// The fact that has the hashes of a run's models, by defence or member.
const MODELS: &str = "models";

/// Keeps what the models are, or finds that they are what they were when the run was begun.
///
/// # Errors
/// Bad input: a model is another one now. A store that fails.
pub(super) fn refuse_replaced(store: &Store, resolved: &Resolved) -> Result<()> {
    let designs = resolved.suite.defences.iter().zip(&resolved.designs);
    let members = designs.flat_map(|(spec, designs)| spec.members().into_iter().zip(designs));
    let now: BTreeMap<String, String> = members.map(|(member, design)| (member.name, hash(design))).collect();
    let Some(text) = store.fact(MODELS)? else {
        return store.put_fact(MODELS, &serde_json::to_string(&now).expect("hashes are plain JSON"));
    };
    let before: BTreeMap<String, String> = serde_json::from_str(&text)
        .map_err(|error| Error::store(format!("the hashes of the run's models cannot be read: {error}")).help("use --fresh"))?;
    let replaced = now.iter().filter(|(name, hash)| before.get(*name).is_some_and(|before| before != *hash));
    let mistakes = replaced.map(|(name, _)| {
        Error::input(format!("defence \"{name}\": its model is another one than when this run was begun"))
            .help("put the former file back, choose another --out, or begin anew with --fresh")
    });
    Error::many("the run cannot go on with other models", mistakes.collect()).map_or(Ok(()), Err)
}

/// Hash of what a model computes and of the weights that it begins with (blake3, hexadecimal).
fn hash(design: &Design) -> String {
    let mut hasher = blake3::Hasher::new_derive_key("gauntlet model");
    for text in [serde_json::to_string(&design.graph).expect("a graph is plain JSON"), design.weights.hash()] {
        hasher.update(&(text.len() as u64).to_le_bytes());
        hasher.update(text.as_bytes());
    }
    hasher.finalize().to_hex().to_string()
}
