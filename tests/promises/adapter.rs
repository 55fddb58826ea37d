//! The GPU that tests run on: a software rasteriser where there is one, so that results do not depend on the machine.

use burn::tensor::Device;
use gauntlet::device::{Choice, Handle, list, open};

/// Burn's device on that adapter. Panics without one.
pub fn device() -> Device {
    handle().device
}

/// A raw device on that adapter, apart from Burn's. Panics without one.
pub fn raw() -> (wgpu::Device, wgpu::Queue) {
    let adapter = handle().setup.expect("an adapter has a setup").adapter;
    pollster::block_on(adapter.request_device(&wgpu::DeviceDescriptor::default())).expect("an adapter gives a device")
}

/// That adapter, open. Panics without one.
pub fn handle() -> Handle {
    open(Choice::Gpu(index())).expect("the adapter opens")
}

/// Its index in the list of adapters. Panics without one.
pub fn index() -> usize {
    let mut adapters = list();
    adapters.retain(|adapter| adapter.index.is_some());
    let chosen = adapters.iter().find(|adapter| adapter.software).or(adapters.first());
    let chosen = chosen.expect("no adapter: install a Vulkan driver, for instance the package mesa-vulkan-drivers");
    chosen.index.expect("an adapter has an index")
}
