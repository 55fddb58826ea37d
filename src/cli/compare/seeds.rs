//! Defences that were trained with several seeds, by the name that they have in the suite.

use std::collections::BTreeMap;

use crate::report::compare::Choice;
use crate::report::gather::{Gathered, gather};
use crate::store::Store;
use crate::{Error, Result};

/// The seeds of a group, by number, with their names in the results.
type Seeds = BTreeMap<u64, String>;

/// What is to be compared, and what has no counterpart.
pub struct Choices {
    /// One a seed where a name is a group's.
    pub paired: Vec<Choice>,
    /// Seeds of A alone, and of B alone, by the names that they have in the results.
    pub alone: [Vec<String>; 2],
}

/// The choices that names come to. A name that no defence has is left for the comparison to refuse.
pub fn choices(a: &Store, b: &Store, defence: Option<&str>, with: Option<&str>) -> Result<Choices> {
    let all = |paired| Choices { paired, alone: Default::default() };
    let Some(name) = defence else { return Ok(all(vec![Choice::default()])) };
    let other = with.unwrap_or(name);
    let one = |defence: &str, with: &str| Choice { defence: Some(defence.into()), with: Some(with.into()) };
    Ok(match (group(a, name)?, group(b, other)?) {
        (None, None) => all(vec![Choice { defence: Some(name.into()), with: with.map(str::to_owned) }]),
        (Some(seeds), None) => all(seeds.values().map(|seed| one(seed, other)).collect()),
        (None, Some(seeds)) => all(seeds.values().map(|seed| one(name, seed)).collect()),
        (Some(seeds), Some(others)) => {
            let paired: Vec<Choice> = seeds.iter().filter_map(|(seed, name)| Some(one(name, others.get(seed)?))).collect();
            if paired.is_empty() {
                let told = |seeds: &Seeds| seeds.values().cloned().collect::<Vec<_>>().join(", ");
                let message = format!("{name} of A and {other} of B have no training seed in common");
                let help = format!("name one of each: A has {}; B has {}", told(&seeds), told(&others));
                return Err(Error::input(message).help(help));
            }
            let without = |seeds: &Seeds, others: &Seeds| -> Vec<String> {
                seeds.iter().filter(|(seed, _)| !others.contains_key(seed)).map(|(_, name)| name.clone()).collect()
            };
            Choices { paired, alone: [without(&seeds, &others), without(&others, &seeds)] }
        }
    })
}

/// The seeds of the group of that name; none where it is a defence's own, or nobody's.
fn group(store: &Store, name: &str) -> Result<Option<Seeds>> {
    let Gathered { layout, results, .. } = gather(store)?;
    if layout.defences.iter().any(|defence| defence == name) {
        return Ok(None);
    }
    // A seed whose turn has not come yet is in the layout alone.
    let is_another = |full: &str| results.defences.iter().any(|info| info.name == full && info.recipe.as_deref() != Some(name));
    let seed = |full: &String| Some((full.strip_prefix(name)?.strip_prefix('#')?.parse().ok()?, full.clone()));
    let seeds: Seeds = layout.defences.iter().filter(|full| !is_another(full)).filter_map(seed).collect();
    Ok((!seeds.is_empty()).then_some(seeds))
}
