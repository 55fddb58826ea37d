//! Adversarial examples that are kept for the gallery.

use super::series::{find_or_add, norm};
use super::{Store, codec};
use crate::error::Result;
use crate::evaluate::record::{SeriesKey, Specimen};

impl Store {
    /// Keeps specimens, in place of earlier ones of the same series, epsilon and example. How many to keep is the caller's choice.
    ///
    /// # Errors
    /// The store cannot be written.
    pub fn put_specimens(&self, specimens: &[Specimen]) -> Result<()> {
        self.commit(|transaction| {
            let mut insert = transaction.prepare_cached("INSERT OR REPLACE INTO specimen VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")?;
            for specimen in specimens {
                let [channels, height, width] = specimen.shape.map(|side| side as i64);
                insert.execute((
                    find_or_add(transaction, &specimen.series)?,
                    specimen.epsilon,
                    specimen.example,
                    specimen.label,
                    specimen.prediction,
                    specimen.distance,
                    channels,
                    height,
                    width,
                    codec::encode_pixels(&specimen.original),
                    codec::encode_pixels(&specimen.adversarial),
                ))?;
            }
            Ok(())
        })
    }

    /// All specimens, by series, epsilon and example, whatever the order in which they came.
    ///
    /// # Errors
    /// The store cannot be read, or is damaged.
    pub fn specimens(&self) -> Result<Vec<Specimen>> {
        let mut specimens = self.query(|connection| {
            let sql = "SELECT defence, attack, norm, epsilon, example, label, prediction, distance, channels, height, width, original,
                       adversarial FROM specimen JOIN series ON series.id = specimen.series";
            let mut select = connection.prepare_cached(sql)?;
            let rows = select.query_map([], |row| {
                let side = |column| row.get::<_, u32>(column).map(|side| side as usize);
                let pixels = |column| codec::decode_pixels(row.get_ref(column)?.as_blob()?, column);
                let specimen = Specimen {
                    series: SeriesKey { defence: row.get(0)?, attack: row.get(1)?, norm: norm(row.get_ref(2)?.as_str()?, 2)? },
                    epsilon: row.get(3)?,
                    example: row.get(4)?,
                    label: row.get(5)?,
                    prediction: row.get(6)?,
                    distance: row.get(7)?,
                    shape: [side(8)?, side(9)?, side(10)?],
                    original: pixels(11)?,
                    adversarial: pixels(12)?,
                };
                let size = specimen.shape.iter().product::<usize>();
                if specimen.original.len() != size || specimen.adversarial.len() != size {
                    return Err(codec::nonsense(11, format!("an image of {size} pixels has {}", specimen.original.len())));
                }
                Ok(specimen)
            });
            rows?.collect::<rusqlite::Result<Vec<_>>>()
        })?;
        specimens.sort_by(|a, b| a.series.cmp(&b.series).then(a.epsilon.total_cmp(&b.epsilon)).then(a.example.cmp(&b.example)));
        Ok(specimens)
    }
}
