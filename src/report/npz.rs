//! Adversarial examples as NumPy's npz files, one a series.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufWriter};
use std::path::{Path, PathBuf};

use npyz::{AutoSerialize, WriteOptions, WriterBuilder};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use super::gather::Gathered;
use super::text::Slugs;
use crate::evaluate::record::{SeriesKey, Specimen};
use crate::store::{Broken, Store, make_folder, write_atomic_with};
use crate::{Error, Result};

/// Writes `<defence>-<attack>-<norm>.npz` into `folder`, which is made where there is something to write, for every series, and returns the files.
///
/// Arrays, by epsilon and id: `x_adv` [n, channels, height, width] float32 in [0, 1], and of n entries `labels`, `predictions`, `ids` (int64),
/// `epsilon` (float64, the radius of the attack) and `distance` (float32, in the series' norm). An example has a row for each epsilon that
/// was attacked by itself and broke; at an epsilon e it is broken by each of its rows with `distance <= e + 1e-6`. With `gallery` only the
/// few points that the report shows are written, and series without any are left out.
///
/// # Errors
/// Bad input: the run kept no points. The store: it cannot be read, or a file cannot be written.
pub fn write(folder: &Path, store: &Store, gathered: &Gathered, gallery: bool) -> Result<Vec<PathBuf>> {
    if !gallery && !store.keeps_examples()? {
        return Err(Error::input(format!("{} kept no adversarial examples but its gallery's", store.folder().display())).help(
            "run the suite again with --keep-examples, and --fresh or another --out; or add --gallery for the few that the report shows",
        ));
    }
    let layout = &gathered.layout;
    let labels: HashMap<u32, u32> = layout.ids.iter().copied().zip(layout.labels.iter().copied()).collect();
    let mut slugs = Slugs::default();
    let mut files = Vec::new();
    for series in &layout.series {
        let name = slugs.unique(&format!("{}-{}-{}", series.defence, series.attack, series.norm.name()));
        let file = folder.join(format!("{name}.npz"));
        let shown: Vec<&Specimen> = gathered.specimens.iter().filter(|specimen| gallery && specimen.series == *series).collect();
        let rows = if gallery { shown.iter().map(|specimen| row(specimen)).collect() } else { store.kept(series)? };
        if gallery && rows.is_empty() {
            continue;
        }
        let label = |row: &Broken| {
            let stranger = || Error::store(format!("{}: example {} is not among the run's", told(series), row.example)).help("use --fresh");
            labels.get(&row.example).copied().ok_or_else(stranger)
        };
        let labels = rows.iter().map(label).collect::<Result<Vec<u32>>>()?;
        let pixels = |at: usize| match gallery {
            true => Ok(shown[at].adversarial.clone()),
            false => store.kept_pixels(series, &rows[at]),
        };
        make_folder(folder)?;
        write_series(&file, layout.data.shape, &labels, &rows, &pixels)?;
        files.push(file);
    }
    if files.is_empty() {
        let (what, help) = match gallery {
            true => ("the gallery of", "leave --gallery out where the run was made with --keep-examples, or run the suite again with it"),
            false => ("", "run its suite to the end, or with a larger epsilon"),
        };
        let message = format!("{what} {} holds no adversarial example", store.folder().display());
        return Err(Error::input(message.trim_start()).help(help));
    }
    Ok(files)
}

fn told(series: &SeriesKey) -> String {
    format!("{}, {}, {}", series.defence, series.attack, series.norm.name())
}

fn row(specimen: &Specimen) -> Broken {
    let &Specimen { epsilon, example, prediction, distance, .. } = specimen;
    Broken { epsilon, example, prediction, distance }
}

fn write_series(path: &Path, shape: [usize; 3], labels: &[u32], rows: &[Broken], pixels: &dyn Fn(usize) -> Result<Vec<f32>>) -> Result<()> {
    let fault = |error: io::Error| {
        Error::store(format!("cannot write {}: {error}", path.display())).help("free some space, or name another folder with --out")
    };
    let size: usize = shape.iter().product();
    let [channels, height, width] = shape.map(|side| side as u64);
    write_atomic_with(path, |file| {
        let mut archive = ZipWriter::new(file);
        open(&mut archive, "x_adv").map_err(fault)?;
        let shape = [rows.len() as u64, channels, height, width];
        let images = WriteOptions::<f32>::new().default_dtype().shape(&shape).writer(&mut archive);
        let mut images = images.begin_nd().map_err(fault)?;
        for (at, row) in rows.iter().enumerate() {
            let pixels = pixels(at)?;
            if pixels.len() != size {
                let message = format!("the point of example {} has {} values, and an image {size}", row.example, pixels.len());
                return Err(Error::store(message).help("the store is damaged: run the suite again with --fresh"));
            }
            images.extend(pixels).map_err(fault)?;
        }
        images.finish().map_err(fault)?;
        let mut whole = |name: &str, values: Vec<i64>| column(&mut archive, name, values).map_err(fault);
        whole("labels", labels.iter().copied().map(i64::from).collect())?;
        whole("predictions", rows.iter().map(|row| i64::from(row.prediction)).collect())?;
        whole("ids", rows.iter().map(|row| i64::from(row.example)).collect())?;
        column(&mut archive, "epsilon", rows.iter().map(|row| row.epsilon).collect()).map_err(fault)?;
        column(&mut archive, "distance", rows.iter().map(|row| row.distance).collect()).map_err(fault)?;
        archive.finish().map(drop).map_err(|error| fault(error.into()))
    })
}

fn column<T: AutoSerialize>(archive: &mut ZipWriter<&mut BufWriter<File>>, name: &str, values: Vec<T>) -> io::Result<()> {
    open(archive, name)?;
    let array = WriteOptions::<T>::new().default_dtype().shape(&[values.len() as u64]).writer(archive);
    let mut writer = array.begin_nd()?;
    writer.extend(values)?;
    writer.finish()
}

/// Begins an array.
fn open(archive: &mut ZipWriter<&mut BufWriter<File>>, name: &str) -> io::Result<()> {
    Ok(archive.start_file(format!("{name}.npy"), SimpleFileOptions::default().large_file(true))?)
}
