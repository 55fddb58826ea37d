//! A compiled network and its memory.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rayon::prelude::*;

use super::convolution::PROCESSOR;
use super::emit::{Script, Span, emit};
use super::lanes::{BLOCK, Level};
use super::layout::Placed;
use super::read::read;
use super::share::Share;
use super::step::Step;
use crate::Result;
use crate::graph::Graph;
use crate::model::Weights;

/// A frozen network compiled for this processor.
///
/// Images go through it in blocks of 16, each block from the first layer to the last, and back again; where there are fewer blocks than
/// threads, several share the long steps of each. What becomes of an image depends on nothing else: neither on the others of its batch nor
/// on the number of threads.
#[derive(Debug)]
pub struct Plan {
    script: Script,
    /// By buffer: whether it outlives the way forward, and where it begins, in bytes.
    places: Vec<(bool, usize)>,
    /// Bytes of what outlives the way forward, and of the rest.
    tape_bytes: usize,
    scratch_bytes: usize,
    /// Bytes that a thread works in.
    work_bytes: usize,
    features: usize,
    classes: usize,
    level: Level,
    tapes: Mutex<Vec<Memory>>,
    scratches: Mutex<Vec<Memory>>,
    works: Mutex<Vec<Memory>>,
}

/// What the way back needs of a way forward: a bit for each rectified number, the winner of each pooling window, and whatever else has a
/// derivative that depends on it.
#[derive(Debug)]
pub struct Tape {
    plan: Arc<Plan>,
    blocks: Vec<Memory>,
    /// The rows that went forward, in order, of so many.
    asked: Vec<usize>,
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
            let script = emit(&network, PROCESSOR);
            let (places, [tape_bytes, scratch_bytes]) = place(&script, BLOCK, LINE, usize::MAX);
            let (features, classes) = (graph.input.iter().product(), graph.classes);
            let work = script.forward.iter().chain(&script.backward).map(Step::workspace).max().unwrap_or(0);
            let (tapes, scratches, works) = Default::default();
            let level = Level::available()[0];
            Self { script, places, tape_bytes, scratch_bytes, work_bytes: work * LINE, features, classes, level, tapes, scratches, works }
        }))
    }

    /// The same plan with other instructions, where the processor has them: to compare, since the best are chosen anyway.
    #[must_use]
    pub fn at(self, level: Level) -> Self {
        if Level::available().contains(&level) { Self { level, ..self } } else { self }
    }

    /// Bytes that one image's way forward and back takes: its part of the tape, and of its block's other memory.
    pub fn bytes_per_image(&self) -> usize {
        (self.tape_bytes + self.scratch_bytes) / BLOCK
    }

    /// Bytes that the plan takes however many images there are: its weights, and what each of the threads works in.
    pub fn bytes(&self) -> usize {
        let weights: usize = self.script.forward.iter().chain(&self.script.backward).map(Step::weights).sum();
        size_of::<f32>() * weights + rayon::current_num_threads() * self.work_bytes
    }

    /// Logits [rows, classes] of flat images [rows, features]: of the rows `asked`, each once and in order; 0 for the others, which cost
    /// nothing.
    pub fn logits(&self, images: &[f32], asked: &[usize]) -> Vec<f32> {
        let mut logits = vec![0.0; images.len() / self.features * self.classes];
        let mut rows = picked(&mut logits, self.classes, asked);
        let under_way = UnderWay::new(asked.len());
        let team = under_way.team();
        asked.par_chunks(BLOCK).zip(rows.par_chunks_mut(BLOCK)).for_each(|(asked, logits)| {
            let mut tape = take(&self.tapes, self.tape_bytes);
            self.forward_block(&mut tape, images, asked, logits, team);
            give(&self.tapes, [tape]);
        });
        logits
    }

    /// As [`Plan::logits`], with what [`Tape::gradient`] needs.
    pub fn forward(self: &Arc<Self>, images: &[f32], asked: &[usize]) -> (Vec<f32>, Tape) {
        let rows = images.len() / self.features;
        let mut logits = vec![0.0; rows * self.classes];
        let mut blocks: Vec<Memory> = (0..asked.len().div_ceil(BLOCK)).map(|_| take(&self.tapes, self.tape_bytes)).collect();
        let mut wanted = picked(&mut logits, self.classes, asked);
        let each = asked.par_chunks(BLOCK).zip(wanted.par_chunks_mut(BLOCK));
        let under_way = UnderWay::new(asked.len());
        let team = under_way.team();
        each.zip(&mut blocks).for_each(|((asked, logits), tape)| self.forward_block(tape, images, asked, logits, team));
        (logits, Tape { plan: self.clone(), blocks, asked: asked.to_vec(), rows })
    }

    fn forward_block(&self, tape: &mut Memory, images: &[f32], asked: &[usize], logits: &mut [&mut [f32]], team: usize) {
        let mut scratch = take(&self.scratches, self.scratch_bytes);
        let memory = self.memory(tape, &mut scratch);
        if let (Some(to), Some(from)) = (self.script.images, self.script.logits) {
            // SAFETY: the plan holds the images and the logits of a block.
            unsafe {
                put(to, memory(to.buffer), images, asked);
                self.run(&self.script.forward, &memory, Share::whole(asked.len()), team);
                get(from, memory(from.buffer), logits);
            }
        }
        give(&self.scratches, [scratch]);
    }

    fn backward_block(&self, tape: &mut Memory, slopes: &[f32], asked: &[usize], gradient: &mut [&mut [f32]], team: usize) {
        let mut scratch = take(&self.scratches, self.scratch_bytes);
        let memory = self.memory(tape, &mut scratch);
        if let (Some(to), Some(from)) = (self.script.ask, self.script.answer) {
            // SAFETY: the plan holds the gradients of a block.
            unsafe {
                put(to, memory(to.buffer), slopes, asked);
                self.run(&self.script.backward, &memory, Share::whole(asked.len()), team);
                get(from, memory(from.buffer), gradient);
            }
        }
        give(&self.scratches, [scratch]);
    }

    /// Takes steps on a block, the long ones with `team` threads.
    ///
    /// # Safety
    /// `memory` is that of this plan.
    unsafe fn run(&self, steps: &[Step], memory: &(impl Fn(usize) -> *mut u8 + Sync), share: Share, team: usize) {
        // A register of all images would carry as much of nothing.
        let level = if share.lanes * 2 <= BLOCK { self.level.halved() } else { self.level };
        // SAFETY: `place` keeps apart what is used at once, and shares of a step write apart from one another.
        let share_of = |step: &Step, share: Share, work: &mut Memory| unsafe { step.run(level, memory, work.as_mut_ptr().cast(), share) };
        let mut own = take(&self.works, self.work_bytes);
        for step in steps {
            if team == 1 || !step.is_long() {
                share_of(step, share, &mut own);
                continue;
            }
            share.parts(team).collect::<Vec<_>>().into_par_iter().for_each(|share| {
                let mut work = take(&self.works, self.work_bytes);
                share_of(step, share, &mut work);
                give(&self.works, [work]);
            });
        }
        give(&self.works, [own]);
    }

    /// Where each buffer begins.
    fn memory<'a>(&'a self, tape: &mut Memory, scratch: &mut Memory) -> impl Fn(usize) -> *mut u8 + Sync + use<'a> {
        let starts = Starts { tape: tape.as_mut_ptr().cast(), scratch: scratch.as_mut_ptr().cast() };
        move |buffer| {
            let (outlives, at) = self.places[buffer];
            starts.of(outlives).wrapping_add(at)
        }
    }
}

impl Tape {
    /// The gradient [rows, features], with respect to the images, of the loss whose gradient with respect to the logits is `slopes`
    /// [rows, classes]. Zeros in rows that were not asked for or have no slope, and where no logit depends on the images smoothly.
    pub fn gradient(&mut self, slopes: &[f32]) -> Vec<f32> {
        let plan = &self.plan;
        let mut gradient = vec![0.0; self.rows * plan.features];
        let under_way = UnderWay::new(self.asked.len());
        let team = under_way.team();
        let flat = |&row: &usize| slopes[row * plan.classes..(row + 1) * plan.classes].iter().all(|slope| *slope == 0.0);
        let mut wanted = picked(&mut gradient, plan.features, &self.asked);
        let each = self.asked.par_chunks(BLOCK).zip(wanted.par_chunks_mut(BLOCK)).zip(&mut self.blocks);
        each.for_each(|((asked, gradient), tape)| {
            // Rows that a step has ended ask for nothing any more, and those of one-step attacks end together.
            if asked.iter().all(flat) {
                return;
            }
            plan.backward_block(tape, slopes, asked, gradient, team);
            // Whatever a row without a slope met on its way, so that it does not matter which rows are beside it.
            gradient.iter_mut().zip(asked).filter(|(_, row)| flat(row)).for_each(|(gradient, _)| gradient.fill(0.0));
        });
        gradient
    }
}

impl Drop for Tape {
    fn drop(&mut self) {
        give(&self.plan.tapes, self.blocks.drain(..));
    }
}

/// Blocks on their way through plans, in all of the process.
static UNDER_WAY: AtomicUsize = AtomicUsize::new(0);

/// The blocks of a way forward or back, while it lasts.
struct UnderWay(usize);

impl UnderWay {
    /// Those of so many rows.
    fn new(rows: usize) -> Self {
        let blocks = rows.div_ceil(BLOCK);
        UNDER_WAY.fetch_add(blocks, Ordering::Relaxed);
        Self(blocks)
    }

    /// Threads for each of them, one at least: no more than all blocks leave idle, since a thread that waits for its team would turn to
    /// another block.
    fn team(&self) -> usize {
        (rayon::current_num_threads() / UNDER_WAY.load(Ordering::Relaxed).max(1)).max(1)
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        UNDER_WAY.fetch_sub(self.0, Ordering::Relaxed);
    }
}

/// Where a block's memory begins.
struct Starts {
    tape: *mut u8,
    scratch: *mut u8,
}

// SAFETY: the steps of a plan say who may write where.
unsafe impl Sync for Starts {}

impl Starts {
    fn of(&self, outlives: bool) -> *mut u8 {
        if outlives { self.tape } else { self.scratch }
    }
}

fn take(pool: &Mutex<Vec<Memory>>, bytes: usize) -> Memory {
    let kept = pool.lock().unwrap_or_else(PoisonError::into_inner).pop();
    kept.unwrap_or_else(|| vec![Line([0.0; BLOCK]); bytes.div_ceil(LINE)])
}

fn give(pool: &Mutex<Vec<Memory>>, memory: impl IntoIterator<Item = Memory>) {
    pool.lock().unwrap_or_else(PoisonError::into_inner).extend(memory);
}

/// The rows `asked` of a matrix, in order.
fn picked<'a>(matrix: &'a mut [f32], columns: usize, asked: &[usize]) -> Vec<&'a mut [f32]> {
    let mut asked = asked.iter().peekable();
    let rows = matrix.chunks_exact_mut(columns).enumerate();
    rows.filter_map(|(at, row)| asked.next_if_eq(&&at).map(|_| row)).collect()
}

/// Spreads rows `asked` of a matrix over a value: the i-th of them becomes lane i. Lanes without a row are 0.
///
/// # Safety
/// The value is there.
unsafe fn put(value: Placed, to: *mut u8, matrix: &[f32], asked: &[usize]) {
    let elements = value.layout.elements();
    for element in 0..elements {
        let lanes = std::array::from_fn(|lane| asked.get(lane).map_or(0.0, |row| matrix[row * elements + element]));
        // SAFETY: the element is within the value.
        unsafe { to.cast::<[f32; BLOCK]>().add(value.layout.position(element)).write(lanes) };
    }
}

/// Gathers rows from a value.
///
/// # Safety
/// As [`put`].
unsafe fn get(value: Placed, from: *const u8, rows: &mut [&mut [f32]]) {
    let elements = value.layout.elements();
    for element in 0..elements {
        // SAFETY: the element is within the value.
        let lanes = unsafe { from.cast::<[f32; BLOCK]>().add(value.layout.position(element)).read() };
        for (row, number) in rows.iter_mut().zip(lanes) {
            row[element] = number;
        }
    }
}

/// Where every buffer of so many images goes, in bytes: what outlives the way forward side by side, the rest wherever nothing is that is
/// used at the same time. All begin at a multiple of `line`, and none lies in two pages.
pub(super) fn place(script: &Script, images: usize, line: usize, page: usize) -> (Vec<(bool, usize)>, [usize; 2]) {
    let turn = script.forward.len();
    let mut places: Vec<(bool, usize)> = Vec::with_capacity(script.buffers.len());
    let mut ends = [0, 0];
    let size = |span: &Span| (span.bits * images / 8).next_multiple_of(line);
    let in_page = |start: usize, bytes: usize| if start % page + bytes > page { start.next_multiple_of(page) } else { start };
    for (at, span) in script.buffers.iter().enumerate() {
        let bytes = size(span);
        if span.first < turn && span.last >= turn {
            let start = in_page(ends[0], bytes);
            places.push((true, start));
            ends[0] = start + bytes;
            continue;
        }
        let overlaps = |other: usize| script.buffers[other].last >= span.first && script.buffers[other].first <= span.last;
        let mut taken: Vec<(usize, usize)> = (0..at)
            .filter(|&other| !places[other].0 && overlaps(other))
            .map(|other| (places[other].1, places[other].1 + size(&script.buffers[other])))
            .collect();
        taken.sort_unstable();
        let start =
            taken.iter().fold(0, |start, &(begin, end)| if start + bytes <= begin { start } else { in_page(start.max(end), bytes) });
        places.push((false, start));
        ends[1] = ends[1].max(start + bytes);
    }
    (places, ends)
}
