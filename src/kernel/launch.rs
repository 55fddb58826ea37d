//! Every launch of a shader, on Burn's own buffers and queue.
//!
//! Where the device compiles WGSL, the shader goes to it as the text of a Burn source kernel, so it runs lazily among Burn's own kernels
//! without a flush. Elsewhere (the feature `vulkan` has Burn compile SPIR-V) it goes past Burn, by `raw`.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{LazyLock, Mutex, PoisonError};

use burn::backend::DispatchDevice;
use burn::tensor::{DType, Shape};
use burn_wgpu::{CubeDim, CubeTensor, KernelSource, SourceKernel, SourceTemplate, WgpuSetup, into_contiguous};
use bytemuck::Pod;
use cubecl::Device;
use cubecl::ir::attributes::BufferIOAttr;
use cubecl::prelude::{Client, CubeCount, KernelId};
use cubecl::server::{Handle, KernelArguments};

use super::{Kernel, raw};

/// Workgroups that one dimension of the grid takes everywhere; `shaders/shared/grid.wgsl` puts the dimensions together again.
const GRID: usize = 65_535;

/// An output's shape and element type.
pub(crate) type Output = (Shape, DType);

/// The text of a kernel, as Burn wants it.
struct Source(&'static Kernel);

impl KernelSource for Source {
    fn source(&self) -> SourceTemplate {
        SourceTemplate::new(self.0.source())
    }

    fn id(&self) -> KernelId {
        // The text depends on the name alone.
        KernelId::new::<Self>().info(self.0.name)
    }

    fn lang(&self) -> &'static str {
        "wgsl"
    }
}

/// Runs a kernel on the rows of its first input: inputs in the order of its bindings, fresh buffers for the outputs, which come back in
/// the order of theirs.
pub(crate) fn launch<P: Pod, const N: usize>(
    kernel: &'static Kernel,
    inputs: Vec<CubeTensor>,
    outputs: [Output; N],
    parameters: &P,
) -> [CubeTensor; N] {
    let shape = inputs[0].meta.shape();
    let groups = if kernel.per_row { shape[0] } else { (shape[0] * shape[1]).div_ceil(kernel.workgroup as usize) };
    launch_groups(kernel, groups, inputs, outputs, parameters)
}

/// As [`launch`], so many workgroups.
pub(crate) fn launch_groups<P: Pod, const N: usize>(
    kernel: &'static Kernel,
    groups: usize,
    inputs: Vec<CubeTensor>,
    outputs: [Output; N],
    parameters: &P,
) -> [CubeTensor; N] {
    let (client, device) = (inputs[0].client.clone(), inputs[0].device.clone());
    let outputs = outputs.map(|(shape, dtype)| {
        let handle = allocate(&client, shape.num_elements() * dtype.size());
        CubeTensor::new_contiguous(client.clone(), device.clone(), shape, handle, dtype)
    });

    let inputs = inputs.into_iter().map(|input| (into_contiguous(input).handle, BufferIOAttr::ReadOnly));
    let written = outputs.iter().map(|output| (output.handle.clone(), BufferIOAttr::WriteOnly));
    let parameters = parameters_buffer(&client, &device, bytemuck::bytes_of(parameters));
    enqueue(&client, &device, kernel, groups, inputs.chain(written).chain([(parameters, BufferIOAttr::ReadOnly)]));
    outputs
}

/// Puts a kernel behind what the device has to do: so many workgroups on buffers in the order of its bindings, the parameters last.
pub(crate) fn enqueue(
    client: &Client,
    device: &Device,
    kernel: &'static Kernel,
    groups: usize,
    buffers: impl Iterator<Item = (Handle, BufferIOAttr)>,
) {
    let width = groups.clamp(1, GRID);
    let grid = [width as u32, groups.div_ceil(width) as u32];
    if PAST_BURN.load(Ordering::Relaxed) || !takes_wgsl(client) {
        raw::launch(kernel, client, device, buffers.map(|(buffer, _)| buffer).collect(), grid);
        return;
    }
    let arguments = buffers.fold(KernelArguments::new(), |arguments, (buffer, io)| arguments.with_buffer_io(buffer.binding(), io));
    let count = CubeCount::Static(grid[0], grid[1], 1);
    client.launch(Box::new(SourceKernel::new(Source(kernel), CubeDim::new_1d(kernel.workgroup))), count, arguments);
}

/// What a device's compiler takes, as Burn names it after the runtime: `wgsl`, `spirv` or `msl`.
fn language(client: &Client) -> &'static str {
    client.name().split_once('<').and_then(|(_, rest)| rest.strip_suffix('>')).unwrap_or("wgsl")
}

fn takes_wgsl(client: &Client) -> bool {
    language(client) == "wgsl"
}

/// Makes the wgpu objects behind a device known to launches that go past Burn; says what the device's compiler takes.
pub(crate) fn share(device: &burn::tensor::Device, setup: &WgpuSetup) -> &'static str {
    let DispatchDevice::Cube(device) = device.as_dispatch() else { return "" };
    raw::share(device.clone(), setup);
    language(&device.client())
}

static PAST_BURN: AtomicBool = AtomicBool::new(false);

/// Sends later launches past Burn, as where the device takes no WGSL, so that a test sees that route on any device. Off at first.
pub fn launch_past_burn(on: bool) {
    PAST_BURN.store(on, Ordering::Relaxed);
}

/// A buffer with the parameters. One is kept for each content: an upload would interrupt the pass that the launches share, and contents
/// are few, since nothing that changes from step to step is a parameter.
pub(crate) fn parameters_buffer(client: &Client, device: &Device, bytes: &[u8]) -> Handle {
    type Buffers = HashMap<(Device, Vec<u8>), Handle>;
    static BUFFERS: LazyLock<Mutex<Buffers>> = LazyLock::new(Mutex::default);
    let key = (device.clone(), bytes.to_vec());
    let mut buffers = BUFFERS.lock().unwrap_or_else(PoisonError::into_inner);
    buffers.entry(key).or_insert_with(|| client.create_from_slice(bytes)).clone()
}

static POISON: AtomicBool = AtomicBool::new(false);

/// Fills the outputs of later launches with NaN before they run, so that a test sees what a shader left unwritten. Off at first.
pub fn poison_outputs(on: bool) {
    POISON.store(on, Ordering::Relaxed);
}

pub(crate) fn allocate(client: &Client, bytes: usize) -> Handle {
    if POISON.load(Ordering::Relaxed) {
        let poison = vec![f32::NAN; bytes.div_ceil(4)];
        client.create_from_slice(&bytemuck::cast_slice(&poison)[..bytes])
    } else {
        client.empty(bytes)
    }
}
