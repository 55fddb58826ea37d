//! One process a folder: an advisory lock that the system drops with the process, however it ends.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::Path;

use super::fault;
use crate::error::{Error, Result};

/// The lock's file in a run's folder. It stays there when the lock is released: removing it would let two processes lock two files.
pub const FILE: &str = ".lock";

/// A folder held; released when it is dropped.
#[derive(Debug)]
pub struct Lock(File);

impl Lock {
    /// Takes the folder and leaves this process's id in the file, for the message that another process gives.
    pub fn acquire(folder: &Path) -> Result<Lock> {
        let path = folder.join(FILE);
        let open = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
        let mut file = open.map_err(|error| fault::io("open", &path, &error))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(held(folder, &mut file)),
            Err(TryLockError::Error(error)) => return Err(fault::io("lock", &path, &error)),
        }
        let write = file.set_len(0).and_then(|()| file.rewind()).and_then(|()| write!(file, "{}", std::process::id()));
        write.map_err(|error| fault::io("write", &path, &error))?;
        Ok(Lock(file))
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // An id that is left behind would name a process that is gone; the lock itself goes with the file's handle in any case.
        let _ = self.0.set_len(0);
    }
}

fn held(folder: &Path, file: &mut File) -> Error {
    let mut text = String::new();
    // Some systems let nobody read a locked file; the message does without the id there.
    let pid = file.read_to_string(&mut text).ok().and_then(|_| text.trim().parse::<u32>().ok());
    let by = pid.map_or_else(|| "another process".to_owned(), |pid| format!("another process (pid {pid})"));
    Error::store(format!("{} is in use by {by}", folder.display()))
        .help("wait until it ends, or name another folder with --out; what it finishes is kept, and the same command goes on from there")
}
