//! The devices of a run, open, with the examples on them.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::crew::{self, Stations};
use super::resolved::Resolved;
use super::run::RunRequest;
use super::schedule::caught;
use super::shares::CHUNK;
use crate::data::Dataset;
use crate::device::{self, Handle};
use crate::engine::drive;
use crate::engine::examples::{Examples, Streamed};
use crate::evaluate::results::DeviceInfo;
use crate::frozen::{Plan, gpu};
use crate::graph::freeze;
use crate::model::source::Design;
use crate::store::{Store, device_kind};
use crate::{Error, Result};

/// Rows at once where nobody says otherwise. More do not make the CPU faster, nor a rasteriser that runs on it, and fewer are full for
/// longer when the examples run out.
const CPU_SLOTS: usize = 64;
const GPU_SLOTS: usize = 256;

/// Steps of a GPU between two looks at the flags, at most.
const GPU_CADENCE: usize = 8;

/// Copies of an input that a slot takes: the engine's tensors, the judge's, the gradient, and what kernels write anew; where examples are
/// sent as they are wanted, one on its way too.
const COPIES_OF_INPUT: u64 = 16;

/// Copies of an activation that a slot takes: forward, rectified, both gradients, and the patches that a convolution unfolds.
const COPIES_OF_ACTIVATION: u64 = 16;

/// An open device with the examples on it.
#[derive(Clone)]
pub(super) struct Station {
    pub(super) handle: Handle,
    pub(super) info: DeviceInfo,
    pub(super) data: Arc<dyn Examples>,
    /// Whether the examples stay with the host.
    pub(super) streamed: bool,
    pub(super) cadence: usize,
    /// Batches that run side by side.
    pub(super) workers: usize,
}

/// Opens the devices, settles their slots and sends the examples there.
pub(super) fn stations(request: &RunRequest, resolved: &Resolved, choices: &[device::Choice]) -> Result<Stations> {
    let mut stations = Vec::with_capacity(choices.len());
    for &choice in choices {
        let handle = device::open(choice)?;
        let precision = resolved.suite.precision;
        if !precision.is_single() && !handle.has_half() {
            return Err(without_half(&handle, choice));
        }
        let on_gpu = handle.setup.is_some();
        let software = handle.setup.as_ref().is_some_and(|setup| setup.adapter.get_info().device_type == wgpu::DeviceType::Cpu);
        let usual = if on_gpu && !software { GPU_SLOTS } else { CPU_SLOTS };
        // Slots that no example can fill would only be computed.
        let wanted = request.slots.unwrap_or(usual.min(resolved.data.len()));
        let features = resolved.data.features() as u64;
        let [fixed, network] = most_bytes(resolved, on_gpu)?;
        let bytes_per_slot = 4 * COPIES_OF_INPUT * features + network;
        if let Some(asked) = request.memory.filter(|&asked| asked < fixed.saturating_add(bytes_per_slot)) {
            return Err(too_little(asked, fixed, bytes_per_slot, wanted));
        }
        let budget = device::budget(&handle, request.memory).saturating_sub(fixed);
        // The examples live on the device where they fit beside the slots, and else are sent as they are wanted.
        let examples = 4 * features * resolved.data.len() as u64;
        let left = budget.saturating_sub(examples);
        let streamed = left < bytes_per_slot.saturating_mul(wanted as u64) && left < budget / 2;
        let left = if streamed { budget } else { left };
        let slots = device::settle_slots(&handle, left, bytes_per_slot, wanted)?;
        let data = caught(|| Ok(sent(&resolved.data, &handle, streamed.then_some(slots))))?;
        let info = DeviceInfo { slots, precision: precision.name().into(), ..handle.info.clone() };
        let cadence = if on_gpu && !software { GPU_CADENCE } else { 1 };
        let workers = if on_gpu { 1 } else { cpu_workers(left / bytes_per_slot / slots as u64, resolved.data.len() / slots) };
        stations.push(Station { handle, info, data, streamed, cadence, workers });
    }
    Ok(Stations::new(stations))
}

/// A `--memory` that not even one row fits into.
fn too_little(asked: u64, fixed: u64, bytes_per_slot: u64, wanted: usize) -> Error {
    let rows = |count: usize| fixed.saturating_add(bytes_per_slot.saturating_mul(count as u64)).div_ceil(1024);
    let network = if fixed > 0 { format!("the network takes {} and ", device::format_size(fixed)) } else { String::new() };
    let (asked, row) = (device::format_size(asked), device::format_size(bytes_per_slot));
    Error::input(format!("--memory {asked} is too little: {network}one row takes {row}")).help(format!(
        "ask for {}KiB at the least; {wanted} rows, as many as are run at once, take {}KiB",
        rows(1),
        rows(wanted)
    ))
}

/// The examples on a device, or, for so many slots, on their way there.
fn sent(data: &Arc<Dataset>, handle: &Handle, streamed: Option<usize>) -> Arc<dyn Examples> {
    match streamed {
        Some(slots) => Arc::new(Streamed::new(data.clone(), handle.device.clone(), slots + CHUNK)),
        None => Arc::new(drive::send(data, &handle.device)),
    }
}

impl Station {
    /// The same with so many slots.
    pub(super) fn with_slots(&self, slots: usize) -> Self {
        Self { info: DeviceInfo { slots, ..self.info.clone() }, ..self.clone() }
    }

    /// The same on a device that was opened anew, with so many slots.
    pub(super) fn anew(&self, handle: &Handle, slots: usize, data: &Arc<Dataset>) -> Self {
        Self { data: sent(data, handle, self.streamed.then_some(slots)), handle: handle.clone(), ..self.with_slots(slots) }
    }
}

/// Batches that the processor runs side by side: one a core, as many as memory holds and as the examples fill. Burn's CPU kernels leave
/// cores idle between and within operations on small images. Outcomes do not depend on it.
fn cpu_workers(held: u64, filled: usize) -> usize {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    cores.min(usize::try_from(held).unwrap_or(usize::MAX)).min(filled).max(1)
}

fn without_half(handle: &Handle, choice: device::Choice) -> Error {
    let why = match choice {
        device::Choice::Cpu => "the processor would take longer in half precision than in single",
        device::Choice::Gpu(_) => "its driver offers no half precision to shaders (`shader-f16`)",
    };
    Error::input(format!("precision = \"mixed\" on {}: {why}", handle.info.name))
        .help("say precision = \"f32\" in the suite, or --precision f32; or choose other devices with --device")
}

/// Results are reused only where the kind of device is the same, unless the user says otherwise.
pub(super) fn refuse_foreign(request: &RunRequest, store: &Store, stations: &Stations, done: bool) -> Result<()> {
    if request.mix_devices {
        return Ok(());
    }
    let here: BTreeSet<String> = stations.all().iter().map(|station| device_kind(&station.info)).collect();
    let earlier = crew::earlier_kinds(store, stations)?;
    let foreign: Vec<String> =
        store.devices()?.iter().map(device_kind).filter(|kind| !here.contains(kind) && !earlier.contains(kind)).collect();
    if foreign.is_empty() {
        return Ok(());
    }
    let state = if done { "was done" } else { "was begun" };
    let message = format!("the run in {} {state} on another kind of device: {}", store.folder().display(), foreign.join("; "));
    let help = format!(
        "the devices asked for are {}; choose the same ones, another --out, --fresh to begin anew, or --mix-devices to go on with both",
        here.into_iter().collect::<Vec<_>>().join("; ")
    );
    Err(Error::input(message).help(help))
}

/// Bytes of the largest of the defences, and of one input in it, where plans need a fraction of what Burn does. The members of an ensemble
/// keep theirs side by side.
fn most_bytes(resolved: &Resolved, on_gpu: bool) -> Result<[u64; 2]> {
    let of = |design: &Design| -> Result<[u64; 2]> {
        let (graph, weights) = freeze(&design.graph, &design.weights)?;
        let planned = match on_gpu {
            true => gpu::Plan::compile(&graph, &weights)?.map(|plan| [0, plan.bytes_per_image() as u64]),
            false => Plan::compile(&graph, &weights)?.map(|plan| [plan.bytes() as u64, plan.bytes_per_image() as u64]),
        };
        planned.or_else(|_| Ok([0, 4 * COPIES_OF_ACTIVATION * design.graph.activations()? as u64]))
    };
    let mut most = [0, 0];
    for members in &resolved.designs {
        let mut all = [0, 0];
        for design in members {
            all = add(all, of(design)?);
        }
        most = [most[0].max(all[0]), most[1].max(all[1])];
    }
    Ok(most)
}

fn add(a: [u64; 2], b: [u64; 2]) -> [u64; 2] {
    [a[0] + b[0], a[1] + b[1]]
}
