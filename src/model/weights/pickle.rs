//! A small unpickling machine that runs nothing: opcodes build values, and the few functions that checkpoints call are known by name
//! (see [`call`](super::call)). Written from the opcode list of Python's `pickletools`, protocols 2 to 5, as `torch.save` writes them.

use std::collections::HashMap;
use std::rc::Rc;

use super::value::{Id, Storage, Value};

/// What a damaged or hostile pickle is refused with; the caller adds the file.
pub(super) type Read<T> = Result<T, String>;

/// Values that one pickle may make or copy; a checkpoint of 1,000 tensors makes 20,000.
const MOST_VALUES: usize = 1 << 22;

/// Letters of a module's or class's name.
const LONGEST_LINE: usize = 1024;

/// The values of a pickle.
#[derive(Debug, Default)]
pub(super) struct Pickle {
    values: Vec<Value>,
    root: Option<Id>,
}

impl Pickle {
    /// Reads one pickle from `bytes` at `at`, which moves behind it.
    pub(super) fn read(bytes: &[u8], at: &mut usize) -> Read<Self> {
        let mut machine =
            Machine { bytes, at: *at, pickle: Self::default(), spent: 0, stack: Vec::new(), marks: Vec::new(), memo: HashMap::new() };
        let root = machine.run().map_err(|error| format!("{error} (byte {} of its pickle)", machine.at.saturating_sub(*at)))?;
        machine.pickle.root = Some(root);
        *at = machine.at;
        Ok(machine.pickle)
    }

    pub(super) fn get(&self, id: Id) -> &Value {
        &self.values[id.0 as usize]
    }

    pub(super) fn root_id(&self) -> Option<Id> {
        self.root
    }

    /// The storages that tensors name.
    pub(super) fn storages(&self) -> impl Iterator<Item = &Storage> {
        self.values.iter().filter_map(|value| match value {
            Value::Storage(storage) => Some(&**storage),
            _ => None,
        })
    }

    pub(super) fn root(&self) -> &Value {
        self.root.map_or(&Value::Nothing, |root| self.get(root))
    }

    /// The text of a value that is one.
    pub(super) fn text(&self, id: Id) -> Option<&Rc<str>> {
        match self.get(id) {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The value under a key of a dictionary.
    pub(super) fn entry(&self, dict: &[(Id, Id)], key: &str) -> Option<Id> {
        dict.iter().rev().find(|(name, _)| self.text(*name).is_some_and(|text| **text == *key)).map(|(_, value)| *value)
    }

    /// The Python type of a value, for messages.
    pub(super) fn class(&self, id: Id) -> String {
        match self.get(id) {
            Value::Nothing => "None".into(),
            Value::Flag(_) => "bool".into(),
            Value::Integer(_) => "int".into(),
            Value::Text(_) => "str".into(),
            Value::Tuple(_) => "tuple".into(),
            Value::List(_) => "list".into(),
            Value::Dict(_) => "dict".into(),
            Value::Global(name) => format!("the name {name}"),
            Value::Storage(_) => "a tensor's storage".into(),
            Value::Tensor(_) => "torch.Tensor".into(),
            Value::Object { class, .. } => class.to_string(),
        }
    }
}

/// The machine's state.
pub(super) struct Machine<'a> {
    bytes: &'a [u8],
    at: usize,
    pub(super) pickle: Pickle,
    spent: usize,
    stack: Vec<Id>,
    marks: Vec<usize>,
    memo: HashMap<u32, Id>,
}

impl<'a> Machine<'a> {
    fn run(&mut self) -> Read<Id> {
        loop {
            let code = self.byte()?;
            if code == b'.' {
                return self.pop();
            }
            self.step(code)?;
        }
    }

    fn step(&mut self, code: u8) -> Read<()> {
        match code {
            0x80 => match self.byte()? {
                2..=5 => Ok(()),
                version => Err(format!("it is of protocol {version}, not 2 to 5")),
            },
            // A frame's length only helps readers of streams.
            0x95 => self.take(8).map(drop),
            b'N' => self.push(Value::Nothing),
            0x88 | 0x89 => self.push(Value::Flag(code == 0x88)),
            b'J' => self.integer(4, true),
            b'K' => self.integer(1, false),
            b'M' => self.integer(2, false),
            0x8a => self.length(1).and_then(|count| self.long(count)),
            0x8b => self.length(4).and_then(|count| self.long(count)),
            b'G' => self.take(8).map(drop).and_then(|()| self.opaque("float")),
            b'X' => self.length(4).and_then(|count| self.string(count)),
            0x8c | b'U' => self.length(1).and_then(|count| self.string(count)),
            0x8d => self.length(8).and_then(|count| self.string(count)),
            b'T' => self.length(4).and_then(|count| self.string(count)),
            b'B' => self.length(4).and_then(|count| self.blob(count)),
            b'C' => self.length(1).and_then(|count| self.blob(count)),
            0x8e | 0x96 => self.length(8).and_then(|count| self.blob(count)),
            b'(' => {
                self.marks.push(self.stack.len());
                Ok(())
            }
            b')' => self.push(Value::Tuple(Vec::new())),
            b'}' => self.push(Value::Dict(Vec::new())),
            b']' | 0x8f => self.push(Value::List(Vec::new())),
            b't' => self.since_mark().and_then(|items| self.push(Value::Tuple(items))),
            b'l' | 0x91 => self.since_mark().and_then(|items| self.push(Value::List(items))),
            b'd' => self.since_mark().and_then(|items| Ok(Value::Dict(pairs(&items)?))).and_then(|dict| self.push(dict)),
            0x85..=0x87 => {
                let from = self.stack.len().checked_sub(usize::from(code - 0x84)).filter(|&from| from >= self.floor());
                let items = self.stack.split_off(from.ok_or("its stack runs empty")?);
                self.push(Value::Tuple(items))
            }
            b'a' => self.pop().and_then(|item| self.append(&[item])),
            b'e' | 0x90 => self.since_mark().and_then(|items| self.append(&items)),
            b's' => {
                let (value, key) = (self.pop()?, self.pop()?);
                self.insert(&[key, value])
            }
            b'u' => self.since_mark().and_then(|items| self.insert(&items)),
            b'0' => self.pop().map(drop),
            b'1' => self.since_mark().map(drop),
            b'2' => self.top().and_then(|id| self.keep(id)),
            b'h' => self.length(1).and_then(|at| self.recall(at)),
            b'j' => self.length(4).and_then(|at| self.recall(at)),
            b'q' => self.length(1).and_then(|at| self.memorise(at)),
            b'r' => self.length(4).and_then(|at| self.memorise(at)),
            0x94 => self.memorise(self.memo.len()),
            b'c' => {
                let (module, name) = (self.line()?, self.line()?);
                self.push(Value::Global(format!("{module}.{name}").into()))
            }
            0x93 => {
                let (name, module) = (self.pop()?, self.pop()?);
                let (Some(module), Some(name)) = (self.pickle.text(module), self.pickle.text(name)) else {
                    return Err("the name of a function or class is no text".into());
                };
                if module.len() + name.len() > LONGEST_LINE {
                    return Err("a name in it does not end".into());
                }
                let full = format!("{module}.{name}").into();
                self.push(Value::Global(full))
            }
            b'Q' => {
                let id = self.pop()?;
                let found = self.persistent(id)?;
                self.keep(found)
            }
            b'R' | 0x81 => {
                let (arguments, callable) = (self.pop()?, self.pop()?);
                let result = self.call(callable, arguments)?;
                self.keep(result)
            }
            0x92 => {
                let (_, arguments, callable) = (self.pop()?, self.pop()?, self.pop()?);
                let result = self.call(callable, arguments)?;
                self.keep(result)
            }
            b'b' => {
                let state = self.pop()?;
                let id = self.top()?;
                if let Value::Object { state: before, .. } = &mut self.pickle.values[id.0 as usize] {
                    *before = Some(state);
                }
                Ok(())
            }
            _ => Err(format!("it holds the opcode {code:#04x}, which torch.save does not write")),
        }
    }

    /// Counts values that are made or copied.
    pub(super) fn charge(&mut self, count: usize) -> Read<()> {
        self.spent = self.spent.saturating_add(count);
        if self.spent > MOST_VALUES { Err(format!("it makes more than {MOST_VALUES} values")) } else { Ok(()) }
    }

    /// A new value.
    pub(super) fn make(&mut self, value: Value) -> Read<Id> {
        self.charge(1)?;
        let id = Id(u32::try_from(self.pickle.values.len()).map_err(|_| "it makes too many values")?);
        self.pickle.values.push(value);
        Ok(id)
    }

    fn push(&mut self, value: Value) -> Read<()> {
        let id = self.make(value)?;
        self.keep(id)
    }

    fn keep(&mut self, id: Id) -> Read<()> {
        self.charge(1)?;
        self.stack.push(id);
        Ok(())
    }

    /// Values below the innermost mark are out of reach.
    fn floor(&self) -> usize {
        self.marks.last().copied().unwrap_or(0)
    }

    fn top(&self) -> Read<Id> {
        self.stack[self.floor().min(self.stack.len())..].last().copied().ok_or_else(|| "its stack runs empty".into())
    }

    fn pop(&mut self) -> Read<Id> {
        let id = self.top()?;
        self.stack.pop();
        Ok(id)
    }

    fn since_mark(&mut self) -> Read<Vec<Id>> {
        let mark = self.marks.pop().ok_or("it closes a list that was not opened")?;
        Ok(self.stack.split_off(mark.min(self.stack.len())))
    }

    /// Adds to the list on top; an object that is added to is a list of a kind of its own.
    fn append(&mut self, items: &[Id]) -> Read<()> {
        let id = self.top()?;
        match &mut self.pickle.values[id.0 as usize] {
            Value::List(list) => list.extend(items),
            object @ Value::Object { .. } => *object = Value::List(items.to_vec()),
            _ => return Err("it appends to what is no list".into()),
        }
        Ok(())
    }

    /// Adds to the dictionary on top; an object that is added to is a dictionary of a kind of its own.
    fn insert(&mut self, items: &[Id]) -> Read<()> {
        let id = self.top()?;
        let pairs = pairs(items)?;
        match &mut self.pickle.values[id.0 as usize] {
            Value::Dict(dict) => dict.extend(pairs),
            object @ Value::Object { .. } => *object = Value::Dict(pairs),
            _ => return Err("it sets items of what is no dictionary".into()),
        }
        Ok(())
    }

    fn recall(&mut self, at: usize) -> Read<()> {
        let id = u32::try_from(at).ok().and_then(|at| self.memo.get(&at)).copied();
        self.keep(id.ok_or_else(|| format!("it recalls entry {at}, which it did not keep"))?)
    }

    fn memorise(&mut self, at: usize) -> Read<()> {
        self.charge(1)?;
        let id = self.top()?;
        self.memo.insert(u32::try_from(at).map_err(|_| "it keeps too many entries")?, id);
        Ok(())
    }

    fn byte(&mut self) -> Read<u8> {
        self.take(1).map(|bytes| bytes[0])
    }

    fn take(&mut self, count: usize) -> Read<&'a [u8]> {
        let end = self.at.checked_add(count).filter(|&end| end <= self.bytes.len()).ok_or("it ends too early")?;
        let bytes = &self.bytes[self.at..end];
        self.at = end;
        Ok(bytes)
    }

    /// An unsigned number of `bytes` bytes.
    fn length(&mut self, bytes: usize) -> Read<usize> {
        let number = self.take(bytes)?.iter().rev().fold(0u64, |number, &byte| number << 8 | u64::from(byte));
        usize::try_from(number).map_err(|_| "it states a size that no machine has".into())
    }

    fn line(&mut self) -> Read<&'a str> {
        let rest = &self.bytes[self.at..];
        let end = rest.iter().take(LONGEST_LINE).position(|&byte| byte == b'\n').ok_or("a name in it does not end")?;
        self.at += end + 1;
        std::str::from_utf8(&rest[..end]).map_err(|_| "a name in it is no UTF-8".into())
    }

    fn integer(&mut self, bytes: usize, signed: bool) -> Read<()> {
        let number = self.length(bytes)?;
        let number = if signed { i128::from(number as u32 as i32) } else { number as i128 };
        self.push(Value::Integer(number))
    }

    /// A whole number in two's complement, as long as it likes.
    fn long(&mut self, count: usize) -> Read<()> {
        let bytes = self.take(count)?;
        if bytes.len() > size_of::<i128>() {
            return self.opaque("int");
        }
        let fill = if bytes.last().is_some_and(|&byte| byte >= 0x80) { 0xff } else { 0 };
        let mut whole = [fill; size_of::<i128>()];
        whole[..bytes.len()].copy_from_slice(bytes);
        self.push(Value::Integer(i128::from_le_bytes(whole)))
    }

    fn string(&mut self, count: usize) -> Read<()> {
        let text = String::from_utf8_lossy(self.take(count)?).into();
        self.push(Value::Text(text))
    }

    fn blob(&mut self, count: usize) -> Read<()> {
        self.take(count)?;
        self.opaque("bytes")
    }

    fn opaque(&mut self, class: &str) -> Read<()> {
        self.push(Value::Object { class: class.into(), state: None })
    }
}

fn pairs(items: &[Id]) -> Read<Vec<(Id, Id)>> {
    if !items.len().is_multiple_of(2) {
        return Err("a dictionary in it has a key without a value".into());
    }
    Ok(items.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect())
}
