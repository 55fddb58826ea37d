//! The report: plots as SVG and PNG and one self-contained `report.html`, drawn from a run's results.
//!
//! Pictures are lists of shapes (`picture`) that know neither file format; `render` turns them into files with plotters and an
//! embedded typeface, so that no font, library or network of the machine is needed.

mod axes;
mod certified;
pub mod compare;
mod cost;
mod curves;
pub mod entries;
pub mod exports;
mod font;
mod gallery;
pub mod gather;
mod heatmap;
mod html;
pub mod labels;
pub mod npz;
mod palette;
mod picture;
mod render;
pub mod robustbench;
pub mod side;
pub mod text;
mod training;
pub mod view;

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::evaluate::record::{Epoch, Specimen};
use crate::evaluate::results::Results;
use crate::threat::Norm;
use crate::{Error, Result};
use picture::Picture;
use text::Slugs;
use view::View;

/// What a report is drawn from.
#[derive(Clone, Copy, Debug)]
pub struct Inputs<'a> {
    /// The numbers.
    pub results: &'a Results,
    /// Adversarial examples for the gallery; at most 24 are shown, series and epsilons taking turns.
    pub specimens: &'a [Specimen],
    /// How the defences were trained, where this run knows it.
    pub training: &'a [TrainingCurve],
    /// The suite as it ran.
    pub suite_toml: &'a str,
}

/// The course of one defence's training.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrainingCurve {
    /// The defence's name.
    pub defence: String,
    /// One point an epoch, in their order.
    pub epochs: Vec<Epoch>,
}

/// The part of the page that a plot belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Section {
    Defences,
    Side,
    Robustness,
    Certified,
    Heatmap,
    Gallery,
    Training,
    Cost,
}

/// A plot with the stem of its files' names.
struct Plot {
    section: Section,
    /// The norm and epsilon that it is shown for, where the reader chooses.
    at: Option<(Norm, f64)>,
    stem: String,
    picture: Picture,
}

/// The stems' beginnings that belong to this module: what else lies in `plots` is left alone.
const STEMS: [&str; 10] = [
    "defences-",
    "pareto-",
    "training-cost-",
    "inference-cost-",
    "robustness-",
    "certified-",
    "heatmap-",
    "gallery.",
    "training.",
    "cost.",
];

/// Writes `report.html` and `plots/*.svg` and `*.png` into a run's folder, which is made where it is missing, and removes plots of an
/// earlier report that this one no longer has. Returns the files, `report.html` last.
///
/// # Errors
/// A folder or file that cannot be written, and specimens whose pixels do not fit their shape.
pub fn write(inputs: &Inputs, folder: &Path) -> Result<Vec<PathBuf>> {
    let results = labels::labelled(inputs.results);
    let (specimens, training) = (labels::specimens(inputs.results, inputs.specimens), labels::training(inputs.results, inputs.training));
    let inputs = &Inputs { results: &results, specimens: &specimens, training: &training, ..*inputs };
    let view = View::new(inputs.results);
    let exhibits = gallery::exhibits(inputs.specimens)?;
    let plots = plots(&view, &exhibits, inputs.training);
    let plots_folder = folder.join("plots");
    fs::create_dir_all(&plots_folder).map_err(|error| unwritable(&plots_folder, &error))?;
    let mut files = Vec::new();
    let mut drawings = Vec::new();
    for plot in &plots {
        let drawing = render::svg(&plot.picture)?;
        for (ending, content) in [("svg", drawing.as_bytes()), ("png", &render::png(&plot.picture)?)] {
            let file = plots_folder.join(format!("{}.{ending}", plot.stem));
            fs::write(&file, content).map_err(|error| unwritable(&file, &error))?;
            files.push(file);
        }
        drawings.push(drawing);
    }
    remove_stale(&plots_folder, &files)?;
    let page = folder.join("report.html");
    let content = html::page(inputs, &view, &exhibits, &plots, &drawings)?;
    fs::write(&page, content).map_err(|error| unwritable(&page, &error))?;
    files.push(page);
    Ok(files)
}

/// How many plots there will be, of as many norms with so many epsilons above 0 each: to foretell how long they take.
pub fn plots_of(epsilons: &[usize], defences: usize, certificates: usize) -> usize {
    // What sets defences side by side wants two of them.
    let beside = if defences > 1 { 3 } else { 0 };
    let of_norm = |&epsilons: &usize| beside * epsilons + 1 + defences + heatmap::SHOWN.min(epsilons);
    epsilons.iter().map(of_norm).sum::<usize>() + certificates.min(defences * epsilons.len()) + 3
}

/// Seconds that a plot takes to write as SVG and as PNG, measured on one that is as full as they are.
///
/// # Errors
/// None that a run's own plots would not have.
pub fn seconds_a_plot() -> Result<f64> {
    let mut picture = Picture::new("a plot", axes::WIDTH);
    picture.height = 0.7 * axes::WIDTH;
    for line in 0..40 {
        let y = picture.height * f64::from(line) / 40.0;
        picture.text((8.0, y), "accuracy under attack", picture::Type::plain(12.0));
        picture.shapes.push(picture::Shape::Line { points: vec![(0.0, y), (axes::WIDTH, y)], colour: palette::INK, width: 1.0 });
    }
    let began = std::time::Instant::now();
    render::svg(&picture)?;
    render::png(&picture)?;
    Ok(began.elapsed().as_secs_f64())
}

fn plots(view: &View, exhibits: &[gallery::Exhibit], training: &[TrainingCurve]) -> Vec<Plot> {
    let mut plots = Vec::new();
    let mut add_at = |section, at, stem: String, picture: Option<Picture>| {
        plots.extend(picture.map(|picture| Plot { section, at, stem, picture }));
    };
    for &norm in &view.norms {
        let mut slugs = Slugs::default();
        for epsilon in view.epsilons(norm).into_iter().filter(|&epsilon| epsilon > 0.0) {
            let name = format!("{}-{}", norm.name(), slugs.unique(&text::distance(epsilon)));
            let at = Some((norm, epsilon));
            add_at(Section::Side, at, format!("pareto-{name}"), side::scatter::pareto(view, norm, epsilon));
            add_at(Section::Side, at, format!("training-cost-{name}"), side::scatter::training_cost(view, norm, epsilon));
            add_at(Section::Side, at, format!("inference-cost-{name}"), side::scatter::inference_cost(view, norm, epsilon));
        }
    }
    let mut add = |section, stem: String, picture: Option<Picture>| add_at(section, None, stem, picture);
    for &norm in &view.norms {
        let name = norm.name();
        add(Section::Defences, format!("defences-{name}"), curves::defences(view, norm));
        let mut slugs = Slugs::default();
        for defence in &view.defences {
            let slug = slugs.unique(defence);
            add(Section::Robustness, format!("robustness-{name}-{slug}"), curves::robustness(view, defence, norm));
            add(Section::Certified, format!("certified-{name}-{slug}"), certified::certified(view, defence, norm));
        }
        let mut slugs = Slugs::default();
        for epsilon in heatmap::epsilons(view, norm) {
            let slug = slugs.unique(&text::distance(epsilon));
            add(Section::Heatmap, format!("heatmap-{name}-{slug}"), heatmap::heatmap(view, norm, epsilon));
        }
    }
    add(Section::Gallery, "gallery".into(), gallery::gallery(view, exhibits));
    add(Section::Training, "training".into(), training::training(view, training));
    add(Section::Cost, "cost".into(), cost::cost(view));
    plots
}

fn remove_stale(folder: &Path, written: &[PathBuf]) -> Result<()> {
    let written: HashSet<&Path> = written.iter().map(PathBuf::as_path).collect();
    for entry in fs::read_dir(folder).map_err(|error| unwritable(folder, &error))? {
        let file = entry.map_err(|error| unwritable(folder, &error))?.path();
        let name = file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let ours = STEMS.iter().any(|stem| name.starts_with(stem)) && (name.ends_with(".svg") || name.ends_with(".png"));
        if ours && !written.contains(file.as_path()) {
            fs::remove_file(&file).map_err(|error| unwritable(&file, &error))?;
        }
    }
    Ok(())
}

fn unwritable(path: &Path, error: &std::io::Error) -> Error {
    Error::store(format!("{} cannot be written: {error}", path.display())).help(
        "free some space or mend the folder's permissions; the run's store holds everything, and the report can be made again from it",
    )
}
