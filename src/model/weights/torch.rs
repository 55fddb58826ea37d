//! Files that `torch.save` writes: zip archives (from 1.6 on) and streams of pickles with the storages behind them (before).

use std::borrow::Cow;
use std::collections::HashMap;
use std::io::{Cursor, Read as _};

use zip::ZipArchive;

use super::pickle::{Pickle, Read};
use super::state::{State, find};
use super::value::{Kind, Value, View};
use super::{Checkpoint, Named};

/// What the first pickle of a stream holds.
const MAGIC: i128 = 0x1950_a86a_20f9_469c_fc6c;
/// The second one.
const STREAM_VERSION: i128 = 1001;
/// A pickle of names and shapes is far smaller.
const LARGEST_PICKLE: u64 = 256 << 20;

/// Whether a file opens as a pickle does.
pub(super) fn is_stream(bytes: &[u8]) -> bool {
    matches!(bytes, [0x80, 2..=5, ..])
}

/// Reads a zip archive.
pub(super) fn read_archive(bytes: &[u8]) -> Read<Checkpoint> {
    let mut archive = ZipArchive::new(Cursor::new(bytes)).map_err(|error| format!("a damaged or truncated zip archive: {error}"))?;
    let names: Vec<String> = archive.file_names().filter_map(|name| Some(name.ok()?.into_owned())).collect();
    let roots = names.iter().filter_map(|name| name.strip_suffix("data.pkl")).filter(|root| root.is_empty() || root.ends_with('/'));
    let root = roots.min_by_key(|root| root.len()).ok_or("a zip archive without a data.pkl: PyTorch did not write it")?;
    if names.iter().any(|name| *name == format!("{root}constants.pkl")) {
        return Err("a TorchScript archive, which holds code: save model.state_dict() with torch.save, or export the model to ONNX".into());
    }
    // Weights hardly compress; an entry that unpacks to many times the file is no checkpoint.
    let mut budget = budget(bytes.len());
    let mut unpack = |name: &str, most: u64| -> Read<Vec<u8>> {
        let entry = archive.by_name(&format!("{root}{name}")).map_err(|error| format!("the archive's entry {name}: {error}"))?;
        let size = entry.size();
        budget = budget
            .checked_sub(size)
            .filter(|_| size <= most)
            .ok_or_else(|| format!("the archive's entry {name} claims {size} bytes, too many for a file of {} bytes", bytes.len()))?;
        let mut unpacked = Vec::new();
        entry.take(size).read_to_end(&mut unpacked).map_err(|error| format!("the archive's entry {name} is damaged: {error}"))?;
        if unpacked.len() as u64 == size { Ok(unpacked) } else { Err(format!("the archive's entry {name} is truncated")) }
    };
    if names.iter().any(|name| *name == format!("{root}byteorder")) && unpack("byteorder", 64)?.trim_ascii() != b"little" {
        return Err(BIG_ENDIAN.into());
    }
    let pickle = Pickle::read(&unpack("data.pkl", LARGEST_PICKLE)?, &mut 0)?;
    gather(bytes.len(), "PyTorch archive", find(&pickle)?, |view| unpack(&format!("data/{}", view.storage.key), u64::MAX).map(Cow::Owned))
}

const BIG_ENDIAN: &str = "it was written on a big-endian machine: load it in PyTorch and save it again on this one";

/// Reads a stream.
pub(super) fn read_stream(bytes: &[u8]) -> Read<Checkpoint> {
    let at = &mut 0;
    let magic = Pickle::read(bytes, at)?;
    if !matches!(magic.root(), Value::Integer(MAGIC)) {
        return Err("a pickle that torch.save did not write".into());
    }
    if !matches!(Pickle::read(bytes, at)?.root(), Value::Integer(STREAM_VERSION)) {
        return Err("a stream of a version that PyTorch never wrote".into());
    }
    let system = Pickle::read(bytes, at)?;
    if let Value::Dict(facts) = system.root()
        && let Some(little) = system.entry(facts, "little_endian")
        && matches!(system.get(little), Value::Flag(false))
    {
        return Err(BIG_ENDIAN.into());
    }
    let pickle = Pickle::read(bytes, at)?;
    let keys = Pickle::read(bytes, at)?;
    let Value::List(order) = keys.root() else { return Err("it does not list its storages".into()) };
    let sizes: HashMap<&str, usize> = pickle.storages().map(|storage| (&*storage.key, storage.kind.map_or(1, Kind::size))).collect();
    let mut places: HashMap<String, &[u8]> = HashMap::new();
    for key in order {
        let key = match keys.get(*key) {
            Value::Text(key) => key.to_string(),
            Value::Integer(key) => key.to_string(),
            _ => return Err("it does not name its storages".into()),
        };
        let rest = bytes.get(*at..).unwrap_or_default();
        let (count, rest) = rest.split_first_chunk().ok_or_else(|| format!("it ends before its storage \"{key}\""))?;
        let size = sizes.get(&*key).ok_or_else(|| format!("it has a storage \"{key}\" that no tensor names"))?;
        let length = usize::try_from(i64::from_le_bytes(*count)).ok().and_then(|count| count.checked_mul(*size));
        let data = length.and_then(|length| rest.get(..length)).ok_or_else(|| format!("it ends within its storage \"{key}\""))?;
        *at += size_of::<i64>() + data.len();
        places.insert(key, data);
    }
    let storage = |view: &View| {
        let data = places.get(&*view.storage.key).ok_or_else(|| format!("it lacks the storage \"{}\"", view.storage.key))?;
        Ok(Cow::Borrowed(*data))
    };
    gather(bytes.len(), "PyTorch stream, as before 1.6", find(&pickle)?, storage)
}

/// Bytes that a file of this length may unpack to.
fn budget(length: usize) -> u64 {
    const SPARE: u64 = 1 << 20;
    SPARE + 16 * length as u64
}

/// The tensors of a state, each out of its storage's bytes.
fn gather<'a>(
    length: usize,
    format: &'static str,
    state: State,
    mut storage: impl FnMut(&View) -> Read<Cow<'a, [u8]>>,
) -> Read<Checkpoint> {
    let mut tensors = Vec::with_capacity(state.tensors.len());
    let mut budget = budget(length);
    let mut last: Option<(&str, Cow<[u8]>)> = None;
    for (name, view) in &state.tensors {
        // Many views of one storage, or one that repeats its elements, must not grow without bound.
        let bytes = view.len().and_then(|count| count.checked_mul(size_of::<f32>())).map(|bytes| bytes as u64);
        budget = bytes
            .and_then(|bytes| budget.checked_sub(bytes))
            .ok_or_else(|| format!("its tensors, up to \"{name}\" {:?}, come to many times the {length} bytes of the file", view.shape))?;
        if last.as_ref().is_none_or(|(key, _)| **key != *view.storage.key) {
            last = Some((&view.storage.key, storage(view)?));
        }
        let Some((key, data)) = &last else { continue };
        let end = view.end().and_then(|end| end.checked_mul(view.kind.size()));
        if end.is_none_or(|end| end > data.len()) {
            return Err(format!(
                "its storage \"{key}\" is truncated: tensor \"{name}\" {:?} reaches beyond {} bytes",
                view.shape,
                data.len()
            ));
        }
        tensors.push(Named { name: name.clone(), shape: view.shape.clone(), values: view.gather(data) });
    }
    Ok(Checkpoint { format, tensors, unread: state.unread, about: Default::default(), notes: state.notes })
}
