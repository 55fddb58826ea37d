//! A suite: one TOML file that names data, threats, defences and attacks.
//!
//! [`read`] checks the whole file against the [`Catalogue`] and reports every mistake at once, each with its place; [`plan()`] lists the
//! cells that it asks for. Data moves one way: text, spanned table, [`Suite`], [`Plan`].

mod board;
pub mod catalogue;
mod certificates;
pub(crate) mod certify;
mod check;
pub(crate) mod checks;
mod crew;
mod data;
mod entries;
pub mod forecast;
mod made;
mod model;
mod models;
mod moved;
mod overrides;
pub mod plan;
mod reader;
mod resolve;
pub mod resolved;
pub mod run;
pub mod schedule;
mod search;
mod series;
pub mod shares;
pub mod spec;
pub(crate) mod speed;
mod stations;
mod threats;

pub use check::{parse_data, parse_model, parse_options};
pub use moved::moved;
pub use plan::{Plan, PlannedCell, Skipped, plan};
pub(crate) use reader::suggested;
pub use resolve::{parse, read};
pub use spec::{
    AttackEntry, AttackSpec, Catalogue, CertificateSpec, CertifierEntry, DataSpec, DefenceSpec, EnsembleSpec, MemberSpec, ModelSpec,
    OptionsRule, SourceEntry, Suite, TrainSpec, WrapperEntry, WrapperSpec,
};
