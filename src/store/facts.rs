//! What is known once a run: facts by key, defences with their clean decisions, trainings, wall time.

use rusqlite::{Connection, OptionalExtension};

use super::{Store, codec, series};
use crate::error::Result;
use crate::evaluate::cost::Spent;

/// A defence as it was attacked, and what it says without an attack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DefenceRecord {
    /// Its name.
    pub name: String,
    /// How it was made, as JSON.
    pub info: String,
    /// The class that it decides on, one an example, in the data's order.
    pub predictions: Vec<u32>,
    /// Where that decision met a NaN or an infinity; one an example.
    pub failed: Vec<bool>,
    /// Where it rejects the input; one an example.
    pub rejected: Vec<bool>,
    /// Forward passes of the clean pass.
    pub forwards: u64,
}

impl Store {
    /// Keeps a JSON text under `key`, in place of what was there.
    ///
    /// # Errors
    /// The store cannot be written.
    pub fn put_fact(&self, key: &str, value: &str) -> Result<()> {
        self.commit(|transaction| transaction.execute("INSERT OR REPLACE INTO fact VALUES (?, ?)", (key, value)).map(drop))
    }

    /// The JSON text under `key`, where there is one.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn fact(&self, key: &str) -> Result<Option<String>> {
        self.query(|connection| text(connection, "SELECT value FROM fact WHERE key = ?", key))
    }

    /// Keeps what came of a defence's training, as JSON.
    ///
    /// # Errors
    /// The store cannot be written.
    pub fn put_training(&self, defence: &str, value: &str) -> Result<()> {
        self.commit(|transaction| transaction.execute("INSERT OR REPLACE INTO training VALUES (?, ?)", (defence, value)).map(drop))
    }

    /// What came of a defence's training, where it is known.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn training(&self, defence: &str) -> Result<Option<String>> {
        self.query(|connection| text(connection, "SELECT value FROM training WHERE defence = ?", defence))
    }

    /// Keeps a defence with its clean decisions.
    ///
    /// # Errors
    /// The store cannot be written.
    pub fn put_defence(&self, defence: &DefenceRecord) -> Result<()> {
        let DefenceRecord { name, info, predictions, failed, rejected, forwards } = defence;
        let flags: Vec<u8> = failed.iter().zip(rejected).map(|(&failed, &rejected)| codec::encode_flags([failed, rejected])).collect();
        let row = (name, info, codec::encode_words(predictions), flags, forwards.cast_signed());
        self.commit(|transaction| transaction.execute("INSERT OR REPLACE INTO defence VALUES (?, ?, ?, ?, ?)", row).map(drop))
    }

    /// A defence with its clean decisions, where it is known.
    ///
    /// # Errors
    /// The store cannot be read, or is damaged.
    pub fn defence(&self, name: &str) -> Result<Option<DefenceRecord>> {
        self.query(|connection| {
            let sql = "SELECT info, predictions, failed, forwards FROM defence WHERE name = ?";
            let row = connection.query_row(sql, [name], |row| {
                let flags = || Ok::<_, rusqlite::Error>(row.get_ref(2)?.as_blob()?.iter().map(|&byte| codec::decode_flags(byte)));
                Ok(DefenceRecord {
                    name: name.to_owned(),
                    info: row.get(0)?,
                    predictions: codec::decode_words(row.get_ref(1)?.as_blob()?, 1)?,
                    failed: flags()?.map(|[failed, _]| failed).collect(),
                    rejected: flags()?.map(|[_, rejected]| rejected).collect(),
                    forwards: row.get::<_, i64>(3)?.cast_unsigned(),
                })
            });
            row.optional()
        })
    }

    /// Adds wall seconds of the run.
    ///
    /// # Errors
    /// The store cannot be written.
    pub fn add_timing(&self, seconds: f64) -> Result<()> {
        self.commit(|transaction| transaction.execute("UPDATE spent SET seconds = seconds + ?", [seconds]).map(drop))
    }

    /// What the run cost so far, over all the times that it was continued.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn timing(&self) -> Result<Spent> {
        self.query(|connection| {
            let seconds = connection.query_row("SELECT seconds FROM spent", [], |row| row.get(0))?;
            Ok(Spent { seconds, series: series::costs(connection)? })
        })
    }
}

fn text(connection: &Connection, sql: &str, key: &str) -> rusqlite::Result<Option<String>> {
    connection.query_row(sql, [key], |row| row.get(0)).optional()
}
