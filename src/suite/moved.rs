//! A suite's text as it reads from another folder.

use std::path::{Component, Path, PathBuf};

use toml_edit::{DocumentMut, Item, TableLike, Value};

use super::overrides::{element, write};

/// Where a suite has paths; `*` stands for every element of a list.
const PATHS: [&[&str]; 6] = [
    &["data", "path"],
    &["data", "train", "path"],
    &["defence", "*", "model", "onnx"],
    &["defence", "*", "model", "weights"],
    &["defence", "*", "models", "*", "onnx"],
    &["defence", "*", "models", "*", "weights"],
];

/// The text of a suite whose relative paths start from `base`, with paths that start from `folder` in their place. As it is where it has
/// none, or where one of the folders is not there.
pub fn moved(text: &str, base: &Path, folder: &Path) -> String {
    let (Ok(base), Ok(folder)) = (base.canonicalize(), folder.canonicalize()) else { return text.to_string() };
    let Ok(mut document) = text.parse::<DocumentMut>() else { return text.to_string() };
    for keys in PATHS {
        edit(document.as_table_mut(), keys, &|path| path.is_relative().then(|| way(&folder, &joined(&base, path))));
    }
    document.to_string()
}

/// Puts another path in the place of every one that `keys` leads to.
fn edit(table: &mut dyn TableLike, keys: &[&str], other: &dyn Fn(&Path) -> Option<PathBuf>) {
    let Some((key, rest)) = keys.split_first() else { return };
    let Some(item) = table.get_mut(key) else { return };
    match rest {
        [] => {
            let path = item.as_str().and_then(|path| other(Path::new(path)));
            if let Some(path) = path.as_deref().and_then(Path::to_str).map(Value::from) {
                write(table, key, path);
            }
        }
        ["*", rest @ ..] => (0..len(item)).for_each(|at| {
            if let Some(table) = element(item, at) {
                edit(table, rest, other);
            }
        }),
        rest => {
            if let Some(table) = item.as_table_like_mut() {
                edit(table, rest, other);
            }
        }
    }
}

fn len(item: &Item) -> usize {
    item.as_array_of_tables().map(|tables| tables.len()).or(item.as_array().map(|values| values.len())).unwrap_or(0)
}

/// `path` from the absolute `base`, without `.` and `..`: the base has no links that a `..` could mean another folder behind.
fn joined(base: &Path, path: &Path) -> PathBuf {
    let mut whole = base.to_path_buf();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => drop(whole.pop()),
            part => whole.push(part),
        }
    }
    whole
}

/// The relative path from one absolute folder to another path; that path itself where they have no root in common.
fn way(from: &Path, to: &Path) -> PathBuf {
    let common = from.components().zip(to.components()).take_while(|(one, other)| one == other).count();
    if common == 0 {
        return to.to_path_buf();
    }
    let up = from.components().skip(common).map(|_| Component::ParentDir);
    up.chain(to.components().skip(common)).collect()
}
