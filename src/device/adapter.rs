//! The list that `gpu:N` counts.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::OnceLock;

use burn_wgpu::graphics::AutoGraphicsApi;
use serde::Serialize;

use super::memory::format_size;
use super::processor;

/// What stands behind an adapter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A card with memory of its own.
    Discrete,
    /// A GPU that shares the machine's memory.
    Integrated,
    /// A GPU handed into a virtual machine.
    Virtual,
    /// A GPU whose driver does not say what it is.
    Other,
    /// A driver that draws on the processor, such as lavapipe, SwiftShader or WARP.
    Software,
    /// The processor, through native code and without a driver.
    Cpu,
}

impl Kind {
    /// The kind's name, as in `devices --json`.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Discrete => "discrete",
            Kind::Integrated => "integrated",
            Kind::Virtual => "virtual",
            Kind::Other => "other",
            Kind::Software => "software",
            Kind::Cpu => "cpu",
        }
    }
}

impl From<wgpu::DeviceType> for Kind {
    fn from(kind: wgpu::DeviceType) -> Self {
        match kind {
            wgpu::DeviceType::DiscreteGpu => Kind::Discrete,
            wgpu::DeviceType::IntegratedGpu => Kind::Integrated,
            wgpu::DeviceType::VirtualGpu => Kind::Virtual,
            wgpu::DeviceType::Other => Kind::Other,
            wgpu::DeviceType::Cpu => Kind::Software,
        }
    }
}

/// One line of `gauntlet devices`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Adapter {
    /// N of `gpu:N`; `None` for the processor.
    pub index: Option<usize>,
    /// The adapter's or processor's name.
    pub name: String,
    /// What stands behind it.
    pub kind: Kind,
    /// The graphics API (`vulkan`, `metal`, `dx12`, `gl`), or `native` for the processor.
    pub api: String,
    /// The driver and its version; empty for the processor.
    pub driver: String,
    /// Bytes of memory, where the API states them.
    pub memory: Option<u64>,
    /// Whether it is a software rasteriser: such an adapter runs only when named.
    pub software: bool,
    /// Threads that the processor offers; `None` for adapters.
    pub threads: Option<usize>,
}

impl Adapter {
    /// What `--device` calls it.
    pub fn label(&self) -> String {
        self.index.map_or_else(|| "cpu".into(), |index| format!("gpu:{index}"))
    }

    fn of(index: usize, adapter: &wgpu::Adapter) -> Self {
        let info = adapter.get_info();
        let kind = Kind::from(info.device_type);
        Self {
            index: Some(index),
            name: info.name,
            kind,
            api: info.backend.to_str().into(),
            driver: format!("{} {}", info.driver, info.driver_info).trim().into(),
            memory: stated_memory(adapter),
            software: kind == Kind::Software,
            threads: None,
        }
    }

    fn processor() -> Self {
        Self {
            index: None,
            name: processor::name(),
            kind: Kind::Cpu,
            api: "native".into(),
            driver: String::new(),
            memory: processor::memory(),
            software: false,
            threads: Some(processor::threads()),
        }
    }
}

/// What the one enumeration of a process found. The instance lives in it as long as the process: Vulkan loaders crash when
/// instances come and go on several threads.
pub(super) struct Found {
    pub(super) instance: Option<wgpu::Instance>,
    pub(super) adapters: Vec<wgpu::Adapter>,
    pub(super) list: Vec<Adapter>,
}

pub(super) fn found() -> &'static Found {
    static FOUND: OnceLock<Found> = OnceLock::new();
    FOUND.get_or_init(|| {
        let (instance, adapters) = settle();
        let list = adapters.iter().enumerate().map(|(index, adapter)| Adapter::of(index, adapter)).chain([Adapter::processor()]).collect();
        Found { instance, adapters, list }
    })
}

/// Every adapter of the best graphics API that has one, then the processor. The machine is asked once a process, so that an index
/// means the same card throughout.
pub fn list() -> Vec<Adapter> {
    found().list.clone()
}

/// The first API of Burn's order that has a hardware GPU; else the first that has anything.
fn settle() -> (Option<wgpu::Instance>, Vec<wgpu::Adapter>) {
    let mut software = (None, Vec::new());
    for api in AutoGraphicsApi::chain() {
        // A driver's panic on being asked leaves the API without adapters, as a driver that does not load does.
        let Ok((instance, adapters)) = catch_unwind(AssertUnwindSafe(|| enumerate(api))) else { continue };
        if adapters.iter().any(|adapter| adapter.get_info().device_type != wgpu::DeviceType::Cpu) {
            return (Some(instance), adapters);
        }
        if software.1.is_empty() && !adapters.is_empty() {
            software = (Some(instance), adapters);
        }
    }
    software
}

fn enumerate(api: wgpu::Backend) -> (wgpu::Instance, Vec<wgpu::Adapter>) {
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor {
        backends: api.into(),
        // A buffer past this share of what the driver grants is refused while the device can still be used; without it some drivers
        // swap to the machine's memory or lose the device.
        memory_budget_thresholds: wgpu::MemoryBudgetThresholds { for_resource_creation: Some(95), for_device_loss: None },
        ..wgpu::InstanceDescriptor::new_without_display_handle()
    });
    let mut adapters: Vec<_> = pollster::block_on(instance.enumerate_adapters(api.into())).into_iter().map(Some).collect();
    let infos: Vec<_> = adapters.iter().flatten().map(wgpu::Adapter::get_info).collect();
    let kept = distinct(&infos).into_iter().filter_map(|at| adapters[at].take()).filter(computes).collect();
    (instance, kept)
}

/// Whether the adapter runs compute shaders at all: old OpenGL drivers do not.
fn computes(adapter: &wgpu::Adapter) -> bool {
    let limits = adapter.limits();
    limits.max_compute_invocations_per_workgroup > 0 && limits.max_storage_buffers_per_shader_stage >= 2
}

/// Positions of `infos` with each card once, in the order of [`Kind`], a kind's cards in the driver's order.
///
/// Two entries of one vendor and model are one card if their PCI addresses agree, or, where an address is unknown, if two different
/// drivers report them: two equal cards show up twice under each driver.
pub fn distinct(infos: &[wgpu::AdapterInfo]) -> Vec<usize> {
    let same_card = |a: &wgpu::AdapterInfo, b: &wgpu::AdapterInfo| {
        (a.vendor, a.device) == (b.vendor, b.device)
            && if a.device_pci_bus_id.is_empty() || b.device_pci_bus_id.is_empty() {
                a.driver != b.driver
            } else {
                a.device_pci_bus_id == b.device_pci_bus_id
            }
    };
    let mut kept: Vec<usize> = Vec::new();
    for (at, info) in infos.iter().enumerate() {
        if !kept.iter().any(|&before| same_card(&infos[before], info)) {
            kept.push(at);
        }
    }
    kept.sort_by_key(|&at| Kind::from(infos[at].device_type));
    kept
}

/// The largest device-local heap in bytes.
#[cfg(any(windows, target_os = "linux", target_os = "android", target_os = "freebsd"))]
fn vulkan_memory(adapter: &wgpu::Adapter) -> Option<u64> {
    const DEVICE_LOCAL: u32 = 1; // VK_MEMORY_HEAP_DEVICE_LOCAL_BIT
    // SAFETY: the physical device is only read, while `adapter` keeps it and its instance alive.
    let heaps = unsafe {
        let raw = adapter.as_hal::<wgpu::hal::api::Vulkan>()?;
        raw.shared_instance().raw_instance().get_physical_device_memory_properties(raw.raw_physical_device())
    };
    let heaps = &heaps.memory_heaps[..heaps.memory_heap_count as usize];
    heaps.iter().filter(|heap| heap.flags.as_raw() & DEVICE_LOCAL != 0).map(|heap| heap.size).max()
}

/// The memory that the adapter's API states, in bytes; `None` under Metal and OpenGL.
fn stated_memory(adapter: &wgpu::Adapter) -> Option<u64> {
    #[cfg(any(windows, target_os = "linux", target_os = "android", target_os = "freebsd"))]
    if let Some(bytes) = vulkan_memory(adapter) {
        return Some(bytes);
    }
    #[cfg(windows)]
    // SAFETY: the description is only read, while `adapter` keeps its object alive.
    if let Some(raw) = unsafe { adapter.as_hal::<wgpu::hal::api::Dx12>() } {
        return unsafe { raw.as_raw().GetDesc() }.ok().map(|card| card.DedicatedVideoMemory as u64).filter(|&bytes| bytes > 0);
    }
    let _ = adapter; // Read under neither Metal nor OpenGL.
    None
}

/// The adapters as an aligned table, a line each, with a heading.
pub fn table(adapters: &[Adapter]) -> String {
    let mut rows = vec![["device", "name", "kind", "API", "driver", "memory", ""].map(String::from)];
    rows.extend(adapters.iter().map(|adapter| {
        let note = if adapter.software {
            "software rasteriser: runs only when named".into()
        } else {
            adapter.threads.map_or_else(String::new, |threads| format!("{threads} thread{}", if threads == 1 { "" } else { "s" }))
        };
        let driver = if adapter.driver.is_empty() { "-".into() } else { adapter.driver.clone() };
        let memory = adapter.memory.map_or_else(|| "unknown".into(), format_size);
        [adapter.label(), adapter.name.clone(), adapter.kind.name().into(), adapter.api.clone(), driver, memory, note]
    }));
    let widths: Vec<usize> = (0..7).map(|column| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0)).collect();
    let line = |row: &[String; 7]| {
        let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, &width)| format!("{cell:width$}")).collect();
        cells.join("  ").trim_end().to_string()
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}
