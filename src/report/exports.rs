//! The results as files for other programs: `results.json`, `results.csv`, `examples.parquet`. Each is there whole or not at all.

use std::collections::HashMap;
use std::fs::File;
use std::io::BufWriter;
use std::path::Path;
use std::sync::Arc;

use parquet::basic::Compression;
use parquet::data_type::{ByteArray, ByteArrayType, DataType, DoubleType, FloatType, Int32Type};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::parser::parse_message_type;

use crate::error::{Error, Result};
use crate::evaluate::accuracy::Clean;
use crate::evaluate::record::{ExampleOutcomes, Outcome, SeriesKey, Settled, Verdict};
use crate::evaluate::results::{DeviceInfo, Results};
use crate::store::{write_atomic, write_atomic_with};

/// Rows of a row group at most: what is held in memory at once, about 16 MiB.
const GROUP: usize = 1 << 16;

const SCHEMA: &str = "message examples {
    required byte_array defence (STRING);
    required byte_array attack (STRING);
    required byte_array norm (STRING);
    required double epsilon;
    required int32 example (INTEGER(32,false));
    required int32 label (INTEGER(32,false));
    optional int32 clean_prediction (INTEGER(32,false));
    required byte_array verdict (STRING);
    optional float distance;
    required byte_array settled (STRING);
    required int32 forwards (INTEGER(32,false));
    required int32 backwards (INTEGER(32,false));
    required byte_array device (STRING);
    required byte_array compiler (STRING);
    required byte_array precision (STRING);
    required int32 slots (INTEGER(32,false));
}";

const CSV_HEADER: &str = "defence,attack,norm,epsilon,examples,failed,inferred,clean_accuracy,robust_accuracy,ci95_low,ci95_high,\
                          median_distance,forwards,backwards,adaptive";

/// `results.json`: indented, fields in the order of their declaration, numbers as short as they are read back to the bit.
///
/// # Errors
/// The store's kind, where the file cannot be written.
pub fn write_json(path: &Path, results: &Results) -> Result<()> {
    let mut bytes = serde_json::to_vec_pretty(results).expect("results are plain JSON values");
    bytes.push(b'\n');
    write_atomic(path, &bytes)
}

/// `results.csv`: a header and a line a cell, quoted after RFC 4180; an absent median distance is an empty field, and `adaptive` is false
/// where attacks did not know the defence.
///
/// # Errors
/// As [`write_json`].
pub fn write_csv(path: &Path, results: &Results) -> Result<()> {
    let mut text = format!("{CSV_HEADER}\r\n");
    for cell in &results.cells {
        let fields = [
            quoted(&cell.defence),
            quoted(&cell.attack),
            cell.norm.name().to_owned(),
            cell.epsilon.to_string(),
            cell.examples.to_string(),
            cell.failed.to_string(),
            cell.inferred.to_string(),
            cell.clean_accuracy.to_string(),
            cell.robust_accuracy.to_string(),
            cell.ci95[0].to_string(),
            cell.ci95[1].to_string(),
            cell.median_distance.map_or_else(String::new, |distance| distance.to_string()),
            cell.forwards.to_string(),
            cell.backwards.to_string(),
            // Numbers of a defence that attacks do not know must not pass for others.
            results.defences.iter().find(|info| info.name == cell.defence).is_none_or(|info| info.adaptive).to_string(),
        ];
        text += &fields.join(",");
        text += "\r\n";
    }
    write_atomic(path, text.as_bytes())
}

/// `certified.csv` in a run's folder: a header and a line a certificate and epsilon; no file where nothing was certified.
///
/// # Errors
/// As [`write_json`].
pub fn write_certified(folder: &Path, results: &Results) -> Result<()> {
    if results.certified.is_empty() {
        return Ok(());
    }
    let mut text =
        "defence,certificate,kind,norm,epsilon,examples,abstained,certified_accuracy,ci95_low,ci95_high,median_radius\r\n".to_owned();
    for certified in &results.certified {
        let fields = [
            quoted(&certified.defence),
            quoted(&certified.certificate),
            certified.kind.clone(),
            certified.norm.name().to_owned(),
            certified.epsilon.to_string(),
            certified.examples.to_string(),
            certified.abstained.to_string(),
            certified.certified_accuracy.to_string(),
            certified.ci95[0].to_string(),
            certified.ci95[1].to_string(),
            certified.median_radius.to_string(),
        ];
        text += &fields.join(",");
        text += "\r\n";
    }
    write_atomic(&folder.join("certified.csv"), text.as_bytes())
}

/// A field of a CSV file, quoted after RFC 4180 where it has to be.
pub fn quoted(field: &str) -> String {
    if field.contains(['"', ',', '\r', '\n']) { format!("\"{}\"", field.replace('"', "\"\"")) } else { field.to_owned() }
}

/// A series with what its rows need.
#[derive(Clone, Debug)]
pub struct SeriesRows<'a> {
    /// The series.
    pub series: SeriesKey,
    /// Its epsilons, ascending.
    pub epsilons: &'a [f64],
    /// What the defence says without an attack.
    pub clean: Clean<'a>,
    /// The outcomes with the device that each came from.
    pub rows: Vec<(Arc<DeviceInfo>, ExampleOutcomes)>,
}

type Columns<'w, 'f> = SerializedRowGroupWriter<'w, &'f mut BufWriter<File>>;

/// One example at one epsilon, as the columns see it.
struct Row<'a> {
    series: &'a SeriesKey,
    epsilon: f64,
    example: u32,
    label: u32,
    clean_prediction: Option<u32>,
    outcome: &'a Outcome,
    device: &'a DeviceInfo,
}

/// `examples.parquet`: a row an example and epsilon of every series, Snappy-compressed, in row groups of bounded size. `clean_prediction` is
/// null where the clean decision failed, `distance` where the row has none. Series are taken one at a time, so that one is in memory.
///
/// # Errors
/// As [`write_json`]; what `series` returns; outcomes of an example that is not among the clean ones, or too few or many of them.
pub fn write_parquet<'a>(path: &Path, series: impl IntoIterator<Item = Result<SeriesRows<'a>>>) -> Result<()> {
    let fault =
        |error: ParquetError| Error::store(format!("cannot write {}: {error}", path.display())).help("see whether the disk is full");
    write_atomic_with(path, |file| {
        let schema = Arc::new(parse_message_type(SCHEMA).expect("the schema is well formed"));
        let properties = Arc::new(WriterProperties::builder().set_compression(Compression::SNAPPY).build());
        let mut writer = SerializedFileWriter::new(file, schema, properties).map_err(fault)?;
        for series in series {
            let series = series?;
            for group in rows(&series)?.chunks(GROUP) {
                let mut columns = writer.next_row_group().map_err(fault)?;
                write_group(&mut columns, group).and_then(|()| columns.close()).map_err(fault)?;
            }
        }
        writer.close().map(drop).map_err(fault)
    })
}

fn rows<'a>(series: &'a SeriesRows) -> Result<Vec<Row<'a>>> {
    let SeriesRows { series, epsilons, clean, rows: found } = series;
    clean.right()?;
    let places: HashMap<u32, usize> = clean.ids.iter().enumerate().map(|(place, &id)| (id, place)).collect();
    let mut rows = Vec::with_capacity(found.len() * epsilons.len());
    for (device, ExampleOutcomes { example, outcomes }) in found {
        let place = places.get(example).filter(|_| outcomes.len() == epsilons.len()).ok_or_else(|| {
            let name = format!("{}, {}, {}", series.defence, series.attack, series.norm.name());
            Error::store(format!("{name}: the {} outcomes of example {example} do not fit the suite", outcomes.len()))
                .help("the run was made from other data or another suite: run it again with --fresh, or into another folder")
        })?;
        rows.extend(outcomes.iter().zip(*epsilons).map(|(outcome, &epsilon)| Row {
            series,
            epsilon,
            example: *example,
            label: clean.labels[*place],
            clean_prediction: (!clean.failed[*place]).then(|| clean.predictions[*place]),
            outcome,
            device,
        }));
    }
    Ok(rows)
}

fn write_group(columns: &mut Columns, rows: &[Row]) -> Result<(), ParquetError> {
    text(columns, rows, |row| &row.series.defence)?;
    text(columns, rows, |row| &row.series.attack)?;
    text(columns, rows, |row| row.series.norm.name())?;
    column::<DoubleType>(columns, rows.iter().map(|row| row.epsilon).collect(), None)?;
    whole(columns, rows, |row| row.example)?;
    whole(columns, rows, |row| row.label)?;
    optional::<Int32Type>(columns, rows, |row| row.clean_prediction.map(u32::cast_signed))?;
    text(columns, rows, |row| match row.outcome.verdict {
        Verdict::Broken => "broken",
        Verdict::Survived => "survived",
        Verdict::Failed => "failed",
    })?;
    optional::<FloatType>(columns, rows, |row| row.outcome.distance)?;
    text(columns, rows, |row| match row.outcome.settled {
        Settled::Attack => "attack",
        Settled::Distance => "distance",
        Settled::Inferred => "inferred",
        Settled::Clean => "clean",
    })?;
    whole(columns, rows, |row| row.outcome.forwards)?;
    whole(columns, rows, |row| row.outcome.backwards)?;
    text(columns, rows, |row| &row.device.name)?;
    text(columns, rows, |row| &row.device.compiler)?;
    text(columns, rows, |row| &row.device.precision)?;
    whole(columns, rows, |row| u32::try_from(row.device.slots).unwrap_or(u32::MAX))
}

fn text(columns: &mut Columns, rows: &[Row], of: impl for<'r> Fn(&'r Row<'r>) -> &'r str) -> Result<(), ParquetError> {
    column::<ByteArrayType>(columns, rows.iter().map(|row| ByteArray::from(of(row))).collect(), None)
}

fn whole(columns: &mut Columns, rows: &[Row], of: impl Fn(&Row) -> u32) -> Result<(), ParquetError> {
    // Parquet keeps unsigned numbers in the bits of signed ones.
    column::<Int32Type>(columns, rows.iter().map(|row| of(row).cast_signed()).collect(), None)
}

fn optional<T: DataType>(columns: &mut Columns, rows: &[Row], of: impl Fn(&Row) -> Option<T::T>) -> Result<(), ParquetError> {
    let present: Vec<i16> = rows.iter().map(|row| i16::from(of(row).is_some())).collect();
    column::<T>(columns, rows.iter().filter_map(of).collect(), Some(&present))
}

/// Writes the next column; `present` has 1 where an optional one has a value.
fn column<T: DataType>(columns: &mut Columns, values: Vec<T::T>, present: Option<&[i16]>) -> Result<(), ParquetError> {
    let missing = || ParquetError::General("there are more columns than the schema has".into());
    let mut column = columns.next_column()?.ok_or_else(missing)?;
    column.typed::<T>().write_batch(&values, present, None)?;
    column.close()
}
