//! How many rows fit on a device.
//!
//! A budget in bytes, divided by the calibrated bytes a slot, gives a number of slots; probe allocations confirm it before a batch is
//! built, because running out later loses the device.

use crate::{Error, Result};

use super::open::Handle;
use super::processor;

/// The budget in bytes where neither the API nor `--memory` states one: 1 GiB.
pub const DEFAULT_BUDGET: u64 = 1 << 30;

/// Bytes of a probe's largest buffer: well under the 1 GiB at which some drivers refuse one allocation.
const PIECE: u64 = 256 << 20;

/// A probe's largest number of buffers: the allocations that Vulkan promises every program.
const PIECES: u64 = 4096;

const UNITS: [(&str, u64); 9] = [
    ("b", 1),
    ("kib", 1 << 10),
    ("mib", 1 << 20),
    ("gib", 1 << 30),
    ("tib", 1 << 40),
    ("kb", 1_000),
    ("mb", 1_000_000),
    ("gb", 1_000_000_000),
    ("tb", 1_000_000_000_000),
];

/// Reads a number of bytes: `1073741824`, `512MiB`, `2GB`, `1.5 GiB`; units in either case.
///
/// # Errors
/// Text that is no size, a size under one byte, and one past 2^64 bytes.
pub fn parse_size(text: &str) -> Result<u64> {
    let text = text.trim();
    let split = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = (&text[..split], text[split..].trim().to_ascii_lowercase());
    let wrong = |why: &str| {
        Error::input(format!("\"{text}\" is no size of memory: {why}"))
            .help("Write bytes as a plain number, or a number with KiB, MiB, GiB, TiB, KB, MB, GB or TB, such as 512MiB or 1.5GiB.")
    };
    let scale = match UNITS.iter().find(|(name, _)| *name == unit) {
        Some((_, scale)) => *scale,
        None if unit.is_empty() => 1,
        None => return Err(wrong("the unit is unknown")),
    };
    let bytes = match number.parse::<u64>() {
        Ok(whole) => whole.checked_mul(scale).ok_or_else(|| wrong("it is past 2^64 bytes"))?,
        // As a float only where there is a fraction: a whole number of bytes past 2^53 is kept exactly.
        Err(_) => match number.parse::<f64>() {
            Ok(value) if value * scale as f64 >= u64::MAX as f64 => return Err(wrong("it is past 2^64 bytes")),
            Ok(value) => (value * scale as f64) as u64,
            Err(_) => return Err(wrong("it does not start with a number")),
        },
    };
    if bytes == 0 { Err(wrong("it is under one byte")) } else { Ok(bytes) }
}

/// Bytes as text in binary units, three digits: `1.50 GiB`.
pub fn format_size(bytes: u64) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= 999.5 && unit + 1 < units.len() {
        value /= 1024.0;
        unit += 1;
    }
    let decimals = match value {
        _ if unit == 0 => 0,
        v if v < 9.995 => 2,
        v if v < 99.95 => 1,
        _ => 0,
    };
    format!("{value:.decimals$} {}", units[unit])
}

/// Bytes that a run may use on the device: `asked` (`--memory`), else half of what the API states, else [`DEFAULT_BUDGET`]. Never more
/// than the API states.
///
/// Half, because Burn's pools, other programs and, on an integrated GPU, the machine itself live in the same memory.
pub fn budget(handle: &Handle, asked: Option<u64>) -> u64 {
    match (asked, handle.memory) {
        (Some(asked), Some(stated)) => asked.min(stated),
        (Some(asked), None) => asked,
        (None, Some(stated)) => stated / 2,
        (None, None) => DEFAULT_BUDGET,
    }
}

/// How many slots of `bytes_per_slot` the budget holds, at most `wanted`.
///
/// # Errors
/// A budget under one slot.
pub fn slots(budget: u64, bytes_per_slot: u64, wanted: usize) -> Result<usize> {
    let fit = usize::try_from(budget / bytes_per_slot.max(1)).unwrap_or(usize::MAX).min(wanted.max(1));
    if fit > 0 {
        return Ok(fit);
    }
    let (needed, have) = (format_size(bytes_per_slot), format_size(budget));
    Err(Error::device(format!("One row needs {needed} of memory ({bytes_per_slot} bytes), and the budget is {have} ({budget} bytes)"))
        .help("Raise --memory, or choose a device with more memory, a smaller model or smaller images."))
}

/// As [`slots`], then halved until the device really grants the memory; asked before a batch is built.
///
/// # Errors
/// A budget under one slot, and a device that does not grant even one.
pub fn settle_slots(handle: &Handle, budget: u64, bytes_per_slot: u64, wanted: usize) -> Result<usize> {
    let mut count = slots(budget, bytes_per_slot, wanted)?;
    loop {
        if probe(handle, bytes_per_slot.saturating_mul(count as u64)) {
            return Ok(count);
        }
        if count == 1 {
            let (needed, have) = (format_size(bytes_per_slot), format_size(budget));
            let name = &handle.info.name;
            return Err(Error::device(format!("One row needs {needed} of memory, which {name} does not grant; the budget was {have}"))
                .help("Close other programs that use it, or choose a device with more memory, a smaller model or smaller images."));
        }
        count /= 2;
    }
}

/// Whether the device grants that many more bytes at this moment.
///
/// A GPU is asked for buffers of at most 256 MiB, inside an out-of-memory error scope, and they are given back at once; 1 TiB or what
/// the API states is the most that is asked for. Where the memory is the machine's own (processor, integrated GPU, software
/// rasteriser) it must be free as well, if the system says how much is.
pub fn probe(handle: &Handle, bytes: u64) -> bool {
    let Some(setup) = &handle.setup else { return host_grants(bytes) };
    let shared = matches!(setup.adapter.get_info().device_type, wgpu::DeviceType::Cpu | wgpu::DeviceType::IntegratedGpu);
    let largest = setup.device.limits().max_buffer_size.min(PIECE);
    let beyond = handle.memory.is_some_and(|stated| bytes > stated) || bytes.div_ceil(largest) > PIECES;
    if beyond || (shared && !host_grants(bytes)) {
        return false;
    }
    let mut pieces = Vec::new();
    let mut left = bytes;
    let mut granted = true;
    while granted && left > 0 {
        let size = left.min(largest);
        left = left.saturating_sub(size);
        let scope = setup.device.push_error_scope(wgpu::ErrorFilter::OutOfMemory);
        pieces.push(setup.device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("memory probe"),
            size,
            usage: wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        }));
        granted = pollster::block_on(scope.pop()).is_none();
    }
    drop(pieces);
    // Dropped buffers are freed on the next poll. Its only errors are time-outs, which this kind of poll has none of.
    let _ = setup.device.poll(wgpu::PollType::Poll);
    granted
}

fn host_grants(bytes: u64) -> bool {
    processor::available().is_none_or(|free| bytes <= free)
}
