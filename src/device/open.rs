//! Opening a device, once a process.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use burn::tensor::Device;
use burn_wgpu::WgpuSetup;

use crate::evaluate::results::DeviceInfo;
use crate::{Error, Result};

use super::adapter::{Adapter, Kind, found};
use super::choice::{Choice, missing, way_out};
use super::memory::parse_size;
use super::processor;

/// An open device. Clones are the same device.
#[derive(Clone, Debug)]
pub struct Handle {
    /// Where Burn's tensors live.
    pub device: Device,
    /// What the results say of it; `slots` is 0 until they are settled.
    pub info: DeviceInfo,
    /// Bytes that the API states for a card; `None` where it states none, and where the device shares the processor's memory.
    pub memory: Option<u64>,
    /// The wgpu objects that Burn runs on, for hand-written pipelines; `None` on the processor.
    pub setup: Option<WgpuSetup>,
    /// Whether an allocation was refused, outside of a probe.
    exhausted: Arc<AtomicBool>,
}

/// The environment's word on the largest buffer that cards are asked for, as `--memory` is written: for drivers that state more than they
/// grant. What needs a larger one is memory exhausted.
pub const LARGEST_BUFFER: &str = "GAUNTLET_LARGEST_BUFFER";

/// The cards that are open, by their index.
static OPEN: Mutex<Option<HashMap<usize, Handle>>> = Mutex::new(None);

impl Handle {
    /// Whether shaders on it compute in half precision. The processor could, but slower than in single.
    pub fn has_half(&self) -> bool {
        self.setup.as_ref().is_some_and(|setup| setup.device.features().contains(wgpu::Features::SHADER_F16))
    }
}

/// Opens a device; a second call for the same one returns the same device.
///
/// # Errors
/// An index that is not in the list, and every refusal of the driver or of Burn, with the list of adapters and a way out.
pub fn open(choice: Choice) -> Result<Handle> {
    let index = match choice {
        Choice::Cpu => return Ok(processor_handle()),
        Choice::Gpu(index) => index,
    };
    let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
    let open = open.get_or_insert_default();
    if let Some(handle) = open.get(&index) {
        return Ok(handle.clone());
    }
    let handle = another(index)?;
    open.insert(index, handle.clone());
    Ok(handle)
}

/// A logical device on an adapter beside those that there may be.
///
/// # Errors
/// As [`open`].
pub fn another(index: usize) -> Result<Handle> {
    let adapters = &found().list;
    #[cfg(feature = "persistence")]
    super::cache::settle(adapters);
    let Some(adapter) = adapters.iter().find(|adapter| adapter.index == Some(index)) else { return Err(missing(index, adapters)) };
    match catch_unwind(AssertUnwindSafe(|| start(index, adapter))) {
        Ok(Ok(handle)) => Ok(handle),
        Ok(Err(reason)) => Err(refused(adapter, &reason)),
        Err(panic) => Err(refused(adapter, panic_message(&*panic))),
    }
}

/// Retires a card's logical device, with all that lies in its memory, and opens another one on the same card, which [`open`] gives from now
/// on. The processor is never retired.
///
/// # Errors
/// As [`open`].
pub fn reopen(handle: &Handle) -> Result<Handle> {
    let Some(setup) = &handle.setup else { return Ok(handle.clone()) };
    let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
    let open = open.get_or_insert_default();
    let index = open.iter().find(|(_, open)| open.device == handle.device).map(|(&index, _)| index);
    let index = index.ok_or_else(|| Error::device(format!("{} was retired before", handle.info.name)))?;
    // Burn keeps its side of a device for good, pools included: only the driver can give the memory back.
    setup.device.destroy();
    let _ = setup.device.poll(wgpu::PollType::Poll);
    open.remove(&index);
    let handle = another(index)?;
    open.insert(index, handle.clone());
    Ok(handle)
}

fn processor_handle() -> Handle {
    let info = DeviceInfo {
        name: processor::name(),
        backend: "cpu".into(),
        driver: String::new(),
        compiler: crate::frozen::ROUTE.into(),
        precision: "f32".into(),
        slots: 0,
    };
    Handle { device: Device::flex(), info, memory: None, setup: None, exhausted: Arc::default() }
}

fn start(index: usize, listed: &Adapter) -> Result<Handle, String> {
    let adapter = found().adapters.get(index).ok_or("the adapter is gone")?.clone();
    let instance = found().instance.clone().ok_or("the graphics API is gone")?;
    // Burn picks its kernels by what the adapter can do, so the device must have all of it.
    let descriptor = wgpu::DeviceDescriptor {
        label: None,
        required_features: adapter.features().difference(wgpu::Features::MAPPABLE_PRIMARY_BUFFERS),
        required_limits: limits(&adapter)?,
        // Burn pools its memory itself.
        memory_hints: wgpu::MemoryHints::MemoryUsage,
        trace: wgpu::Trace::Off,
        // SAFETY: the experimental features are among those that Burn enables for itself; this crate's own pipelines use none.
        experimental_features: unsafe { wgpu::ExperimentalFeatures::enabled() },
    };
    let backend = adapter.get_info().backend;
    let (device, queue) = match with_spirv(&adapter, backend)? {
        Some(both) => both,
        None => pollster::block_on(adapter.request_device(&descriptor)).map_err(|error| error.to_string())?,
    };
    let setup = WgpuSetup { instance, adapter, device, queue, backend };
    let device = Device::wgpu_options().setup(setup.clone()).init().map_err(|error| error.to_string())?;
    let compiler = crate::kernel::share(&device, &setup);
    let info = DeviceInfo {
        name: listed.name.clone(),
        backend: listed.api.clone(),
        driver: listed.driver.clone(),
        compiler: crate::frozen::gpu_route(compiler),
        precision: "f32".into(),
        slots: 0,
    };
    let memory = listed.memory.filter(|_| listed.kind != Kind::Software);
    let exhausted = watch(&setup.device);
    Ok(Handle { device, info, memory, setup: Some(setup), exhausted })
}

/// A device with what Burn's SPIR-V needs, extensions that wgpu does not know included, where this build and the driver have it.
fn with_spirv(adapter: &wgpu::Adapter, backend: wgpu::Backend) -> Result<Option<(wgpu::Device, wgpu::Queue)>, String> {
    #[cfg(feature = "vulkan")]
    if backend == wgpu::Backend::Vulkan {
        let asked = cubecl::wgpu::vulkan::try_request_vulkan_device(adapter);
        return pollster::block_on(asked).map_err(|error| error.to_string());
    }
    let _ = (adapter, backend);
    Ok(None)
}

/// The adapter's own limits; a software rasteriser's buffers are capped, because Burn probes memory with the largest that is allowed
/// and some rasterisers cannot grant what they state.
fn limits(adapter: &wgpu::Adapter) -> Result<wgpu::Limits, String> {
    const LARGEST: u64 = 256 << 20;
    const LEAST: u64 = 16 << 20;
    let mut limits = adapter.limits();
    let software = Kind::from(adapter.get_info().device_type) == Kind::Software;
    let asked = match std::env::var(LARGEST_BUFFER) {
        Ok(text) => match parse_size(&text).map_err(|error| format!("{LARGEST_BUFFER}: {error}"))? {
            0..LEAST => return Err(format!("{LARGEST_BUFFER} is {text}, and Burn allocates in pages that need 16MiB at least")),
            size => Some(size),
        },
        Err(_) => None,
    };
    for largest in [software.then_some(LARGEST), asked].into_iter().flatten() {
        limits.max_buffer_size = limits.max_buffer_size.min(largest);
        limits.max_storage_buffer_binding_size = limits.max_storage_buffer_binding_size.min(largest);
    }
    Ok(limits)
}

fn refused(adapter: &Adapter, reason: &str) -> Error {
    let Adapter { name, api, driver, .. } = adapter;
    Error::device(format!("{} ({name}, {api}, driver {driver}) cannot be opened: {reason}", adapter.label()))
        .help(format!("Update its driver or choose another device. {}", way_out(&found().list)))
}

/// Whether a panic came from a device's failure and not from the code that ran on it.
pub(crate) fn is_of_device(panic: &(dyn std::any::Any + Send)) -> bool {
    let text = panic_message(panic);
    text.contains("wgpu error") || EXHAUSTED.iter().any(|words| text.contains(words))
}

fn panic_message(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    text.unwrap_or("its driver panicked")
}

/// Notes an allocation that the driver refuses. Burn's own handler, which this one replaces, panics as well: nothing that follows on the
/// device can be trusted.
fn watch(device: &wgpu::Device) -> Arc<AtomicBool> {
    let exhausted = Arc::new(AtomicBool::new(false));
    let seen = exhausted.clone();
    device.on_uncaptured_error(Arc::new(move |error| {
        if matches!(error, wgpu::Error::OutOfMemory { .. }) {
            seen.store(true, Ordering::Relaxed);
        }
        panic!("wgpu error: {error}");
    }));
    exhausted
}

/// What wgpu and cubecl say when memory is exhausted: an allocation refused, a device lost to it, a buffer larger than the device takes.
const EXHAUSTED: [&str; 6] = [
    "Out of Memory",
    "Not enough memory left",
    "out of device memory",
    "can't allocate buffer",
    "Can't allocate",
    "greater than the maximum buffer size",
];

/// Whether a card failed for want of memory, as far as its driver, wgpu or Burn say so. The processor's memory cannot be exhausted this
/// way: where the system has none left, it ends the process.
pub fn is_exhausted(handle: &Handle, error: &Error) -> bool {
    let said = || error.all().iter().any(|error| EXHAUSTED.iter().any(|words| error.message().contains(words)));
    handle.setup.is_some() && (handle.exhausted.load(Ordering::Relaxed) || said())
}

/// Whether the device is lost for good, so that the process cannot use it again: the driver was reset, or the card went away.
///
/// Waits for the device's pending work, so it is asked after a failure and not in a loop. Always false on the processor.
pub fn is_lost(handle: &Handle) -> bool {
    if handle.setup.is_none() {
        return false;
    }
    match catch_unwind(AssertUnwindSafe(|| handle.device.sync())) {
        Ok(Ok(())) => false,
        Ok(Err(error)) => error.is_device_poisoned(),
        Err(_) => true,
    }
}
