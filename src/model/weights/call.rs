//! The functions and classes that checkpoints name, and what stands for them here. Nothing is ever called: a name that is not known
//! leaves an opaque value behind, and one that only runs code is refused.

use std::rc::Rc;

use super::pickle::{Machine, Read};
use super::value::{Id, Kind, Storage, Value, View};

/// Axes of a tensor.
const MOST_AXES: usize = 16;

/// Modules whose functions a checkpoint has no reason to call.
const HOSTILE: &[&str] = &[
    "asyncio",
    "bdb",
    "code",
    "commands",
    "ctypes",
    "http",
    "importlib",
    "marshal",
    "multiprocessing",
    "nt",
    "os",
    "pdb",
    "pickle",
    "pip",
    "posix",
    "pty",
    "requests",
    "runpy",
    "shutil",
    "signal",
    "socket",
    "subprocess",
    "sys",
    "threading",
    "timeit",
    "urllib",
    "webbrowser",
];

/// Built-in functions of that kind.
const HOSTILE_BUILTINS: &[&str] = &["__import__", "breakpoint", "compile", "eval", "exec", "execfile", "input", "open"];

impl Machine<'_> {
    /// What stands for the call of `callable` with a tuple of arguments.
    pub(super) fn call(&mut self, mut callable: Id, mut arguments: Id) -> Read<Id> {
        loop {
            let Value::Global(name) = self.pickle.get(callable) else {
                let class = self.pickle.class(callable);
                return self.make(Value::Object { class: class.into(), state: None });
            };
            let name = name.clone();
            refuse_hostile(&name)?;
            let items: &[Id] = match self.pickle.get(arguments) {
                Value::Tuple(items) => items,
                _ => &[],
            };
            return match (&*name, items) {
                ("collections.OrderedDict" | "builtins.dict" | "__builtin__.dict", [pairs]) => self.dict(*pairs),
                ("collections.OrderedDict" | "collections.defaultdict" | "builtins.dict" | "__builtin__.dict", _) => {
                    self.make(Value::Dict(Vec::new()))
                }
                ("builtins.set" | "__builtin__.set" | "builtins.frozenset" | "__builtin__.frozenset", [items]) => Ok(*items),
                ("torch._utils._rebuild_tensor", [storage, offset, shape, strides])
                | ("torch._utils._rebuild_tensor_v2", [storage, offset, shape, strides, ..]) => {
                    let kind = None;
                    self.tensor([*storage, *offset, *shape, *strides], kind)
                }
                ("torch._utils._rebuild_tensor_v3", [storage, offset, shape, strides, _, _, kind, ..]) => {
                    let kind = Some(*kind);
                    self.tensor([*storage, *offset, *shape, *strides], kind)
                }
                ("torch._utils._rebuild_parameter" | "torch._utils._rebuild_parameter_with_state", [data, ..]) => Ok(*data),
                ("torch._utils._rebuild_tensor" | "torch._utils._rebuild_tensor_v2" | "torch._utils._rebuild_tensor_v3", _) => {
                    Err(format!("it calls {name} with {} arguments", items.len()))
                }
                ("torch._tensor._rebuild_from_type_v2", [inner, _, inner_arguments, ..]) => {
                    (callable, arguments) = (*inner, *inner_arguments);
                    continue;
                }
                ("copyreg._reconstructor" | "copy_reg._reconstructor", [class, ..]) => {
                    let class = match self.pickle.get(*class) {
                        Value::Global(class) => class.clone(),
                        _ => name,
                    };
                    self.make(Value::Object { class, state: None })
                }
                _ => self.make(Value::Object { class: name, state: None }),
            };
        }
    }

    /// A dictionary out of a list of pairs.
    fn dict(&mut self, pairs: Id) -> Read<Id> {
        let (Value::List(items) | Value::Tuple(items)) = self.pickle.get(pairs) else {
            return self.make(Value::Dict(Vec::new()));
        };
        let count = items.len();
        let dict = items.iter().map(|&item| match self.pickle.get(item) {
            Value::Tuple(pair) | Value::List(pair) if pair.len() == 2 => Ok((pair[0], pair[1])),
            _ => Err("a dictionary in it is not made of pairs".to_string()),
        });
        let dict = dict.collect::<Read<Vec<_>>>()?;
        self.charge(count)?;
        self.make(Value::Dict(dict))
    }

    /// What a persistent id stands for: ("storage", class, key, place, count, view), or ("module", class, file, source) before 1.6.
    pub(super) fn persistent(&mut self, id: Id) -> Read<Id> {
        if let Value::Tuple(fields) = self.pickle.get(id)
            && let [tag, class, ..] = fields[..]
            && self.pickle.text(tag).is_some_and(|tag| &**tag == "module")
        {
            return Ok(class);
        }
        let storage = self.storage(id)?;
        self.make(storage)
    }

    fn storage(&self, id: Id) -> Read<Value> {
        const WRONG: &str = "a storage in it is not described as torch.save does";
        let Value::Tuple(fields) = self.pickle.get(id) else { return Err(WRONG.into()) };
        let [tag, class, key, _, count, view @ ..] = &fields[..] else { return Err(WRONG.into()) };
        let (Some(tag), Value::Global(class)) = (self.pickle.text(*tag), self.pickle.get(*class)) else { return Err(WRONG.into()) };
        if &**tag != "storage" {
            return Err(WRONG.into());
        }
        let key: Rc<str> = match self.pickle.get(*key) {
            Value::Text(key) => key.clone(),
            Value::Integer(key) => key.to_string().into(),
            _ => return Err(WRONG.into()),
        };
        let kind = match &**class {
            "torch.UntypedStorage" | "torch.storage.UntypedStorage" => None,
            class => Some(Kind::of_storage(class).ok_or_else(|| format!("it holds a {class}, whose numbers are not read"))?),
        };
        let mut storage = Storage { key, kind, count: self.size(*count)?, first: 0 };
        if let Some(Value::Tuple(view)) = view.first().map(|view| self.pickle.get(*view))
            && let [_, first, count] = view[..]
        {
            // What a view may reach of its root counts from the root's start.
            storage.first = self.size(first)?;
            storage.count = self.size(count)?.checked_add(storage.first).filter(|&end| end <= storage.count).ok_or(WRONG)?;
        }
        Ok(Value::Storage(Box::new(storage)))
    }

    fn tensor(&mut self, [storage, offset, shape, strides]: [Id; 4], kind: Option<Id>) -> Read<Id> {
        let Value::Storage(storage) = self.pickle.get(storage) else { return Err("a tensor in it has no storage".into()) };
        let kind = match kind.map(|kind| self.pickle.get(kind)) {
            None => storage.kind.ok_or("a tensor in it has no type")?,
            Some(Value::Global(name)) => Kind::of_dtype(name).ok_or_else(|| format!("it holds a tensor of {name}, which is not read"))?,
            Some(_) => return Err("a tensor in it has no type".into()),
        };
        let (shape, strides) = (self.sizes(shape)?, self.sizes(strides)?);
        let view = View { storage: (**storage).clone(), kind, offset: self.size(offset)?, shape, strides };
        if view.shape.len() != view.strides.len() || storage.kind.is_some_and(|stored| stored != kind) {
            return Err("a tensor in it disagrees with itself".into());
        }
        let held = if storage.kind.is_none() { storage.count / kind.size() } else { storage.count };
        if view.end().is_none_or(|end| end > held) {
            let message = format!("a tensor {:?} in it reaches beyond the {held} numbers of its storage \"{}\"", view.shape, storage.key);
            return Err(message);
        }
        self.make(Value::Tensor(Box::new(view)))
    }

    fn size(&self, id: Id) -> Read<usize> {
        match self.pickle.get(id) {
            Value::Integer(number) => usize::try_from(*number).map_err(|_| format!("it states a size of {number}")),
            _ => Err(format!("it states a size that is {}", self.pickle.class(id))),
        }
    }

    fn sizes(&self, id: Id) -> Read<Vec<usize>> {
        match self.pickle.get(id) {
            Value::Tuple(items) | Value::List(items) if items.len() <= MOST_AXES => items.iter().map(|&item| self.size(item)).collect(),
            Value::Tuple(items) | Value::List(items) => Err(format!("it holds a tensor with {} axes", items.len())),
            _ => Err(format!("it states a tensor's sides as {}", self.pickle.class(id))),
        }
    }
}

fn refuse_hostile(name: &str) -> Read<()> {
    let (module, function) = name.rsplit_once('.').unwrap_or(("", name));
    let package = module.split('.').next().unwrap_or(module);
    let builtin = matches!(module, "builtins" | "__builtin__") && HOSTILE_BUILTINS.contains(&function);
    if builtin || HOSTILE.contains(&package) {
        return Err(format!("it asks to call {name}, as a file does that wants to run code where it is loaded; nothing was run"));
    }
    Ok(())
}
