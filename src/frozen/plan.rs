//! A compiled network and its memory.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use rayon::prelude::*;

use super::emit::{Script, emit};
use super::lanes::{BLOCK, Level};
use super::layout::Placed;
use super::read::read;
use super::step::Step;
use crate::Result;
use crate::graph::Graph;
use crate::model::Weights;

/// A frozen network compiled for this processor.
///
/// Images go through it in blocks of 16, each block from the first layer to the last on one thread, and back again. What becomes of an
/// image depends on nothing else: neither on the others of its batch nor on the number of threads.
#[derive(Debug)]
pub struct Plan {
    script: Script,
    /// By buffer: whether it outlives the way forward, and where it begins, in bytes.
    places: Vec<(bool, usize)>,
    /// Bytes of what outlives the way forward, and of the rest.
    tape_bytes: usize,
    scratch_bytes: usize,
    features: usize,
    classes: usize,
    level: Level,
    tapes: Mutex<Vec<Memory>>,
    scratches: Mutex<Vec<Memory>>,
}

/// What the way back needs of a way forward: a bit for each rectified number, the winner of each pooling window, and whatever else has a
/// derivative that depends on it.
#[derive(Debug)]
pub struct Tape {
    plan: Arc<Plan>,
    blocks: Vec<Memory>,
    rows: usize,
}

/// 64 bytes.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
struct Line([f32; BLOCK]);

const LINE: usize = size_of::<Line>();

type Memory = Vec<Line>;

impl Plan {
    /// Compiles a frozen graph; or names the operations, each once, that a plan cannot hold.
    ///
    /// # Errors
    /// A graph that does not fit together.
    pub fn compile(graph: &Graph, weights: &Weights) -> Result<std::result::Result<Self, BTreeSet<String>>> {
        Ok(read(graph, weights)?.map(|network| {
            let script = emit(&network);
            let (places, [tape_bytes, scratch_bytes]) = place(&script);
            let (features, classes) = (graph.input.iter().product(), graph.classes);
            let (tapes, scratches) = Default::default();
            Self { script, places, tape_bytes, scratch_bytes, features, classes, level: Level::available()[0], tapes, scratches }
        }))
    }

    /// The same plan with other instructions, where the processor has them: to compare, since the best are chosen anyway.
    #[must_use]
    pub fn at(self, level: Level) -> Self {
        if Level::available().contains(&level) { Self { level, ..self } } else { self }
    }

    /// Bytes that one image's way forward and back takes: its part of the tape, and of what a thread works in.
    pub fn bytes_per_image(&self) -> usize {
        (self.tape_bytes + self.scratch_bytes) / BLOCK
    }

    /// Logits [rows, classes] of flat images [rows, features].
    pub fn logits(&self, images: &[f32]) -> Vec<f32> {
        let mut logits = vec![0.0; images.len() / self.features * self.classes];
        let blocks = images.par_chunks(BLOCK * self.features).zip(logits.par_chunks_mut(BLOCK * self.classes));
        blocks.for_each(|(images, logits)| {
            let mut tape = take(&self.tapes, self.tape_bytes);
            self.forward_block(&mut tape, images, logits);
            give(&self.tapes, [tape]);
        });
        logits
    }

    /// As [`Plan::logits`], with what [`Tape::gradient`] needs.
    pub fn forward(self: &Arc<Self>, images: &[f32]) -> (Vec<f32>, Tape) {
        let rows = images.len() / self.features;
        let mut logits = vec![0.0; rows * self.classes];
        let mut blocks: Vec<Memory> = (0..rows.div_ceil(BLOCK)).map(|_| take(&self.tapes, self.tape_bytes)).collect();
        let each = images.par_chunks(BLOCK * self.features).zip(logits.par_chunks_mut(BLOCK * self.classes));
        each.zip(&mut blocks).for_each(|((images, logits), tape)| self.forward_block(tape, images, logits));
        (logits, Tape { plan: self.clone(), blocks, rows })
    }

    fn forward_block(&self, tape: &mut Memory, images: &[f32], logits: &mut [f32]) {
        let mut scratch = take(&self.scratches, self.scratch_bytes);
        let memory = self.memory(tape, &mut scratch);
        if let (Some(to), Some(from)) = (self.script.images, self.script.logits) {
            // SAFETY: the plan holds the images and the logits of a block.
            unsafe {
                put(to, memory(to.buffer), images);
                self.run(&self.script.forward, &memory);
                get(from, memory(from.buffer), logits);
            }
        }
        give(&self.scratches, [scratch]);
    }

    fn backward_block(&self, tape: &mut Memory, asked: &[f32], gradient: &mut [f32]) {
        let mut scratch = take(&self.scratches, self.scratch_bytes);
        let memory = self.memory(tape, &mut scratch);
        if let (Some(to), Some(from)) = (self.script.ask, self.script.answer) {
            // SAFETY: the plan holds the gradients of a block.
            unsafe {
                put(to, memory(to.buffer), asked);
                self.run(&self.script.backward, &memory);
                get(from, memory(from.buffer), gradient);
            }
        }
        give(&self.scratches, [scratch]);
    }

    /// # Safety
    /// `memory` is that of this plan.
    unsafe fn run(&self, steps: &[Step], memory: &impl Fn(usize) -> *mut u8) {
        for step in steps {
            // SAFETY: `place` keeps apart what is used at once.
            unsafe { step.run(self.level, memory) }
        }
    }

    /// Where each buffer begins.
    fn memory<'a>(&'a self, tape: &mut Memory, scratch: &mut Memory) -> impl Fn(usize) -> *mut u8 + use<'a> {
        let (tape, scratch) = (tape.as_mut_ptr().cast::<u8>(), scratch.as_mut_ptr().cast::<u8>());
        move |buffer| {
            let (outlives, at) = self.places[buffer];
            (if outlives { tape } else { scratch }).wrapping_add(at)
        }
    }
}

impl Tape {
    /// The gradient [rows, features], with respect to the images, of the loss whose gradient with respect to the logits is `asked`
    /// [rows, classes]. Zeros where no logit depends on the images smoothly.
    pub fn gradient(&mut self, asked: &[f32]) -> Vec<f32> {
        let plan = &self.plan;
        let mut gradient = vec![0.0; self.rows * plan.features];
        let blocks = asked.par_chunks(BLOCK * plan.classes).zip(gradient.par_chunks_mut(BLOCK * plan.features));
        blocks.zip(&mut self.blocks).for_each(|((asked, gradient), tape)| plan.backward_block(tape, asked, gradient));
        gradient
    }
}

impl Drop for Tape {
    fn drop(&mut self) {
        give(&self.plan.tapes, self.blocks.drain(..));
    }
}

fn take(pool: &Mutex<Vec<Memory>>, bytes: usize) -> Memory {
    let kept = pool.lock().unwrap_or_else(PoisonError::into_inner).pop();
    kept.unwrap_or_else(|| vec![Line([0.0; BLOCK]); bytes.div_ceil(LINE)])
}

fn give(pool: &Mutex<Vec<Memory>>, memory: impl IntoIterator<Item = Memory>) {
    pool.lock().unwrap_or_else(PoisonError::into_inner).extend(memory);
}

/// Spreads rows over a value: image i becomes lane i. Lanes without an image are 0.
///
/// # Safety
/// The value is there.
unsafe fn put(value: Placed, to: *mut u8, rows: &[f32]) {
    let elements = value.layout.elements();
    for element in 0..elements {
        let lanes = std::array::from_fn(|lane| rows.get(lane * elements + element).copied().unwrap_or(0.0));
        // SAFETY: the element is within the value.
        unsafe { to.cast::<[f32; BLOCK]>().add(value.layout.position(element)).write(lanes) };
    }
}

/// Gathers rows from a value.
///
/// # Safety
/// As [`put`].
unsafe fn get(value: Placed, from: *const u8, rows: &mut [f32]) {
    let elements = value.layout.elements();
    for element in 0..elements {
        // SAFETY: the element is within the value.
        let lanes = unsafe { from.cast::<[f32; BLOCK]>().add(value.layout.position(element)).read() };
        for (row, number) in rows.chunks_exact_mut(elements).zip(lanes) {
            row[element] = number;
        }
    }
}

/// Where every buffer goes: what outlives the way forward side by side, the rest wherever nothing is that is used at the same time.
fn place(script: &Script) -> (Vec<(bool, usize)>, [usize; 2]) {
    let turn = script.forward.len();
    let mut places: Vec<(bool, usize)> = Vec::with_capacity(script.buffers.len());
    let mut ends = [0, 0];
    for (at, span) in script.buffers.iter().enumerate() {
        let bytes = span.bytes.next_multiple_of(LINE);
        if span.first < turn && span.last >= turn {
            places.push((true, ends[0]));
            ends[0] += bytes;
            continue;
        }
        let overlaps = |other: usize| script.buffers[other].last >= span.first && script.buffers[other].first <= span.last;
        let mut taken: Vec<(usize, usize)> = (0..at)
            .filter(|&other| !places[other].0 && overlaps(other))
            .map(|other| (places[other].1, places[other].1 + script.buffers[other].bytes.next_multiple_of(LINE)))
            .collect();
        taken.sort_unstable();
        let start = taken.iter().fold(0, |start, &(begin, end)| if start + bytes <= begin { start } else { start.max(end) });
        places.push((false, start));
        ends[1] = ends[1].max(start + bytes);
    }
    (places, ends)
}
