//! Every point that broke an example, for runs that are asked to keep them. The table is there exactly where a run keeps them.

use rusqlite::{Connection, Transaction};

use super::series::{find, find_or_add};
use super::{Store, codec};
use crate::error::{Error, Result};
use crate::evaluate::record::SeriesKey;

/// The points by series, epsilon and example; `adversarial` is [channels, height, width], f32, little endian.
const TABLE: &str = "
CREATE TABLE IF NOT EXISTS kept (
    series INTEGER NOT NULL REFERENCES series, epsilon REAL NOT NULL, example INTEGER NOT NULL, prediction INTEGER NOT NULL,
    distance REAL NOT NULL, adversarial BLOB NOT NULL,
    PRIMARY KEY (series, epsilon, example)
)";

/// How an example was broken at an epsilon.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Broken {
    /// The radius of the attack.
    pub epsilon: f64,
    /// The example's stable id.
    pub example: u32,
    /// What the defence says of the point.
    pub prediction: u32,
    /// Distance from the original in the series' norm.
    pub distance: f32,
}

/// A point that broke an example.
#[derive(Clone, Debug, PartialEq)]
pub struct KeptPoint {
    /// How it did.
    pub broken: Broken,
    /// The point, [channels, height, width], in [0, 1].
    pub adversarial: Vec<f32>,
}

impl Store {
    /// From here on the run keeps the points that break.
    ///
    /// # Errors
    /// Bad input: the run was begun without, so that the points of what is finished are lost. The store cannot be written.
    pub fn keep_examples(&self) -> Result<()> {
        if self.keeps_examples()? {
            return Ok(());
        }
        if self.query(|connection| connection.query_row("SELECT EXISTS (SELECT 1 FROM outcome)", [], |row| row.get(0)))? {
            let message = format!("--keep-examples: {} was begun without it, and its first points are lost", self.folder().display());
            return Err(Error::input(message).help("begin anew with --fresh, or in another folder with --out"));
        }
        self.commit(|transaction| transaction.execute_batch(TABLE))
    }

    /// Whether the run keeps the points that break.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn keeps_examples(&self) -> Result<bool> {
        self.query(is_there)
    }

    /// Keeps the points that broke these examples of a series, in place of all earlier ones of theirs. To be called before the examples'
    /// outcomes are committed: what is finished then has its points, whenever the run is cut.
    ///
    /// # Errors
    /// The store cannot be written, or the run keeps no points.
    pub fn put_kept(&self, series: &SeriesKey, examples: &[u32], points: &[KeptPoint]) -> Result<()> {
        self.commit(|transaction| {
            let id = find_or_add(transaction, series)?;
            let mut delete = transaction.prepare_cached("DELETE FROM kept WHERE series = ? AND example = ?")?;
            for example in examples {
                delete.execute((id, example))?;
            }
            let mut insert = transaction.prepare_cached("INSERT OR REPLACE INTO kept VALUES (?, ?, ?, ?, ?, ?)")?;
            for KeptPoint { broken, adversarial } in points {
                let Broken { epsilon, example, prediction, distance } = broken;
                insert.execute((id, epsilon, example, prediction, distance, codec::encode_pixels(adversarial)))?;
            }
            Ok(())
        })
    }

    /// What was kept of a series, by epsilon and example, without the pixels.
    ///
    /// # Errors
    /// The store cannot be read, is damaged, or keeps no points.
    pub fn kept(&self, series: &SeriesKey) -> Result<Vec<Broken>> {
        self.query(|connection| {
            let Some(id) = find(connection, series)? else { return Ok(Vec::new()) };
            let sql = "SELECT epsilon, example, prediction, distance FROM kept WHERE series = ? ORDER BY epsilon, example";
            let mut select = connection.prepare_cached(sql)?;
            let rows = select.query_map([id], |row| {
                Ok(Broken { epsilon: row.get(0)?, example: row.get(1)?, prediction: row.get(2)?, distance: row.get(3)? })
            });
            rows?.collect()
        })
    }

    /// The pixels of a point that [`Store::kept`] lists, [channels, height, width].
    ///
    /// # Errors
    /// The store cannot be read, is damaged, or has no such point.
    pub fn kept_pixels(&self, series: &SeriesKey, broken: &Broken) -> Result<Vec<f32>> {
        self.query(|connection| {
            let id = find(connection, series)?.ok_or(rusqlite::Error::QueryReturnedNoRows)?;
            let sql = "SELECT adversarial FROM kept WHERE series = ? AND epsilon = ? AND example = ?";
            let mut select = connection.prepare_cached(sql)?;
            select.query_row((id, broken.epsilon, broken.example), |row| codec::decode_pixels(row.get_ref(0)?.as_blob()?, 0))
        })
    }
}

/// Forgets the points of a series, where the run keeps any.
pub fn forget(transaction: &Transaction, series: i64) -> rusqlite::Result<()> {
    if is_there(transaction)? {
        transaction.execute("DELETE FROM kept WHERE series = ?", [series])?;
    }
    Ok(())
}

fn is_there(connection: &Connection) -> rusqlite::Result<bool> {
    connection.query_row("SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'kept')", [], |row| row.get(0))
}
