//! Errors of the file system and of SQLite as the user needs them: which file, what happened, the way out.

use std::io;
use std::path::Path;

use rusqlite::ErrorCode;

use crate::error::Error;

const KEPT: &str = "what was committed before is kept: run the same command again to go on";

/// A failed file operation (`verb`: "write", "open", ...).
pub fn io(verb: &str, path: &Path, error: &io::Error) -> Error {
    let help = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
            format!("free some space; {KEPT}")
        }
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            "make the folder writable, or name another one with --out".to_owned()
        }
        io::ErrorKind::NotADirectory | io::ErrorKind::AlreadyExists => "name a folder with --out, not a file".to_owned(),
        _ => format!("see to the disk or name another folder with --out; {KEPT}"),
    };
    Error::store(format!("cannot {verb} {}: {error}", path.display())).help(help)
}

/// A failed operation on the store at `path`.
pub fn of(path: &Path, error: &rusqlite::Error) -> Error {
    let name = path.display();
    use rusqlite::Error::{FromSqlConversionFailure, IntegralValueOutOfRange, InvalidColumnType};
    if matches!(error, FromSqlConversionFailure(..) | IntegralValueOutOfRange(..) | InvalidColumnType(..)) {
        return damaged(path, &error.to_string());
    }
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => Error::store(format!("no space is left to write {name}")).help(format!("free some space; {KEPT}")),
        Some(ErrorCode::ReadOnly) => Error::store(format!("{name} cannot be written: {error}"))
            .help("make the file and its folder writable, or name another folder with --out"),
        Some(ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => Error::store(format!("{name} cannot be opened: {error}"))
            .help("make the file and its folder readable and writable, or name another folder with --out"),
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => damaged(path, &error.to_string()),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            Error::store(format!("another program holds {name}")).help(format!("close the program that has it open; {KEPT}"))
        }
        Some(ErrorCode::SystemIoFailure) => Error::store(format!("reading or writing {name} failed: {error}"))
            .help(format!("see whether the disk is full, gone or failing; {KEPT}")),
        _ => Error::store(format!("the store {name} answers: {error}")).help(KEPT),
    }
}

/// A store whose contents make no sense.
pub fn damaged(path: &Path, detail: &str) -> Error {
    Error::store(format!("the store {} is damaged: {detail}", path.display()))
        .help("copy its folder away if anything in it matters, then begin anew with --fresh")
}
