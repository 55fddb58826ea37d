//! `results.json` as a type: what scripts rely on, and what plots and tables are drawn from.

use serde::{Deserialize, Serialize};

use super::checks::Addition;
use crate::suite::certify::Refused;
use crate::threat::Norm;

/// A whole run. Everything but `timing` is a function of the suite, the data, the weights and the kind of device.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Results {
    /// The suite's title.
    pub suite: String,
    /// The seed that drove the attacks.
    pub seed: u64,
    /// The engine's version.
    pub version: String,
    /// Whether every planned cell is there.
    pub complete: bool,
    /// How many cells were planned.
    pub planned: usize,
    /// What it ran on.
    pub devices: Vec<DeviceInfo>,
    /// The data that was attacked.
    pub data: DataInfo,
    /// The defences, in the suite's order.
    pub defences: Vec<DefenceInfo>,
    /// One entry a defence, attack, norm and epsilon.
    pub cells: Vec<Cell>,
    /// The union over an example's attacks, one entry a defence, norm and epsilon.
    pub worst_case: Vec<WorstCase>,
    /// Which defences that attacks know differ, by their worst cases on the same examples; one entry a recipe, norm and epsilon, where there
    /// are two such recipes at least.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<Group>,
    /// What defences seem to be worth before attacks that do not know them, beside what they are worth.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub apparent_gains: Vec<ApparentGain>,
    /// Checks of the evaluation itself.
    pub checks: Vec<Check>,
    /// Attacks that `--harden` added to the suite's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hardened: Vec<Addition>,
    /// What is certain whatever an attack tries, one entry a defence, certificate, norm and epsilon.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub certified: Vec<Certified>,
    /// The defences that a certificate cannot be had for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub uncertified: Vec<Refused>,
    /// The only part that two runs of one suite may differ in.
    pub timing: Timing,
}

/// A device that took part.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct DeviceInfo {
    /// The adapter's or processor's name.
    pub name: String,
    /// `cpu`, or the graphics API.
    pub backend: String,
    /// The driver and its version; empty on the CPU.
    pub driver: String,
    /// `wgsl` or `spirv`; `native` on the CPU.
    pub compiler: String,
    /// `f32`.
    pub precision: String,
    /// Rows that it attacks at once.
    pub slots: usize,
}

/// The data that was attacked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DataInfo {
    /// Source and split.
    pub name: String,
    /// How many examples.
    pub examples: usize,
    /// How many classes.
    pub classes: usize,
    /// Channels, height, width.
    pub shape: [usize; 3],
    /// Content hash.
    pub hash: String,
}

/// A defence and how it was made.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct DefenceInfo {
    /// Its name; `NAME#SEED` where a recipe was trained with several seeds.
    pub name: String,
    /// The name that the seeds of one recipe share, where it was trained with several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recipe: Option<String>,
    /// The model's seed; absent where weights were loaded, and of an ensemble.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// The model's architecture.
    pub architecture: String,
    /// The training method; empty where weights were loaded.
    pub training: String,
    /// Number of parameters.
    pub parameters: usize,
    /// Content hash of the weights.
    pub weights: String,
    /// Whether attacks knew the defence; where they did not (`adaptive = false`), its numbers say little of its robustness.
    #[serde(default = "yes")]
    pub adaptive: bool,
    /// Share of the examples that are classified rightly without an attack.
    pub clean_accuracy: f64,
    /// 95 % Wilson interval of it.
    pub ci95: [f64; 2],
    /// Floating-point operations of a decision on one image by the network, or all members of an ensemble, over all draws of a random defence;
    /// two a multiply-add. What stands around the network is not counted. 0 where a run does not say.
    #[serde(default)]
    pub flops: u64,
    /// Bytes that the weights and the activations of one image take, f32. 0 where a run does not say.
    #[serde(default)]
    pub memory: u64,
}

fn yes() -> bool {
    true
}

/// One attack at one epsilon against one defence.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cell {
    /// The defence's name.
    pub defence: String,
    /// The attack entry's name.
    pub attack: String,
    /// The norm.
    pub norm: Norm,
    /// The radius.
    pub epsilon: f64,
    /// How many examples the accuracies are shares of.
    pub examples: usize,
    /// Rows that ended in a NaN, an infinity or a panic.
    pub failed: usize,
    /// Survivals that were inferred from a larger epsilon.
    pub inferred: usize,
    /// Share decided rightly without an attack.
    pub clean_accuracy: f64,
    /// Share decided rightly and not broken.
    pub robust_accuracy: f64,
    /// 95 % Wilson interval of the robust accuracy.
    pub ci95: [f64; 2],
    /// Median over rightly classified examples of the smallest breaking distance at any epsilon of the series; absent if under half broke.
    pub median_distance: Option<f64>,
    /// Forward passes of the rows, up to the break; judge, clean pass and audits excluded.
    pub forwards: u64,
    /// Backward passes likewise.
    pub backwards: u64,
}

/// What is left when every attack has had its turn.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WorstCase {
    /// The defence's name.
    pub defence: String,
    /// The norm.
    pub norm: Norm,
    /// The radius.
    pub epsilon: f64,
    /// How many examples the accuracy is a share of.
    pub examples: usize,
    /// Share decided rightly and broken by no attack at this or a smaller epsilon.
    pub robust_accuracy: f64,
    /// 95 % Wilson interval.
    pub ci95: [f64; 2],
}

/// A defence before attacks that do not know it (`adaptive = false`) and before attacks that do, at one radius.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ApparentGain {
    /// The defence that attacks know.
    pub defence: String,
    /// The same one that they do not know.
    pub unknown: String,
    /// The attack entry's name, or "worst case" for all of them.
    pub attack: String,
    /// The norm.
    pub norm: Norm,
    /// The radius.
    pub epsilon: f64,
    /// Robust accuracy before attacks that do not know it.
    pub unknown_accuracy: f64,
    /// Robust accuracy before attacks that do.
    pub robust_accuracy: f64,
    /// The first less the second: what is only apparent.
    pub gain: f64,
}

/// One certificate at one epsilon for one defence.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Certified {
    /// The defence's name.
    pub defence: String,
    /// The certificate entry's name.
    pub certificate: String,
    /// The certifier's name.
    pub kind: String,
    /// The norm.
    pub norm: Norm,
    /// The radius.
    pub epsilon: f64,
    /// How many examples the accuracy is a share of.
    pub examples: usize,
    /// Examples for which the certifier declined to name a class, at any epsilon.
    pub abstained: usize,
    /// Share whose right class is certain within the radius.
    pub certified_accuracy: f64,
    /// 95 % Wilson interval.
    pub ci95: [f64; 2],
    /// Whether it speaks of another classifier than the one that was attacked: the smoothed network, where the bare one was.
    pub apart: bool,
    /// Median of the certified radii over all examples, those without one counting as 0.
    pub median_radius: f64,
}

impl Certified {
    /// The certificate's name, and what it speaks of where that is not the defence as it was attacked.
    pub fn title(&self) -> String {
        format!("{}{}", self.certificate, if self.apart { ", of the network smoothed" } else { "" })
    }
}

/// The groups that a recipe belongs to at a norm and epsilon.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Group {
    /// The recipe's name: the defence's where it has one seed.
    pub recipe: String,
    /// The norm.
    pub norm: Norm,
    /// The radius.
    pub epsilon: f64,
    /// Weights that were attacked: one a training seed.
    pub weights: usize,
    /// A letter a group, "a" the group of the best; recipes that share no letter differ.
    pub letters: String,
}

/// The outcome of a check of the evaluation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Check {
    /// The defence's name.
    pub defence: String,
    /// The check's name.
    pub check: String,
    /// `pass`, `warn`, `fail` or `skip`.
    pub verdict: String,
    /// The reason and what to do.
    pub detail: String,
    /// Forward passes that the check cost.
    pub forwards: u64,
}

/// What the run cost on the clock and on the devices.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Timing {
    /// Wall seconds, summed over the times that the run was continued.
    pub seconds: f64,
    /// Forward passes that the devices did: slots times steps.
    pub device_forwards: u64,
    /// Backward passes likewise.
    pub device_backwards: u64,
    /// Share of the slots that held a running row, over all steps.
    pub occupancy: f64,
    /// The same of the steps while rows waited for a slot: what is missing to 1 is not the end of the queue. 0 where no row ever waited.
    #[serde(default)]
    pub occupancy_fed: f64,
    /// Seconds a cell.
    pub cells: Vec<CellTiming>,
    /// Seconds a defence.
    #[serde(default)]
    pub defences: Vec<DefenceTiming>,
    /// Seconds a certificate.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub certificates: Vec<CertificateTiming>,
}

/// Seconds that a defence's certificate took over all examples and epsilons.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CertificateTiming {
    /// The defence's name.
    pub defence: String,
    /// The certificate entry's name.
    pub certificate: String,
    /// The norm.
    pub norm: Norm,
    /// Wall seconds.
    pub seconds: f64,
}

/// What a defence takes without an attack.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct DefenceTiming {
    /// Its name.
    pub defence: String,
    /// Wall seconds of its training, on whatever device trained it; absent where weights were loaded, or found without a note of it.
    pub training_seconds: Option<f64>,
    /// Seconds of deciding on 1,000 images, one full batch at a time, over all draws; on the run's first device.
    pub inference_seconds: Option<f64>,
}

/// Seconds spent on a cell.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CellTiming {
    /// The defence's name.
    pub defence: String,
    /// The attack entry's name.
    pub attack: String,
    /// The norm.
    pub norm: Norm,
    /// The radius.
    pub epsilon: f64,
    /// Its share of the series' wall seconds, by propagations.
    pub seconds: f64,
}
