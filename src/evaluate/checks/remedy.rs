//! What the engine can do about a flawed evaluation: further attacks, beside those of the suite.

use serde::{Deserialize, Serialize};

use super::subject::row;
use crate::Result;
use crate::options::{Accepts, Options, Value};
use crate::suite::{AttackSpec, parse_options};
use crate::threat::Norm;

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Remedy {
    /// Gradients averaged over draws of the defence.
    Average,
    /// A loss that no softmax saturates.
    Margin,
    /// Twice the steps, and five more restarts.
    Longer {
        /// The attack's name.
        attack: String,
    },
    /// The attack `square`, which needs no gradient.
    Square,
}

/// A remedy and who asks for it.
#[derive(Clone, Debug)]
pub struct Wish {
    /// The check.
    pub check: String,
    /// The defence that it found wanting.
    pub defence: String,
    /// What is to be done.
    pub remedy: Remedy,
}

/// An attack that was added to a suite.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Addition {
    /// Its name in results.
    pub name: String,
    /// The attack.
    pub kind: String,
    /// Its options.
    pub options: Options,
    /// What sets it apart from the entry that it stands beside, as TOML; empty where it stands beside none.
    pub changes: Vec<String>,
    /// The checks that asked for it, and on which defence.
    pub why: String,
}

/// Draws that a gradient is averaged over, as in AutoAttack's version for random defences.
const DRAWS: i64 = 20;
/// Restarts on top.
const RESTARTS: i64 = 5;

/// The attacks that answer the wishes, with names of their own: for each of the suite's that a wish changes, a copy with all its changes; and
/// `square`, where a norm has none.
///
/// # Errors
/// None that a user can cause: options that an attack's own table refuses.
pub fn additions(attacks: &[AttackSpec], norms: &[Norm], wishes: &[Wish]) -> Result<Vec<Addition>> {
    let mut additions: Vec<Addition> = Vec::new();
    let mut add = |stem: &str, kind: &str, options: Options, changes, why| {
        let taken =
            |name: &str| attacks.iter().any(|attack| attack.name == name) || additions.iter().any(|one: &Addition| one.name == name);
        let numbered = (2..).map(|number| format!("{stem}-hardened-{number}"));
        let name = std::iter::once(format!("{stem}-hardened")).chain(numbered).find(|name| !taken(name)).expect("numbers do not end");
        additions.push(Addition { name, kind: kind.into(), options, changes, why });
    };
    for attack in attacks {
        let mut options = attack.options.clone();
        let mut heard = Vec::new();
        for wish in wishes {
            let before = options.clone();
            match &wish.remedy {
                Remedy::Average => average(attack, &mut options),
                Remedy::Margin => margin(attack, &mut options),
                Remedy::Longer { attack: name } if *name == attack.name => longer(attack, &mut options),
                Remedy::Longer { .. } | Remedy::Square => {}
            }
            if options != before || heard.iter().any(|other: &&Wish| other.remedy == wish.remedy) {
                heard.push(wish);
            }
        }
        if options != attack.options {
            let changed = options.0.iter().filter(|(name, value)| attack.options.0.get(*name) != Some(value));
            let changes = changed.map(|(name, value)| format!("{name} = {}", written(value))).collect();
            add(&attack.name, &attack.kind, options, changes, said(&heard));
        }
    }
    let wanted: Vec<&Wish> = wishes.iter().filter(|wish| wish.remedy == Remedy::Square).collect();
    let works = |norm: &Norm| row("square").norms.contains(norm);
    if !wanted.is_empty() && norms.iter().any(works) && !attacks.iter().any(|attack| attack.kind == "square") {
        add("square", "square", parse_options(&row("square").entry, "")?, Vec::new(), said(&wanted));
    }
    Ok(additions)
}

fn said(wishes: &[&Wish]) -> String {
    let mut words: Vec<String> = wishes.iter().map(|wish| format!("{} on {}", wish.check, wish.defence)).collect();
    words.dedup();
    words.join(", ")
}

fn set(options: &mut Options, name: &str, value: Value) {
    options.0.insert(name.into(), value);
}

fn average(attack: &AttackSpec, options: &mut Options) {
    if has(attack, "eot") {
        if options.integer("eot").unwrap_or(1) < DRAWS {
            set(options, "eot", Value::Integer(DRAWS));
        }
    } else if attack.kind == "autoattack" {
        set(options, "version", Value::Text("rand".into()));
    }
}

/// Attacks of one step are left as they are.
fn margin(attack: &AttackSpec, options: &mut Options) {
    let entry = row(&attack.kind).entry;
    let choices = entry.options.iter().find(|option| option.name == "loss").map(|option| option.accepts);
    let Some(Accepts::Choice(losses)) = choices else { return };
    let untold = options.text("loss").is_none() && options.integer("targets").is_none_or(|targets| targets == 0);
    if has(attack, "steps") && losses.contains(&"margin") && (untold || options.text("loss") == Some("cross-entropy")) {
        set(options, "loss", Value::Text("margin".into()));
    }
}

/// Only once: two checks may ask for the same.
fn longer(attack: &AttackSpec, options: &mut Options) {
    let of = |name| attack.options.integer(name);
    if let Some(steps) = of("steps") {
        set(options, "steps", Value::Integer(2 * steps));
    }
    if let Some(restarts) = of("restarts") {
        set(options, "restarts", Value::Integer(restarts + RESTARTS));
    }
    if has(attack, "random_start") {
        set(options, "random_start", Value::Flag(true));
    }
}

fn has(attack: &AttackSpec, option: &str) -> bool {
    row(&attack.kind).entry.options.iter().any(|other| other.name == option)
}

/// A value as TOML has it.
fn written(value: &Value) -> String {
    serde_json::to_string(value).expect("an option's value is plain JSON, and TOML writes these as JSON does")
}

impl Addition {
    /// The entry as a suite has it, with the reason above.
    pub fn toml(&self) -> String {
        let quoted = |text: &str| serde_json::to_string(text).expect("text is plain JSON");
        let options = self.options.0.iter().map(|(name, value)| format!("{name} = {}\n", written(value)));
        let options: String = options.collect();
        let (why, name, kind) = (self.why.replace(['\n', '\r'], " "), quoted(&self.name), quoted(&self.kind));
        format!("\n# Added by --harden: {why}.\n[[attack]]\nname = {name}\nkind = {kind}\n{options}")
    }

    /// The entry as it goes into a suite.
    pub fn spec(&self) -> AttackSpec {
        AttackSpec { name: self.name.clone(), kind: self.kind.clone(), options: self.options.clone() }
    }
}
