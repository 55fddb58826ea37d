//! Series: outcomes chunk by chunk, their audits, and what they cost.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, Transaction};

use super::{Store, codec, kept};
use crate::error::Result;
use crate::evaluate::cost::Cost;
use crate::evaluate::record::{Audited, ExampleOutcomes, SeriesKey};
use crate::evaluate::results::DeviceInfo;
use crate::threat::Norm;

/// What two devices share whose outcomes may stand in for each other: name, backend, compiler, precision and slot count.
pub fn device_kind(device: &DeviceInfo) -> String {
    let DeviceInfo { name, backend, driver: _, compiler, precision, slots } = device;
    format!("{name} | {backend} | {compiler} | {precision} | {slots} slots")
}

impl Store {
    /// The examples of a series whose outcomes come from a device of this [`device_kind`].
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn finished_examples(&self, series: &SeriesKey, device_kind: &str) -> Result<BTreeSet<u32>> {
        self.query(|connection| {
            let Some(id) = find(connection, series)? else { return Ok(BTreeSet::new()) };
            let sql = "SELECT example FROM outcome JOIN device ON device.id = outcome.device WHERE series = ? AND kind = ?";
            connection.prepare_cached(sql)?.query_map((id, device_kind), |row| row.get(0))?.collect()
        })
    }

    /// Commits a chunk, whole or not at all: outcomes that a device found, in place of earlier ones of the same examples, and what they
    /// cost. An audit from before is forgotten, unless the series was cleared since.
    ///
    /// # Errors
    /// The store cannot be written; nothing of the chunk is kept then.
    pub fn commit_chunk(&self, series: &SeriesKey, device: &DeviceInfo, examples: &[ExampleOutcomes], cost: &Cost) -> Result<()> {
        self.commit(|transaction| {
            let id = find_or_add(transaction, series)?;
            let device = device_id(transaction, device)?;
            let mut insert = transaction.prepare_cached("INSERT OR REPLACE INTO outcome VALUES (?, ?, ?, ?)")?;
            for ExampleOutcomes { example, outcomes } in examples {
                insert.execute((id, example, device, codec::encode(outcomes)))?;
            }
            let stale = transaction.execute("UPDATE series SET audited = 0 WHERE id = ? AND audited AND NOT exhaustive", [id])?;
            if stale > 0 {
                transaction.execute("DELETE FROM audit WHERE series = ?", [id])?;
            }
            add_cost(transaction, id, cost)
        })
    }

    /// Adds to what a series cost.
    ///
    /// # Errors
    /// The store cannot be written.
    pub fn book(&self, series: &SeriesKey, cost: &Cost) -> Result<()> {
        self.commit(|transaction| {
            let id = find_or_add(transaction, series)?;
            add_cost(transaction, id, cost)
        })
    }

    /// The outcomes of a series, by example.
    ///
    /// # Errors
    /// The store cannot be read, or is damaged.
    pub fn outcomes(&self, series: &SeriesKey) -> Result<Vec<ExampleOutcomes>> {
        Ok(self.outcomes_by_device(series)?.into_iter().map(|(_, outcomes)| outcomes).collect())
    }

    /// The outcomes of a series with the device that each came from, by example.
    ///
    /// # Errors
    /// As [`Store::outcomes`].
    pub fn outcomes_by_device(&self, series: &SeriesKey) -> Result<Vec<(Arc<DeviceInfo>, ExampleOutcomes)>> {
        self.query(|connection| {
            let Some(id) = find(connection, series)? else { return Ok(Vec::new()) };
            let mut select = connection.prepare_cached("SELECT id, info FROM device")?;
            let devices = select.query_map([], |row| Ok((row.get(0)?, Arc::new(device(row.get_ref(1)?.as_str()?, 1)?))));
            let devices: BTreeMap<i64, Arc<DeviceInfo>> = devices?.collect::<rusqlite::Result<_>>()?;
            let sql = "SELECT example, device, outcomes FROM outcome WHERE series = ? ORDER BY example";
            let mut select = connection.prepare_cached(sql)?;
            let rows = select.query_map([id], |row| {
                let number: i64 = row.get(1)?;
                let device = devices.get(&number).ok_or_else(|| codec::nonsense(1, format!("there is no device {number}")))?;
                Ok((device.clone(), ExampleOutcomes { example: row.get(0)?, outcomes: codec::decode(row.get_ref(2)?.as_blob()?, 2)? }))
            });
            rows?.collect()
        })
    }

    /// The devices that outcomes come from, in a fixed order.
    ///
    /// # Errors
    /// The store cannot be read, or is damaged.
    pub fn devices(&self) -> Result<Vec<DeviceInfo>> {
        self.query(|connection| {
            let sql = "SELECT info FROM device WHERE id IN (SELECT device FROM outcome) ORDER BY kind, info";
            connection.prepare_cached(sql)?.query_map([], |row| device(row.get_ref(0)?.as_str()?, 0))?.collect()
        })
    }

    /// Commits the whole audit of a series, in place of an earlier one, and what it cost. An empty audit counts: nothing was inferred.
    ///
    /// # Errors
    /// The store cannot be written.
    pub fn commit_audit(&self, series: &SeriesKey, audits: &[Audited], cost: &Cost) -> Result<()> {
        self.commit(|transaction| {
            let id = find_or_add(transaction, series)?;
            transaction.execute("DELETE FROM audit WHERE series = ?", [id])?;
            let mut insert = transaction.prepare_cached("INSERT OR REPLACE INTO audit VALUES (?, ?, ?, ?, ?, ?)")?;
            for &Audited { example, epsilon, verdict, forwards, backwards } in audits {
                insert.execute((id, example, epsilon, codec::verdict_code(verdict), forwards, backwards))?;
            }
            transaction.execute("UPDATE series SET audited = 1 WHERE id = ?", [id])?;
            add_cost(transaction, id, cost)
        })
    }

    /// The audit of a series, by example and epsilon; `None` where none was committed.
    ///
    /// # Errors
    /// The store cannot be read, or is damaged.
    pub fn audits(&self, series: &SeriesKey) -> Result<Option<Vec<Audited>>> {
        self.query(|connection| {
            let Some(id) = find(connection, series)? else { return Ok(None) };
            if !flag(connection, "SELECT audited FROM series WHERE id = ?", id)? {
                return Ok(None);
            }
            let sql = "SELECT example, epsilon, verdict, forwards, backwards FROM audit WHERE series = ? ORDER BY example, epsilon";
            let mut select = connection.prepare_cached(sql)?;
            let rows = select.query_map([id], |row| {
                Ok(Audited {
                    example: row.get(0)?,
                    epsilon: row.get(1)?,
                    verdict: codec::verdict(row.get(2)?, 2)?,
                    forwards: row.get(3)?,
                    backwards: row.get(4)?,
                })
            });
            rows?.collect::<rusqlite::Result<_>>().map(Some)
        })
    }

    /// Forgets the outcomes, specimens and kept points of a series that is to be run again exhaustively, and remembers that it is. Its audit, the reason,
    /// and its cost stay.
    ///
    /// # Errors
    /// The store cannot be written.
    pub fn clear_series(&self, series: &SeriesKey) -> Result<()> {
        self.commit(|transaction| {
            let id = find_or_add(transaction, series)?;
            transaction.execute("DELETE FROM outcome WHERE series = ?", [id])?;
            transaction.execute("DELETE FROM specimen WHERE series = ?", [id])?;
            kept::forget(transaction, id)?;
            transaction.execute("UPDATE series SET exhaustive = 1 WHERE id = ?", [id]).map(drop)
        })
    }

    /// Whether a series was cleared to be run again exhaustively.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn is_exhaustive(&self, series: &SeriesKey) -> Result<bool> {
        self.query(|connection| match find(connection, series)? {
            Some(id) => flag(connection, "SELECT exhaustive FROM series WHERE id = ?", id),
            None => Ok(false),
        })
    }
}

/// What each series cost, by key.
pub fn costs(connection: &Connection) -> rusqlite::Result<Vec<(SeriesKey, Cost)>> {
    let sql =
        "SELECT defence, attack, norm, seconds, device_forwards, device_backwards, active, capacity, fed_active, fed_capacity FROM series";
    let mut select = connection.prepare_cached(sql)?;
    let rows = select.query_map([], |row| {
        let key = SeriesKey { defence: row.get(0)?, attack: row.get(1)?, norm: norm(row.get_ref(2)?.as_str()?, 2)? };
        let count = |column| row.get::<_, i64>(column).map(i64::cast_unsigned);
        let (device_forwards, device_backwards, active, capacity) = (count(4)?, count(5)?, count(6)?, count(7)?);
        let (fed_active, fed_capacity) = (count(8)?, count(9)?);
        Ok((key, Cost { seconds: row.get(3)?, device_forwards, device_backwards, active, capacity, fed_active, fed_capacity }))
    });
    let mut costs = rows?.collect::<rusqlite::Result<Vec<_>>>()?;
    costs.sort_by(|(a, _), (b, _)| a.cmp(b));
    Ok(costs)
}

/// The number of a series, where it is known.
pub fn find(connection: &Connection, series: &SeriesKey) -> rusqlite::Result<Option<i64>> {
    let sql = "SELECT id FROM series WHERE defence = ? AND attack = ? AND norm = ?";
    let key = (&series.defence, &series.attack, series.norm.name());
    connection.prepare_cached(sql)?.query_row(key, |row| row.get(0)).optional()
}

/// The number of a series, which is made known where it is not.
pub fn find_or_add(transaction: &Transaction, series: &SeriesKey) -> rusqlite::Result<i64> {
    if let Some(id) = find(transaction, series)? {
        return Ok(id);
    }
    let key = (&series.defence, &series.attack, series.norm.name());
    transaction.execute("INSERT INTO series (defence, attack, norm) VALUES (?, ?, ?)", key)?;
    Ok(transaction.last_insert_rowid())
}

/// The norm of a name that was read from `column`.
pub fn norm(name: &str, column: usize) -> rusqlite::Result<Norm> {
    Norm::ALL.into_iter().find(|norm| norm.name() == name).ok_or_else(|| codec::nonsense(column, format!("{name:?} is no norm")))
}

fn device(info: &str, column: usize) -> rusqlite::Result<DeviceInfo> {
    serde_json::from_str(info).map_err(|error| codec::nonsense(column, format!("{info:?} is no device: {error}")))
}

fn device_id(transaction: &Transaction, device: &DeviceInfo) -> rusqlite::Result<i64> {
    let info = serde_json::to_string(device).expect("a device is plain JSON values");
    transaction.execute("INSERT OR IGNORE INTO device (kind, info) VALUES (?, ?)", (device_kind(device), &info))?;
    transaction.query_row("SELECT id FROM device WHERE info = ?", [&info], |row| row.get(0))
}

fn flag(connection: &Connection, sql: &str, id: i64) -> rusqlite::Result<bool> {
    connection.prepare_cached(sql)?.query_row([id], |row| row.get(0))
}

fn add_cost(transaction: &Transaction, series: i64, cost: &Cost) -> rusqlite::Result<()> {
    let Cost { seconds, device_forwards, device_backwards, active, capacity, fed_active, fed_capacity } = *cost;
    let sql = "UPDATE series SET seconds = seconds + ?, device_forwards = device_forwards + ?, device_backwards = device_backwards + ?,
               active = active + ?, capacity = capacity + ?, fed_active = fed_active + ?, fed_capacity = fed_capacity + ? WHERE id = ?";
    let counts = [device_forwards, device_backwards, active, capacity, fed_active, fed_capacity].map(u64::cast_signed);
    let row = (seconds, counts[0], counts[1], counts[2], counts[3], counts[4], counts[5], series);
    transaction.prepare_cached(sql)?.execute(row).map(drop)
}
