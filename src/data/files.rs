//! Reading files whose declared sizes are not to be believed.

use std::fs::File;
use std::io::{BufReader, ErrorKind, Read};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// Deflate cannot do better than this: 258 bytes for two bits (RFC 1951).
const DEFLATE_RATIO: u64 = 1032;

/// An open file and an upper bound of the bytes that it can hold, unpacked.
pub(super) struct Source {
    pub path: PathBuf,
    pub reader: Box<dyn Read>,
    pub at_most: u64,
}

impl Source {
    /// Opens `path`, unpacking it where it ends in `.gz`.
    pub fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(|error| unreadable(path, &error))?;
        let size = file.metadata().map_err(|error| unreadable(path, &error))?.len();
        let path = path.to_path_buf();
        let file = BufReader::new(file);
        if path.extension().is_some_and(|extension| extension == "gz") {
            let at_most = unpacked_at_most(size);
            Ok(Self { path, reader: Box::new(flate2::bufread::MultiGzDecoder::new(file)), at_most })
        } else {
            Ok(Self { path, reader: Box::new(file), at_most: size })
        }
    }

    /// The next `N` bytes, which belong to the header.
    pub fn header<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut bytes = [0; N];
        self.reader.read_exact(&mut bytes).map_err(|error| match error.kind() {
            ErrorKind::UnexpectedEof => truncated(&self.path, "it ends within its header".into()),
            _ => unreadable(&self.path, &error),
        })?;
        Ok(bytes)
    }

    /// The rest, which must be `declared` bytes, described by `what`.
    pub fn rest(self, declared: u64, what: &str) -> Result<Vec<u8>> {
        exactly(&self.path, self.reader, declared, self.at_most, what)
    }
}

/// What `packed` bytes of deflate can unpack to, generously.
pub(super) fn unpacked_at_most(packed: u64) -> u64 {
    packed.saturating_mul(DEFLATE_RATIO)
}

/// Reads `declared` bytes and requires the end after them, without allocating for bytes that cannot be there.
pub(super) fn exactly(path: &Path, reader: impl Read, declared: u64, at_most: u64, what: &str) -> Result<Vec<u8>> {
    if declared > at_most {
        return Err(truncated(path, format!("it declares {what}, {declared} bytes, but can hold {at_most} at most")));
    }
    let mut bytes = Vec::new();
    reader.take(declared.saturating_add(1)).read_to_end(&mut bytes).map_err(|error| match error.kind() {
        ErrorKind::UnexpectedEof => truncated(path, format!("it declares {what}, {declared} bytes, and its packed stream ends early")),
        ErrorKind::InvalidData => {
            Error::input(format!("{}: it declares {what}, {declared} bytes, and is damaged: {error}", path.display()))
                .help("the header or the file is wrong: fetch the file again")
        }
        _ => unreadable(path, &error),
    })?;
    let found = bytes.len() as u64;
    if found < declared {
        return Err(truncated(path, format!("it declares {what}, {declared} bytes, and holds {found}")));
    }
    if found > declared {
        return Err(Error::input(format!("{}: it declares {what}, {declared} bytes, and holds more", path.display()))
            .help("the header or the file is wrong: fetch the file again"));
    }
    Ok(bytes)
}

/// The error for a file that ends too soon.
pub(super) fn truncated(path: &Path, how: String) -> Error {
    Error::input(format!("{}: the file is truncated: {how}", path.display())).help("fetch or write the file again")
}

/// The error for a file that cannot be read.
pub(super) fn unreadable(path: &Path, error: &std::io::Error) -> Error {
    let help = match error.kind() {
        ErrorKind::NotFound => "check `path`; a relative path starts at the suite's folder",
        ErrorKind::PermissionDenied => "make the file readable",
        ErrorKind::IsADirectory => "this is a folder; `path` must name a file",
        _ => "the file is damaged or not of this format: fetch it again",
    };
    Error::input(format!("{}: cannot be read: {error}", path.display())).help(help)
}
