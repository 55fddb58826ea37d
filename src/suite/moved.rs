//! A suite's text as it reads from another folder.

use std::path::{Component, Path, PathBuf};

use toml_edit::{DocumentMut, TableLike, Value};

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

/// The text of a suite whose relative paths start from `base`, with paths that start from `folder` in their place; `None` where that changes
/// nothing. Absolute paths and those that lead nowhere stay as they are.
pub fn moved(text: &str, base: &Path, folder: &Path) -> Option<String> {
    let folder = folder.canonicalize().ok()?;
    let mut document: DocumentMut = text.parse().ok()?;
    let other = |path: &Path| if path.is_relative() { Some(way(&folder, &place(&base.join(path))?)) } else { None };
    let mut changed = false;
    for keys in PATHS {
        changed |= edit(document.as_table_mut(), keys, &other);
    }
    changed.then(|| document.to_string())
}

/// Puts another path in the place of every one that `keys` leads to; whether there was one.
fn edit(table: &mut dyn TableLike, keys: &[&str], other: &dyn Fn(&Path) -> Option<PathBuf>) -> bool {
    let Some((key, rest)) = keys.split_first() else { return false };
    let Some(item) = table.get_mut(key) else { return false };
    match rest {
        [] => {
            let before = item.as_str().map(str::to_string);
            let path = before.as_deref().and_then(|path| other(Path::new(path)));
            let Some(path) = path.as_deref().and_then(Path::to_str).filter(|path| Some(*path) != before.as_deref()) else { return false };
            write(table, key, Value::from(path));
            true
        }
        ["*", rest @ ..] => {
            let mut changed = false;
            let mut at = 0;
            while let Some(table) = element(item, at) {
                changed |= edit(table, rest, other);
                at += 1;
            }
            changed
        }
        rest => item.as_table_like_mut().is_some_and(|table| edit(table, rest, other)),
    }
}

/// A path without links, but for what it leads to.
fn place(path: &Path) -> Option<PathBuf> {
    match path.file_name() {
        Some(name) => Some(path.parent()?.canonicalize().ok()?.join(name)),
        None => path.canonicalize().ok(),
    }
}

/// The relative path from one absolute folder to another path; that path itself where they have no root in common.
fn way(from: &Path, to: &Path) -> PathBuf {
    let common = from.components().zip(to.components()).take_while(|(one, other)| one == other).count();
    if common == 0 {
        return to.to_path_buf();
    }
    let up = from.components().skip(common).map(|_| Component::ParentDir);
    let way: PathBuf = up.chain(to.components().skip(common)).collect();
    if way.as_os_str().is_empty() { PathBuf::from(".") } else { way }
}
