//! The GPU that tests run on: a software rasteriser where there is one, so that results do not depend on the machine.

use burn::tensor::{Device, DeviceKind};

/// Whether there is any adapter.
pub fn available() -> bool {
    !adapters().is_empty()
}

/// Burn's device on that adapter. Panics without one.
pub fn device() -> Device {
    let adapters = adapters();
    assert!(!adapters.is_empty(), "no adapter: install a Vulkan driver, for instance the package mesa-vulkan-drivers");
    let software = adapters.iter().any(|adapter| adapter.get_info().device_type == wgpu::DeviceType::Cpu);
    Device::wgpu(if software { DeviceKind::Cpu } else { DeviceKind::DefaultDevice })
}

fn adapters() -> Vec<wgpu::Adapter> {
    let instance = wgpu::Instance::default();
    pollster::block_on(instance.enumerate_adapters(wgpu::Backends::PRIMARY))
}

/// A raw device on that adapter, apart from Burn's. Panics without one.
pub fn raw() -> (wgpu::Device, wgpu::Queue) {
    let mut adapters = adapters();
    adapters.sort_by_key(|adapter| adapter.get_info().device_type != wgpu::DeviceType::Cpu);
    let adapter = adapters.first().expect("an adapter");
    pollster::block_on(adapter.request_device(&wgpu::DeviceDescriptor::default())).expect("an adapter gives a device")
}
