//! Where in a pickle the state dict is: at the top, in a dictionary under a usual name, in a list of one, or within a whole pickled module.

use std::collections::HashSet;

use super::pickle::{Pickle, Read};
use super::value::{Id, Value, View};

/// Keys under which training scripts keep a model's state, the likeliest first.
const WRAPPERS: &[&str] = &["state_dict", "model_state_dict", "model_state", "model", "net", "network", "module", "params", "weights"];
/// Modules within modules.
const DEEPEST: usize = 64;
/// Tensors of one model, and modules; shared ones count as often as they are named.
const MOST_ENTRIES: usize = 100_000;
/// Attributes of one module.
const MOST_ATTRIBUTES: usize = 1024;
/// Letters of a tensor's name.
const LONGEST_NAME: usize = 1024;

/// A state dict.
#[derive(Debug, Default)]
pub(super) struct State {
    /// In the order of the file.
    pub(super) tensors: Vec<(String, View)>,
    /// Entries that are no plain tensors, with their types.
    pub(super) unread: Vec<(String, String)>,
    pub(super) notes: Vec<String>,
    modules: usize,
}

/// The model's state within a pickle.
pub(super) fn find(pickle: &Pickle) -> Read<State> {
    let mut state = State::default();
    let mut at = pickle.root_id().ok_or("its pickle is empty")?;
    let mut trail = String::new();
    for _ in 0..DEEPEST {
        if let Some(module) = Module::of(pickle, at) {
            state.notes.push(format!("the weights of a whole pickled model ({}); its class was not loaded", pickle.class(at)));
            module.collect("", 0, &mut state)?;
            break;
        }
        let next = match pickle.get(at) {
            Value::Dict(items) if items.len() > MOST_ENTRIES => {
                return Err(format!("a dictionary in it has {} entries, more than any model", items.len()));
            }
            Value::Dict(items) => {
                let wrapped = WRAPPERS.iter().find_map(|key| Some((format!("[\"{key}\"]"), pickle.entry(items, key)?)));
                let wrapped = wrapped.filter(|(_, id)| holds(pickle, *id));
                if wrapped.is_none() && items.iter().any(|(_, value)| matches!(pickle.get(*value), Value::Tensor(_))) {
                    state.add(pickle, "", items)?;
                    break;
                }
                wrapped.or_else(|| {
                    let name = |key| pickle.text(key).map_or("[..]".into(), |key| format!("[\"{key}\"]"));
                    only(items.iter().filter(|(_, value)| holds(pickle, *value)).map(|(key, value)| (name(*key), *value)))
                })
            }
            Value::List(items) | Value::Tuple(items) => {
                only(items.iter().enumerate().filter(|(_, item)| holds(pickle, **item)).map(|(index, item)| (format!("[{index}]"), *item)))
            }
            _ => None,
        };
        let Some((step, id)) = next else { return Err(nothing(pickle, at, &trail)) };
        trail.push_str(&step);
        at = id;
    }
    if !trail.is_empty() {
        state.notes.push(format!("the weights under {trail}"));
    }
    if state.tensors.is_empty() { Err(nothing(pickle, at, &trail)) } else { Ok(state) }
}

/// Whether a value may have tensors inside.
fn holds(pickle: &Pickle, id: Id) -> bool {
    match pickle.get(id) {
        Value::Dict(items) => !items.is_empty(),
        Value::List(items) | Value::Tuple(items) => {
            items.iter().any(|item| matches!(pickle.get(*item), Value::Dict(items) if !items.is_empty()))
        }
        Value::Object { .. } => Module::of(pickle, id).is_some(),
        _ => false,
    }
}

fn only<T>(mut items: impl Iterator<Item = T>) -> Option<T> {
    let first = items.next();
    if items.next().is_some() { None } else { first }
}

fn nothing(pickle: &Pickle, at: Id, trail: &str) -> String {
    let place = if trail.is_empty() { "at its top".to_string() } else { format!("under {trail}") };
    let held = match pickle.get(at) {
        Value::Dict(items) => {
            let keys: Vec<String> =
                items.iter().filter_map(|(key, _)| pickle.text(*key)).take(12).map(|key| format!("\"{key}\"")).collect();
            format!("a dictionary with the keys {}", if keys.is_empty() { "none".into() } else { keys.join(", ") })
        }
        Value::List(items) | Value::Tuple(items) => format!("a list of {}", items.len()),
        _ => pickle.class(at),
    };
    format!("no state dict was found: {place} there is {held}. Save one with torch.save(model.state_dict(), path)")
}

impl State {
    /// Adds the tensors of a dictionary.
    fn add(&mut self, pickle: &Pickle, prefix: &str, items: &[(Id, Id)]) -> Read<()> {
        for (key, value) in items {
            let Some(key) = pickle.text(*key) else { continue };
            if prefix.len() + key.len() > LONGEST_NAME {
                return Err("a tensor in it has a name of more than a thousand letters".into());
            }
            let name = format!("{prefix}{key}");
            match pickle.get(*value) {
                Value::Tensor(view) => {
                    if self.tensors.len() >= MOST_ENTRIES {
                        return Err(format!("it names more than {MOST_ENTRIES} tensors"));
                    }
                    self.tensors.push((name, (**view).clone()));
                }
                Value::Object { class, .. } => self.unread.push((name, class.to_string())),
                _ => {}
            }
        }
        Ok(())
    }
}

/// A pickled `torch.nn.Module`: the three tables that each keeps.
struct Module<'p> {
    pickle: &'p Pickle,
    attributes: &'p [(Id, Id)],
    parameters: &'p [(Id, Id)],
    buffers: &'p [(Id, Id)],
    modules: &'p [(Id, Id)],
}

impl<'p> Module<'p> {
    fn of(pickle: &'p Pickle, id: Id) -> Option<Self> {
        let Value::Object { state: Some(state), .. } = pickle.get(id) else { return None };
        let Value::Dict(attributes) = pickle.get(*state) else { return None };
        if attributes.len() > MOST_ATTRIBUTES {
            return None;
        }
        let table = |name| match pickle.get(pickle.entry(attributes, name)?) {
            Value::Dict(items) => Some(items.as_slice()),
            _ => None,
        };
        Some(Self { pickle, attributes, parameters: table("_parameters")?, buffers: table("_buffers")?, modules: table("_modules")? })
    }

    /// Adds what `state_dict()` would give.
    fn collect(&self, prefix: &str, depth: usize, state: &mut State) -> Read<()> {
        if depth > DEEPEST {
            return Err(format!("its modules nest more than {DEEPEST} deep"));
        }
        state.add(self.pickle, prefix, self.parameters)?;
        let fleeting = self.pickle.entry(self.attributes, "_non_persistent_buffers_set").map(|id| self.pickle.get(id));
        let fleeting: HashSet<&str> = match fleeting {
            Some(Value::List(names)) => names.iter().filter_map(|name| self.pickle.text(*name)).map(|name| &**name).collect(),
            _ => HashSet::new(),
        };
        let kept: Vec<(Id, Id)> =
            self.buffers.iter().filter(|(key, _)| self.pickle.text(*key).is_none_or(|key| !fleeting.contains(&**key))).copied().collect();
        state.add(self.pickle, prefix, &kept)?;
        for (key, child) in self.modules {
            state.modules += 1;
            if state.modules > MOST_ENTRIES {
                return Err(format!("it names more than {MOST_ENTRIES} modules"));
            }
            let (Some(key), Some(child)) = (self.pickle.text(*key), Module::of(self.pickle, *child)) else { continue };
            child.collect(&format!("{prefix}{key}."), depth + 1, state)?;
        }
        Ok(())
    }
}
