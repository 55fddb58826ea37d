//! The names that suites may use, gathered from the engine's tables.

use super::spec::{AttackEntry, Catalogue, CertifierEntry, SourceEntry, WrapperEntry};
use crate::attack::ATTACKS;
use crate::certify::CERTIFIERS;
use crate::data::SOURCES;
use crate::defence::{TRAINERS, WRAPPERS};
use crate::model::MODELS;

/// Everything that this engine knows by name.
pub fn catalogue() -> Catalogue {
    Catalogue {
        sources: SOURCES.iter().map(|source| SourceEntry { entry: source.entry, splits: source.splits }).collect(),
        models: MODELS.iter().map(|row| row.entry).collect(),
        trainers: TRAINERS.iter().map(|row| row.entry).collect(),
        wrappers: WRAPPERS.iter().map(|row| WrapperEntry { entry: row.entry, check: Some(row.check) }).collect(),
        attacks: ATTACKS.iter().map(|row| AttackEntry { entry: row.entry, norms: row.norms, check: Some(row.check) }).collect(),
        certifiers: CERTIFIERS.iter().map(|row| CertifierEntry { entry: row.entry, norms: row.norms, check: row.check }).collect(),
    }
}
