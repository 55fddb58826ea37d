//! The results as RobustBench describes models: a JSON file with the fields of its `model_info`, one a defence, norm and radius (Croce et
//! al., "RobustBench: a standardized adversarial robustness benchmark", NeurIPS 2021 Datasets and Benchmarks).

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::entries::{self, Entry};
use super::gather::Gathered;
use super::text::{Slugs, distance};
use crate::evaluate::results::{Cell, DefenceInfo, WorstCase};
use crate::store::{make_folder, write_atomic};
use crate::{Error, Result};

/// What no run knows of a model.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct About {
    /// The paper's title; the defence's name where there is none.
    pub name: Option<String>,
    /// Address of the paper.
    pub link: Option<String>,
    /// The authors.
    pub authors: Option<String>,
    /// Where it was published, and when.
    pub venue: Option<String>,
    /// The data set's name there, such as `cifar10`; what the run calls it where there is none.
    pub dataset: Option<String>,
    /// Whether it was trained with additional data.
    pub additional_data: Option<bool>,
    /// The robust accuracy that the paper reports, per cent.
    pub reported: Option<String>,
}

/// An entry; accuracies are text in per cent with two decimals, as RobustBench writes them.
#[derive(Clone, Debug, PartialEq, Serialize)]
struct Info<'a> {
    link: Option<&'a str>,
    name: &'a str,
    authors: Option<&'a str>,
    additional_data: Option<bool>,
    number_forward_passes: u64,
    dataset: &'a str,
    venue: Option<&'a str>,
    architecture: &'a str,
    eps: String,
    clean_acc: String,
    reported: Option<&'a str>,
    autoattack_acc: Option<String>,
    footnote: String,
    unreliable: bool,
}

/// Writes `<defence>-<norm>-<epsilon>.json` into `folder`, which is made where it is missing, for every finished worst case at an epsilon above 0, and returns the files.
///
/// The robust accuracy is that of the suite's attack of kind `autoattack`, the standard version before others; where it has none the field is
/// null, and the footnote has the worst case over its attacks. `unreliable` is true where a row failed, a check of the defence failed, or the run
/// is not finished.
///
/// # Errors
/// Bad input: nothing is finished. The store: a file cannot be written, or the suite cannot be read.
pub fn write(folder: &Path, gathered: &Gathered, about: &About) -> Result<Vec<PathBuf>> {
    let entries = entries::attacks(&gathered.layout.suite)?;
    let mut slugs = Slugs::default();
    let mut files = Vec::new();
    for worst in gathered.results.worst_case.iter().filter(|worst| worst.epsilon > 0.0) {
        let Some(defence) = gathered.results.defences.iter().find(|defence| defence.name == worst.defence) else { continue };
        let stem = slugs.unique(&format!("{}-{}-{}", worst.defence, worst.norm.name(), distance(worst.epsilon)));
        let file = folder.join(format!("{stem}.json"));
        let mut json = serde_json::to_vec_pretty(&info(gathered, about, &entries, defence, worst)?).expect("an entry is plain JSON");
        json.push(b'\n');
        make_folder(folder)?;
        write_atomic(&file, &json)?;
        files.push(file);
    }
    if files.is_empty() {
        return Err(Error::input("the run has no finished worst case at an epsilon above 0, which is what RobustBench lists")
            .help("finish the run, or add an epsilon above 0 to its suite"));
    }
    Ok(files)
}

fn info<'a>(gathered: &'a Gathered, about: &'a About, entries: &[Entry], defence: &'a DefenceInfo, worst: &WorstCase) -> Result<Info<'a>> {
    let results = &gathered.results;
    let cells: Vec<&Cell> = results
        .cells
        .iter()
        .filter(|cell| cell.defence == worst.defence && cell.norm == worst.norm && cell.epsilon == worst.epsilon)
        .collect();
    let standard = |entry: &Entry| entry.text("version").is_none_or(|version| version == "standard");
    let mut ensembles: Vec<&Entry> = entries.iter().filter(|entry| entry.kind == "autoattack").collect();
    ensembles.sort_by_key(|entry| !standard(entry));
    let ensemble = ensembles.iter().find_map(|entry| Some((entry, *cells.iter().find(|cell| cell.attack == entry.name)?)));
    let mut remarks = vec![format!("Measured by gauntlet {} on {} examples of {}.", results.version, worst.examples, results.data.name)];
    let robust = match ensemble {
        Some((entry, cell)) => {
            if !standard(entry) {
                remarks.push(format!("The robust accuracy is that of AutoAttack, version {}.", entry.text("version").unwrap_or_default()));
            }
            Some(cell.robust_accuracy)
        }
        None => {
            let names: Vec<&str> = cells.iter().map(|cell| cell.attack.as_str()).collect();
            let left = 100.0 * worst.robust_accuracy;
            remarks.push(format!("No AutoAttack was run: the worst case over {} leaves {left:.2} %.", names.join(", ")));
            None
        }
    };
    let failed: usize = cells.iter().map(|cell| cell.failed).sum();
    let refused = results.checks.iter().filter(|check| check.defence == defence.name && check.verdict == "fail");
    let mut doubts: Vec<String> = refused.map(|check| format!("The check {} failed: {}.", check.check, check.detail)).collect();
    if failed > 0 {
        doubts.push(format!("{failed} rows failed; they count as not robust."));
    }
    if !results.complete {
        doubts.push("The run is not finished.".to_owned());
    }
    let unreliable = !doubts.is_empty();
    remarks.append(&mut doubts);
    let percent = |share: f64| format!("{:.2}", 100.0 * share);
    let passes = gathered.forwards(&defence.name).unwrap_or(0) / (worst.examples as u64).max(1);
    Ok(Info {
        link: about.link.as_deref(),
        name: about.name.as_deref().unwrap_or(&defence.name),
        authors: about.authors.as_deref(),
        additional_data: about.additional_data,
        number_forward_passes: passes.max(1),
        dataset: about.dataset.as_deref().unwrap_or(&results.data.name),
        venue: about.venue.as_deref(),
        architecture: &defence.architecture,
        eps: distance(worst.epsilon),
        clean_acc: percent(defence.clean_accuracy),
        reported: about.reported.as_deref(),
        autoattack_acc: robust.map(percent),
        footnote: remarks.join(" "),
        unreliable,
    })
}
