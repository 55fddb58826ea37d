//! The tables of the store, and whether a file is a store that this version can use.

use std::path::Path;

use rusqlite::{Connection, OpenFlags, OptionalExtension, TransactionBehavior};

use super::{Identity, fault};
use crate::error::{Error, Result};

/// The schema that this version writes, in `PRAGMA user_version`.
pub const VERSION: i64 = 2;

/// Marks the file as ours, in `PRAGMA application_id`: "gaun" in ASCII.
const APPLICATION: i64 = 0x6761_756e;

/// The fact that says what a run is made of, part by part.
const PARTS: &str = "parts";

/// Blobs are little endian; [`super::codec`] states the layout of `outcomes`. Counters are u64 with the bits of an i64. A device's `kind`
/// says which outcomes may stand in for each other. `run` and `spent` have one row at most; a series is `audited` once its audit is
/// committed, and `exhaustive` once it was cleared to be run again.
const TABLES: &str = "
CREATE TABLE run (suite_hash TEXT NOT NULL, title TEXT NOT NULL, seed INTEGER NOT NULL, version TEXT NOT NULL);
CREATE TABLE fact (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE training (defence TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE defence (name TEXT PRIMARY KEY, info TEXT NOT NULL, predictions BLOB NOT NULL, failed BLOB NOT NULL, forwards INTEGER NOT NULL);
CREATE TABLE device (id INTEGER PRIMARY KEY, kind TEXT NOT NULL, info TEXT NOT NULL UNIQUE);
CREATE TABLE series (
    id INTEGER PRIMARY KEY, defence TEXT NOT NULL, attack TEXT NOT NULL, norm TEXT NOT NULL,
    audited INTEGER NOT NULL DEFAULT 0, exhaustive INTEGER NOT NULL DEFAULT 0,
    seconds REAL NOT NULL DEFAULT 0, device_forwards INTEGER NOT NULL DEFAULT 0, device_backwards INTEGER NOT NULL DEFAULT 0,
    active INTEGER NOT NULL DEFAULT 0, capacity INTEGER NOT NULL DEFAULT 0,
    fed_active INTEGER NOT NULL DEFAULT 0, fed_capacity INTEGER NOT NULL DEFAULT 0,
    UNIQUE (defence, attack, norm)
);
CREATE TABLE outcome (
    series INTEGER NOT NULL REFERENCES series, example INTEGER NOT NULL, device INTEGER NOT NULL REFERENCES device, outcomes BLOB NOT NULL,
    PRIMARY KEY (series, example)
) WITHOUT ROWID;
CREATE TABLE audit (
    series INTEGER NOT NULL REFERENCES series, example INTEGER NOT NULL, epsilon REAL NOT NULL, verdict INTEGER NOT NULL,
    forwards INTEGER NOT NULL, backwards INTEGER NOT NULL,
    PRIMARY KEY (series, example, epsilon)
) WITHOUT ROWID;
CREATE TABLE specimen (
    series INTEGER NOT NULL REFERENCES series, epsilon REAL NOT NULL, example INTEGER NOT NULL, label INTEGER NOT NULL,
    prediction INTEGER NOT NULL, distance REAL NOT NULL, channels INTEGER NOT NULL, height INTEGER NOT NULL, width INTEGER NOT NULL,
    original BLOB NOT NULL, adversarial BLOB NOT NULL,
    PRIMARY KEY (series, epsilon, example)
);
CREATE TABLE spent (seconds REAL NOT NULL);
INSERT INTO spent VALUES (0);
";

/// What was found in the header.
struct Header {
    application: i64,
    version: i64,
    tables: i64,
}

impl Header {
    fn read(connection: &Connection) -> rusqlite::Result<Header> {
        let pragma = |name| connection.pragma_query_value(None, name, |row| row.get(0));
        Ok(Header {
            application: pragma("application_id")?,
            version: pragma("user_version")?,
            tables: connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?,
        })
    }

    /// Neither a store nor a database of another program.
    fn is_empty(&self) -> bool {
        self.application == 0 && self.version == 0 && self.tables == 0
    }
}

/// Every commit is on the disk when it returns. Where the file system has no shared memory SQLite stays with a rollback journal, which
/// keeps the same promise.
pub fn set_up_writing(connection: &Connection) -> rusqlite::Result<()> {
    connection.pragma_update_and_check(None, "journal_mode", "wal", |_| Ok(()))?;
    connection.pragma_update(None, "synchronous", "full")?;
    connection.pragma_update(None, "foreign_keys", true)
}

/// A connection that writes nothing. The last one to a store that is written ahead clears away the files beside it as it closes, which one
/// that may only read could not: it would leave them there.
pub fn open_to_read(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.pragma_update(None, "query_only", true)?;
    Ok(connection)
}

/// Makes the tables in one transaction, so that a file is a whole store or an empty one.
pub fn create(connection: &mut Connection, identity: &Identity) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    transaction.execute_batch(TABLES)?;
    let Identity { suite_hash, title, seed, version, parts } = identity;
    transaction.execute("INSERT INTO run VALUES (?, ?, ?, ?)", (suite_hash, title, seed.cast_signed(), version))?;
    let parts = serde_json::to_string(parts).expect("texts are plain JSON");
    transaction.execute("INSERT INTO fact VALUES (?, ?)", (PARTS, parts))?;
    transaction.pragma_update(None, "application_id", APPLICATION)?;
    transaction.pragma_update(None, "user_version", VERSION)?;
    transaction.commit()
}

/// The identity of the run in a store that is whole; `None` where the file is still empty.
pub fn check(connection: &Connection, path: &Path) -> Result<Option<Identity>> {
    let fault = |error: rusqlite::Error| fault::of(path, &error);
    let header = Header::read(connection).map_err(fault)?;
    if header.is_empty() {
        return Ok(None);
    }
    if header.application != APPLICATION {
        return Err(foreign(path));
    }
    if header.version > VERSION {
        return Err(Error::store(format!(
            "{} has schema {}, and this gauntlet {} knows schemas up to {VERSION}",
            path.display(),
            header.version,
            env!("CARGO_PKG_VERSION")
        ))
        .help("use the newer gauntlet that made it, or name another folder with --out"));
    }
    let first: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0)).map_err(fault)?;
    if first != "ok" {
        return Err(fault::damaged(path, &first));
    }
    let parts = connection.query_row("SELECT value FROM fact WHERE key = ?", [PARTS], |row| row.get::<_, String>(0));
    // Without them, or with another program's, a store is sound: its hash alone says which run it holds.
    let parts = parts.optional().map_err(fault)?.and_then(|parts| serde_json::from_str(&parts).ok()).unwrap_or_default();
    let identity = connection.query_row("SELECT suite_hash, title, seed, version FROM run", [], |row| {
        let seed = row.get::<_, i64>(2)?.cast_unsigned();
        Ok(Identity { suite_hash: row.get(0)?, title: row.get(1)?, seed, version: row.get(3)?, parts })
    });
    identity.optional().map_err(fault)?.ok_or_else(|| fault::damaged(path, "it does not say which run it holds")).map(Some)
}

/// Refuses to replace a database that another program made. A damaged file is taken for a store: it has a store's name.
pub fn refuse_foreign(path: &Path) -> Result<()> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let header = Connection::open_with_flags(path, flags).and_then(|connection| Header::read(&connection));
    match header {
        Ok(header) if header.application != APPLICATION && !header.is_empty() => Err(foreign(path)),
        _ => Ok(()),
    }
}

fn foreign(path: &Path) -> Error {
    Error::input(format!("{} is a database of another program", path.display())).help("name another folder with --out")
}
