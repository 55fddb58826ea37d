//! `gauntlet export`.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use crate::report::gather::gather;
use crate::report::robustbench::{self, About};
use crate::report::side::{csv::csv, latex::latex, markdown::markdown};
use crate::report::{exports, npz};
use crate::store::{Store, write_atomic};
use crate::threat::epsilon;
use crate::{Error, Result, store};

/// Options of `export`.
#[derive(Clone, Debug, Args)]
pub struct Arguments {
    /// The run's folder
    run: PathBuf,
    /// What to write: csv and json the cells, parquet every example, csv-defences, latex and markdown the defences side by side, robustbench a
    /// model's entry, npz the adversarial examples
    #[arg(long, value_enum)]
    format: Format,
    /// The file; with robustbench and npz the folder, since they write several. By default in the run's folder
    #[arg(long, value_name = "PATH")]
    out: Option<PathBuf>,
    /// latex and markdown: every attack at this radius, such as 0.1 or 8/255; by default the worst case at all of them
    #[arg(long, value_name = "E")]
    epsilon: Option<String>,
    /// latex and markdown: this norm alone; by default every norm of the run
    #[arg(long)]
    norm: Option<String>,
    /// npz: only the few examples that the report shows
    #[arg(long)]
    gallery: bool,
    /// robustbench: title of the paper, in place of the defence's name
    #[arg(long)]
    name: Option<String>,
    /// robustbench: address of the paper
    #[arg(long)]
    link: Option<String>,
    /// robustbench: the paper's authors
    #[arg(long)]
    authors: Option<String>,
    /// robustbench: where the paper appeared, such as "ICLR 2018"
    #[arg(long)]
    venue: Option<String>,
    /// robustbench: the data set's name there, such as cifar10
    #[arg(long)]
    dataset: Option<String>,
    /// robustbench: whether the model was trained with additional data
    #[arg(long, value_name = "BOOL")]
    additional_data: Option<bool>,
    /// robustbench: the robust accuracy that the paper reports, in per cent
    #[arg(long, value_name = "PERCENT")]
    reported: Option<f64>,
    /// Print nothing but errors
    #[arg(long)]
    quiet: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    Csv,
    Json,
    Parquet,
    CsvDefences,
    Latex,
    Markdown,
    Robustbench,
    Npz,
}

/// Writes a run's results, or its adversarial examples, for another program, and prints the files' names.
///
/// # Errors
/// Options that belong to another format; a folder that holds no run; a file that cannot be written; as [`npz::write`] and
/// [`robustbench::write`].
pub fn run(arguments: &Arguments) -> Result<u8> {
    check(arguments)?;
    let store = Store::read(&arguments.run)?;
    let gathered = gather(&store)?;
    let out = |name: &str| arguments.out.clone().unwrap_or_else(|| store.folder().join(name));
    let norm = arguments.norm.as_deref().map(super::attack::norm).transpose()?;
    let epsilon = arguments.epsilon.as_deref().map(epsilon::parse).transpose()?;
    let files = match arguments.format {
        Format::Csv => one(out("results.csv"), |path| exports::write_csv(path, &gathered.results))?,
        Format::Json => one(out("results.json"), |path| exports::write_json(path, &gathered.results))?,
        Format::Parquet => one(out("examples.parquet"), |path| exports::write_parquet(path, gathered.rows(&store)))?,
        Format::CsvDefences => text(out("defences.csv"), &csv(&gathered.results))?,
        Format::Latex => text(out("defences.tex"), &latex(&gathered.results, norm, epsilon)?)?,
        Format::Markdown => text(out("defences.md"), &markdown(&gathered.results, norm, epsilon)?)?,
        Format::Robustbench => robustbench::write(&out("robustbench"), &gathered, &about(arguments))?,
        Format::Npz => npz::write(&out("adversarial"), &store, &gathered, arguments.gallery)?,
    };
    if !arguments.quiet {
        super::say(&files.iter().map(|file| file.display().to_string()).collect::<Vec<_>>().join("\n"))?;
    }
    Ok(0)
}

fn check(arguments: &Arguments) -> Result<()> {
    let Arguments { format, epsilon, norm, gallery, name, link, authors, venue, dataset, additional_data, reported, .. } = arguments;
    let of = |format, option, given| (format, option, given);
    let options = [
        of(Format::Npz, "--gallery", *gallery),
        of(Format::Robustbench, "--name", name.is_some()),
        of(Format::Robustbench, "--link", link.is_some()),
        of(Format::Robustbench, "--authors", authors.is_some()),
        of(Format::Robustbench, "--venue", venue.is_some()),
        of(Format::Robustbench, "--dataset", dataset.is_some()),
        of(Format::Robustbench, "--additional-data", additional_data.is_some()),
        of(Format::Robustbench, "--reported", reported.is_some()),
    ];
    let misplaced = options.into_iter().filter(|(of, _, given)| *given && of != format).map(|(of, option, _)| {
        Error::input(format!("{option} means nothing with --format {}", name_of(*format)))
            .help(format!("it belongs to --format {}", name_of(of)))
    });
    let mut errors: Vec<Error> = misplaced.collect();
    for (option, given) in [("--epsilon", epsilon.is_some()), ("--norm", norm.is_some())] {
        if given && !matches!(format, Format::Latex | Format::Markdown) {
            let message = format!("{option} means nothing with --format {}", name_of(*format));
            errors.push(Error::input(message).help("it belongs to --format latex and --format markdown"));
        }
    }
    if let Some(reported) = reported.filter(|reported| !(0.0..=100.0).contains(reported)) {
        errors.push(Error::input(format!("--reported {reported} is no accuracy")).help("give per cent, from 0 to 100"));
    }
    let place = match (&arguments.out, format) {
        (Some(out), Format::Robustbench | Format::Npz) => store::check_folder(out),
        (Some(out), _) => store::check_file(out),
        (None, _) if arguments.run.is_dir() => store::check_folder(&arguments.run),
        (None, _) => Ok(()),
    };
    errors.extend(place.err());
    Error::many("the options do not fit", errors).map_or(Ok(()), Err)
}

fn name_of(format: Format) -> String {
    format.to_possible_value().map_or(String::new(), |value| value.get_name().to_owned())
}

fn text(path: PathBuf, content: &str) -> Result<Vec<PathBuf>> {
    one(path, |path| write_atomic(path, content.as_bytes()))
}

fn about(arguments: &Arguments) -> About {
    let Arguments { name, link, authors, venue, dataset, additional_data, reported, .. } = arguments.clone();
    About { name, link, authors, venue, dataset, additional_data, reported: reported.map(|percent| format!("{percent:.2}")) }
}

fn one(path: PathBuf, write: impl FnOnce(&Path) -> Result<()>) -> Result<Vec<PathBuf>> {
    write(&path)?;
    Ok(vec![path])
}
