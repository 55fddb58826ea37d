//! The way forward and the way back as one operation of Burn each.

use std::sync::{Arc, Mutex, PoisonError};

use burn::backend::fusion::custom::TensorSpec;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Dispatch, backend_extension};
use burn::tensor::{DType, Shape, Tensor};
use burn_wgpu::{CubeBackend, CubeTensor, into_contiguous};
use cubecl::ir::attributes::BufferIOAttr::{ReadOnly, WriteOnly};
use cubecl::prelude::Client;
use cubecl::server::Handle;

use super::memory::Memory;
use super::record::{Bound, Launch, Recorded, turn};
use super::{Plan, Tape};
use crate::frozen::layout::Placed;
use crate::kernel::lanes::lanes;
use crate::kernel::{allocate, enqueue};

/// A way forward, before and after the device was told of it.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) plan: Arc<Plan>,
    pub(super) rows: usize,
    memory: Mutex<Option<Memory>>,
}

impl Held {
    pub(super) fn new(plan: Arc<Plan>, rows: usize) -> Self {
        Self { plan, rows, memory: Mutex::new(None) }
    }

    fn memory(&self) -> std::sync::MutexGuard<'_, Option<Memory>> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let memory = self.memory().take();
        memory.into_iter().for_each(|memory| self.plan.give(memory));
    }
}

/// Both ways on the backends' own tensors.
#[backend_extension(Cube, Fusion)]
pub trait Ways: Backend {
    /// Logits [rows, classes] of images [rows, features].
    #[fusion(meta = |_images, tape| TensorSpec::new(Shape::from([tape.0.rows, tape.0.plan.classes]), DType::F32))]
    fn plan_forward(images: FloatTensor<Self>, tape: Tape) -> FloatTensor<Self>;

    /// The gradient [rows, features] from that with respect to the logits [rows, classes].
    #[fusion(meta = |_asked, tape| TensorSpec::new(Shape::from([tape.0.rows, tape.0.plan.features]), DType::F32))]
    fn plan_backward(asked: FloatTensor<Self>, tape: Tape) -> FloatTensor<Self>;
}

pub(super) fn forward(images: Tensor<2>, tape: Tape) -> Tensor<2> {
    Tensor::from_dispatch(<Dispatch as Ways>::plan_forward(images.into_dispatch(), tape))
}

pub(super) fn backward(asked: Tensor<2>, tape: Tape) -> Tensor<2> {
    Tensor::from_dispatch(<Dispatch as Ways>::plan_backward(asked.into_dispatch(), tape))
}

impl Ways for CubeBackend {
    fn plan_forward(images: CubeTensor, tape: Tape) -> CubeTensor {
        let plan = &tape.0.plan;
        let ends = plan.script.images.zip(plan.script.logits).expect("a script has images and logits");
        run(images, &tape, ends, plan.classes, |recorded| &recorded.forward)
    }

    fn plan_backward(asked: CubeTensor, tape: Tape) -> CubeTensor {
        let plan = &tape.0.plan;
        let ends = plan.script.ask.zip(plan.script.answer).expect("only a script with an answer is asked");
        run(asked, &tape, ends, plan.features, |recorded| &recorded.backward)
    }
}

/// Puts `from` where the launches want it, runs them, and takes what they leave, `columns` numbers a row.
fn run(from: CubeTensor, tape: &Tape, ends: (Placed, Placed), columns: usize, launches: impl Fn(&Recorded) -> &[Launch]) -> CubeTensor {
    let Held { plan, rows, .. } = &*tape.0;
    let (client, device, rows, images) = (from.client.clone(), from.device.clone(), *rows, lanes(*rows));
    let recorded = {
        let mut residents = plan.residents.lock().unwrap_or_else(PoisonError::into_inner);
        residents.entry(device.clone()).or_default().recorded(&plan.script, &client, &device, images)
    };
    let shape = Shape::from([rows, columns]);
    let output = CubeTensor::new_contiguous(client.clone(), device.clone(), shape, allocate(&client, 4 * rows * columns), DType::F32);
    let of = (device.clone(), output.handle.stream.value);
    let mut held = tape.0.memory();
    let kept = held.get_or_insert_with(|| take(plan, &client, &of, recorded.bytes[0], recorded.page));
    let scratch = take(plan, &client, &of, recorded.bytes[1], recorded.page);

    let piece = |buffer: usize| -> Handle {
        let (outlives, start, bytes) = recorded.places[buffer];
        if outlives { kept.piece(start, bytes) } else { scratch.piece(start, bytes) }
    };
    let (kernel, groups, parameters) = turn(&client, &device, rows, images, ends.0, false);
    let from = into_contiguous(from).handle;
    enqueue(&client, &device, kernel, groups, [(from, ReadOnly), (piece(ends.0.buffer), WriteOnly), (parameters, ReadOnly)].into_iter());
    for Launch { kernel, groups, buffers } in launches(&recorded) {
        let bound = buffers.iter().map(|(bound, io)| match bound {
            Bound::Memory(buffer) => (piece(*buffer), *io),
            Bound::Fixed(handle) => (handle.clone(), *io),
        });
        enqueue(&client, &device, kernel, *groups, bound);
    }
    let (kernel, groups, parameters) = turn(&client, &device, rows, images, ends.1, true);
    let to = output.handle.clone();
    enqueue(&client, &device, kernel, groups, [(piece(ends.1.buffer), ReadOnly), (to, WriteOnly), (parameters, ReadOnly)].into_iter());
    plan.give(scratch);
    output
}

/// Memory that nobody uses, or new.
fn take(plan: &Plan, client: &Client, of: &(cubecl::Device, u64), bytes: usize, page: usize) -> Memory {
    let mut free = plan.free.lock().unwrap_or_else(PoisonError::into_inner);
    let list = free.entry(of.clone()).or_default();
    let fitting = list.iter().enumerate().filter(|(_, memory)| memory.fits(bytes, page)).min_by_key(|(_, memory)| memory.bytes);
    match fitting.map(|(at, _)| at) {
        Some(at) => list.swap_remove(at),
        None => Memory::new(client, of.clone(), bytes, page),
    }
}
