//! One array of a NumPy archive. The format: <https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html>.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use npyz::{DType, Deserialize, NpyFile, NpyHeader, TypeChar};
use zip::ZipArchive;

use super::super::files;
use crate::error::{Error, Result};

/// NumPy itself reads no longer header.
const LONGEST_HEADER: usize = 10_000;
/// A plain array's header opens a dictionary and a tuple. Each level doubles the time that the header's parser takes.
const MOST_BRACKETS: usize = 6;
/// What an archive's entry has behind its array's name.
const SUFFIX: &str = ".npy";

pub(super) type Archive = ZipArchive<BufReader<File>>;

/// An array with its bytes, checked against its header.
pub(super) struct Array {
    /// File and key, for messages.
    pub place: String,
    /// Length of every axis.
    pub shape: Vec<usize>,
    /// Elements from one index to the next, an axis.
    pub strides: Vec<usize>,
    kind: TypeChar,
    item: usize,
    header: NpyHeader,
    payload: Vec<u8>,
}

/// Values that images are made of, in the order of the file.
pub(super) enum Numbers {
    Bytes(Vec<u8>),
    Single(Vec<f32>),
    Double(Vec<f64>),
}

/// Opens an archive.
pub(super) fn open(path: &Path) -> Result<Archive> {
    let file = File::open(path).map_err(|error| files::unreadable(path, &error))?;
    let found = file.metadata().map_err(|error| files::unreadable(path, &error))?;
    if !found.is_file() {
        return Err(Error::input(format!("{}: `path` is not a file", path.display())).help("give the .npz file itself"));
    }
    ZipArchive::new(BufReader::new(file)).map_err(|error| {
        Error::input(format!("{}: not an npz archive, or a truncated one ({} bytes): {error}", path.display(), found.len()))
            .help("write it with `np.savez(path, images=..., labels=...)`, or fetch it again")
    })
}

impl Array {
    /// Reads the array `key`, or the first of `others` that is there where `key` is the first of them.
    pub fn read(path: &Path, archive: &mut Archive, key: &str, others: &[&str]) -> Result<Self> {
        let entries = archive.file_names().filter_map(|name| Some(name.ok()?.strip_suffix(SUFFIX)?.to_owned()));
        let mut names: Vec<String> = entries.collect();
        names.sort();
        let tried = if others.first() == Some(&key) { others } else { &[key] };
        let Some(key) = tried.iter().find(|key| names.iter().any(|name| name == *key)) else {
            let there = if names.is_empty() { "none".into() } else { names.join(", ") };
            return Err(Error::input(format!("{}: no array `{}`; the arrays there are: {there}", path.display(), tried.join("`, `")))
                .help(format!("name it with the option `{}`", others.first().unwrap_or(&"images"))));
        };
        let place = format!("{}, array `{key}`", path.display());
        let bytes = unpack(path, archive, key, &place)?;
        Self::parse(place, bytes)
    }

    fn parse(place: String, mut bytes: Vec<u8>) -> Result<Self> {
        let start = check_header(&place, &bytes)?;
        let header = NpyHeader::from_reader(bytes.as_slice()).map_err(|error| malformed(&place, &error.to_string()))?;
        let DType::Plain(dtype) = header.dtype() else {
            return Err(malformed(&place, "it holds records, not numbers"));
        };
        let (kind, Some(item)) = (dtype.type_char(), dtype.num_bytes()) else {
            return Err(malformed(&place, "it holds Python objects, not numbers"));
        };
        let payload = bytes.split_off(start);
        let declared = usize::try_from(header.len()).ok().and_then(|count| count.checked_mul(item));
        if declared != Some(payload.len()) {
            return Err(Error::input(format!(
                "{place}: shape {:?} of {item} bytes an element does not agree with {} bytes of data",
                header.shape(),
                payload.len()
            ))
            .help("the file is truncated or damaged: write it again"));
        }
        let sizes = |values: &[u64]| values.iter().map(|&value| usize::try_from(value).ok()).collect::<Option<Vec<_>>>();
        let (Some(shape), Some(strides)) = (sizes(header.shape()), sizes(header.strides())) else {
            return Err(malformed(&place, "its shape is too large"));
        };
        Ok(Self { place, shape, strides, kind, item, header, payload })
    }

    /// The values as numbers that images can be made of.
    pub fn into_numbers(self) -> Result<Numbers> {
        match (self.kind, self.item) {
            (TypeChar::Uint, 1) => Ok(Numbers::Bytes(self.payload)),
            (TypeChar::Float, 4) => self.decode().map(Numbers::Single),
            (TypeChar::Float, 8) => self.decode().map(Numbers::Double),
            _ => Err(Error::input(format!("{}: images of type {} are not read", self.place, self.header.dtype().descr()))
                .help("store uint8 in 0..255 (`images.astype('uint8')`), or float32 in [0, 1] (`(images / 255).astype('float32')`)")),
        }
    }

    /// The values as whole numbers.
    pub fn into_integers(self) -> Result<Vec<i128>> {
        match (self.kind, self.item) {
            (TypeChar::Int, 1) => self.integers::<i8>(),
            (TypeChar::Int, 2) => self.integers::<i16>(),
            (TypeChar::Int, 4) => self.integers::<i32>(),
            (TypeChar::Int, 8) => self.integers::<i64>(),
            (TypeChar::Uint, 1) => self.integers::<u8>(),
            (TypeChar::Uint, 2) => self.integers::<u16>(),
            (TypeChar::Uint, 4) => self.integers::<u32>(),
            (TypeChar::Uint, 8) => self.integers::<u64>(),
            _ => Err(Error::input(format!("{}: labels of type {} are not whole numbers", self.place, self.header.dtype().descr()))
                .help("store `labels.astype('int64')`")),
        }
    }

    fn integers<T: Deserialize + Into<i128>>(self) -> Result<Vec<i128>> {
        Ok(self.decode::<T>()?.into_iter().map(Into::into).collect())
    }

    fn decode<T: Deserialize>(self) -> Result<Vec<T>> {
        let place = self.place;
        NpyFile::with_header(self.header, self.payload.as_slice()).into_vec().map_err(|error| malformed(&place, &error.to_string()))
    }
}

/// The bytes of the array `key`, no more than the archive has room for.
fn unpack(path: &Path, archive: &mut Archive, key: &str, place: &str) -> Result<Vec<u8>> {
    let size = std::fs::metadata(path).map_err(|error| files::unreadable(path, &error))?.len();
    let member = archive.by_name(&format!("{key}{SUFFIX}")).map_err(|error| malformed(place, &error.to_string()))?;
    let method = member.compression().to_string();
    if !matches!(method.as_str(), "Stored" | "Deflated") {
        return Err(malformed(place, &format!("it is compressed with {method}")));
    }
    if member.compressed_size() > size {
        return Err(files::truncated(path, format!("{key} takes {} bytes of it, and it has {size}", member.compressed_size())));
    }
    let (declared, at_most) = (member.size(), files::unpacked_at_most(member.compressed_size()));
    files::exactly(path, member, declared, at_most, &format!("the array `{key}`"))
}

/// Where the data start. What the header's parser would stumble over (it recurses, tries each bracket several times, and multiplies sizes
/// unchecked) is refused here.
fn check_header(place: &str, bytes: &[u8]) -> Result<usize> {
    let size = |at: std::ops::Range<usize>| Some(bytes.get(at)?.iter().rev().fold(0usize, |size, &byte| size << 8 | usize::from(byte)));
    let (text, length) = match bytes {
        [0x93, b'N', b'U', b'M', b'P', b'Y', 1, _, ..] => (10, size(8..10)),
        [0x93, b'N', b'U', b'M', b'P', b'Y', 2 | 3, _, ..] => (12, size(8..12)),
        _ => return Err(malformed(place, "it does not open with NumPy's magic and a version from 1 to 3")),
    };
    let Some(length) = length.filter(|&length| length <= LONGEST_HEADER && text + length <= bytes.len()) else {
        return Err(malformed(place, "its header does not fit"));
    };
    let header = &bytes[text..text + length];
    // Closing brackets do not count: they may stand in texts.
    if header.iter().filter(|byte| matches!(byte, b'(' | b'[' | b'{')).count() > MOST_BRACKETS {
        return Err(malformed(place, "its header nests too deeply, or describes records"));
    }
    let sizes = header.split(|byte| !byte.is_ascii_digit()).filter(|digits| !digits.is_empty());
    let product = sizes
        .map(|digits| std::str::from_utf8(digits).ok().and_then(|digits| digits.parse::<u64>().ok()))
        .try_fold(1u64, |product, size| product.checked_mul(size?.max(1)));
    if product.is_none() {
        return Err(malformed(place, "its header declares more elements than any file holds"));
    }
    Ok(text + length)
}

fn malformed(place: &str, why: &str) -> Error {
    Error::input(format!("{place} cannot be read: {why}")).help("write it again with `np.savez`, as a plain array of numbers")
}
