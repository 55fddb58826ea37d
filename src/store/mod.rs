//! What a run knows, in its folder: one SQLite file that every finished chunk is committed to, so that a run can be cut anywhere and goes on.
//!
//! `store.sqlite` is written ahead (WAL) with `synchronous = FULL`: a commit that returned outlives the process, the system and the power.
//! A lock on `.lock` keeps a second process away; the system releases it however the process ends. Writes are idempotent: an example that
//! is committed twice replaces itself. Every error leaves what was committed before it as it was.

mod codec;
mod facts;
mod fault;
mod files;
mod folder;
mod kept;
mod lock;
mod schema;
mod series;
mod specimens;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};

pub use facts::DefenceRecord;
pub use files::{check_file, check_folder, write_atomic, write_atomic_with};
pub use folder::make as make_folder;
pub use kept::{Broken, KeptPoint};
pub use series::device_kind;

use crate::error::{Error, Result};
use lock::Lock;

/// The store's file in a run's folder.
pub const FILE: &str = "store.sqlite";

/// What makes two runs the same run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Hash of everything that the results follow from: the suite's meaning, the data.
    pub suite_hash: String,
    /// The suite's title.
    pub title: String,
    /// The suite's seed.
    pub seed: u64,
    /// The engine's version.
    pub version: String,
    /// What the results follow from, part by part: what a message calls the part, and its text, without the paths of files. None in stores
    /// that did not keep them.
    pub parts: BTreeMap<String, String>,
}

/// What to do with what the folder holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Begin, or go on where the folder holds the same run.
    Continue,
    /// Begin anew: the run's own files in the folder are removed, and no others.
    Fresh,
    /// Go on, and insist that there is something to go on with.
    Resume,
}

/// A run's store; safe to share between threads.
#[derive(Debug)]
pub struct Store {
    // Closed before the lock is released: fields drop in this order.
    connection: Mutex<Connection>,
    folder: PathBuf,
    path: PathBuf,
    identity: Identity,
    _lock: Option<Lock>,
}

impl Store {
    /// Opens the store of a run for writing, and makes the folder where there is none. Other files of the run, its log among them, are to
    /// be opened after this: [`Mode::Fresh`] removes them.
    ///
    /// # Errors
    /// Bad input: the folder holds another suite or another version's run, [`Mode::Fresh`] meets a folder that is not empty and holds no
    /// run, [`Mode::Continue`] would overwrite files that no run is known to have made, or [`Mode::Resume`] finds nothing.
    /// The store: another process holds the folder; it cannot be read or written; it is damaged or of a newer schema.
    pub fn open(folder: &Path, identity: &Identity, mode: Mode) -> Result<Store> {
        let path = folder.join(FILE);
        match (mode, path.exists()) {
            (Mode::Resume, false) => return Err(folder::nothing_to_resume(folder)),
            (Mode::Continue, false) => folder::refuse_to_overwrite(folder)?,
            (Mode::Fresh, false) => folder::refuse_unless_empty(folder)?,
            (Mode::Fresh, true) => schema::refuse_foreign(&path)?,
            (Mode::Continue | Mode::Resume, true) => {}
        }
        folder::make(folder)?;
        let lock = Lock::acquire(folder)?;
        if mode == Mode::Fresh {
            folder::remove_run(folder)?;
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut connection = Connection::open_with_flags(&path, flags).map_err(|error| fault::of(&path, &error))?;
        let found = schema::check(&connection, &path)?;
        if mode == Mode::Resume && found.is_none() {
            return Err(folder::nothing_to_resume(folder));
        }
        schema::set_up_writing(&connection).map_err(|error| fault::of(&path, &error))?;
        let found = match found {
            Some(found) => found,
            None => schema::create(&mut connection, identity).map(|()| identity.clone()).map_err(|error| fault::of(&path, &error))?,
        };
        refuse_another(folder, &found, identity)?;
        Ok(Store { connection: Mutex::new(connection), folder: folder.to_owned(), path, identity: found, _lock: Some(lock) })
    }

    /// Opens the store of a run for reading alone, also while the run goes on.
    ///
    /// # Errors
    /// Bad input: the folder is none, or holds no run. The store: it cannot be read, is damaged or of a newer schema.
    pub fn read(folder: &Path) -> Result<Store> {
        let path = folder.join(FILE);
        if !path.is_file() {
            return Err(folder::no_run(folder));
        }
        let connection = schema::open_to_read(&path).map_err(|error| fault::of(&path, &error))?;
        let identity = schema::check(&connection, &path)?.ok_or_else(|| folder::no_run(folder))?;
        Ok(Store { connection: Mutex::new(connection), folder: folder.to_owned(), path, identity, _lock: None })
    }

    /// The run's folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// What the run was begun as.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    // A thread that panicked inside a transaction has rolled it back, so its poison says nothing of the connection.
    fn connection(&self) -> MutexGuard<'_, Connection> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads; every error names the store and a way out.
    fn query<T>(&self, read: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T> {
        read(&self.connection()).map_err(|error| fault::of(&self.path, &error))
    }

    /// Writes all or nothing; it is on the disk when this returns.
    fn commit<T>(&self, write: impl FnOnce(&Transaction) -> rusqlite::Result<T>) -> Result<T> {
        let mut connection = self.connection();
        let whole = || {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let value = write(&transaction)?;
            transaction.commit()?;
            Ok(value)
        };
        whole().map_err(|error| fault::of(&self.path, &error))
    }
}

fn refuse_another(folder: &Path, found: &Identity, wanted: &Identity) -> Result<()> {
    // The same parts under another hash: in another order, or with paths that are written otherwise.
    let alike = !found.parts.is_empty() && (&found.parts, &found.title, found.seed) == (&wanted.parts, &wanted.title, wanted.seed);
    if found.version == wanted.version && (found.suite_hash == wanted.suite_hash || alike) {
        return Ok(());
    }
    let folder = folder.display();
    let message = if found.version != wanted.version {
        format!(
            "{folder} holds the run \"{}\" of gauntlet {}, and this is gauntlet {}: results of two versions are not mixed",
            found.title, found.version, wanted.version
        )
    } else if found.title == wanted.title && found.seed == wanted.seed {
        let apart = apart(&found.parts, &wanted.parts);
        let apart = apart.unwrap_or_else(|| "its suite or its data differ from this one's".to_string());
        format!("{folder} holds a run that is also called \"{}\", but {apart}", found.title)
    } else {
        format!(
            "{folder} holds another run, \"{}\" with seed {}; this is \"{}\" with seed {}",
            found.title, found.seed, wanted.title, wanted.seed
        )
    };
    let help = format!("name another folder with --out, or replace that run with --fresh; {folder}/suite.toml is what it ran");
    Err(Error::input(message).help(help))
}

/// Parts of a run that a message names at most.
const NAMED: usize = 8;

/// What of a run is other than wanted, in words; `None` where the store does not say what its run is made of.
fn apart(found: &BTreeMap<String, String>, wanted: &BTreeMap<String, String>) -> Option<String> {
    let told = |(name, part): (&String, &String)| match found.get(name) {
        None => Some(format!("{name} is new")),
        Some(before) if before != part => Some(format!("{name} is another")),
        Some(_) => None,
    };
    let gone = found.keys().filter(|name| !wanted.contains_key(*name)).map(|name| format!("{name} is gone"));
    let mut all: Vec<String> = wanted.iter().filter_map(told).chain(gone).collect();
    if all.len() > NAMED {
        let more = all.split_off(NAMED).len();
        all.push(format!("and {more} more differ"));
    }
    (!found.is_empty() && !all.is_empty()).then(|| all.join(", "))
}
