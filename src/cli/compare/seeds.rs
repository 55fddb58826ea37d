//! Defences that were trained with several seeds, by the name that they have in the suite.

use std::collections::BTreeMap;

use crate::report::compare::Choice;
use crate::report::gather::{Gathered, gather};
use crate::store::Store;
use crate::{Error, Result};

/// The seeds of a group, by number, with their names in the results.
type Seeds = BTreeMap<u64, String>;

/// What is to be compared: one choice a seed where a name is a group's. A name that no defence has is left for the comparison to refuse.
pub fn choices(a: &Store, b: &Store, defence: Option<&str>, with: Option<&str>) -> Result<Vec<Choice>> {
    let Some(name) = defence else { return Ok(vec![Choice::default()]) };
    let other = with.unwrap_or(name);
    let one = |defence: &str, with: &str| Choice { defence: Some(defence.into()), with: Some(with.into()) };
    Ok(match (group(a, name)?, group(b, other)?) {
        (None, None) => vec![Choice { defence: Some(name.into()), with: with.map(str::to_owned) }],
        (Some(seeds), None) => seeds.values().map(|seed| one(seed, other)).collect(),
        (None, Some(seeds)) => seeds.values().map(|seed| one(name, seed)).collect(),
        (Some(seeds), Some(others)) => {
            let paired: Vec<Choice> = seeds.iter().filter_map(|(seed, name)| Some(one(name, others.get(seed)?))).collect();
            if paired.is_empty() {
                let told = |seeds: &Seeds| seeds.values().cloned().collect::<Vec<_>>().join(", ");
                let message = format!("{name} of A and {other} of B have no training seed in common");
                let help = format!("name one of each: A has {}; B has {}", told(&seeds), told(&others));
                return Err(Error::input(message).help(help));
            }
            paired
        }
    })
}

/// The seeds of the group of that name; none where it is a defence's own, or nobody's.
fn group(store: &Store, name: &str) -> Result<Option<Seeds>> {
    let Gathered { layout, results, .. } = gather(store)?;
    if layout.defences.iter().any(|defence| defence == name) {
        return Ok(None);
    }
    let of_group = results.defences.into_iter().filter(|info| info.recipe.as_deref() == Some(name));
    let seeds: Seeds = of_group.filter_map(|info| Some((info.seed?, info.name))).collect();
    Ok((!seeds.is_empty()).then_some(seeds))
}
