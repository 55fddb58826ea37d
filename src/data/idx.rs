//! IDX files, the format of MNIST (LeCun, Cortes and Burges, <http://yann.lecun.com/exdb/mnist/>) and Fashion-MNIST: big-endian
//! sizes behind a magic number, then one byte a value.

use std::path::{Path, PathBuf};

use super::pixels::Pixels;
use super::{Dataset, Request, Source, files};
use crate::error::{Error, Result};
use crate::options::{Accepts, Entry, OptionSpec};

/// The row of the table.
pub(super) const SOURCE: Source = Source {
    entry: Entry {
        name: "idx",
        summary: "MNIST, Fashion-MNIST and other IDX files in a folder, plain or .gz (LeCun, Cortes and Burges 1998)",
        options: &[
            OptionSpec { name: "path", accepts: Accepts::Text, default: None, help: FOLDER },
            OptionSpec { name: "classes", accepts: Accepts::Integer(2, 256), default: Some("10"), help: "number of classes" },
        ],
    },
    splits: &["train", "test"],
    load,
};

/// What is looked for.
const FOLDER: &str = "folder with train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte and t10k-labels-idx1-ubyte, each \
                      plain or .gz";

/// Type byte 8 (unsigned bytes), three dimensions.
const IMAGES: u32 = 0x0803;
/// Type byte 8 (unsigned bytes), one dimension.
const LABELS: u32 = 0x0801;

fn load(request: &Request) -> Result<Dataset> {
    let folder = request.path("idx", "the folder that holds the IDX files")?;
    let split = request.split.to_string();
    let stem = if split == "train" { "train" } else { "t10k" };
    let (image_file, label_file) = files_of(&folder, stem)?;
    let (count, height, width, pixels) = read_images(&image_file)?;
    let labels = read_labels(&label_file)?;
    if labels.len() != count {
        return Err(Error::input(format!(
            "the counts disagree: {} holds {count} images and {} holds {} labels",
            image_file.display(),
            label_file.display(),
            labels.len()
        ))
        .help("take both files from the same set and split"));
    }
    let range = request.positions(count, &format!("{}, {split}", folder.display()))?;
    let features = height * width;
    let mut images = pixels;
    images.truncate(range.end * features);
    images.drain(..range.start * features);
    let folder_name = folder.file_name().map_or_else(|| "idx".into(), |name| name.to_string_lossy().into_owned());
    Dataset::read_from(
        &label_file.display().to_string(),
        format!("{folder_name}, {split}"),
        [1, height, width],
        request.size("classes"),
        range.clone().map(|i| i as u32).collect(),
        Pixels::Bytes(images),
        labels[range].iter().map(|&label| u32::from(label)).collect(),
    )
}

/// The images and the labels of a split; one message names all that is missing.
fn files_of(folder: &Path, stem: &str) -> Result<(PathBuf, PathBuf)> {
    let place = folder.display();
    let way = format!("`path` names a {FOLDER}; --set data.path=DIR names another, and a relative path starts at the suite's folder");
    if !folder.is_dir() {
        let what = if folder.exists() { "is not a folder" } else { "does not exist" };
        return Err(Error::input(format!("{place}: `path` {what}")).help(way));
    }
    let names = [("images", 3), ("labels", 1)].map(|(kind, rank)| spellings(stem, kind, rank));
    let found = names.each_ref().map(|names| names.iter().map(|name| folder.join(name)).find(|path| path.is_file()));
    if let [Some(images), Some(labels)] = found {
        return Ok((images, labels));
    }
    let missing = names.iter().zip(&found).filter(|(_, found)| found.is_none()).map(|(names, _)| names.join(", or "));
    Err(Error::input(format!("{place} lacks {}", missing.collect::<Vec<_>>().join("; and "))).help(way))
}

/// The names that are about for a file of a split.
fn spellings(stem: &str, kind: &str, rank: u8) -> Vec<String> {
    ["-", "."].into_iter().flat_map(|joint| ["", ".gz"].map(|end| format!("{stem}-{kind}{joint}idx{rank}-ubyte{end}"))).collect()
}

fn read_images(path: &Path) -> Result<(usize, usize, usize, Vec<u8>)> {
    let mut source = files::Source::open(path)?;
    check_magic(path, u32::from_be_bytes(source.header()?), IMAGES)?;
    let mut size = || Ok::<_, Error>(u32::from_be_bytes(source.header()?));
    let [count, height, width] = [size()?, size()?, size()?];
    if count == 0 || height == 0 || width == 0 {
        return Err(Error::input(format!("{}: it declares {count} images of {height} x {width}, which is nothing", path.display()))
            .help("fetch the file again"));
    }
    let declared = (u64::from(count) * u64::from(height)).saturating_mul(u64::from(width));
    let pixels = source.rest(declared, &format!("{count} images of {height} x {width}"))?;
    Ok((count as usize, height as usize, width as usize, pixels))
}

fn read_labels(path: &Path) -> Result<Vec<u8>> {
    let mut source = files::Source::open(path)?;
    check_magic(path, u32::from_be_bytes(source.header()?), LABELS)?;
    let count = u32::from_be_bytes(source.header()?);
    source.rest(u64::from(count), &format!("{count} labels"))
}

fn check_magic(path: &Path, found: u32, wanted: u32) -> Result<()> {
    if found == wanted {
        return Ok(());
    }
    let (what, help) = match (found, wanted) {
        (LABELS, IMAGES) => ("labels where images are wanted", "the two files are swapped: rename them"),
        (IMAGES, LABELS) => ("images where labels are wanted", "the two files are swapped: rename them"),
        _ if found >> 16 == 0x1f8b => ("a gzip file", "let the file's name end in .gz"),
        _ => ("no such IDX file", "only unsigned bytes are read, three dimensions for images and one for labels; fetch the file again"),
    };
    Err(Error::input(format!("{}: the magic number is {found:#010x}, not {wanted:#010x}: {what}", path.display())).help(help))
}
