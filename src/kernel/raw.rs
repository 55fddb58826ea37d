//! A launch past Burn, for devices whose compiler takes no WGSL: the shader's own pipeline, on the wgpu device that Burn runs on.
//!
//! Burn's queue is flushed first, so that what the shader reads has been handed to the driver before it, and later work of Burn's comes
//! after it. That costs a round trip to Burn's thread and a submission for every launch, which the template's route does without.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use burn_wgpu::{AutoCompiler, WgpuSetup};
use cubecl::Device;
use cubecl::prelude::Client;
use cubecl::server::Handle;
use cubecl::wgpu::WgpuServer;

use super::Kernel;

/// The wgpu objects behind a device, and the pipelines that it has built.
struct Shared {
    device: wgpu::Device,
    queue: wgpu::Queue,
    pipelines: HashMap<&'static str, wgpu::ComputePipeline>,
}

static SHARED: Mutex<Option<HashMap<Device, Shared>>> = Mutex::new(None);

/// Makes the wgpu objects behind a device known to later launches.
pub(super) fn share(device: Device, setup: &WgpuSetup) {
    let shared = Shared { device: setup.device.clone(), queue: setup.queue.clone(), pipelines: HashMap::new() };
    SHARED.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_default().insert(device, shared);
}

/// Runs a kernel's shader on buffers in the order of its bindings, in a grid of that many workgroups.
///
/// # Panics
/// Where the device was not [`share`]d, and where it stops answering: on the launching thread, as Burn's own launches do.
pub(super) fn launch(kernel: &'static Kernel, client: &Client, device: &Device, buffers: Vec<Handle>, [width, height]: [u32; 2]) {
    let resource = |handle| client.get_resource::<WgpuServer<AutoCompiler>>(handle).expect("a buffer of the device that it is launched on");
    let resources: Vec<_> = buffers.into_iter().map(resource).collect();
    client.flush().expect("the device answers");
    let (gpu, queue, pipeline) = {
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        let found = shared.as_mut().and_then(|all| all.get_mut(device));
        let Shared { device, queue, pipelines } = found.expect("the device was opened by device::open");
        let pipeline = pipelines.entry(kernel.name).or_insert_with(|| build(device, kernel)).clone();
        (device.clone(), queue.clone(), pipeline)
    };
    let bound = resources.iter().map(|resource| resource.resource().as_wgpu_bind_resource());
    let entries: Vec<_> = bound.enumerate().map(|(binding, resource)| wgpu::BindGroupEntry { binding: binding as u32, resource }).collect();
    let group = gpu.create_bind_group(&wgpu::BindGroupDescriptor {
        label: Some(kernel.name),
        layout: &pipeline.get_bind_group_layout(0),
        entries: &entries,
    });
    let mut encoder = gpu.create_command_encoder(&wgpu::CommandEncoderDescriptor { label: Some(kernel.name) });
    {
        let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor { label: Some(kernel.name), timestamp_writes: None });
        pass.set_pipeline(&pipeline);
        pass.set_bind_group(0, &group, &[]);
        pass.dispatch_workgroups(width, height, 1);
    }
    queue.submit([encoder.finish()]);
}

fn build(device: &wgpu::Device, kernel: &Kernel) -> wgpu::ComputePipeline {
    let source = wgpu::ShaderModuleDescriptor { label: Some(kernel.name), source: wgpu::ShaderSource::Wgsl(Cow::Owned(kernel.source())) };
    // SAFETY: the kernels keep within their buffers and their loops end, whatever is in them, as they must on the template's route, which
    // Burn compiles without these checks too.
    let module = unsafe { device.create_shader_module_trusted(source, wgpu::ShaderRuntimeChecks::unchecked()) };
    device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
        label: Some(kernel.name),
        layout: None,
        module: &module,
        entry_point: Some("main"),
        compilation_options: wgpu::PipelineCompilationOptions { zero_initialize_workgroup_memory: false, ..Default::default() },
        cache: None,
    })
}
