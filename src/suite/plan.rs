//! From a suite to the cells that it asks for.

use serde::Serialize;

use crate::suite::spec::{Catalogue, Suite};
use crate::threat::Norm;

/// What a suite asks for.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Plan {
    /// How many examples each cell covers.
    pub examples: usize,
    /// Every cell, in the order of the results: defence, norm, attack (each in the suite's order), epsilon ascending.
    pub cells: Vec<PlannedCell>,
    /// What is left out, because the attack does not work under the norm.
    pub skipped: Vec<Skipped>,
}

/// One attack at one epsilon against one defence.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PlannedCell {
    /// The defence's name.
    pub defence: String,
    /// The attack entry's name.
    pub attack: String,
    /// The norm.
    pub norm: Norm,
    /// The radius in input units.
    pub epsilon: f64,
}

/// An attack under a norm that it does not work under.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Skipped {
    /// The attack entry's name.
    pub attack: String,
    /// The norm.
    pub norm: Norm,
}

/// Lists the cells of a suite over `examples` examples. An attack is skipped under the norms that its catalogue entry does not name.
pub fn plan(suite: &Suite, catalogue: &Catalogue, examples: usize) -> Plan {
    let supports = |kind: &str, norm| catalogue.attack(kind).is_some_and(|attack| attack.norms.contains(&norm));
    let mut cells = Vec::new();
    for defence in &suite.defences {
        for threat in &suite.threats {
            for attack in suite.attacks.iter().filter(|attack| supports(&attack.kind, threat.norm)) {
                cells.extend(threat.epsilons.iter().map(|&epsilon| PlannedCell {
                    defence: defence.name.clone(),
                    attack: attack.name.clone(),
                    norm: threat.norm,
                    epsilon,
                }));
            }
        }
    }
    let mut skipped = Vec::new();
    for threat in &suite.threats {
        for attack in suite.attacks.iter().filter(|attack| !supports(&attack.kind, threat.norm)) {
            skipped.push(Skipped { attack: attack.name.clone(), norm: threat.norm });
        }
    }
    Plan { examples, cells, skipped }
}
